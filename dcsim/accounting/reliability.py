"""What broke, how often against the preset, how long repairs took, and the time between stops."""

from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import yaml

from dcsim import catalog
from dcsim.accounting.causes import Events, read_events
from dcsim.accounting.segments import Array
from dcsim.catalog import YEAR_S
from dcsim.errors import ScenarioError
from dcsim.trace import Run

_COVERED = 0.9


@dataclass(frozen=True)
class FailureClass:
    """One class of failures of one kind of thing."""

    name: str
    component: str
    count: int
    """Failures that came, also to what was down already."""
    masked_count: int
    """Of these, those that met a thing that was down and changed nothing."""
    interrupting_count: int
    """Of these, those that stopped a job."""
    expected_count: float | None
    """Rate of the preset times its scale, the things of that kind and the time; None: no preset."""
    expected_low: float | None
    expected_high: float | None
    """90% of Poisson counts of that mean lie within; lemons, which fail in clusters, widen it."""
    repair_median_s: float | None
    repair_p90_s: float | None
    """Time out of service of those that were repaired; None: none was, or it is not recorded."""


class _Broken(NamedTuple):
    """What the trace says of one class."""

    rows: list[int]
    repairs_s: list[float]


def reliability(run: Run) -> list[FailureClass]:
    """Every class of the preset, and every other that the trace has, the most frequent first."""
    events = read_events(run)
    broken = _broken(events)
    expected = _expected(run)
    masked = set(events.parent[events.of_kind("masked")].tolist())
    interrupting = set(events.root[_unexpected(events)].tolist())
    found = []
    for name, component in dict.fromkeys((*broken, *expected)):
        rows, repairs_s = broken.get((name, component), _Broken([], []))
        mean = expected.get((name, component))
        low, high = (None, None) if mean is None else poisson_interval(mean)
        median_s, p90_s = np.quantile(repairs_s, (0.5, 0.9)).tolist() if repairs_s else (None, None)
        found.append(
            FailureClass(
                name=name,
                component=component,
                count=len(rows),
                masked_count=len(masked.intersection(rows)),
                interrupting_count=len(interrupting.intersection(rows)),
                expected_count=mean,
                expected_low=low,
                expected_high=high,
                repair_median_s=median_s,
                repair_p90_s=p90_s,
            )
        )
    return sorted(found, key=lambda one: (-one.count, -(one.expected_count or 0.0), one.name))


def between_s(run: Run) -> Array:
    """Times between unexpected interruptions of one job [s], of all jobs, in the order of time."""
    events = read_events(run)
    rows = _unexpected(events)
    last_ns: dict[int, int] = {}
    found = []
    for job, t_ns in zip(events.job_id[rows].tolist(), events.t_ns[rows].tolist(), strict=True):
        if job in last_ns:
            found.append((t_ns - last_ns[job]) * 1e-9)
        last_ns[job] = t_ns
    return np.array(found)


def poisson_interval(mean: float) -> tuple[float, float]:
    """Counts at the 5% and the 95% quantile of a Poisson distribution."""
    from scipy.special import pdtr, pdtrik  # 0.2 s to import

    def quantile(part: float) -> float:
        if mean == 0.0:
            return 0.0
        count = max(0, ceil(pdtrik(part, mean)))
        return float(count - 1 if count > 0 and pdtr(count - 1, mean) >= part else count)

    return quantile((1 - _COVERED) / 2), quantile((1 + _COVERED) / 2)


def _unexpected(events: Events) -> Array:
    """Rows of the unexpected interruptions."""
    rows = events.of_kind("job_interrupted")
    return np.asarray(rows[events.value[rows] == 1])


def _broken(events: Events) -> dict[tuple[str, str], _Broken]:
    """Rows of the failures, and their repairs, by class and kind of thing."""
    found: dict[tuple[str, str], _Broken] = {}
    for row in events.of_kind("fail").tolist():
        detail = events.says(row)
        key = str(detail.get("cause", "fail")), str(events.thing[row])
        one = found.setdefault(key, _Broken([], []))
        one.rows.append(row)
        if detail.get("repair_s", 0.0) > 0.0:
            one.repairs_s.append(float(detail["repair_s"]))
    return found


def _expected(run: Run) -> dict[tuple[str, str], float]:
    """Failures that the preset of the scenario leads one to expect, by class and kind of thing.

    The hazards of lemons have the mean 1, so they are not in it. Nothing is expected without a
    preset, nor where the scenario in `run.json` cannot be read or the catalogue lacks its names.
    """
    try:
        asked = yaml.load(str(run.record["scenario"]), yaml.CSafeLoader)
        failures = asked["failures"]
        failures = {"preset": failures} if isinstance(failures, str) else failures
        classes = catalog.failure_preset(failures["preset"]).classes
        counts = _counts(run, asked["sites"])
        years = float(failures.get("scale", 1.0)) * run.end_ns * 1e-9 / YEAR_S
    except (ScenarioError, yaml.YAMLError, LookupError, TypeError, ValueError):
        return {}
    return {
        (one.name, one.component): one.per_year * counts[one.component] * years for one in classes
    }


def _counts(run: Run, sites: dict[str, Any]) -> dict[str, int]:
    """Things that may break at all sites, by kind."""
    from dcsim.scenario.network import Network
    from dcsim.world.building import clos_of  # 0.3 s to import

    table = run.columns("dim_site")
    counts = {"gpu": int(table["gpus_count"].sum()), "node": int(table["nodes_count"].sum())}
    counts |= {"link": 0, "leaf": 0}
    for name, nodes_count in zip(table["name"], table["nodes_count"].tolist(), strict=True):
        site = sites[name]
        network = Network.model_validate(site.get("network") or {})
        node = catalog.sheet("node", site["nodes"]["type"])
        clos = clos_of(nodes_count, network, node, catalog.sheet("switch", network.switch))
        counts["link"] += clos.leaf_of_nic.size
        counts["leaf"] += clos.leaves_count
    return counts
