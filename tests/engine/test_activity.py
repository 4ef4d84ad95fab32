"""Activities: work at a rate that physics publishes."""

from fractions import Fraction
from math import ceil, inf, nan
from types import SimpleNamespace

import numpy as np
import pytest

from dcsim.engine import NEVER_NS, Activity, Fact, Inbox, Sim
from dcsim.errors import InvariantError
from tests.engine.toys import Counter, Log, Rc, S, at, island, put

DONE = Fact("done", "job", 3)


class Setting:
    """One island whose power sets a rate (1000 W: 1), and a log of what is done."""

    def __init__(self, power_w=1000.0, ambient_c=-200.0):
        self.where = island("a", SimpleNamespace(rc=Rc.table([power_w], ambient_c)), Rc())
        self.sim = Sim([self.where], lambda fact, _: self.inbox.put(fact))
        self.log = Log()
        self.inbox = self.log.attach(self.sim)

    def rate(self):
        return self.where.world.rc.speed_frac[0]

    def start(self, work_ns, tag=DONE):
        return self.sim.start(work_ns, self.inbox, tag, self.rate, [self.where])

    def power_at(self, delay_ns, power_w):
        at(self.sim, delay_ns, put(self.sim, self.where, "rc.power_w", power_w))


def test_work_at_rate_one_takes_its_nominal_time():
    setting = Setting()
    activity = setting.start(10.0 * S)
    assert activity.due_ns == 10 * S
    setting.sim.run_to(10 * S - 1)
    assert setting.log.facts == []
    assert activity.done_ns(4 * S) == 4.0 * S
    setting.sim.run_to(10 * S)
    assert setting.log.facts == [(10 * S, DONE)]
    assert activity.done_ns(99 * S) == 10.0 * S


def test_it_is_done_once_whatever_happens_to_the_rate_later():
    setting = Setting()
    setting.start(10.0 * S)
    for k in range(11, 20):
        setting.power_at(k * S, 100.0 * k)
    setting.sim.run_to(100 * S)
    assert setting.log.facts == [(10 * S, DONE)]


def test_the_rate_follows_physics_and_what_was_done_stays_done():
    setting = Setting()
    activity = setting.start(10.0 * S)
    setting.power_at(2 * S, 500.0)
    setting.power_at(6 * S, 2000.0)
    setting.sim.run_to(5 * S)
    assert activity.done_ns(5 * S) == 3.5 * S
    setting.sim.run_to(100 * S)
    assert setting.log.facts == [(9 * S, DONE)]


def test_at_rate_zero_it_waits_and_goes_on():
    setting = Setting()
    activity = setting.start(10.0 * S)
    setting.power_at(4 * S, 0.0)
    setting.power_at(1000 * S, 1000.0)
    setting.sim.run_to(500 * S)
    assert (activity.due_ns, activity.done_ns(500 * S)) == (NEVER_NS, 4.0 * S)
    setting.sim.run_to(2000 * S)
    assert setting.log.facts == [(1006 * S, DONE)]


def test_a_trip_stops_it_at_the_crossing():
    setting = Setting(ambient_c=30.0)
    activity = setting.start(1000.0 * S)
    setting.sim.run_to(2000 * S)
    [(trip_ns, fact)] = setting.log.facts
    assert fact.kind == "hot"
    assert activity.done_ns(2000 * S) == trip_ns


def test_the_due_time_rounds_up_and_is_a_nanosecond_ahead():
    setting = Setting(300.0)
    setting.sim.run_to(0)
    setting.start(10.0)
    setting.start(0.0, Fact("nothing", "job", 0))
    setting.sim.run_to(S)
    exact = Fraction(10) / Fraction(setting.rate())
    assert setting.log.facts == [(1, Fact("nothing", "job", 0)), (ceil(exact), DONE)]


def test_the_due_time_moves_only_when_the_rate_does():
    setting = Setting(300.0)
    # So much work that one rounding of what is left would show.
    activity = setting.start(1e17 / 3)
    setting.sim.run_to(0)
    due_ns = activity.due_ns
    for k in range(1, 200):
        at(setting.sim, k * S + 7, lambda: (yield setting.sim.stop(setting.where)))
    setting.sim.run_to(200 * S + 7)
    assert activity.due_ns == due_ns


def test_a_completion_at_the_instant_of_a_write_is_a_completion():
    setting = Setting()
    setting.start(5.0 * S)
    setting.power_at(5 * S, 0.0)
    setting.sim.run_to(10 * S)
    assert setting.log.facts == [(5 * S, DONE)]


