"""Nodes in repair and jobs in the queue, against the closed forms of both queues.

The lives of the nodes, the scheduler and the loop are those of a run; physics is absent.
"""

from math import exp, sqrt
from types import SimpleNamespace

import numpy as np
import pytest

from dcsim.contract import NEVER_NS, Fact
from dcsim.engine import Inbox, Island, Sim
from dcsim.processes.cast import WRITABLE
from dcsim.processes.log import EventLog
from dcsim.processes.nodes import NodeLives
from dcsim.processes.scheduler import Scheduler
from dcsim.world import build
from tests.processes.stage import EVENT, HOUR, S, scenario, site
from tests.reference.queues import mg_inf_count, mmc

NODES = 400
MEDIAN_S, SIGMA = 4 * 3600.0, 0.8
MEAN_S = MEDIAN_S * exp(SIGMA**2 / 2)


def place_of(nodes):
    """A site of *nodes*, on an island without physics."""
    world = build(scenario(sites={"lab": site(nodes, 4)}))
    found = world.sites["lab"]
    columns = found.columns("state", "mode")
    island = Island("lab", found, [], {n: columns[n] for n in WRITABLE}, grid_ns=NEVER_NS)
    return found, island, Sim([island])


def each(sim, mean_s, chance, act):
    """Do *act* at random, once in *mean_s* on average."""
    inbox = Inbox(sim)
    while True:
        sim.timer(inbox, round(chance.exponential(mean_s) * S), Fact("now", "", 0))
        yield inbox.get()
        act()


def repairs(load, samples, seed=1):
    """How many nodes are in repair at far instants, and the counts of failures and of masked ones.

    *load* is how many would be in repair if each failure counted.
    """
    found, island, sim = place_of(NODES)
    counted = dict.fromkeys(EVENT, 0)

    def note(_table, row):
        counted[EVENT[row["event_kind_id"]]] += 1

    lives = NodeLives(sim, island, found, EventLog(note, lambda: sim.now_ns), lambda *_: None)
    chance = np.random.default_rng(seed)
    failures = []

    def fail():
        repair_s = MEDIAN_S * exp(SIGMA * chance.standard_normal())
        failures.append(repair_s)
        node = int(chance.integers(NODES))
        lives.put(node, "hold", "repair", -1, for_ns=round(repair_s * S))

    sim.process(each(sim, MEAN_S / load, chance, fail))
    counts = []
    for _ in range(samples):
        sim.run_to(sim.now_ns + round(12 * MEAN_S * S))
        counts.append(sum("repair" in life.holds for life in lives._lives.values()))
    return np.array(counts), len(failures), counted


@pytest.mark.parametrize("load", [8.0, 40.0])
def test_nodes_in_repair_are_as_many_as_the_queue_without_limit_says(load):
    """Each node is its own source, so that p/(1 + p) of them are in repair at p failures a repair.

    For few failures a node that is M/G/inf, whatever the law of the repair times.
    """
    counts, failures, counted = repairs(load, 120)
    per_node = load / NODES
    share = per_node / (1 + per_node)
    mean, variance = NODES * share, NODES * share * (1 - share)
    error = sqrt(variance / len(counts))
    assert abs(counts[1:].mean() - mean) < 4 * error
    assert error < 0.04 * mean
    assert 0.6 < counts[1:].var() / variance < 1.6
    assert mean == pytest.approx(mg_inf_count(load / MEAN_S, MEAN_S), rel=1.01 * per_node)
    # A failure is masked exactly when its node is in repair.
    masked = counted["masked"] / failures
    assert abs(masked - share) < 4 * sqrt(share * (1 - share) / failures) * sqrt(1 + per_node)


def waits(nodes, arrive_s, service_s, jobs, seed=1):
    """How long each job waited for a node [s], each needing one; the scheduler's own queue."""
    found, _island, sim = place_of(nodes)
    chance = np.random.default_rng(seed)
    submitted, waited = [], []

    def make(_site, plan):
        life = SimpleNamespace(plan=plan, inbox=Inbox(sim), site_name="lab", empty=set())
        sim.process(serve(life))
        return life

    def serve(life):
        yield life.inbox.get()
        waited.append((sim.now_ns - submitted[life.plan.job]) / S)
        sim.timer(life.inbox, round(chance.exponential(service_s) * S), Fact("over", "", 0))
        yield life.inbox.get()
        scheduler.give_back(life)

    plans = [{"lab": SimpleNamespace(job=j, nodes_count=1, spares_count=0)} for j in range(jobs)]
    scheduler = Scheduler({"lab": found}, plans, make)

    def submit():
        if len(submitted) < jobs:
            submitted.append(sim.now_ns)
            scheduler.submit(len(submitted) - 1)

    sim.process(each(sim, arrive_s, chance, submit))
    while len(waited) < jobs:
        sim.run_to(sim.now_ns + 100 * HOUR)
    return np.array(waited)


@pytest.mark.parametrize(("nodes", "load"), [(1, 0.6), (4, 2.8)])
def test_jobs_wait_as_long_as_in_the_queue_of_as_many_servers(nodes, load):
    service_s = 3600.0
    jobs = 6_000
    expected = mmc(load / service_s, service_s, nodes)
    waited = waits(nodes, service_s / load, service_s, jobs)
    batches = waited[jobs % 60 :].reshape(60, -1).mean(axis=1)
    error_s = batches.std(ddof=1) / sqrt(len(batches))
    assert error_s < 0.15 * expected.wait_s
    assert abs(batches.mean() - expected.wait_s) < 4 * error_s
    late = (waited > 0).reshape(60, -1).mean(axis=1)
    assert abs(late.mean() - expected.waiting_frac) < 4 * late.std(ddof=1) / sqrt(len(late))
