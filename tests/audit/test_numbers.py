"""Numbers of the audit against closed forms, the dependency graph, and simulations."""

from math import exp, expm1, inf, sqrt

import numpy as np
import pytest
from scipy import integrate, stats

from dcsim.api import simulate
from dcsim.audit import audit, effort
from dcsim.audit.jobs import Recovered, kept_frac, lost_s, recovered, times, waterfall_of
from dcsim.audit.repairs import backlog, mean_out_s, poisson_quantile
from dcsim.catalog import YEAR_S, FailureClass, failure_preset
from dcsim.processes.recovery import Tier
from dcsim.scenario import load
from dcsim.units import parse
from dcsim.world import build, name_of
from dcsim.world.dependency import dependency_graph, nodes_below, takes_down
from tests.audit.cases import SMALL, audited, finding
from tests.physics.rig import AIR, LIQUID, site_of
from tests.tidy import ROOT

DAY_S = 86400.0


# What one component takes down


@pytest.mark.parametrize(
    "site",
    [
        site_of(LIQUID),
        site_of(AIR),
        site_of(LIQUID | {"nodes": "{type: hgx-h100-liquid, count: 23}"}),
        build(load(SMALL)).sites["dallas"],
        build(load(ROOT / "scenarios" / "cdu-loss.yaml")).sites.popitem()[1],
    ],
    ids=["liquid", "air", "uneven", "small", "cdu-loss"],
)
def test_arrays_say_what_the_graph_says(site):
    graph = dependency_graph(site)
    below = nodes_below(site)
    assert list(below) == ["feed", "ups", "pdu", site.unit_kind, "rack", "leaf"]
    for kind, counts in below.items():
        assert len(counts) == site.counts[kind]
        for row in {0, len(counts) // 2, len(counts) - 1}:
            down = takes_down(graph, name_of(site, kind, row))
            assert sum("/node/" in name for name in down) == counts[row]


def test_arrays_count_only_the_nodes_that_are_asked_for():
    site = site_of(LIQUID)
    of_job = nodes_below(site, np.array([0, 1, 2, 3, 4], np.int32))
    assert of_job["rack"].tolist() == [4, 1, 0, 0]
    assert of_job["feed"].tolist() == [5, 0]
    assert of_job["leaf"].max() == 5


# Spares


@pytest.mark.parametrize("sigma", [0.0, 0.8, 1.8])
@pytest.mark.parametrize("until_s", [3600.0, 2 * DAY_S, 400 * DAY_S, inf])
def test_mean_time_out_is_the_integral_of_the_survival(sigma, until_s):
    cause = FailureClass("gpu", "gpu", "replace", 1.0, 1.5 * DAY_S, sigma)
    if sigma == 0.0:
        expected = min(cause.repair_median_s, until_s)
    elif until_s == inf:
        expected = stats.lognorm(sigma, scale=cause.repair_median_s).mean()
    else:
        survival = stats.lognorm(sigma, scale=cause.repair_median_s).sf
        expected = integrate.quad(survival, 0, until_s, limit=200)[0]
    assert mean_out_s(cause, until_s) == pytest.approx(expected, rel=1e-6)


def test_what_only_restarts_is_never_out():
    assert mean_out_s(FailureClass("software", "node", "restart", 5.0, 0.0, 0.0), inf) == 0.0


@pytest.mark.parametrize("mean", [1e-4, 0.04, 0.06, 1.0, 35.2, 407.0])
def test_poisson_quantile(mean):
    assert poisson_quantile(0.95, mean) == stats.poisson.ppf(0.95, mean)


def test_few_repairs_are_a_queue_with_infinitely_many_servers():
    scenario = load(SMALL, ["failures.scale=0.01"])
    site = build(scenario).sites["dallas"]
    hazard = {kind: float(x.sum()) for kind, x in site.hazard_x.items()}
    load_of = sum(
        0.01 * cause.per_year / YEAR_S * hazard[cause.component] * mean_out_s(cause, inf)
        for cause in failure_preset("llama3-h100").classes
        if cause.component != "leaf"
    )
    assert backlog(scenario, site, inf).mean_count == pytest.approx(load_of, rel=0.01)


def test_nodes_that_are_always_out_are_all_that_there_are():
    scenario = load(SMALL, ["failures.scale=1000"])
    site = build(scenario).sites["dallas"]
    assert 6 < backlog(scenario, site, inf).mean_count < 8
    assert backlog(scenario, site, inf).sure_count == 8


# Saves and time


def daly_goodput(interval_s: float, stall_s: float, mtbf_s: float, restart_s: float) -> float:
    """Useful time over wall time where restarts can fail too (J. T. Daly, 2006)."""
    wall_s = mtbf_s * exp(restart_s / mtbf_s) * expm1((interval_s + stall_s) / mtbf_s)
    return interval_s / wall_s


@pytest.mark.parametrize("interval_s", [60.0, 600.0, 7200.0])
@pytest.mark.parametrize("mtbf_s", [900.0, 3600.0, 1e6])
def test_goodput_is_dalys(interval_s, mtbf_s):
    after, tier = Recovered(mtbf_s, 0.0, 180.0), Tier(interval_s, 5.0, 0.0)
    expected = daly_goodput(interval_s, 5.0, mtbf_s, 180.0)
    assert kept_frac(after, tier) == pytest.approx(expected, rel=1e-9)


def test_shares_of_time_sum_to_one_and_a_search_is_not_made_twice():
    after, tier = Recovered(1000.0, 90.0, 200.0), Tier(100.0, 1.0, 10.0)
    spent = times(after, tier)
    assert sum(spent) == pytest.approx(1.0)
    assert spent.detection / (spent.lost_work + spent.running) == pytest.approx(
        0.09 * exp(0.2), rel=1e-9
    )
    assert times(after._replace(mtbf_s=inf), tier) == (0.0, 0.0, 0.0, 1.0)


def test_lost_work_is_the_mean_over_exponential_failures():
    tier, mtbf_s = Tier(100.0, 2.0, 30.0), 250.0
    at_s = np.linspace(0.5e-5, 40.0, 2_000_001) * mtbf_s
    durable_s = np.maximum(0.0, np.floor((at_s - tier.drain_s) / 102.0)) * 102.0
    density = np.exp(-at_s / mtbf_s) / mtbf_s
    mean_s = np.trapezoid((at_s - durable_s) * density, at_s)
    assert lost_s(tier, mtbf_s) == pytest.approx(mean_s, rel=1e-3)


def test_an_interval_far_from_the_optimum_says_what_it_costs():
    found = finding("checkpoint", "jobs.0.train.checkpoint.every=1 d")
    best_s, cost = found.numbers["best_s"], found.numbers["cost_frac"]
    young_s = sqrt(2 * 0.2 * finding("losses").numbers["mtbf_s"])
    assert best_s == pytest.approx(young_s, rel=0.01)
    assert cost == pytest.approx(0.5 * DAY_S / finding("losses").numbers["mtbf_s"], rel=0.1)


def test_the_waterfall_of_a_job_sums_to_one():
    found = audited("failures.scale=500")
    (seat,) = found.subject.seats
    places = waterfall_of(found.subject.scenario, seat)
    assert sum(places.values()) == pytest.approx(1.0, abs=1e-9)


def test_evaluation_and_long_saves_pause_a_job():
    paused = audited("jobs.0.train.evaluation={every: 9 h, for: 1 h}", "failures=null", "faults=[]")
    (seat,) = paused.subject.seats
    assert waterfall_of(paused.subject.scenario, seat)["maintenance"] == pytest.approx(0.1)


def test_recovery_takes_the_mean_of_its_phases():
    found = audited()
    (seat,) = found.subject.seats
    after = recovered(found.subject.scenario, seat.plan)
    assert after.look_s == pytest.approx(90.0 * exp(0.125))
    assert 130 * exp(0.125) < after.move_s < 190 * exp(0.125)


# The design day, against simulations


@pytest.fixture(scope="module")
def hot(tmp_path_factory):
    """A run of small.yaml through a constant design day, and its summary."""
    overrides = [
        "sites.dallas.weather.climate=null",
        "sites.dallas.weather.constant=38.6 degC",
        "sites.dallas.cooling.chillers=0",
        "faults=[]",
        "failures=null",
        "duration=6 h",
    ]
    out = tmp_path_factory.mktemp("audit") / "run"
    return overrides, simulate(load(SMALL, overrides), out=out).summary


def test_temperatures_and_power_are_those_of_a_simulation(hot):
    overrides, summary = hot
    gpus, power = finding("gpus", *overrides), finding("power", *overrides)
    for name in ("gpu_temp_c_p50", "gpu_temp_c_max"):
        assert gpus.numbers[name] == pytest.approx(summary[name]["value"], abs=1.0)
    drawn_w = parse(power.text.split(" draws ")[1].split(" on ")[0], "power")
    assert drawn_w == pytest.approx(summary["site_power_w_max"]["value"], rel=0.02)


def test_the_step_is_that_of_a_simulation(hot):
    overrides, summary = hot
    expected = audited(*overrides).step_s["pretrain"]
    assert expected == pytest.approx(summary["step_time_s"]["value"], rel=0.005)


def test_ten_days_of_failures_come_out_as_expected(tmp_path):
    overrides = ["failures.scale=5", "faults=[]", "duration=10 d", "sites.dallas.nodes.count=512"]
    overrides += ["jobs.0.train.parallel.dp=448", "jobs.0.train.batch=4480"]
    overrides += ["jobs.0.train.spares=64", "seed=3"]
    found = audited(*overrides)
    (seat,) = found.subject.seats
    expected = waterfall_of(found.subject.scenario, seat)
    summary = simulate(load(SMALL, overrides), out=tmp_path / "run").summary
    wall = {place["name"]: place["value"] for place in summary["waterfall"]}
    held = 1.0 - wall["not_allocated"]
    assert expected["restart"] == pytest.approx(wall["restart"] / held, rel=0.3)
    assert expected["useful"] == pytest.approx(wall["useful"] / held, abs=0.02)


# Time and disk


def test_the_time_of_a_run_grows_with_gpus_time_and_failures():
    small, long = audited("duration=10 d"), audited("duration=20 d")
    failing = audited("duration=10 d", "failures.scale=1000")
    assert effort.run_s(long.subject) > 1.5 * effort.run_s(small.subject)
    assert effort.run_s(failing.subject) > effort.run_s(small.subject)


@pytest.mark.parametrize(
    ("name", "measured_s"), [("h100-200k", 45.0), ("llama3-16k", 14.6), ("hot-day", 1.0)]
)
def test_the_time_of_a_run_is_what_was_measured(name, measured_s):
    found = audit(load(ROOT / "scenarios" / f"{name}.yaml"))
    assert effort.run_s(found.subject) == pytest.approx(measured_s, rel=0.15)