def test_a_cancelled_activity_arrives_nowhere_and_may_be_cancelled_again():
    setting = Setting()
    activity = setting.start(5.0 * S)
    at(setting.sim, 2 * S, lambda: setting.sim.cancel(activity))
    at(setting.sim, 3 * S, lambda: setting.sim.cancel(activity))
    setting.sim.run_to(10 * S)
    assert setting.log.facts == []


def test_a_completion_that_its_process_has_cancelled_at_that_instant_is_dropped():
    setting, heard = Setting(), []
    inbox = Inbox(setting.sim)

    def job():
        activity = setting.sim.start(5.0 * S, inbox, DONE, setting.rate, [setting.where])
        setting.sim.start(5.0 * S, inbox, Fact("at first", "", 0), setting.rate, [setting.where])
        heard.append((yield inbox.get()))
        setting.sim.cancel(activity)
        heard.append((yield inbox.get()))

    setting.sim.process(job())
    setting.sim.timer(inbox, 6 * S, Fact("later", "", 0))
    setting.sim.run_to(10 * S)
    assert [fact.kind for fact in heard] == ["at first", "later"]


def test_one_started_in_an_instant_has_the_rate_of_its_fixed_point():
    setting = Setting(500.0)

    def begin():
        put(setting.sim, setting.where, "rc.power_w", 1000.0)()
        setting.start(5.0 * S)

    at(setting.sim, S, begin)
    setting.sim.run_to(10 * S)
    assert setting.log.facts == [(6 * S, DONE)]


def test_one_that_spans_islands_follows_each_of_them():
    islands = [island(n, SimpleNamespace(rc=Rc.table([1000.0], -200.0)), Rc()) for n in "ab"]
    sim, log = Sim(islands), Log()
    sim.start(
        10.0 * S,
        log.attach(sim),
        DONE,
        lambda: min(one.world.rc.speed_frac[0] for one in islands),
        islands,
    )
    at(sim, 2 * S, put(sim, islands[0], "rc.power_w", 500.0))
    at(sim, 4 * S, put(sim, islands[1], "rc.power_w", 250.0))
    sim.run_to(100 * S)
    assert log.facts == [(32 * S, DONE)]


def test_one_of_another_island_is_not_asked():
    islands = [island(n, SimpleNamespace(rc=Rc.table([1000.0], -200.0)), Rc()) for n in "ab"]
    sim, asked = Sim(islands), []
    sim.start(1e15, Inbox(sim), DONE, lambda: asked.append(sim.now_ns) or 1.0, [islands[0]])
    at(sim, 7 * S, put(sim, islands[1], "rc.power_w", 500.0))
    sim.run_to(100 * S)
    assert asked == [0, 0, 100 * S]


def test_rates_of_single_precision_lose_no_nanoseconds():
    setting = Setting()
    work_ns = 86_400.0 * S + 1
    activity = setting.sim.start(
        work_ns, setting.inbox, DONE, lambda: np.float32(1.0), [setting.where]
    )
    assert activity.due_ns == work_ns
    assert activity.done_ns(86_400 * S) == 86_400.0 * S


@pytest.mark.parametrize("rate", [nan, inf, -1.0])
def test_a_rate_that_is_none_is_refused(rate):
    setting = Setting()
    with pytest.raises(InvariantError, match=r"job\[3\]: rate of"):
        setting.sim.start(1.0, setting.inbox, DONE, lambda: rate, [])


@pytest.mark.parametrize("work_ns", [nan, inf, -1.0])
def test_work_that_is_none_is_refused(work_ns):
    setting = Setting()
    with pytest.raises(InvariantError, match=r"job\[3\]: work of"):
        setting.start(work_ns)


@pytest.mark.parametrize("rate", [5e-324, 1e-18])
def test_a_rate_too_slow_for_any_run_never_ends(rate):
    activity = Activity(1e15, Inbox(Sim([])), DONE, lambda: rate, [], 0)
    activity.rerate(0)
    assert activity.due_ns == NEVER_NS


def test_thousands_of_changes_of_rate_lose_no_work():
    rates = [0.25 + 0.5 * (k % 3) for k in range(5001)]
    counter = Counter()
    where = island("a", SimpleNamespace(), counter, grid_s=7)
    sim, log = Sim([where]), Log()
    work_ns = float(sum(Fraction(rate) for rate in rates[:5000]) * 7 * S)
    sim.start(work_ns, log.attach(sim), DONE, lambda: rates[len(counter.evaluated_ns) - 1], [where])
    sim.run_to(7 * S * 5000)
    assert log.facts == [(7 * S * 5000, DONE)]
