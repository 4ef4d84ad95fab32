"""The electrical path: balances at every node, batteries to the nanosecond, breakers."""

from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import pytest

from dcsim.contract import NEVER_NS, Holds
from dcsim.physics.electrical import ElectricalModel
from dcsim.physics.pumps import PumpModel
from dcsim.world import Site
from tests.physics.rig import AIR, LIQUID, PRETRAIN, Rig, S, site_of

RACK_W = 30_000.0


class Racks:
    """Racks that draw what the test says, or *more_x* of it, and a plant that draws nothing."""

    reads = ()
    writes = ("rack.power_w",)

    def __init__(self, site: Site, more_x: float = 1.0) -> None:
        self._rack, self._more_x = site.rack, more_x

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        return Holds(NEVER_NS, np.inf)

    def switch(self, _world: Any, _now_ns: int) -> list[Any]:
        return []

    def advance(self, _world: Any, dt_s: float) -> None:
        self._rack.drawn_j[:] = self._rack.power_w * dt_s * self._more_x

    def modes(self, _world: Any) -> dict[str, Any]:
        return {}


def rig_of(more_x: float = 1.0, **power: str) -> Rig:
    """Four racks, each on a PDU; two UPSs, each on a feed."""
    asked = {
        "feeds": "2",
        "feed": "mv-10mw",
        "ups": "ups-500kw",
        "racks_per_ups": "2",
        "pdu": "pdu-225kva",
        "racks_per_pdu": "1",
        "battery": "5 min",
    } | power
    text = ", ".join(f"{key}: {value}" for key, value in asked.items())
    site = site_of(LIQUID | {"power": f"{{{text}}}"})
    site.rack.power_w[:] = RACK_W
    return Rig(site, [PumpModel(site), Racks(site, more_x), ElectricalModel(site)])


def drain_w(rack_w: float, racks: int = 2) -> Fraction:
    """What a UPS takes from its battery for so many racks, each on a PDU of its own."""
    rack, pdu_w, ups_w = Fraction(rack_w), Fraction(180_000), Fraction(500_000)
    load = rack / pdu_w
    output = racks * (rack + pdu_w * (Fraction("0.002") + Fraction("0.010") * load**2))
    x = output / ups_w
    loss = ups_w * (Fraction("0.008") + Fraction("0.008") * x + Fraction("0.012") * x**2)
    return output + loss


def times_ns(rig: Rig, kind: str, row: int) -> list[int]:
    return [t for t, fact in rig.facts if fact.kind == kind and fact.row == row]


# --- losses


@pytest.mark.parametrize(
    ("load", "efficiency"), [(0.1, 0.918), (0.25, 0.959), (0.5, 0.971), (0.75, 0.973), (1, 0.973)]
)
def test_the_ups_has_the_efficiencies_of_its_curve(load, efficiency):
    # loss/rating = 0.008 + 0.008 x + 0.012 x^2, near a Galaxy VS.
    rig = rig_of(racks_per_ups="4", racks_per_pdu="2", pdu="pdu-750kva", feeds="1")
    site = rig.site
    pdus_w = 2 * 600e3 * (0.002 + 0.010 * (250 * load / 600) ** 2)
    site.rack.power_w[:] = (499_900 * load - pdus_w) / 4
    rig.run_to(1.0)
    assert site.ups.output_w[0] == pytest.approx(500e3 * load, rel=1e-3)
    assert site.ups.output_w[0] / site.ups.input_w[0] == pytest.approx(efficiency, abs=0.001)


def test_the_transformer_of_a_feed_is_99_5_percent_efficient_at_half_load():
    rig = rig_of(feeds="1", feed_capacity="500 kW", racks_per_ups="4")
    rig.site.rack.power_w[:] = 57_500.0
    rig.run_to(1.0)
    feed = rig.site.feed
    assert feed.power_w[0] == pytest.approx(250e3, rel=0.05)
    assert 1 - feed.loss_w[0] / feed.power_w[0] == pytest.approx(0.995, abs=2e-4)


# --- balances


