"""The step of a simulated job at the low or high end of its interval.

The whole step is longer or shorter by one factor, at any clock and on any network, for the interval
does not say in which of its parts the difference lies; only the FLOPs of the model stay.
Valid, Accuracy, Source: those of `dcsim.workload.interval` and of `dcsim.workload.estimate`, whose
low and high these are.
"""

from dcsim import catalog
from dcsim.catalog import Sheet
from dcsim.workload.interval import interval, spread_of
from dcsim.workload.layer import Law, Machine, Software
from dcsim.workload.layout import Layout
from dcsim.workload.machine import software_of
from dcsim.workload.model import Shape
from dcsim.workload.step import StepTime, step_of, step_time

TUNED, UNTUNED = "megatron-core", "untuned"
"""The software of a job, and what bounds it where nobody says which it is."""
_LENGTHS = (
    *("clocked_s", "head_s", "mean_clocked_s", "held_s", "tp_s", "pp_s"),
    *("dp_s", "dp_window_s", "fixed_s", "jitter_s"),
)


def step_at(
    level: str,
    shape: Shape,
    layout: Layout,
    machine: Machine,
    software: Software,
    law: Law,
    gpu: Sheet,
) -> StepTime:
    """Return the step of one legal layout in bf16 at one of `catalog.LEVELS`.

    *software* is `TUNED` as it runs on *gpu*.
    """
    step = step_time(shape, layout, machine, software, law)
    if level == "typical":
        return step
    spread = spread_of(gpu, catalog.sheet("software", TUNED), "bf16")
    ends = interval(1.0, spread, layout.gpus_count, shape.experts > 0)
    if level == "low":
        return scaled(step, float(ends.low_s))
    untuned = software_of(catalog.sheet("software", UNTUNED), gpu, law)
    untuned_s, tuned_s = (
        float(step_of(shape, layout, machine, stack, law).parts.step_s)
        for stack in (untuned, software)
    )
    return scaled(step, float(ends.high_s) * max(1.0, untuned_s / tuned_s))


def scaled(step: StepTime, factor: float) -> StepTime:
    """Return *step* with everything in it *factor* times as long."""
    return step._replace(**{name: factor * getattr(step, name) for name in _LENGTHS})
