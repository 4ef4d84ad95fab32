"""What is recorded, and what is expected of the result, as asked for."""

import operator
import re
from typing import Annotated, Any, NamedTuple

from dcsim.scenario.fields import Leaf, Part, choice, nearest, quantity

METRICS = (
    "goodput_frac",
    "ettr_frac",
    "mfu_frac",
    "hfu_frac",
    "step_time_s",
    "tokens_count",
    "tokens_per_day",
    "days_to_target",
    "interruption_count",
    "mtbf_s",
    "gpu_temp_c_p50",
    "gpu_temp_c_p99",
    "gpu_temp_c_max",
    "throttled_frac",
    "it_power_w_mean",
    "it_power_w_max",
    "site_power_w_mean",
    "site_power_w_max",
    "pue",
    "wue_l_per_kwh",
    "energy_j",
    "co2_g",
    "cost_usd",
    "usd_per_mtoken",
)
"""Headline names of a summary, of which an expectation may speak."""

_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_BOUND = re.compile(r"(>=|<=|>|<)\s*([-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?)")


class Bound(NamedTuple):
    """A comparison with a number in the unit of the metric, such as `> 0.9`."""

    sign: str
    value: float

    def holds(self, measured: float) -> bool:
        """Whether *measured* is on the expected side."""
        return bool(_COMPARE[self.sign](measured, self.value))


def _metric(value: Any) -> str:
    if value not in METRICS:
        raise ValueError(
            f"no such metric, {nearest(str(value), METRICS)}allowed " + ", ".join(METRICS)
        )
    return str(value)


def _bound(value: Any) -> Bound:
    match = _BOUND.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("allowed one of > >= < <= and a number, in quotes, such as '> 0.9'")
    return Bound(match[1], float(match[2]))


Metric = Annotated[str, Leaf(_metric, {"enum": list(METRICS)}, "a metric of the summary")]
Expectation = Annotated[
    Bound,
    Leaf(
        _bound,
        {"type": "string", "pattern": f"^{_BOUND.pattern}$", "examples": ["> 0.9"]},
        "one of > >= < <= and a number, in quotes, such as '> 0.9'",
    ),
]


REPORT_S = 300
"""All sites stop at multiples of this, whether or not anything is recorded then."""


class Record(Part):
    """How often rows are written.

    `gpus` says when those of single GPUs are, every `gpu_every_s`.
    """

    site_every_s: Annotated[
        float, quantity("time", "5 min", "30 d"), "time between rows of a site, a multiple of 5 min"
    ] = 300.0
    rack_every_s: Annotated[
        float, quantity("time", "5 min", "30 d"), "time between rows of racks, a multiple of 5 min"
    ] = 900.0
    gpus: Annotated[
        str, choice("around-faults", "never", "always"), "when single GPUs are recorded"
    ] = "around-faults"
    gpu_every_s: Annotated[
        float,
        quantity("time", "5 min", "30 d"),
        "time between rows of single GPUs where they are recorded always",
    ] = 300.0
    max_trace_byte: Annotated[
        float, quantity("data", "1 MB", "100 TB"), "a run whose trace may become larger is refused"
    ] = 2e9
