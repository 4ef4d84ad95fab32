"""Random histories of several jobs at two sites, with failures, planned work and rollbacks."""

from pathlib import Path

import numpy as np

from dcsim.trace import Run
from dcsim.trace.schema import FACTORS
from tests.accounting.handmade import Event, Job, Segment, Site, write_run

STATES = ("detecting", "waiting_for_nodes", "restoring", "detecting", "evaluating")
CAUSES = ("gpu", "nic", "cable")


def storm(folder: Path, seed: int, end_h: float = 73.7) -> Run:
    """Three jobs, each stopped some ten times; every time that can be has a cause."""
    rng = np.random.default_rng(seed)
    segments: list[Segment] = []
    events: list[Event] = []
    jobs = [Job(8, site=0), Job(16, site=1), Job(8, site=1)]
    for number, job in enumerate(jobs):
        _live(rng, end_h, number, job, segments, events)
    order = sorted(range(len(events)), key=lambda row: events[row].at_h)
    new = {row: place for place, row in enumerate(order)} | {-1: -1}
    return write_run(
        folder,
        end_h=end_h,
        sites=[Site(16, gpu="h200"), Site(32)],
        jobs=jobs,
        segments=[segment._replace(cause=new[segment.cause]) for segment in segments],
        events=[events[row]._replace(cause=new[events[row].cause]) for row in order],
    )


def _live(rng, end_h, number, job, segments, events):
    at_h = float(rng.uniform(0, 5))
    segments.append(Segment(0, at_h, "queued", job=number))
    events.append(Event(at_h, "job_started", job=number, site=job.site))
    cause = len(events) - 1
    until_h = min(at_h + 1, end_h)
    segments.append(Segment(at_h, until_h, "starting", job.gpus, job=number, cause=cause))
    while until_h < end_h:
        at_h, until_h = until_h, min(end_h, until_h + float(rng.uniform(0.1, 12)))
        steps = float(rng.uniform(1, 50))
        segments.append(_running(rng, at_h, until_h, job.gpus, steps, number, cause))
        if until_h < end_h:
            cause = _stop(rng, until_h, number, job, steps, events)
        for state in rng.choice(STATES, rng.integers(1, 4)).tolist():
            at_h, until_h = until_h, min(end_h, until_h + float(rng.uniform(0, 1)))
            if at_h < until_h:
                segments.append(Segment(at_h, until_h, state, job.gpus, job=number, cause=cause))


def _stop(rng, at_h, number, job, steps, events):
    """A failure, the node that it takes, the interruption and the rollback; or a fault."""
    first = len(events)
    if rng.random() < 0.3:
        detail = {"hit": f"site-{job.site}/cdu/0-1", "effect": "down"}
        events.append(Event(at_h, "fault", detail=detail, job=-1, thing="cdu", site=job.site))
    else:
        detail = {"cause": str(rng.choice(CAUSES))}
        row = int(rng.integers(0, job.gpus))
        events.append(Event(at_h, "fail", 0, -1, detail, -1, "gpu", row, job.site))
    events.append(Event(at_h, "down", 0, first, {}, -1, "node", 0, job.site))
    value = float(rng.random() < 0.8)
    events.append(Event(at_h, "job_interrupted", value, first + 1, job=number, site=job.site))
    lost = float(rng.uniform(0, steps))
    events.append(Event(at_h, "job_rollback", lost, first + 2, job=number, site=job.site))
    return first + 2


def _running(rng, at_h, until_h, gpus, steps, number, cause):
    parts = rng.dirichlet(np.ones(len(FACTORS))) * (until_h - at_h)
    factors = {f.name[:-2]: part for f, part in zip(FACTORS, parts.tolist(), strict=True)}
    return Segment(at_h, until_h, "running", gpus, steps, factors, number, cause)
