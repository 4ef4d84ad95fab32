"""The gate: the only way in, and it keeps what goes wrong in it."""

from types import SimpleNamespace

import numpy as np
import pytest

from dcsim.engine import Fact, Inbox, Sim
from dcsim.errors import InvariantError
from tests.engine.toys import Counter, Rc, S, at, island, put


class Table(SimpleNamespace):
    def _asdict(self):
        return vars(self)


@pytest.fixture
def where():
    table = Table(
        f32=np.zeros(4, np.float32), f64=np.zeros(4), mode=np.zeros(4, np.int8), b=np.zeros(4, bool)
    )
    return island("a", SimpleNamespace(t=table), Counter())


def run(where, action):
    """Run *action* as a process at 1 s and return the times of evaluation up to 2 s."""
    sim = Sim([where])
    at(sim, S, lambda: action(sim))
    sim.run_to(2 * S)
    return where.models[0].evaluated_ns


@pytest.mark.parametrize(
    ("column", "rows", "value", "expected"),
    [
        ("t.f64", 2, 5.0, [0, 0, 5, 0]),
        ("t.f64", slice(1, 3), 5.0, [0, 5, 5, 0]),
        ("t.f64", [0, 3], [1.0, 2.0], [1, 0, 0, 2]),
        ("t.f64", np.array([True, False, False, True]), 7, [7, 0, 0, 7]),
        ("t.mode", slice(None), 1, [1, 1, 1, 1]),
        ("t.b", 0, True, [1, 0, 0, 0]),
    ],
)
def test_put_writes_at_an_index_a_slice_or_an_index_array(where, column, rows, value, expected):
    evaluated = run(where, lambda sim: put(sim, where, column, value, rows)())
    assert where.columns[column].tolist() == expected
    assert evaluated == [0, S, 2 * S]


@pytest.mark.parametrize("column", ["t.f32", "t.f64"])
def test_equal_values_are_ignored_in_the_type_of_the_column(where, column):
    where.columns[column][:] = 0.1
    evaluated = run(where, lambda sim: put(sim, where, column, 0.1, slice(None))())
    assert evaluated == [0, 2 * S]


def test_one_row_that_differs_is_an_effective_write(where):
    evaluated = run(where, lambda sim: put(sim, where, "t.f64", [0, 0, 0, 1e-300], range(4))())
    assert evaluated == [0, S, 2 * S]


@pytest.mark.parametrize(
    ("column", "rows", "value", "error"),
    [
        ("t.nothing", 0, 1.0, KeyError),
        ("t.f64", 9, 1.0, IndexError),
        ("t.f64", [0, 1, 2], [1.0, 2.0], ValueError),
        ("t.mode", 0, 1000, OverflowError),
        ("t.f64", 1, np.nan, InvariantError),
        ("t.f32", slice(None), np.nan, InvariantError),
    ],
)
def test_what_cannot_be_written_ends_the_run_though_the_process_swallows_it(
    where, column, rows, value, error
):
    def swallow(sim):
        try:
            put(sim, where, column, value, rows)()
        except Exception:
            yield sim.timeout(S // 2)

    with pytest.raises(error):
        run(where, swallow)
    assert not where.columns["t.f64"].any()


def test_an_exception_inside_the_gate_is_not_swallowed_by_one_who_waits(where):
    sim = Sim([where])

    def fails():
        yield sim.timeout(S)
        with sim.change("oops", where):
            raise RuntimeError("inside")

    def waits():
        try:
            yield sim.process(fails())
        except RuntimeError:
            yield sim.timeout(S)

    sim.process(waits())
    with pytest.raises(RuntimeError, match="inside"):
        sim.run_to(5 * S)
    assert (sim.now_ns, sim.depth) == (S, 0)


def test_of_two_exceptions_inside_gates_the_first_is_raised(where):
    def twice(sim):
        for column in ("first", "second"):
            try:
                put(sim, where, column, 1.0)()
            except KeyError:
                continue

    with pytest.raises(KeyError, match="first"):
        run(where, twice)


def test_a_yield_inside_the_gate_is_refused(where):
    def waits(sim):
        with sim.change("wait", where):
            yield sim.timeout(1)

    with pytest.raises(InvariantError, match="yielded inside the gate"):
        run(where, waits)


def test_an_error_outside_the_gate_may_be_handled(where):
    def handles(sim):
        try:
            yield sim.process(fails(sim))
        except RuntimeError:
            put(sim, where, "t.f64", 1.0)()

    def fails(sim):
        yield sim.timeout(1)
        raise RuntimeError("outside")

    run(where, handles)
    assert where.world.t.f64[0] == 1.0


def test_a_write_outside_the_gate_is_refused(where):
    def early(sim):
        sim.change("early", where).put("t.f64", 0, 1.0)

    with pytest.raises(InvariantError, match="a write outside the gate: early"):
        run(where, early)
    assert not where.world.t.f64.any()


def test_a_write_through_a_gate_that_has_closed_is_refused_even_inside_another(where):
    def late(sim):
        with sim.change("late", where) as edit:
            edit.put("t.f64", 0, 1.0)
        with sim.change("other", where):
            try:
                edit.put("t.f64", 0, 2.0)
            except InvariantError:
                yield from ()

    with pytest.raises(InvariantError, match="a write outside the gate: late"):
        run(where, late)
    assert where.world.t.f64[0] == 1.0


def test_nested_gates_have_an_edit_each():
    islands = [island(name, SimpleNamespace(rc=Rc.table([1.0])), Rc()) for name in "ab"]
    sim = Sim(islands)

    def nested():
        with sim.change("outer", islands[0]) as outer:
            with sim.change("inner", islands[1]) as inner:
                inner.put("rc.power_w", 0, 2.0)
                outer.put("rc.power_w", 0, 3.0)
            assert sim.depth == 1
            outer.put("rc.power_w", 0, 4.0)
        assert sim.depth == 0

    at(sim, S, nested)
    sim.run_to(2 * S)
    assert [one.world.rc.power_w[0] for one in islands] == [4.0, 2.0]
    assert list(sim.reasons) == ["inner", "outer", "outer"]


def test_a_write_does_not_reach_back():
    class Integral(Counter):
        def advance(self, world, dt_s):
            world.t.total[0] += world.t.level[0] * dt_s

    table = Table(level=np.array([1.0]), total=np.zeros(1))
    where = island("a", SimpleNamespace(t=table), Integral())
    run(where, lambda sim: put(sim, where, "t.level", 10.0)())
    assert table.total[0] == 11.0


def test_a_write_wakes_who_follows_from_it_in_the_same_instant():
    where = island("a", SimpleNamespace(rc=Rc.table([100.0])), Rc())
    sim = Sim([where], lambda fact, _: inbox.put(fact))
    inbox = Inbox(sim)
    heard = []
    sim.process(iter_facts(sim, inbox, heard))
    at(sim, S, put(sim, where, "rc.temp_c", 90.0))
    at(sim, S, put(sim, where, "rc.power_w", 1000.0))
    sim.run_to(2 * S)
    # Above the limit when the rate changes: due at least 1 ns ahead.
    assert heard == [(S + 1, Fact("hot", "rc", 0))]


def iter_facts(sim, inbox, heard):
    while True:
        fact = yield inbox.get()
        heard.append((sim.now_ns, fact))
