"""What must not matter to the engine: other sites, idle traffic, observers, creation order."""

import numpy as np
import pytest

from dcsim.engine import INPUT
from tests.engine.scenes import Site, outcome, stage
from tests.engine.toys import S, at, put

SEEDS = range(8)
END_NS = 4000 * S + 123


def alone(seed):
    sim = stage([site := Site("site", seed)])
    sim.run_to(END_NS)
    return outcome(site)


@pytest.fixture(scope="module")
def expected():
    return {seed: alone(seed) for seed in [*SEEDS, *(seed + 1 for seed in SEEDS)]}


def test_the_scenes_are_worth_comparing(expected):
    kinds = {fact.kind for _, facts, _ in expected.values() for _, fact in facts}
    assert kinds == {"done", "hot", "repaired", "depleted", "tripped", "reset"}
    assert len({state for state, _, _ in expected.values()}) == len(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_independent_sites_together_are_each_alone(seed, expected):
    sites = Site("site", seed), Site("site", seed + 1)
    for site, name in zip(sites, ("east", "west"), strict=True):
        site.name = site.island.name = name
    stage(sites).run_to(END_NS)
    for site in sites:
        site.island.name = "site"
    assert [outcome(site) for site in sites] == [expected[seed], expected[seed + 1]]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thousand_empty_changes_and_reads_change_nothing(seed, expected):
    sim = stage([site := Site("site", seed)])
    rng = np.random.default_rng(1000 + seed)
    columns = site.island.columns

    def idle(column):
        put(sim, site.island, column, columns[column].copy(), slice(None))()
        with sim.change("nothing", site.island):
            float(columns[column].sum())
        yield sim.settled(lambda: columns[column].copy())

    names = sorted(columns)
    for t_ns in rng.integers(1, END_NS, 1000).tolist():
        priority = INPUT if t_ns % 2 else 1
        at(sim, t_ns, lambda: idle(names[int(rng.integers(len(names)))]), priority)
    sim.run_to(END_NS)
    assert outcome(site) == expected[seed]


@pytest.mark.parametrize("seed", SEEDS)
def test_observers_change_nothing(seed, expected):
    sim = stage([site := Site("site", seed)])
    rows = []
    site.island.observers.append(lambda t_ns, _: rows.append((t_ns, site.island.world.rc.temp_c)))
    site.island.observers.append(lambda _t, on_grid: rows.append((on_grid, len(site.facts))))
    sim.run_to(END_NS)
    assert len(rows) >= 2 * 14
    assert outcome(site) == expected[seed]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_creation_changes_nothing(seed, expected):
    sites = Site("site", seed, step=-1), Site("site", seed + 1, step=-1)
    for site, name in zip(sites, ("east", "west"), strict=True):
        site.name = site.island.name = name
    stage(sites, step=-1).run_to(END_NS)
    for site in sites:
        site.island.name = "site"
    assert [outcome(site) for site in sites] == [expected[seed], expected[seed + 1]]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_process_that_stops_one_site_leaves_the_other_alone(seed, expected):
    sites = Site("east", seed), Site("site", seed + 1)
    sim = stage(sites)
    for k in range(1, 200):
        at(sim, 17 * k * S, lambda: (yield sim.stop(sites[0].island)))
    sim.run_to(END_NS)
    assert outcome(sites[1]) == expected[seed + 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_cut_at_its_grid_is_the_same_run(seed, expected):
    sim = stage([site := Site("site", seed)])
    for end_s in (0, 300, 600, 3300):
        sim.run_to(end_s * S)
    sim.run_to(END_NS)
    assert outcome(site) == expected[seed]
