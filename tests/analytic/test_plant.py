"""The cooling plant against hand values, data sheets and exact solutions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from dcsim import catalog
from dcsim.physics.cooling import (
    UnitLaw,
    advance_units,
    effectiveness,
    evaluate_units,
    exchange_w_per_k,
    ntu_of,
)
from dcsim.physics.plant import loop_law, unit_law
from dcsim.physics.rejection import (
    CONTROL_S,
    LoopLaw,
    advance_loop,
    dry_most_w_per_k,
    evaluate_loop,
)
from dcsim.world import Site
from dcsim.world.cooling import cooler_ua_w_per_k
from tests.physics.rig import AIR, LIQUID, PRETRAIN, Rig, site_of

SITE = site_of(LIQUID)
UNIT, LOOP = unit_law(SITE), loop_law(SITE)
DRY = catalog.sheet("dry_cooler", "bac-tdfs1238n")


# --- the exchanger


@pytest.mark.parametrize(
    ("ntu", "ratio", "expected"),
    [
        # (1 - e^(-N (1 - r))) / (1 - r e^(-N (1 - r))), by hand.
        (1.0, 0.5, 0.56473),
        (3.0, 0.75, 0.81712),
        (2.0, 1.0, 0.66667),
        (1.0, 0.0, 0.63212),
        (0.0, 0.5, 0.0),
        (50.0, 0.9, 0.99932),
    ],
)
def test_effectiveness_by_hand(ntu, ratio, expected):
    assert effectiveness(ntu, ratio) == pytest.approx(expected, abs=2e-5)


@given(st.floats(0.01, 8), st.floats(0, 1))
def test_the_number_of_transfer_units_is_its_inverse(ntu, ratio):
    assert ntu_of(effectiveness(ntu, ratio), ratio) == pytest.approx(ntu, rel=1e-5)


def test_effectiveness_joins_where_both_flows_are_equal():
    assert effectiveness(2.0, 0.9991) == pytest.approx(effectiveness(2.0, 0.9989), abs=3e-4)


def test_the_deschutes_unit_has_542_kw_per_k():
    # 2 MW, 31.48 kg/s PG25, 32.30 kg/s water, approach 3 K: effectiveness 0.844, 4.4 units.
    coolant, facility = 31.48 * 3950, 32.30 * 4180
    assert 2e6 / coolant / (2e6 / coolant + 3.0) == pytest.approx(0.844, abs=0.002)
    ntu = ntu_of(0.8428, coolant / facility)
    assert ntu == pytest.approx(4.4, abs=0.1)
    assert ntu * coolant == pytest.approx(542e3, rel=0.03)


@pytest.mark.parametrize(("unit", "approach_k"), [("xdu1350", 4.0), ("deschutes", 3.0)])
def test_a_full_unit_meets_the_approach_of_its_sheet(unit, approach_k):
    sheet = catalog.sheet("cooling_unit", unit)
    site = site_of(
        LIQUID | {"cooling": f"{{unit: {unit}, racks_per_unit: 2, supply: 30 degC}}"}, np.float64
    )
    law, served = unit_law(site), site.unit_load_frac
    heat_w = sheet["rated_w"] * served
    site.unit.heat_w[:] = heat_w
    site.unit.supply_c[:] = 26.8 + approach_k
    site.unit.lag_s[:] = 12.0
    site.loop.supply_c[0] = 26.8
    evaluate_units(site.unit, law, site.loop)
    assert site.unit.rejected_w == pytest.approx(np.full(2, heat_w), rel=0.01)


def test_exchange_falls_with_either_flow_and_keeps_a_rest():
    full = exchange_w_per_k(UNIT, 1.0, 1.0)
    halves = exchange_w_per_k(UNIT, 0.5, 1.0), exchange_w_per_k(UNIT, 1.0, 0.5)
    assert all(0.4 * full < half < 0.9 * full for half in halves)
    assert 0 < exchange_w_per_k(UNIT, 0.0, 1.0) < 0.02 * full
    assert exchange_w_per_k(UNIT, 1.0, 0.0) == exchange_w_per_k(UNIT, 1.0, 0.005)


# --- cooling units


def exchange_and_through(law: UnitLaw, flow: float) -> tuple[float, float]:
    through = law.coolant_w_per_k * (max(flow, 0.01) if law.liquid else 1.0)
    return exchange_w_per_k(law, flow, 1.0), through


def assert_conserved(site: Site, law: UnitLaw, before_c: float) -> None:
    stored_j = law.coolant_j_per_k * (site.unit.supply_c - before_c)
    assert site.unit.heat_j - site.unit.rejected_j == pytest.approx(stored_j, rel=1e-9)


@pytest.mark.parametrize("flow", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("parts", [LIQUID, AIR], ids=["liquid", "air"])
def test_a_unit_follows_held_heat_exactly(parts, flow):
    site = site_of(parts, np.float64)
    units, law = site.unit, unit_law(site)
    heat_w, around_w, dt_s = 40e3, 9e3, 173.0
    units.flow_frac[:], units.supply_c[:], site.loop.supply_c[0] = flow, 36.0, 31.0
    units.step_j[:], units.around_w[:] = heat_w * dt_s, around_w
    advance_units(units, law, site.loop, dt_s)
    into_w = heat_w + (0.0 if law.liquid else around_w)
    exchange, through = exchange_and_through(law, flow)
    rest_c = 31.0 + into_w / exchange - into_w / through
    died = np.exp(-exchange / law.coolant_j_per_k * dt_s)
    assert units.supply_c == pytest.approx(np.full(2, rest_c + (36.0 - rest_c) * died), rel=1e-9)
    assert_conserved(site, law, 36.0)


@pytest.mark.parametrize("dt_s", [0.5, 20.0, 300.0])
@pytest.mark.parametrize("flow", [1.0, 0.3, 0.02])
@pytest.mark.parametrize("parts", [LIQUID, AIR], ids=["liquid", "air"])
def test_a_unit_foresees_plates_and_loop_exactly(parts, flow, dt_s):
    site = site_of(parts, np.float64)
    units, law, loop = site.unit, unit_law(site), site.loop
    power_w, heat_w, around_w, lag_s = 60e3, 22e3, 9e3, 12.0
    units.flow_frac[:], units.supply_c[:], units.lag_s[:] = flow, 36.0, lag_s
    units.gpu_w[:], units.heat_w[:], units.around_w[:] = power_w, heat_w, around_w
    loop.supply_c[0], loop.supply_k_per_s[0], loop.relax_per_s[0] = 31.0, 0.01, 1 / 90
    evaluate_units(units, law, loop)
    air_w = 0.0 if law.liquid else around_w
    exchange, through = exchange_and_through(law, flow)
    storing = units.gpu_j_per_k[0] / lag_s
    # Over (q, T_s, T_f, T_f', heat in, passed on, 1).
    matrix = np.zeros((7, 7))
    out = exchange * np.array([1 / through, 1, -1, 0, 0, 0, air_w / through])
    into = np.array([1.0, 0, 0, 0, 0, 0, air_w])
    matrix[1] = (into - out) / law.coolant_j_per_k
    matrix[0] = np.array([-1 / lag_s, 0, 0, 0, 0, 0, power_w / lag_s]) - storing * matrix[1]
    matrix[2, 3], matrix[3, 3] = 1.0, -1 / 90
    matrix[4], matrix[5] = into, out
    after = expm(matrix * dt_s) @ [heat_w, 36.0, 31.0, 0.01, 0.0, 0.0, 1.0]
    units.step_j[:] = after[4] - air_w * dt_s
    advance_units(units, law, loop, dt_s)
    assert units.supply_c == pytest.approx(np.full(2, after[1]), rel=1e-9)
    assert units.rejected_j == pytest.approx(np.full(2, after[5]), rel=1e-7)
    assert_conserved(site, law, 36.0)


def test_a_hall_without_its_air_handler_heats_as_published():
    # 20 K in 180 s at 5 kW a rack, by the 45 kJ/K a rack fitted to published halls.
    site = site_of(AIR)
    rig = Rig(site, load=PRETRAIN)
    rig.run_to(3600)
    heat_w = site.unit.heat_w[0] + site.unit.around_w[0]
    rig.at(3600, "unit.capacity_frac", 0, 0.0)
    rig.run_to(3600.001)
    racks = np.diff(site.unit.first_rack)[0]
    per_kw = site.unit.supply_k_per_s[0] / (heat_w / racks) * 5e3 * 180.0
    assert per_kw == pytest.approx(20.0, rel=0.1)
    rig.run_to(3900)
    assert "shutdown" in rig.kinds()
    assert site.gpu.on_frac.sum() == 64  # the hall next to it goes on


def test_a_liquid_site_that_loses_a_pump_heats_as_published():
    # 1.7 to 3.3 K/s for each kW of a package.
    site = site_of(LIQUID)
    rig = Rig(site, load=1.0)
    rig.at(3600, "unit.capacity_frac", 0, 0.0)
    rig.run_to(3603)
    before_c = site.gpu.temp_c[:64].mean()
    rig.run_to(3608)
    rise_k_per_s = (site.gpu.temp_c[:64].mean() - before_c) / 5
    assert 1.7 < rise_k_per_s / site.gpu.power_w[:64].mean() * 1e3 < 3.3
    rig.run_to(3660)
    assert {fact.row // 64 for _, fact in rig.facts} == {0}


# --- the loop


def loop_of(**law: Any) -> tuple[Site, LoopLaw]:
    site = site_of(LIQUID)
    site.loop.dry_frac[0] = site.loop.chiller_frac[0] = 1.0
    return site, LOOP._replace(**law)


def settle(site: Site, law: LoopLaw, heat_w: float, air_c: float, hours: float = 3.0) -> None:
    for _ in range(int(hours * 360)):
        evaluate_loop(site.loop, law, heat_w, air_c)
        advance_loop(site.loop, law, heat_w * 10.0, air_c, 10.0)
    evaluate_loop(site.loop, law, heat_w, air_c)


def test_the_controller_takes_the_loop_to_its_set_point_with_its_time_constant():
    site, law = loop_of()
    site.loop.supply_c[0] = 32.0
    evaluate_loop(site.loop, law, 80e3, 10.0)
    advance_loop(site.loop, law, 80e3 * 60, 10.0, 60.0)
    assert site.loop.supply_c[0] == pytest.approx(30.0 + 2.0 * np.exp(-60 / CONTROL_S))
    settle(site, law, 80e3, 10.0)
    assert site.loop.supply_c[0] == pytest.approx(30.0, abs=1e-6)
    assert site.loop.dry_w[0] == pytest.approx(80e3)
    assert site.loop.chilled_w[0] == 0


def test_what_the_air_cannot_take_goes_to_the_chillers_then_to_the_water():
    heat_w, air_c = 100e3, 34.0
    site, law = loop_of()
    settle(site, law, heat_w, air_c)
    per_k = dry_most_w_per_k(law, 1.0, 1.0)
    free_w = per_k * (30.0 + heat_w / law.water_w_per_k - air_c)
    assert 0 < free_w < heat_w
    assert site.loop.dry_w[0] == pytest.approx(free_w)
    assert site.loop.chilled_w[0] == pytest.approx(heat_w - free_w)
    site, law = loop_of(chiller_w=0.0)
    settle(site, law, heat_w, air_c, hours=12)
    warm_c = air_c + heat_w / per_k - heat_w / law.water_w_per_k
    assert site.loop.supply_c[0] == pytest.approx(warm_c, abs=1e-3)


def test_chillers_are_held_to_the_design_load_and_to_their_water():
    site, law = loop_of(chiller_w=100 * LOOP.design_w)
    site.loop.dry_frac[0], site.loop.supply_c[0] = 0.0, 50.0
    for flow, share in ((1.0, 1.0), (0.5, 1.0), (0.25, 0.5), (0.01, 0.02)):
        site.loop.flow_frac[0] = flow
        evaluate_loop(site.loop, law, 50e3, 20.0)
        assert site.loop.chilled_w[0] == pytest.approx(share * law.design_w)


def test_what_no_chiller_takes_costs_no_electricity():
    site, law = loop_of(fan_w=0.0)
    site.loop.chiller_frac[0] = 0.0
    site.loop.supply_c[0] = 45.0
    evaluate_loop(site.loop, law, 100e3, 40.0)
    advance_loop(site.loop, law, 100e3 * 300, 40.0, 300.0)
    assert site.loop.plant_j.sum() == 0.0


def test_a_loop_without_flow_stores_all_heat():
    site, law = loop_of()
    site.loop.flow_frac[0] = 0.0
    evaluate_loop(site.loop, law, 50e3, 10.0)
    advance_loop(site.loop, law, 50e3 * 100, 10.0, 100.0)
    assert site.loop.supply_c[0] == pytest.approx(30.0 + 5e6 / law.water_j_per_k)
    assert site.loop.rejected_j[0] == 0


@given(
    st.floats(10, 60),
    st.floats(0, 300e3),
    st.floats(-20, 48),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 30e3, 1.5e6]),
    st.floats(1, 300),
)
def test_the_loop_conserves_energy_in_every_regime(
    supply_c, heat_w, air_c, flow, dry_frac, chiller_w, dt_s
):
    site, law = loop_of(chiller_w=chiller_w)
    loop = site.loop
    loop.supply_c[0], loop.flow_frac[0], loop.dry_frac[0] = supply_c, flow, dry_frac
    evaluate_loop(loop, law, heat_w, air_c)
    heat_j = 0.9 * heat_w * dt_s
    advance_loop(loop, law, heat_j, air_c, dt_s)
    stored_j = law.water_j_per_k * (loop.supply_c[0] - supply_c)
    assert loop.heat_j[0] - loop.rejected_j[0] == pytest.approx(stored_j, abs=1e-9 * 1e8)
    assert min(supply_c, 30.0, air_c) - 3.0 < loop.supply_c[0]


@given(st.floats(0, 150e3), st.floats(-10, 45), st.floats(25, 60))
def test_rejection_has_no_jump_between_its_regimes(heat_w, air_c, supply_c):
    site, law = loop_of(chiller_w=40e3)
    rates = []
    for shift_k in (0.0, 1e-6):
        site.loop.supply_c[0] = supply_c + shift_k
        evaluate_loop(site.loop, law, heat_w, air_c)
        rates.append(site.loop.dry_w[0] + site.loop.chilled_w[0])
    assert abs(rates[1] - rates[0]) < 1.0


# --- dry coolers and chillers


def bac_loop(coolers: int = 1) -> LoopLaw:
    """A loop with the data sheet's coolers at their own flow."""
    return LOOP._replace(
        water_w_per_k=coolers * 126.3 * 4180,
        dry_ua_w_per_k=coolers * cooler_ua_w_per_k(DRY),
        coolers_count=coolers,
        fan_w=DRY["fan_w"],
        chiller_w=0.0,
    )


