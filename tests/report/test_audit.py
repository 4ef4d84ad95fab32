"""An audit on a terminal, in a pipe and as JSON."""

import io
import json

import pytest
from rich.console import Console

from dcsim.report.audit import as_values, show_audit
from tests.audit.cases import SMALL, audited


@pytest.fixture(scope="module")
def found():
    return audited("sites.dallas.cooling.chillers=0")


def shown(found, width=80, **options):
    out = io.StringIO()
    show_audit(found, Console(file=out, width=width, **options))
    return out.getvalue()


def test_it_says_what_there_is_then_the_worst_then_how_much(found):
    lines = shown(found).splitlines()
    assert lines[0] == "small: 2 h, seed 7"
    assert lines[1].startswith("dallas: 64 gpu, 8 node, 2 rack, 1 cdu, 4 pump, 1 cooler, 0 chiller")
    assert lines[3] == "pretrain: 56 GPUs, tp 8 x pp 1 x dp 7, 1.43 s a step, at dallas"
    assert lines[4].startswith("warning  dallas at 38.6 degC outside (design day of dallas)")
    assert "(--set sites.dallas.cooling.chillers=0)" in " ".join(
        line.strip() for line in lines[4:8]
    )
    assert lines[-1] == "2 warnings, 2 notes, 9 ok"
    heads = [line.split()[0] for line in lines[4:-1] if not line.startswith(" ")]
    assert heads == sorted(heads, key=["warning", "note", "ok"].index)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_it_fits_the_terminal_and_names_a_line_for_each(found, width):
    lines = shown(found, width).splitlines()
    assert max(map(len, lines)) <= min(width, 100)
    assert "\x1b" not in "".join(lines)
    assert " ".join(lines).count("small.yaml:") >= 8


def test_colour_is_for_terminals(found):
    text = shown(found, force_terminal=True)
    assert "\x1b[1;33mwarning" in text


def test_json_has_the_same_with_numbers(found):
    values = json.loads(json.dumps(as_values(found), allow_nan=False))
    assert values["scenario"] == "small"
    assert values["sites"]["dallas"]["gpu"] == 64
    assert values["counts"] == {"warning": 2, "note": 2, "ok": 9}
    water = values["findings"][0]
    assert (water["severity"], water["topic"]) == ("warning", "water")
    assert water["path"] == "sites.dallas.cooling.chillers"
    assert water["numbers"]["supply_c"] > 38.6
    places = [finding["where"] for finding in values["findings"]]
    assert places.count("small.yaml") < len(places) / 2
    assert SMALL.name in places[1]
