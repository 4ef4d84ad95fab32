"""A site at rest on its design day: its own models, under the air of the hottest hour.

All jobs make steps, and the air stays as it is until temperatures no longer change. So every
number is that of the models of a run, without a run.
"""

from typing import NamedTuple

import numpy as np

from dcsim import catalog
from dcsim.audit.finding import Seat
from dcsim.contract import Fact
from dcsim.engine import Island, Sim
from dcsim.inputs.epw import read_epw
from dcsim.inputs.records import NS_PER_S
from dcsim.physics.site import default_models
from dcsim.scenario.weather import Weather
from dcsim.world import Site

LOOK_NS = 600 * NS_PER_S
REST_LOOKS_COUNT = 6
"""At rest when this many looks find no change."""
LOOKS_MAX_COUNT = 144
STILL_K = 0.02
MACHINES = ("pump", "cooler", "chiller")


class DesignDay(NamedTuple):
    """The outside air at its hottest, and which air that is."""

    dry_bulb_c: float
    what: str


def design_day(weather: Weather) -> DesignDay:
    """Return the hottest hour of a climate's hottest day, of a file, or the constant.

    Raises InputError for a weather file that cannot be used.
    """
    if weather.constant_c is not None:
        return DesignDay(weather.constant_c, "constant")
    if weather.epw is not None:
        return DesignDay(float(read_epw(weather.epw).dry_bulb_c.max()), f"of {weather.epw.name}")
    hours = catalog.sheet("climate", str(weather.climate)).list("hot_day_dry_bulb_c")
    return DesignDay(float(max(hours)), f"design day of {weather.climate}")


class Rest:
    """A site whose jobs run under constant air; *facts* is what happened to it so far."""

    def __init__(self, site: Site, seats: list[Seat], day: DesignDay) -> None:
        self.site = site
        self.day = day
        self.facts: list[Fact] = []
        site.weather.dry_bulb_c[0] = day.dry_bulb_c
        if not seats:
            site.gpu.load_frac[:] = site.sheets["gpu"]["activity_pretrain_frac"]
            site.node.busy_frac[:] = 1.0
        for seat in seats:
            _run(site, seat)
        columns = site.columns("state", "mode")
        self._island = Island(site.name, site, default_models(site), columns, LOOK_NS)
        self._sim = Sim([self._island], lambda fact, _island: self.facts.append(fact))
        self.settle()

    @property
    def shutdown_count(self) -> int:
        """How many GPUs became so hot that they would have shut down."""
        return len({fact.row for fact in self.facts if fact.kind == "shutdown"})

    def settle(self) -> None:
        """Wait until nothing changes, at most a day; what shuts down is not cooled any further."""
        seen: list[tuple[float, float]] = []
        for _ in range(LOOKS_MAX_COUNT):
            self._sim.run_to(self._sim.now_ns + LOOK_NS)
            seen.append((float(self.site.gpu.temp_c.max()), float(self.site.loop.supply_c[0])))
            moved_k = np.ptp(seen[-REST_LOOKS_COUNT:], axis=0).max()
            if self.shutdown_count or (len(seen) >= REST_LOOKS_COUNT and moved_k < STILL_K):
                return

    def lose(self, kind: str) -> None:
        """Have all machines but the first of this kind, and settle."""
        with self._sim.change(f"no {kind} 0", self._island) as edit:
            for machines in MACHINES:
                edit.put(f"{machines}.capacity_frac", slice(None), 1.0)
            edit.put(f"{kind}.capacity_frac", 0, 0.0)
        self.facts.clear()
        self.settle()


def _run(site: Site, seat: Seat) -> None:
    """Let a job make steps on its nodes."""
    plan, nodes = seat.plan, seat.nodes
    gpus = nodes[:, None] * site.gpus_per_node + np.arange(site.gpus_per_node)
    site.gpu.load_frac[gpus] = plan.load_frac
    site.node.busy_frac[nodes] = 1.0
    site.placement[plan.job] = plan.placed(site, nodes)
    site.job.running[plan.job] = True
    site.job.stall_s[plan.job] = plan.stall_per_step_s
