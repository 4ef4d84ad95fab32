"""How package and plate answer to power and coolant over a step: the exact solution.

    x' = A x + b + r t,   x = (T_j, T_c),   P = constant + by_package T_j + by_plate T_c

By the two real eigenvalues of A: a solution u + v t that follows the ramp of the coolant, and two
exponentials. The slower one grows where leakage does faster than the coolant takes heat away; where
the two balance A is singular, and the conductance to the coolant counts as larger by 2e-4 of that
between package and plate. Energy in and heat out are separate integrals.

Valid: power linear in both temperatures, the coolant a ramp.
Accuracy: that of `exp` in `elementary`; energy in = heat out + heat stored to rounding. Where A is
close to singular, float32 keeps 1% of the rise in a step.
Source: textbook linear algebra.
"""

from typing import Any

import numpy as np

from dcsim.kernel import kernel
from dcsim.physics.elementary import exp, magic_of

SINGULAR = 1e-4


@kernel
def advance_slice(
    temp: Any,
    plate: Any,
    conductance: Any,
    constant: Any,
    by_package: Any,
    by_plate: Any,
    energy: Any,
    heat: Any,
    law: Any,
    inlet_c: Any,
    inlet_k_per_s: Any,
    film: Any,
    dt_s: Any,
) -> None:
    """Advance both temperatures of one group by *dt_s*; write energy in and heat out [J].

    *law* is a `GpuLaw`, the shape of the columns (n,).
    """
    real = temp.dtype.type
    magic = real(magic_of(temp.itemsize))
    half = real(0.5)
    through = real(1) / law.package_plate_k_per_w
    per_package = real(1) / law.package_j_per_k
    per_plate = real(1) / law.plate_j_per_k
    inlet_k_s = (inlet_c + half * inlet_k_per_s * dt_s) * dt_s
    least = real(SINGULAR) * through * through
    for i in range(temp.shape[0]):
        out = conductance[i] * film
        balance = out * (through - by_package[i]) - through * (by_package[i] + by_plate[i])
        out = out + real(2 * SINGULAR) * through if abs(balance) < least else out
        a11 = (by_package[i] - through) * per_package
        a12 = (through + by_plate[i]) * per_package
        a21 = through * per_plate
        a22 = -(through + out) * per_plate
        ramp = inlet_k_per_s * out * per_plate
        balance = out * (through - by_package[i]) - through * (by_package[i] + by_plate[i])
        det = balance * per_package * per_plate
        per_det = real(1) / det
        # The solution that follows the ramp: u + v t.
        v1 = a12 * ramp * per_det
        v2 = -a11 * ramp * per_det
        c1 = v1 - constant[i] * per_package
        c2 = v2 - inlet_c * out * per_plate
        u1 = (a22 * c1 - a12 * c2) * per_det
        u2 = (a11 * c2 - a21 * c1) * per_det
        # exp(A t) by its two eigenvalues.
        mean = half * (a11 + a22)
        gap = half * (a11 - a22)
        split = max(np.sqrt(gap * gap + a12 * a21), real(1e-3))
        fast = exp(max((mean - split) * dt_s, real(-80)), real, magic)
        slow = exp(max((mean + split) * dt_s, real(-80)), real, magic)
        even = half * (slow + fast)
        odd = half * (slow - fast) / split
        y1 = temp[i] - u1
        y2 = plate[i] - u2
        s1 = even * y1 + odd * (gap * y1 + a12 * y2)
        s2 = even * y2 + odd * (a21 * y1 - gap * y2)
        temp[i] = u1 + v1 * dt_s + s1
        plate[i] = u2 + v2 * dt_s + s2
        # Integrals of both temperatures, and of what they drive.
        d1 = s1 - y1
        d2 = s2 - y2
        sum1 = (u1 + half * v1 * dt_s) * dt_s + (a22 * d1 - a12 * d2) * per_det
        sum2 = (u2 + half * v2 * dt_s) * dt_s + (a11 * d2 - a21 * d1) * per_det
        energy[i] = constant[i] * dt_s + by_package[i] * sum1 + by_plate[i] * sum2
        heat[i] = (sum2 - inlet_k_s) * out
