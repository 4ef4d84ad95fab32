import pytest
from scipy import stats

from dcsim.accounting import between_s
from dcsim.accounting.reliability import poisson_interval, reliability
from dcsim.catalog import YEAR_S, failure_preset
from dcsim.scenario import loads
from dcsim.world import build
from tests.accounting.handmade import Event, Job, Site, write_run

HOURS = 54 * 24
SCENARIO = """
sites:
  site-0:
    nodes: {type: hgx-h100-liquid, count: 100}
    racks: {nodes_per_rack: 8}
    network: {switch: qm9700}
  site-1:
    nodes: {type: hgx-h100-liquid, count: 20}
failures: {preset: llama3-h100, scale: 2.5}
"""


def fails(cause, *times_h, thing="gpu", **detail):
    return [
        Event(at, "fail", detail={"cause": cause, **detail}, thing=thing, row=row, job=-1)
        for row, at in enumerate(times_h)
    ]


def run_of(tmp_path, events=(), scenario=SCENARIO):
    return write_run(
        tmp_path / "run",
        end_h=HOURS,
        sites=[Site(800), Site(160)],
        jobs=[Job(16), Job(16)],
        events=events,
        scenario=scenario,
    )


def by_name(run):
    return {one.name: one for one in reliability(run)}


def test_failures_are_counted_by_what_became_of_them(tmp_path):
    events = [
        *fails("gpu", 1, 2, 3, 4),
        *fails("nic", 5, thing="node"),
        Event(6, "down", cause=0, thing="node", row=0, job=-1),
        Event(6, "job_interrupted", value=1, cause=5),
        Event(6, "job_interrupted", value=1, cause=5, job=1),
        Event(7, "job_interrupted", value=0, cause=1),
        Event(7, "masked", cause=2, thing="node", row=0, job=-1),
    ]
    found = by_name(run_of(tmp_path, events))
    gpu, nic = found["gpu"], found["nic"]
    assert (gpu.component, gpu.count, gpu.masked_count, gpu.interrupting_count) == ("gpu", 4, 1, 1)
    assert (nic.component, nic.count, nic.masked_count, nic.interrupting_count) == ("node", 1, 0, 0)
    assert [one.name for one in reliability(run_of(tmp_path / "again", events))][:2] == [
        *("gpu", "nic")
    ]


def test_expected_is_the_rate_that_draws_have(tmp_path):
    """Exposure by the counts of the world itself: nodes, GPUs, cables and leaves of both sites."""
    whole = SCENARIO + "name: two\nduration: 54 d\njobs: []\n"
    for site in ("site-0", "site-1"):
        at = whole.index(f"{site}:") + len(site) + 2
        whole = whole[:at] + PLANT + whole[at:]
    world = build(loads(whole))
    found = by_name(run_of(tmp_path))
    classes = failure_preset("llama3-h100").classes
    assert set(found) == {one.name for one in classes}
    for one in classes:
        things = sum(site.counts[one.component] for site in world.sites.values())
        mean = 2.5 * one.per_year * things * HOURS * 3600 / YEAR_S
        assert found[one.name].expected_count == pytest.approx(mean, rel=1e-12), one.name
        assert found[one.name].count == 0


PLANT = """
    power: {feeds: 2, feed: mv-10mw, ups: ups-1500kw, racks_per_ups: 16, pdu: pdu-750kva,
            racks_per_pdu: 8}
    cooling: {unit: xdu1350, racks_per_unit: 8, supply: 30 degC}
    weather: {climate: dallas}
"""


@pytest.mark.parametrize(
    "scenario",
    [
        "",
        "failures: none",
        "failures: [",
        "failures: {scale: 2}",
        SCENARIO.replace("llama3-h100", "llama9"),
        SCENARIO.replace("hgx-h100-liquid", "hgx-z9"),
        SCENARIO.replace("site-1", "elsewhere"),
        SCENARIO.replace("qm9700", "[1]"),
        "- 1",
    ],
)
def test_without_a_preset_that_is_known_nothing_is_expected(tmp_path, scenario):
    (one,) = reliability(run_of(tmp_path, fails("gpu", 1), scenario))
    assert (one.name, one.count) == ("gpu", 1)
    assert one.expected_count is one.expected_low is one.expected_high is None


def test_a_preset_by_its_name_alone_has_the_scale_one(tmp_path):
    one = by_name(run_of(tmp_path, scenario=SCENARIO))["gpu"]
    plain = SCENARIO.replace("{preset: llama3-h100, scale: 2.5}", "llama3-h100")
    other = by_name(run_of(tmp_path / "plain", scenario=plain))["gpu"]
    assert one.expected_count == pytest.approx(2.5 * other.expected_count)


def test_a_class_that_the_preset_lacks_is_there_too(tmp_path):
    found = by_name(run_of(tmp_path, fails("cosmic-ray", 1, 2)))
    assert found["cosmic-ray"].count == 2
    assert found["cosmic-ray"].expected_count is None


def test_repairs_are_those_of_what_was_replaced(tmp_path):
    events = [
        event
        for repair_s in (100.0, 200.0, 400.0, 0.0)
        for event in fails("gpu", 1, repair_s=repair_s)
    ]
    one = by_name(run_of(tmp_path, [*events, *fails("nic", 2, thing="node")]))
    assert one["gpu"].repair_median_s == 200
    assert one["gpu"].repair_p90_s == pytest.approx(360)
    assert one["nic"].repair_median_s is None


@pytest.mark.parametrize("mean", [0.0, 0.01, 0.5, 6.1, 402.8, 1e5])
def test_the_interval_is_that_of_a_poisson_distribution(mean):
    low, high = poisson_interval(mean)
    assert (low, high) == (stats.poisson.ppf(0.05, mean), stats.poisson.ppf(0.95, mean))


def test_times_between_interruptions_of_each_job(tmp_path):
    events = [
        Event(at, "job_interrupted", value=value, job=job)
        for at, value, job in ((1, 1, 0), (2, 1, 1), (3, 0, 0), (4, 1, 0), (4.5, 1, 1), (9, 1, 0))
    ]
    hours = between_s(run_of(tmp_path, events)) / 3600
    assert hours == pytest.approx([3, 2.5, 5])
    assert not between_s(run_of(tmp_path / "none")).size
