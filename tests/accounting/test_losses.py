import math

import pytest

from dcsim.accounting import largest, summarise
from dcsim.accounting.interruptions import interruptions
from dcsim.accounting.losses import losses
from tests.accounting.handmade import Event, Job, Segment, Site, running, write_run
from tests.accounting.storms import storm
from tests.accounting.test_summary import FAILED, day_with_a_failure


def by_cause(run, place=None):
    return {
        (loss.place, loss.cause): loss.share for loss in losses(run) if place in (None, loss.place)
    }


@pytest.mark.parametrize("seed", range(6))
def test_each_place_is_its_bar_of_the_waterfall(tmp_path, seed):
    run = storm(tmp_path / "run", seed)
    found = losses(run)
    for name, value in summarise(run).waterfall:
        parts = [loss.share for loss in found if loss.place == name]
        assert math.fsum(parts) == pytest.approx(0 if name == "useful" else value, abs=1e-14), name
    assert all(loss.share > 0 for loss in found)
    assert sorted(found, key=lambda loss: -loss.share) == found


@pytest.mark.parametrize("seed", range(6))
def test_what_events_cause_is_what_interruptions_cost(tmp_path, seed):
    run = storm(tmp_path / "run", seed)
    stops = interruptions(run)
    caused = {}
    for loss in losses(run):
        if loss.place in ("detection", "waiting_for_nodes", "restart", "lost_work"):
            caused[loss.cause] = caused.get(loss.cause, 0) + loss.share
    caused.pop("start")
    caused.pop("end of run", None)
    assert set(caused) <= {"gpu", "nic", "cable", "scripted fault"}
    for cause, share in caused.items():
        cost = math.fsum(stop.share for stop in stops if stop.cause == cause)
        assert share == pytest.approx(cost, rel=1e-12), cause


def test_a_failure_is_charged_with_the_time_after_it_and_the_work_before_it(tmp_path):
    cause = {"cause": 2}
    segments = [
        Segment(0, 1, "queued"),
        Segment(1, 2, "starting", 16, cause=4),
        running(2, 12, 16, 1000, kernel_efficiency=5, checkpoint_stall=1, cause=4),
        Segment(12, 12.25, "detecting", 16, **cause),
        Segment(12.25, 12.5, "waiting_for_nodes", 16, **cause),
        Segment(12.5, 13, "restoring", 16, **cause),
        running(13, 23, 16, 1000, throttling=5, **cause),
        Segment(23, 24, "evaluating", 16, **cause),
    ]
    events = [
        Event(12, "fail", detail=FAILED, thing="gpu", row=5),
        Event(12, "down", cause=0, thing="node", row=0),
        Event(12, "job_interrupted", value=1, cause=1),
        Event(12, "job_rollback", value=200, cause=2),
        Event(1, "job_started"),
    ]
    run = day_with_a_failure(tmp_path, segments=segments, events=events)
    gpu_h = 32 * 24 / 16
    expected = {
        ("not_allocated", "no job"): 24 + 1,
        ("restart", "start"): 1,
        ("restart", "gpu-memory"): 0.5,
        ("detection", "gpu-memory"): 0.25,
        ("waiting_for_nodes", "gpu-memory"): 0.25,
        ("lost_work", "gpu-memory"): 2,
        ("checkpoint_stall", "planned work"): 0.8,
        ("maintenance", "planned work"): 1,
        ("kernel_efficiency", "model"): 4,
        ("throttling", "model"): 5,
    }
    assert by_cause(run) == {
        key: pytest.approx(value / gpu_h, abs=1e-14) for key, value in expected.items()
    }
    lost = next(loss for loss in losses(run) if loss.place == "lost_work")
    assert (lost.component, lost.thing, lost.count) == ("gpu", "site-0/gpu/5", 1)
    assert next(loss for loss in losses(run) if loss.cause == "start").thing == "job-0"


def test_the_thing_named_is_the_one_that_cost_most(tmp_path):
    segments, events = [], []
    for at, (row, length) in enumerate(((3, 0.2), (4, 0.3), (3, 0.25))):
        begin = len(events)
        events.append(Event(at, "fail", detail={"cause": "nic"}, thing="node", row=row))
        events.append(Event(at, "job_interrupted", value=1, cause=begin))
        segments.append(Segment(at, at + length, "detecting", 16, cause=begin + 1))
        segments.append(running(at + length, at + 1, 16, 1, cause=begin + 1))
    run = write_run(tmp_path / "run", end_h=3, jobs=[Job(16)], segments=segments, events=events)
    loss = next(loss for loss in losses(run) if loss.cause == "nic")
    assert (loss.thing, loss.count) == ("site-0/node/3", 3)
    assert loss.share == pytest.approx(0.75 / 3)


def test_two_rollbacks_share_a_segment_by_their_steps(tmp_path):
    events = [
        Event(1, "fail", detail={"cause": "gpu"}, thing="gpu", row=0),
        Event(1, "job_interrupted", value=1, cause=0),
        Event(1, "job_rollback", value=10, cause=1),
        Event(1, "fail", detail={"cause": "nic"}, thing="node", row=0),
        Event(1, "job_interrupted", value=1, cause=3),
        Event(1, "job_rollback", value=30, cause=4),
    ]
    segments = [running(0, 1, 16, 80), running(1, 2, 16, 10.5)]
    run = write_run(tmp_path / "run", end_h=2, jobs=[Job(16)], segments=segments, events=events)
    assert by_cause(run, "lost_work") == {
        ("lost_work", "gpu"): pytest.approx(1 / 8 / 2, abs=1e-14),
        ("lost_work", "nic"): pytest.approx(3 / 8 / 2, abs=1e-14),
        ("lost_work", "end of run"): pytest.approx(0.5 / 10.5 / 2, abs=1e-12),
    }