def test_the_dry_cooler_meets_its_design_point():
    # BAC TDFS1238N: 2,931 kW at air 35 degC, water 46.1 -> 40.55 degC, fans 117.7 kW.
    site, law = loop_of()[0], bac_loop()
    site.loop.supply_c[0] = 40.55
    evaluate_loop(site.loop, law._replace(setpoint_c=40.55), 2_931e3, 35.0)
    assert site.loop.dry_w[0] == pytest.approx(2_931e3, rel=1e-3)
    assert site.loop.plant_w[0] == pytest.approx(117.7e3, rel=5e-3)


@pytest.mark.parametrize(("share", "speed"), [(1.0, 1.0), (0.5, 0.5**1.25), (0.05, 0.3)])
def test_fans_follow_the_heat_and_draw_the_cube(share, speed):
    site, law = loop_of()[0], bac_loop(3)
    per_k = dry_most_w_per_k(law, 1.0, 1.0)
    heat_w = 2e6
    air_c = 30.0 + heat_w / law.water_w_per_k - heat_w / share / per_k
    evaluate_loop(site.loop, law, heat_w, air_c)
    assert site.loop.plant_w[0] == pytest.approx(3 * 117.7e3 * speed**3, rel=1e-6)


def test_half_the_coolers_keep_more_than_half_as_each_gets_more_water():
    law = bac_loop(4)
    full = dry_most_w_per_k(law, 1.0, 1.0)
    assert 0.5 * full < dry_most_w_per_k(law, 1.0, 0.5) < 0.7 * full
    assert 0.3 * full < dry_most_w_per_k(law, 0.5, 1.0) < 0.8 * full
    assert dry_most_w_per_k(law, 0.0, 1.0) == dry_most_w_per_k(law, 1.0, 0.0) == 0
    site = loop_of()[0]
    site.loop.dry_frac[0] = 0.5
    evaluate_loop(site.loop, law, 8e6, 30.0)
    warm_k = 8e6 / law.water_w_per_k
    assert site.loop.dry_w[0] == pytest.approx(dry_most_w_per_k(law, 1.0, 0.5) * warm_k)
    half_fans_w = 0.5 * 4 * 117.7e3
    assert site.loop.plant_w[0] == pytest.approx(half_fans_w)