def assert_balanced(site: Site) -> None:
    """Watts balance at every PDU, UPS and feed, and in sum; joules at the meter."""
    rack, pdu, ups, feed, meter = site.rack, site.pdu, site.ups, site.feed, site.meter
    scale_w = 1e-9 * max(meter.site_w[0], meter.it_w[0], 1.0)
    racks_w = np.bincount(rack.pdu, rack.power_w * rack.powered, len(pdu.ups))
    np.testing.assert_allclose(pdu.power_w, racks_w + pdu.loss_w, atol=scale_w)
    pumps_w = ups.output_w - np.bincount(pdu.ups, pdu.power_w, len(ups.feed))
    assert (pumps_w > -scale_w).all()
    drawn_w = ups.input_w + ups.battery_w
    np.testing.assert_allclose(drawn_w, ups.output_w + ups.loss_w, atol=scale_w)
    on_feed_w = np.bincount(ups.feed, ups.input_w, len(feed.power_w))
    plant_w = feed.power_w - feed.loss_w - on_feed_w
    assert (plant_w > -scale_w).all()
    assert meter.cooling_w[0] == pytest.approx(pumps_w.sum() + plant_w.sum(), abs=scale_w)
    if ((feed.capacity_frac > 0) & ~feed.tripped).any():
        asked_w = site.unit.pump_w.sum() + site.loop.pump_w[0] + site.loop.plant_w[0]
        assert meter.cooling_w[0] == pytest.approx(asked_w, rel=1e-9)
    in_w = meter.site_w[0] + ups.battery_w.sum()
    out_w = meter.it_w[0] + meter.cooling_w[0] + meter.loss_w[0]
    assert in_w == pytest.approx(out_w, abs=scale_w)
    in_j = meter.site_j[0] + meter.battery_j[0]
    out_j = meter.it_j[0] + meter.cooling_j[0] + meter.loss_j[0]
    assert in_j == pytest.approx(out_j, rel=1e-9, abs=1e-3)
    whole_path = meter.it_part_j.any()  # some tests set the power of racks themselves
    for whole_j, parts_j in (
        (meter.it_j, meter.it_part_j if whole_path else meter.it_j),
        (meter.cooling_j, meter.cooling_part_j),
        (meter.loss_j, meter.loss_part_j),
    ):
        assert whole_j[0] == pytest.approx(parts_j.sum(), rel=1e-9, abs=1e-3)
    gone_j = (site.battery_j - ups.charge_j).sum()
    assert meter.battery_j[0] == pytest.approx(gone_j, rel=1e-9, abs=1.0)


@pytest.mark.parametrize("protected", ["[cdu_pumps, facility_pumps]", "[]", "[cdu_pumps]"])
@pytest.mark.parametrize("seed", range(6))
def test_every_watt_is_accounted_for_whatever_fails(seed, protected):
    power = LIQUID["power"].replace("}", f", battery: 90 s, protected_cooling: {protected}}}")
    site = site_of(LIQUID | {"power": power})
    rig = Rig(site, load=PRETRAIN)
    rng = np.random.Generator(np.random.PCG64(seed))
    for _ in range(12):
        kind = str(rng.choice(["pdu", "ups", "feed", "unit", "pump"]))
        row = int(rng.integers(len(getattr(site, kind).capacity_frac)))
        t_s, for_s = float(rng.uniform(0, 3000)), float(rng.exponential(200))
        rig.at(t_s, f"{kind}.capacity_frac", row, float(rng.choice([0, 0, 0.02, 0.6])))
        rig.at(t_s + for_s, f"{kind}.capacity_frac", row, 1.0)
    stops = []
    rig.island.observers.append(lambda t_ns, _: (stops.append(t_ns), assert_balanced(site)))
    rig.run_to(3600)
    assert len(stops) > 24
    assert rig.facts
    assert site.meter.it_j[0] > 1e8


