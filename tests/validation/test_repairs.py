"""Repair times and lemon nodes of the failure presets, derived again from the StepFun trace.

A repair is the whole time out of service. Its law is a lognormal with the trace's median and mean:
the mean sets how many spares the backlog needs. Maximum likelihood would fit the many outages of
minutes and give hardware a mean of 59 days, where 10.8 were traced. Outages that are open at the
end are censored, those of zero length are left out.
"""

import math
from collections import defaultdict, deque
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import optimize, stats

from dcsim import catalog
from tests.validation.published import data

pytestmark = pytest.mark.validate

END_D = 174.0
NODES = 400
DAY_S = 86400.0
QUANTILE_Z = 1.2816  # of 90%


class Outage(NamedTuple):
    node: str
    kind: str
    days: float
    is_closed: bool


def kind_of(level: str, part: str) -> str:
    """Name of the repair law in the presets for a fault of the trace."""
    if level != "Hardware Failure":
        return "other"
    return {"GPU": "gpu", "Parameter Plane Cable": "cable"}.get(part, "host")


@pytest.fixture(scope="module")
def outages() -> list[Outage]:
    """Starts paired with ends, the oldest open start of the same node and fault first."""
    trace = pq.read_table(data("stepfun_infinitehbd_faults", "fault_trace.parquet")).to_pylist()
    waiting: dict[tuple[str, ...], deque[float]] = defaultdict(deque)
    found = []
    for row in trace:
        key = (row["node_id"], row["level"], row["class"], row["desc"])
        time_d = row["event_time_days"]
        if row["event_type"] == "fault_start":
            waiting[key].append(time_d)
        else:
            days = time_d - waiting[key].popleft()
            found.append(Outage(key[0], kind_of(*key[1:3]), days, True))
    for key, starts in waiting.items():
        found += [Outage(key[0], kind_of(*key[1:3]), END_D - start, False) for start in starts]
    return found


def median_d(outages: list[Outage]) -> float:
    """Kaplan-Meier median [d]: censored outages count until they leave."""
    left, share = len(outages), 1.0
    for outage in sorted(outages, key=lambda outage: outage.days):
        share *= 1 - outage.is_closed / left
        left -= 1
        if share <= 0.5:
            return outage.days
    raise ValueError("more than half are still open")


def mean_d(outages: list[Outage]) -> float:
    """Mean [d]: time out of service over the outages that ended."""
    return sum(outage.days for outage in outages) / sum(outage.is_closed for outage in outages)


def test_counts_of_the_trace(outages: list[Outage]) -> None:
    assert len(outages) == 312
    assert sum(outage.is_closed for outage in outages) == 309
    assert sum(outage.days <= 0 for outage in outages) == 14


@pytest.mark.parametrize("preset", ["llama3-h100", "stepfun"])
@pytest.mark.parametrize("kind", ["gpu", "cable", "host", "other"])
def test_repair_laws(outages: list[Outage], preset: str, kind: str) -> None:
    rows = catalog.sheet("failures", preset).rows("repairs")
    law = next(row for row in rows if row.text("name") == kind)
    traced = [outage for outage in outages if outage.kind == kind and outage.days > 0]
    median, mean = median_d(traced), mean_d(traced)
    assert law["median_s"] / DAY_S == pytest.approx(median, abs=0.001)
    assert law["sigma_frac"] == pytest.approx(math.sqrt(2 * math.log(mean / median)), abs=0.001)
    p90 = law["median_s"] / DAY_S * math.exp(law["sigma_frac"] * QUANTILE_Z)
    assert p90 == pytest.approx(np.quantile([outage.days for outage in traced], 0.9), rel=0.9)


def test_frailty_is_the_most_likely(outages: list[Outage]) -> None:
    hits = defaultdict(int)
    for outage in outages:
        hits[outage.node] += 1
    counts = [*hits.values(), *[0] * (NODES - len(hits))]
    mean = len(outages) / NODES
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    weights /= weights.sum()

    def minus_log_likelihood(sigma: float) -> float:
        rates = mean * np.exp(sigma * nodes - sigma**2 / 2)
        chances = [weights @ stats.poisson.pmf(count, rates) for count in range(max(counts) + 1)]
        return -float(sum(math.log(chances[count]) for count in counts))

    best = optimize.minimize_scalar(minus_log_likelihood, bounds=(0.1, 3.0), method="bounded").x
    for preset in ("llama3-h100", "stepfun"):
        sheet = catalog.sheet("failures", preset)
        assert sheet["frailty_sigma_frac"] == pytest.approx(best, abs=0.01)
        assert sheet.low("frailty_sigma_frac") < best < sheet.high("frailty_sigma_frac")


def test_frailty_gives_the_traced_concentration(outages: list[Outage]) -> None:
    sigma = catalog.sheet("failures", "stepfun")["frailty_sigma_frac"]
    rng = np.random.default_rng(7)
    hazard = np.exp(sigma * rng.standard_normal((4000, NODES)) - sigma**2 / 2)
    drawn = np.sort(rng.poisson(len(outages) / NODES * hazard), axis=1)[:, ::-1]
    share = drawn[:, :20].sum(axis=1) / drawn.sum(axis=1)
    assert share.mean() == pytest.approx(0.349, abs=0.02)
    assert (drawn == 0).sum(axis=1).mean() == pytest.approx(241, abs=4)
