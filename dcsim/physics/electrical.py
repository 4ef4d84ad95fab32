"""The electrical path: racks, PDUs, UPSs with batteries, feeds.

Each rack hangs on one PDU, each PDU on one UPS, each UPS on one feed. A PDU and a feed lose
`P_rated (no_load + load x^2)`, a UPS `P_rated (fixed + linear x + square x^2)` at the load x. A UPS
whose feed is dead draws on its battery until the stored time at which that is empty; then its racks
are dark. After the feed returns, the battery charges at a stated share of the rating, or with what
the rating of the feed leaves where that is less: recharging opens no breaker. Anything loaded above
the share of its rating that remains opens at once and stays open until more of it is back.

Valid: loads up to the rating. Not modelled: a second path (A/B) to a rack, generators, transfer
switches, breaker curves, reactive power, voltage.
The heat of the losses goes nowhere: the rooms of PDUs, UPSs and transformers are not modelled, nor
what cools them.
Accuracy: exact for held powers; the charge at depletion is zero to the rounding of float64. Loads
that change within a step reach the meters and batteries, but not the losses of that step; a
battery that this empties early is empty at the end of it, and a breaker opens at the next stop.
Source: forms as LBNL and Galaxy VS curves suggest; coefficients in the catalogue, judgement there.
"""

from typing import Any, NamedTuple

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds, flip
from dcsim.kernel import kernel
from dcsim.world.site import Site
from dcsim.world.tables import F64, FeedTable, MeterTable, PduTable, RackTable, UpsTable


class PowerLaw(NamedTuple):
    """Constants of the path; each kind of thing is alike in one site."""

    pdu_rated_w: float
    pdu_no_load_frac: float
    pdu_load_frac: float
    ups_rated_w: float
    ups_fixed_frac: float
    ups_linear_frac: float
    ups_square_frac: float
    charge_w: float
    battery_j: float
    feed_rated_w: float
    feed_no_load_frac: float
    feed_load_frac: float


class Path(NamedTuple):
    """The tables of the electrical path, taken whole."""

    rack: RackTable
    pdu: PduTable
    ups: UpsTable
    feed: FeedTable
    meter: MeterTable


@kernel
def evaluate_path(
    path: Path, law: PowerLaw, pumps_w: F64, plant_w: F64, live: Any, now_ns: int
) -> tuple[int, bool]:
    """Write all powers of the path; return the next due time [ns] and whether any is overloaded.

    *pumps_w* is the cooling load of each UPS, *plant_w* that of each feed; *live* is scratch,
    bool[feeds_count].
    """
    rack, pdu, ups, feed, meter = path
    meter.it_w[0] = meter.site_w[0] = meter.cooling_w[0] = 0.0
    meter.loss_part_w[:] = 0.0
    pdu.power_w[:] = 0.0
    overloaded = False
    for r in range(rack.power_w.shape[0]):
        if rack.powered[r]:
            pdu.power_w[rack.pdu[r]] += rack.power_w[r]
            meter.it_w[0] += rack.power_w[r]
    for f in range(feed.power_w.shape[0]):
        live[f] = feed.capacity_frac[f] > 0.0 and not feed.tripped[f]
        feed.power_w[f] = plant_w[f] if live[f] else 0.0
        meter.cooling_w[0] += feed.power_w[f]
    fed = np.empty(ups.output_w.shape[0], np.bool_)
    for u in range(fed.shape[0]):
        fed[u] = live[ups.feed[u]] and ups.capacity_frac[u] > 0.0 and not ups.tripped[u]
    ups.output_w[:] = pumps_w
    for p in range(pdu.power_w.shape[0]):
        x = pdu.power_w[p] / law.pdu_rated_w
        u = pdu.ups[p]
        energised = pdu.capacity_frac[p] > 0.0 and (fed[u] or ups.on_battery[u])
        loss = law.pdu_rated_w * (law.pdu_no_load_frac + law.pdu_load_frac * x * x)
        pdu.loss_w[p] = loss if energised and not pdu.tripped[p] else 0.0
        pdu.power_w[p] += pdu.loss_w[p]
        ups.output_w[u] += pdu.power_w[p]
        meter.loss_part_w[0] += pdu.loss_w[p]
        overloaded |= pdu.power_w[p] > law.pdu_rated_w * pdu.capacity_frac[p] and energised
    _evaluate_ups(ups, feed, meter, law, pumps_w, fed)
    due_ns = _evaluate_batteries(ups, feed, law, fed, now_ns)
    for u in range(ups.output_w.shape[0]):
        overloaded |= ups.output_w[u] > law.ups_rated_w * ups.capacity_frac[u]
    for f in range(feed.power_w.shape[0]):
        x = feed.power_w[f] / law.feed_rated_w
        loss = law.feed_rated_w * (law.feed_no_load_frac + law.feed_load_frac * x * x)
        feed.loss_w[f] = loss if live[f] else 0.0
        feed.power_w[f] += feed.loss_w[f]
        meter.loss_part_w[2] += feed.loss_w[f]
        meter.site_w[0] += feed.power_w[f]
        overloaded |= feed.power_w[f] > law.feed_rated_w * feed.capacity_frac[f]
    meter.loss_w[0] = meter.loss_part_w.sum()
    return due_ns, overloaded


