"""The GPU kernels against closed forms: the response, its energy, the regimes, and each other."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from dcsim.kernel import set_threads
from dcsim.physics import gpu as physics
from dcsim.physics.gpu import Coolant, GpuLaw, GpuModel, GroupSums, gpu_law
from dcsim.physics.response import advance_slice
from dcsim.world import Site
from dcsim.world.tables import GpuTable
from tests.physics.rig import LIQUID, PRETRAIN, Rig, site_of

LAW = gpu_law(site_of(LIQUID, np.float64))
THROUGH = 1.0 / LAW.package_plate_k_per_w
REST_W_PER_K = 1.225
"""What is left of the conductance to the coolant when its pump stands."""


def law_of(dtype: Any) -> GpuLaw:
    return GpuLaw(*(dtype(number) for number in LAW))


def gpus(count: int, dtype: Any = np.float64, **values: Any) -> GpuTable:
    """A table of *count* GPUs, each like the sheet's unless *values* says otherwise."""
    usual = {
        "temp_c": 55.0,
        "plate_c": 48.0,
        "conductance_x": 1.0,
        "leak_w": 84.0,
        "dynamic_w": 670.0,
        "load_frac": PRETRAIN,
        "on_frac": 1.0,
        "ceiling_x": 1.0,
        "clock_frac": 1.0,
        "power_w": 0.0,
    }
    return GpuTable(*(np.full(count, v, dtype) for v in (usual | values).values()))


