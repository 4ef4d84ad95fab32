"""Commands: what they pass on, what they print where, and how they exit."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import dcsim
from dcsim import cli, units
from dcsim.errors import InputError, InvariantError, ScenarioError

SMALL = str(Path(__file__).parent / "scenario" / "small.yaml")
SUMMARY = {"goodput_frac": {"value": 0.9, "unit": "1"}, "waterfall": []}


@pytest.fixture
def simulated(monkeypatch):
    """Stand in for the simulation: records how it is called, and does `.effect`."""
    calls = SimpleNamespace(status="done", effect=lambda: None, shown=[])

    def simulate(scenario, **options):
        calls.scenario, calls.options = scenario, options
        calls.effect()
        return SimpleNamespace(folder=Path("runs/x"), summary=SUMMARY, status=calls.status)

    monkeypatch.setitem(sys.modules, "dcsim.api", SimpleNamespace(simulate=simulate))
    monkeypatch.setattr("dcsim.report.terminal.show", calls.shown.append)
    return calls


def test_run_passes_on_what_was_asked_and_shows_the_run(run, simulated):
    arguments = ["--set", "duration=1 d", "--set", "name=other", "--seed", "3", "--out", "here"]
    assert run("run", SMALL, *arguments, "--inputs", "in.arrow", "--threads", "2") == (0, "", "")
    asked = simulated.scenario
    assert (asked.name, asked.duration_s, asked.seed) == ("other", 86400.0, 3)
    assert simulated.options == {
        "out": Path("here"), "inputs": Path("in.arrow"), "threads": 2, "progress": True,
        "ranges": False, "report": True,
    }  # fmt: skip
    assert [run.folder for run in simulated.shown] == [Path("runs/x")]


def test_json_is_all_that_is_printed(run, simulated):
    status, out, err = run("run", SMALL, "--json")
    assert (status, err, simulated.shown) == (0, "", [])
    assert json.loads(out) == SUMMARY


def test_quiet_prints_nothing(run, simulated):
    assert run("run", SMALL, "--quiet") == (0, "", "")
    assert simulated.shown == []
    assert simulated.options["progress"] is False


def test_check_is_strict_only_on_request(run):
    status, out, err = run("check", SMALL, "--set", "name=other", "--strict")
    assert (status, err) == (0, "")
    assert out.startswith("other: 2 h, seed 7\n")
    assert out.endswith("no warnings, 3 notes, 10 ok\n")
    warm = ("--set", "sites.dallas.cooling.chillers=0")
    assert [run("check", SMALL, *warm, *more)[0] for more in ([], ["--strict"])] == [0, 1]


def test_check_prints_json_and_nothing_else(run):
    status, out, err = run("check", SMALL, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["counts"] == {"warning": 0, "note": 3, "ok": 10}


def test_help_of_a_topic_and_of_a_command(run):
    status, out, _ = run("help", "metric", "pue")
    assert (status, out.splitlines()[0]) == (0, "pue")
    assert run("help", "run")[1] == run("run", "--help")[1]
    assert run("help", "--markdown")[1].count("\n## ") > 30
    assert run("help", "units", "time", "--markdown")[1].startswith("## Units\n")


def test_catalog_prints_json_of_what_is_shown(run):
    assert json.loads(run("catalog", "--json")[1])["gpu"][0] == "a100-40-sxm"
    sheet = json.loads(run("catalog", "gpu", "h100-sxm", "--json")[1])
    assert sheet["numbers"]["tdp_w"]["value"] == 700.0
    used = json.loads(run("catalog", "--used", SMALL, "--json")[1])
    assert ("gpu", "h100-sxm") in {(sheet["kind"], sheet["name"]) for sheet in used}


def test_a_run_may_do_without_its_page(run, simulated):
    assert run("run", SMALL, "--no-report") == (0, "", "")
    assert simulated.options["report"] is False


def test_a_failed_expectation_is_exit_1_after_the_summary(run, simulated):
    status, out, err = run("run", SMALL, "--set", "expect.goodput_frac=> 0.95")
    place = "--set expect.goodput_frac=> 0.95: expect.goodput_frac = > 0.95"
    assert (status, out, err) == (1, "", f"error: {place}: came out as 0.9\n")
    assert [run.folder for run in simulated.shown] == [Path("runs/x")]


def test_an_interrupted_run_is_exit_130_and_says_where_it_lies(run, simulated):
    simulated.status = "interrupted"
    message = "error: interrupted, what was simulated lies in runs/x\n"
    assert run("run", SMALL) == (130, "", message)


@pytest.mark.parametrize(
    ("raised", "status", "message"),
    [
        (ScenarioError("a.yaml:1: one", "a.yaml:2: two"), 2, "a.yaml:1: one\nerror: a.yaml:2: two"),
        (InputError("x.epw: no rows"), 2, "x.epw: no rows"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device"),
        (OSError(errno.EACCES, "Permission denied", "/runs"), 2, "/runs: Permission denied"),
        (InvariantError(5, "gpu", 3, "too hot"), 3, "t = 5 ns, gpu[3]: too hot"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_lines_and_an_exit_code(run, simulated, raised, status, message):
    def effect():
        raise raised

    simulated.effect = effect
    code, out, err = run("run", SMALL)
    assert (code, out, err.strip()) == (status, "", f"error: {message}")


def test_a_fault_of_ours_is_one_line_with_its_place(run, simulated):
    simulated.effect = lambda: 1 / 0
    status, out, err = run("run", SMALL)
    assert (status, out) == (3, "")
    assert err.startswith("error: a fault of dcsim at cli.py:")
    assert err.endswith(": ZeroDivisionError: division by zero\n")


def test_a_fault_inside_a_library_names_the_line_of_dcsim(run, simulated):
    simulated.effect = lambda: units.show(None, "W")
    _, _, err = run("run", SMALL)
    assert err.startswith("error: a fault of dcsim at units.py:")


def test_an_empty_folder_is_refused(run, simulated):
    status, out, err = run("run", SMALL, "--out", "")
    assert (status, out) == (2, "")
    assert "--out" in err
    assert "allowed the path of a folder" in err


def test_schema_prints_the_json_schema(run):
    status, out, err = run("schema")
    assert (status, err) == (0, "")
    assert "sites" in json.loads(out)["properties"]


def test_version(run):
    assert run("--version") == (0, f"dcsim {dcsim.__version__}\n", "")


def test_no_command_is_the_help(run):
    status, out, err = run()
    assert (status, err) == (0, "")
    assert out == run("--help")[1]
    assert out.startswith("Usage: dcsim ")


@pytest.mark.parametrize("command", ["", *cli.commands.commands])
def test_every_help_has_an_example(run, command):
    status, out, _ = run(*filter(None, [command]), "--help")
    assert status == 0
    assert f"Example: dcsim {command}" in out


def test_a_process_exits_with_the_code_and_without_a_traceback():
    code = "from dcsim.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "missing.yaml"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: missing.yaml: no such file\n"


FIRST = str(Path(__file__).parents[1] / "scenarios" / "first.yaml")


@pytest.mark.parametrize("arguments", [["schema"], ["run", FIRST, "--set", "duration=60 s"]])
def test_a_reader_that_is_gone_ends_it_quietly_with_the_run_whole(arguments, tmp_path):
    code = "from dcsim.cli import main; main()"
    out = ["--out", str(tmp_path / "run")] if arguments[0] == "run" else []
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", code, *arguments, *out]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")
    if out:
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "done"
        assert (tmp_path / "run" / "summary.json").exists()


def test_commands_leave_the_signals_of_their_process_alone(run, simulated):
    before = signal.getsignal(signal.SIGPIPE)
    simulated.effect = lambda: handlers.append(signal.getsignal(signal.SIGPIPE))
    handlers = []
    run("run", SMALL)
    assert handlers == [signal.SIG_IGN]
    assert signal.getsignal(signal.SIGPIPE) == before


def test_help_is_quick():
    code = (
        "import time; t = time.perf_counter()\n"
        "try:\n    from dcsim.cli import main; main(['--help'])\n"
        "finally:\n    print(time.perf_counter() - t)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert min(float(run.stdout.split()[-1]) for run in runs) < 0.15


def test_the_list_of_commands_cuts_nothing_off(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in run("--help")[1].partition("Commands:")[2]


@pytest.mark.parametrize("arguments", [["report", "a\n\x1b[31mb"], ["export", "run"]])
def test_a_fault_is_one_printable_line(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.endswith("\n")
    assert err[:-1].isprintable()


def test_a_terminal_of_no_width_is_one_of_an_unknown_width(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    assert "pdu-225kva" in run("catalog", "pdu")[1]


def test_a_stream_that_lacks_a_letter_gets_its_code():
    code = "from dcsim.cli import main; main(['validate'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "40"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
