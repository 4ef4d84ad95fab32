"""What each interruption of a job cost, from the event to the first step that follows."""

from typing import NamedTuple

import numpy as np

from dcsim.accounting.causes import read_events
from dcsim.accounting.losses import PLANNED_STATES, lost_work
from dcsim.accounting.segments import Array, read_jobs, read_segments
from dcsim.accounting.things import Names
from dcsim.accounting.waterfall import WATERFALL, capacity_flop_ns, wall_time_by_place, weigh
from dcsim.trace import Run


class Interruption(NamedTuple):
    """One stop of a job; what several stops cost before it runs again is parted among them."""

    event_id: int
    t_ns: int
    until_ns: int
    """The job runs again, or the next interruption takes over, or the trace ends."""
    job_id: int
    job: str
    cause: str
    component: str
    """Kind of thing that began it, empty where no event did."""
    thing: str
    unexpected: bool
    lost_steps: float
    lost_gpu_s: float
    """GPU-time in which the job stood still, and of the work that it makes again."""
    share: float
    """The same, weighted, of the peak FLOPs of all GPUs over the run."""


def interruptions(run: Run) -> list[Interruption]:
    """Every interruption, planned ones included, in the order of time."""
    events, names = read_events(run), Names(run)
    rows = events.of_kind("job_interrupted")
    until_ns, gpu_ns, flop_ns = _costs(run, rows)
    steps = _steps(run)
    capacity = capacity_flop_ns(run)
    found = []
    for place, row in enumerate(rows.tolist()):
        root = int(events.root[row])
        found.append(
            Interruption(
                event_id=int(events.event_id[row]),
                t_ns=int(events.t_ns[row]),
                until_ns=until_ns[place],
                job_id=int(events.job_id[row]),
                job=names.job(int(events.job_id[row])),
                cause=events.cause(root),
                component=str(events.thing[root]),
                thing=names.of(root),
                unexpected=bool(events.value[row] == 1),
                lost_steps=steps.get(row, 0.0),
                lost_gpu_s=gpu_ns[place] / 1e9,
                share=flop_ns[place] / capacity if capacity else 0.0,
            )
        )
    return found


def stops(found: list[Interruption]) -> list[Interruption]:
    """The same with one stop of a job where planned work takes several of its nodes at once."""
    whole: dict[tuple[int, ...], Interruption] = {}
    for one in found:
        key = (one.event_id,) if one.unexpected else (one.job_id, one.t_ns)
        first = whole.get(key)
        if first is None:
            whole[key] = one
            continue
        whole[key] = first._replace(
            until_ns=max(first.until_ns, one.until_ns),
            lost_steps=first.lost_steps + one.lost_steps,
            lost_gpu_s=first.lost_gpu_s + one.lost_gpu_s,
            share=first.share + one.share,
        )
    return list(whole.values())


def _costs(run: Run, rows: Array) -> tuple[list[int], list[int], list[int]]:
    """End [ns], GPU-ns and FLOP-ns of each of these interruptions."""
    jobs, segments, events = read_jobs(run), read_segments(run), read_events(run)
    stopped = ~np.isin(segments.state, ("running", "queued", "done", *PLANNED_STATES))
    cause = events.rows(segments.cause_id)
    until_ns = events.t_ns.copy()
    np.maximum.at(until_ns, cause[stopped], segments.t_ns[stopped])
    still = np.flatnonzero(stopped)
    waited = weigh(jobs, segments, still, segments.duration_ns[still, None], cause[still])
    lost_ns = wall_time_by_place(segments)[:, WATERFALL.index("lost_work")]
    lost_rows, rollback, lost_ns = lost_work(segments, events, lost_ns)
    because = np.append(events.parent, -1)[rollback]
    redone = weigh(jobs, segments, lost_rows, lost_ns[:, None], because)
    gpu_ns, flop_ns = (dict.fromkeys(rows.tolist(), 0) for _ in range(2))
    for (row, job), (value,) in (*waited.items(), *redone.items()):
        if row in gpu_ns:
            gpu_ns[row] += value
            flop_ns[row] += value * int(jobs.gpu_peak_flop_per_s[job])
    return until_ns[rows].tolist(), list(gpu_ns.values()), list(flop_ns.values())


def _steps(run: Run) -> dict[int, float]:
    """Steps that rollbacks took, by the row of the interruption."""
    events = read_events(run)
    rollbacks = events.of_kind("job_rollback")
    found: dict[int, float] = {}
    because, steps = events.parent[rollbacks].tolist(), events.value[rollbacks].tolist()
    for row, count in zip(because, steps, strict=True):
        found[row] = found.get(row, 0.0) + count
    return found
