import io
import re
import time

import pytest
from rich.console import Console

from dcsim.report.progress import announce, progress

DAY_NS = 86_400 * 10**9
NUMBERS = {"goodput_frac": 0.931, "gpus_up": 199_120, "power_w": 189e6}


class Wall:
    """A wall clock that a test sets."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def wall(monkeypatch):
    clock = Wall()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def terminal(width=80):
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


def test_a_short_run_shows_nothing(wall):
    console = terminal()
    with progress(DAY_NS, console=console) as show:
        wall.now_s += 1.9
        show(DAY_NS // 2, **NUMBERS)
    assert console.file.getvalue() == ""


def test_a_long_run_shows_time_speed_eta_and_numbers_so_far(wall):
    console = terminal(120)
    with progress(54 * DAY_NS, console=console) as show:
        wall.now_s += 10
        show(18 * DAY_NS, **NUMBERS)
        text = console.file.getvalue()
    for part in (
        "18 d 00:00",
        "33%",
        "43.2 h/s",
        "ETA 0:20",
        "goodput 93.1%",
        "199,120 GPUs",
        "189 MW",
    ):
        assert part in text


def test_it_fits_80_columns(wall):
    console = terminal(80)
    with progress(54 * DAY_NS, console=console) as show:
        wall.now_s += 100
        show(18 * DAY_NS + 17 * 10**9, **NUMBERS)
        text = console.file.getvalue()
    line = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert line.startswith("33%")
    assert line.endswith("189 MW")
    assert len(line) <= 80


def test_it_is_drawn_ten_times_a_second_at_most(wall, monkeypatch):
    console = terminal()
    drawn = []
    with progress(DAY_NS, console=console) as show:
        monkeypatch.setattr(show._live, "update", lambda *_, **state: drawn.append(state))
        for step in range(400):
            wall.now_s += 0.01
            show(step, **NUMBERS)
    assert 18 <= len(drawn) <= 21


def test_before_a_job_starts_there_is_no_goodput(wall):
    console = terminal()
    with progress(DAY_NS, console=console) as show:
        wall.now_s += 3
        show(0, goodput_frac=None, gpus_up=16, power_w=0.0)
        text = console.file.getvalue()
    assert "16 GPUs" in text
    assert "goodput" not in text


@pytest.mark.parametrize("options", [{"quiet": True}, {"console": Console(file=io.StringIO())}])
def test_quiet_or_piped_it_says_nothing(wall, options, capsys):
    with progress(DAY_NS, **options) as show:
        wall.now_s += 10
        show(DAY_NS // 2, **NUMBERS)
    assert capsys.readouterr() == ("", "")
    assert "console" not in options or options["console"].file.getvalue() == ""


def fail_after_three_seconds(console, wall):
    with progress(DAY_NS, console=console) as show:
        wall.now_s += 3
        show(1, **NUMBERS)
        raise KeyError


def test_the_line_goes_when_the_run_fails(wall):
    console = terminal()
    with pytest.raises(KeyError):
        fail_after_three_seconds(console, wall)
    erase_line, show_cursor = "\x1b[2K", "\x1b[?25h"
    end = console.file.getvalue().rpartition("W")[2]
    assert erase_line in end
    assert show_cursor in end


def test_a_call_that_draws_nothing_is_cheap():
    with progress(DAY_NS, console=terminal()) as show:
        begin = time.perf_counter()
        for _ in range(10_000):
            show(1, **NUMBERS)
        assert (time.perf_counter() - begin) / 10_000 < 20e-6


def test_the_line_begins_with_which_run_of_several_it_is(wall):
    console = terminal(120)
    with progress(DAY_NS, label="range 3/12 gpu-low", console=console) as show:
        wall.now_s += 10
        show(DAY_NS // 2, **NUMBERS)
    assert "range 3/12 gpu-low  50%" in console.file.getvalue()


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (12, "Range: 12 more runs of about 45 s each, 9 min in all; Ctrl-C keeps what is done\n"),
        (1, "Range: 1 more run of about 45 s each, 45 s in all; Ctrl-C keeps what is done\n"),
    ],
)
def test_a_range_says_before_it_starts_how_long_it_will_take(count, said):
    console = Console(file=io.StringIO(), width=80)
    announce(count, 45.0, console)
    assert console.file.getvalue() == said
