import io
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from dcsim.accounting import summarise
from dcsim.accounting.waterfall import WATERFALL
from dcsim.report import print_summary, sentence
from dcsim.report.words import COLOURS, cause_words, clock
from tests.accounting.handmade import HOUR_NS, Event, Job, Segment, Site, running, write_run
from tests.accounting.test_ranges import ranged
from tests.accounting.test_summary import day_with_a_failure

BAR_COLUMNS = 22  # of the longest at 80 columns


def screen(run, width=80, **options):
    file = io.StringIO()
    print_summary(run, summarise(run), Console(file=file, width=width, **options))
    return file.getvalue()


def full_day(folder, **changes):
    """A run in which every bar of the waterfall has a length."""
    states = ("starting", "detecting", "waiting_for_nodes", "checkpointing", "maintenance")
    segments = [Segment(at, at + 1, state, 20_000) for at, state in enumerate(states)]
    factors = {name: 0.5 for name in WATERFALL[7:] if name != "useful"}
    segments.append(running(5, 20, 20_000, 100, **factors))
    events = [Event(20, "job_rollback", value=20)]
    for cause in (
        "gpu-memory",
        "network-switch-or-cable",
        "host-maintenance",
        "nic",
        "a",
        "b",
        "c",
    ):
        events.append(Event(20, "fail", detail={"cause": cause}))
        events.append(Event(20, "job_interrupted", value=1, cause=len(events) - 1))
    parts = {
        "end_h": 24,
        "sites": [Site(20_000, gpu="h100"), Site(4_000, gpu="a100")],
        "jobs": [Job(20_000)],
        "segments": segments,
        "events": events,
    }
    return write_run(folder / "run", **(parts | changes))


@pytest.mark.parametrize("width", [80, 200])
def test_all_fits_one_screen(tmp_path, width):
    run = full_day(tmp_path, status="interrupted")
    lines = screen(run, width).splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines[:-1])) <= min(width, 120)
    assert lines[-1] == f"Run: {run.folder}"
    for name in WATERFALL:
        assert any(line.startswith(name.replace("_", " ").replace("gpu", "GPU")) for line in lines)


def test_bars_are_as_long_as_their_share(tmp_path):
    lines = screen(full_day(tmp_path)).splitlines()
    shares = {share.name: share.value for share in summarise(full_day(tmp_path / "b")).waterfall}
    for name in ("detection", "not_allocated"):
        line = next(line for line in lines if line.startswith(name.replace("_", " ")))
        length = line.count("█")
        assert abs(length - BAR_COLUMNS * shares[name] / max(shares.values())) <= 1


def test_the_five_largest_losses_name_their_causes(tmp_path):
    run = full_day(tmp_path)
    summary = summarise(run)
    for width, least in ((80, 1), (200, 2)):
        lines = screen(run, width).splitlines()
        for place in summary.losses:
            words = place.place.replace("_", " ").replace("gpu", "GPU")
            line = next(line for line in lines if line.startswith(words))
            known = [cause_words(c.cause) for c in place.causes if c.cause != "model"]
            named = [cause for cause in known if cause in line[50:]]
            assert len(named) >= min(least, len(known)), line
    bars = [line for line in screen(run).splitlines() if "█" in line or "▏" in line]
    named = [p for p in summary.losses if any(c.cause != "model" for c in p.causes)]
    assert 0 < len(named) < 5
    assert len([line for line in bars if len(line) > 29 + BAR_COLUMNS]) == len(named)


def test_the_terminal_says_nothing_where_no_event_caused_a_loss(tmp_path):
    text = screen(full_day(tmp_path))
    assert "no event" not in text
    assert "model" not in text


def test_two_kinds_of_one_cause_are_named_once(tmp_path):
    events = [
        Event(1, "maintenance", thing="node", job=-1),
        Event(1, "job_interrupted", value=0, cause=0),
    ]
    segments = [
        running(0, 1, 16, 10),
        Segment(1, 2, "maintenance", 16, cause=1),
        Segment(2, 3, "evaluating", 16),
        running(3, 4, 16, 10),
    ]
    parts = {"jobs": [Job(16)], "segments": segments, "events": events}
    lines = screen(write_run(tmp_path / "run", end_h=4, **parts)).splitlines()
    assert next(line for line in lines if line.startswith("maintenance")).endswith(
        "planned work 50.0%"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("job_rollback", "not recorded"),
        ("out_of_range", "out of range"),
        ("hot", "heat"),
        ("gpu-sram", "gpu-sram"),
        ("no job", "unused"),
    ],
)
def test_causes_are_words(name, words):
    assert cause_words(name) == words


def test_the_last_line_says_where_the_page_lies(tmp_path):
    run = full_day(tmp_path)
    (run.folder / "report.html").touch()
    assert screen(run).splitlines()[-1] == f"Report: {run.folder / 'report.html'}"


def test_no_colour_and_no_trailing_space_in_a_pipe(tmp_path):
    text = screen(full_day(tmp_path))
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert "\x1b" in screen(full_day(tmp_path / "b"), force_terminal=True)


