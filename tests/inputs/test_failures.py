"""Candidates of failures: how many, how they nest, and what moves none of them."""

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from dcsim.catalog import YEAR_S, FailureClass
from dcsim.inputs.failures import BLOCK_S, Things, draw_failures
from dcsim.inputs.records import Fail, Record

GPU = FailureClass("hbm", "gpu", "replace", 0.8, 3e5, 1.5)
NIC = FailureClass("nic", "node", "restart", 0.3, 0.0, 0.0)
CLASSES = (GPU, NIC)
DAYS_S = 86400.0


def things(gpus: int = 3000, site: str = "dallas", seed: int = 0) -> Things:
    """Make GPUs whose hazards differ, the first ones alike for any number of them."""
    spread = np.exp(np.random.default_rng(seed).normal(-0.125, 0.5, 20_000))
    counts = {"gpu": gpus, "node": gpus // 8}
    return Things(site, counts, {kind: spread[:count] for kind, count in counts.items()})


def draw(scale: float = 1.0, seed: int = 7, duration_s: float = 54 * DAYS_S, **kw) -> list[Record]:
    return sorted(draw_failures(seed, CLASSES, scale, things(**kw), duration_s))


def test_records_say_all_that_follows() -> None:
    records = draw()
    assert len(records) == len({(r.t_ns, r.target) for r in records}) > 300
    for record in records:
        assert 0 <= record.t_ns < 54 * DAYS_S * 1e9
        fail = Fail.of(record)
        is_gpu = record.target.startswith("dallas/gpu/")
        assert (fail.cause, fail.action) == (("hbm", "replace") if is_gpu else ("nic", "restart"))
        assert (fail.repair_s > 0) == is_gpu
        assert all(0 < u < 1 for u in fail.u)


def test_every_mark_is_below_the_hazard_of_its_thing() -> None:
    hazards = things().hazard_x
    for record in draw(scale=3.0):
        _, kind, index = record.target.split("/")
        per_year = {"gpu": GPU.per_year, "node": NIC.per_year}[kind]
        hazard_per_s = 3.0 * per_year / YEAR_S * hazards[kind][int(index)]
        assert Fail.of(record).mark_per_s < hazard_per_s


@pytest.mark.parametrize(("low", "high"), [(0.4, 1.0), (1.0, 2.0), (2.0, 7.3)])
def test_candidates_nest_exactly_when_hazards_rise(low: float, high: float) -> None:
    few, many = draw(scale=low), draw(scale=high)
    assert set(few) < set(many)


def test_more_things_move_none() -> None:
    few, many = draw(gpus=2000), draw(gpus=3000)
    assert set(few) < set(many)
    assert {
        r for r in many if int(r.target.split("/")[2]) < (2000 if "gpu" in r.target else 250)
    } == set(few)


def test_longer_run_moves_none() -> None:
    short, long = draw(duration_s=13 * DAYS_S), draw()
    assert short == [record for record in long if record.t_ns < 13 * DAYS_S * 1e9]


def test_another_class_moves_none() -> None:
    assert set(draw_failures(7, (GPU,), 1.0, things(), 54 * DAYS_S)) < set(draw())


def test_seeds_and_sites_share_nothing() -> None:
    times = {r.t_ns for r in draw()}
    assert not times & {r.t_ns for r in draw(seed=8)}
    assert not times & {r.t_ns for r in draw(site="reno")}


def test_causes_and_strips_share_nothing() -> None:
    twins = (GPU, GPU._replace(name="sram"))
    records = draw_failures(7, twins, 20.0, things(), 54 * DAYS_S)
    fails = [Fail.of(record) for record in records]
    assert len({r.t_ns for r in records}) == len({f.repair_s for f in fails}) == len(records)
    assert len({u for f in fails for u in f.u}) == 6 * len(records)


def test_counts_of_a_hundred_seeds_follow_poisson() -> None:
    hazards = things().hazard_x
    years = 54 * DAYS_S / YEAR_S
    mean = years * (0.8 * hazards["gpu"].sum() + 0.3 * hazards["node"].sum())
    counts = [len(draw(seed=seed)) for seed in range(100)]
    assert abs(statistics.fmean(counts) - mean) < 4 * math.sqrt(mean / 100)
    # The variance of n Poisson counts has a standard error of about mean * sqrt(2 / n).
    assert abs(statistics.variance(counts) - mean) < 4 * mean * math.sqrt(2 / 99)


def test_times_are_even_and_hazards_respected() -> None:
    records = draw(scale=20.0)
    times = [r.t_ns / (54 * DAYS_S * 1e9) for r in records]
    assert stats.kstest(times, "uniform").pvalue > 1e-3
    hazard = things().hazard_x["gpu"]
    hot = set(np.flatnonzero(hazard > np.median(hazard)).tolist())
    gpus = [int(r.target.split("/")[2]) for r in records if "/gpu/" in r.target]
    share = sum(index in hot for index in gpus) / len(gpus)
    expected = hazard[sorted(hot)].sum() / hazard.sum()
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / len(gpus))


def test_repairs_are_lognormal() -> None:
    repairs = [Fail.of(r).repair_s for r in draw(scale=20.0) if "/gpu/" in r.target]
    z = np.log(np.array(repairs) / GPU.repair_median_s) / GPU.repair_sigma
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_phase_draws_are_independent() -> None:
    u = np.array([Fail.of(r).u for r in draw(scale=10.0)])
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    off_diagonal = np.corrcoef(u.T)[np.triu_indices(6, 1)]
    assert np.abs(off_diagonal).max() < 4 / math.sqrt(len(u))


def test_lemon_far_above_the_rest_fails_as_often_as_it_should() -> None:
    hazard = np.ones(2000)
    hazard[5] = 40_000.0
    lemons = Things("dallas", {"gpu": 2000}, {"gpu": hazard})
    records = draw_failures(7, (GPU,), 1.0, lemons, BLOCK_S)
    plain = draw_failures(7, (GPU,), 1.0, Things("dallas", {"gpu": 2000}, {}), BLOCK_S)
    lemon = [record for record in records if record.target == "dallas/gpu/5"]
    assert set(plain) <= set(records)
    assert len(records) - len(lemon) == sum(r.target != "dallas/gpu/5" for r in plain)
    mean = 40_000 * GPU.per_year * BLOCK_S / YEAR_S
    assert abs(len(lemon) - mean) < 4 * math.sqrt(mean)
    marks = [Fail.of(r).mark_per_s * YEAR_S / GPU.per_year / 40_000 for r in lemon]
    assert stats.kstest(marks, "uniform").pvalue > 1e-3


def test_kinds_that_a_site_lacks_and_causes_that_never_happen_are_skipped() -> None:
    lonely = Things("dallas", {"gpu": 0}, {})
    assert draw_failures(7, CLASSES, 1.0, lonely, 54 * DAYS_S) == []
    never = GPU._replace(per_year=0.0)
    assert draw_failures(7, (never,), 1.0, things(), 54 * DAYS_S) == []
    assert draw(scale=0.0) == []


@pytest.mark.parametrize("hazard", [np.ones(3), np.array([1.0, math.nan])])
def test_hazards_that_do_not_fit_are_refused(hazard: np.ndarray) -> None:
    wrong = Things("dallas", {"gpu": 2}, {"gpu": hazard})
    with pytest.raises(ValueError, match="dallas/gpu: 2 finite hazards are needed"):
        draw_failures(7, (GPU,), 1.0, wrong, DAYS_S)
