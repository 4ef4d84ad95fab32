"""What broke: the first cause behind every unexpected interruption."""

import json
from collections import Counter
from typing import NamedTuple

import numpy as np

from dcsim.accounting.segments import Array
from dcsim.trace import Run


class Cause(NamedTuple):
    """How often a cause interrupted a job."""

    name: str
    value: int


def interruption_causes(run: Run) -> list[Cause]:
    """Unexpected interruptions by first cause, most frequent first.

    A cause is named by the `cause` in the detail of the event that it began with, or else by the
    kind of that event.
    """
    events = run.columns("events")
    kinds = run.columns("dim_event_kind")
    kind_of = dict(zip(kinds["event_kind_id"].tolist(), kinds["name"], strict=True))
    interrupted = kinds["event_kind_id"][kinds["name"] == "job_interrupted"]
    unexpected = np.isin(events["event_kind_id"], interrupted) & (events["value"] == 1)
    first = _first_causes(events["event_id"], events["cause_id"])[unexpected]
    names = (
        _name(events["detail"][row], kind_of[kind])
        for row, kind in zip(first.tolist(), events["event_kind_id"][first].tolist(), strict=True)
    )
    return [Cause(*pair) for pair in sorted(Counter(names).items(), key=lambda c: (-c[1], c[0]))]


def _first_causes(event_id: Array, cause_id: Array) -> Array:
    """Row of the event at the beginning of each event's chain of causes.

    A chain that leaves the trace (one cut short) ends at the last event that is there.
    """
    rows = np.arange(event_id.size)
    place = np.minimum(np.searchsorted(event_id, cause_id), max(event_id.size - 1, 0))
    parent = np.where(event_id[place] == cause_id, place, rows) if event_id.size else rows
    while not np.array_equal(parent, parent[parent]):
        parent = parent[parent]
    return np.asarray(parent)


def _name(detail: str, kind: str) -> str:
    cause = json.loads(detail).get("cause") if detail else None
    return kind if cause is None else str(cause)
