"""Pages of runs: a small one, one that lost its machines, and others by hand."""

from pathlib import Path

import pytest

from dcsim import load, simulate
from dcsim.accounting import write_summary
from dcsim.report.page import write_page
from dcsim.trace import Run
from tests.tidy import ROOT

FIRST = ROOT / "scenarios" / "first.yaml"


def page_of(folder: Path) -> str:
    """Account for a run, write its page and return it."""
    return write_page(Run(folder), write_summary(Run(folder))).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of scenarios/first.yaml, with its page."""
    return simulate(load(FIRST), out=tmp_path_factory.mktemp("first") / "run").folder


@pytest.fixture(scope="session")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose only feed is lost for good while a job runs."""
    folder = tmp_path_factory.mktemp("dead")
    (folder / "dead.yaml").write_text(
        f"extends: {FIRST}\nname: dead\nduration: 3 h\nexpect: {{}}\n"
        "faults: [{at: 20 min, hit: lab/feed/0, effect: down}]\n"
    )
    return simulate(load(folder / "dead.yaml"), out=folder / "run").folder