def slowed(folder, events):
    """Four hours of two jobs at two sites, half of each slowed by heat and by the network."""
    segments = [
        running(at, at + 1, 16, 1, job=job, throttling=0.25, degraded_network=0.25, power_cap=0.1)
        for at in range(4)
        for job in (0, 1)
    ]
    return write_run(
        folder,
        end_h=4,
        sites=[Site(16), Site(16)],
        jobs=[Job(16), Job(16, site=1)],
        segments=segments,
        events=events,
    )


def test_throttling_is_charged_to_the_heat_that_covers_most_of_a_segment(tmp_path):
    hit = {"hit": "site-0/cooler/0", "effect": "down"}
    events = [
        Event(0.8, "fault", detail=hit, thing="cooler", row=0, job=-1),
        Event(1.1, "fault_ended", cause=0, thing="cooler", job=-1),
        Event(2, "throttled", 16, cause=0, thing="cdu", row=1, job=-1),
    ]
    run = slowed(tmp_path / "run", events)
    assert by_cause(run, "throttling") == {
        ("throttling", "scripted fault"): pytest.approx(4 / 32),
        ("throttling", "model"): pytest.approx(4 / 32),
    }
    loss = next(loss for loss in losses(run) if loss.cause == "scripted fault")
    assert (loss.component, loss.thing, loss.count) == ("cooler", "site-0/cooler/0", 1)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_spells_the_longer_in_a_segment_counts(tmp_path, order):
    """Whichever began first: one leaf is out from 0.8 h to 1.3 h, the other from 1.2 h to 1.9 h."""
    spans = [(0.8, 1.3, "short"), (1.2, 1.9, "long")]
    events = []
    for number in order:
        begin_h, end_h, cause = spans[number]
        fail = len(events)
        events.append(Event(begin_h, "fail", detail={"cause": cause}, thing="leaf", job=-1))
        events.append(Event(end_h, "fault_ended", cause=fail, thing="leaf", job=-1))
    found = by_cause(slowed(tmp_path / "run", events), "degraded_network")
    assert found["degraded_network", "long"] == pytest.approx(1 / 32)
    assert found["degraded_network", "short"] == pytest.approx(1 / 32)


def test_heat_without_a_fault_is_named_by_its_event(tmp_path):
    event = Event(0, "throttled", 16, thing="cdu", row=1, job=-1, site=1)
    loss = next(
        loss for loss in losses(slowed(tmp_path / "run", [event])) if loss.cause == "throttled"
    )
    assert (loss.place, loss.component, loss.thing) == ("throttling", "cdu", "site-1/cdu/1")
    assert loss.share == pytest.approx(1 / 8)


def test_a_degraded_network_is_charged_to_switches_and_cables(tmp_path):
    events = [
        Event(1, "fail", detail={"cause": "switch"}, thing="leaf", row=2, job=-1),
        Event(1, "fail", detail={"cause": "switch"}, thing="leaf", row=2, job=-1),
        Event(1, "masked", cause=1, thing="leaf", row=2, job=-1),
        Event(1, "fail", detail={"cause": "cable"}, thing="link", row=2, job=-1),
        Event(1, "fault", detail={"hit": "site-0/cdu/0"}, thing="cdu", row=0, job=-1),
        Event(3, "fault_ended", cause=0, thing="leaf", job=-1),
    ]
    run = slowed(tmp_path / "run", events)
    assert by_cause(run, "degraded_network") == {
        ("degraded_network", "switch"): pytest.approx(2 / 32),
        ("degraded_network", "model"): pytest.approx(6 / 32),
    }
    loss = next(loss for loss in losses(run) if loss.cause == "switch")
    assert (loss.thing, loss.count) == ("site-0/leaf/2", 1)


def test_sites_of_other_gpus_weigh_by_their_peak_and_name_the_most_unused(tmp_path):
    run = write_run(tmp_path / "run", end_h=1, sites=[Site(8), Site(24)])
    (loss,) = losses(run)
    assert (loss.place, loss.cause, loss.thing, loss.share) == (
        "not_allocated",
        "no job",
        "site-1",
        1.0,
    )


def test_nothing_is_lost_in_no_time(tmp_path):
    assert losses(write_run(tmp_path / "run", end_h=0)) == []


def test_the_largest_are_whole_places_with_their_top_causes(tmp_path):
    run = storm(tmp_path / "run", 3)
    found = largest(losses(run), 4)
    places = {name: value for name, value in summarise(run).waterfall if name != "useful"}
    expected = sorted(places, key=lambda name: -places[name])[:4]
    assert [one.place for one in found] == expected
    for one in found:
        assert one.share == pytest.approx(places[one.place], abs=1e-14)
        assert 1 <= len(one.causes) <= 3
        assert {loss.place for loss in one.causes} == {one.place}


def test_the_summary_lists_the_five_largest(tmp_path):
    run = storm(tmp_path / "run", 1)
    found = summarise(run).as_dict()["losses"]
    assert len(found) == 5
    assert found[0]["causes"][0].keys() == {
        *("place", "cause", "component", "thing", "count", "share")
    }
    assert [one["place"] for one in found] == [one.place for one in largest(losses(run))]
