import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest

from dcsim import load, simulate
from dcsim.accounting import summarise
from dcsim.accounting.ranges import Variation
from dcsim.accounting.waterfall import WATERFALL
from dcsim.report.page.reading import read, shares
from dcsim.report.page.sensitivity import sensitivity
from dcsim.trace import Run
from tests.accounting.handmade import Event, Job, Segment, Site, running, write_run
from tests.report.page.conftest import FIRST, page_of
from tests.report.page.reader import Page

BYTES_MAX = 3_000_000
QUESTIONS = {
    *("down", "power", "heat", "floor", "temperature", "clock", "failures", "between", "repairs"),
    *("waits", "energy", "pue", "network", "range", "sources", "scenario", "again"),
}
HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>\x00\x1b[31m$$x$$"


@pytest.fixture(scope="module")
def page(first) -> Page:
    return Page((first / "report.html").read_text(encoding="utf-8"))


def drawn(page: Page) -> dict[str, str]:
    """Place of each plot, by the id of its root."""
    text = next(s for s in page.scripts if s.startswith('{"docs"'))
    return json.loads(text)["roots"]


def test_a_page_is_one_well_formed_file_with_no_link_out(first, page):
    assert page.open == []
    assert page.mismatched == []
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data", "srcset"):
            assert attributes.get(name, "data:,") == "data:,", tag
    assert not re.search(r"@import|url\(", "".join(page.styles))
    assert (first / "report.html").stat().st_size < BYTES_MAX


def test_every_question_has_an_answer_and_its_plots_a_table(page):
    assert set(page.sections) >= QUESTIONS | {"waterfall", "numbers"}
    for key in QUESTIONS:
        tags = page.sections[key]
        assert [tag for tag, _ in tags].count("h2") == 1
        answers = [a for tag, a in tags if tag == "p" and a.get("class") == "answer"]
        assert len(answers) == 1, key
        plots = [a["id"] for tag, a in tags if a.get("class") == "plot"]
        is_empty = any(a.get("class") == "empty" for _, a in tags)
        assert plots or is_empty or key in ("sources", "scenario", "again", "floor"), key
        if plots:
            assert "table" in [tag for tag, _ in tags] or "none" in "".join(page.section_words[key])
        assert set(plots) <= set(drawn(page).values())


def test_no_plot_without_a_place_and_no_place_without_a_plot(page):
    places = {a["id"] for _, a in page.tags if a.get("class") == "plot"}
    assert places == set(drawn(page).values())


def test_numbers_on_the_page_are_those_of_the_summary(first, page):
    summary = json.loads((first / "summary.json").read_text())
    shown = {a["data-metric"]: a["data-value"] for _, a in page.tags if "data-metric" in a}
    assert list(shown) == ["goodput_frac", "mfu_frac", "tokens_per_day", "site_power_w_mean"]
    for name, value in shown.items():
        assert float(value) == summary[name]["value"]
    bars = {a["data-place"]: float(a["data-value"]) for _, a in page.tags if "data-place" in a}
    assert bars == {share["name"]: share["value"] for share in summary["waterfall"]}
    assert list(bars) == list(WATERFALL)
    for name in summary:
        if name not in ("waterfall", "interruption_causes", "warnings", "losses", "range"):
            assert name in page.section_words["numbers"], name


def test_every_metric_and_place_says_what_it_is(page):
    defined = [a["title"] for tag, a in page.tags if tag == "abbr"]
    assert len(defined) >= 4 + len(WATERFALL) + len(QUESTIONS)
    assert all(len(title) > 10 for title in defined)


def test_text_never_says_nan(first, dead):
    for folder in (first, dead):
        text = Page((folder / "report.html").read_text(encoding="utf-8")).text
        assert not re.search(r"\b(nan|NaN|inf|None)\b", text)


def test_the_title_is_the_sentence(page):
    begin = page.words.index(next(word for word in page.words if word.startswith("Of the peak")))
    assert page.words[begin].replace("\xa0", " ").startswith("Of the peak of 64 H100-SXM, 49%")


def test_a_run_that_lost_all_says_so(dead):
    page = Page((dead / "report.html").read_text(encoding="utf-8"))
    title = "All GPUs were down at the end. Nothing of the peak of 64 H100-SXM became useful"
    assert title in page.text
    assert "lab/feed/0" in page.text
    assert "dcsim why" in page.text


@pytest.mark.parametrize(
    ("overrides", "title"),
    [
        (["jobs=[]", "expect={}"], "No job ran on 64 H100-SXM in 1 h."),
        (["duration=2 min", "expect={}"], "Nothing of the peak of 64 H100-SXM became useful"),
        (["duration=1 s", "expect={}"], "Nothing of the peak of 64 H100-SXM became useful"),
    ],
)
def test_runs_with_little_in_them_have_a_page(tmp_path, overrides, title):
    folder = simulate(load(FIRST, overrides), out=tmp_path / "run").folder
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert title in page.text
    assert page.open == []
    assert not re.search(r"\b(nan|NaN|inf|None)\b", page.text)


def test_an_empty_plot_says_why(tmp_path):
    page = Page(page_of(write_run(tmp_path / "run", end_h=1).folder))
    reasons = [a for _, a in page.tags if a.get("class") == "empty"]
    assert len(reasons) >= 8
    assert "There was no job." in page.text


def test_a_run_that_was_killed_has_a_page(tmp_path):
    code = (
        "import sys; from pathlib import Path; from dcsim import load, simulate\n"
        "simulate(load(Path(sys.argv[1]), ['duration=300 d']), out=Path(sys.argv[2]))"
    )
    out = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", code, str(FIRST), str(out)])
    trace = out / "traces" / "site.arrow"
    for _ in range(600):
        if trace.exists() and trace.stat().st_size > 200_000:
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    page = Page(page_of(out))
    assert "Cut short after" in page.text
    assert len(drawn(page)) > 5


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_the_title_says_how_a_run_ended(tmp_path, status):
    jobs, segments = [Job(16)], [running(0, 5, 16, 5)]
    run = write_run(tmp_path / "run", end_h=5, jobs=jobs, segments=segments, status=status)
    assert f"{status.capitalize()} after 5 h of 5 h." in page_of(run.folder)


def rename(path, name):
    """Give all that a table names another name."""
    table = pa.ipc.open_file(path).read_all()
    names = pa.array([name] * table.num_rows)
    field = table.schema.field("name")
    table = table.set_column(table.schema.get_field_index("name"), field, names)
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)