@kernel
def _evaluate_ups(
    ups: UpsTable,
    feed: FeedTable,
    meter: MeterTable,
    law: PowerLaw,
    pumps_w: F64,
    fed: Any,
) -> None:
    """Write losses of the UPSs, and what they draw from their feeds for their load."""
    for u in range(ups.output_w.shape[0]):
        x = ups.output_w[u] / law.ups_rated_w
        loss = law.ups_rated_w * (
            law.ups_fixed_frac + law.ups_linear_frac * x + law.ups_square_frac * x * x
        )
        ups.loss_w[u] = loss if fed[u] or ups.on_battery[u] else 0.0
        ups.input_w[u] = ups.output_w[u] + ups.loss_w[u] if fed[u] else 0.0
        feed.power_w[ups.feed[u]] += ups.input_w[u]
        meter.loss_part_w[1] += ups.loss_w[u]
        meter.cooling_w[0] += pumps_w[u]


@kernel
def _evaluate_batteries(
    ups: UpsTable, feed: FeedTable, law: PowerLaw, fed: Any, now_ns: int
) -> int:
    """Write what batteries give and take; return the earliest time at which one is due [ns].

    Those that charge on one feed share what its rating leaves.
    """
    charging_count, charge_w = np.zeros((2, feed.power_w.shape[0]))
    for u in range(ups.output_w.shape[0]):
        if ups.charging[u] and fed[u]:
            charging_count[ups.feed[u]] += 1.0
    for f in range(charge_w.shape[0]):
        share = feed.capacity_frac[f]
        most_w = law.feed_rated_w * (
            share - law.feed_no_load_frac - law.feed_load_frac * share * share
        )
        left_w = max(most_w - feed.power_w[f], 0.0)
        charge_w[f] = min(law.charge_w, left_w / max(charging_count[f], 1.0))
    earliest_ns = NEVER_NS
    for u in range(ups.output_w.shape[0]):
        battery = 0.0
        if ups.on_battery[u]:
            battery = ups.output_w[u] + ups.loss_w[u]
        elif ups.charging[u] and fed[u]:
            battery = -charge_w[ups.feed[u]]
            ups.input_w[u] -= battery
            feed.power_w[ups.feed[u]] -= battery
        if battery != ups.battery_w[u]:
            ups.battery_w[u] = battery
            ups.due_ns[u] = NEVER_NS
            if battery > 0.0:
                ups.due_ns[u] = _after_ns(now_ns, ups.charge_j[u] / battery)
            elif battery < 0.0:
                room_j = law.battery_j - ups.charge_j[u]
                ups.due_ns[u] = _after_ns(now_ns, room_j / -battery)
        earliest_ns = min(earliest_ns, ups.due_ns[u])
    return earliest_ns