def test_what_hangs_on_a_dead_ups_loses_nothing():
    rig = rig_of()
    rig.at(10, "ups.capacity_frac", 0, 0.0)
    rig.run_to(11)
    site = rig.site
    assert list(site.rack.powered) == [False, False, True, True]
    assert list(site.pdu.loss_w > 0) == [False, False, True, True]
    assert site.ups.output_w[0] == 0
    assert_balanced(site)


# --- batteries


@pytest.mark.parametrize("rack_w", [RACK_W, 55_555.5, 1.0])
def test_a_battery_is_empty_to_the_nanosecond(rack_w):
    rig = rig_of()
    rig.site.rack.power_w[:] = rack_w
    rig.at(123.456789, "feed.capacity_frac", 1, 0.0)
    exact_ns = 123_456_789_000 + Fraction(150_000_000) / drain_w(rack_w) * S
    rig.run_to(float(exact_ns) / S + 10)
    assert rig.kinds() == ["on_battery", "depleted", "off_battery", *["power_lost"] * 2]
    assert [fact.row for _, fact in rig.facts] == [1, 1, 1, 2, 3]
    [empty_ns] = times_ns(rig, "depleted", 1)
    assert abs(empty_ns - ceil(exact_ns)) <= 1
    assert abs(rig.site.ups.charge_j[1]) < 1e-2
    assert_balanced(rig.site)


def test_a_battery_counts_each_joule_of_a_load_that_changes():
    rig = rig_of()
    rig.at(60, "feed.capacity_frac", 0, 0.0)
    loads = [(60 * S, RACK_W)] + [
        (100 * S + 31 * k * S + 7 * k, 20_000.0 + 1000 * ((7 * k) % 11)) for k in range(1, 120)
    ]
    for t_ns, rack_w in loads[1:]:
        rig.at(t_ns / S, "rack.power_w", slice(None), rack_w)
    rig.run_to(3600)
    left_j = Fraction(150_000_000)
    for (since_ns, rack_w), (until_ns, _) in pairwise(loads):
        used_j = drain_w(rack_w) * (until_ns - since_ns) / S
        if used_j >= left_j:
            break
        left_j -= used_j
    exact_ns = since_ns + left_j / drain_w(rack_w) * S
    [empty_ns] = times_ns(rig, "depleted", 0)
    assert since_ns > 1000 * S
    assert abs(empty_ns - ceil(exact_ns)) <= 1


def test_a_battery_recharges_at_its_share_of_the_rating_and_is_full_once():
    rig = rig_of()
    rig.at(100, "feed.capacity_frac", 0, 0.0)
    rig.at(220, "feed.capacity_frac", 0, 1.0)
    rig.run_to(221)
    ups = rig.site.ups
    assert ups.battery_w[0] == -50_000.0
    assert ups.input_w[0] == pytest.approx(float(drain_w(RACK_W)) + 50_000.0)
    rig.run_to(2 * 3600)
    assert rig.kinds() == ["on_battery", "off_battery", "charging", "charged"]
    [full_ns] = times_ns(rig, "charged", 0)
    exact_ns = 220 * S + 120 * drain_w(RACK_W) / 50_000 * S
    assert abs(full_ns - ceil(exact_ns)) <= 1
    assert ups.charge_j[0] == pytest.approx(rig.site.battery_j, rel=1e-12)
    assert ups.battery_w[0] == 0
    assert_balanced(rig.site)


def test_recharging_takes_only_what_the_feed_has_left():
    capacity = 100e3
    rig = rig_of(feed_capacity="100 kW")
    rig.at(100, "feed.capacity_frac", 0, 0.0)
    rig.at(220, "feed.capacity_frac", 0, 1.0)
    rig.run_to(221)
    site = rig.site
    assert 0 < -site.ups.battery_w[0] < 50e3
    assert capacity * 0.99 < site.feed.power_w[0] <= capacity
    rig.at(300, "rack.power_w", slice(2), 46_000.0)
    rig.run_to(301)
    assert 0 <= -site.ups.battery_w[0] < 2e3
    rig.at(400, "rack.power_w", slice(2), 20_000.0)
    rig.run_to(401)
    assert site.ups.battery_w[0] == -50e3
    rig.run_to(3600)
    assert rig.kinds() == ["on_battery", "off_battery", "charging", "charged"]
    assert_balanced(site)