def hostile_run(folder):
    """A run in which every text that a person may write is hostile."""
    failed = Event(1, "fail", detail={"cause": HOSTILE}, thing="gpu", row=3)
    run = write_run(
        folder,
        end_h=3,
        sites=[Site(16, gpu=HOSTILE)],
        jobs=[Job(16)],
        segments=[
            running(0, 1, 16, 10),
            Segment(1, 2, "detecting", 16, cause=1),
            running(2, 3, 16, 10),
        ],
        events=[failed, Event(1, "job_interrupted", value=1, cause=0)],
        site_rows=[{"at_h": h, "hot_c": {50: 16}, "it_power_w": 1e4} for h in (1, 2, 3)],
    )
    for table in ("dim_site", "dim_job"):
        rename(run.folder / "traces" / f"{table}.arrow", HOSTILE)
    record = json.loads((run.folder / "run.json").read_text())
    record |= {"name": HOSTILE, "scenario": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    record["sources"] = [
        dict.fromkeys(("path", "unit", "source", "basis"), HOSTILE) | {"value": 1.0, "year": 1}
    ]
    (run.folder / "run.json").write_text(json.dumps(record))
    return run.folder


def test_nothing_that_people_write_becomes_markup(tmp_path):
    page = Page(page_of(hostile_run(tmp_path / "run")))
    assert page.open == []
    assert page.mismatched == []
    assert "img" not in {tag for tag, _ in page.tags}
    assert not [name for _, a in page.tags for name in a if name.startswith("on")]
    codes = [s for s in page.scripts if not s.startswith("{")]
    assert len(codes) == 2  # the library and what makes the page move
    assert not [code for code in codes if "alert(" in code and "alert(1)" in code]
    assert "alert(2)" in page.text
    assert "\x00" not in page.text
    assert "\x1b" not in page.text


def test_the_bins_of_the_timeline_add_up_to_the_waterfall(dead):
    run = Run(dead)
    summary = summarise(run)
    reading = read(run, summary)
    by_bin = shares(reading)
    assert by_bin.sum(axis=1) == pytest.approx(np.ones(reading.at_ns.size - 1))
    weights = np.diff(reading.at_ns) / run.end_ns
    for total, share in zip(weights @ by_bin, summary.waterfall, strict=True):
        assert total == pytest.approx(share.value, abs=1e-9)


def test_what_each_group_does_to_the_headline_is_drawn_widest_first(first):
    run = Run(first)
    summary = summarise(run)
    own = {name: metric.value for name, metric in summary.metrics.items()}
    variations = tuple(
        Variation(group, level, "", own | {"mfu_frac": mfu})
        for group, level, mfu in (
            *(("gpu", "low", 0.48), ("gpu", "high", 0.5)),
            *(("recovery", "low", 0.6), ("recovery", "high", 0.2)),
        )
    )
    found = sensitivity(read(run, summary._replace(variations=variations)))
    assert found.answer.startswith("Most of all recovery: it alone takes MFU from ")
    assert found.answer.endswith(" to 20.0% or 60.0%.")
    (plot,) = found.figures
    data = plot.renderers[0].data_source.data
    assert data["label"] == ["recovery", "GPU"]
    assert data["low"] == pytest.approx([20.0, 48.0])
    assert data["high"][0] == pytest.approx(60.0)
    assert next(row[:2] for row in found.table.rows) == ("GPU", "low")


def test_without_a_range_the_page_says_how_to_get_one(first):
    run = Run(first)
    found = sensitivity(read(run, summarise(run)))
    assert (found.answer, found.figures) == ("Not computed.", ())
    assert "--range" in found.empty