class Groups:
    """Kernels over GPUs in groups of one rack each."""

    def __init__(
        self, gpu: GpuTable, groups: int = 1, film: float = 41.4, ramp: float = 0.0
    ) -> None:
        dtype = gpu.temp_c.dtype.type
        size = len(gpu.temp_c) // groups
        self.gpu, self.law = gpu, law_of(dtype)
        self.coolant = Coolant(
            first_rack=np.arange(groups + 1),
            first_gpu=np.arange(groups + 1) * size,
            inlet_c=np.full(groups, 33.0, dtype),
            inlet_k_per_s=np.full(groups, ramp, dtype),
            plate_w_per_k=np.full(groups, film, dtype),
        )
        self.sums = GroupSums(*(np.zeros(groups) for _ in GroupSums._fields))
        self.rack_w, self.rack_j = np.zeros(groups), np.zeros(groups)
        self.node_clocks = [np.zeros(len(gpu.temp_c) // 8, dtype) for _ in range(2)]

    def evaluate(self, threaded: bool = False) -> None:
        kernel = physics.evaluate_groups_threaded if threaded else physics.evaluate_groups
        kernel(self.gpu, self.law, self.coolant, self.sums, self.rack_w, *self.node_clocks)

    def advance(self, dt_s: float, threaded: bool = False) -> None:
        kernel = physics.advance_groups_threaded if threaded else physics.advance_groups
        dt = self.law.static_w.dtype.type(dt_s)
        kernel(self.gpu, self.law, self.coolant, self.sums, self.rack_j, dt)

    def step(self, dt_s: float, threaded: bool = False) -> None:
        self.evaluate(threaded)
        self.advance(dt_s, threaded)

    def everything(self) -> list[Any]:
        return [*self.gpu, *self.sums, self.rack_w, self.rack_j, *self.node_clocks]

    def stored_j(self) -> float:
        """Heat in packages and plates, against 0 degC."""
        package = self.gpu.temp_c.astype(np.float64) @ np.full(len(self.gpu.temp_c), 1.0)
        plate = self.gpu.plate_c.astype(np.float64) @ np.full(len(self.gpu.temp_c), 1.0)
        return float(LAW.package_j_per_k * package + LAW.plate_j_per_k * plate)


# --- the response


def response(
    constant: float,
    by_package: float,
    by_plate: float,
    film: float,
    ramp: float,
    dt_s: float,
    dtype: Any = np.float64,
) -> np.ndarray:
    """Temperatures after a step of one GPU from (55, 48) degC, then energy in and heat out."""
    column = {
        "temp": 55.0,
        "plate": 48.0,
        "conductance": 1.0,
        "constant": constant,
        "by_package": by_package,
        "by_plate": by_plate,
        "energy": 0.0,
        "heat": 0.0,
    }
    columns = {name: np.full(8, value, dtype) for name, value in column.items()}
    numbers = (dtype(n) for n in (33.0, ramp, film, dt_s))
    advance_slice(*columns.values(), law_of(dtype), *numbers)
    return np.array([columns[name][3] for name in ("temp", "plate", "energy", "heat")], np.float64)


def exact(
    constant: float, by_package: float, by_plate: float, film: float, ramp: float, dt_s: float
) -> np.ndarray:
    """The same by one matrix exponential over (T, T_c, energy, heat, inlet, 1)."""
    c_j, c_c = LAW.package_j_per_k, LAW.plate_j_per_k
    power = np.array([by_package, by_plate, 0, 0, 0, constant])
    inside = np.array([THROUGH, -THROUGH, 0, 0, 0, 0])
    outside = np.array([0, film, 0, 0, -film, 0])
    still = np.zeros(6)
    inlet = np.array([0, 0, 0, 0, 0, ramp])
    rows = [(power - inside) / c_j, (inside - outside) / c_c, power, outside, inlet, still]
    return expm(np.array(rows) * dt_s)[:4] @ np.array([55.0, 48.0, 0.0, 0.0, 33.0, 1.0])


CASES = {
    "free": (540.0, 1.6, 0.0, 41.4, 0.0),
    "capped, coolant on a ramp": (620.0, 0.2, 0.0, 41.4, 0.02),
    "throttled": (9000.0, -LAW.package_j_per_k / physics.CONTROL_S, -THROUGH, 41.4, 0.01),
    "pump stopped": (540.0, 1.0, 0.0, REST_W_PER_K, 0.0),
    "leakage wins": (100.0, 3.4, 0.0, REST_W_PER_K, 0.0),
}


@pytest.mark.parametrize("dt_s", [0.1, 1.0, 30.0, 300.0])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_response_is_the_matrix_exponential(case, dt_s):
    temp_c, plate_c, energy_j, heat_j = response(*case, dt_s)
    expected = exact(*case, dt_s)
    assert (temp_c, plate_c) == pytest.approx(tuple(expected[:2]), rel=1e-7)
    scale_j = max(np.abs(expected[2:]))
    assert (energy_j, heat_j) == pytest.approx(tuple(expected[2:]), abs=1e-7 * scale_j)


def test_where_leakage_and_coolant_balance_the_response_stays_exact_enough():
    # Film (1 - g R) = g: the matrix is singular, and float32 has the least to hold on to.
    balanced = REST_W_PER_K / (1 + REST_W_PER_K * LAW.package_plate_k_per_w)
    for off in (0.0, 1e-7, -1e-7, 1e-5, -1e-5, 1e-3, -1e-3, 0.02, -0.02):
        case = (150.0, balanced + off, 0.0, REST_W_PER_K, 0.0)
        expected = exact(*case, 30.0)
        for dtype, tolerance_k in ((np.float64, 1e-6), (np.float32, 1e-3)):
            found = response(*case, 30.0, dtype=dtype)
            assert np.isfinite(found).all()
            assert found[:2] == pytest.approx(expected[:2], abs=tolerance_k)


@given(
    st.floats(50, 900),
    st.floats(-40, 4),
    st.floats(1, 60),
    st.floats(-0.05, 0.05),
    st.floats(0.01, 300),
)
def test_energy_in_is_heat_out_and_stored(constant, by_package, film, ramp, dt_s):
    temp_c, plate_c, energy_j, heat_j = response(constant, by_package, 0.0, film, ramp, dt_s)
    stored_j = LAW.package_j_per_k * (temp_c - 55.0) + LAW.plate_j_per_k * (plate_c - 48.0)
    scale_j = abs(energy_j) + abs(heat_j) + abs(stored_j) + 1.0
    assert energy_j - heat_j == pytest.approx(stored_j, abs=1e-9 * scale_j)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-6)])
def test_energy_closes_over_a_day_of_steps(dtype, tolerance):
    spread = np.random.Generator(np.random.PCG64(2))
    table = gpus(64, dtype, leak_w=spread.uniform(40, 160, 64), load_frac=np.repeat([0, 1], 32))
    groups = Groups(table, groups=4)
    before_j, in_j, out_j = groups.stored_j(), 0.0, 0.0
    for step in range(1440):
        groups.coolant.inlet_c[:] = 33 + 30 * np.sin(step / 200)
        groups.coolant.inlet_k_per_s[:] = 0.01 * np.cos(step / 17)
        groups.step(60.0)
        in_j += groups.rack_j.sum()
        out_j += groups.sums.heat_j.sum()
    assert in_j - out_j == pytest.approx(groups.stored_j() - before_j, abs=tolerance * in_j)
    assert in_j > 1e9


# --- the regimes


def swept(**values: Any) -> GpuTable:
    """Power and clock over plates from 20 to 100 degC, each package 6 K hotter."""
    plate_c = np.linspace(20.0, 100.0, 80_000)
    table = gpus(80_000, plate_c=plate_c, temp_c=plate_c + 6.0, **values)
    Groups(table).evaluate()
    return table


