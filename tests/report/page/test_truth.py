"""What a page says is what the trace says, however large the run."""

import numpy as np
import pytest

from dcsim.accounting import summarise
from dcsim.report.page import document
from dcsim.report.page.distributions import distributions
from dcsim.report.page.document import BYTES_MAX, page, write_page
from dcsim.report.page.energy import efficiency, flows
from dcsim.report.page.figures import TimeAxis
from dcsim.report.page.floor import floor, read_frames
from dcsim.report.page.reading import read, with_detail
from dcsim.report.page.timeline import timeline
from dcsim.trace import Run
from tests.accounting.handmade import HOUR_NS, Event, Job, Segment, running, write_run


def reading_of(run):
    return read(run, summarise(run))


def hotter(reading, most_c):
    """The same reading of a run whose hottest GPU was this hot between two rows."""
    metrics = dict(reading.summary.metrics)
    metrics["gpu_temp_c_max"] = metrics["gpu_temp_c_max"]._replace(value=most_c)
    return reading._replace(summary=reading.summary._replace(metrics=metrics))


def test_the_row_at_the_start_says_nothing_of_power(first):
    run = Run(first)
    racks, rows = run.columns("dim_rack"), run.columns("rack")
    frames = read_frames(run, racks, run.end_ns, 10**6)
    times = np.unique(rows["t_ns"])
    assert times[0] == 0
    assert frames.temp_c.shape == (times.size - 1, 2)
    for rack in (0, 1):
        power_w = rows["power_w"][rows["rack_id"] == rack]
        assert frames.power_w[0, rack] == pytest.approx(power_w[1])
        mean_w = power_w @ np.diff(times, prepend=0) / times[-1]
        assert frames.power_w_mean[rack] == pytest.approx(mean_w)


def test_a_gpu_that_was_hotter_between_two_rows_is_told(first):
    reading = reading_of(Run(first))
    assert "Between" not in floor(reading).answer
    assert "though" not in distributions(reading)[0].answer
    told = hotter(reading, 95.06)
    assert floor(told).answer.endswith(" Between those instants a GPU reached 95.1 °C.")
    assert distributions(told)[0].answer.endswith("though between two rows a GPU reached 95 °C.")


def test_a_run_without_water_says_so(first):
    reading = reading_of(Run(first))
    answer = efficiency(reading, TimeAxis(reading.run.end_ns)).answer
    assert answer == (
        "PUE of 1.32 in every hour. No water was used: nothing here evaporates or drains any, "
        "so WUE is 0."
    )


def test_what_batteries_take_leaves_the_meter(tmp_path):
    rows = [
        {
            "at_h": 1,
            "it_power_w": 8e3,
            "gpu_power_w": 8e3,
            "cooling_power_w": 1e3,
            "loss_power_w": 1e3,
            "battery_power_w": -2e3,
            "site_power_w": 12e3,
        }
    ]
    reading = reading_of(write_run(tmp_path / "run", end_h=1, site_rows=rows))
    boxes = flows(reading).figures[0].renderers[1].data_source.data["label"]
    assert "meter 12 kWh, 120.0%" in boxes
    assert "into batteries 2 kWh, 20.0%" in boxes


def test_planned_work_on_several_nodes_is_one_stop_in_words(tmp_path):
    events = [
        Event(1, "maintenance", thing="node", job=-1),
        *(Event(1, "job_interrupted", value=0, cause=0) for _ in range(4)),
        Event(3, "job_interrupted", value=1),
    ]
    segments = [
        running(0, 1, 16, 10),
        Segment(1, 2, "maintenance", 16, cause=4),
        running(2, 3, 16, 10),
        Segment(3, 4, "detecting", 16, cause=5),
    ]
    parts = {"jobs": [Job(16)], "segments": segments, "events": events}
    reading = reading_of(write_run(tmp_path / "run", end_h=4, **parts))
    section = timeline(reading, TimeAxis(reading.run.end_ns))[0]
    assert section.answer.endswith(" 1 planned stop cost 25%.")
    assert {row[2] for row in section.table.rows} == {"planned work", "not recorded"}
    assert len(section.table.rows) == 2


def test_a_page_that_would_be_too_large_draws_less(dead, monkeypatch):
    run = Run(dead)
    reading = reading_of(run)
    one = reading.interruptions[0]
    count = 40_000
    many = [
        one._replace(event_id=i, t_ns=i * HOUR_NS // count, thing=f"{'x' * 900}/gpu/{i}")
        for i in range(count)
    ]
    large = reading._replace(interruptions=many)
    assert len(page(large).encode()) > BYTES_MAX
    assert len(page(with_detail(large, 1 / 4)).encode()) < BYTES_MAX
    monkeypatch.setattr(document, "read", lambda *_: large)
    before = (dead / "report.html").read_bytes()
    path = write_page(run, reading.summary)
    size = path.stat().st_size
    path.write_bytes(before)
    assert size < BYTES_MAX


def test_fewer_bins_still_add_up(dead):
    reading = reading_of(Run(dead))
    thin = with_detail(reading, 1 / 100)
    assert thin.at_ns.size == 11
    assert thin.at_ns[-1] == reading.at_ns[-1]
