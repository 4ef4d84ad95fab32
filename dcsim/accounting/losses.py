"""What each loss was caused by: every GPU-nanosecond of the waterfall has one cause.

The time that a job stands still is charged to what began the chain of events that stopped it, and
so is the work that a rollback took back. Throttling and a degraded network are charged, segment by
segment, to the spell of heat or the fault that covered most of the segment. GPUs that no job held
are charged to what took their node out of service, or else to `no job`; the step that was not
finished when the trace ends, to `end of run`. What no event causes is `model`: kernels,
communication, bubbles, the spread of GPUs, power caps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from dcsim.accounting.causes import CUT_OFF, MODEL, PLANNED, UNUSED, Events, read_events
from dcsim.accounting.once import once
from dcsim.accounting.outages import Outage, outages
from dcsim.accounting.segments import Array, Jobs, Segments, read_jobs, read_segments
from dcsim.accounting.spells import behind, fault_spells, heat_spells, network_spells
from dcsim.accounting.things import Names
from dcsim.accounting.waterfall import (
    PLACE_OF_STATE,
    WATERFALL,
    capacity_flop_ns,
    wall_time_by_place,
    weigh,
)
from dcsim.trace import Run

_NO_EVENT, _PLAN, _END, _IDLE = -1, -2, -3, -4
_NAME = {_NO_EVENT: MODEL, _PLAN: PLANNED, _END: CUT_OFF, _IDLE: UNUSED}
PLANNED_STATES = ("evaluating", "checkpointing")
_LOST, _STALL = WATERFALL.index("lost_work"), WATERFALL.index("checkpoint_stall")
_THROTTLING, _NETWORK = WATERFALL.index("throttling"), WATERFALL.index("degraded_network")
_OF_STATES = sorted({WATERFALL.index(place) for place in PLACE_OF_STATE.values()})
_OF_MODEL = [
    WATERFALL.index(place)
    for place in (
        *("kernel_efficiency", "exposed_communication", "pipeline_bubble"),
        *("slow_gpus", "power_cap"),
    )
]
_FREE = WATERFALL.index("not_allocated")
_SITE_COLUMNS = ("site_id", "name", "gpus_count", "nodes_count", "gpu_peak_flop_per_s")
_CAUSES_SHOWN = 3


@dataclass(frozen=True)
class Loss:
    """What one cause took of one place of the waterfall.

    `cause` is a class of failure, `scripted fault`, `start`, `planned work`, `model`, `no job`,
    `end of run`, or the reason or kind of an event that has no cause; `count` is of the events at
    the root of it.
    """

    place: str
    cause: str
    component: str
    """Kind of thing that began it, empty where no event did."""
    thing: str
    """The thing, else the job or site, that it cost most at."""
    count: int
    share: float
    """Of the peak FLOPs of all GPUs over the run."""


class Largest(NamedTuple):
    """All that one place took, and what caused most of it."""

    place: str
    share: float
    causes: list[Loss]


class _Cost(NamedTuple):
    """FLOP-ns that one root took of one place."""

    place: int
    root: int  # row of an event, or one of `_NAME`
    at: str  # name of the job or site that lost it
    flop_ns: int


@once
def losses(run: Run) -> list[Loss]:
    """All losses, largest first; for each place they sum to its share of the waterfall.

    Raises:
        InvariantError: the trace contradicts itself.
    """
    capacity = capacity_flop_ns(run)
    if capacity == 0:
        return []
    events, names = read_events(run), Names(run)
    cause_of = cache(partial(_cause, events))
    named: dict[tuple[int, str, str], list[_Cost]] = {}
    for cost in (*_costs(run), *_unused(run)):
        if cost.flop_ns:
            named.setdefault((cost.place, *cause_of(cost.root)), []).append(cost)
    found = [_loss(names, key, costs, capacity) for key, costs in named.items()]
    return sorted(found, key=lambda one: (-one.share, one.place, one.cause, one.component))


def largest(found: list[Loss], n: int = 5) -> list[Largest]:
    """The *n* places that took most, each with its largest causes."""
    places: dict[str, list[Loss]] = {}
    for loss in sorted(found, key=lambda loss: -loss.share):
        places.setdefault(loss.place, []).append(loss)
    sums = [
        Largest(place, sum(loss.share for loss in of_place), of_place[:_CAUSES_SHOWN])
        for place, of_place in places.items()
    ]
    return sorted(sums, key=lambda place: -place.share)[:n]


def _costs(run: Run) -> Iterator[_Cost]:
    """What jobs lost, by place, root and job; some are 0."""
    jobs, segments, events = read_jobs(run), read_segments(run), read_events(run)
    places_ns = wall_time_by_place(segments)
    for rows, places, root in _charges(jobs, segments, events):
        weighed = weigh(jobs, segments, rows, places_ns[rows][:, places], root)
        yield from _in_flop_ns(jobs, weighed, places)
    rows, rollback, lost_ns = lost_work(segments, events, places_ns[:, _LOST])
    root = np.where(rollback < 0, _END, events.root_of(rollback))
    weighed = weigh(jobs, segments, rows, lost_ns[:, None], root)
    yield from _in_flop_ns(jobs, weighed, [_LOST])


def _in_flop_ns(
    jobs: Jobs, weighed: dict[tuple[int, ...], list[int]], places: list[int]
) -> Iterator[_Cost]:
    for (root, job), gpu_ns in weighed.items():
        weight = int(jobs.gpu_peak_flop_per_s[job])
        for place, value in zip(places, gpu_ns, strict=True):
            yield _Cost(place, root, str(jobs.name[job]), weight * value)


def _charges(
    jobs: Jobs, segments: Segments, events: Events
) -> Iterator[tuple[Array, list[int], Array]]:
    """Rows of segments, places of the waterfall, and the root that they are charged to."""
    running = np.flatnonzero(segments.state == "running")
    still = np.flatnonzero(segments.state != "running")
    yield still, _OF_STATES, _stopped_by(segments, events)[still]
    yield running, _OF_MODEL, np.full(running.size, _NO_EVENT)
    yield running, [_STALL], np.full(running.size, _PLAN)
    site_id = jobs.site_id[jobs.place(segments.job_id)]
    heat = behind(heat_spells(events), segments, site_id)
    fault = behind(fault_spells(events), segments, site_id)
    yield running, [_THROTTLING], np.where(heat >= 0, heat, fault)[running]
    yield running, [_NETWORK], behind(network_spells(events), segments, site_id)[running]


def _stopped_by(segments: Segments, events: Events) -> Array:
    """Root of the state of each segment that does not run."""
    root = events.root_of(events.rows(segments.cause_id))
    root[np.isin(segments.state, PLANNED_STATES)] = _PLAN
    return root


def lost_work(segments: Segments, events: Events, lost_ns: Array) -> tuple[Array, Array, Array]:
    """Work taken back: row of the segment, of the rollback (-1: the end), and wall time [ns].

    Args:
        lost_ns: of each segment; what several rollbacks took of one is parted by their steps.
    """
    taken = segments.taken
    order = np.argsort(taken.segment, kind="stable")
    rows, steps = taken.segment[order], taken.steps[order]
    ends = np.cumsum(steps)
    first = np.diff(rows, prepend=-1) != 0
    last = np.diff(rows, append=-1) != 0
    before = np.maximum.accumulate(np.where(first, ends - steps, 0.0))
    part = (ends - before) / segments.lost_steps[rows]
    edge_ns = np.where(last, lost_ns[rows], np.rint(part * lost_ns[rows]).astype(np.int64))
    begin_ns = np.where(first, 0, np.roll(edge_ns, 1))
    return rows, events.rows(taken.event_id[order]), edge_ns - begin_ns


def _cause(events: Events, root: int) -> tuple[str, str]:
    """Name of the cause, and the kind of thing that it began with."""
    return (_NAME[root], "") if root < 0 else (events.cause(root), str(events.thing[root]))


def _loss(names: Names, key: tuple[int, str, str], costs: list[_Cost], capacity: int) -> Loss:
    place, cause, component = key
    by_thing: dict[str, int] = {}
    for cost in costs:
        named = component and cost.root >= 0
        thing = names.of(cost.root) if named else cost.at
        by_thing[thing] = by_thing.get(thing, 0) + cost.flop_ns
    roots = {cost.root for cost in costs if cost.root >= 0}
    share = sum(by_thing.values()) / capacity
    worst = max(by_thing, key=lambda thing: by_thing[thing])
    return Loss(WATERFALL[place], cause, component, worst, len(roots), share)


def _unused(run: Run) -> Iterator[_Cost]:
    """What no job held: GPUs of nodes that were out of service, and the rest of each site.

    A site where outages and jobs make up more than there is, which a trace that was cut short may
    have, is charged with the rest alone.
    """
    sites, held = run.columns("dim_site"), _held(run)
    out: dict[int, list[Outage]] = {}
    for outage in outages(run):
        out.setdefault(outage.site_id, []).append(outage)
    columns = (sites[name].tolist() for name in _SITE_COLUMNS)
    for site_id, site, gpus, nodes, peak in zip(*columns, strict=True):
        left = gpus * int(peak) * run.end_ns - held.get(site_id, 0)
        weight = gpus // max(nodes, 1) * int(peak)
        costs = [
            _Cost(_FREE, one.root, site, weight * (one.until_ns - one.from_ns))
            for one in out.get(site_id, [])
        ]
        taken = sum(cost.flop_ns for cost in costs)
        if taken <= left:
            yield from costs
            left -= taken
        yield _Cost(_FREE, _IDLE, site, left)


def _held(run: Run) -> dict[int, int]:
    """FLOP-ns that jobs held, by site."""
    jobs, segments = read_jobs(run), read_segments(run)
    rows = np.arange(segments.job_id.size)
    found: dict[int, int] = {}
    for (job,), (gpu_ns,) in weigh(jobs, segments, rows, segments.duration_ns[:, None]).items():
        site_id = int(jobs.site_id[job])
        found[site_id] = found.get(site_id, 0) + gpu_ns * int(jobs.gpu_peak_flop_per_s[job])
    return found
