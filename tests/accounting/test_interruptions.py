import math

import pytest

from dcsim.accounting import summarise
from dcsim.accounting.interruptions import interruptions, stops
from dcsim.accounting.waits import waits
from tests.accounting.handmade import HOUR_NS, Event, Job, Segment, Site, running, write_run
from tests.accounting.storms import storm


def twice(folder, **parts):
    """A failure, a second one while the job restarts, then planned work that lasts to the end."""
    events = [
        Event(1, "fail", detail={"cause": "gpu"}, thing="gpu", row=3, job=-1),
        Event(1, "job_interrupted", value=1, cause=0),
        Event(1, "job_rollback", value=25, cause=1),
        Event(1.5, "fail", detail={"cause": "nic"}, thing="node", row=1, job=-1),
        Event(1.5, "job_interrupted", value=1, cause=3),
        Event(3, "job_resumed", cause=4),
        Event(4, "maintenance", thing="node", job=-1),
        Event(4, "job_interrupted", value=0, cause=6),
    ]
    segments = [
        running(0, 1, 16, 100),
        Segment(1, 1.25, "detecting", 16, cause=1),
        Segment(1.25, 1.5, "restoring", 16, cause=1),
        Segment(1.5, 1.75, "detecting", 16, cause=4),
        Segment(1.75, 2, "detecting", 16, cause=4),
        Segment(2, 3, "waiting_for_nodes", 16, cause=4),
        running(3, 3.5, 16, 50, cause=4),
        Segment(3.5, 3.75, "checkpointing", 16, cause=4),
        running(3.75, 4, 16, 25, cause=4),
        Segment(4, 5, "maintenance", 16, cause=7),
    ]
    whole = {"end_h": 5, "sites": [Site(32)], "jobs": [Job(16)]}
    return write_run(folder, **(whole | {"segments": segments, "events": events} | parts))


def test_what_each_interruption_cost(tmp_path):
    first, second, planned = found = interruptions(twice(tmp_path / "run"))
    assert stops(found) == found
    assert (first.event_id, first.t_ns, first.until_ns) == (1, HOUR_NS, 1.5 * HOUR_NS)
    assert (first.job, first.cause, first.component) == ("job-0", "gpu", "gpu")
    assert (first.thing, first.unexpected, first.lost_steps) == ("site-0/gpu/3", True, 25)
    assert first.lost_gpu_s == 16 * 3600 * (0.5 + 0.25)
    assert first.share == (0.5 + 0.25) / 10
    assert (second.thing, second.until_ns, second.lost_steps) == ("site-0/node/1", 3 * HOUR_NS, 0)
    assert second.lost_gpu_s == 16 * 3600 * 1.5
    assert (planned.cause, planned.thing, planned.unexpected) == ("planned work", "site-0", False)
    assert (planned.until_ns, planned.share) == (5 * HOUR_NS, 1 / 10)


def test_planned_work_on_several_nodes_stops_a_job_once(tmp_path):
    events = [
        Event(1, "maintenance", thing="node", job=-1),
        *(Event(1, "down", thing="node", row=row, cause=0, job=-1) for row in range(3)),
        *(Event(1, "job_interrupted", value=0, cause=down) for down in (1, 2, 3)),
        Event(3, "maintenance", thing="node", job=-1),
        Event(3, "job_interrupted", value=0, cause=7),
    ]
    segments = [
        running(0, 1, 16, 100),
        Segment(1, 2, "maintenance", 16, cause=6),
        running(2, 3, 16, 100, cause=6),
        Segment(3, 3.5, "maintenance", 16, cause=8),
        running(3.5, 5, 16, 100, cause=8),
    ]
    found = interruptions(twice(tmp_path / "run", events=events, segments=segments))
    assert len(found) == 4
    first, second = stops(found)
    assert (first.event_id, first.t_ns, first.until_ns) == (4, HOUR_NS, 2 * HOUR_NS)
    assert (first.lost_gpu_s, first.share) == (16 * 3600, 1 / 10)
    assert (second.t_ns, second.until_ns) == (3 * HOUR_NS, 3.5 * HOUR_NS)


