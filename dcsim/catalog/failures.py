"""Failure presets: published counts of failures turned into a rate per thing and year."""

from functools import cache
from typing import NamedTuple

from dcsim.catalog.sheets import Sheet, sheet

YEAR_S = 365 * 86_400.0
"""The year of `FailureClass.per_year`."""
_EXPOSED = {
    "gpu": "gpus_count",
    "node": "nodes_count",
    "link": "links_count",
    "leaf": "leaves_count",
}


class FailureClass(NamedTuple):
    """One cause of failure: what it hits, how often, and what becomes of it."""

    name: str
    component: str
    """Kind of thing that fails: gpu, node, link (cable of node and leaf) or leaf."""
    action: str
    """`restart`: works again once the job restarts; `replace`: out of service for the repair."""
    per_year: float
    """Failures per component and year of 365 days: counted events over their exposure."""
    repair_median_s: float
    """Median of the lognormal time out of service; 0 where the action is restart."""
    repair_sigma: float
    """Standard deviation of the logarithm of the time out of service."""


class FailurePreset(NamedTuple):
    """The failures of one published fleet."""

    name: str
    classes: tuple[FailureClass, ...]
    frailty_sigma: float
    """Sigma of the lognormal hazard multiplier of a node, mean 1: some nodes are lemons."""
    sheet: Sheet


@cache
def failure_preset(name: str) -> FailurePreset:
    """The named preset; ScenarioError with the nearest name for an unknown one."""
    data = sheet("failures", name)
    repairs = {row.text("name"): row for row in data.rows("repairs")}
    classes = tuple(_failure_class(data, row, repairs) for row in data.rows("classes"))
    return FailurePreset(name, classes, data["frailty_sigma_frac"], data)


def _failure_class(data: Sheet, row: Sheet, repairs: dict[str, Sheet]) -> FailureClass:
    component, action = row.text("component"), row.text("action")
    exposure_years = data[_EXPOSED[component]] * data["window_s"] / YEAR_S
    median_s = sigma = 0.0
    if action == "replace":
        repair = repairs[row.text("repair")]
        median_s, sigma = repair["median_s"], repair["sigma_frac"]
    return FailureClass(
        name=row.text("name"),
        component=component,
        action=action,
        per_year=row["events_count"] / exposure_years,
        repair_median_s=median_s,
        repair_sigma=sigma,
    )
