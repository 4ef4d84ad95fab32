"""Why things happen: the fault or the breakdown behind what physics reports.

A thing is hit by what it hangs on. What it hangs on is looked at level by level, nearest first; of
one level the latest event counts. A fault counts while it lasts and for `AFTERMATH_NS` after it, a
breakdown of the plant until it is mended.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from dcsim.contract import NEVER_NS, Fact
from dcsim.processes.log import NO_CAUSE
from dcsim.world import Site
from dcsim.world.names import Match

AFTERMATH_NS = 3_600_000_000_000
"""By then the heat that a fault left behind is gone, and every node that it took is up: a
judgement."""

BROKEN = {
    "pdu": ("tripped",),
    "ups": ("tripped", "on_battery", "depleted"),
    "feed": ("tripped",),
}
"""The columns that say of each kind of plant that something is wrong with it."""
ENDS = ("reset", "off_battery", "recharging")
"""Facts with which one of these columns falls."""

Thing = tuple[str, int | None]
"""A kind and a row; None stands for all of the kind."""


class Known(NamedTuple):
    """A fault that may still be the cause of something."""

    match: Match
    event: int
    over_ns: int


class Causes:
    """Remembers faults and breakdowns by their events; says which is behind what happens."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._faults: list[Known] = []
        self._broken: dict[tuple[str, str, int], int] = {}

    def fault(self, match: Match, event: int, for_ns: int | None) -> None:
        """Note a fault that begins, for a time or for good."""
        over_ns = NEVER_NS if for_ns is None else self._now_ns() + for_ns
        self._faults = [known for known in self._faults if self._counts(known)]
        self._faults.append(Known(match, event, over_ns))

    def broke(self, site: Site, fact: Fact, event: int) -> None:
        """Note that a thing of the plant broke down."""
        self._broken[site.name, fact.table, fact.row] = event

    def mended(self, site: Site, fact: Fact) -> None:
        """Forget the breakdown of a thing of the plant, unless more is wrong with it."""
        table, columns = getattr(site, fact.table), BROKEN[fact.table]
        if not any(getattr(table, column)[fact.row] for column in columns):
            self._broken.pop((site.name, fact.table, fact.row), None)

    def of(self, site: Site, kind: str, row: int) -> int:
        """Return the event behind what happens to a thing, NO_CAUSE if none is known."""
        for level in _above(site, kind, row):
            event = max(self._latest(site, *thing) for thing in level)
            if event != NO_CAUSE:
                return event
        return NO_CAUSE

    def _latest(self, site: Site, kind: str, row: int | None) -> int:
        events = [
            known.event
            for known in self._faults
            if known.match.site is site
            and known.match.kind == kind
            and (row is None or row in known.match.rows)
            and self._counts(known)
        ]
        if kind in BROKEN:
            rows = range(site.counts[kind]) if row is None else (row,)
            events += [self._broken.get((site.name, kind, row), NO_CAUSE) for row in rows]
        return max(events, default=NO_CAUSE)

    def _counts(self, known: Known) -> bool:
        return self._now_ns() < known.over_ns + AFTERMATH_NS


def _above(site: Site, kind: str, row: int) -> Iterator[list[Thing]]:
    """Yield what a thing hangs on, itself included, level by level."""
    if kind == "node":
        yield [
            *(("link", row * site.clos.nics_count + nic) for nic in range(site.clos.nics_count)),
            *(("leaf", int(leaf)) for leaf in site.clos.leaf_of_nic[row]),
            ("spine", None),
        ]
        return
    if kind == "gpu":
        unit = int(site.rack.unit[site.node.rack[row // site.gpus_per_node]])
        yield [(site.unit_kind, unit), ("ups", int(site.wiring.unit_ups[unit]))]
    else:
        yield list(_path(site, kind, row))
    yield [("pump", None), ("cooler", None), ("chiller", None), ("feed", None)]


def _path(site: Site, kind: str, row: int) -> Iterator[Thing]:
    """Yield what a rack, PDU, UPS or feed gets its power through."""
    if kind == "rack":
        kind, row = "pdu", int(site.rack.pdu[row])
        yield kind, row
        kind, row = "ups", int(site.pdu.ups[row])
    yield kind, row
    if kind == "ups":
        yield "feed", int(site.ups.feed[row])
