"""What jobs did, segment by segment, with the work that a later failure took back."""

from math import floor
from typing import Any, NamedTuple

import numpy as np

from dcsim.accounting.once import once
from dcsim.errors import InputError, InvariantError
from dcsim.trace import Run
from dcsim.trace.schema import FACTORS

Array = np.ndarray[Any, Any]

_STEP_TOLERANCE = 1e-6
_ROUNDING = 1e-12
_END = -1


class Taken(NamedTuple):
    """Steps that were taken back; arrays of shape (k,)."""

    segment: Array  # place in the segments
    event_id: Array  # rollback that took them, -1 for the end of the trace
    steps: Array


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
    cause_id: Array  # event that put the job into this state, -1 for none
    taken: Taken  # what `lost_steps` is the sum of

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
    name: Array
    site_id: Array  # -1: never placed
    executed_flop_per_step: Array  # with what is computed again; NaN: not recorded

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


@once
def read_jobs(run: Run) -> Jobs:
    """All jobs of a run."""
    table = run.columns("dim_job")
    order = np.argsort(table["job_id"], kind="stable")
    table.setdefault("executed_flop_per_step", np.full(order.size, np.nan))
    return Jobs(*(table[name][order] for name in Jobs._fields))


@once
def read_segments(run: Run) -> Segments:
    """All segments of a run, with lost steps counted from its rollbacks."""
    table = run.columns("job")
    order = np.lexsort((table["t_start_ns"], table["t_ns"]))
    table = {name: values[order] for name, values in table.items()}
    states = run.columns("dim_job_state")
    name_of = dict(zip(states["job_state_id"].tolist(), states["name"], strict=True))
    taken = _take_back(table, _rollbacks(run))
    return Segments(
        job_id=table["job_id"],
        t_start_ns=table["t_start_ns"],
        t_ns=table["t_ns"],
        state=np.array([name_of[state] for state in table["job_state_id"].tolist()], dtype="U24"),
        gpus_count=table["gpus_allocated_count"].astype(np.int64),
        steps=table["steps"],
        lost_steps=np.bincount(taken.segment, weights=taken.steps, minlength=order.size),
        factors_s=np.column_stack([table[factor.name] for factor in FACTORS]),
        cause_id=table["cause_id"],
        taken=taken,
    )


class _Rollback(NamedTuple):
    event_id: int
    t_ns: int
    job_id: int
    steps: float


def _rollbacks(run: Run) -> list[_Rollback]:
    """Every rollback, in order."""
    events = run.columns("events")
    kinds = run.columns("dim_event_kind")
    rollback = kinds["event_kind_id"][kinds["name"] == "job_rollback"]
    which = np.isin(events["event_kind_id"], rollback)
    columns = (events[name][which].tolist() for name in ("event_id", "t_ns", "job_id", "value"))
    return [_Rollback(*row) for row in zip(*columns, strict=True)]


def _take_back(table: dict[str, Array], rollbacks: list[_Rollback]) -> Taken:
    """What was lost of each segment: a rollback takes the job's last surviving steps.

    So does the end of the trace with the part of a step that was not finished.
    """
    found: list[tuple[int, int, float]] = []
    steps, jobs = table["steps"].tolist(), table["job_id"].tolist()
    surviving: dict[int, list[tuple[int, float]]] = {job: [] for job in jobs}
    begin = 0

    def survive_to(end: int) -> None:
        for segment in range(begin, end):
            if steps[segment] > 0:
                surviving[jobs[segment]].append((segment, steps[segment]))

    def take(stack: list[tuple[int, float]], count: float, event: int) -> float:
        """Take the last *count* steps of a stack; returns how many were not there."""
        while count > 0 and stack:
            segment, left = stack.pop()
            taken = min(left, count)
            found.append((segment, event, taken))
            count -= taken
            if left > taken:
                stack.append((segment, left - taken))
        return count

    for event, t_ns, job, count in rollbacks:
        end = int(np.searchsorted(table["t_ns"], t_ns, side="right"))
        survive_to(end)
        begin = max(begin, end)
        missing = take(surviving.get(job, []), count, event)
        if missing > _STEP_TOLERANCE * max(1.0, count):
            what = f"a rollback of {count} steps, {missing} more than were done"
            raise InvariantError(t_ns, "job", job, what)
    survive_to(len(steps))
    for stack in surviving.values():
        kept = sum(left for _, left in stack)
        take(stack, kept - floor(kept * (1 + _ROUNDING) + _STEP_TOLERANCE), _END)
    columns = list(zip(*found, strict=True)) or [(), (), ()]
    kinds = (np.int64, np.int64, np.float64)
    return Taken(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))
