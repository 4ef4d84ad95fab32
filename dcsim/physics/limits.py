"""How soon a GPU comes to a limit: the throttling temperature, the shutdown, another regime.

While power does not grow, the faster of package and plate sets the pace: in a chain of heat
capacities none overtakes the fastest. A group of GPUs well below the limit goes by its hottest and
its fastest, to `AIM_K` below; in one close to it each GPU counts: to where the thermal controller
takes over, and once it has, by moves of `MOVE_K`, so that the GPU leaves that regime in time too.

Valid: coolant that warms no faster than the plates that it cools.
Accuracy: a package passes a limit by at most `NEAR_K`, or by its rise in `STEP_S`.
Source: the maximum principle of the heat equation.
"""

from typing import Any

import numpy as np

from dcsim.kernel import kernel
from dcsim.world.tables import GpuTable

CLOSE_K = 2.0
AIM_K = 1.0
NEAR_K = 0.05
MOVE_K = 0.25
STEP_S = 0.1
"""Numerical choices, measured against steps of 1 ms; the text above says what each does."""


@kernel
def soonest_s(gpu: GpuTable, law: Any, coolant: Any, sums: Any) -> float:
    """Return how long every GPU stays within its regime, to the accuracy of this module [s].

    *law*, *coolant* and *sums* are those of `dcsim.physics.gpu`, as just evaluated.
    """
    pace = 1e-9
    for group in range(sums.package_c_max.shape[0]):
        gap_k = law.limit_c - sums.package_c_max[group]
        if gap_k > CLOSE_K:
            pace = max(pace, sums.rise_k_per_s_max[group] / (gap_k - AIM_K))
            continue
        lo = coolant.first_gpu[coolant.first_rack[group]]
        hi = coolant.first_gpu[coolant.first_rack[group + 1]]
        for i in range(lo, hi):
            if gpu.on_frac[i] > 0:
                pace = max(pace, _pace(gpu, i, law, coolant, group))
    return float(1.0 / pace)


@kernel
def _pace(gpu: GpuTable, i: int, law: Any, coolant: Any, group: int) -> float:
    """Return the share of its way to the next limit that GPU *i* goes in a second [1/s]."""
    temp, plate = gpu.temp_c[i], gpu.plate_c[i]
    base = law.static_w + gpu.leak_w[i] * np.exp((temp - 60.0) * law.leak_fold_per_k)
    full = gpu.dynamic_w[i] * gpu.load_frac[i]
    asked = min(base + full * gpu.ceiling_x[i], base + (law.cap_w - base) * gpu.load_frac[i])
    flow = (temp - plate) / law.package_plate_k_per_w
    out = (plate - coolant.inlet_c[group]) * gpu.conductance_x[i] * coolant.plate_w_per_k[group]
    package = (gpu.power_w[i] - flow) / law.package_j_per_k
    plates = (flow - out) / law.plate_j_per_k
    rise = max(package, plates)
    control = law.package_j_per_k / law.control_s
    allowed = (law.limit_c - plate) / law.package_plate_k_per_w + control * (law.limit_c - temp)
    if allowed < asked:
        move = max(np.abs(package), np.abs(plates)) / MOVE_K
        return float(max(move, rise / max(law.shutdown_c - temp, NEAR_K)))
    gap_k = (allowed - asked) / (1.0 / law.package_plate_k_per_w + control)
    return float(rise / max(gap_k, NEAR_K))