@pytest.mark.parametrize(
    ("leaving_c", "entering_c", "cop"), [(18, 24, 8.5), (22, 28, 8.5), (26, 28, 9.4), (18, 32, 7.1)]
)
def test_the_chiller_has_the_cop_of_26_records(leaving_c, entering_c, cop):
    # kW/kW = 0.076 + 0.00287 L through ElectricEIR records of the LBNL Modelica Buildings library,
    # L = entering + 7 - (leaving - 1.5); cooled by air, dry bulb + 12 stands for entering + 7.
    site, law = loop_of(setpoint_c=leaving_c)
    site.loop.supply_c[0], site.loop.dry_frac[0] = leaving_c, 0.0
    evaluate_loop(site.loop, law, 100e3, entering_c - 5.0)
    assert site.loop.chilled_w[0] == 100e3
    per_w = site.loop.plant_w[0] / 100e3 - 0.03  # condenser fans
    assert 1 / per_w == pytest.approx(cop, abs=0.06)


def test_the_cop_saturates_where_lift_vanishes():
    site, law = loop_of()
    site.loop.dry_frac[0] = 0.0
    evaluate_loop(site.loop, law, 100e3, 0.0)
    assert 100e3 / site.loop.plant_w[0] == pytest.approx(1 / (0.076 + 5 * 0.00287 + 0.03))


