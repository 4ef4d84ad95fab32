"""Who waited for what: the states of each job in which it made no steps."""

from dataclasses import dataclass

import numpy as np

from dcsim.accounting.causes import PLANNED, Events, read_events
from dcsim.accounting.losses import PLANNED_STATES
from dcsim.accounting.segments import Array, Segments, read_jobs, read_segments
from dcsim.accounting.waterfall import weigh
from dcsim.trace import Run

NODES = "nodes"
"""What a queued job waits for."""
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Wait:
    """All times that one job spent in one state because of one cause."""

    job: str
    state: str
    cause: str
    """As in `Loss`; of a queue `nodes`."""
    count: int
    """Times it came into the state."""
    total_s: float
    gpu_s: float
    """GPU-time that it held meanwhile."""


def waits(run: Run) -> list[Wait]:
    """All waits, by job, the longest first."""
    jobs, segments, events = read_jobs(run), read_segments(run), read_events(run)
    rows = np.flatnonzero(~np.isin(segments.state, ("running", "done")))
    if not rows.size:
        return []
    place = jobs.place(segments.job_id[rows])
    keys = list(zip(place.tolist(), *_state_and_cause(segments, events, rows), strict=True))
    number_of = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    number = np.array([number_of[key] for key in keys])
    counts = np.bincount(number[_begins(segments, rows)], minlength=len(number_of))
    total_ns = np.zeros(len(number_of), np.int64)
    np.add.at(total_ns, number, segments.duration_ns[rows])
    held = weigh(jobs, segments, rows, segments.duration_ns[rows, None], number)
    gpu_ns = {which: value for (which, _), (value,) in held.items()}
    found = [
        (job, Wait(str(jobs.name[job]), state, cause, int(counts[n]), ns / 1e9, gpu_ns[n] / 1e9))
        for ((job, state, cause), n), ns in zip(number_of.items(), total_ns.tolist(), strict=True)
    ]
    return [wait for _, wait in sorted(found, key=lambda one: (one[0], -one[1].total_s))]


def _state_and_cause(
    segments: Segments, events: Events, rows: Array
) -> tuple[list[str], list[str]]:
    """State of each segment, and what it waited for."""
    states = segments.state[rows].tolist()
    roots = events.root_of(events.rows(segments.cause_id[rows])).tolist()
    name_of = {root: events.cause(root) for root in dict.fromkeys(roots) if root >= 0}
    own = {"queued": NODES, **dict.fromkeys(PLANNED_STATES, PLANNED)}
    causes = [
        own.get(state) or name_of.get(root, _UNKNOWN)
        for state, root in zip(states, roots, strict=True)
    ]
    return states, causes


def _begins(segments: Segments, rows: Array) -> Array:
    """Whether each of these segments is the first of a stay in its state."""
    order = np.lexsort((segments.t_ns[rows], segments.job_id[rows]))
    ordered = rows[order]
    goes_on = np.zeros(rows.size, bool)
    before, after = ordered[:-1], ordered[1:]
    goes_on[1:] = (
        (segments.job_id[before] == segments.job_id[after])
        & (segments.state[before] == segments.state[after])
        & (segments.cause_id[before] == segments.cause_id[after])
        & (segments.t_ns[before] == segments.t_start_ns[after])
    )
    begins = np.empty(rows.size, bool)
    begins[order] = ~goes_on
    return begins
