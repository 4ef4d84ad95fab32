"""What `import dcsim` offers: load a scenario, simulate it, bring a model of one's own."""

import json

import numpy as np
import pytest

import dcsim
from dcsim.accounting import summarise
from dcsim.api import simulate
from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.physics.site import default_models
from dcsim.scenario.record import METRICS
from dcsim.simulation import run
from dcsim.trace import Run
from dcsim.trace.schema import TABLES
from tests.bad_input.breaks import gone, summary
from tests.processes.stage import HOUR, job, scenario, site


def small(**other):
    return scenario([job(4)], 2, **other)


def test_the_package_offers_load_and_simulate(tmp_path):
    assert dcsim.simulate is simulate
    path = tmp_path / "small.yaml"
    path.write_text(small().text, encoding="utf-8")
    result = dcsim.simulate(dcsim.load(path), out=tmp_path / "run")
    assert (result.folder, result.status) == (tmp_path / "run", "done")


def test_the_summary_is_that_of_the_folder(tmp_path):
    result = simulate(small(), out=tmp_path / "run")
    assert result.summary == json.loads((result.folder / "summary.json").read_text())
    assert set(METRICS) <= set(result.summary)
    shares = [share["value"] for share in result.summary["waterfall"]]
    assert sum(shares) == pytest.approx(1, abs=1e-9)


def test_goodput_while_it_runs_is_that_of_the_summary(tmp_path):
    """The progress line and the summary mean the same; the mean step is all that differs."""
    seen = []
    hits = [
        {"at": f"{50 * i} min", "hit": f"lab/node/{i % 8}", "effect": "down", "for": "1 min"}
        for i in range(1, 28)
    ]
    asked = small(faults=hits, duration="1 d")
    outcome = run(asked, out=tmp_path / "run", show=lambda _t, **now: seen.append(now))
    found = summarise(Run(outcome.folder)).metrics["goodput_frac"].value
    assert seen[-1]["goodput_frac"] == pytest.approx(found, rel=2e-3)
    assert found < 0.96


class HeatWave:
    """A model of one's own: after an hour the air outside is as hot as it says.

    It owns a mode, `is_hot`, flips it at a stored time, and then holds the weather where it is.
    """

    reads = ()
    writes = ()

    def __init__(self, place, dry_bulb_c):
        self._weather = place.weather
        self._dry_bulb_c = dry_bulb_c
        self.is_hot = np.zeros(1, np.bool_)

    def evaluate(self, _world, now_ns):
        return Holds(NEVER_NS if self.is_hot[0] else HOUR, np.inf)

    def switch(self, _world, now_ns):
        if self.is_hot[0] or now_ns < HOUR:
            return []
        self.is_hot[0] = True
        self._weather.dry_bulb_c[0] = self._dry_bulb_c
        return [Fact("hot_spell", "weather", 0)]

    def advance(self, _world, _dt_s):
        """The air stays as it is."""

    def modes(self, _world):
        return {"heat_wave.is_hot": self.is_hot}


def test_a_user_s_own_model_takes_part(tmp_path):
    plain = simulate(small(), out=tmp_path / "plain")
    hot = simulate(
        small(),
        out=tmp_path / "hot",
        models=lambda place: [*default_models(place), HeatWave(place, 42.0)],
    )
    dry_c = [Run(result.folder).columns("site")["dry_bulb_c"] for result in (plain, hot)]
    assert (dry_c[0] == 20.0).all()
    assert dry_c[1].max() == 42.0
    assert hot.summary["pue"]["value"] > plain.summary["pue"]["value"]


def test_inputs_threads_and_precision_are_passed_on(tmp_path):
    first = simulate(small(), out=tmp_path / "a", threads=1)
    again = simulate(small(), out=tmp_path / "b", inputs=first.folder / "inputs.arrow")
    fine = simulate(small(), out=tmp_path / "c", dtype=np.float64)
    digests = [Run(result.folder).record["state_digest"] for result in (first, again, fine)]
    assert digests[0] == digests[1] != digests[2]
    tokens = [result.summary["tokens_count"]["value"] for result in (first, fine)]
    assert tokens[0] == pytest.approx(tokens[1], rel=1e-4)


def test_a_run_without_jobs_has_a_summary(tmp_path):
    result = simulate(scenario((), 1, sites={"lab": site()}), out=tmp_path / "run")
    assert result.summary["goodput_frac"]["value"] is None
    assert result.summary["goodput_frac"]["basis"] == "not given"
    assert result.summary["waterfall"][0] == {"name": "not_allocated", "value": 1.0}


def test_a_run_opens_with_all_that_it_holds(tmp_path, capsys):
    made = simulate(small(), out=str(tmp_path / "run"))
    run = dcsim.Run(str(made.folder))
    assert (run.record, run.status, run.scenario) == (made.record, "done", small().text)
    assert set(run.tables) == {*TABLES, "inputs"}
    assert len(run.tables) == len(set(run.tables))
    assert run.tables["site"].equals(run.table("site"))
    with pytest.raises(KeyError, match="sites"):
        run.tables["sites"]
    assert run.value("pue") == run.summary["pue"]["value"] == made.value("pue")
    run.show()
    assert str(run.folder) in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize("break_", [gone("summary.json"), summary(pue=...)])
def test_a_summary_that_lacks_something_is_accounted_again(tmp_path, break_):
    made = simulate(small(), out=tmp_path / "run")
    break_(made.folder)
    assert dcsim.Run(made.folder).summary == made.summary