@pytest.mark.parametrize("ceiling", [1.0, 0.3])
@pytest.mark.parametrize("load", [0.0, 0.075, PRETRAIN, 1.0])
def test_regimes_join_without_a_jump(load, ceiling):
    table = swept(load_frac=load, ceiling_x=ceiling)
    steepest_w = 1e-3 * (THROUGH + LAW.package_j_per_k / physics.CONTROL_S + 10)
    assert np.abs(np.diff(table.power_w)).max() < steepest_w
    if load > 0.5:
        assert np.abs(np.diff(table.clock_frac)).max() < 2e-3


def test_each_regime_has_its_power_and_clock():
    table = swept(load_frac=1.0, dynamic_w=600.0, leak_w=np.linspace(10, 200, 80_000))
    leak_w = table.leak_w * np.exp((table.temp_c - 60) / 45)
    held_w = LAW.static_w + leak_w
    free = held_w + 600 < LAW.cap_w
    throttle_w = (LAW.limit_c - table.plate_c) * THROUGH + 37.5 * (LAW.limit_c - table.temp_c)
    capped = ~free & (throttle_w > LAW.cap_w)
    floor_w = held_w + 600 * LAW.floor_power_frac
    floored = throttle_w < floor_w
    throttled = ~free & ~capped & ~floored
    for regime, power_w in (
        (free, held_w + 600),
        (capped, np.full(80_000, LAW.cap_w)),
        (throttled, throttle_w),
        (floored, floor_w),
    ):
        assert regime.sum() > 500
        np.testing.assert_allclose(table.power_w[regime], power_w[regime], rtol=1e-6)
    clock = ((table.power_w - held_w) / 600) ** 0.4
    np.testing.assert_allclose(table.clock_frac, clock, rtol=2e-6)


def test_the_cap_acts_in_the_dense_phase():
    table = gpus(8, load_frac=0.5)
    Groups(table).evaluate()
    held_w = LAW.static_w + 84.0 * np.exp(-5 / 45)
    assert table.power_w == pytest.approx(np.full(8, held_w + 0.5 * (LAW.cap_w - held_w)))
    assert table.clock_frac == pytest.approx(np.full(8, ((LAW.cap_w - held_w) / 670) ** 0.4))


def test_an_idle_gpu_draws_what_was_measured():
    # 68.4 W at about 30 degC, mean of eight H100.
    table = gpus(8, load_frac=0.0, temp_c=30.0, plate_c=30.0)
    Groups(table).evaluate()
    assert table.power_w == pytest.approx(np.full(8, 68.4))
    assert table.clock_frac == pytest.approx(np.full(8, LAW.floor_power_frac**0.4), rel=1e-5)


def test_a_throttled_gpu_holds_its_limit():
    groups = Groups(gpus(8), film=12.0)
    for _ in range(600):
        groups.step(1.0)
    assert groups.gpu.temp_c == pytest.approx(np.full(8, LAW.limit_c), abs=1e-6)
    assert 0.5 < groups.gpu.clock_frac[0] < 0.9
    # In equilibrium: P = (T - T_in) / (R_jc + 1/film).
    expected_w = (LAW.limit_c - 33.0) / (LAW.package_plate_k_per_w + 1 / 12.0)
    assert groups.gpu.power_w == pytest.approx(np.full(8, expected_w), rel=1e-6)


def test_a_gpu_that_is_off_draws_nothing_and_cools_to_the_coolant():
    groups = Groups(gpus(8, on_frac=0.0))
    groups.step(3600.0)
    assert not groups.gpu.power_w.any()
    assert groups.rack_j[0] == 0
    assert groups.gpu.temp_c == pytest.approx(np.full(8, 33.0))


@given(st.floats(20, 60), st.floats(0, 20), st.floats(0, 1), st.floats(10, 250), st.floats(0.4, 1))
def test_colder_coolant_never_lowers_a_clock(inlet_c, colder_k, load, leak_w, ceiling):
    clocks = []
    for at_c in (inlet_c, inlet_c - colder_k):
        groups = Groups(gpus(8, load_frac=load, leak_w=leak_w, ceiling_x=ceiling))
        groups.coolant.inlet_c[:] = at_c
        for _ in range(40):
            groups.step(10.0)
        groups.evaluate()
        clocks.append(groups.gpu.clock_frac[0])
    assert clocks[1] >= clocks[0] - 1e-6


# --- one kernel, however it is called


