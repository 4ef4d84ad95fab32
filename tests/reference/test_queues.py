import heapq

import numpy as np
import pytest

from tests.reference import queues

BATCHES, ARRIVALS = 40, 5_000


def test_one_server_is_the_textbook_queue():
    queue = queues.mmc(0.8, 1.0, 1)
    assert queue.waiting_frac == pytest.approx(0.8)
    assert queue.wait_s == pytest.approx(0.8 / 0.2)
    assert queue.in_system_count == pytest.approx(0.8 / 0.2)


def test_mean_wait_is_that_of_a_drawn_queue():
    generator = np.random.Generator(np.random.PCG64(12))
    waits_s = [mean_wait_s(generator, rate_per_s=2.4, servers_count=3) for _ in range(BATCHES)]
    expected_s = queues.mmc(2.4, 1.0, 3).wait_s
    error_s = np.mean(waits_s) - expected_s
    assert abs(error_s) < 4 * np.std(waits_s, ddof=1) / BATCHES**0.5


def mean_wait_s(generator: np.random.Generator, rate_per_s: float, servers_count: int) -> float:
    free_s = [0.0] * servers_count
    arrivals_s = np.cumsum(generator.exponential(1 / rate_per_s, ARRIVALS))
    waits_s = []
    for arrival_s, service_s in zip(arrivals_s, generator.exponential(1.0, ARRIVALS), strict=True):
        start_s = max(arrival_s, free_s[0])
        heapq.heapreplace(free_s, start_s + service_s)
        waits_s.append(start_s - arrival_s)
    return float(np.mean(waits_s[ARRIVALS // 5 :]))


def test_an_overloaded_queue_is_refused():
    with pytest.raises(ValueError, match="no steady state"):
        queues.mmc(3.0, 1.0, 3)


@pytest.mark.parametrize("t_s", [500.0, 5_000.0, 500_000.0])
def test_things_in_repair_are_those_of_drawn_repairs(t_s):
    rate_per_s, median_s, sigma, runs = 0.05, 600.0, 1.2, 2_000
    generator = np.random.Generator(np.random.PCG64(13))
    began_s = generator.poisson(rate_per_s * t_s, runs)
    counts = []
    for count in began_s:
        left_s = generator.uniform(0, t_s, count)
        counts.append(np.sum(median_s * np.exp(sigma * generator.normal(size=count)) > left_s))
    expected = queues.mg_inf_lognormal_count(rate_per_s, median_s, sigma, t_s)
    assert abs(np.mean(counts) - expected) < 4 * (expected / runs) ** 0.5


def test_repair_settles_at_rate_times_mean():
    mean_s = 600.0 * np.exp(1.2**2 / 2)
    late = queues.mg_inf_lognormal_count(0.05, 600.0, 1.2, 1e9)
    assert late == pytest.approx(queues.mg_inf_count(0.05, mean_s), rel=1e-6)
