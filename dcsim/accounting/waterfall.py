"""Where the GPU-time went: every GPU-nanosecond in exactly one of fifteen places.

GPU-time is counted in Python integers (200,000 GPUs overflow int64 in 13 hours), weighted by the
peak of the GPU, so that sites of different GPUs add up to the peak FLOPs of all.
"""

from typing import NamedTuple

import numpy as np

from dcsim.accounting.segments import Array, Jobs, Segments
from dcsim.errors import InvariantError
from dcsim.trace import Run
from dcsim.trace.schema import FACTORS

WATERFALL = (
    *("not_allocated", "waiting_for_nodes", "detection", "restart", "lost_work"),
    *("checkpoint_stall", "maintenance", "kernel_efficiency", "exposed_communication"),
    *("pipeline_bubble", "slow_gpus", "throttling", "power_cap", "degraded_network", "useful"),
)
PLACE_OF_STATE = {
    "queued": "not_allocated",
    "done": "not_allocated",
    "waiting_for_nodes": "waiting_for_nodes",
    "detecting": "detection",
    "diagnosing": "detection",
    "starting": "restart",
    "replacing": "restart",
    "initialising": "restart",
    "restoring": "restart",
    "warming": "restart",
    "checkpointing": "checkpoint_stall",
    "maintenance": "maintenance",
    "evaluating": "maintenance",
}
_FACTOR_PLACES = np.array([WATERFALL.index(factor.name.removesuffix("_s")) for factor in FACTORS])
_LOST = WATERFALL.index("lost_work")
_DURATION_TOLERANCE = 1e-6


class Share(NamedTuple):
    """One bar of the waterfall: a fraction of the peak FLOPs of all GPUs."""

    name: str
    value: float


def waterfall(run: Run, jobs: Jobs, segments: Segments, places_ns: Array) -> list[Share]:
    """Shares of the peak FLOPs of all GPUs over the run, in the order of `WATERFALL`; sum 1.

    Args:
        places_ns: of `wall_time_by_place`.

    Raises:
        InvariantError: jobs held more GPU-time than there was.
    """
    held = [0] * len(WATERFALL)
    every = np.arange(segments.job_id.size)
    for (job,), gpu_ns in weigh(jobs, segments, every, places_ns).items():
        held = add(held, gpu_ns, int(jobs.gpu_peak_flop_per_s[job]))
    return shares(capacity_flop_ns(run), held, run.end_ns)


def capacity_flop_ns(run: Run) -> int:
    """Peak of all GPUs over the run [FLOP/s times ns]."""
    return peak_flop_per_s(run) * run.end_ns


def peak_flop_per_s(run: Run) -> int:
    """Peak of all GPUs of all sites."""
    sites = run.columns("dim_site")
    columns = (sites["gpus_count"], sites["gpu_peak_flop_per_s"])
    return sum(int(gpus) * int(peak) for gpus, peak in zip(*columns, strict=True))


def shares(capacity: int, held: list[int], until_ns: int) -> list[Share]:
    """What was held as shares of a capacity, the rest not allocated; sum 1.

    Raises:
        InvariantError: more was held than there was.
    """
    if capacity == 0:
        return [Share(name, float(name == "not_allocated")) for name in WATERFALL]
    rest = capacity - sum(held)
    if rest < 0:
        raise InvariantError(until_ns, "job", -1, f"holds {-rest} FLOP more than there are")
    parts = [held[0] + rest, *held[1:]]
    return [Share(name, part / capacity) for name, part in zip(WATERFALL, parts, strict=True)]


def add(total: list[int], part: list[int], weight: int = 1) -> list[int]:
    """Total plus part times weight, place by place, exactly."""
    return [a + weight * b for a, b in zip(total, part, strict=True)]


def wall_time_by_place(segments: Segments) -> Array:
    """Wall time of each segment by place of the waterfall [ns], int64 of shape (n, 15).

    Each row sums to the length of its segment. The share of a segment's steps that was lost takes
    the same share of all its factors to `lost_work`.
    """
    running = segments.state == "running"
    places_ns = np.zeros((segments.state.size, len(WATERFALL)), np.int64)
    for state, place in PLACE_OF_STATE.items():
        rows = segments.state == state
        places_ns[rows, WATERFALL.index(place)] = segments.duration_ns[rows]
    factors_ns = _split(segments, running)
    steps = np.where(segments.steps[running] > 0, segments.steps[running], 1.0)
    share = np.minimum(segments.lost_steps[running] / steps, 1.0)[:, None]
    lost_ns = np.rint(factors_ns * share).astype(np.int64)
    lost_ns = np.where(share == 1.0, factors_ns, np.minimum(lost_ns, factors_ns))
    rows = np.flatnonzero(running)
    places_ns[np.ix_(rows, _FACTOR_PLACES)] = factors_ns - lost_ns
    places_ns[rows, _LOST] = lost_ns.sum(axis=1)
    return places_ns


def _split(segments: Segments, running: Array) -> Array:
    """Lengths of the running segments by factor [ns], each row summing to it exactly."""
    duration_ns = segments.duration_ns[running]
    factors_s = segments.factors_s[running]
    cumulated = np.cumsum(np.maximum(factors_s, 0.0), axis=1)
    total_s = cumulated[:, -1]
    off_s = np.maximum(np.abs(total_s - duration_ns * 1e-9), -factors_s.min(axis=1, initial=0))
    wrong = off_s > _DURATION_TOLERANCE * (1 + total_s)
    if wrong.any():
        row = int(np.flatnonzero(running)[np.argmax(wrong)])
        what = f"factors {segments.factors_s[row].tolist()} do not make up its length"
        raise InvariantError(int(segments.t_ns[row]), "job", int(segments.job_id[row]), what)
    share = cumulated / np.where(total_s > 0, total_s, 1.0)[:, None]
    edges_ns = np.rint(share * duration_ns[:, None]).astype(np.int64)
    edges_ns = np.minimum(edges_ns, duration_ns[:, None])
    edges_ns[:, -1] = duration_ns
    return np.diff(edges_ns, axis=1, prepend=0)


def weigh(
    jobs: Jobs, segments: Segments, rows: Array, wall_ns: Array, *keys: Array
) -> dict[tuple[int, ...], list[int]]:
    """GPU-nanoseconds as exact integers, by the given keys and the place of the job in *jobs*.

    Args:
        rows: of the segments, shape (n,).
        wall_ns: wall time of each, shape (n, k); those of one job are no longer than the run.
        keys: integers, shape (n,) each.
    """
    if not rows.size:
        return {}
    gpus_count = segments.gpus_count[rows]
    pairs = np.column_stack([*keys, jobs.place(segments.job_id[rows]), gpus_count])
    groups, which = np.unique(pairs, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    begins = np.searchsorted(which.ravel()[order], np.arange(len(groups)))
    sums_ns = np.add.reduceat(wall_ns[order], begins, axis=0)
    found: dict[tuple[int, ...], list[int]] = {}
    for (*key, gpus), wall in zip(groups.tolist(), sums_ns.tolist(), strict=True):
        before = found.get(tuple(key), [0] * len(wall))
        found[tuple(key)] = add(before, wall, gpus)
    return found
