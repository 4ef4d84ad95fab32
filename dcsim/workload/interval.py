"""How sure an estimate is: the range in which nine tenths of runs are expected.

The range is that of left-out residuals of the same group of software (see
`dcsim.workload.published`). Outside of what was published both its ends move out: 5% for each
doubling beyond 16,384 GPUs, 10% for a chip of a generation that no row has, 10% for NVFP4 (by as
much Blackwell is missed when it is left out as a generation) and 10% for a mixture of experts.
These are judgements.
"""

from typing import NamedTuple

import numpy as np

from dcsim import catalog
from dcsim.catalog import Sheet
from dcsim.workload.model import Real

MOST_GPUS = 16_384
"""The largest job of a published step."""
GENERATIONS = ("ampere", "hopper", "blackwell")
"""Those that published steps were made on."""
_PER_DOUBLING = 0.05
_PER_DIFFERENCE = 0.10


class Spread(NamedTuple):
    """What widens an interval, before the size of the job and its model count."""

    low_log: Real
    high_log: Real
    unlike_count: Real  # ways in which chip and precision differ from what was published


class Interval(NamedTuple):
    """Where nine tenths of runs are expected."""

    low_s: Real
    high_s: Real
    extrapolated: Real  # outside of what was published


def group_of(software: Sheet) -> str:
    """Return which residuals speak for a stack: of eager kernels, of early Megatron, of later."""
    if software.text("generation") == "eager":
        return "eager"
    return "overlapped" if software["hides_tp_count"] else "plain"


def spread_of(gpu: Sheet, software: Sheet, precision: str) -> Spread:
    """Return the spread of estimates for a GPU, a stack of software and a precision."""
    low, high = catalog.sheet("step", "interval").list(f"{group_of(software)}_log")
    unlike = (gpu.text("generation") not in GENERATIONS) + (precision == "nvfp4")
    return Spread(low, high, float(unlike))


def interval(step_s: Real, spread: Spread, gpus_count: Real, mixture: Real) -> Interval:
    """Return the range around *step_s*; *mixture* is whether the model has experts."""
    doublings = np.log2(np.maximum(1.0, gpus_count / MOST_GPUS))
    more = _PER_DOUBLING * doublings + _PER_DIFFERENCE * (spread.unlike_count + mixture)
    return Interval(
        step_s * np.exp(spread.low_log - more), step_s * np.exp(spread.high_log + more), more > 0
    )
