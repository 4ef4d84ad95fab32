"""Who has flow: pumps, dry coolers and chillers that work and have power.

Flow is the share of a loop's pumps that run, all alike and in parallel. Units named in the scenario
as protected run as long as the UPS of their first rack has power, facility pumps as long as any UPS
on their feed has, and all UPSs share their load; dry coolers and chillers, the hall's fans, and
pumps that are not protected, hang on the feeds. A unit stops to protect itself where it has no
facility water and its supply is above `STOP_C`, until there is water again: its pump would only
heat what stands still.

Valid: constant-speed pumps. The rise of flow in the pumps that remain when one stops, which their
curve would give, is neglected, so flow after a loss is low by up to a fifth.
Accuracy: a count of what runs. Pumps have no run-down: flow stops at once. Units protect themselves
at the next stop of the simulation.
Source: wiring as the scenario gives it; that limit is a judgement, above all that one may ask for.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcsim.contract import NEVER_NS, Fact, Holds, flip
from dcsim.world.site import Site

STOP_C = 70.0
"""Supply above which a cooling unit without facility water stops."""


class PumpModel:
    """Flows of units and loop; evaluated only when a mode that matters has changed.

    Facts: `stopped` and `restarted` (unit).
    """

    reads = ()
    writes = ("unit.flow_frac", "loop.flow_frac")

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen: NDArray[Any] = np.empty(0)

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        """Write the flow of each unit and of the loop, and the share of the plant that runs."""
        site = self._site
        modes: NDArray[Any] = np.concatenate(
            (
                site.unit.capacity_frac,
                site.unit.stopped,
                site.pump.capacity_frac,
                site.cooler.capacity_frac,
                site.chiller.capacity_frac,
                site.feed.capacity_frac,
                site.feed.tripped,
                site.ups.capacity_frac,
                site.ups.tripped,
                site.ups.depleted,
            )
        )
        if not np.array_equal(modes, self._seen):
            self._seen = modes
            self._count()
        return Holds(NEVER_NS, np.inf)

    def _count(self) -> None:
        site, wiring = self._site, self._site.wiring
        live = (site.feed.capacity_frac > 0.0) & ~site.feed.tripped
        fed = live[site.ups.feed]
        works = (site.ups.capacity_frac > 0.0) & ~site.ups.tripped
        lit = works & (fed | ~site.ups.depleted)
        live_unit = (lit if wiring.units_protected else lit & fed)[wiring.unit_ups]
        site.unit.flow_frac[:] = site.unit.capacity_frac * live_unit * ~site.unit.stopped
        feeds = len(live)
        lit_on_feed = np.bincount(site.ups.feed, lit, feeds) > 0
        running = (lit_on_feed if wiring.pumps_protected else live)[wiring.pump_feed]
        site.loop.flow_frac[0] = np.mean(site.pump.capacity_frac * running)
        site.loop.dry_frac[0] = _share(site.cooler.capacity_frac, live)
        site.loop.chiller_frac[0] = _share(site.chiller.capacity_frac, live)
        site.loop.fan_frac[0] = np.mean(live)
        wiring.plant_frac[:] = live / max(live.sum(), 1)
        wiring.pump_frac[:] = lit / max(lit.sum(), 1) if wiring.pumps_protected else 0.0

    def switch(self, _world: Any, _now_ns: int) -> list[Fact]:
        """Stop hot units that have lost their facility water, and let them run when it is back."""
        unit, dry = self._site.unit, self._site.loop.flow_frac[0] <= 0.0
        hot = (unit.supply_c > STOP_C) & (unit.flow_frac > 0.0)
        return flip(unit.stopped, dry & (unit.stopped | hot), "unit", "stopped", "restarted")

    def advance(self, _world: Any, _dt_s: float) -> None:
        """Nothing moves by itself."""

    def modes(self, _world: Any) -> dict[str, Any]:
        """Which units have stopped."""
        return {"unit.stopped": self._site.unit.stopped}


def _share(capacity_frac: Any, live: Any) -> float:
    """Return the share of machines, dealt to the feeds in turn, that work and have power."""
    if len(capacity_frac) == 0:
        return 0.0
    return float(np.mean(capacity_frac * np.resize(live, len(capacity_frac))))
