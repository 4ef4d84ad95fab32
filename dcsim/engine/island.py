"""Models that read one another, with a clock of their own."""

from collections.abc import Callable, Mapping, Sequence
from math import inf, isnan
from typing import Any

from numpy.typing import NDArray

from dcsim.contract import NEVER_NS, Fact, Holds, Model
from dcsim.errors import InvariantError

HOLD_MIN_NS = 1_000_000_000
NS = 1e9

Observer = Callable[[int, bool], None]
Modes = tuple[tuple[str, bytes], ...]


def in_order(models: Sequence[Model]) -> list[Model]:
    """Sort models so that each rate is written before it is read; ties keep the given order.

    Raises ValueError with the path of a rate cycle: break such a loop at a state.
    """
    done: list[int] = []
    path: list[int] = []

    def visit(index: int) -> None:
        if index in done:
            return
        if index in path:
            names = [type(models[step]).__name__ for step in [*path[path.index(index) :], index]]
            raise ValueError(f"rates form a cycle: {' reads from '.join(names)}")
        path.append(index)
        for writer, model in enumerate(models):
            if writer != index and not set(model.writes).isdisjoint(models[index].reads):
                visit(writer)
        done.append(path.pop())

    for index in range(len(models)):
        visit(index)
    return [models[index] for index in done]


def depths(models: Sequence[Model]) -> list[int]:
    """Return how many others write what each model reads, one behind the other.

    *models* are in the order of their rates.
    """
    found: list[int] = []
    for model in models:
        before = zip(models, found, strict=False)
        behind = [depth for other, depth in before if not set(other.writes).isdisjoint(model.reads)]
        found.append(1 + max(behind, default=-1))
    return found


class Island:
    """A set of coupled models, advanced only at its own stops or by an effective write.

    *columns* are what processes may write through the gate, by name. An island whose `stop_ns` has
    come is due to settle; settling sets the next stop. Observers are called after each stop with
    (time_ns, whether it is a point of the report grid); they only read.
    """

    def __init__(
        self,
        name: str,
        world: Any,
        models: Sequence[Model],
        columns: Mapping[str, NDArray[Any]],
        grid_ns: int = 300_000_000_000,
    ) -> None:
        self.name = name
        self.world = world
        self.models = in_order(models)
        self._depths = depths(self.models)
        self.columns = dict(columns)
        self.grid_ns = grid_ns
        self.observers: list[Observer] = []
        self.time_ns = 0
        self.stop_ns = 0
        self.stops_count = 0
        self.evaluations_count = 0
        self._holds: list[Holds] = []
        self._modes: Modes | None = None

    def advance_to(self, now_ns: int) -> None:
        """Integrate every model's state up to *now_ns*, in the order of the rates."""
        dt_ns = now_ns - self.time_ns
        if dt_ns > 0:
            dt_s = dt_ns / NS
            for model in self.models:
                model.advance(self.world, dt_s)
            self.time_ns = now_ns

    def wake(self, now_ns: int) -> None:
        """Advance to *now_ns* and be due: someone is about to write, or wants to read."""
        self.advance_to(now_ns)
        self.stop_ns = now_ns
        self._modes = None

    def settle(self, now_ns: int) -> list[Fact]:
        """Evaluate and switch until a pass flips nothing; return the facts, causes first.

        Those of one pass are in the order of the rates, each model's as it gives them. Models that
        read nothing of each other come by the table of their first fact.

        Raises InvariantError when the modes come back to a vector already seen.
        """
        facts: list[Fact] = []
        seen = [self._mode_bytes() if self._modes is None else self._modes]
        while True:
            self._holds = [model.evaluate(self.world, now_ns) for model in self.models]
            self.evaluations_count += 1
            flipped = self._switch(now_ns)
            if not flipped:
                break
            facts.extend(flipped)
            modes = self._mode_bytes()
            if modes in seen:
                names = _moved(seen[seen.index(modes) :]) or [fact.kind for fact in flipped]
                what = f"modes repeat within an instant: {', '.join(names)}"
                raise InvariantError(now_ns, self.name, -1, what)
            seen.append(modes)
        self._modes = seen[-1]
        self._plan(now_ns)
        return facts

    def _switch(self, now_ns: int) -> list[Fact]:
        """Switch every model once; return the facts, causes first."""
        said = [model.switch(self.world, now_ns) for model in self.models]
        heard = [
            (depth, facts[0].table, facts)
            for depth, facts in zip(self._depths, said, strict=True)
            if facts
        ]
        heard.sort(key=lambda one: one[:2])
        return [fact for _depth, _table, facts in heard for fact in facts]

    def pressing(self) -> str:
        """Name the model whose event comes first."""
        events = [hold.event_ns for hold in self._holds]
        model = type(self.models[events.index(min(events))]).__name__ if events else "no model"
        return f"{model} of {self.name}"

    def _mode_bytes(self) -> Modes:
        return tuple(
            (name, column.tobytes())
            for model in self.models
            for name, column in model.modes(self.world).items()
        )

    def _plan(self, now_ns: int) -> None:
        event_ns, hold_s = NEVER_NS, inf
        for model, hold in zip(self.models, self._holds, strict=True):
            if isnan(hold.hold_s):
                raise InvariantError(now_ns, type(model).__name__, -1, "a hold that is no number")
            event_ns = min(event_ns, int(hold.event_ns))
            hold_s = min(hold_s, hold.hold_s)
        hold_ns = NEVER_NS if hold_s > NEVER_NS / NS else max(HOLD_MIN_NS, int(hold_s * NS))
        grid_ns = (now_ns // self.grid_ns + 1) * self.grid_ns
        self.stop_ns = min(max(event_ns, now_ns + 1), now_ns + hold_ns, grid_ns)


def _moved(loop: Sequence[Modes]) -> list[str]:
    columns = zip(*loop, strict=True)
    return sorted({modes[0][0] for modes in columns if len(set(modes)) > 1})
