"""Nodes that were out of service and in no job's seat: why GPUs were not allocated.

A job holds the seat of a node that it lost until another node takes it, and so does the waterfall.
From then on, until the node is up again, its time is charged to what took it.
"""

from typing import NamedTuple

from dcsim.accounting.causes import Events, read_events
from dcsim.accounting.things import Names
from dcsim.trace import Run

_KINDS = ("down", "up", "node_replaced", "job_interrupted", "job_resumed")


class Outage(NamedTuple):
    """A time in which a node was down and nobody's."""

    root: int  # row of the event that it began with
    site_id: int
    from_ns: int
    until_ns: int


def outages(run: Run) -> list[Outage]:
    """All outages of nodes, none where the trace does not say who took a lost node's seat."""
    if "node_replaced" not in run.columns("dim_event_kind")["name"].tolist():
        return []
    events, names = read_events(run), Names(run)
    nodes = _Nodes(events, names, run.end_ns)
    for row in events.of_kind(*_KINDS).tolist():
        getattr(nodes, str(events.kind[row]))(row)
    return nodes.outages()


class _Nodes:
    """Follows nodes through the events, a method for each kind; an outage is the row of `down`."""

    def __init__(self, events: Events, names: Names, end_ns: int) -> None:
        self._events = events
        self._names = names
        self._end_ns = end_ns
        self._last: dict[str, int] = {}  # outage of a node, by its name
        self._from_ns: dict[int, int] = {}
        self._until_ns: dict[int, int] = {}
        # by site and job that stands still: outages that may be in its seats
        self._seated: dict[tuple[int, int], set[int]] = {}

    def down(self, row: int) -> None:
        """An outage begins; of a job that stands still it may take a seat."""
        if self._events.thing[row] != "node":
            return
        self.up(row)
        self._last[self._node(row)] = row
        self._from_ns[row] = int(self._events.t_ns[row])
        for (site_id, _), outages in self._seated.items():
            if site_id == self._events.site_id[row]:
                outages.add(row)

    def up(self, row: int) -> None:
        """An outage is over, also where the next begins before the node has booted."""
        before = self._last.get(self._node(row))
        if before is not None:
            self._until_ns.setdefault(before, int(self._events.t_ns[row]))

    def node_replaced(self, row: int) -> None:
        """The seat of a node has another."""
        outage = self._last.get(str(self._events.says(row).get("left")))
        if outage is not None:
            self._from_ns[outage] = int(self._events.t_ns[row])
            for outages in self._seated.values():
                outages.discard(outage)

    def job_interrupted(self, row: int) -> None:
        """A job stands still, with an empty seat if a node was lost."""
        outages = self._seated.setdefault(self._job(row), set())
        outages.update({int(self._events.parent[row])} & self._from_ns.keys())

    def job_resumed(self, row: int) -> None:
        """A job has a node in every seat."""
        self._seated.pop(self._job(row), None)

    def outages(self) -> list[Outage]:
        """What was in no seat."""
        seated = set().union(*self._seated.values())
        roots, sites = self._events.root, self._events.site_id
        every = (
            Outage(int(roots[row]), int(sites[row]), t_ns, self._until_ns.get(row, self._end_ns))
            for row, t_ns in self._from_ns.items()
            if row not in seated
        )
        return [outage for outage in every if outage.from_ns < outage.until_ns]

    def _node(self, row: int) -> str:
        return self._names.thing(int(self._events.site_id[row]), "node", int(self._events.row[row]))

    def _job(self, row: int) -> tuple[int, int]:
        return int(self._events.site_id[row]), int(self._events.job_id[row])
