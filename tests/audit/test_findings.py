"""Each finding fires in one scenario, does not in another, and names the line that decides it."""

import pytest

from dcsim.audit import NOTE, OK, WARNING, audit
from dcsim.scenario import load, loads
from tests.audit.cases import SMALL, audited, finding
from tests.tidy import ROOT

CONSTANT = "sites.dallas.weather.constant=10 degC"
SPARED = ["sites.dallas.nodes.count=15", "jobs.0.train.spares=8"]
UNEVEN = ["jobs=[]", "sites.dallas.nodes.count=24"]
"""Two of three UPSs hang on the first of two feeds."""
TIGHT = "sites.dallas.power.feed_capacity=135 kW"
OFTEN = "failures.scale=1000"
PLACES = {
    "outages": "sites.dallas.power.feeds",
    "spares": "jobs.0.train.spares",
    "losses": "jobs.0.train",
    "checkpoint": "jobs.0.train.checkpoint.every",
    "memory": "jobs.0.train.parallel",
    "gpus": "sites.dallas.cooling.supply",
    "plant": "sites.dallas.cooling",
    "feeds": "sites.dallas.power.feeds",
    "time": "duration",
    "trace": "record.max_trace",
}


@pytest.mark.parametrize(
    ("topic", "severity", "overrides"),
    [
        ("spares", OK, []),
        ("spares", WARNING, [OFTEN, "duration=30 d"]),
        ("spares", NOTE, ["failures.scale=5"]),
        ("checkpoint", OK, []),
        ("checkpoint", OK, ["jobs.0.train.checkpoint.every=10 min"]),
        ("checkpoint", NOTE, ["jobs.0.train.checkpoint.every=3 h"]),
        ("checkpoint", WARNING, ["jobs.0.train.checkpoint.every=1 d"]),
        ("checkpoint", WARNING, ["jobs.0.train.checkpoint.every=1 s", OFTEN]),
        ("memory", OK, []),
        ("memory", NOTE, ["jobs.0.train.micro_batch=10", "jobs.0.train.sequence=14000"]),
        ("water", OK, []),
        ("water", WARNING, ["sites.dallas.cooling.chillers=0"]),
        ("gpus", OK, []),
        ("gpus", NOTE, ["sites.dallas.cooling.supply=55 degC"]),
        ("gpus", WARNING, ["sites.dallas.cooling.supply=60 degC"]),
        ("plant", OK, ["sites.dallas.weather.climate=null", CONSTANT]),
        ("plant", NOTE, []),
        ("plant", WARNING, ["sites.dallas.cooling.dry_coolers=0"]),
        ("power", OK, []),
        ("power", NOTE, [*UNEVEN, "sites.dallas.power.feed_capacity=163 kW"]),
        ("power", WARNING, ["jobs=[]", "sites.dallas.nodes.count=20", TIGHT]),
        ("feeds", OK, []),
        ("feeds", WARNING, [*UNEVEN, "sites.dallas.power.feed_capacity=163 kW"]),
        ("time", OK, []),
        ("time", NOTE, ["duration=10 y", OFTEN]),
    ],
)
def test_a_finding_fires_and_does_not(topic, severity, overrides):
    assert finding(topic, *overrides).severity == severity


def test_findings_name_the_key_and_the_worst_come_first():
    found = audited().findings
    assert {one.topic: one.path for one in reversed(found)} == PLACES | {
        "water": "sites.dallas.cooling.supply",
        "power": "sites.dallas.power.racks_per_pdu",
        "outages": "sites.dallas.power.feeds",
    }
    severities = [one.severity for one in found]
    assert severities == sorted(severities, key=(WARNING, NOTE, OK).index)


def test_an_interval_of_the_remote_tier_is_named():
    path = "jobs.0.train.checkpoint"
    every = finding("checkpoint", f"{path}.local=false", f"{path}.every=1 d")
    remote = finding("checkpoint", f"{path}.local=false", f"{path}.remote_every=1 d")
    assert (every.path, remote.path) == (f"{path}.every", f"{path}.remote_every")
    assert every.severity == remote.severity == WARNING


def test_breakers_that_open_are_named():
    found = audited("jobs=[]", "sites.dallas.nodes.count=20", TIGHT).findings
    (power,) = (one for one in found if one.topic == "power")
    assert power.text == "breakers open on overload with the jobs of dallas running: dallas/feed/0"
    assert "feeds" not in [one.topic for one in found]


def test_a_trace_near_its_budget():
    roomy = finding("trace", "duration=20 d")
    budget_byte = roomy.numbers["most_byte"] / 0.95
    tight = finding("trace", "duration=20 d", f"record.max_trace={budget_byte:.0f} B")
    assert (roomy.severity, tight.severity) == (OK, NOTE)


def test_nothing_is_drawn_to_fail():
    calm = audited("failures=null", "faults=[]")
    assert "spares" not in [one.topic for one in calm.findings]
    (saves,) = (one for one in calm.findings if one.topic == "checkpoint")
    assert (saves.severity, saves.numbers) == (OK, {"interval_s": 300.0})


def test_a_site_without_jobs_is_audited_at_full_load():
    idle = audited("jobs=[]")
    topics = {one.topic for one in idle.findings}
    assert topics == {"water", "gpus", "power", "feeds", "plant", "time", "trace"}
    (gpus,) = (one for one in idle.findings if one.topic == "gpus")
    busy = finding("gpus")
    assert gpus.numbers["gpu_temp_c_p50"] == pytest.approx(busy.numbers["gpu_temp_c_p50"], abs=1)


def test_a_job_that_would_wait_for_another_has_no_seat():
    text = SMALL.read_text(encoding="utf-8")
    first = text[text.index("  - train:") : text.index("failures:")]
    second = first.replace("name: pretrain", "name: later")
    both = audit(loads(text.replace(first, first + second)))
    assert [seat.plan.name for seat in both.subject.seats] == ["pretrain"]


def test_the_cooling_of_a_lost_feed_falls_on_the_others():
    site = audited("jobs=[]").subject.world.sites["dallas"]
    found = audited("jobs=[]")
    (feeds,) = (one for one in found.findings if one.topic == "feeds")
    (power,) = (one for one in found.findings if one.topic == "power")
    more_w = (feeds.numbers["feed_load_frac"] - power.numbers["feed_load_frac"]) * site.feed_rated_w
    assert more_w > 0
    assert "feeds" not in {one.topic for one in audited("sites.dallas.power.feeds=1").findings}


def test_what_no_spare_replaces_is_waited_for():
    outages = [one for one in audited().findings if one.topic == "outages"]
    assert [one.severity for one in outages] == [NOTE, OK]
    worst = {kind: outages[0].numbers[f"{kind}_nodes_count"] for kind in ("feed", "pdu", "cdu")}
    assert worst == {"feed": 7, "pdu": 4, "cdu": 7}
    spared = [one for one in audited(*SPARED).findings if one.topic == "outages"]
    assert [one.severity for one in spared] == [OK, OK]
    assert "a rack (4)" in spared[0].text


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_scenario_can_be_audited(path):
    found = audit(load(path)).findings
    assert len(found) >= 10
    assert all(one.text.isprintable() and "  " not in one.text for one in found)
