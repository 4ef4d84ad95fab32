"""What a sample of all GPUs comes to: histograms of temperature and clock, extremes by rack.

Valid: package temperatures 0 to 128 degC; what lies outside counts in the bin at the edge.
Accuracy: a count. Source: none needed.
"""

from typing import Any, NamedTuple

import numpy as np

from dcsim.kernel import kernel
from dcsim.physics.gpu import GpuLaw, clock_under_cap
from dcsim.world.tables import Bool, GpuTable

BINS_COUNT = 128
THROTTLED_FRAC = 1e-3
"""A clock counts as lowered from this share of the highest on."""


class GpuSample(NamedTuple):
    """Of the GPUs that are on: how many, mean temperature [degC], mean clock [-]."""

    on_count: int
    temp_c_mean: float
    clock_frac_mean: float


@kernel(reduction=True)
def _sums(temp: Any, clock: Any, on: Any) -> tuple[float, float, float]:
    """Return count, sum of temperatures and sum of clocks of the GPUs that are on."""
    count = temp_sum = clock_sum = 0.0
    for i in range(temp.shape[0]):
        count += np.float64(on[i])
        temp_sum += np.float64(on[i] * temp[i])
        clock_sum += np.float64(on[i] * clock[i])
    return count, temp_sum, clock_sum


@kernel
def sample_gpus(gpu: GpuTable, histogram: Any) -> GpuSample:
    """Write the histogram of package temperatures by 1 K, int32[128], of the GPUs that are on."""
    # Four lanes, so that neighbours of one temperature do not wait for one another.
    lanes = np.zeros((4, BINS_COUNT), np.int32)
    last = np.int32(BINS_COUNT - 1)
    for i in range(gpu.temp_c.shape[0] // 4):
        for lane in range(4):
            temp = np.int32(gpu.temp_c[4 * i + lane])
            place = min(max(temp, np.int32(0)), last)
            lanes[lane, place] += np.int32(gpu.on_frac[4 * i + lane])
    histogram[:] = lanes.sum(axis=0)
    count, temp_sum, clock_sum = _sums(gpu.temp_c, gpu.clock_frac, gpu.on_frac)
    on = max(count, 1.0)
    return GpuSample(int(count), temp_sum / on, clock_sum / on)


@kernel
def sample_clocks(gpu: GpuTable, histogram: Any) -> None:
    """Write the histogram of clocks by hundredths, int32[128], of the GPUs that are on."""
    histogram[:] = 0
    for i in range(gpu.clock_frac.shape[0]):
        place = min(int(gpu.clock_frac[i] * 100.0), BINS_COUNT - 1)
        histogram[place] += np.int32(gpu.on_frac[i])


def throttled(gpu: GpuTable, law: GpuLaw, nodes_count: int) -> Bool:
    """Return which GPUs run below the clock that the power cap alone would allow."""
    scratch = np.empty((2, nodes_count), gpu.temp_c.dtype)
    capped = clock_under_cap(gpu, law, scratch[0], scratch[1])
    return np.asarray((gpu.clock_frac < capped - THROTTLED_FRAC) & (gpu.on_frac > 0))


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