def test_coolers_are_sized_for_their_approach():
    site = site_of(LIQUID)
    law = loop_law(site)
    heat_w = site.loop_pump_w / 0.015
    rise_k = heat_w / law.water_w_per_k
    assert dry_most_w_per_k(law, 1.0, 1.0) * (6.0 + rise_k) == pytest.approx(heat_w, rel=1e-9)


# --- all of it


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("parts", [LIQUID, AIR], ids=["liquid", "air"])
def test_heat_is_conserved_from_the_gpus_to_the_air(parts, dtype):
    site = site_of(parts, dtype)
    law, loop_law_ = unit_law(site), loop_law(site)
    gpu = catalog.sheet("gpu", "h100-sxm")
    before = [site.gpu.temp_c.sum(), site.gpu.plate_c.sum(), site.unit.supply_c.copy()]
    rig = Rig(site, load=PRETRAIN)
    rig.at(4000, "unit.capacity_frac", 0, 0.0)
    rig.at(4100, "unit.capacity_frac", 0, 1.0)
    rig.at(9000, "gpu.load_frac", slice(64), 0.0)
    around_j = []
    rig.island.observers.append(lambda t, _: around_j.append((t, site.unit.around_w.sum())))
    rig.run_to(6 * 3600)
    in_j = site.rack.gpu_j.sum()
    closes = 1e-9 if dtype is np.float64 else 1e-6
    into_air_j = site.unit.heat_j.sum() - in_j if not law.liquid else 0.0
    stored_j = gpu["package_j_per_k"] * (site.gpu.temp_c.sum(dtype=float) - float(before[0]))
    stored_j += gpu["plate_j_per_k"] * (site.gpu.plate_c.sum(dtype=float) - float(before[1]))
    if law.liquid:
        assert in_j - site.unit.heat_j.sum() == pytest.approx(stored_j, abs=closes * in_j)
    else:
        assert into_air_j > 0.2 * in_j
    coolant_j = law.coolant_j_per_k * (site.unit.supply_c - before[2])
    passed_j = site.unit.heat_j - site.unit.rejected_j
    assert passed_j == pytest.approx(coolant_j, abs=1e-9 * in_j)
    water_j = loop_law_.water_j_per_k * (site.loop.supply_c[0] - 30.0)
    if law.liquid:
        out_j = site.loop.heat_j[0] - site.loop.rejected_j[0]
        assert out_j == pytest.approx(water_j, abs=1e-9 * in_j)


