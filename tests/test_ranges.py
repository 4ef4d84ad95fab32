"""Runs at the low and high of what is known, in full: against closed forms, and what they leave."""

import json
import re
import signal
import threading
import time
from contextlib import contextmanager
from math import hypot

import pytest

from dcsim import cli
from dcsim.accounting import write_summary
from dcsim.api import simulate
from dcsim.contract import NEVER_NS, Holds
from dcsim.errors import InvariantError
from dcsim.inputs import records as inputs_file
from dcsim.physics.site import default_models
from dcsim.processes.plan import plan_jobs
from dcsim.ranges import variations_of
from dcsim.scenario import Levels, load, varied
from dcsim.trace import Run
from dcsim.world import build
from tests.processes.stage import HOUR, fails, job, scenario, site
from tests.tidy import ROOT

DIGESTS = ("inputs_digest", "trace_digest", "state_digest", "scenario_digest")
NEVER = {"checkpoint": {"local": False, "remote_every": "1 y"}}
ALL = ("recovery", "step_time", "gpu", "node", "cooling", "power")


def small(hours=2, **other):
    """One job without checkpoints on GPUs alike."""
    return scenario([job(4, **NEVER)], hours, **other)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same scenario without and with its range."""
    folder = tmp_path_factory.mktemp("pair")
    plain = simulate(small(), out=folder / "plain")
    return plain, simulate(small(), out=folder / "ranged", ranges=True)


@contextmanager
def interrupted_at(folder):
    """Press Ctrl-C when the run in *folder* is under way."""

    def press():
        while not (folder / "traces" / "job.arrow").exists():
            time.sleep(0.005)
        signal.raise_signal(signal.SIGINT)

    watcher = threading.Thread(target=press)
    watcher.start()
    yield
    watcher.join()


def effect(result, group, level, name):
    (found,) = (v for v in result.summary["range"] if (v["group"], v["level"]) == (group, level))
    return found["values"][name]


def test_the_run_itself_is_the_same_with_and_without_its_range(pair):
    plain, ranged = (Run(result.folder) for result in pair)
    assert [plain.record[key] for key in DIGESTS] == [ranged.record[key] for key in DIGESTS]
    without, with_range = (result.summary for result in pair)
    assert without["waterfall"] == with_range["waterfall"]
    assert {k: v["value"] for k, v in without.items() if "unit" in v} == {
        k: v["value"] for k, v in with_range.items() if "unit" in v
    }


def test_each_end_is_a_run_folder_under_the_same_inputs(pair):
    _, result = pair
    own = Run(result.folder).record["inputs_digest"]
    names = [f"{group}-{level}" for group in ALL for level in ("low", "high")]
    assert [f"{v['group']}-{v['level']}" for v in result.summary["range"]] == names
    for name in names:
        run = Run(result.folder / "range" / name)
        assert (run.status, run.record["inputs_digest"]) == ("done", own)
        assert run.columns("gpu")["t_ns"].size == 0
        assert json.loads((run.folder / "summary.json").read_text())["range"] == []


def test_the_step_is_longer_by_the_factor_of_its_interval(pair):
    """Without spread, failures and saves: only the step's length differs, at any moment."""
    _, result = pair
    (typical,), (low,), (high,) = (
        [plans["lab"] for plans in plan_jobs(asked, build(asked))]
        for asked in (
            small(),
            *(varied(small(), [f"levels.step_time={x}"]) for x in ("low", "high")),
        )
    )
    for level, plan in (("low", low), ("high", high)):
        factor = plan.step_ns / typical.step_ns
        assert (factor < 1) == (level == "low")
        wanted = factor * result.summary["step_time_s"]["value"]
        found = effect(result, "step_time", level, "step_time_s")
        assert found == pytest.approx(wanted, rel=1e-9)
        power = effect(result, "step_time", level, "it_power_w_mean")
        assert power == result.summary["it_power_w_mean"]["value"]
        mfu = effect(result, "step_time", level, "mfu_frac")
        assert mfu == pytest.approx(result.summary["mfu_frac"]["value"] / factor, rel=2e-3)


