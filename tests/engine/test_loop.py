"""The instant: its order, its rounds, its guards, and where `run_to` lands."""

from types import SimpleNamespace

import numpy as np
import pytest

from dcsim.engine import INPUT, NEVER_NS, Fact, Holds, Inbox, Sim, loop
from dcsim.errors import InvariantError
from tests.engine.toys import Battery, Breakers, Counter, Log, Rc, S, at, due, island, put

TEN_YEARS_NS = 10 * 365 * 86_400 * S


class Buzzer(Counter):
    """Wants to stop at the very next nanosecond, for ever."""

    def evaluate(self, world, now_ns):
        return super().evaluate(world, now_ns)._replace(event_ns=now_ns + 1)


def tell(inbox, kind):
    return lambda: inbox.put(Fact(kind, "", 0))


def rc_island(power_w=1000.0, **kwargs):
    return island("a", SimpleNamespace(rc=Rc.table([power_w])), Rc(), **kwargs)


# --- the order within an instant


def test_what_was_finished_by_t_is_finished_and_what_fails_at_t_fails_after():
    sim, log = Sim([where := rc_island()]), Log()
    inbox = log.attach(sim)
    sim.timer(inbox, 5 * S, Fact("fail", "", 0), INPUT)
    sim.timer(inbox, 5 * S, Fact("repaired", "", 0))
    sim.start(5.0 * S, inbox, Fact("done", "", 0), lambda: 1.0, [where])
    sim.run_to(10 * S)
    assert log.facts == [(5 * S, Fact(kind, "", 0)) for kind in ("done", "repaired", "fail")]


def test_what_a_timer_sets_off_at_t_is_over_before_the_inputs_of_t():
    sim, log = Sim([]), Log()
    inbox = log.attach(sim)
    at(sim, S, tell(inbox, "first input"), INPUT)
    at(sim, S, tell(inbox, "second input"), INPUT)

    def chain():
        for link in range(3):
            yield sim.timeout(0)
            inbox.put(Fact(f"link {link}", "", 0))

    at(sim, S, chain)
    sim.run_to(S)
    assert log.kinds == ["link 0", "link 1", "link 2", "first input", "second input"]


def test_islands_due_advance_before_anything_else_happens():
    where = rc_island()
    sim = Sim([where])
    seen = []
    at(sim, 300 * S, lambda: seen.append((where.time_ns, where.world.rc.temp_c[0])))
    sim.run_to(300 * S)
    assert seen == [(300 * S, where.world.rc.temp_c[0])]
    assert seen[0][1] > 60


def test_completions_of_one_instant_come_by_tag_whatever_the_order_of_starting():
    for rows in ([0, 1, 2], [2, 1, 0]):
        sim, log = Sim([where := rc_island()]), Log()
        inbox = log.attach(sim)
        for row in rows:
            sim.start(S, inbox, Fact("done", "job", row), lambda: 1.0, [where])
        sim.run_to(S)
        assert [fact.row for _, fact in log.facts] == [0, 1, 2]


def test_facts_come_by_pass_then_rates_and_as_their_model_gives_them_and_islands_by_name():
    class Flips(Counter):
        """Flips two switches in the first pass and one in the second."""

        def __init__(self, table, reads=(), writes=()):
            super().__init__()
            self.table, self.flipped = table, np.zeros(3, np.int8)
            self.reads, self.writes = reads, writes

        def switch(self, world, now_ns):
            batch = {0: [2, 1], 2: [0]}.get(int(self.flipped.sum()), []) if now_ns == S else []
            self.flipped[batch] = 1
            return [Fact("flip", self.table, row) for row in batch]

        def modes(self, world):
            return {self.table: self.flipped}

    def models():
        return [Flips("w", reads=["rate"]), Flips("x"), Flips("y", writes=["rate"])]

    def facts(step):
        heard = []
        islands = [
            island(name, SimpleNamespace(), *models()[::step], grid_s=1) for name in ("a", "b")
        ]
        Sim(islands[::step], lambda fact, one: heard.append((one.name, *fact[1:3]))).run_to(S)
        return heard

    one = [("x", 2), ("x", 1), ("y", 2), ("y", 1), ("w", 2), ("w", 1)]
    one += [("x", 0), ("y", 0), ("w", 0)]
    assert facts(1) == [(name, *fact) for name in ("a", "b") for fact in one]
    assert facts(-1) == facts(1)


