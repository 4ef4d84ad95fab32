"""Whatever fails in the plant, states stay physical: random faults, invariants at each stop."""

from typing import Any

import numpy as np
import pytest

from dcsim.physics.plant import loop_law, unit_law
from dcsim.world.check import check_site
from tests.physics.rig import AIR, LIQUID, Rig, site_of

KINDS = ("unit", "pump", "cooler", "chiller", "pdu", "ups", "feed")
FAULTS_END_S = 6000
END_S = 7200
LIQUID_1024 = LIQUID | {
    "nodes": "{type: hgx-h100-liquid, count: 128}",
    "racks": "{nodes_per_rack: 8}",
    "power": "{feeds: 2, feed: mv-10mw, ups: ups-1500kw, racks_per_ups: 4, pdu: pdu-225kva, "
    "racks_per_pdu: 1, battery: 2 min}",
    "cooling": "{unit: xdu1350, racks_per_unit: 4, supply: 30 degC}",
}
AIR_512 = AIR | {
    "nodes": "{type: hgx-h100-air, count: 64}",
    "power": "{feeds: 2, feed: mv-10mw, ups: ups-500kw, racks_per_ups: 8, pdu: pdu-225kva, "
    "racks_per_pdu: 2, battery: 2 min}",
    "cooling": "{unit: crah-150, racks_per_unit: 8, supply: 20 degC}",
}
SITES = pytest.mark.parametrize("parts", [LIQUID_1024, AIR_512], ids=["liquid", "air"])


def loops(parts: dict[str, str], seed: int) -> dict[str, str]:
    """Some sites have little water, some no chillers."""
    more = ["", ", loop_volume: 1 m3/MW", ", chillers: 0", ", pumps: 1"][seed % 4]
    return parts | {"cooling": parts["cooling"].replace("}", more + "}")}


def rig_with_faults(parts: dict[str, str], seed: int) -> Rig:
    """A site at random air and load, with faults in its plant; the worst of those at a time counts
    for none: the last write does."""
    rng = np.random.Generator(np.random.PCG64(seed))
    site = site_of(loops(parts, seed), seed=seed)
    site.weather.dry_bulb_c[0] = rng.uniform(-10, 42)
    rig = Rig(site, load=float(rng.choice([0.075, 0.481, 0.862, 1.0])))
    for _ in range(rng.integers(3, 14)):
        kind = str(rng.choice(KINDS))
        count = len(getattr(site, kind).capacity_frac)
        if count == 0:
            continue
        rows: Any = slice(None) if rng.random() < 0.3 else int(rng.integers(count))
        start_s, for_s = rng.uniform(0, 5000), min(rng.exponential(600), 1000.0)
        rig.at(start_s, f"{kind}.capacity_frac", rows, float(rng.choice([0, 0, 0.3, 0.7])))
        rig.at(start_s + for_s, f"{kind}.capacity_frac", rows, 1.0)
    return rig


def assert_physical(parts: dict[str, str], seed: int) -> Rig:
    """Run, with every invariant and the bounds of temperature at each stop, energy at the end."""
    rig = rig_with_faults(parts, seed)
    site = rig.site
    supply_c, air_c = site.loop.supply_c[0], site.weather.dry_bulb_c[0]
    coldest_c = min(supply_c, air_c) - 1.0
    warm_c = [site.unit.supply_c.copy(), supply_c]

    def observe(t_ns: int, _on_grid: bool) -> None:
        check_site(site, t_ns)
        for column in (site.gpu.temp_c, site.gpu.plate_c, site.unit.supply_c, site.loop.supply_c):
            assert coldest_c < column.min(), (seed, t_ns)
            assert column.max() < 110.0, (seed, t_ns)
        assert site.gpu.temp_c[site.gpu.on_frac > 0].max(initial=0.0) < 96.0, (seed, t_ns)

    rig.island.observers.append(observe)
    rig.run_to(END_S)
    assert rig.island.stops_count < 3000
    law, water = unit_law(site), loop_law(site).water_j_per_k
    in_j = site.unit.heat_j.sum()
    passed_j = in_j - site.unit.rejected_j.sum()
    stored_j = law.coolant_j_per_k * (site.unit.supply_c - warm_c[0]).sum()
    assert passed_j == pytest.approx(stored_j, abs=1e-9 * in_j + 1.0)
    out_j = site.loop.heat_j[0] - site.loop.rejected_j[0]
    stored_j = water * (site.loop.supply_c[0] - warm_c[1])
    assert out_j == pytest.approx(stored_j, abs=1e-9 * in_j + 1.0)
    meter = site.meter
    used_j = meter.it_j[0] + meter.cooling_j[0] + meter.loss_j[0]
    assert meter.site_j[0] + meter.battery_j[0] == pytest.approx(used_j, rel=1e-9)
    return rig


