"""Spares against the backlog of repairs.

Failures that take a node out come at a node's own rate and keep it out for a lognormal time,
during which it cannot fail again. In the long run the share of time that it is out depends on the
mean repair alone (M/G/1/1); by the time t the same form holds with the mean of min(repair, t),
which is exact where nodes are rarely out. How many of many nodes are out is close to Poisson.
"""

from collections.abc import Iterator
from math import ceil, exp, inf, log
from typing import NamedTuple

import numpy as np
from scipy import special

from dcsim import catalog
from dcsim.audit.finding import NOTE, OK, WARNING, Finding, Subject
from dcsim.catalog import YEAR_S, FailureClass
from dcsim.scenario import Scenario
from dcsim.units import show
from dcsim.world import Site
from dcsim.world.tables import F64

SURE_FRAC = 0.95


class Backlog(NamedTuple):
    """Nodes in repair: mean, and what is not exceeded with `SURE_FRAC`."""

    mean_count: float
    sure_count: int


def mean_out_s(cause: FailureClass, until_s: float) -> float:
    """Return the mean of min(repair, *until_s*) of a class [s]; its repair is lognormal."""
    if cause.action != "replace" or until_s <= 0.0:
        return 0.0
    sigma, mean_s = cause.repair_sigma, cause.repair_median_s * exp(cause.repair_sigma**2 / 2)
    if until_s == inf:
        return mean_s
    z = log(until_s / cause.repair_median_s)
    if sigma == 0.0:
        return min(cause.repair_median_s, until_s)
    below = mean_s * special.ndtr((z - sigma**2) / sigma)
    return float(below + until_s * special.ndtr(-z / sigma))


def backlog(scenario: Scenario, site: Site, until_s: float) -> Backlog:
    """Return the nodes of *site* in repair at *until_s* after a start with all of them whole."""
    busy = _out_s(scenario, site, until_s)
    mean = float((busy / (1.0 + busy)).sum())
    return Backlog(mean, min(poisson_quantile(SURE_FRAC, mean), len(busy)))


def poisson_quantile(sure_frac: float, mean_count: float) -> int:
    """Return the least count that is not exceeded with *sure_frac*."""
    if mean_count <= 0.0:
        return 0
    above = ceil(float(special.pdtrik(sure_frac, mean_count)))
    return above - 1 if above and special.pdtr(above - 1, mean_count) >= sure_frac else above


def _out_s(scenario: Scenario, site: Site, until_s: float) -> F64:
    """Return the time in repair for each time up of every node of *site* [-]."""
    nodes = site.counts["node"]
    asked = scenario.failures
    busy = np.zeros(nodes)
    if asked is None:
        return busy
    for cause in catalog.failure_preset(asked.preset).classes:
        if cause.component in ("gpu", "node", "link"):
            per_s = asked.scale * cause.per_year / YEAR_S
            hazard = site.hazard_x[cause.component].reshape(nodes, -1).sum(axis=1)
            busy += per_s * mean_out_s(cause, until_s) * hazard
    return busy


def findings(subject: Subject) -> Iterator[Finding]:
    """Yield for each site whether the nodes that no job needs cover those in repair."""
    scenario = subject.scenario
    if scenario.failures is None:
        return
    for site in subject.world.sites.values():
        seats = subject.seats_at(site)
        if not seats:
            continue
        free = subject.left_over_count(site)
        by_end = backlog(scenario, site, scenario.duration_s)
        in_long = backlog(scenario, site, inf)
        severity, verdict = _verdict(free, by_end, in_long)
        text = f"{site.name} has {site.counts['node']:,} nodes, {free:,} beyond what its jobs "
        text += "need; in repair are "
        text += f"{_count(by_end.mean_count)} by the end of {show(scenario.duration_s, 's')} "
        text += f"(95% sure: at most {by_end.sure_count:,}), "
        text += f"{_count(in_long.mean_count)} in the long run: {verdict}"
        numbers = {
            "left_over_count": float(free),
            "end_mean_count": by_end.mean_count,
            "end_sure_count": float(by_end.sure_count),
            "long_mean_count": in_long.mean_count,
            "long_sure_count": float(in_long.sure_count),
        }
        yield Finding(severity, "spares", f"{seats[0].path}.spares", text, numbers)


def _count(mean: float) -> str:
    return f"{mean:,.0f}" if mean >= _WHOLE else f"{mean:.1g}"


_WHOLE = 9.5


def _verdict(free: int, by_end: Backlog, in_long: Backlog) -> tuple[str, str]:
    if free < by_end.sure_count:
        will = "will" if free < by_end.mean_count else "may"
        return WARNING, f"jobs {will} wait for nodes"
    if free < in_long.sure_count:
        return NOTE, "enough for this run, not for a longer one"
    return OK, "enough"
