"""What jobs did, segment by segment, with the work that a later failure took back."""

from math import floor
from typing import Any, NamedTuple

import numpy as np

from dcsim.errors import InputError, InvariantError
from dcsim.trace import Run
from dcsim.trace.schema import FACTORS

Array = np.ndarray[Any, Any]

_STEP_TOLERANCE = 1e-6
_ROUNDING = 1e-12


class Segments(NamedTuple):
    """Segments in the order of their end; arrays of shape (n,) if nothing else is said."""

    job_id: Array
    t_start_ns: Array
    t_ns: Array
    state: Array  # names
    gpus_count: Array
    steps: Array  # done in the segment, lost ones included
    lost_steps: Array  # of these, taken back by a rollback
    factors_s: Array  # (n, len(FACTORS))

    @property
    def duration_ns(self) -> Array:
        """Length of each segment [ns]."""
        return np.asarray(self.t_ns - self.t_start_ns)


class Jobs(NamedTuple):
    """Jobs, arrays indexed by the place of a job in `job_id`, which is sorted."""

    job_id: Array
    gpus_count: Array
    tokens_per_step: Array
    flop_per_step: Array
    gpu_peak_flop_per_s: Array
    target_tokens_count: Array  # NaN: none

    def place(self, job_id: Array) -> Array:
        """Where each of `job_id` stands.

        Raises:
            InputError: one of them is not in dim_job.
        """
        places = np.searchsorted(self.job_id, job_id)
        known = places < self.job_id.size
        known[known] = self.job_id[places[known]] == job_id[known]
        if not known.all():
            missing = int(job_id[~known][0])
            raise InputError(
                f"traces/dim_job.arrow: no job {missing}, which traces/job.arrow names"
            )
        return np.asarray(places)


def read_jobs(run: Run) -> Jobs:
    """All jobs of a run."""
    table = run.columns("dim_job")
    order = np.argsort(table["job_id"], kind="stable")
    return Jobs(*(table[name][order] for name in Jobs._fields))


def read_segments(run: Run) -> Segments:
    """All segments of a run, with lost steps counted from its rollbacks."""
    table = run.columns("job")
    order = np.lexsort((table["t_start_ns"], table["t_ns"]))
    table = {name: values[order] for name, values in table.items()}
    states = run.columns("dim_job_state")
    name_of = dict(zip(states["job_state_id"].tolist(), states["name"], strict=True))
    return Segments(
        job_id=table["job_id"],
        t_start_ns=table["t_start_ns"],
        t_ns=table["t_ns"],
        state=np.array([name_of[state] for state in table["job_state_id"].tolist()], dtype="U24"),
        gpus_count=table["gpus_allocated_count"].astype(np.int64),
        steps=table["steps"],
        lost_steps=_lost_steps(table, *_rollbacks(run)),
        factors_s=np.column_stack([table[factor.name] for factor in FACTORS]),
    )


def _rollbacks(run: Run) -> tuple[list[int], list[int], list[float]]:
    """Time [ns], job and steps lost of every rollback, in order."""
    events = run.columns("events")
    kinds = run.columns("dim_event_kind")
    rollback = kinds["event_kind_id"][kinds["name"] == "job_rollback"]
    which = np.isin(events["event_kind_id"], rollback)
    t_ns, job_id, value = (events[name][which] for name in ("t_ns", "job_id", "value"))
    return t_ns.tolist(), job_id.tolist(), value.tolist()


def _lost_steps(
    table: dict[str, Array], at_ns: list[int], of_job: list[int], counts: list[float]
) -> Array:
    """Steps of each segment that are lost: a rollback takes the job's last surviving steps.

    So does the end of the trace with the part of a step that was not finished.
    """
    lost = np.zeros(table["steps"].size)
    steps, jobs = table["steps"].tolist(), table["job_id"].tolist()
    surviving: dict[int, list[tuple[int, float]]] = {job: [] for job in jobs}
    begin = 0

    def survive_to(end: int) -> None:
        for segment in range(begin, end):
            if steps[segment] > 0:
                surviving[jobs[segment]].append((segment, steps[segment]))

    for t_ns, job, count in zip(at_ns, of_job, counts, strict=True):
        end = int(np.searchsorted(table["t_ns"], t_ns, side="right"))
        survive_to(end)
        begin = max(begin, end)
        missing = _take_back(surviving.get(job, []), count, lost)
        if missing > _STEP_TOLERANCE * max(1.0, count):
            what = f"a rollback of {count} steps, {missing} more than were done"
            raise InvariantError(t_ns, "job", job, what)
    survive_to(len(steps))
    for stack in surviving.values():
        kept = sum(left for _, left in stack)
        _take_back(stack, kept - floor(kept * (1 + _ROUNDING) + _STEP_TOLERANCE), lost)
    return lost


def _take_back(stack: list[tuple[int, float]], count: float, lost: Array) -> float:
    """Move the last `count` steps of the stack to `lost`; returns how many were not there."""
    while count > 0 and stack:
        segment, left = stack.pop()
        taken = min(left, count)
        lost[segment] += taken
        count -= taken
        if left > taken:
            stack.append((segment, left - taken))
    return count
