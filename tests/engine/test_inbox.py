"""Inboxes and timers."""

import tracemalloc

import pytest

from dcsim.engine import Fact, Inbox, Sim
from dcsim.errors import InvariantError
from tests.engine.toys import Log, S, at


def fact(kind, row=0):
    return Fact(kind, "", row)


def test_facts_come_in_the_order_of_putting_and_none_is_lost():
    sim, heard = Sim([]), []
    inbox = Inbox(sim)

    def owner():
        for _ in range(6):
            heard.append(((yield inbox.get()), sim.now_ns))
            yield sim.timeout(10)

    sim.process(owner())
    for row in range(3):
        inbox.put(fact("a", row))
    at(sim, 5, lambda: [inbox.put(fact("b", row)) for row in range(3)])
    sim.run_to(S)
    order = [fact("a", 0), fact("a", 1), fact("a", 2), fact("b", 0), fact("b", 1), fact("b", 2)]
    assert heard == [(one, 10 * step) for step, one in enumerate(order)]


def test_a_cancelled_timer_arrives_nowhere():
    sim, log = Sim([]), Log()
    inbox = log.attach(sim)
    timer = sim.timer(inbox, 10, fact("bell"))
    sim.timer(inbox, 12, fact("other"))
    at(sim, 5, timer.cancel)
    sim.run_to(S)
    assert log.facts == [(12, fact("other"))]


def test_a_timer_cancelled_at_the_instant_at_which_it_rings_arrives_nowhere():
    sim, heard = Sim([]), []
    inbox = Inbox(sim)

    def node():
        repair = sim.timer(inbox, 10, fact("repaired"))
        while True:
            heard.append((yield inbox.get()))
            repair.cancel()

    sim.timer(inbox, 10, fact("scrapped"))
    sim.process(node())
    sim.run_to(S)
    assert heard == [fact("scrapped")]


def test_two_may_not_wait_on_one_inbox():
    sim = Sim([])
    inbox = Inbox(sim)
    inbox.get()
    with pytest.raises(InvariantError, match="two wait on one inbox"):
        inbox.get()


def test_inboxes_of_25_000_nodes_weigh_next_to_nothing():
    sim = Sim([])
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    inboxes = [Inbox(sim) for _ in range(25_000)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / len(inboxes) < 100


def test_a_thousand_shutdowns_at_one_instant_reach_a_thousand_processes():
    sim, logs = Sim([]), [Log() for _ in range(1000)]
    for row, log in enumerate(logs):
        sim.timer(log.attach(sim), S, fact("shutdown", row))
    sim.run_to(S)
    assert [log.facts for log in logs] == [[(S, fact("shutdown", row))] for row in range(1000)]
    assert sim.instants_count == 2
    # Per process: its start, its timer and its wake; so the count is the cost.
    assert sim.events_count == 3000
