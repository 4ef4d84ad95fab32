"""The life of a node: up, out for one or more reasons, booting.

A node is out as long as anything holds it: a repair, no power, a hot shutdown, dead rails, planned
work. The table below is the whole automaton; a node's process starts with its first fact.
"""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import simpy

from dcsim.contract import Fact
from dcsim.engine import Inbox, Island, Sim, Timer
from dcsim.inputs.records import ns
from dcsim.processes.log import NO_CAUSE, EventLog
from dcsim.world import Site

NODE = {
    ("up", "hold"): ("out", "go_down"),
    ("up", "crash"): ("up", "tell_job"),
    ("up", "release"): ("up", "ignore"),
    ("out", "hold"): ("out", "add_hold"),
    ("out", "crash"): ("out", "mask"),
    ("out", "release"): ("out", "drop_hold"),
    ("out", "booted"): ("out", "ignore"),
    ("booting", "hold"): ("out", "go_down"),
    ("booting", "crash"): ("booting", "mask"),
    ("booting", "release"): ("booting", "ignore"),
    ("booting", "booted"): ("up", "come_up"),
    ("up", "booted"): ("up", "ignore"),
}
"""(state, fact) -> (state, action): a *hold* puts the node out, a *crash* only its job."""

STAYS_ON = frozenset({"rails"})
"""Holds of a node that keeps its power."""
ONCE = frozenset({"hot", "power", "rails"})
"""Holds that say how things are, however often they are said; the others are counted."""
COOL_C = 60.0
RETRY_NS = 600_000_000_000
"""A node that shut down hot is tried again when it is this cool, every so often: judgements."""
COOLED_FRAC = 0.1
"""Least flow of its cooling unit at which a node is tried again: a judgement."""

Told = Callable[[Site, int, Fact], None]


class NodeLife:
    """One node. *tell* passes on to the scheduler that the node was lost, crashed or came back."""

    def __init__(
        self, sim: Sim, island: Island, site: Site, log: EventLog, tell: Told, row: int
    ) -> None:
        self.inbox = Inbox(sim)
        self.state = "up"
        self.holds: dict[str, int] = {}
        self._sim = sim
        self._island = island
        self._site = site
        self._row = row
        self._log = log
        self._tell = tell
        self._boot_ns = ns(site.sheets["node"]["boot_s"])
        first = row * site.gpus_per_node
        self._boot: Timer | None = None
        self._gpus = slice(first, first + site.gpus_per_node)

    def life(self) -> Generator[simpy.Event, Fact, None]:
        """Run the automaton, fact by fact."""
        while True:
            fact = yield self.inbox.get()
            self.state, action = NODE[self.state, fact.kind]
            getattr(self, action)(fact)

    def go_down(self, fact: Fact) -> None:
        """Turn off, and tell the job."""
        why, cause, more = _read(fact)
        self._hold(why, more)
        if self._boot is not None:
            self._boot.cancel()
        event = self._log.add("down", self._site, "node", self._row, because=cause, reason=why)
        with self._sim.change(f"node {why}", self._island) as edit:
            edit.put("node.up", self._row, False)
            edit.put("node.busy_frac", self._row, 0.0)
            edit.put("gpu.load_frac", self._gpus, 0.0)
            if why not in STAYS_ON:
                edit.put("gpu.on_frac", self._gpus, 0.0)
        self._tell(self._site, self._row, Fact("lost", "node", self._row, (why, event, more)))

    def add_hold(self, fact: Fact) -> None:
        """Stay out for one more reason; a failure of a node that is out changes nothing."""
        why, _, more = _read(fact)
        if why == "repair":
            self.mask(fact)
            return
        self._hold(why, more)
        if why not in STAYS_ON:
            with self._sim.change(f"node {why}", self._island) as edit:
                edit.put("gpu.on_frac", self._gpus, 0.0)

    def drop_hold(self, fact: Fact) -> None:
        """Boot when nothing holds the node any more; one that kept its power is up at once."""
        why = _read(fact)[0]
        if why == "hot" and self._too_hot():
            self._plan_release(why, {})
            return
        left = self.holds.get(why, 0) - 1
        if left > 0:
            self.holds[why] = left
        else:
            self.holds.pop(why, None)
        if self.holds:
            return
        if self._site.gpu.on_frac[self._gpus].any():
            self.state = "up"
            self.come_up(fact)
        else:
            self.state = "booting"
            booted = Fact("booted", "node", self._row)
            self._boot = self._sim.timer(self.inbox, self._boot_ns, booted)

    def come_up(self, _fact: Fact) -> None:
        """Turn on, idle, and tell the scheduler."""
        with self._sim.change("node up", self._island) as edit:
            edit.put("node.up", self._row, True)
            edit.put("gpu.on_frac", self._gpus, 1.0)
        self._log.add("up", self._site, "node", self._row)
        self._tell(self._site, self._row, Fact("back", "node", self._row))

    def tell_job(self, fact: Fact) -> None:
        """The work on the node died, the node did not."""
        self._tell(self._site, self._row, Fact("crashed", "node", self._row, fact.payload))

    def mask(self, fact: Fact) -> None:
        """What would have hit a running node meets one that is out."""
        self._log.add("masked", self._site, "node", self._row, because=_read(fact)[1])

    def ignore(self, _fact: Fact) -> None:
        """Nothing to do."""

    def _hold(self, why: str, more: dict[str, Any]) -> None:
        """Count a reason."""
        if why not in ONCE or why not in self.holds:
            self.holds[why] = self.holds.get(why, 0) + 1
            self._plan_release(why, more)

    def _plan_release(self, why: str, more: dict[str, Any]) -> None:
        delay_ns = RETRY_NS if why == "hot" else more.get("for_ns")
        if delay_ns is not None:
            release = Fact("release", "node", self._row, (why, NO_CAUSE, {}))
            self._sim.timer(self.inbox, delay_ns, release)

    def _too_hot(self) -> bool:
        """Whether the node would shut down again: still hot, or its cooling unit stands still."""
        site = self._site
        unit = site.rack.unit[site.node.rack[self._row]]
        cooled = site.unit.flow_frac[unit] >= COOLED_FRAC
        return not cooled or bool(site.gpu.temp_c[self._gpus].max() > COOL_C)


def _read(fact: Fact) -> tuple[str, int, dict[str, Any]]:
    why, cause, more = fact.payload
    return why, cause, more


class NodeLives:
    """The nodes of a site; a node's process begins with its first fact."""

    def __init__(self, sim: Sim, island: Island, site: Site, log: EventLog, tell: Told) -> None:
        self._introduce = partial(NodeLife, sim, island, site, log, tell)
        self._sim = sim
        self._lives: dict[int, NodeLife] = {}

    def put(self, row: int, kind: str, why: str, cause: int, **more: Any) -> None:
        """Give node *row* a fact: `hold`, `release` or `crash`, with its reason and cause."""
        life = self._lives.get(row)
        if life is None:
            life = self._lives[row] = self._introduce(row)
            self._sim.process(life.life())
        life.inbox.put(Fact(kind, "node", row, (why, cause, more)))
