"""The engine against closed forms: depletion, crossings, feedback, conservation, queues."""

from fractions import Fraction
from itertools import pairwise
from math import ceil, exp, sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import brentq

from dcsim.engine import Fact, Inbox, Sim
from tests.engine.toys import (
    Battery,
    Coolant,
    Counter,
    Heater,
    Log,
    Rc,
    S,
    at,
    island,
    pair_table,
    put,
)
from tests.reference.queues import mg_inf_count, mmc

# --- depletion


@pytest.mark.parametrize(
    ("efficiency_frac", "charge_j", "load_w"),
    [(0.95, 3.6e9, 10_200.0), (1.0, 3.6e6, 100.0), (0.9, 1.0, 3.0), (0.97, 5.4e8, 1e9)],
)
def test_a_battery_is_empty_at_eta_e_over_p_to_a_nanosecond(efficiency_frac, charge_j, load_w):
    table = Battery.table([charge_j], [load_w])
    where = island("a", SimpleNamespace(battery=table), Battery(efficiency_frac))
    log = Log()
    sim = Sim([where], lambda fact, _: inbox.put(fact))
    inbox = log.attach(sim)
    exact_ns = Fraction(efficiency_frac) * Fraction(charge_j) / Fraction(load_w) * S
    for k in range(1, 1001):
        at(sim, int(exact_ns * k / 1001) + 1, put(sim, where, "battery.load_w", load_w))
    sim.run_to(ceil(exact_ns) + S)
    [(empty_ns, fact)] = log.facts
    assert fact == Fact("depleted", "battery", 0)
    assert abs(empty_ns - ceil(exact_ns)) <= 1


def test_a_battery_counts_each_joule_of_a_load_that_changes():
    loads = [(100 * k * S + 7 * k, 500.0 + 40.0 * ((7 * k) % 11)) for k in range(1, 60)]
    table = Battery.table([5e6], [900.0])
    where = island("a", SimpleNamespace(battery=table), Battery())
    log = Log()
    sim = Sim([where], lambda fact, _: inbox.put(fact))
    inbox = log.attach(sim)
    for t_ns, load_w in loads:
        at(sim, t_ns, put(sim, where, "battery.load_w", load_w))
    sim.run_to(20_000 * S)
    left_j, since_ns, load_w = Fraction(5e6) * Fraction(0.95), 0, 900.0
    for t_ns, next_w in loads:
        used_j = Fraction(load_w) * (t_ns - since_ns) / S
        if used_j >= left_j:
            break
        left_j, since_ns, load_w = left_j - used_j, t_ns, next_w
    assert since_ns > 4000 * S
    assert [t for t, _ in log.facts] == [
        pytest.approx(since_ns + left_j / Fraction(load_w) * S, rel=0, abs=1.5)
    ]


# --- crossings


def test_an_rc_meets_its_limit_where_root_finding_finds_it():
    powers = [(0, 600.0), (40, 950.0), (90.5, 700.0), (133.125, 1200.0)]
    where = island("a", SimpleNamespace(rc=Rc.table([600.0])), Rc())
    log = Log()
    sim = Sim([where], lambda fact, _: inbox.put(fact))
    inbox = log.attach(sim)
    for t_s, power_w in powers[1:]:
        at(sim, int(t_s * S), put(sim, where, "rc.power_w", power_w))
    sim.run_to(1000 * S)

    def temp_c(t_s):
        """From the differential equation, by its own numbers."""
        value = 30.0
        ends = [*(start for start, _ in powers[1:]), np.inf]
        for (start_s, power_w), end_s in zip(powers, ends, strict=True):
            final_c = (power_w - 4 * 60 + 30 / 0.05) / (1 / 0.05 - 4)
            step_s = max(0.0, min(t_s, end_s) - start_s)
            value = final_c + (value - final_c) * exp(-(1 / 0.05 - 4) / 2000 * step_s)
        return value

    root_s = brentq(lambda t_s: temp_c(t_s) - 80.0, 133.125, 1000.0, xtol=1e-12, rtol=1e-14)
    assert [fact.kind for _, fact in log.facts] == ["hot"]
    assert abs(log.facts[0][0] / S - root_s) < 1e-6


def test_a_limit_that_is_never_met_is_never_reported():
    # Settles at 79.9996 C, 0.4 mK under the limit.
    where = island("a", SimpleNamespace(rc=Rc.table([919.994])), Rc())
    heard = []
    Sim([where], lambda fact, _: heard.append(fact)).run_to(100_000 * S)
    assert heard == []
    assert where.world.rc.temp_c[0] == pytest.approx(79.999625, abs=1e-9)


# --- feedback


def test_own_feedback_is_exact_in_one_model():
    where = island("a", SimpleNamespace(rc=Rc.table([700.0])), Rc())
    Sim([where]).run_to(50_000 * S)
    # P0 + g (T - T0) = (T - Ta) / R.
    steady_c = (700 - 4 * 60 + 30 / 0.05) / (1 / 0.05 - 4)
    assert where.world.rc.temp_c[0] == pytest.approx(steady_c, abs=1e-9)


def run_pair(tolerance_k, end_s, grid_s=300):
    world = SimpleNamespace(pair=pair_table())
    where = island("a", world, Heater(tolerance_k), Coolant(tolerance_k), grid_s=grid_s)
    Sim([where]).run_to(int(end_s * S))
    return where


