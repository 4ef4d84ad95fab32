"""Sixteen GPUs, their cooling unit and the loop: the engine against small Euler steps.

The reference knows neither engine nor kernels. Hosts are left out here: it has no law for them.
"""

from typing import Any, NamedTuple

import numpy as np
import pytest

from dcsim.physics import gpu as gpus
from dcsim.physics import rejection
from dcsim.physics.plant import TOLERANCE_K, PlantModel, loop_law, unit_law
from dcsim.physics.pumps import PumpModel
from dcsim.world import Site
from dcsim.world.site import REST_FLOW
from tests.physics.rig import LIQUID, PRETRAIN, Rig, site_of
from tests.reference import euler

COUNT = 16
SAMPLE_S = 0.01
FULL_W = 700.0 * COUNT
SETTLE_S = 3.0
"""How long after a shutdown told late the packages of its node differ."""
LATE_S = 0.2
"""How late a shutdown may be told: the stops close to a limit are 0.1 s apart."""
PARTS = LIQUID | {
    "nodes": "{type: hgx-h100-liquid, count: 2}",
    "racks": "{nodes_per_rack: 2}",
    "cooling": "{unit: xdu1350, racks_per_unit: 1, supply: 30 degC, chillers: 0, "
    "loop_volume: 1 m3/MW}",
}
Script = list[tuple[float, dict[str, Any]]]


class Both(NamedTuple):
    """One script, run twice."""

    stops: list[dict[str, Any]]
    rig: Rig
    samples: list[euler.Sample]
    shutdowns: list[euler.Shutdown]


def plant_of(site: Site) -> euler.Plant:
    """The site in the terms of the reference."""
    unit, loop, gpu = unit_law(site), loop_law(site), gpus.gpu_law(site)
    return euler.Plant(
        leak_w=site.gpu.leak_w.copy(),
        dynamic_w=site.gpu.dynamic_w.copy(),
        resistance_x=1 / site.gpu.conductance_x,
        static_w=gpu.static_w,
        leak_efold_k=1 / gpu.leak_fold_per_k,
        cap_w=gpu.cap_w,
        clock_min_frac=float(gpu.floor_power_frac) ** 0.4,
        throttle_c=gpu.limit_c,
        throttle_tau_s=gpus.CONTROL_S,
        shutdown_c=gpu.shutdown_c,
        gpus_per_node_count=8,
        package_j_per_k=gpu.package_j_per_k,
        plate_j_per_k=gpu.plate_j_per_k,
        package_plate_k_per_w=gpu.package_plate_k_per_w,
        conduction_k_per_w=site.film.conduction_k_per_w,
        film_k_per_w=site.film.film_k_per_w,
        rest_flow_frac=REST_FLOW,
        coolant_j_per_k=unit.coolant_j_per_k,
        coolant_w_per_k=unit.coolant_w_per_k,
        exchanger_w_per_k=unit.ua_w_per_k,
        facility_j_per_k=loop.water_j_per_k,
        facility_w_per_k=loop.water_w_per_k,
        facility_set_c=loop.setpoint_c,
        facility_tau_s=rejection.CONTROL_S,
        dry_w_per_k=rejection.dry_most_w_per_k(loop, 1.0, 1.0),
        chiller_w=0.0,
        idle_x=gpu.idle_frac,
    )


def run_both(script: Script, until_s: float, tolerance_k: float = 0.1) -> Both:
    """Run *script*, (time, fields of a `Drive`), by the engine and by Euler steps."""
    site = site_of(PARTS, np.float64, seed=3)
    plant = plant_of(site)
    pumps_w = unit_law(site).pump_w, loop_law(site).pump_w
    start = {"flow_frac": 1.0, "load_frac": np.zeros(COUNT), "air_c": 20.0, "coolant_heat_w": 0.0}
    for_reference = [(0.0, start), *script]
    for _, fields in for_reference:
        if "flow_frac" in fields:
            fields["facility_heat_w"] = pumps_w[0] * fields["flow_frac"] + pumps_w[1]
    cold = euler.State(
        site.gpu.temp_c.copy(),
        site.gpu.plate_c.copy(),
        float(site.unit.supply_c[0]),
        float(site.loop.supply_c[0]),
        np.ones(COUNT, bool),
    )
    samples, shutdowns = euler.run(plant, cold, for_reference, until_s, 1e-3, SAMPLE_S)
    models = [PumpModel(site), gpus.GpuModel(site), PlantModel(site, tolerance_k)]
    rig = Rig(site, models)
    stops = watch(rig)
    columns = {
        "flow_frac": "unit.capacity_frac",
        "load_frac": "gpu.load_frac",
        "air_c": "weather.dry_bulb_c",
    }
    for t_s, fields in script:
        for field, column in columns.items():
            if field in fields:
                rig.at(t_s, column, slice(None), fields[field])
    rig.run_to(until_s)
    return Both(stops, rig, samples, shutdowns)


def watch(rig: Rig) -> list[dict[str, Any]]:
    """What every stop from now on finds."""
    site, stops = rig.site, []

    def observe(t_ns: int, _on_grid: bool) -> None:
        found = {
            "temp_c": site.gpu.temp_c.copy(),
            "plate_c": site.gpu.plate_c.copy(),
            "power_w": site.gpu.power_w.copy(),
            "supply_c": float(site.unit.supply_c[0]),
            "facility_c": float(site.loop.supply_c[0]),
        }
        stops.append({"t_s": t_ns / 1e9} | found)

    rig.island.observers.append(observe)
    return stops


