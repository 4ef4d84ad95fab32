"""Random worlds of toys, with what must always hold checked at every stop."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.scenes import Site, outcome, stage
from tests.engine.toys import Coolant, Heater, Rc, S

END_NS = 3500 * S + 1


def check(sim, site):
    """The invariants of a settled instant of one site."""
    where, world = site.island, site.island.world
    assert where.time_ns == sim.now_ns < where.stop_ns
    assert sim.depth == 0
    rc, battery, pair, breakers = world.rc, world.battery, world.pair, world.breakers
    assert np.isfinite(rc.temp_c).all()
    assert (rc.temp_c[rc.is_tripped == 0] <= Rc.limit_c + 1e-6).all()
    assert (battery.charge_j <= site.capacity_j).all()
    assert (battery.charge_j >= -1e-5).all()
    assert ((battery.charge_j > 0) == (battery.is_empty == 0)).all()
    for due_ns, is_over in ((battery.due_ns, battery.is_empty), (rc.due_ns, rc.is_tripped)):
        assert (due_ns[is_over == 0] > sim.now_ns).all()
    closed = np.flatnonzero(breakers.is_open == 0)
    assert not closed.size or breakers.load_w[0] <= breakers.rating_w[closed[0]]
    stored_j = Heater.j_per_k * (pair.heater_c[0] - 30) + Coolant.j_per_k * (pair.coolant_c[0] - 30)
    assert abs(pair.in_j[0] - stored_j - pair.rejected_j[0]) <= 1e-9 * (1e6 + abs(pair.in_j[0]))


def run(seeds, step=1):
    """The sites of *seeds* together, checked at every stop."""
    sites = [Site(f"site-{place}", seed, step) for place, seed in enumerate(seeds)]
    sim = stage(sites, step)
    for site in sites:
        site.island.observers.append(lambda _t, _on_grid, site=site: check(sim, site))
    sim.run_to(END_NS)
    return sites


@settings(max_examples=60)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=3))
@example([4, 4])
def test_random_worlds_keep_their_invariants(seeds):
    sites = run(seeds)
    for site in sites:
        assert site.island.time_ns == END_NS
        done_ns = [job.total_ns() for job in site.jobs]
        # A due time rounded up idles for less than a nanosecond.
        idle_ns = 2 + 2 * max(len(job.done_ns) for job in site.jobs)
        np.testing.assert_allclose(done_ns, site.island.world.meter.work_ns, 1e-12, idle_ns)
        times = [t_ns for t_ns, _ in site.facts]
        assert times == sorted(times)
    assert [outcome(site) for site in run(seeds, step=-1)] == [outcome(site) for site in sites]
