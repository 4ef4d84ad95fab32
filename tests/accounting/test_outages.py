import pytest

from dcsim.accounting.losses import losses
from dcsim.accounting.outages import outages
from tests.accounting.handmade import HOUR_NS, Event, Job, Segment, Site, running, write_run


def node(at, kind, row, cause=-1, job=-1, site=0, **detail):
    return Event(at, kind, 0, cause, detail, job, "node", row, site)


def stop(at, cause, value=1):
    return Event(at, "job_interrupted", value, cause, thing="job")


def hours_out(events, end_h=10):
    """Root, begin and end in hours of each outage."""

    def of(folder):
        run = write_run(
            folder, end_h=end_h, sites=[Site(64), Site(64)], jobs=[Job(32)], events=events
        )
        return [(one.root, one.from_ns / HOUR_NS, one.until_ns / HOUR_NS) for one in outages(run)]

    return of


FAIL = Event(1, "fail", detail={"cause": "gpu"}, thing="gpu", row=9, job=-1)


def test_a_free_node_is_out_until_it_is_up(tmp_path):
    events = [FAIL, node(1, "down", 1, 0), node(4, "up", 1), node(6, "down", 1)]
    assert hours_out(events)(tmp_path / "run") == [(0, 1, 4), (3, 6, 10)]


def test_a_node_that_fails_while_it_boots_begins_anew(tmp_path):
    events = [FAIL, node(1, "down", 1, 0), node(3, "down", 1), node(5, "up", 1)]
    assert hours_out(events)(tmp_path / "run") == [(0, 1, 3), (2, 3, 5)]


def test_a_seat_is_the_jobs_until_another_node_takes_it(tmp_path):
    events = [
        FAIL,
        node(1, "down", 1, 0),
        stop(1, 1),
        node(2, "node_replaced", 7, 2, job=0, left="site-0/node/1"),
        Event(3, "job_resumed", cause=2),
        node(8, "up", 1),
    ]
    assert hours_out(events)(tmp_path / "run") == [(0, 2, 8)]


def test_a_node_that_is_up_before_its_seat_is_taken_was_never_free(tmp_path):
    events = [
        FAIL,
        node(1, "down", 1, 0),
        stop(1, 1),
        node(2, "up", 1),
        node(3, "node_replaced", 1, 2, job=0, left="site-0/node/1"),
    ]
    assert hours_out(events)(tmp_path / "run") == []


def test_seats_that_are_empty_at_the_end_are_the_jobs(tmp_path):
    events = [
        FAIL,
        node(1, "down", 1, 0),
        stop(1, 1),
        node(1.5, "down", 2, 0),
        node(1.5, "down", 2, site=1),
    ]
    assert hours_out(events)(tmp_path / "run") == [(4, 1.5, 10)]


def test_more_nodes_lost_before_a_job_runs_again_are_in_its_seats(tmp_path):
    events = [
        FAIL,
        node(1, "down", 1, 0),
        stop(1, 1),
        node(1.5, "down", 2, 0),
        node(3, "node_replaced", 6, 2, job=0, left="site-0/node/1"),
        node(3, "node_replaced", 7, 2, job=0, left="site-0/node/2"),
        Event(4, "job_resumed", cause=2),
    ]
    assert hours_out(events)(tmp_path / "run") == [(0, 3, 10), (0, 3, 10)]


def test_a_seat_that_was_taken_is_free_though_the_job_never_runs_again(tmp_path):
    events = [
        FAIL,
        node(1, "down", 1, 0),
        stop(1, 1),
        node(2, "node_replaced", 7, 2, job=0, left="site-0/node/1"),
    ]
    assert hours_out(events)(tmp_path / "run") == [(0, 2, 10)]


def day(folder, events):
    """A job on 6 of 8 nodes loses one, which another replaces after an hour."""
    segments = [
        running(0, 1, 48, 1),
        Segment(1, 2, "detecting", 48, cause=2),
        running(2, 10, 48, 1, cause=2),
    ]
    return write_run(
        folder, end_h=10, sites=[Site(64)], jobs=[Job(48)], segments=segments, events=events
    )


def test_what_no_job_held_is_charged_to_what_took_its_node(tmp_path):
    events = [
        FAIL,
        node(1, "down", 1, 0),
        stop(1, 1),
        node(2, "node_replaced", 7, 2, job=0, left="site-0/node/1"),
        Event(2, "job_resumed", cause=2),
        Event(5, "maintenance", 1, thing="node", job=-1),
        node(5, "down", 6, 5, reason="maintenance"),
        node(7, "up", 6),
    ]
    found = {
        loss.cause: (loss.component, loss.thing, loss.count, loss.share)
        for loss in losses(day(tmp_path / "run", events))
        if loss.place == "not_allocated"
    }
    assert found == {
        "gpu": ("gpu", "site-0/gpu/9", 1, pytest.approx(8 / 80)),
        "planned work": ("node", "site-0", 1, pytest.approx(2 / 80)),
        "no job": ("", "site-0", 0, pytest.approx(10 / 80)),
    }


def test_outages_of_more_nodes_than_are_free_are_not_believed(tmp_path):
    events = [node(0, "down", row) for row in (1, 2, 3)]
    found = [
        loss for loss in losses(day(tmp_path / "run", events)) if loss.place == "not_allocated"
    ]
    assert [(loss.cause, loss.share) for loss in found] == [("no job", 0.25)]
