"""All inputs of a scenario: planned, scripted and drawn, in one order."""

import collections
import math

import numpy as np
import pytest

from dcsim import catalog
from dcsim.inputs.draw import draw_inputs
from dcsim.inputs.failures import Things
from dcsim.inputs.records import Fail, Fault, Maintenance, Record
from dcsim.scenario import Scenario, loads

HOUR_NS = 3600 * 10**9
SITE = """
    nodes: {type: hgx-h100-liquid, count: 16}
    power: {feeds: 1, feed: mv-10mw, ups: ups-500kw, racks_per_ups: 2, pdu: pdu-225kva,
      racks_per_pdu: 2}
    cooling: {unit: xdu1350, racks_per_unit: 2, supply: 30 degC, dry_coolers: auto,
      dry_cooler: bac-tdfs1238n, chillers: auto, chiller: air-cooled-trim}
    weather: {climate: dallas}
"""
JOB = """
  - train: {name: %s, model: llama3-8b, parallel: {tp: 8, pp: 1}, batch: 128, sequence: 8192,
      arrive: %s, recovery: warm-spare}
"""
BASE = f"name: toy\nduration: 10 h\nsites:\n  dallas:{SITE}  reno:{SITE}"
JOBS = "jobs:" + JOB % ("late", "90 min") + JOB % ("early", "0 s")
FAULTS = """
faults:
  - {at: 2 h, hit: dallas/cdu/3-5, effect: down, for: 45 min}
  - {at: 1 h, hit: "*/leaf/0", effect: {degrade: 0.5}}
maintenance:
  - {every: 4 h, for: 30 min, rolling: 0.1}
  - {every: 9 h, for: 1 h, hit: reno/rack/1/node/*}
"""


def scenario(text: str, seed: int = 7) -> Scenario:
    return loads(BASE + text, seed=seed)


def things(count: int = 16, **hazard_x: np.ndarray) -> dict[str, Things]:
    counts = {"gpu": 8 * count, "node": count, "link": 8 * count, "leaf": 8}
    return {site: Things(site, counts, hazard_x) for site in ("dallas", "reno")}


def of_kind(records: list[Record], *kinds: str) -> list[Record]:
    return [record for record in records if record.kind in kinds]


def test_jobs_arrive_when_the_scenario_says() -> None:
    jobs = of_kind(draw_inputs(scenario(JOBS), things()), "job")
    assert jobs == [
        Record(0, "job", "early", "{}"),
        Record(3 * HOUR_NS // 2, "job", "late", "{}"),
    ]


def test_faults_say_until_when_and_where_they_were_written() -> None:
    faults = of_kind(draw_inputs(scenario(FAULTS), things()), "fault")
    assert [(r.t_ns, r.target, Fault.of(r)) for r in faults] == [
        (HOUR_NS, "*/leaf/0", Fault(effect="degrade", frac=0.5, until_ns=None, origin="faults.1")),
        (
            2 * HOUR_NS,
            "dallas/cdu/3-5",
            Fault(effect="down", frac=0.0, until_ns=11 * HOUR_NS // 4, origin="faults.0"),
        ),
    ]
    assert scenario(FAULTS).where("faults.1") != scenario(FAULTS).where("faults.0")


def test_maintenance_comes_round_within_the_run() -> None:
    work = of_kind(draw_inputs(scenario(FAULTS), things()), "maintenance")
    got = [
        (r.t_ns // HOUR_NS, r.target, (m := Maintenance.of(r)).turn, m.frac, m.for_s) for r in work
    ]
    assert got == [
        (4, "dallas/node/*", 0, 0.1, 1800.0),
        (4, "reno/node/*", 0, 0.1, 1800.0),
        (8, "dallas/node/*", 1, 0.1, 1800.0),
        (8, "reno/node/*", 1, 0.1, 1800.0),
        (9, "reno/rack/1/node/*", 0, None, 3600.0),
    ]


def test_weather_covers_each_site() -> None:
    weather = of_kind(draw_inputs(scenario(""), things()), "weather")
    assert [(r.t_ns, r.target) for r in weather] == [
        (hour * HOUR_NS, site) for hour in range(11) for site in ("dallas", "reno")
    ]


def test_without_failures_none_are_drawn() -> None:
    assert of_kind(draw_inputs(scenario(""), things()), "fail") == []


def test_records_are_ordered_and_repeatable() -> None:
    asked = scenario(JOBS + FAULTS + "failures: {preset: llama3-h100, scale: 1000}\n")
    records = draw_inputs(asked, things())
    assert records == sorted(records) == draw_inputs(asked, things())
    assert {record.kind for record in records} == {"fail", "fault", "job", "maintenance", "weather"}


def test_a_second_site_moves_nothing_of_the_first() -> None:
    failures = "failures: {preset: llama3-h100, scale: 1000}\n"
    alone = loads(f"name: toy\nduration: 10 h\nsites:\n  dallas:{SITE}{failures}", seed=7)
    mine = draw_inputs(alone, {"dallas": things()["dallas"]})
    both = draw_inputs(scenario(failures), things())
    assert mine == [record for record in both if record.target.startswith("dallas")]


@pytest.mark.parametrize("preset", catalog.names("failures"))
def test_presets_are_met_on_average(preset: str) -> None:
    """Each class of a preset happens as often as its counted events say, within 4 sigma."""
    hours = 10 / 24 / 365
    counts: collections.Counter[str] = collections.Counter()
    asked = scenario(f"failures: {{preset: {preset}, scale: 100}}\n")
    for record in of_kind(draw_inputs(asked, things(2000)), "fail"):
        counts[Fail.of(record).cause] += 1
    for cause in catalog.failure_preset(preset).classes:
        mean = 2 * 100 * hours * cause.per_year * things(2000)["dallas"].counts[cause.component]
        assert abs(counts[cause.name] - mean) <= 4 * math.sqrt(mean) + 1
