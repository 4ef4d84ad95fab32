"""Islands: lazy time, stops, settling, and the order of models."""

from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pytest

from dcsim.engine import NEVER_NS, Fact, Holds, Sim
from dcsim.engine.island import in_order
from dcsim.errors import InvariantError
from tests.engine.toys import (
    Breakers,
    Coolant,
    Counter,
    Heater,
    Rc,
    S,
    at,
    digest,
    island,
    pair_table,
    put,
)


class Rates:
    """A model that is nothing but what it reads and writes."""

    def __init__(self, reads=(), writes=()):
        self.reads, self.writes = reads, writes

    def __eq__(self, other):
        return True

    __hash__ = None


class Wants(Counter):
    """Asks for one thing, always."""

    def __init__(self, event_ns=NEVER_NS, hold_s=inf):
        super().__init__()
        self.holds = Holds(event_ns, hold_s)

    def evaluate(self, world, now_ns):
        super().evaluate(world, now_ns)
        return self.holds


def breaker_island(load_w, ratings_w):
    return island("hall", SimpleNamespace(breakers=Breakers.table(load_w, ratings_w)), Breakers())


# --- lazy time


def test_events_reads_and_empty_changes_move_no_physics():
    counter = Counter()
    where = island("a", SimpleNamespace(rc=Rc.table([100.0])), Rc(), counter)
    sim = Sim([where])

    def idle():
        float(where.world.rc.temp_c[0])
        put(sim, where, "rc.power_w", 100.0)()
        with sim.change("nothing", where):
            pass
        yield sim.settled(lambda: where.world.rc.temp_c[0])

    for k in range(1, 100):
        at(sim, k * S, idle)
    sim.run_to(300 * S)
    assert counter.evaluated_ns == [0, 300 * S]
    assert counter.steps_s == [300.0]


def test_the_first_effective_write_advances_the_island_to_now_and_later_ones_do_not():
    counter = Counter()
    where = island("a", SimpleNamespace(rc=Rc.table([100.0, 100.0])), Rc(), counter)
    sim = Sim([where])
    at(sim, 7 * S, put(sim, where, "rc.power_w", 200.0, 0))
    at(sim, 7 * S, put(sim, where, "rc.power_w", 300.0, 1))
    sim.run_to(300 * S)
    assert counter.steps_s == [7.0, 293.0]
    assert counter.evaluated_ns == [0, 7 * S, 300 * S]


def test_a_write_takes_effect_from_its_own_instant_on():
    where = island("a", SimpleNamespace(rc=Rc.table([100.0])), Rc())
    sim = Sim([where])
    at(sim, 100 * S, put(sim, where, "rc.power_w", 600.0))
    sim.run_to(250 * S)
    model, temp_c = Rc(), 30.0
    for power_w, dt_s in ((100.0, 100), (600.0, 150)):
        settles_at_c = model.settles_at_c(power_w, 30.0)
        temp_c = settles_at_c + (temp_c - settles_at_c) * np.exp(-model.per_s * dt_s)
    assert where.world.rc.temp_c[0] == pytest.approx(temp_c, rel=1e-14)


def test_a_write_in_one_island_leaves_the_other_alone():
    counters = Counter(), Counter()
    islands = [
        island(name, SimpleNamespace(rc=Rc.table([100.0])), Rc(), counter)
        for name, counter in zip("ab", counters, strict=True)
    ]
    sim = Sim(islands)
    at(sim, 7 * S, put(sim, islands[0], "rc.power_w", 200.0))
    at(sim, 9 * S, lambda: (yield sim.stop(islands[0])))
    sim.run_to(300 * S)
    assert counters[0].evaluated_ns == [0, 7 * S, 9 * S, 300 * S]
    assert counters[1].evaluated_ns == [0, 300 * S]


# --- stops


@pytest.mark.parametrize(
    ("wants", "stops_s"),
    [
        (Wants(), [0, 300, 600]),
        (Wants(hold_s=120.0), [0, 120, 240, 300, 420, 540, 600]),
        (Wants(hold_s=1e12), [0, 300, 600]),
        (Wants(event_ns=450 * S), [0, 300, 450]),
    ],
)
def test_the_next_stop_is_the_earliest_of_event_hold_and_grid(wants, stops_s):
    sim = Sim([island("a", SimpleNamespace(), wants)])
    sim.run_to(stops_s[-1] * S)
    assert wants.evaluated_ns == [t * S for t in stops_s]


@pytest.mark.parametrize("hold_s", [-5.0, 0.0, 1e-9, 0.999])
def test_a_hold_is_at_least_a_second(hold_s):
    wants = Wants(hold_s=hold_s)
    Sim([island("a", SimpleNamespace(), wants)]).run_to(3 * S)
    assert wants.evaluated_ns == [0, S, 2 * S, 3 * S]


def test_an_event_may_come_sooner_than_a_second():
    wants = Wants(event_ns=5)
    Sim([island("a", SimpleNamespace(), wants)]).run_to(5)
    assert wants.evaluated_ns == [0, 5]


def test_after_a_write_the_new_hold_alone_decides():
    rc = SimpleNamespace(rc=Rc.table([100.0]))
    wants = Wants(hold_s=100.0)
    where = island("a", rc, Rc(), wants)
    sim = Sim([where])
    at(sim, 60 * S, put(sim, where, "rc.power_w", 200.0))
    sim.run_to(250 * S)
    assert wants.evaluated_ns == [0, 60 * S, 160 * S, 250 * S]


