"""Levels of data sheets, and a scenario with something laid over it."""

import pytest

from dcsim import catalog
from dcsim.errors import ScenarioError
from dcsim.scenario import Levels, load, loads, varied
from dcsim.world import build, sources_of
from tests.tidy import ROOT

SMALL = ROOT / "tests" / "scenario" / "small.yaml"


def small(*overrides):
    return load(SMALL, overrides)


def test_every_group_is_typical_unless_it_is_asked_for():
    assert small().levels == Levels()
    asked = small("levels={gpu: low, step_time: high}").levels
    assert asked == Levels(gpu="low", step_time="high")
    assert [asked.of(kind) for kind in ("gpu", "node", "switch")] == ["low", "typical", "typical"]


def test_a_level_that_is_none_is_refused():
    with pytest.raises(ScenarioError) as error:
        small("levels={gpus: low, node: best}")
    assert error.value.messages == (
        "--set levels={gpus: low, node: best}: levels.node = best: allowed low, typical, high",
        "--set levels={gpus: low, node: best}: levels.gpus: unknown key, did you mean 'gpu'? "
        "allowed step_time, gpu, node, cooling, power",
    )


@pytest.mark.parametrize("group", ["gpu", "node", "cooling", "power"])
@pytest.mark.parametrize("level", ["low", "high"])
def test_a_site_is_built_of_sheets_at_their_level(group, level):
    kinds = [kind for kind in catalog.KINDS if Levels(**{group: level}).of(kind) == level]
    plain, moved = (
        build(asked).sites["dallas"] for asked in (small(), small(f"levels.{group}={level}"))
    )
    for kind, sheet in plain.sheets.items():
        wanted = sheet.at(level) if kind in kinds else sheet
        assert moved.sheets[kind].sources() == wanted.sources(), kind
    assert any(moved.sheets[kind].sources() != plain.sheets[kind].sources() for kind in kinds)


def test_the_sources_of_a_run_are_those_at_its_level():
    def value(scenario, path):
        (found,) = (row["value"] for row in sources_of(scenario) if row["path"] == path)
        return found

    path = "recovery/warm-spare/remote_stall_s"
    assert value(small(), path) == 0.5
    asked = small("jobs.0.train.recovery={preset: warm-spare, level: high}")
    assert value(asked, path) == 5
    assert value(small("levels.gpu=high"), "gpu/h100-sxm/leak_w") == 120
    assert not any(row["path"].startswith("step/interval") for row in sources_of(small()))
    assert any(
        row["path"].startswith("step/interval") for row in sources_of(small("levels.step_time=low"))
    )


def test_what_is_laid_over_a_scenario_leaves_it_as_it_is():
    plain = small("jobs.0.train.recovery={preset: warm-spare, detect: 5 min}")
    text, digest = plain.text, plain.digest
    other = varied(plain, ["levels.gpu=low", "jobs.0.train.recovery={level: high}"])
    assert (plain.text, plain.digest) == (text, digest)
    assert (other.levels.gpu, other.jobs[0].recovery.level) == ("low", "high")
    assert other.jobs[0].recovery.detect_s == 300
    assert other.where("seed") == plain.where("seed") == "small.yaml:3"
    assert other.where("levels.gpu") == "--set levels.gpu=low"
    assert loads(other.text).digest == other.digest != digest
    with pytest.raises(ScenarioError, match=r"--set levels\.gpu=hot: levels\.gpu = hot: allowed"):
        varied(plain, ["levels.gpu=hot"])
