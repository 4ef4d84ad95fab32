"""All that the page shows of a run, read once."""

from typing import NamedTuple

import numpy as np

from dcsim.accounting import Summary
from dcsim.accounting.interruptions import Interruption, interruptions, stops
from dcsim.accounting.segments import Array, Jobs, Segments, read_jobs, read_segments
from dcsim.accounting.waterfall import WATERFALL, wall_time_by_place
from dcsim.report.page.series import BINS_MAX, Instants, edges, instants
from dcsim.trace import Run


class Reading(NamedTuple):
    """A run, its summary, and what several sections need.

    `at_ns` are the edges of time bins; `detail` is the part of what may be drawn that is.
    """

    run: Run
    summary: Summary
    jobs: Jobs
    segments: Segments
    places_ns: Array
    interruptions: list[Interruption]
    instants: Instants
    at_ns: Array
    detail: float = 1.0

    def at_most(self, count: int) -> int:
        """As many of *count* things as the detail of the page allows."""
        return max(1, int(count * self.detail))

    @property
    def gpus(self) -> int:
        """GPUs of all sites."""
        return int(self.run.columns("dim_site")["gpus_count"].sum())


def read(run: Run, summary: Summary) -> Reading:
    """Read a run for its page; raises as `summarise`."""
    jobs, segments = read_jobs(run), read_segments(run)
    rows = instants(run)
    times = np.concatenate([segments.t_start_ns, segments.t_ns, rows.t_ns])
    return Reading(
        run=run,
        summary=summary,
        jobs=jobs,
        segments=segments,
        places_ns=wall_time_by_place(segments),
        interruptions=stops(interruptions(run)),
        instants=rows,
        at_ns=edges(times, run.end_ns),
    )


def with_detail(reading: Reading, detail: float) -> Reading:
    """The same reading, for a page that draws less."""
    thinned = reading._replace(detail=detail)
    bins = thinned.at_most(BINS_MAX)
    if reading.at_ns.size > bins:
        at_ns = np.linspace(0, int(reading.at_ns[-1]), bins + 1).astype(np.int64)
        thinned = thinned._replace(at_ns=np.unique(at_ns))
    return thinned


def shares(reading: Reading) -> Array:
    """Share of the peak FLOPs of all GPUs by bin of time and place of the waterfall.

    Each row sums to 1; weighted by the length of their bins, the rows add up to the waterfall.
    """
    jobs, segments, at_ns = reading.jobs, reading.segments, reading.at_ns
    held = np.zeros((at_ns.size - 1, len(WATERFALL)))
    for place, job_id in enumerate(jobs.job_id.tolist()):
        rows = np.flatnonzero(segments.job_id == job_id)
        rows = rows[segments.duration_ns[rows] > 0]
        if rows.size:
            weight = segments.gpus_count[rows] * jobs.gpu_peak_flop_per_s[place]
            held += _binned(segments, rows, reading.places_ns[rows] * weight[:, None], at_ns)
    sites = reading.run.columns("dim_site")
    peak = float(sites["gpus_count"] @ sites["gpu_peak_flop_per_s"])
    if not peak:
        return np.asarray(np.eye(1, len(WATERFALL)).repeat(at_ns.size - 1, axis=0))
    found = held / (peak * np.diff(at_ns))[:, None]
    found[:, 0] += 1 - found.sum(axis=1)
    return np.asarray(found)


def _binned(segments: Segments, rows: Array, amounts: Array, at_ns: Array) -> Array:
    """Amounts of one job's segments, spread evenly over each, by bin."""
    begin, end = segments.t_start_ns[rows], segments.t_ns[rows]
    until = np.vstack([np.zeros(amounts.shape[1]), np.cumsum(amounts, axis=0)])
    which = np.minimum(np.searchsorted(end, at_ns, side="right"), rows.size - 1)
    part = np.clip((at_ns - begin[which]) / (end[which] - begin[which]), 0, 1)
    return np.asarray(np.diff(until[which] + part[:, None] * amounts[which], axis=0))
