"""`dcsim export` and `dcsim runs`: what they print where, ask, and how they exit."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dcsim.commands.folders import export, runs
from dcsim.trace import create_run_folder
from tests.accounting.handmade import write_run
from tests.trace.test_run_folder import ASKED


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `runs/a` and `runs/b`."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        write_run(Path("runs") / name, end_h=1)
    return Path("runs")


@pytest.fixture
def at_a_terminal(monkeypatch):
    """Answers are typed: a function that sets the next one."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))

    def answer(text):
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt="": text)

    return answer


def names(shelf: Path) -> list[str]:
    return sorted(path.name for path in shelf.iterdir())


@pytest.mark.parametrize("command", [export, runs])
def test_help_shows_an_example(command, run):
    code, out, _ = run(command.name, "--help")
    assert code == 0
    assert f"Example: dcsim {command.name}" in out


def test_an_export_says_where_it_lies(run, shelf):
    assert run("export", "runs/a", "--to", "csv") == (0, "runs/a/csv\n", "")
    assert run("export", "runs/a", "--to", "perfetto", "--out", "x.json") == (0, "x.json\n", "")
    assert json.loads(Path("x.json").read_text(encoding="utf-8"))["displayTimeUnit"] == "ms"


def test_an_export_to_nothing_known(run, shelf):
    code, _, err = run("export", "runs/a", "--to", "excel")
    assert code == 2
    assert "'excel' is not one of 'parquet', 'csv', 'perfetto'" in err


def test_runs_lies_where_runs_are_made(run, shelf):
    code, out, err = run("runs")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["a", "done"], ["b", "done"]]
    assert run("runs", "runs") == (0, out, "")


def test_runs_as_json(run, shelf):
    code, out, _ = run("runs", "runs/b", "--json")
    (entry,) = json.loads(out)
    assert code == 0
    assert (entry["run"], entry["status"], entry["simulated_ns"]) == ("b", "done", 3600 * 10**9)
    assert (entry["goodput_frac"], entry["problem"]) == (None, None)
    assert entry["when"].endswith("+00:00")


def test_no_runs(run, shelf):
    Path("empty").mkdir()
    assert run("runs", "empty") == (0, "no runs in empty\n", "")
    assert run("runs", "empty", "--json") == (0, "[]\n", "")
    assert run("runs", "nowhere") == (2, "", "error: nowhere: no such folder\n")


def test_a_damaged_run_is_listed_with_its_fault(run, shelf):
    (shelf / "a" / "run.json").write_text("{")
    code, out, _ = run("runs")
    assert code == 0
    assert "a    unreadable" in out
    assert "runs/a/run.json: no JSON" in out.splitlines()[-1]


def test_runs_are_removed_at_once_with_yes(run, shelf):
    assert run("runs", "--remove", "runs/a", "runs/a/", "--yes") == (0, "removed runs/a\n", "")
    assert names(shelf) == ["b"]


def test_a_run_of_two_names_is_removed_once(run, shelf):
    Path("other").symlink_to("runs")
    done = run("runs", "--remove", "other/a", "runs/a", "runs/b", "--yes")
    assert done == (0, "removed other/a\nremoved runs/b\n", "")
    assert names(shelf) == []


def test_nothing_is_removed_if_one_may_not_be(run, shelf):
    made = create_run_folder(**ASKED, out=shelf / "c")
    code, out, err = run("runs", "--remove", "runs/a", "runs/c", "runs", "--yes")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: runs/c: is being written: stop that run first",
        "error: runs: no run folder: it holds no run.json",
    ]
    assert names(shelf) == ["a", "b", "c"]
    made.mark("failed")


def test_without_a_terminal_nobody_is_asked(run, shelf):
    said = "error: --remove asks before it removes; without a terminal, add --yes\n"
    assert run("runs", "--remove", "runs/a") == (2, "", said)
    assert names(shelf) == ["a", "b"]


@pytest.mark.parametrize(("answer", "left"), [("n", ["a", "b"]), ("", ["a", "b"]), ("y", ["b"])])
def test_one_who_is_asked_decides(run, shelf, at_a_terminal, answer, left):
    at_a_terminal(answer)
    code, out, err = run("runs", "--remove", "runs/a")
    assert code == 0
    assert names(shelf) == left
    assert out == ("removed runs/a\n" if answer == "y" else "")
    assert ("nothing removed" in err) == (answer != "y")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--remove"], "--remove: name the run folders to remove"),
        (["--yes"], "--yes goes with --remove"),
        (["runs/a", "--remove", "--json"], "--json goes with a list, not with --remove"),
    ],
)
def test_options_that_do_not_go_together(run, shelf, arguments, message):
    assert run("runs", *arguments) == (2, "", f"error: {message}\n")
    assert names(shelf) == ["a", "b"]


@pytest.mark.parametrize(("more", "is_shown"), [([], True), (["--quiet"], False)])
def test_progress_is_shown_at_a_terminal(run, shelf, monkeypatch, more, is_shown):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    code, out, err = run("export", "runs/a", "--to", "csv", *more)
    assert (code, out) == (0, "runs/a/csv\n")
    assert bool(err) == is_shown