@kernel
def _after_ns(now_ns: int, wait_s: float) -> int:
    """Return the time *wait_s* from now, rounded up, or one that never comes if that is far."""
    return int(now_ns + np.int64(np.ceil(min(wait_s * 1e9, 2.0**61))))


@kernel
def advance_path(path: Path, cooling_j: F64, cooling_more_j: float, dt_s: float) -> None:
    """Integrate batteries and accounts.

    Racks and heat rejection count with what they drew, each where its power comes from: its battery
    or the utility. The rest, losses included, is held. *cooling_j* is what each part of the cooling
    drew, *cooling_more_j* by how much that is more than at the start of the step.
    """
    rack, pdu, ups, meter = path.rack, path.pdu, path.ups, path.meter
    it_more_j = stored_more_j = 0.0
    for r in range(rack.power_w.shape[0]):
        if rack.powered[r]:
            more_j = rack.drawn_j[r] - rack.power_w[r] * dt_s
            it_more_j += more_j
            u = pdu.ups[rack.pdu[r]]
            if ups.on_battery[u]:
                ups.charge_j[u] -= more_j
                ups.due_ns[u] -= np.int64(more_j / ups.battery_w[u] * 1e9)
                stored_more_j += more_j
    for u in range(ups.charge_j.shape[0]):
        ups.charge_j[u] -= ups.battery_w[u] * dt_s
        meter.battery_j[0] += ups.battery_w[u] * dt_s
    meter.battery_j[0] += stored_more_j
    meter.it_j[0] += meter.it_w[0] * dt_s + it_more_j
    meter.cooling_j[0] += meter.cooling_w[0] * dt_s + cooling_more_j
    meter.loss_j[0] += meter.loss_w[0] * dt_s
    meter.loss_part_j[:] += meter.loss_part_w * dt_s
    meter.cooling_part_j[:] += cooling_j
    meter.site_j[0] += meter.site_w[0] * dt_s + (it_more_j - stored_more_j) + cooling_more_j