@pytest.mark.parametrize(
    ("parts", "temp_c", "node_w"),
    [(LIQUID, (45, 60), (6900, 7400)), (AIR, (50, 72), (7700, 8300))],
    ids=["liquid", "air"],
)
def test_a_busy_site_has_plausible_temperatures_and_powers(parts, temp_c, node_w):
    # H100 in liquid 41 to 50, in air 54 to 72 degC; 6.85 kW immersed, 7.97 kW in air.
    site = site_of(parts)
    rig = Rig(site, load=PRETRAIN)
    rig.run_to(7200)
    assert not rig.facts
    assert temp_c[0] < site.gpu.temp_c.min() < site.gpu.temp_c.max() < temp_c[1]
    each_w = site.rack.power_w / np.diff(site.rack.first_node)
    assert node_w[0] < each_w.min() < each_w.max() < node_w[1]
    assert 0.85 < site.gpu.clock_frac.min() < site.gpu.clock_frac.max() < 1


@pytest.mark.parametrize("parts", [LIQUID, AIR], ids=["liquid", "air"])
def test_an_idle_site_draws_its_floor(parts):
    # 2.1 to 2.3 kW a node immersed, 2.50 kW in air with fans.
    site = site_of(parts)
    rig = Rig(site)
    rig.run_to(7200)
    each_w = (site.rack.power_w / np.diff(site.rack.first_node)).mean()
    assert 2200 < each_w < 2550