def test_a_fact_wakes_a_process_in_the_same_instant_and_its_write_is_settled_there():
    where = rc_island(1000.0)
    heard = []
    sim = Sim([where], lambda fact, _: inbox.put(fact))
    inbox = Inbox(sim)

    def cool_down():
        heard.append((yield inbox.get()))
        put(sim, where, "rc.ambient_c", 20.0)()
        heard.append((yield sim.settled(lambda: where.world.rc.settles_at_c[0])))
        heard.append(sim.now_ns)

    sim.process(cool_down())
    sim.run_to(10_000 * S)
    hot_ns = due(0, np.log((85 - 30) / (85 - 80)) / Rc().per_s)
    assert heard == [Fact("hot", "rc", 0), Rc().settles_at_c(0.0, 20.0), hot_ns]


def test_settled_reads_at_the_fixed_point_not_at_the_write():
    where = rc_island(100.0)
    sim, seen = Sim([where]), []

    def ask():
        put(sim, where, "rc.power_w", 500.0)()
        before = where.world.rc.speed_frac[0]
        seen.append((before, (yield sim.settled(lambda: where.world.rc.speed_frac[0]))))

    at(sim, S, ask)
    sim.run_to(S)
    assert seen == [(0.1, 0.5)]


def test_stop_brings_the_state_to_now_and_a_plain_read_does_not():
    where = rc_island(100.0)
    sim, seen = Sim([where]), []

    def ask():
        seen.append((where.time_ns, where.world.rc.temp_c[0]))
        yield sim.stop(where)
        seen.append((where.time_ns, where.world.rc.temp_c[0]))

    at(sim, 7 * S, ask)
    sim.run_to(7 * S)
    settles_at_c = Rc().settles_at_c(100.0, 30.0)
    now_c = settles_at_c + (30.0 - settles_at_c) * np.exp(-Rc().per_s * 7)
    assert seen == [(0, 30.0), (7 * S, pytest.approx(now_c, rel=1e-14))]


# --- time


def test_run_to_lands_exactly_and_runs_what_is_due_there():
    where = rc_island(100.0)
    sim, log = Sim([where]), Log()
    sim.timer(log.attach(sim), 123_456_789, Fact("bell", "", 0))
    sim.run_to(123_456_789)
    assert (sim.now_ns, where.time_ns, log.kinds) == (123_456_789, 123_456_789, ["bell"])
    sim.run_to(123_456_789)
    assert sim.now_ns == where.time_ns == 123_456_789
    with pytest.raises(ValueError, match="later than 5 ns"):
        sim.run_to(5)
    assert sim.now_s == 0.123456789


def test_a_run_cut_at_grid_points_is_the_same_run():
    whole, parts = rc_island(900.0), rc_island(900.0)
    Sim([whole]).run_to(3000 * S)
    sim = Sim([parts])
    for end_s in (300, 1500, 3000):
        sim.run_to(end_s * S)
    assert whole.world.rc.temp_c[0] == parts.world.rc.temp_c[0]


def test_nanoseconds_stay_exact_over_years():
    where = island("a", SimpleNamespace(), Counter(), grid_s=86_400)
    sim, log = Sim([where]), Log()
    sim.timer(log.attach(sim), TEN_YEARS_NS + 1, Fact("bell", "", 0))
    sim.run_to(TEN_YEARS_NS)
    assert log.facts == []
    sim.run_to(TEN_YEARS_NS + 1)
    assert log.facts == [(TEN_YEARS_NS + 1, Fact("bell", "", 0))]
    assert where.time_ns == TEN_YEARS_NS + 1
    assert type(sim.now) is type(where.stop_ns) is int


def test_timers_are_at_least_a_nanosecond_ahead():
    sim, log = Sim([]), Log()
    timer = sim.timer(log.attach(sim), 0, Fact("bell", "", 0))
    assert timer.due_ns == 1
    sim.run_to(1)
    assert log.facts == [(1, Fact("bell", "", 0))]


@pytest.mark.parametrize("delay", [1.5, np.int64(3), -1])
def test_only_whole_nanoseconds_from_now_on_are_scheduled(delay):
    sim = Sim([])
    with pytest.raises(ValueError, match=r"whole nanoseconds|Negative delay"):
        sim.timeout(delay)


def test_a_change_from_outside_the_run_is_settled_where_it_was_made():
    where = rc_island(100.0)
    sim = Sim([where])
    sim.run_to(10 * S)
    put(sim, where, "rc.power_w", 900.0)()
    sim.run_to(20 * S)
    first_c = Rc().settles_at_c(100.0, 30.0) * (1 - np.exp(-Rc().per_s * 10))
    first_c += 30 * np.exp(-Rc().per_s * 10)
    settles_at_c = Rc().settles_at_c(900.0, 30.0)
    expected_c = settles_at_c + (first_c - settles_at_c) * np.exp(-Rc().per_s * 10)
    assert where.world.rc.temp_c[0] == pytest.approx(expected_c, rel=1e-14)


