"""The scenarios that come with dcsim: each runs, comes out the same again, and shows its point.

The long ones are cut short here. Golden numbers carry a tolerance: they are to be moved on purpose,
not by accident. Minutes are simulated minutes.
"""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from dcsim import load, simulate
from dcsim.scenario import Scenario
from dcsim.trace import Run
from tests.tidy import ROOT

FOLDER = ROOT / "scenarios"
DIGESTS = ("inputs_digest", "trace_digest", "state_digest")
LINES_MAX = 60
CUT = {
    "h100-200k": ("duration=4 h",),
    "h100-200k-as-2024": ("duration=4 h",),
    "llama3-16k": ("duration=2 d",),
}
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
GOLDEN = {
    "cdu-loss": {"goodput_frac": 0.929, "step_time_s": 5.55, "pue": 1.20, "gpu_temp_c_max": 95.4},
    "feed-loss": {"goodput_frac": 0.626, "step_time_s": 5.55, "pue": 1.22, "gpu_temp_c_max": 60.8},
    "first": {"goodput_frac": 0.966, "step_time_s": 7.53, "pue": 1.32, "gpu_temp_c_max": 58.3},
    "h100-200k": {"step_time_s": 5.68, "pue": 1.16, "gpu_temp_c_p99": 57.8},
    "h100-200k-as-2024": {"step_time_s": 5.59},
    "hot-day": {"goodput_frac": 0.998, "step_time_s": 5.75, "pue": 1.13, "gpu_temp_c_max": 83.6},
    "llama3-16k": {"step_time_s": 5.60, "pue": 1.15, "gpu_temp_c_p99": 61.0},
}
TOLERANCE = 0.02


class Played(NamedTuple):
    """One run: its folder, record and summary."""

    run: Run
    summary: dict[str, Any]

    def value(self, name: str) -> float:
        value = self.summary[name]["value"]
        assert value is not None, name
        return float(value)

    def minutes(self, kind: str) -> list[float]:
        """When events of a kind happened."""
        events, kinds = self.run.columns("events"), self.run.columns("dim_event_kind")["name"]
        found = events["t_ns"][kinds[events["event_kind_id"]] == kind]
        return [float(t_ns) / 60e9 for t_ns in found]


