import json
import subprocess
import sys

import pytest

from dcsim.cli import main


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def test_report_accounts_again_and_prints_the_summary(first, capsys):
    summary, page = first / "summary.json", first / "report.html"
    before = summary.read_text(), page.stat().st_mtime_ns
    summary.write_text("{}")
    assert run("report", first) == 0
    assert summary.read_text() == before[0]
    assert page.stat().st_mtime_ns > before[1]
    assert capsys.readouterr().out.startswith("Of the peak of 64 H100-SXM")


def test_report_prints_json_alone_or_nothing(first, capsys):
    assert run("report", first, "--json") == 0
    assert json.loads(capsys.readouterr().out)["goodput_frac"]["value"] > 0.9
    assert run("report", first, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_report_of_what_is_no_run_says_so(tmp_path, capsys):
    assert run("report", tmp_path) == 2
    assert "no run folder" in capsys.readouterr().err


def test_the_same_run_gives_the_same_page(first, tmp_path):
    pages = []
    for _ in range(2):
        command = "import sys; from dcsim.cli import main; main(sys.argv[1:])"
        arguments = [sys.executable, "-c", command, "report", str(first), "--quiet"]
        subprocess.run(arguments, check=True)
        pages.append((first / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_help_stays_light():
    code = "import sys; from dcsim.cli import commands; print('bokeh' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"