@pytest.mark.parametrize("more_x", [0.9, 1.1])
def test_what_racks_on_battery_draw_beside_their_rate_is_their_batterys(more_x):
    rig = rig_of(more_x)
    rig.at(100, "feed.capacity_frac", slice(None), 0.0)
    rig.run_to(101)
    site = rig.site
    site_j, charge_j = site.meter.site_j[0], site.ups.charge_j.sum()
    rig.run_to(1500)
    assert site.ups.on_battery.all()
    assert site.meter.site_j[0] == site_j
    drawn_w = 2 * float(drain_w(RACK_W)) + 4 * RACK_W * (more_x - 1.0)
    assert charge_j - site.ups.charge_j.sum() == pytest.approx(1399 * drawn_w, rel=1e-6)
    assert_balanced(site)
    rig.run_to(3600)
    [empty_ns] = times_ns(rig, "depleted", 0)
    one_step_s = 300 * 0.1
    assert empty_ns / S - 100 == pytest.approx(2 * 150e6 / drawn_w, abs=one_step_s)
    assert abs(site.ups.charge_j).max() < one_step_s * drawn_w / 2


@pytest.mark.parametrize("parts", [LIQUID, AIR], ids=["liquid", "air"])
def test_a_site_whose_feeds_are_dead_draws_nothing(parts):
    site = site_of(parts)
    rig = Rig(site, load=PRETRAIN)
    rig.at(1000, "gpu.load_frac", slice(None), 1.0)
    rig.at(1001, "feed.capacity_frac", slice(None), 0.0)
    rig.run_to(1002)
    seen_j = []
    rig.island.observers.append(lambda *_: seen_j.append(site.meter.site_j[0]))
    rig.run_to(1240)
    assert site.ups.on_battery.all()
    assert len(seen_j) > 1
    assert set(seen_j) == {site.meter.site_j[0]}
    pumps_w = site.unit.pump_w.sum() + site.loop.pump_w[0]
    assert site.meter.cooling_w[0] == pytest.approx(pumps_w)
    hall_w = site.unit.around_w.sum() if parts is LIQUID else 0.0
    assert site.loop.other_w[0] == pytest.approx(hall_w + pumps_w)
    assert_balanced(site)


def test_a_feed_that_comes_back_to_too_much_load_trips_and_its_ups_stays_on_battery():
    rig = rig_of(feed_capacity="100 kW")
    rig.at(100, "feed.capacity_frac", 0, 0.0)
    rig.at(150, "rack.power_w", slice(2), 60_000.0)
    rig.at(200, "feed.capacity_frac", 0, 1.0)
    rig.run_to(210)
    assert rig.kinds() == ["on_battery", "tripped"]


def test_a_second_outage_finds_what_the_first_has_left():
    rig = rig_of()
    for start_s, end_s in ((100, 200), (260, 300), (301, 5000)):
        rig.at(start_s, "feed.capacity_frac", 0, 0.0)
        rig.at(end_s, "feed.capacity_frac", 0, 1.0)
    rig.run_to(5001)
    drain = drain_w(RACK_W)
    left_j = 150_000_000 - 140 * drain + 61 * 50_000
    [empty_ns] = times_ns(rig, "depleted", 0)
    assert abs(empty_ns - ceil(301 * S + left_j / drain * S)) <= 1
    [back_ns] = times_ns(rig, "power_back", 0)
    assert back_ns == 5000 * S


def test_an_empty_battery_that_is_asked_again_at_once_is_empty_at_once():
    rig = rig_of()
    rig.at(10, "feed.capacity_frac", 0, 0.0)
    rig.at(3600, "feed.capacity_frac", 0, 1.0)
    rig.at(3600.000000001, "feed.capacity_frac", 0, 0.0)
    rig.run_to(4000)
    assert len(times_ns(rig, "depleted", 0)) == 2
    assert max(times_ns(rig, "depleted", 0)) - 3600 * S < 1000
    assert not rig.site.rack.powered[:2].any()


