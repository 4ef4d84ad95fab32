"""The step of a simulated job at the low or high end of its interval.

The whole step is longer or shorter by one factor, at any clock and on any network, for the interval
does not say in which of its parts the difference lies; only the FLOPs of the model stay.
Valid, Accuracy, Source: those of `dcsim.workload.interval` and of `dcsim.workload.estimate`, whose
low and high these are.
"""

from dcsim import catalog
from dcsim.catalog import Sheet
from dcsim.workload.contention import WHOLE, Shares
from dcsim.workload.interval import interval, spread_of
from dcsim.workload.layer import Law, Machine, Software
from dcsim.workload.layout import Layout
from dcsim.workload.machine import software_of
from dcsim.workload.model import Shape
from dcsim.workload.step import StepTime, step_of

TUNED, UNTUNED = "megatron-core", "untuned"
"""The software of a job, and what bounds it where nobody says which it is."""
_LENGTHS = (
    *("clocked_s", "head_s", "mean_clocked_s", "held_s", "tp_s", "group_s"),
    *("pp_s", "drain_s"),
    *("dp_s", "dp_window_s", "fixed_s", "jitter_s"),
)


def step_factor(
    level: str,
    shape: Shape,
    layout: Layout,
    machine: Machine,
    software: Software,
    law: Law,
    gpu: Sheet,
    precision: str,
    shares: Shares = WHOLE,
) -> float:
    """Return how much longer the step of a layout is at one of `catalog.LEVELS` than at typical.

    *software* is `TUNED` as it runs on *gpu*, *shares* what the network leaves of the NICs.
    """
    if level == "typical":
        return 1.0
    spread = spread_of(gpu, catalog.sheet("software", TUNED), precision)
    ends = interval(1.0, spread, layout.gpus_count, shape.experts > 0)
    if level == "low":
        return float(ends.low_s)
    untuned = software_of(catalog.sheet("software", UNTUNED), gpu, law)
    untuned_s, tuned_s = (
        float(step_of(shape, layout, machine, stack, law, shares).parts.step_s)
        for stack in (untuned, software)
    )
    return float(ends.high_s) * max(1.0, untuned_s / tuned_s)


def scaled(step: StepTime, factor: float) -> StepTime:
    """Return *step* with everything in it *factor* times as long."""
    return step._replace(**{name: factor * getattr(step, name) for name in _LENGTHS})