class ElectricalModel:
    """The path from the feeds to the racks. Facts: see `switch`."""

    reads = ("rack.power_w", "unit.pump_w", "loop.plant_w")
    writes = ("meter.site_w",)

    def __init__(self, site: Site) -> None:
        pdu, ups, feed = site.sheets["pdu"], site.sheets["ups"], site.sheets["feed"]
        self.law = PowerLaw(
            pdu["rated_w"],
            pdu["no_load_loss_frac"],
            pdu["load_loss_frac"],
            ups["rated_w"],
            ups["loss_fixed_frac"],
            ups["loss_linear_frac"],
            ups["loss_square_frac"],
            ups["recharge_frac"] * ups["rated_w"],
            site.battery_j,
            site.feed_rated_w,
            feed["no_load_loss_frac"],
            feed["load_loss_frac"],
        )
        self._site = site
        self._path = Path(site.rack, site.pdu, site.ups, site.feed, site.meter)
        self._live = np.ones(len(site.feed.power_w), np.bool_)
        self._seen = np.empty(0)
        self._due_ns = 0
        self._overloaded = False

    def evaluate(self, _world: Any, now_ns: int) -> Holds:
        """Write every power of the path."""
        pumps_w, plant_w = self._cooling_loads_w()
        self._due_ns, self._overloaded = evaluate_path(
            self._path, self.law, pumps_w, plant_w, self._live, now_ns
        )
        return Holds(self._due_ns, np.inf)

    def switch(self, _world: Any, now_ns: int) -> list[Fact]:
        """Flip breakers, batteries and racks.

        Facts: `tripped` (pdu, ups, feed); `on_battery`, `depleted`, `on_feed`, `charged` (ups);
        `power_lost` and `power_back` (rack).
        """
        pdu, ups, feed = self._path.pdu, self._path.ups, self._path.feed
        whole = np.concatenate((pdu.capacity_frac, ups.capacity_frac, feed.capacity_frac))
        if not self._overloaded and self._due_ns > now_ns and np.array_equal(whole, self._seen):
            return []
        mended = whole > self._seen if len(self._seen) else np.zeros(len(whole), np.bool_)
        mended_of = np.split(mended, (len(pdu.ups), len(pdu.ups) + len(ups.feed)))
        self._seen = whole
        facts: list[Fact] = []
        loads: tuple[tuple[str, Any, F64, float], ...] = (
            ("pdu", pdu, pdu.power_w, self.law.pdu_rated_w),
            ("ups", ups, ups.output_w, self.law.ups_rated_w),
            ("feed", feed, feed.power_w, self.law.feed_rated_w),
        )
        for (name, table, load_w, rated_w), mended in zip(loads, mended_of, strict=True):
            over = (load_w > rated_w * table.capacity_frac) & (table.capacity_frac > 0.0)
            tripped = over | (table.tripped & ~mended)
            facts += flip(table.tripped, tripped, name, "tripped", "reset")
        live = (feed.capacity_frac > 0.0) & ~feed.tripped
        works = (ups.capacity_frac > 0.0) & ~ups.tripped
        fed = live[ups.feed]
        due = ups.due_ns <= now_ns
        full = ups.charging & fed & due
        empty = (ups.depleted | (ups.on_battery & due)) & ~fed
        facts += flip(ups.depleted, empty, "ups", "depleted", "recharging")
        facts += flip(ups.on_battery, works & ~fed & ~empty, "ups", "on_battery", "off_battery")
        drained = ups.charge_j < self.law.battery_j * (1.0 - 1e-9)
        facts += flip(ups.charging, works & fed & drained & ~full, "ups", "charging", "charged")
        lit = (works & (fed | ups.on_battery))[pdu.ups] & (pdu.capacity_frac > 0.0) & ~pdu.tripped
        facts += flip(
            self._path.rack.powered, lit[self._path.rack.pdu], "rack", "power_back", "power_lost"
        )
        return facts

    def _cooling_loads_w(self) -> tuple[F64, F64]:
        """Return the cooling loads of each UPS and of each feed."""
        site = self._site
        wiring, loop = site.wiring, site.loop
        plant_w = loop.plant_w[0] * wiring.plant_frac
        pumps_w = loop.pump_w[0] * wiring.pump_frac
        units_w = np.bincount(wiring.unit_ups, site.unit.pump_w, len(pumps_w))
        if wiring.units_protected:
            pumps_w += units_w
        else:
            np.add.at(plant_w, site.ups.feed, units_w)
        if not wiring.pumps_protected:
            plant_w += loop.pump_w[0] * wiring.plant_frac
        return pumps_w, plant_w

    def advance(self, _world: Any, dt_s: float) -> None:
        """Drain or charge batteries; add to the meters."""
        unit, loop, share = self._site.unit, self._site.loop, self._site.wiring.plant_frac
        plant_j = loop.plant_j * share[self._live].sum()
        pumps_j = (unit.pump_w.sum() * dt_s, loop.pump_w[0] * dt_s)
        more_j = plant_j.sum() - loop.plant_w[0] * share[self._live].sum() * dt_s
        advance_path(self._path, np.concatenate((pumps_j, plant_j)), more_j, dt_s)

    def modes(self, _world: Any) -> dict[str, Any]:
        """Breakers, batteries, dark racks."""
        ups = self._path.ups
        return {
            "pdu.tripped": self._path.pdu.tripped,
            "ups.tripped": ups.tripped,
            "feed.tripped": self._path.feed.tripped,
            "ups.on_battery": ups.on_battery,
            "ups.depleted": ups.depleted,
            "ups.charging": ups.charging,
            "rack.powered": self._path.rack.powered,
        }
