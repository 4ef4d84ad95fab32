import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import fsolve

from tests.reference import euler
from tests.reference.euler import Drive, Plant, State

GPUS = 16
PLANT = Plant(
    leak_w=np.linspace(40, 80, GPUS),
    dynamic_w=np.full(GPUS, 560.0),
    resistance_x=np.linspace(0.9, 1.1, GPUS),
    static_w=60.0,
    leak_efold_k=45.0,
    cap_w=800.0,
    clock_min_frac=0.2,
    throttle_c=87.0,
    throttle_tau_s=5.0,
    shutdown_c=95.0,
    gpus_per_node_count=1,
    package_j_per_k=60.0,
    plate_j_per_k=400.0,
    package_plate_k_per_w=0.025,
    conduction_k_per_w=0.012,
    film_k_per_w=0.012,
    rest_flow_frac=1e-9,
    coolant_j_per_k=20_000.0,
    coolant_w_per_k=1_100.0,
    exchanger_w_per_k=3_000.0,
    facility_j_per_k=60_000.0,
    facility_w_per_k=1_000.0,
    facility_set_c=24.0,
    facility_tau_s=60.0,
    dry_w_per_k=900.0,
    chiller_w=0.0,
)
DRIVE = Drive(
    flow_frac=1.0,
    load_frac=np.full(GPUS, 0.95),
    air_c=10.0,
    coolant_heat_w=1_500.0,
    facility_heat_w=200.0,
)
COLD = State(np.full(GPUS, 50.0), np.full(GPUS, 40.0), 30.0, 24.0, np.ones(GPUS, bool))


def last(plant: Plant, drive: Drive, until_s: float, step_s: float = 1e-3) -> euler.Sample:
    samples, _ = euler.run(plant, COLD, [(0, drive._asdict())], until_s, step_s)
    return samples[-1]


def test_a_constant_power_follows_the_matrix_exponential():
    plant = PLANT._replace(leak_w=np.zeros(GPUS), coolant_j_per_k=1e15)
    matrix = np.array([[-1 / 0.025, 1 / 0.025], [1 / 0.025, -1 / 0.025 - 1 / 0.0216]])
    matrix /= np.array([[60.0], [400.0]])
    power_w = 60 + 0.95 * 560
    steady = np.linalg.solve(matrix, -np.array([power_w / 60, 30 / 0.0216 / 400]))
    exact = steady + expm(matrix * 20) @ (np.array([50, 40]) - steady)
    found = last(plant, DRIVE, 20).state
    assert (found.temp_c[0], found.plate_c[0]) == pytest.approx(tuple(exact), abs=2e-3)


def test_the_error_halves_with_the_step():
    fine = last(PLANT, DRIVE, 10, step_s=1e-3).state.temp_c
    middle = last(PLANT, DRIVE, 10, step_s=5e-3).state.temp_c
    coarse = last(PLANT, DRIVE, 10, step_s=25e-3).state.temp_c
    assert (coarse - middle) / (middle - fine) == pytest.approx(np.full(GPUS, 5.0), rel=0.02)


def test_it_settles_where_heat_in_is_heat_out():
    settled = last(PLANT, DRIVE, 1500, step_s=0.02)
    heat_w = settled.power_w.sum() + DRIVE.coolant_heat_w
    exchange = euler.exchange_w_per_k(PLANT, 1.0)

    def residual(temps_c: np.ndarray) -> np.ndarray:
        power_w = 60 + PLANT.leak_w * np.exp((temps_c - 60) / 45) + 0.95 * 560
        supply_c = 24 + heat_w / exchange - heat_w / 1_100
        return supply_c + power_w * (0.025 + PLANT.resistance_x * 0.024) - temps_c

    assert settled.state.facility_c == pytest.approx(24.0, abs=1e-3)
    assert settled.state.temp_c == pytest.approx(fsolve(residual, settled.state.temp_c), abs=1e-3)


def test_the_limit_holds_when_the_coolant_is_hot():
    hot = COLD._replace(supply_c=62.0, facility_c=60.0)
    plant = PLANT._replace(facility_set_c=60.0)
    samples, shutdowns = euler.run(plant, hot, [(0, DRIVE._asdict())], 600, 0.005)
    assert not shutdowns
    assert samples[-1].state.temp_c.max() == pytest.approx(87.0, abs=0.05)
    assert 0.2 < samples[-1].clock_frac.min() < 1
    assert samples[-1].power_w.max() < 650


def test_the_cap_holds():
    capped = last(PLANT._replace(cap_w=500.0), DRIVE._replace(load_frac=np.ones(GPUS)), 30)
    assert capped.power_w == pytest.approx(np.full(GPUS, 500.0))
    assert capped.clock_frac.max() < 1


def test_without_flow_all_shut_down_the_leakiest_first():
    plant = PLANT._replace(resistance_x=np.ones(GPUS))
    stop = {"flow_frac": 0.0, "coolant_heat_w": 0.0}
    script = [(0, DRIVE._asdict()), (5, stop)]
    samples, shutdowns = euler.run(plant, COLD, script, 120, 2e-3)
    times_s = [shutdown.t_s for shutdown in shutdowns]
    assert [shutdown.gpu for shutdown in shutdowns] == list(range(GPUS))[::-1]
    assert times_s == sorted(times_s)
    assert not samples[-1].state.is_on.any()
    assert samples[-1].power_w.max() == 0
    assert samples[10].state.supply_c == pytest.approx(samples[-1].state.supply_c, abs=1e-3)


def test_a_shutdown_takes_its_node_with_it():
    plant = PLANT._replace(resistance_x=np.ones(GPUS), gpus_per_node_count=8)
    script = [(0, DRIVE._asdict()), (5, {"flow_frac": 0.0, "coolant_heat_w": 0.0})]
    _, shutdowns = euler.run(plant, COLD, script, 120, 2e-3)
    assert [shutdown.gpu for shutdown in shutdowns] == [15, 7]


@pytest.mark.parametrize(("ua", "share"), [(1e9, 1.0), (1e-3, 0.0)])
def test_an_exchanger_passes_all_or_nothing_at_its_ends(ua, share):
    found = euler.exchange_w_per_k(PLANT._replace(exchanger_w_per_k=ua), 1.0)
    assert found / 1_000 == pytest.approx(share, abs=1e-5)


def test_an_exchanger_is_the_integral_along_its_length():
    count = 20_000
    step = 3_000.0 / count
    # March against the coolant from its cold end, where the water enters at 0, to its inlet at 1.
    hot_c, cold_c = 1.0 - euler.exchange_w_per_k(PLANT, 1.0) / 1_100, 0.0
    for _ in range(count):
        passed_w = step * (hot_c - cold_c)
        hot_c, cold_c = hot_c + passed_w / 1_100, cold_c + passed_w / 1_000
    assert hot_c == pytest.approx(1.0, abs=1e-3)


def test_rejection_saturates_at_what_the_air_takes():
    warm = DRIVE._replace(air_c=40.0)
    settled = last(PLANT, warm, 2500, step_s=0.03)
    heat_w = settled.power_w.sum() + 1_700
    return_c = settled.state.facility_c + heat_w / 1_000
    assert 900 * (return_c - 40) == pytest.approx(heat_w, rel=1e-3)
    helped = last(PLANT._replace(chiller_w=1e6), warm, 1500, step_s=0.03)
    assert helped.state.facility_c == pytest.approx(24.0, abs=1e-2)
