"""What comes from outside: inputs, in their order, each handed to what it hits.

Scripted faults set the share of capacity that remains of what they match, and set it back when they
are over; where several faults hit one thing, the worst counts.
"""

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import simpy

from dcsim.contract import Fact
from dcsim.engine import Edit, Inbox, Island, Sim
from dcsim.inputs.records import Record
from dcsim.processes.log import NO_CAUSE, EventLog
from dcsim.processes.nodes import NodeLives
from dcsim.processes.scheduler import Scheduler
from dcsim.world import Site, matches
from dcsim.world.names import Match

INPUT_PRIORITY = 2
NS_PER_HOUR = 3_600_000_000_000
CLOCK_EXPONENT = 2.5

COLUMNS = {
    "cdu": "unit.flow_frac",
    "crah": "unit.flow_frac",
    "pump": "pump.capacity_frac",
    "cooler": "cooler.capacity_frac",
    "chiller": "chiller.capacity_frac",
    "pdu": "pdu.capacity_frac",
    "ups": "ups.capacity_frac",
    "feed": "feed.capacity_frac",
    "leaf": "net.leaf_frac",
    "spine": "net.spine_frac",
    "link": "net.link_frac",
}
"""The column that holds the share of capacity of each kind of thing in the plant and the fabric."""