def exact_pair(end_s):
    """Both temperatures by the matrix exponential of the linear system."""
    heater, coolant = Heater(), Coolant()
    to_coolant, to_ambient = 1 / heater.k_per_w, 1 / coolant.k_per_w
    drift = np.array(
        [
            [(heater.gain_w_per_k - to_coolant) / heater.j_per_k, to_coolant / heater.j_per_k],
            [to_coolant / coolant.j_per_k, -(to_coolant + to_ambient) / coolant.j_per_k],
        ]
    )
    drive = np.array(
        [
            (500.0 - heater.gain_w_per_k * heater.gain_at_c) / heater.j_per_k,
            to_ambient * 30.0 / coolant.j_per_k,
        ]
    )
    steady_c = -np.linalg.solve(drift, drive)
    return steady_c + expm(drift * end_s) @ (np.array([30.0, 30.0]) - steady_c)


def test_feedback_between_two_models_settles_to_a_tenth_of_a_millikelvin():
    pair = run_pair(0.1, 200_000).world.pair
    expected_c = exact_pair(200_000)
    assert pair.heater_c[0] == pytest.approx(expected_c[0], abs=1e-4)
    assert pair.coolant_c[0] == pytest.approx(expected_c[1], abs=1e-4)


def test_the_error_halves_with_the_hold_tolerance():
    expected_c = exact_pair(2000)[0]
    errors_k = []
    for tolerance_k in (0.8, 0.4, 0.2, 0.1):
        where = run_pair(tolerance_k, 2000, grid_s=100_000)
        assert where.stops_count > 10
        errors_k.append(abs(where.world.pair.heater_c[0] - expected_c))
    ratios = [a / b for a, b in pairwise(errors_k)]
    assert errors_k[0] < 0.4
    assert all(1.8 < ratio < 2.2 for ratio in ratios), ratios


# --- conservation


@pytest.mark.parametrize("end_s", [1, 777.123456789, 20_000])
def test_joules_in_are_joules_out_and_stored(end_s):
    pair = run_pair(0.2, end_s).world.pair
    heater_j = Heater.j_per_k * (pair.heater_c[0] - 30.0)
    coolant_j = Coolant.j_per_k * (pair.coolant_c[0] - 30.0)
    total_j = pair.in_j[0]
    assert heater_j + pair.passed_j[0] == pytest.approx(total_j, rel=1e-9)
    assert coolant_j + pair.rejected_j[0] == pytest.approx(pair.passed_j[0], abs=1e-9 * total_j)


# --- queues


def batched(values, batches_count):
    """The mean and its standard error by batch means."""
    means = [np.mean(batch) for batch in np.array_split(np.array(values), batches_count)]
    return np.mean(means), np.std(means, ddof=1) / sqrt(batches_count)


def test_waiting_for_c_servers_is_erlangs():
    servers, arrivals_per_s, service_s, count = 3, 1.0, 2.2, 30_000
    rng = np.random.default_rng(8)
    gaps_ns = np.ceil(rng.exponential(1 / arrivals_per_s, count) * S).astype(np.int64).tolist()
    work_ns = (rng.exponential(service_s, count) * S).tolist()
    where = island("a", SimpleNamespace(), Counter(), grid_s=10**6)
    sim = Sim([where])
    inbox, queue, waits_s = Inbox(sim), [], [0.0] * count

    def arrive():
        bell = Inbox(sim)
        for customer, gap_ns in enumerate(gaps_ns):
            sim.timer(bell, gap_ns, Fact("ring", "", 0))
            yield bell.get()
            inbox.put(Fact("arrive", "customer", customer, sim.now_ns))

    def serve():
        free = servers
        while True:
            fact = yield inbox.get()
            if fact.kind == "arrive":
                queue.append((fact.row, fact.payload))
            else:
                free += 1
            while free and queue:
                customer, since_ns = queue.pop(0)
                waits_s[customer] = (sim.now_ns - since_ns) / S
                tag = Fact("served", "customer", customer)
                sim.start(work_ns[customer], inbox, tag, lambda: 1.0, [where])
                free -= 1

    sim.process(arrive())
    sim.process(serve())
    sim.run_to(sum(gaps_ns) + 1000 * S)
    expected = mmc(arrivals_per_s, service_s, servers)
    mean_s, error_s = batched(waits_s[1000:], 40)
    assert abs(mean_s - expected.wait_s) < 4 * error_s
    assert error_s < 0.1 * expected.wait_s


def test_the_number_in_repair_is_poisson_whatever_the_law_of_repair():
    rate_per_s, count = 0.2, 20_000
    rng = np.random.default_rng(9)
    gaps_s = rng.exponential(1 / rate_per_s, count)
    repairs_s = rng.lognormal(np.log(20.0), 0.8, count)
    sim = Sim([])
    inbox, samples, broken = Inbox(sim), [], 0

    def repair_shop():
        nonlocal broken
        while True:
            fact = yield inbox.get()
            broken += 1 if fact.kind == "fail" else -1
            if fact.kind == "fail":
                delay_ns = ceil(repairs_s[fact.row] * S)
                sim.timer(inbox, delay_ns, Fact("repaired", "node", fact.row))

    def sample():
        while True:
            yield sim.timeout(100 * S)
            samples.append(broken)

    sim.process(repair_shop())
    sim.process(sample())
    for row, t_s in enumerate(np.cumsum(gaps_s)):
        sim.timer(inbox, ceil(t_s * S), Fact("fail", "node", row))
    sim.run_to(int(np.sum(gaps_s)) * S)
    expected = mg_inf_count(rate_per_s, 20.0 * exp(0.8**2 / 2))
    mean, error = batched(samples[5:], 30)
    assert abs(mean - expected) < 4 * error
    variance, error = batched((np.array(samples[5:]) - expected) ** 2, 30)
    assert abs(variance - expected) < 4 * error
