"""Two runs under common inputs, paired in time: how their work and their energy part."""

from typing import NamedTuple

import numpy as np

from dcsim.accounting.segments import Array, read_jobs, read_segments
from dcsim.trace import Run

_S_NS = 10**9
_SPANS_NS = (600 * _S_NS, 3600 * _S_NS, 86_400 * _S_NS)
_SPANS_COUNT = 30


class Course(NamedTuple):
    """What a run had come to at instants; arrays of shape (n,)."""

    t_ns: Array
    tokens: Array  # of steps that were not lost later
    energy_j: Array  # at the meter


def instants(end_ns: int) -> Array:
    """Instants at which two runs are paired: every 10 min, hour or day, and at the end [ns]."""
    spans = (span for span in _SPANS_NS if end_ns <= _SPANS_COUNT * span)
    span_ns = next(spans, _SPANS_NS[-1])
    return np.append(np.arange(span_ns, end_ns, span_ns), end_ns)


def course(run: Run, t_ns: Array) -> Course:
    """Tokens and energy up to each of these instants; steady between the rows of the trace."""
    jobs, segments = read_jobs(run), read_segments(run)
    place = jobs.place(segments.job_id)
    tokens = np.zeros(t_ns.size)
    made = (segments.steps - segments.lost_steps) * jobs.tokens_per_step[place]
    for job in range(jobs.job_id.size):
        mine = place == job
        tokens += _cumulated(t_ns, segments.t_start_ns[mine], segments.t_ns[mine], made[mine])
    table = run.columns("site", ["site_id", "t_ns", "site_power_w"])
    energy_j = np.zeros(t_ns.size)
    for site in np.unique(table["site_id"]).tolist():
        mine = table["site_id"] == site
        ends_ns = np.sort(table["t_ns"][mine])
        power_w = table["site_power_w"][mine][np.argsort(table["t_ns"][mine], kind="stable")]
        begins_ns = np.append(0, ends_ns[:-1])
        spent_j = power_w * (ends_ns - begins_ns) * 1e-9
        energy_j += _cumulated(t_ns, begins_ns, ends_ns, spent_j)
    return Course(t_ns, tokens, energy_j)


def _cumulated(t_ns: Array, begins_ns: Array, ends_ns: Array, amounts: Array) -> Array:
    """The sum of amounts up to each instant, each amount spread evenly over its span."""
    if not amounts.size:
        return np.zeros(t_ns.size)
    sums = np.append(0.0, np.cumsum(amounts))
    times_ns = np.column_stack([begins_ns, ends_ns]).ravel()
    return np.asarray(np.interp(t_ns, times_ns, np.column_stack([sums[:-1], sums[1:]]).ravel()))