class Outside:
    """Reads the inputs one after the other and hands each on at its time."""

    def __init__(
        self,
        sim: Sim,
        islands: Mapping[str, Island],
        sites: Mapping[str, Site],
        lives: Mapping[str, NodeLives],
        scheduler: Scheduler,
        log: EventLog,
        job_index: Mapping[str, int],
    ) -> None:
        self._sim = sim
        self._islands = islands
        self._sites = sites
        self._lives = lives
        self._scheduler = scheduler
        self._log = log
        self._job_index = job_index
        self._active: dict[tuple[str, str, int], list[float]] = {}
        self._next_air: dict[str, list[tuple[int, float, float]]] = {name: [] for name in sites}
        self._because: dict[tuple[str, str, int], int] = {}
        self.watched: list[tuple[Match, int]] = []

    def feed(self, records: Sequence[Record]) -> Generator[simpy.Event, Fact, None]:
        """Run through *records*, which are in the order of their time."""
        for record in records:
            if record.kind == "weather":
                air = json.loads(record.payload)
                hour = (record.t_ns, air["dry_bulb_c"], air["wet_bulb_c"])
                self._next_air[record.target].append(hour)
        inbox = Inbox(self._sim)
        for record in records:
            if record.t_ns > self._sim.now_ns:
                wait_ns = record.t_ns - self._sim.now_ns
                due = Fact("due", "input", -1)
                self._sim.timer(inbox, wait_ns, due, priority=INPUT_PRIORITY)
                yield inbox.get()
            payload = json.loads(record.payload)
            getattr(self, f"_{record.kind}")(record.target, payload)

    def cause_of(self, site: Site, kind: str, row: int) -> int:
        """Return the last fault of what *row* of *kind* depends on, or NO_CAUSE.

        Nearest first: the cooling unit or the PDU, its UPS, its feed, then the shared plant.
        """
        for above, rows in _above(site, kind, row):
            events = [self._because.get((site.name, above, r), NO_CAUSE) for r in rows]
            if max(events, default=NO_CAUSE) != NO_CAUSE:
                return max(events)
        return NO_CAUSE

    def _weather(self, target: str, payload: dict[str, Any]) -> None:
        """Set the air, and its slope until the next record."""
        site, hours = self._sites[target], self._next_air[target]
        t_ns, dry_c, wet_c = hours.pop(0)
        del payload
        dry_slope = wet_slope = 0.0
        if hours:
            span_s = (hours[0][0] - t_ns) * 1e-9
            dry_slope, wet_slope = (hours[0][1] - dry_c) / span_s, (hours[0][2] - wet_c) / span_s
        with self._sim.change("weather", self._islands[site.name]) as edit:
            edit.put("weather.dry_bulb_c", 0, dry_c)
            edit.put("weather.wet_bulb_c", 0, wet_c)
            edit.put("weather.dry_bulb_k_per_s", 0, dry_slope)
            edit.put("weather.wet_bulb_k_per_s", 0, wet_slope)

    def _job(self, target: str, payload: dict[str, Any]) -> None:
        del payload
        self._scheduler.submit(self._job_index[target])

    def _fail(self, target: str, payload: dict[str, Any]) -> None:
        """A thing breaks by itself: its node leaves for repair, or only the work on it dies."""
        name, kind, row = target.split("/")
        site = self._sites[name]
        event = self._log.add("fail", site, kind, int(row), cause=payload["cause"])
        if kind == "leaf":
            self._leaf_fails(site, int(row), payload, event)
            return
        node = int(row) if kind == "node" else int(row) // site.gpus_per_node
        u = tuple(payload["u"])
        if payload["action"] == "replace":
            for_ns = int(payload["repair_s"] * 1e9)
            self._lives[name].put(node, "hold", "repair", event, u=u, for_ns=for_ns)
        else:
            self._lives[name].put(node, "crash", payload["cause"], event, u=u)

    def _leaf_fails(self, site: Site, leaf: int, payload: dict[str, Any], event: int) -> None:
        """A leaf breaks: jobs on its nodes crash once, as published, then run on without it."""
        until_s = payload["repair_s"]
        self._set([Match(site, "leaf", np.array([leaf]))], 0.0, event)
        self._later([Match(site, "leaf", np.array([leaf]))], 0.0, int(until_s * 1e9), event)
        below = np.flatnonzero((site.clos.leaf_of_nic == leaf).any(axis=1))
        for node in below[:1]:
            self._lives[site.name].put(int(node), "crash", payload["cause"], event, u=payload["u"])

    def _fault(self, target: str, payload: dict[str, Any]) -> None:
        """A scripted fault begins."""
        found = matches(target, self._sites)
        event = -1
        for match in found:
            row = int(match.rows[0]) if len(match.rows) == 1 else -1
            event = self._log.add(
                "fault",
                match.site,
                match.kind,
                row,
                value=payload["frac"],
                hit=target,
                origin=payload["origin"],
                effect=payload["effect"],
            )
            self.watched.append((match, self._sim.now_ns))
        self._set(found, payload["frac"], event)
        if payload["until_ns"] is not None:
            self._later(found, payload["frac"], payload["until_ns"] - self._sim.now_ns, event)

    def _maintenance(self, target: str, payload: dict[str, Any]) -> None:
        """Planned work: nodes are taken out for a time, a share of them at each turn if it
        rolls."""
        for match in matches(target, self._sites):
            rows = match.rows
            if payload["frac"] is not None:
                size = max(1, round(payload["frac"] * len(rows)))
                first = payload["turn"] * size % len(rows)
                rows = np.take(rows, np.arange(first, first + size), mode="wrap")
            event = self._log.add("maintenance", match.site, match.kind, value=len(rows))
            for row in rows:
                for_ns = int(payload["for_s"] * 1e9)
                self._lives[match.site.name].put(
                    int(row), "hold", "maintenance", event, for_ns=for_ns
                )

    def _later(self, found: list[Match], frac: float, delay_ns: int, event: int) -> None:
        def over() -> Generator[simpy.Event, Fact, None]:
            inbox = Inbox(self._sim)
            self._sim.timer(inbox, delay_ns, Fact("over", "fault", event))
            yield inbox.get()
            self._unset(found, frac, event)

        self._sim.process(over())

    def _set(self, found: list[Match], frac: float, event: int) -> None:
        for match in found:
            for row in match.rows:
                thing = (match.site.name, match.kind, int(row))
                self._active.setdefault(thing, []).append(frac)
                self._because[thing] = event
            self._apply(match, event, begins=True)

    def _unset(self, found: list[Match], frac: float, event: int) -> None:
        for match in found:
            for row in match.rows:
                self._active[match.site.name, match.kind, int(row)].remove(frac)
            self._log.add("fault_ended", match.site, match.kind, because=event)
            self._apply(match, event, begins=False)

    def _apply(self, match: Match, event: int, *, begins: bool) -> None:
        """Write what remains of each matched thing."""
        site = match.site
        left = np.array(
            [min(self._active[site.name, match.kind, int(row)], default=1.0) for row in match.rows]
        )
        if match.kind in COLUMNS:
            with self._sim.change(f"fault {event}", self._islands[site.name]) as edit:
                edit.put(COLUMNS[match.kind], match.rows, left)
                if match.kind in ("leaf", "spine", "link"):
                    edit.put("net.version", 0, int(site.net.version[0]) + 1)
            return
        nodes = _nodes_of(match)
        if match.kind in ("gpu", "node"):
            with self._sim.change(f"fault {event}", self._islands[site.name]) as edit:
                _lower_clocks(edit, match, left)
        down = np.unique(nodes[np.repeat(left, len(nodes) // len(left)) <= 0.0])
        held = down if begins else np.unique(nodes)
        for node in held:
            kind = "hold" if begins else "release"
            self._lives[site.name].put(int(node), kind, "fault", event)


def _above(site: Site, kind: str, row: int) -> Iterator[tuple[str, Iterable[int]]]:
    """Yield what a thing depends on, kind by kind, nearest first."""
    if kind == "gpu":
        rack = int(site.node.rack[row // site.gpus_per_node])
        yield site.unit_kind, (int(site.rack.unit[rack]),)
    if kind == "rack":
        pdu = int(site.rack.pdu[row])
        ups = int(site.pdu.ups[pdu])
        yield from (("pdu", (pdu,)), ("ups", (ups,)), ("feed", (int(site.ups.feed[ups]),)))
    if kind == "ups":
        yield "feed", (int(site.ups.feed[row]),)
    if kind in ("pdu", "ups", "feed"):
        yield kind, (row,)
    shared = ("leaf", "spine", "link") if kind == "leaf" else ("pump", "cooler", "chiller", "feed")
    for plant in shared:
        yield plant, range(site.counts[plant])


def _nodes_of(match: Match) -> Any:
    """Return the nodes of the matched gpus, nodes or racks, as many for each."""
    if match.kind == "gpu":
        return match.rows // match.site.gpus_per_node
    if match.kind == "node":
        return match.rows
    first = match.site.rack.first_node
    return np.concatenate([np.arange(first[row], first[row + 1]) for row in match.rows])


def _lower_clocks(edit: Edit, match: Match, left: Any) -> None:
    """Lower the clock ceiling of the matched GPUs to the share that is left of it."""
    rows = match.rows
    if match.kind == "node":
        width = match.site.gpus_per_node
        rows = (rows[:, None] * width + np.arange(width)).ravel()
        left = np.repeat(left, width)
    edit.put("gpu.ceiling_x", rows, np.maximum(left, 0.01) ** CLOCK_EXPONENT)