def test_a_terminal_without_utf_8_gets_plain_bars(tmp_path):
    run = full_day(tmp_path)
    code = "import sys; from dcsim import Run; Run(sys.argv[1]).show()"
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.folder)], capture_output=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert b"useful" in done.stdout
    assert b"###" in done.stdout


def test_the_sentence_says_what_came_out(tmp_path):
    run = day_with_a_failure(tmp_path)
    assert sentence(run, summarise(run)) == (
        "Of the peak of 32 H100, 18% became useful training: 1.8 G tokens in 1 d. "
        "64% of what was lost went to GPUs that no job held."
    )


def test_warnings_are_lines_of_their_own_as_many_as_there_is_room_for(tmp_path):
    feeds = [
        Event(at_h, "down", detail={"reason": "overload"}, thing="feed", row=2) for at_h in (1, 2)
    ]
    parts = [*feeds, Event(3, "down", detail={"reason": "no facility water"}, thing="cdu", row=0)]
    for count in (1, 2, 3):
        run = write_run(tmp_path / str(count), end_h=4, events=parts[:count])
        lines = [line for line in screen(run).splitlines() if line.startswith("Warning")]
        times = ", 2 times" if count > 1 else ""
        assert lines[0] == f"Warning: site-0/feed/2 went down: overload (01:00:00{times})"
        assert len(lines) == max(count - 1, 1)
    state = {"state": "loop.supply_c", "low": 5.0, "high": 60.0}
    parts.append(Event(4, "out_of_range", 61.0, detail=state, thing="site"))
    run = write_run(tmp_path / "many", end_h=4, events=parts)
    assert "Warning: 2 more in summary.json" in screen(run)


def test_one_token_is_no_tokens(tmp_path):
    jobs, segments = [Job(16, tokens_per_step=1.0)], [running(0, 1, 16, 1)]
    run = write_run(tmp_path / "run", end_h=1, jobs=jobs, segments=segments)
    assert "became useful training: 1 token in 1 h" in sentence(run, summarise(run))


def test_the_sentence_puts_common_parts_in_words(tmp_path):
    segments = [running(0, 1, 16, 1, throttling=0.25, power_cap=0.2, slow_gpus=0.05)]
    run = write_run(tmp_path / "run", end_h=1, jobs=[Job(16)], segments=segments)
    assert sentence(run, summarise(run)).endswith(
        "Half of what was lost went to thermal throttling."
    )


@pytest.mark.parametrize(
    ("status", "begin"),
    [
        ("interrupted", "Interrupted after 18 h of 1 d. Of the peak"),
        ("failed", "Failed after 18 h of 1 d. Of the peak"),
        ("running", "Cut short after 18 h of 1 d. Of the peak"),
    ],
)
def test_the_sentence_says_that_a_run_did_not_end(tmp_path, status, begin):
    run = write_run(tmp_path / "run", end_h=18, jobs=[Job(16)], segments=[running(0, 18, 16, 10)])
    run.record.update(status=status, duration_ns=24 * HOUR_NS)
    assert sentence(run, summarise(run)).startswith(begin)


def test_a_run_without_a_job_says_so(tmp_path):
    run = write_run(tmp_path / "run", end_h=30)
    text = screen(run)
    assert text.startswith("No job ran on 16 H100 in 30 h.")
    assert "not given" in text
    assert "What broke: nothing that interrupted a job" in text


def test_all_useful_has_no_largest_loss(tmp_path):
    segments = [running(0, 1, 16, 1)]
    run = write_run(tmp_path / "run", end_h=1, jobs=[Job(16)], segments=segments)
    assert sentence(run, summarise(run)).endswith("Nothing was lost.")


def test_extrapolation_is_said(tmp_path):
    assert "extrapolated: a job of more than 16,384 GPUs" in screen(full_day(tmp_path))
    assert "extrapolated" not in screen(day_with_a_failure(tmp_path / "b"))


def test_causes_are_cut_to_the_width_and_none_is_lost(tmp_path):
    run = full_day(tmp_path)
    for width in (60, 80, 100):
        line = next(line for line in screen(run, width).splitlines() if line.startswith("What"))
        assert len(line) <= width
        assert sum(map(int, re.findall(r" (\d+)", line))) == 7


def test_every_bar_has_a_colour():
    assert set(COLOURS) == set(WATERFALL)


@pytest.mark.parametrize(
    ("t_ns", "text"),
    [(0, "00:00:00"), (3_661 * 10**9, "01:01:01"), (1_048_440 * 10**9, "12 d 03:14")],
)
def test_times_read_as_people_write_them(t_ns, text):
    assert clock(t_ns) == text


def test_intervals_are_shown_where_they_are_known(tmp_path):
    run = ranged(tmp_path, {"gpu": ((900, 90.0), (1040, 130.0))})
    shown = screen(run).splitlines()
    begin = next(i for i, line in enumerate(shown) if line.startswith("Low to high"))
    assert shown[begin : begin + 2] == [
        "Low to high: goodput 100.0% to 100.0%, MFU 0.2% to 0.2%,",
        "tokens/d 2.16 G to 2.5 G, power 180 W to 260 W",
    ]
    assert "Low to high" not in screen(full_day(tmp_path / "other"))
