import numpy as np
import pytest

from tests.reference import daly

RATE_PER_S, RESTART_S, LENGTH_S, RUNS = 1 / 900, 200.0, 600.0, 20_000


def simulate(generator: np.random.Generator, safe: bool) -> float:
    """Wall time of one segment, drawn failure by failure."""
    wall_s, restarting = 0.0, False
    while True:
        needed_s = RESTART_S if restarting else LENGTH_S
        failure_s = generator.exponential(1 / RATE_PER_S)
        if failure_s < needed_s and not (restarting and safe):
            wall_s, restarting = wall_s + failure_s, True
        else:
            wall_s += needed_s
            if not restarting:
                return wall_s
            restarting = False


@pytest.mark.parametrize("safe", [True, False])
def test_expected_time_is_that_of_drawn_segments(safe):
    generator = np.random.Generator(np.random.PCG64(11))
    drawn_s = np.array([simulate(generator, safe) for _ in range(RUNS)])
    error_s = drawn_s.mean() - daly.segment_s(RATE_PER_S, LENGTH_S, RESTART_S, safe)
    assert abs(error_s) < 4 * drawn_s.std() / RUNS**0.5


def test_optimum_is_the_least_of_all_intervals():
    checkpoint_s = 30.0
    best_s = daly.optimum_work_s(RATE_PER_S, checkpoint_s)
    work_s = np.linspace(0.5, 2, 1501) * best_s
    overhead = [daly.segment_s(RATE_PER_S, w + checkpoint_s, RESTART_S, True) / w for w in work_s]
    assert work_s[np.argmin(overhead)] == pytest.approx(best_s, rel=1e-3)