@SITES
@pytest.mark.parametrize("seed", range(16))
def test_a_few_swarms_stay_physical(parts, seed):
    assert_physical(parts, seed)


@pytest.mark.validate
@SITES
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_swarms_stay_physical(parts, seed):
    assert_physical(parts, seed)


@SITES
def test_racks_that_go_dark_and_come_back_again_and_again_settle(parts):
    site = site_of(parts)
    site.weather.dry_bulb_c[0] = 10.0
    rig = Rig(site, load=0.862)
    rig.run_to(3600)
    settled = [site.gpu.temp_c.copy(), site.unit.supply_c.copy()]
    for k in range(12):
        rig.at(3700 + 347.0 * k, "pdu.capacity_frac", slice(None), 0.0)
        rig.at(3700 + 347.0 * k + 173.0, "pdu.capacity_frac", slice(None), 1.0)
    rig.run_to(4 * 3600)
    assert rig.kinds().count("power_lost") == 12 * len(site.rack.pdu)
    np.testing.assert_allclose(site.gpu.temp_c, settled[0], atol=0.1)
    np.testing.assert_allclose(site.unit.supply_c, settled[1], atol=0.1)


@SITES
def test_units_that_have_lost_their_water_stop_and_heat_it_no_more(parts):
    site = site_of(parts)
    rig = Rig(site, load=0.862)
    rig.at(600, "pump.capacity_frac", slice(None), 0.0)
    rig.run_to(5 * 86_400)
    units = len(site.unit.supply_c)
    assert rig.kinds().count("stopped") == units
    assert site.unit.pump_w.sum() == site.unit.flow_frac.sum() == 0.0
    warm_c = site.loop.supply_c[0], site.unit.supply_c.max()
    assert max(warm_c) < 100.0
    rig.run_to(6 * 86_400)
    assert site.loop.supply_c[0] == pytest.approx(warm_c[0], abs=0.5)
    rig.at(6 * 86_400 + 60, "pump.capacity_frac", slice(None), 1.0)
    rig.run_to(6 * 86_400 + 7200)
    assert rig.kinds().count("restarted") == units
    assert list(site.unit.flow_frac) == [1.0] * units
    assert site.loop.supply_c[0] == pytest.approx(site.ask.cooling.supply_c, abs=0.1)


def test_a_throttled_site_needs_few_stops():
    hot = LIQUID_1024["cooling"].replace("30 degC", "60 degC")
    site = site_of(LIQUID_1024 | {"cooling": hot}, np.float64)
    site.weather.dry_bulb_c[0] = 20.0
    rig = Rig(site, load=1.0)
    rig.run_to(3600)
    assert site.gpu.temp_c.max() == pytest.approx(87.0, abs=0.1)
    assert (site.gpu.temp_c > 86.9).sum() > 100
    before = rig.island.stops_count
    site.weather.dry_bulb_k_per_s[0] = 1 / 3600
    rig.run_to(4 * 3600)
    assert rig.island.stops_count - before < 60
