"""What is behind an event: the chain of causes back to the one that it all began with."""

import json
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from dcsim.accounting.once import once
from dcsim.accounting.segments import Array
from dcsim.trace import Run

START, PLANNED, MODEL = "start", "planned work", "model"
UNUSED, CUT_OFF = "no job", "end of run"
"""Causes that are no failure: the first start of a job, what the scenario plans, what the model
says of any run, that no job held a GPU, and that a step was not finished when the run ended."""
_NAME_OF_KIND = {"fault": "scripted fault", "maintenance": PLANNED, "job_started": START}


class Cause(NamedTuple):
    """How often a cause interrupted a job."""

    name: str
    value: int


class Events(NamedTuple):
    """Events in the order of their ids; arrays of shape (n,). A row is a place in them."""

    event_id: Array
    t_ns: Array
    kind: Array  # names
    site_id: Array
    thing: Array  # names of kinds, "" for none
    row: Array
    job_id: Array
    value: Array
    detail: Array  # JSON or ""
    parent: Array  # row of the cause, its own where there is none
    root: Array  # row of the event at the beginning of its chain

    def of_kind(self, *kinds: str) -> Array:
        """Rows of the events of these kinds."""
        return np.flatnonzero(np.isin(self.kind, kinds))

    def rows(self, event_id: Array) -> Array:
        """Row of each of these events, -1 for one that is not in the trace."""
        if not self.event_id.size:
            return np.full(np.shape(event_id), -1)
        place = np.minimum(np.searchsorted(self.event_id, event_id), self.event_id.size - 1)
        return np.where(self.event_id[place] == event_id, place, -1)

    def root_of(self, rows: Array) -> Array:
        """Row of the root of each of these rows, -1 for -1."""
        return np.asarray(np.append(self.root, -1)[rows])

    def chain(self, row: int) -> list[int]:
        """Rows from the first cause down to *row*."""
        rows = [row]
        while (parent := int(self.parent[rows[-1]])) != rows[-1]:
            rows.append(parent)
        return rows[::-1]

    def says(self, row: int) -> dict[str, Any]:
        """The detail of an event, empty for none."""
        detail = self.detail[row]
        return dict(json.loads(detail)) if detail else {}

    def cause(self, row: int) -> str:
        """Name of what began with *row*: its class of failure, its reason, or else its kind."""
        kind = str(self.kind[row])
        detail = self.says(row)
        named = detail.get("cause", detail.get("reason"))
        return _NAME_OF_KIND.get(kind, kind if named is None else str(named))


@once
def read_events(run: Run) -> Events:
    """All events of a run, each with its cause.

    A chain that leaves the trace (one cut short) begins at the last event that is there; a cause
    that comes after its effect is none.
    """
    table = run.columns("events")
    order = np.argsort(table["event_id"], kind="stable")
    table = {name: values[order] for name, values in table.items()}
    own = np.arange(order.size)
    events = Events(
        event_id=table["event_id"],
        t_ns=table["t_ns"],
        kind=_names(run, "event_kind", table["event_kind_id"]),
        site_id=table["site_id"],
        thing=_names(run, "thing_kind", table["thing_kind_id"]),
        row=table["row"],
        job_id=table["job_id"],
        value=table["value"],
        detail=table["detail"],
        parent=own,
        root=own,
    )
    cause = events.rows(table["cause_id"])
    parent = np.where((cause >= 0) & (cause < own), cause, own)
    return events._replace(parent=parent, root=_ends(parent))


def interruption_causes(run: Run) -> list[Cause]:
    """Unexpected interruptions by first cause, most frequent first; names as `Events.cause`."""
    events = read_events(run)
    interrupted = events.of_kind("job_interrupted")
    unexpected = interrupted[events.value[interrupted] == 1]
    counts = Counter(events.cause(row) for row in events.root[unexpected].tolist())
    return [Cause(*pair) for pair in sorted(counts.items(), key=lambda c: (-c[1], c[0]))]


def _ends(parent: Array) -> Array:
    """Where each chain of parents ends."""
    while not np.array_equal(parent, parent[parent]):
        parent = parent[parent]
    return parent


def _names(run: Run, dimension: str, ids: Array) -> Array:
    """The name of each id by a dimension table, "" for none."""
    table = run.columns(f"dim_{dimension}")
    known = table[f"{dimension}_id"]
    name_of = np.full(int(known.max(initial=-1)) + 2, "", "U24")
    name_of[known] = table["name"]
    return name_of[np.where((ids >= 0) & (ids < name_of.size), ids, -1)]
