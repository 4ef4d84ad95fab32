"""Where two runs part: the first input, event and job segment in which they differ."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dcsim.accounting.causes import read_events
from dcsim.accounting.segments import Array, read_jobs, read_segments
from dcsim.inputs import records
from dcsim.inputs.records import Record
from dcsim.trace import Run

_STEPS_TOLERANCE = 1e-9


class Inputs(NamedTuple):
    """How the inputs of two runs compare: `record` is the first that only one of them has.

    It is None, with `common` false, where a run has lost its inputs and their digests differ.
    """

    common: bool
    common_count: int  # records before they differ
    record: Record | None
    is_second: bool  # whether the record is of the second run


class Parting(NamedTuple):
    """The first rows of two tables that differ; None for a table that is at its end."""

    common_count: int  # rows before
    first: int | None
    second: int | None


def compare_inputs(first: Run, second: Run, until_ns: int) -> Inputs:
    """Compare the recorded inputs of two runs up to an instant; equal digests settle it.

    Raises:
        InputError: a file of inputs is there and cannot be read.
    """
    digests = [run.record.get("inputs_digest") for run in (first, second)]
    if digests[0] is not None and digests[0] == digests[1]:
        return Inputs(True, 0, None, False)
    one, two = _records(first, until_ns), _records(second, until_ns)
    if one is None or two is None:
        return Inputs(False, 0, None, False)
    pairs = enumerate(zip(one, two, strict=False))
    same = next((place for place, pair in pairs if pair[0] != pair[1]), min(len(one), len(two)))
    rest = [(of[same], is_second) for of, is_second in ((one, False), (two, True)) if of[same:]]
    record, is_second = min(rest, default=(None, False))
    return Inputs(record is None, same, record, is_second)


def first_event(first: Run, second: Run, until_ns: int) -> Parting:
    """Rows of `Events` of the first event that is not the same in both runs up to an instant.

    Events are the same if the same happened to the same at the same time.
    """
    return _parting([_events(run, until_ns) for run in (first, second)])


def first_segment(first: Run, second: Run, until_ns: int) -> Parting:
    """Rows of `Segments` of the first segment of a job that is not the same in both runs."""
    return _parting([_segments(run, until_ns) for run in (first, second)])


class _Rows(NamedTuple):
    """Rows of a table in the order in which they are compared, and what is compared of them."""

    rows: Array
    t_ns: Array
    exact: Sequence[Array]
    close: Array


def _records(run: Run, until_ns: int) -> list[Record] | None:
    path = run.folder / "inputs.arrow"
    if not path.exists():
        return None
    return [record for record in records.read(path) if record.t_ns <= until_ns]


def _events(run: Run, until_ns: int) -> _Rows:
    events = read_events(run)
    sites, jobs = run.columns("dim_site"), read_jobs(run)
    columns = (
        *(events.row, events.thing, events.kind),
        *(_named(sites["site_id"], sites["name"], events.site_id),),
        *(_named(jobs.job_id, jobs.name, events.job_id), events.t_ns),
    )
    order = np.lexsort(columns)
    order = order[events.t_ns[order] <= until_ns]
    return _Rows(order, events.t_ns[order], [c[order] for c in columns], np.zeros(order.size))


def _segments(run: Run, until_ns: int) -> _Rows:
    jobs, segments = read_jobs(run), read_segments(run)
    names = _named(jobs.job_id, jobs.name, segments.job_id)
    columns = (names, segments.state, segments.gpus_count, segments.t_ns, segments.t_start_ns)
    order = np.lexsort((names, segments.t_start_ns))
    order = order[segments.t_ns[order] <= until_ns]
    return _Rows(order, segments.t_ns[order], [c[order] for c in columns], segments.steps[order])


def _named(ids: Array, names: Array, of: Array) -> Array:
    """The name behind each id, "" for none."""
    found = np.full(int(max(ids.max(initial=-1), of.max(initial=-1))) + 2, "", "U64")
    found[ids] = names.astype("U64")
    return found[of]


def _parting(sides: Sequence[_Rows]) -> Parting:
    shorter = min(side.rows.size for side in sides)
    same = np.ones(shorter, np.bool_)
    for one, two in zip(*(side.exact for side in sides), strict=True):
        same &= one[:shorter] == two[:shorter]
    one, two = (side.close[:shorter] for side in sides)
    same &= np.isclose(one, two, rtol=_STEPS_TOLERANCE, atol=0.0)
    count = shorter if same.all() else int(np.argmin(same))
    return Parting(count, *(_earliest(side, count) for side in sides))


def _earliest(side: _Rows, count: int) -> int | None:
    """Of what is left of a table, the first row that was written of its first instant."""
    if count == side.rows.size:
        return None
    left = side.rows[count:]
    return int(left[side.t_ns[count:] == side.t_ns[count]].min())