@pytest.mark.parametrize("places", [[nan, 5.0], [5.0, nan], [nan]])
def test_a_hold_that_is_no_number_is_refused_and_names_its_model(places):
    sim = Sim([island("a", SimpleNamespace(), *[Wants(hold_s=hold_s) for hold_s in places])])
    with pytest.raises(InvariantError, match=r"Wants.*a hold that is no number"):
        sim.run_to(S)


def test_a_due_time_may_be_a_numpy_integer():
    where = island("a", SimpleNamespace(), Wants(event_ns=np.int64(7)))
    Sim([where]).run_to(5)
    assert (where.stop_ns, type(where.stop_ns)) == (7, int)


# --- settling


@pytest.mark.parametrize("count", [1, 2, 17, 300])
def test_a_cascade_of_n_breakers_needs_n_plus_one_passes_in_one_instant(count):
    where = breaker_island(1.0, [2.0] * count)
    heard = []
    sim = Sim([where], lambda fact, _: heard.append((sim.now_ns, fact)))
    at(sim, 7 * S, put(sim, where, "breakers.load_w", 5.0))
    sim.run_to(7 * S)
    assert heard == [(7 * S, Fact("tripped", "breaker", row, 5.0)) for row in range(count)]
    assert where.evaluations_count == 1 + count + 1


def test_a_cascade_ends_at_the_breaker_that_holds():
    where = breaker_island(5.0, [2.0, 4.0, 6.0, 2.0])
    Sim([where]).run_to(0)
    assert where.world.breakers.is_open.tolist() == [1, 1, 0, 0]


class Chatter(Counter):
    """Two relays that undo each other, beside a mode that stays."""

    def __init__(self, passes=None):
        super().__init__()
        self.relay, self.still = np.zeros(2, np.int8), np.zeros(3, np.int8)
        self.order = passes if passes is not None else [0, 1] * 50

    def switch(self, world, now_ns):
        if not self.order:
            return []
        self.relay[self.order.pop(0)] ^= 1
        return [Fact("flip", "relay", 0)]

    def modes(self, world):
        return {"relay": self.relay, "still": self.still}


def test_a_cycle_of_modes_is_refused_and_names_its_columns():
    where = island("a", SimpleNamespace(breakers=Breakers.table(5.0, [1.0])), Breakers(), Chatter())
    with pytest.raises(InvariantError) as refused:
        Sim([where]).run_to(S)
    assert refused.value.args == (0, "a", -1, "modes repeat within an instant: relay")
    assert where.evaluations_count == 5


def test_modes_that_return_to_the_start_of_the_instant_are_a_cycle_too():
    where = island("a", SimpleNamespace(), chatter := Chatter(passes=[]))
    sim = Sim([where])
    sim.run_to(0)
    chatter.order = [0, 0]
    with pytest.raises(InvariantError, match="repeat within an instant: relay"):
        sim.run_to(300 * S)


def test_a_process_may_put_a_mode_back_within_an_instant():
    where = breaker_island(5.0, [2.0, 6.0])
    sim = Sim([where])

    def reset():
        put(sim, where, "breakers.load_w", 1.0)()
        put(sim, where, "breakers.is_open", 0)()
        yield sim.settled()
        put(sim, where, "breakers.load_w", 5.0)()

    at(sim, S, reset)
    sim.run_to(S)
    assert where.world.breakers.is_open.tolist() == [1, 0]


def test_a_fact_without_a_flip_is_refused_by_its_kind():
    class Talks(Counter):
        def switch(self, world, now_ns):
            return [Fact("chat", "relay", 0)]

    with pytest.raises(InvariantError, match="modes repeat within an instant: chat"):
        Sim([island("a", SimpleNamespace(), Talks())]).run_to(S)


# --- the order of models


def test_rates_are_written_before_they_are_read_whatever_the_order_given():
    last = Rates(reads=["b"])
    middle = Rates(reads=["a", "b"], writes=["b"])
    first = Rates(writes=["a"])
    second = Rates(writes=["a"])
    for models in ([last, middle, first, second], [first, second, last, middle]):
        ordered = in_order(models)
        assert [next(n for n, m in enumerate(ordered) if m is one) for one in models] == (
            [3, 2, 0, 1] if models[0] is last else [0, 1, 3, 2]
        )


def test_models_that_are_equal_are_all_kept_and_ties_keep_their_order():
    models = [Rates(), Rates(), Rates()]
    assert all(a is b for a, b in zip(in_order(models), models, strict=True))


def test_a_rate_cycle_is_refused_with_its_path():
    class Fan(Rates): ...

    class Chip(Rates): ...

    class Room(Rates): ...

    fan, chip = Fan(["temp"], ["flow"]), Chip(["flow"], ["heat"])
    room = Room(["heat"], ["temp"])
    with pytest.raises(ValueError, match=r"Fan reads from Room reads from Chip reads from Fan$"):
        in_order([Rates(["flow"]), fan, chip, room])


def test_the_order_of_creation_of_models_is_invisible():
    digests = set()
    for step in (1, -1):
        where = island("a", SimpleNamespace(pair=pair_table()), *[Heater(), Coolant()][::step])
        Sim([where]).run_to(3000 * S)
        digests.add(digest(where))
    assert len(digests) == 1