def test_what_a_delivery_writes_is_settled_in_the_same_instant():
    where = rc_island(1000.0)

    def deliver(_fact, one):
        put(sim, one, "rc.ambient_c", 10.0)()

    sim = Sim([where], deliver)
    while not where.world.rc.is_tripped[0]:
        sim.step()
    assert where.world.rc.settles_at_c[0] == Rc().settles_at_c(0.0, 10.0)
    assert where.stop_ns > sim.now_ns


def test_observers_are_called_after_each_stop_and_told_the_grid():
    where = rc_island(1000.0)
    heard, trips = [], []
    where.observers.append(lambda t, on_grid: heard.append((t, on_grid)))
    sim = Sim([where], lambda _fact, _where: trips.append((sim.now_ns, False)))
    at(sim, 7 * S, put(sim, where, "rc.ambient_c", 30.5))
    sim.run_to(650 * S)
    assert len(trips) == 1
    assert heard == [(0, True), *trips, (300 * S, True), (600 * S, True), (650 * S, False)]
    assert where.stops_count == 5


# --- guards


def test_a_thousand_stops_in_a_row_under_a_millisecond_apart_are_refused():
    where = island("a", SimpleNamespace(), Counter(), Buzzer())
    sim = Sim([where])
    with pytest.raises(InvariantError, match=r"1000 stops in a row .* last: Buzzer of a"):
        sim.run_to(10_000)
    assert where.stops_count == 1000


def test_a_cause_now_and_then_is_no_chain_of_stops():
    where = island("a", SimpleNamespace(), Buzzer())
    sim, log = Sim([where]), Log()
    inbox = log.attach(sim)
    for k in range(1, 30):
        sim.timer(inbox, 500 * k, Fact("bell", "", 0))
    sim.run_to(10_000)
    assert where.stops_count == 10_001


def test_work_that_ends_now_and_then_is_no_chain_of_stops():
    where = rc_island(100.0)
    sim, log = Sim([where]), Log()
    inbox = log.attach(sim)
    for k in range(2500):
        sim.start(1000.0 * k, inbox, Fact("done", "flow", k), lambda: 1.0, [where])
    sim.run_to(S)
    assert log.kinds == ["done"] * 2500


def test_more_than_a_thousand_rounds_in_an_instant_are_refused():
    where = rc_island(100.0)
    sim = Sim([where])

    def restless():
        while True:
            value = where.world.rc.power_w[0] + 1.0
            put(sim, where, "rc.power_w", value)()
            yield sim.settled()

    sim.process(restless())
    with pytest.raises(InvariantError, match="1000 rounds in one instant; last: put rc"):
        sim.run_to(S)
    assert where.evaluations_count == 1000


def test_an_endless_chain_of_events_in_an_instant_is_refused(monkeypatch):
    monkeypatch.setattr(loop, "EVENTS_MAX", 5000)
    sim = Sim([])

    def restless():
        while True:
            yield sim.timeout(0)

    sim.process(restless())
    with pytest.raises(InvariantError, match="5000 events in one instant"):
        sim.run_to(S)
    assert sim.events_count == 5000


def test_rounds_need_no_more_than_their_causes():
    where = island("a", SimpleNamespace(breakers=Breakers.table(5.0, [1.0] * 50)), Breakers())
    sim = Sim([where])
    sim.run_to(0)
    assert sim.instants_count == 1
    assert where.evaluations_count == 51


def test_a_stop_asked_for_in_the_past_comes_at_the_next_nanosecond():
    class Late(Counter):
        def evaluate(self, world, now_ns):
            super().evaluate(world, now_ns)
            return Holds(now_ns - 5 if now_ns == 0 else NEVER_NS, 1e9)

    late = Late()
    Sim([island("a", SimpleNamespace(), late)]).run_to(10)
    assert late.evaluated_ns == [0, 1, 10]


def test_a_battery_in_a_long_run_drains_by_nanoseconds_not_by_steps():
    table = Battery.table([3.6e9], [100.0])
    where = island("a", SimpleNamespace(battery=table), Battery(1.0), grid_s=86_400)
    sim, log = Sim([where], lambda fact, _: inbox.put(fact)), Log()
    inbox = log.attach(sim)
    sim.run_to(37_000_000 * S)
    assert [t for t, _ in log.facts] == [36_000_000 * S]