@pytest.mark.parametrize("name", ["step_time_s", "site_power_w_mean", "gpu_temp_c_max"])
def test_the_interval_is_made_of_the_effects(pair, name):
    _, result = pair
    metric = result.summary[name]
    below, above = [], []
    for group in ALL:
        moves = [effect(result, group, end, name) - metric["value"] for end in ("low", "high")]
        below.append(min(0.0, *moves))
        above.append(max(0.0, *moves))
    assert metric["low"] == pytest.approx(metric["value"] - hypot(*below), rel=1e-12)
    assert metric["high"] == pytest.approx(metric["value"] + hypot(*above), rel=1e-12)
    assert metric["low"] < metric["value"] < metric["high"]


@pytest.mark.parametrize(
    ("group", "name", "rises"),
    [
        ("recovery", "goodput_frac", False),
        ("step_time", "tokens_count", False),
        ("gpu", "gpu_temp_c_max", True),
        ("gpu", "it_power_w_mean", True),
        ("node", "it_power_w_mean", True),
        ("cooling", "pue", True),
        ("power", "pue", True),
    ],
)
def test_directions(pair, group, name, rises):
    _, result = pair
    low, high = (effect(result, group, level, name) for level in ("low", "high"))
    assert (low < high) == rises
    assert min(low, high) < max(low, high)


def test_losses_of_power_are_those_of_the_sheets(pair):
    """The racks draw the same; PDUs lose a share of their rating and one of the squared load."""
    _, result = pair
    it = {effect(result, "power", level, "it_power_w_mean") for level in ("low", "high")}
    assert it == {result.summary["it_power_w_mean"]["value"]}


def test_numbers_that_do_not_move_are_not_run(tmp_path):
    idle = scenario(hours=1)
    groups = {variation.group for variation in variations_of(idle)}
    assert groups == {"gpu", "node", "cooling", "power"}
    at_low = varied(small(1), ["levels.gpu=low"])
    result = simulate(at_low, out=tmp_path / "run", ranges=True)
    first = next(v for v in result.summary["range"] if v["group"] == "gpu")
    assert (first["level"], first["note"]) == ("low", "takes the same numbers as the run")
    assert not (result.folder / "range" / "gpu-low").exists()
    assert (result.folder / "range" / "gpu-high").exists()
    temperature = result.summary["gpu_temp_c_max"]
    assert temperature["value"] == first["values"]["gpu_temp_c_max"]
    assert temperature["high"] > temperature["value"] >= temperature["low"]


def test_a_range_of_a_replay_is_that_of_the_run(pair, tmp_path):
    _, result = pair
    again = simulate(
        small(), out=tmp_path / "run", inputs=result.folder / "inputs.arrow", ranges=True
    )
    assert again.summary == result.summary


