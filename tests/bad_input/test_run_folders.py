"""Broken run folders: each is refused in one line a fault, exit code 2, and nothing is written."""

import shlex
import shutil
from pathlib import Path

import pytest

import dcsim
from dcsim.errors import InputError
from dcsim.scenario import loads
from dcsim.trace import READABLE
from tests.bad_input.run_folders import CASES, OF_SUMMARY, READS, RECORD, Broken
from tests.bad_input.transcript import SMALL, Case, play

PLAYED = [
    pytest.param(case, command, id=f"{case.title}: {command}")
    for case in CASES
    for command, parts in READS.items()
    if case.part in parts
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run folder, which nobody changes."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    dcsim.simulate(loads(SMALL), out=folder)
    return folder


@pytest.fixture
def bad(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to break, `bad` in the working folder, beside the whole one as `good`."""
    monkeypatch.chdir(tmp_path)
    Path("good").symlink_to(whole)
    return Path(shutil.copytree(whole, "bad"))


def opened(folder: str, part: str) -> object:
    """What Python reads of a run folder."""
    run = dcsim.Run(folder)
    if part == "summary.json":
        return run.summary
    return run if part == RECORD else run.columns(part)


def expected(case: Broken, folder: Path) -> list[str]:
    return [line.replace("FOLDER", str(folder.resolve())) for line in case.says]


@pytest.mark.parametrize(("case", "command"), PLAYED)
def test_a_command_refuses(case: Broken, command: str, bad: Path, tmp_path: Path) -> None:
    case.break_(bad)
    code, out, err = play(Case(case.title, {}, shlex.split(command), []), tmp_path)
    assert err == [f"error: {line}" for line in expected(case, tmp_path)]
    assert (code, out) == (2, "")


@pytest.mark.parametrize("case", [*CASES, *OF_SUMMARY], ids=lambda case: case.title)
def test_python_refuses(case: Broken, bad: Path, tmp_path: Path) -> None:
    case.break_(bad)
    with pytest.raises(InputError) as raised:
        opened("bad", case.part)
    assert list(raised.value.messages) == expected(case, tmp_path)


def test_the_list_is_long_and_each_case_is_another() -> None:
    everything = [*CASES, *OF_SUMMARY]
    assert len({case.title for case in everything}) == len(everything) >= 70
    assert {case.part for case in everything} <= {RECORD, "summary.json", *READABLE}