# --- breakers


def test_an_overloaded_pdu_opens_and_stays_open_until_more_of_it_is_back():
    rig = rig_of()
    rig.at(10, "pdu.capacity_frac", 2, 0.1)
    rig.at(20, "rack.power_w", slice(None), 100.0)
    rig.at(30, "pdu.capacity_frac", 2, 0.05)
    rig.run_to(40)
    assert rig.kinds() == ["tripped", "power_lost"]
    assert [fact.row for _, fact in rig.facts] == [2, 2]
    assert rig.site.pdu.tripped[2]
    rig.at(50, "pdu.capacity_frac", 2, 1.0)
    rig.run_to(60)
    assert rig.kinds()[2:] == ["reset", "power_back"]
    assert rig.site.rack.powered.all()


def test_a_feed_that_trips_leaves_its_racks_on_battery_until_that_is_empty():
    rig = rig_of()
    rig.at(10, "feed.capacity_frac", 0, 0.001)
    rig.run_to(3600)
    assert rig.kinds()[:2] == ["tripped", "on_battery"]
    assert rig.kinds()[2:] == ["depleted", "off_battery", "power_lost", "power_lost"]
    rig.at(3700, "feed.capacity_frac", 0, 1.0)
    rig.run_to(3701)
    assert rig.kinds()[6:] == ["reset", "recharging", "charging", "power_back", "power_back"]


def test_what_is_exactly_at_its_rating_stays_closed():
    rig = rig_of()
    rig.run_to(1)
    share = rig.site.pdu.power_w[0] / 180_000.0
    rig.at(2, "pdu.capacity_frac", 0, share * (1 + 1e-12))
    rig.run_to(3)
    assert not rig.facts
    rig.at(4, "pdu.capacity_frac", 0, share * (1 - 1e-9))
    rig.run_to(5)
    assert rig.kinds() == ["tripped", "power_lost"]


def test_the_pumps_of_a_lost_ups_go_to_the_others():
    site = site_of(LIQUID)
    rig = Rig(site, load=PRETRAIN)
    rig.run_to(60)
    pumps_w = site.ups.output_w - np.bincount(site.pdu.ups, site.pdu.power_w, 2)
    loop_w = site.loop.pump_w[0]
    assert pumps_w == pytest.approx(site.unit.pump_w + loop_w / 2)
    rig.at(61, "ups.capacity_frac", 0, 0.0)
    rig.run_to(62)
    # Feed 0 has no UPS left to run its half of the facility pumps.
    assert site.loop.flow_frac[0] == 0.5
    assert site.loop.pump_w[0] == loop_w / 2
    pumps_w = site.ups.output_w - np.bincount(site.pdu.ups, site.pdu.power_w, 2)
    assert pumps_w == pytest.approx([0, site.unit.pump_w[1] + loop_w / 2])
    assert list(site.unit.flow_frac) == [0, 1]


def test_facility_pumps_run_where_a_site_has_fewer_upses_than_feeds():
    one_ups = LIQUID["power"].replace("racks_per_ups: 2", "racks_per_ups: 4")
    site = site_of(LIQUID | {"power": one_ups})
    Rig(site).run_to(1)
    assert len(site.ups.feed) == 1
    assert len(site.feed.power_w) == 2
    assert site.loop.flow_frac[0] == 1


@pytest.mark.parametrize("protected", [True, False])
def test_cooling_without_a_ups_stops_with_its_feed(protected):
    kept = "[cdu_pumps, facility_pumps]" if protected else "[]"
    power = LIQUID["power"].replace("}", f", protected_cooling: {kept}}}")
    site = site_of(LIQUID | {"power": power})
    rig = Rig(site)
    rig.at(10, "feed.capacity_frac", 1, 0.0)
    rig.run_to(20)
    assert list(site.unit.flow_frac) == [1, 1 if protected else 0]
    assert site.loop.flow_frac[0] == (1.0 if protected else 0.5)
    assert site.loop.chiller_frac[0] == site.loop.dry_frac[0] == 1  # one of each, on feed 0