def test_every_end_meets_the_failures_of_the_run_and_none_of_its_own(pair, tmp_path):
    """A recovery whose phases are longer costs more, one whose phases are shorter less."""
    _, result = pair
    records = inputs_file.read(result.folder / "inputs.arrow")
    hit = [*records, *(fails(at * HOUR // 4, "lab/node/1") for at in (2, 4, 6))]
    inputs_file.write(tmp_path / "inputs.arrow", sorted(hit), {})
    asked = scenario([job(4)], 2)
    again = simulate(asked, out=tmp_path / "run", inputs=tmp_path / "inputs.arrow", ranges=True)
    goodput = again.summary["goodput_frac"]
    counts = {v["values"]["interruption_count"] for v in again.summary["range"]}
    assert counts == {3}
    assert effect(again, "recovery", "high", "goodput_frac") < goodput["value"] - 0.3
    assert effect(again, "recovery", "low", "goodput_frac") > goodput["value"] + 0.01
    assert goodput["low"] < goodput["value"] < goodput["high"]


def test_account_is_given_again(pair):
    _, result = pair
    assert write_summary(Run(result.folder)).as_dict() == result.summary


def test_an_interrupted_range_leaves_the_run_whole(tmp_path):
    folder = tmp_path / "run"
    with interrupted_at(folder / "range" / "recovery-high"):
        result = simulate(small(500), out=folder, ranges=True)
    assert result.status == "done"
    assert (Run(folder).status, Run(folder / "range/recovery-high").status) == (
        "done",
        "interrupted",
    )
    assert not (folder / "range" / "step_time-low").exists()
    goodput = result.summary["goodput_frac"]
    assert goodput["value"] > 0.9
    assert (goodput["low"], goodput["high"]) == (None, None)
    assert (
        goodput["basis"] == "simulated; low and high not known, 1 of 12 runs of the range are done"
    )


class Breaks:
    """A model that cannot be where a node's switches draw more than was thought."""

    reads = writes = ()

    def __init__(self, site):
        if site.sheets["node"]["nvswitch_w"] > 450:
            raise InvariantError(0, "node", 0, "draws too much")

    def evaluate(self, _world, _now_ns):
        return Holds(NEVER_NS, float("inf"))

    def switch(self, _world, _now_ns):
        return []

    def advance(self, _world, _dt_s):
        pass

    def modes(self, _world):
        return {}


def test_a_model_of_ones_own_is_in_every_run_and_a_fault_leaves_the_run_whole(tmp_path):
    def models(site):
        return [*default_models(site), Breaks(site)]

    folder = tmp_path / "run"
    with pytest.raises(InvariantError, match="draws too much"):
        simulate(small(1), out=folder, models=models, ranges=True)
    assert Run(folder).status == "done"
    assert Run(folder / "range" / "node-low").status == "done"
    summary = write_summary(Run(folder))
    assert summary.metrics["goodput_frac"].value > 0.9
    assert summary.metrics["goodput_frac"].low is None


def test_a_plant_is_designed_by_typical_numbers_and_stands_at_every_level(tmp_path):
    """Eight racks fit an air handler; if they draw more than was thought they still stand there."""
    lab = site(16, 2) | {
        "nodes": {"type": "hgx-h100-air", "count": 16},
        "cooling": {"unit": "crah-150", "racks_per_unit": 8, "supply": "20 degC"},
    }
    tight = scenario([job(16)], 1, sites={"lab": lab})
    heavy = varied(tight, ["levels.node=high"])
    plain, high = (build(asked).sites["lab"] for asked in (tight, heavy))
    assert plain.counts == high.counts
    assert plain.loop_pump_w == high.loop_pump_w
    result, more = (simulate(x, out=tmp_path / name) for name, x in (("a", tight), ("b", heavy)))
    assert (
        more.summary["it_power_w_mean"]["value"] > 1.04 * result.summary["it_power_w_mean"]["value"]
    )
    assert more.status == "done"


@pytest.mark.parametrize("name", ["first", "cdu-loss", "llama3-16k"])
def test_worlds_hold_together_at_every_level(name):
    asked = load(ROOT / "scenarios" / f"{name}.yaml")
    for group in Levels.model_fields:
        for level in ("low", "high"):
            build(varied(asked, [f"levels.{group}={level}"])).check()


def test_the_command_says_how_long_it_will_take_and_shows_low_and_high(tmp_path, capsys):
    path = tmp_path / "small.yaml"
    path.write_text(small(1).text, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        cli.main(["run", str(path), "--range", "--json", "--out", str(tmp_path / "run")])
    out, err = capsys.readouterr()
    assert end.value.code == cli.OK
    assert re.fullmatch(
        r"Range: 12 more runs of about [\d.]+ \w+ each, [\d.]+ \w+ in all; "
        r"Ctrl-C keeps what is done\n",
        err,
    )
    metric = json.loads(out)["step_time_s"]
    assert metric["low"] < metric["value"] < metric["high"]
    assert metric["basis"] == (
        f"simulated; low and high by root sum of squares of {', '.join(ALL)}"
    )


def test_the_command_says_that_a_range_was_interrupted(tmp_path, capsys):
    path, folder = tmp_path / "long.yaml", tmp_path / "run"
    path.write_text(small(500).text, encoding="utf-8")
    with interrupted_at(folder / "range" / "recovery-low"), pytest.raises(SystemExit) as end:
        cli.main(["run", str(path), "--range", "--quiet", "--out", str(folder)])
    assert end.value.code == cli.INTERRUPTED
    assert capsys.readouterr() == (
        "",
        f"error: interrupted, {folder} is whole but its range is not\n",
    )