def scattered(count: int, dtype: Any = np.float32) -> GpuTable:
    """GPUs in all regimes."""
    rng = np.random.Generator(np.random.PCG64(7))
    temp_c = rng.uniform(30, 94, count)
    return gpus(
        count,
        dtype,
        temp_c=temp_c,
        plate_c=temp_c - rng.uniform(0, 9, count),
        conductance_x=rng.uniform(0.8, 1.2, count),
        leak_w=rng.uniform(40, 160, count),
        dynamic_w=rng.uniform(500, 720, count),
        load_frac=rng.choice([0, 0.075, 0.862, 1], count),
        on_frac=rng.choice([0, 1, 1, 1], count),
        ceiling_x=rng.choice([1, 1, 0.5], count),
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_serial_and_threaded_kernels_are_bit_equal(threads):
    set_threads(threads)
    serial, threaded = (Groups(scattered(4096), 32, ramp=0.003) for _ in range(2))
    for dt_s in (0.5, 7.0, 300.0):
        serial.step(dt_s)
        threaded.step(dt_s, threaded=True)
    assert serial.sums.heat_j.all()
    for one, other in zip(serial.everything(), threaded.everything(), strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 2.0, 60.0]))
def test_the_kernels_do_what_their_python_does(seed, dt_s):
    rng = np.random.Generator(np.random.PCG64(seed))
    law = law_of(np.float64)
    table = scattered(512, np.float64)
    rows = rng.integers(0, 512, 4)
    columns = [column[rows] for column in table]
    temp, plate, conductance, leak, dynamic, load, on, ceiling = columns[:8]
    given_ = (temp, plate, leak, dynamic, load, on, ceiling)
    film = rng.uniform(1, 50)

    def run(evaluate: Any, regime: Any, advance: Any) -> list[np.ndarray]:
        state = [column.copy() for column in given_]
        out = [np.zeros(4) for _ in range(9)]
        evaluate(*state, conductance, *out[:4], law, 33.0, film)
        regime(*state, out[1], conductance, *out[4:7], law, 33.0, film, 0.7)
        advance(*state[:2], conductance, *out[4:9], law, 33.0, 0.01, film, dt_s)
        return [*state, *out]

    kernels = (physics.evaluate_slice, physics.regime_slice, advance_slice)
    fast = run(*kernels)
    slow = run(*(kernel.py_func for kernel in kernels))
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


def test_eight_rows_are_as_many_rows_per_gpu():
    few, many = (Groups(gpus(count, np.float32), ramp=0.002) for count in (8, 4096))
    for dt_s in (0.3, 4.0, 200.0):
        few.step(dt_s)
        many.step(dt_s)
    for one, other in zip(few.gpu, many.gpu, strict=True):
        np.testing.assert_array_equal(np.resize(one, 4096), other)
    assert many.sums.heat_j[0] / 512 == pytest.approx(few.sums.heat_j[0], rel=1e-6)


# --- the model


def test_precisions_agree():
    rigs = [Rig(site_of(LIQUID, dtype), load=PRETRAIN) for dtype in (np.float32, np.float64)]
    for rig in rigs:
        rig.at(600.0, "unit.capacity_frac", 0, 0.0)
        rig.run_to(612.0)
    temps_c = [rig.site.gpu.temp_c for rig in rigs]
    assert temps_c[0] == pytest.approx(temps_c[1], abs=0.01)


def evaluated(site: Site) -> float:
    return GpuModel(site).evaluate(None, 0).hold_s


def test_a_hold_ends_before_a_gpu_comes_to_its_limit():
    site = site_of(LIQUID, np.float64)
    site.gpu.load_frac[:] = 1.0
    site.unit.flow_frac[:] = 0.0
    site.gpu.temp_c[:], site.gpu.plate_c[:] = 60.0, 53.7
    hold_s = evaluated(site)
    # Plates take 640 W of heat that nobody takes from them: the packages follow them.
    rise_k_per_s = (60.0 - 53.7) * THROUGH / LAW.plate_j_per_k
    assert hold_s == pytest.approx((LAW.limit_c - 61.0) / rise_k_per_s, rel=0.1)
    site.gpu.on_frac[:] = 0.0
    site.gpu.plate_c[:] = 60.0
    assert evaluated(site) > 1e6


def test_a_shutdown_is_told_once_and_turns_off():
    site = site_of(LIQUID)
    model = GpuModel(site)
    site.gpu.temp_c[[5, 77]] = 95.2, 95.0
    model.evaluate(None, 0)
    facts = model.switch(None, 0)
    assert [(fact.kind, fact.table, fact.row) for fact in facts] == [
        ("shutdown", "gpu", 5),
        ("shutdown", "gpu", 77),
    ]
    assert facts[0].payload == pytest.approx(95.2)
    model.evaluate(None, 0)
    assert model.switch(None, 0) == []
    assert site.gpu.on_frac.sum() == len(site.gpu.on_frac) - 2
