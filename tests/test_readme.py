"""Everything in the README that can be run is run, and what it shows is what comes out."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dcsim
from dcsim.world import sources_of
from tests.tidy import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SCENARIOS = sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the scenarios, in which all that the README runs has been run."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")
    return folder


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, str]:
    """What each dcsim command of the README prints, run one after the other."""
    return {command: run(command, folder) for command in COMMANDS if command.startswith("dcsim")}


def run(command: str, folder: Path) -> str:
    code = "from dcsim.cli import main; main()"
    words = [sys.executable, "-c", code, *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def without_numbers(text: str) -> list[str]:
    """Words of each line, without digits, bars and the width of columns."""
    return [" ".join(re.sub(r"[\d.,<█▉▊▋▌▍▎▏]+", " ", line).split()) for line in text.splitlines()]


def test_there_is_something_to_run() -> None:
    assert {"make run", "make test"} < set(COMMANDS)
    assert sum(command.startswith("dcsim") for command in COMMANDS) >= 5
    assert all(command.split()[0] in ("make", "dcsim") for command in COMMANDS)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make")])
def test_make_knows_its_targets(command: str) -> None:
    done = subprocess.run([*command.split(), "-n"], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout


def test_every_command_runs(said: dict[str, str], folder: Path) -> None:
    first, again = (
        (folder / "runs" / name / "run.json").read_text() for name in ("first", "again")
    )
    for digest in ("inputs_digest", "trace_digest", "state_digest"):
        one, other = (re.search(rf'"{digest}": "(\w+)"', text) for text in (first, again))
        assert one is not None
        assert other is not None
        assert one[1] == other[1]
    assert len(list((folder / "runs").iterdir())) == 4
    assert (folder / "runs" / "first" / "report.html").exists()
    assert "192,000 GPUs" in said["dcsim check scenarios/h100-200k.yaml"]


def test_the_summary_that_is_shown_is_what_comes_out(said: dict[str, str]) -> None:
    estimate, summary, story = blocks("text")
    (printed,) = (text for command, text in said.items() if command.endswith("--out runs/first"))
    assert without_numbers(summary) == without_numbers(printed)
    (printed,) = (text for command, text in said.items() if command.startswith("dcsim why"))
    assert printed == story
    (printed,) = (text for command, text in said.items() if command.startswith("dcsim estimate"))
    shown = without_numbers(estimate)
    assert without_numbers(printed)[: len(shown)] == shown


def test_every_python_block_runs(said: dict[str, str], folder: Path) -> None:
    for block in blocks("python"):
        command = [sys.executable, "-c", block]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    clean, fouled = (float(line.split()[1]) for line in done.stdout.splitlines())
    assert 3 < fouled - clean < 20


def test_the_key_table_is_that_of_the_first_scenario() -> None:
    text = (ROOT / "scenarios" / "first.yaml").read_text(encoding="utf-8")
    table = README.partition("## The first scenario")[2].partition("## What the summary")[0]
    keys = {
        key
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", row)
    }
    assert keys >= {"nodes", "train", "expect"}
    assert [key for key in keys if not re.search(rf"^[\s-]*{key}:", text, re.MULTILINE)] == []
    written = set(re.findall(r"^(?:  | {4})?(\w+):", text, re.MULTILINE))
    assert written - keys == {"sites", "lab", "jobs"}


def test_all_scenarios_are_listed() -> None:
    assert re.findall(r"^\| `([a-z0-9-]+)` \| .*[a-z]", README, re.MULTILINE)[: len(SCENARIOS)]
    assert [name for name in SCENARIOS if f"| `{name}` |" not in README] == []


def test_all_folders_and_files_exist() -> None:
    folders = re.findall(r"`(\w+)/`", README)
    assert [name for name in folders if not (ROOT / "dcsim" / name).is_dir()] == []
    paths = re.findall(r"`((?:dcsim|tests|scenarios)/[\w./-]+)`", README)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_judgement_is_counted_right() -> None:
    what = r"the (\d+) numbers behind\s+`([\w-]+)`, (\d+) are judgement\s+or assumption"
    (found,) = re.findall(what, README)
    scenario = dcsim.load(ROOT / "scenarios" / f"{found[1]}.yaml")
    bases = [number["basis"] for number in sources_of(scenario)]
    open_count = bases.count("judgement") + bases.count("assumption")
    assert (len(bases), open_count) == (int(found[0]), int(found[2]))


def test_the_version_is_this_one() -> None:
    assert f"dcsim {dcsim.__version__}," in README