def test_one_that_the_end_cut_short_has_no_length(tmp_path):
    events = [Event(1, "job_interrupted", value=1)]
    (only,) = interruptions(twice(tmp_path / "run", events=events, segments=[], end_h=1))
    assert (only.t_ns, only.until_ns, only.lost_gpu_s) == (HOUR_NS, HOUR_NS, 0)
    assert only.cause == "job_interrupted"


@pytest.mark.parametrize("seed", range(4))
def test_all_that_is_lost_belongs_to_an_interruption(tmp_path, seed):
    run = storm(tmp_path / "run", seed)
    found = interruptions(run)
    assert [one.t_ns for one in found] == sorted(one.t_ns for one in found)
    unexpected = sum(one.unexpected for one in found)
    summary = summarise(run)
    assert summary.metrics["interruption_count"].value == unexpected
    shares = dict(summary.waterfall)
    stopped = math.fsum(shares[name] for name in ("detection", "waiting_for_nodes", "restart"))
    start_h = sum(gpus * 1.0 for gpus in (8, 16, 8))
    stopped_s = math.fsum(one.lost_gpu_s for one in found) - redone_s(run)
    assert stopped_s == pytest.approx((stopped * 48 * 73.7 - start_h) * 3600, rel=1e-9)


def redone_s(run):
    """GPU-time of the steps that rollbacks took, from the tables alone."""
    jobs, events, kinds = run.columns("job"), run.columns("events"), run.columns("dim_event_kind")
    rollback = kinds["event_kind_id"][kinds["name"] == "job_rollback"][0]
    total_s = 0.0
    for row in (events["event_kind_id"] == rollback).nonzero()[0]:
        ended = (jobs["job_id"] == events["job_id"][row]) & (jobs["t_ns"] == events["t_ns"][row])
        (segment,) = ended.nonzero()[0]
        length_s = (jobs["t_ns"][segment] - jobs["t_start_ns"][segment]) * 1e-9
        part = events["value"][row] / jobs["steps"][segment]
        total_s += jobs["gpus_allocated_count"][segment] * length_s * part
    return total_s


def test_who_waited_for_what(tmp_path):
    found = waits(twice(tmp_path / "run"))
    assert [(one.state, one.cause, one.count, one.total_s / 3600) for one in found] == [
        ("waiting_for_nodes", "nic", 1, 1),
        ("maintenance", "planned work", 1, 1),
        ("detecting", "nic", 1, 0.5),
        ("detecting", "gpu", 1, 0.25),
        ("restoring", "gpu", 1, 0.25),
        ("checkpointing", "planned work", 1, 0.25),
    ]
    assert all(one.gpu_s == 16 * one.total_s and one.job == "job-0" for one in found)


def test_a_queue_holds_no_gpus(tmp_path):
    segments = [
        running(0, 2, 16, 5),
        Segment(1, 2, "queued", job=1),
        Segment(2, 3, "starting", 16, job=1),
    ]
    run = write_run(tmp_path / "run", end_h=3, jobs=[Job(16), Job(16)], segments=segments)
    queued, starting = waits(run)
    assert (queued.job, queued.state, queued.cause) == ("job-1", "queued", "nodes")
    assert (queued.total_s, queued.gpu_s) == (3600, 0)
    assert (starting.cause, starting.gpu_s) == ("unknown", 16 * 3600)


@pytest.mark.parametrize("seed", range(4))
def test_waits_and_running_make_up_the_time_of_each_job(tmp_path, seed):
    run = storm(tmp_path / "run", seed)
    table, states = run.columns("job"), run.columns("dim_job_state")
    running_id = states["job_state_id"][states["name"] == "running"][0]
    for job in range(3):
        still = (table["job_id"] == job) & (table["job_state_id"] != running_id)
        length_s = (table["t_ns"] - table["t_start_ns"])[still].sum() * 1e-9
        found = [one.total_s for one in waits(run) if one.job == f"job-{job}"]
        assert math.fsum(found) == pytest.approx(length_s, rel=1e-12)


def test_no_job_no_wait(tmp_path):
    run = write_run(tmp_path / "run", end_h=3)
    assert waits(run) == []
    assert interruptions(run) == []
