"""What comes from outside: inputs, in their order, each handed to what it hits.

Scripted faults set the share of capacity that remains of what they match, and set it back when they
are over; where several faults hit one thing, the worst counts. Of a GPU, node or rack it is the
share of the clock, never below the lowest that its GPUs have, and none is a node that is down.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import simpy

from dcsim.contract import Fact
from dcsim.engine import Inbox, Island, Sim
from dcsim.inputs.records import Record, ns
from dcsim.physics.gpu import EXPONENT
from dcsim.processes.causes import Causes
from dcsim.processes.log import EventLog, Write
from dcsim.processes.nodes import NodeLives
from dcsim.processes.scheduler import Scheduler
from dcsim.trace.schema import THING_KIND_ID_OF
from dcsim.world import Site, matches
from dcsim.world.names import Match
from dcsim.world.tables import F64, I64

INPUT_PRIORITY = 2

COLUMNS = {
    "gpu": "gpu.ceiling_x",
    "node": "gpu.ceiling_x",
    "rack": "gpu.ceiling_x",
    "cdu": "unit.capacity_frac",
    "crah": "unit.capacity_frac",
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
"""The column that holds what remains of each kind of thing."""
MACHINES = ("gpu", "node", "rack")
FABRIC = ("leaf", "spine", "link")


class Active(NamedTuple):
    """A fault that is not over: what it matches, and the share that it leaves."""

    match: Match
    frac: float


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
        causes: Causes,
        job_index: Mapping[str, int],
        write_rows: Write,
    ) -> None:
        self._sim = sim
        self._islands = islands
        self._sites = sites
        self._lives = lives
        self._scheduler = scheduler
        self._log = log
        self._causes = causes
        self._job_index = job_index
        self._write = write_rows
        self._active: list[Active] = []
        self._next_air: dict[str, list[tuple[int, float, float]]] = {name: [] for name in sites}
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
        more = {"repair_s": payload["repair_s"]} if payload["action"] == "replace" else {}
        event = self._log.add("fail", site, kind, int(row), cause=payload["cause"], **more)
        if kind == "leaf":
            self._leaf_fails(site, int(row), payload, event)
            return
        node = int(row) if kind == "node" else int(row) // site.gpus_per_node
        u = tuple(payload["u"])
        if payload["action"] == "replace":
            for_ns = ns(payload["repair_s"])
            self._lives[name].put(node, "hold", "repair", event, u=u, for_ns=for_ns)
        else:
            self._lives[name].put(node, "crash", payload["cause"], event, u=u)

    def _leaf_fails(self, site: Site, leaf: int, payload: dict[str, Any], event: int) -> None:
        """A leaf breaks: jobs on its nodes crash once, as published, then run on without it."""
        if site.net.leaf_frac[leaf] <= 0.0:
            self._log.add("masked", site, "leaf", leaf, because=event)
            return
        self._begin(Match(site, "leaf", np.array([leaf])), 0.0, event, ns(payload["repair_s"]))
        below = np.flatnonzero((site.clos.leaf_of_nic == leaf).any(axis=1))
        u = tuple(payload["u"])
        for node in self._scheduler.one_node_each(site, below):
            self._lives[site.name].put(node, "crash", payload["cause"], event, u=u)

    def _fault(self, target: str, payload: dict[str, Any]) -> None:
        """A scripted fault begins."""
        until_ns = payload["until_ns"]
        for_ns = None if until_ns is None else until_ns - self._sim.now_ns
        for match in matches(target, self._sites):
            event = self._log.add(
                "fault",
                match.site,
                match.kind,
                int(match.rows[0]) if len(match.rows) == 1 else -1,
                value=payload["frac"],
                hit=target,
                origin=payload["origin"],
                effect=payload["effect"],
            )
            self.watched.append((match, self._sim.now_ns))
            self._begin(match, payload["frac"], event, for_ns)

    def _maintenance(self, target: str, payload: dict[str, Any]) -> None:
        """Planned work: nodes are taken out for a time, a share of them at each turn if it
        rolls."""
        for_ns = ns(payload["for_s"])
        for match in matches(target, self._sites):
            rows = match.rows
            if payload["frac"] is not None:
                size = max(1, round(payload["frac"] * len(rows)))
                first = payload["turn"] * size % len(rows)
                rows = np.take(rows, np.arange(first, first + size), mode="wrap")
            event = self._log.add("maintenance", match.site, match.kind, value=len(rows))
            lives = self._lives[match.site.name]
            for row in rows:
                lives.put(int(row), "hold", "maintenance", event, for_ns=for_ns)

    def _begin(self, match: Match, frac: float, event: int, for_ns: int | None) -> None:
        """Leave the share *frac* of what is matched, for a time or for good."""
        site, active = match.site, Active(match, frac)
        self._active.append(active)
        self._causes.fault(match, event, for_ns)
        self._apply(match, event)
        if match.kind in MACHINES and frac <= 0.0:
            more = {} if for_ns is None else {"for_ns": for_ns}
            for node in np.unique(gpus_of(match) // site.gpus_per_node):
                self._lives[site.name].put(int(node), "hold", "fault", event, **more)
        if for_ns is not None:
            self._sim.process(self._end(active, event, for_ns))

    def _end(self, active: Active, event: int, for_ns: int) -> Generator[simpy.Event, Fact, None]:
        """Give back, after a time, what other faults do not take."""
        match, inbox = active.match, Inbox(self._sim)
        self._sim.timer(inbox, for_ns, Fact("over", "fault", event))
        yield inbox.get()
        self._active = [other for other in self._active if other is not active]
        self._log.add("fault_ended", match.site, match.kind, because=event)
        self._apply(match, event)

    def _apply(self, match: Match, event: int) -> None:
        """Write what remains of all things of a kind."""
        site, name = match.site, COLUMNS[match.kind]
        column = self._islands[site.name].columns[name]
        left = self._left(site, name, len(column))
        if name == "gpu.ceiling_x":
            gpu = site.sheets["gpu"]
            left = np.maximum(left, gpu["min_clock_hz"] / gpu["max_clock_hz"]) ** EXPONENT
        changed = np.flatnonzero(column != left)
        with self._sim.change(f"fault {event}", self._islands[site.name]) as edit:
            edit.put(name, slice(None), left)
            if match.kind in FABRIC and len(changed):
                edit.put("net.version", 0, int(site.net.version[0]) + 1)
        if match.kind in FABRIC and len(changed):
            self._write(
                "link",
                {
                    "t_ns": self._sim.now_ns,
                    "site_id": site.index,
                    "thing_kind_id": THING_KIND_ID_OF[match.kind],
                    "row": changed,
                    "capacity_frac": left[changed],
                },
            )

    def _left(self, site: Site, column: str, count: int) -> F64:
        """Return what all active faults leave of each row of a column, 1 for most."""
        left = np.ones(count)
        for match, frac in self._active:
            if match.site is site and COLUMNS[match.kind] == column:
                rows = gpus_of(match) if match.kind in MACHINES else match.rows
                left[rows] = np.minimum(left[rows], frac)
        return left


def gpus_of(match: Match) -> I64:
    """Return the GPUs of the matched gpus, nodes or racks."""
    if match.kind == "gpu":
        return match.rows
    site, nodes = match.site, match.rows
    if match.kind == "rack":
        nodes = np.flatnonzero(np.isin(site.node.rack, match.rows))
    return (nodes[:, None] * site.gpus_per_node + np.arange(site.gpus_per_node)).ravel()
