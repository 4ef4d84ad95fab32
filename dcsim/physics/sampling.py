"""What a sample of all GPUs comes to: a histogram of temperatures, mean clocks, extremes by rack.

Valid: package temperatures 0 to 128 degC; what lies outside counts in the bin at the edge.
Accuracy: a count. Source: none needed.
"""

from typing import Any, NamedTuple

import numpy as np

from dcsim.kernel import kernel
from dcsim.world.tables import GpuTable

BINS_COUNT = 128


class GpuSample(NamedTuple):
    """Of the GPUs that are on: how many, mean temperature [degC], mean and lowest clock [-]."""

    on_count: int
    temp_c_mean: float
    clock_frac_mean: float
    clock_frac_min: float


@kernel
def sample_gpus(gpu: GpuTable, histogram: Any) -> tuple[int, float, float, float]:
    """Write the histogram of package temperatures by 1 K, int32[128]; return a `GpuSample`."""
    histogram[:] = 0
    count = 0
    temp_sum = clock_sum = 0.0
    clock_min = 2.0
    for i in range(gpu.temp_c.shape[0]):
        if gpu.on_frac[i] > 0:
            count += 1
            temp_sum += gpu.temp_c[i]
            clock_sum += gpu.clock_frac[i]
            clock_min = min(clock_min, np.float64(gpu.clock_frac[i]))
            place = np.int32(max(gpu.temp_c[i], np.float32(0)))
            histogram[min(place, np.int32(BINS_COUNT - 1))] += 1
    return count, temp_sum / max(count, 1), clock_sum / max(count, 1), clock_min


@kernel
def sample_racks(
    gpu: GpuTable, first_gpu: Any, low_c: Any, mean_c: Any, high_c: Any, clock: Any
) -> None:
    """Write the extremes and means of each rack; *first_gpu* has racks_count + 1 entries."""
    for rack in range(low_c.shape[0]):
        low, high, temp_sum, clock_sum = 1e9, -1e9, 0.0, 0.0
        for i in range(first_gpu[rack], first_gpu[rack + 1]):
            temp = np.float64(gpu.temp_c[i])
            low, high = min(low, temp), max(high, temp)
            temp_sum += temp
            clock_sum += gpu.clock_frac[i] * gpu.on_frac[i]
        size = first_gpu[rack + 1] - first_gpu[rack]
        low_c[rack], high_c[rack] = low, high
        mean_c[rack], clock[rack] = temp_sum / size, clock_sum / size
