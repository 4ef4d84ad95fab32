"""The waterfall of each job, each site and each day."""

from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise

import numpy as np

from dcsim.accounting.segments import Array, Segments, read_jobs, read_segments
from dcsim.accounting.things import Names
from dcsim.accounting.waterfall import (
    WATERFALL,
    Share,
    add,
    peak_flop_per_s,
    shares,
    wall_time_by_place,
    weigh,
)
from dcsim.trace import Run
from dcsim.units import DAY_NS

_NOTHING = [0] * len(WATERFALL)


def waterfall_by(run: Run, by: str) -> dict[str, list[Share]]:
    """Shares in the order of `WATERFALL`, each list with the sum 1.

    Args:
        by: `job`: of the peak of the GPUs that it held while it held them, so that time in the
            queue does not count; `site`: of the peak of its GPUs over the run; `day`: of the peak
            of all GPUs in that day (`0` is the first), the last one as long as the run lasted.

    Raises:
        ValueError: for another *by*.
        InvariantError: jobs held more GPU-time than there was.
    """
    makers: dict[str, Callable[[Run], dict[str, list[Share]]]]
    makers = {"job": _by_job, "site": _by_site, "day": _by_day}
    if by not in makers:
        raise ValueError(f"by {by!r}: allowed {', '.join(makers)}")
    return makers[by](run)


def _by_job(run: Run) -> dict[str, list[Share]]:
    jobs, names = read_jobs(run), Names(run)
    held = _held(run)
    found = {}
    for place, job_id in enumerate(jobs.job_id.tolist()):
        flop_ns = add(_NOTHING, held.get(place, _NOTHING), int(jobs.gpu_peak_flop_per_s[place]))
        found[names.job(job_id)] = shares(sum(flop_ns), flop_ns, run.end_ns)
    return found


def _by_site(run: Run) -> dict[str, list[Share]]:
    jobs, held, sites = read_jobs(run), _held(run), run.columns("dim_site")
    columns = (sites["site_id"], sites["name"], sites["gpus_count"], sites["gpu_peak_flop_per_s"])
    found = {}
    for site_id, name, gpus, peak in zip(*columns, strict=True):
        flop_ns = _NOTHING
        for place in np.flatnonzero(jobs.site_id == site_id).tolist():
            weight = int(jobs.gpu_peak_flop_per_s[place])
            flop_ns = add(flop_ns, held.get(place, _NOTHING), weight)
        found[str(name)] = shares(int(gpus) * int(peak) * run.end_ns, flop_ns, run.end_ns)
    return found


def _by_day(run: Run) -> dict[str, list[Share]]:
    jobs, segments = read_jobs(run), read_segments(run)
    rows, day, wall_ns = cut_by_day(segments, wall_time_by_place(segments))
    days = -(-run.end_ns // DAY_NS)
    held = [_NOTHING] * days
    for (number, job), gpu_ns in weigh(jobs, segments, rows, wall_ns, day).items():
        held[number] = add(held[number], gpu_ns, int(jobs.gpu_peak_flop_per_s[job]))
    peak, ends_ns = peak_flop_per_s(run), [*range(DAY_NS, run.end_ns, DAY_NS), run.end_ns]
    lengths_ns = np.diff(ends_ns, prepend=0).tolist()
    return {
        str(number): shares(peak * lengths_ns[number], held[number], ends_ns[number])
        for number in range(days)
    }


def _held(run: Run) -> dict[int, list[int]]:
    """GPU-nanoseconds by place of the waterfall, by place of the job."""
    segments = read_segments(run)
    rows = np.arange(segments.job_id.size)
    held = weigh(read_jobs(run), segments, rows, wall_time_by_place(segments))
    return {job: gpu_ns for (job,), gpu_ns in held.items()}


def cut_by_day(segments: Segments, places_ns: Array) -> tuple[Array, Array, Array]:
    """Segments cut where a day ends: row of the segment, day and wall time by place [ns].

    Each piece is as long as its part of the day, and the pieces of a segment sum to it in every
    place, exactly. What a segment spent on a place is spread evenly over it.
    """
    first_day = segments.t_start_ns // DAY_NS
    last_day = np.maximum(segments.t_ns - 1, segments.t_start_ns) // DAY_NS
    whole = np.flatnonzero(first_day == last_day)
    cut = np.flatnonzero(first_day != last_day).tolist()
    pieces = [(row, *piece) for row in cut for piece in _pieces(segments, places_ns, row)]
    rows, days, walls = zip(*pieces, strict=True) if pieces else ((), (), ())
    return (
        np.concatenate([whole, np.array(rows, np.int64)]),
        np.concatenate([first_day[whole], np.array(days, np.int64)]),
        np.concatenate([places_ns[whole], np.array(walls, np.int64).reshape(-1, len(WATERFALL))]),
    )


def _pieces(segments: Segments, places_ns: Array, row: int) -> Iterator[tuple[int, list[int]]]:
    """Day and wall times of each piece of one segment.

    A piece takes its part of what is left of all places together, rounded down where one place
    ends and the next begins, and so never more of a place than is left of it.
    """
    begin_ns, end_ns = int(segments.t_start_ns[row]), int(segments.t_ns[row])
    left = places_ns[row].tolist()
    while begin_ns < end_ns:
        day = begin_ns // DAY_NS
        length_ns = min((day + 1) * DAY_NS, end_ns) - begin_ns
        span_ns = end_ns - begin_ns
        edges = [total * length_ns // span_ns for total in accumulate(left, initial=0)]
        piece = [high - low for low, high in pairwise(edges)]
        yield day, piece
        left = add(left, piece, -1)
        begin_ns += length_ns