def scenario(name: str, overrides: Sequence[str] = ()) -> Scenario:
    return load(FOLDER / f"{name}.yaml", (*CUT.get(name, ()), *overrides))


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Simulate a scenario with overrides; each only once."""

    @functools.cache
    def play(name: str, *overrides: str) -> Played:
        folder = tmp_path_factory.mktemp("scenarios") / "run"
        result = simulate(scenario(name, overrides), out=folder)
        assert result.status == "done"
        return Played(Run(folder), result.summary)

    return play


@pytest.mark.parametrize("chillers", ["1", "auto"])
def test_a_feed_that_comes_back_stays(play: Any, chillers: str) -> None:
    fault = "faults=[{at: 20 min, hit: lab/feed/0, effect: down, for: 24 min}]"
    ask = ("duration=90 min", "expect=null", f"sites.lab.cooling.chillers={chillers}", fault)
    played = play("first", *ask)
    assert not played.minutes("down")
    assert played.minutes("on_battery") == [20.0]
    [alarm] = played.summary["warnings"]
    assert alarm["what"].startswith("lab loop.supply_c 60.")
    assert alarm["what"].endswith("degC, valid 5..60")
    assert played.value("goodput_frac") > 0.95


def test_a_feed_that_is_too_small_is_named_in_the_summary(play: Any) -> None:
    fault = "faults=[{at: 20 min, hit: lab/feed/0, effect: {degrade: 0.2}}]"
    [alarm] = play("first", "duration=40 min", "expect=null", fault).summary["warnings"]
    assert alarm["what"] == "lab/feed/0 went down: overload"
    assert alarm["first_ns"] == 20 * 60 * 10**9


def test_the_scenarios_are_those_that_are_promised() -> None:
    assert sorted(GOLDEN) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_is_one_page_that_explains_itself(name: str) -> None:
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert f"name: {name}" in [line.partition(" #")[0].rstrip() for line in lines]
    assert len(lines) <= LINES_MAX
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("name", NAMES)
def test_comes_out_as_expected(name: str, play: Any) -> None:
    played = play(name)
    for metric, golden in GOLDEN[name].items():
        assert played.value(metric) == pytest.approx(golden, rel=TOLERANCE), metric
    assert scenario(name).unmet(played.summary) == []
    assert sum(share["value"] for share in played.summary["waterfall"]) == pytest.approx(1.0)


@pytest.mark.parametrize("name", NAMES)
def test_comes_out_the_same_again(name: str, play: Any, tmp_path: Path) -> None:
    again = simulate(scenario(name), out=tmp_path / "again")
    first, second = play(name).run.record, json.loads((again.folder / "run.json").read_text())
    assert [first[digest] for digest in DIGESTS] == [second[digest] for digest in DIGESTS]


def test_a_lost_cdu_stops_its_nodes_and_spares_take_over(play: Any) -> None:
    played = play("cdu-loss")
    shutdowns = np.array(played.minutes("shutdown"))
    assert 20.3 < shutdowns.min() < 21
    first_wave = shutdowns[shutdowns < 30]
    assert first_wave.max() < 22
    assert played.minutes("job_interrupted") == [shutdowns.min()]
    (resumed,) = played.minutes("job_resumed")
    assert 3 < resumed - shutdowns.min() < 7
    on_the_unit = np.arange(3 * 16 * 8, 4 * 16 * 8)
    events, kinds = played.run.columns("events"), played.run.columns("dim_event_kind")["name"]
    down = events["row"][kinds[events["event_kind_id"]] == "down"]
    assert sorted(set(down.tolist())) == on_the_unit.tolist()
    racks, site = played.run.columns("rack"), played.run.columns("site")
    assert racks["temp_c_max"].max() == site["gpu_temp_c_max"].max()
    assert racks["rack_id"][racks["temp_c_max"].argmax()] // 16 == 3


def test_half_a_cdu_is_enough(play: Any) -> None:
    played = play("cdu-loss", "faults.0.effect={degrade: 0.5}")
    assert played.minutes("shutdown") == played.minutes("job_interrupted") == []
    assert play("cdu-loss").value("goodput_frac") < played.value("goodput_frac")
    assert 60 < played.value("gpu_temp_c_max") < 87


def test_without_spares_the_job_waits_for_the_cdu(play: Any) -> None:
    job = ("parallel.dp=64", "batch=1024", "spares=0")
    played = play("cdu-loss", *(f"jobs.0.train.{value}" for value in job))
    (resumed,) = played.minutes("job_resumed")
    assert resumed > 65
    assert played.value("goodput_frac") < 0.6


def test_batteries_carry_a_lost_feed_for_minutes(play: Any) -> None:
    played = play("feed-loss")
    depleted = played.minutes("depleted")
    assert len(depleted) == 2
    assert all(35 < minute < 40 for minute in depleted)
    assert played.minutes("job_interrupted") == [min(depleted)]
    (resumed,) = played.minutes("job_resumed")
    assert 120 < resumed < 130
    site = played.run.columns("site")
    dark = (site["t_ns"] > 45 * 60e9) & (site["t_ns"] <= 110 * 60e9)
    assert (site["gpus_up_count"][dark] == 8192 * 3 // 4).all()


def test_batteries_for_the_whole_outage_are_enough(play: Any) -> None:
    played = play("feed-loss", "sites.dallas.power.battery=90 min")
    assert played.minutes("depleted") == played.minutes("job_interrupted") == []


def test_a_hot_day_without_chillers_costs_tokens_and_saves_electricity(play: Any) -> None:
    hot, chilled = play("hot-day"), play("hot-day", "sites.dallas.cooling.chillers=auto")
    for metric in ("tokens_count", "energy_j"):
        assert 0.94 < hot.value(metric) / chilled.value(metric) < 0.98
    site = hot.run.columns("site")
    hour = site["t_ns"] / 3600e9
    warmer_k = site["facility_supply_c"] - site["dry_bulb_c"]
    assert 4 < warmer_k[hour == 12.0] < 6
    assert 12 < warmer_k[hour == 16.0] < 15
    assert 15 < hour[site["gpu_temp_c_mean"].argmax()] < 17
    assert np.ptp(chilled.run.columns("site")["gpu_temp_c_mean"][hour >= 1]) < 0.5


def test_two_ways_to_recover_differ_in_nothing_else(play: Any) -> None:
    best, old = (load(FOLDER / f"{name}.yaml") for name in ("h100-200k", "h100-200k-as-2024"))
    differs = {"recovery", "checkpoint"}
    for one, other in zip(best.jobs, old.jobs, strict=True):
        for name in type(one).model_fields:
            assert (getattr(one, name) == getattr(other, name)) == (name not in differs), name
    assert best.sites == old.sites
    assert best.failures == old.failures
    best, old = play("h100-200k"), play("h100-200k-as-2024")
    assert best.run.record["inputs_digest"] == old.run.record["inputs_digest"]
    assert best.value("goodput_frac") > 2 * old.value("goodput_frac")
    assert best.summary["goodput_frac"]["basis"] == "extrapolated"
