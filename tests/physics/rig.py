"""A site with its models on an island, and the least that has to answer what physics reports."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dcsim import world
from dcsim.contract import Fact, Model
from dcsim.engine import Inbox, Island, Sim
from dcsim.physics.site import default_models
from dcsim.scenario import loads
from dcsim.world import Site

S = 10**9
GRID_NS = 300 * S
PRETRAIN = 0.862

LIQUID = {
    "nodes": "{type: hgx-h100-liquid, count: 16}",
    "racks": "{nodes_per_rack: 4}",
    "network": "{switch: qm9700}",
    "power": "{feeds: 2, feed: mv-10mw, ups: ups-500kw, racks_per_ups: 2, pdu: pdu-225kva, "
    "racks_per_pdu: 1}",
    "cooling": "{unit: xdu1350, racks_per_unit: 2, supply: 30 degC, chiller: air-cooled-trim}",
    "weather": "{constant: 20 degC}",
}
AIR = LIQUID | {
    "nodes": "{type: hgx-h100-air, count: 16}",
    "racks": "{nodes_per_rack: 2}",
    "cooling": "{unit: crah-150, racks_per_unit: 4, supply: 20 degC, chiller: air-cooled-trim}",
}


def text_of(parts: dict[str, str], seed: int = 1, more: str = "") -> str:
    """A scenario with one site, `lab`, of *parts*."""
    site = "\n".join(f"    {key}: {value}" for key, value in parts.items())
    return f"name: rig\nseed: {seed}\nduration: 1 d\nsites:\n  lab:\n{site}\n{more}"


def site_of(parts: dict[str, str], dtype: Any = np.float32, seed: int = 1) -> Site:
    """The site of *parts*, at the outside air that they ask for."""
    site = world.build(loads(text_of(parts, seed)), dtype).sites["lab"]
    if site.ask.weather.constant_c is not None:
        site.weather.dry_bulb_c[0] = site.ask.weather.constant_c
    return site


class Rig:
    """Runs a site. Nodes go off when hot or dark; those of a rack that has power again go on."""

    def __init__(
        self, site: Site, models: Sequence[Model] = (), grid_ns: int = GRID_NS, load: float = 0.0
    ) -> None:
        self.site = site
        self.facts: list[tuple[int, Fact]] = []
        columns = site.columns("state", "mode", "rate")
        chosen = models or default_models(site)
        self.island = Island(site.name, site, chosen, columns, grid_ns)
        self.sim = Sim([self.island], self._deliver)
        self._inbox = Inbox(self.sim)
        self._load = load
        self.sim.process(self._answer())
        self._turn(np.arange(len(site.node.rack)), True)

    def at(self, t_s: float, column: str, rows: Any, value: Any) -> None:
        """Write *value* to *column* at *t_s*."""

        def write() -> Any:
            yield self.sim.timeout(round(t_s * S) - self.sim.now_ns)
            with self.sim.change("script", self.island) as edit:
                edit.put(column, rows, value)

        self.sim.process(write())

    def run_to(self, t_s: float) -> None:
        """Run to *t_s*."""
        self.sim.run_to(round(t_s * S))

    def kinds(self) -> list[str]:
        """The kinds of all facts so far."""
        return [fact.kind for _, fact in self.facts]

    def _deliver(self, fact: Fact, _island: Island) -> None:
        self.facts.append((self.sim.now_ns, fact))
        self._inbox.put(fact)

    def _answer(self) -> Any:
        while True:
            fact = yield self._inbox.get()
            if fact.kind == "shutdown":
                self._turn([fact.row // self.site.gpus_per_node], False)
            elif fact.table == "rack":
                rows = np.arange(*self.site.rack.first_node[fact.row : fact.row + 2])
                self._turn(rows, fact.kind == "power_back")

    def _turn(self, nodes: Any, on: bool) -> None:
        """Turn nodes on, at the load of the rig, or off."""
        width = self.site.gpus_per_node
        gpus = (np.asarray(nodes)[:, None] * width + np.arange(width)).ravel()
        with self.sim.change("turn", self.island) as edit:
            edit.put("node.up", nodes, on)
            edit.put("node.busy_frac", nodes, float(on and self._load > 0))
            edit.put("gpu.on_frac", gpus, float(on))
            edit.put("gpu.load_frac", gpus, self._load if on else 0.0)
