"""Models that read one another, with a clock of their own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from dcsim.engine.contract import NEVER_NS, Fact, Model
from dcsim.engine.digest import array_digest
from dcsim.errors import InvariantError

HOLD_MIN_NS = 1_000_000_000
NS = 1e9

Observer = Callable[[int, bool], None]


def in_order(models: Sequence[Model]) -> list[Model]:
    """Sort models so that each rate is written before it is read; ties keep the given order.

    Raises ValueError with the path of a rate cycle: break such a loop at a state.
    """
    writer = {column: model for model in models for column in model.writes}
    ordered: list[Model] = []
    path: list[Model] = []

    def visit(model: Model) -> None:
        if model in ordered:
            return
        if model in path:
            names = [type(step).__name__ for step in [*path[path.index(model) :], model]]
            raise ValueError(f"rates form a cycle: {' -> '.join(names)}")
        path.append(model)
        for column in model.reads:
            if column in writer and writer[column] is not model:
                visit(writer[column])
        path.pop()
        ordered.append(model)

    for model in models:
        visit(model)
    return ordered


class Island:
    """A set of coupled models, advanced only at its own stops or by an effective write.

    *columns* are what processes may write through the gate, by name. Observers are called after
    each stop with (time_ns, whether it is a point of the report grid); they only read.
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
        self.columns = dict(columns)
        self.grid_ns = grid_ns
        self.observers: list[Observer] = []
        self.time_ns = 0
        self.stop_ns = 0
        self.dirty = True
        self.stops_count = 0
        self.evaluations_count = 0
        self._event_ns: list[int] = []

    def advance_to(self, now_ns: int) -> None:
        """Integrate every model's state up to *now_ns*, in the order of the rates."""
        dt_ns = now_ns - self.time_ns
        if dt_ns > 0:
            dt_s = dt_ns / NS
            for model in self.models:
                model.advance(self.world, dt_s)
            self.time_ns = now_ns

    def settle(self, now_ns: int) -> list[Fact]:
        """Evaluate and switch until a pass flips nothing; return the facts, by pass.

        Raises InvariantError when the modes come back to a vector already seen.
        """
        facts: list[Fact] = []
        seen: set[str] = set()
        while True:
            holds = [model.evaluate(self.world, now_ns) for model in self.models]
            self.evaluations_count += 1
            flipped = [fact for model in self.models for fact in model.switch(self.world, now_ns)]
            if not flipped:
                break
            facts.extend(sorted(flipped, key=lambda fact: fact[:3]))
            modes = {
                name: column
                for model in self.models
                for name, column in model.modes(self.world).items()
            }
            vector = array_digest(modes)
            if vector in seen:
                what = f"modes repeat within an instant: {', '.join(sorted(modes))}"
                raise InvariantError(now_ns, self.name, -1, what)
            seen.add(vector)
        self.dirty = False
        self._plan(now_ns, holds)
        return facts

    def _plan(self, now_ns: int, holds: Sequence[Any]) -> None:
        event_ns = min((hold.event_ns for hold in holds), default=NEVER_NS)
        hold_s = min((hold.hold_s for hold in holds), default=float("inf"))
        hold_ns = NEVER_NS if hold_s > NEVER_NS / NS else max(HOLD_MIN_NS, int(hold_s * NS))
        grid_ns = (now_ns // self.grid_ns + 1) * self.grid_ns
        self.stop_ns = min(max(event_ns, now_ns + 1), now_ns + hold_ns, grid_ns)