def reference_at(samples: list[euler.Sample], t_s: float) -> dict[str, Any]:
    """The reference at *t_s*, linear between its samples."""
    place = min(t_s / SAMPLE_S, len(samples) - 1.000001)
    one, other = samples[int(place)], samples[int(place) + 1]
    share = place - int(place)

    def between(name: str) -> Any:
        ends = [
            sample.power_w if name == "power_w" else getattr(sample.state, name)
            for sample in (one, other)
        ]
        return ends[0] * (1 - share) + ends[1] * share

    names = ("temp_c", "plate_c", "power_w", "supply_c", "facility_c")
    return {name: between(name) for name in names}


def assert_agree(both: Both, close: float = 1e-3) -> None:
    """Temperatures within *close*, power within 0.1% at every stop; in sum 0.1% of the heat.

    From the first shutdown on temperatures are given 0.2%: a node that is told late keeps the heat
    of that time.
    """
    late = [shutdown.t_s for shutdown in both.shutdowns]
    first_s = min(late, default=1e9)
    for stop in both.stops:
        t_s = stop["t_s"]
        expected = reference_at(both.samples, t_s)
        within = close if t_s < first_s else 2e-3
        for name in ("supply_c", "facility_c", "plate_c"):
            np.testing.assert_allclose(stop[name], expected[name], within, err_msg=f"{t_s}")
        if not any(-0.05 < t_s - shutdown_s < SETTLE_S for shutdown_s in late):
            np.testing.assert_allclose(stop["temp_c"], expected["temp_c"], within)
            total_w = expected["power_w"].sum()
            assert stop["power_w"].sum() == pytest.approx(total_w, abs=1e-3 * FULL_W), t_s
    first, last = both.samples[0].state, both.samples[-1].state
    law = gpus.gpu_law(both.rig.site)
    stored_j = law.package_j_per_k * (last.temp_c - first.temp_c).sum()
    stored_j += law.plate_j_per_k * (last.plate_c - first.plate_c).sum()
    power_w = np.array([sample.power_w.sum() for sample in both.samples])
    in_j = float(power_w[1:].sum() + power_w[:-1].sum()) / 2 * SAMPLE_S
    assert both.rig.site.unit.heat_j[0] == pytest.approx(in_j - stored_j, rel=1e-3)


def assert_same_shutdowns(both: Both) -> None:
    """The same GPUs in the same order, each at most `LATE_S` after its time."""
    told = [(t_ns / 1e9, fact.row) for t_ns, fact in both.rig.facts]
    assert [gpu for _, gpu in told] == [shutdown.gpu for shutdown in both.shutdowns]
    for (told_s, _), shutdown in zip(told, both.shutdowns, strict=True):
        assert -0.01 < told_s - shutdown.t_s < LATE_S


def load(frac: float | np.ndarray) -> dict[str, Any]:
    return {"load_frac": np.broadcast_to(frac, COUNT).copy()}


def test_load_steps() -> None:
    uneven = np.repeat([1.0, 0.075], 8)
    both = run_both(
        [(5.0, load(PRETRAIN)), (60.0, load(0.481)), (80.0, load(uneven)), (110.0, load(0.0))],
        140.0,
    )
    assert_agree(both)
    assert not both.rig.facts
    assert len(both.stops) < 8


def test_at_the_tolerance_of_a_run_few_stops_are_still_close() -> None:
    both = run_both([(5.0, load(1.0)), (40.0, load(0.075))], 80.0, TOLERANCE_K)
    assert len(both.stops) < 6
    for stop in both.stops:
        expected = reference_at(both.samples, stop["t_s"])
        np.testing.assert_allclose(stop["temp_c"], expected["temp_c"], atol=0.05)
        assert stop["supply_c"] == pytest.approx(expected["supply_c"], abs=0.02)


def test_a_pump_that_stops_until_the_first_node_shuts_down_and_comes_back() -> None:
    script: Script = [(5.0, load(PRETRAIN)), (40.0, {"flow_frac": 0.0}), (95.0, {"flow_frac": 1.0})]
    both = run_both(script, 130.0)
    assert_agree(both)
    assert_same_shutdowns(both)
    assert len(both.shutdowns) == 1
    # The other node throttled to its lowest clock, and recovered.
    clocks = np.array([sample.clock_frac[:8].min() for sample in both.samples])
    assert clocks.min() < 0.18
    assert clocks[-1] > 0.85
    assert both.rig.site.gpu.on_frac.sum() == 8


def test_a_pump_that_stays_stopped_takes_every_node_in_order() -> None:
    both = run_both([(5.0, load(1.0)), (40.0, {"flow_frac": 0.0})], 110.0)
    assert_same_shutdowns(both)
    assert len(both.shutdowns) == 2
    assert_agree(both)


def test_a_hot_day_saturates_the_dry_coolers_and_passes() -> None:
    both = run_both([(5.0, load(1.0)), (40.0, {"air_c": 55.0}), (190.0, {"air_c": 15.0})], 230.0)
    assert_agree(both, close=3e-3)  # air jumps by 40 K, and with it the slope of the loop
    hottest_c = max(stop["facility_c"] for stop in both.stops)
    assert hottest_c > 45
    assert both.stops[-1]["facility_c"] < hottest_c - 3
