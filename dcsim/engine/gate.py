"""The only way in which a process changes physics."""

from types import TracebackType
from typing import Any, Protocol

import numpy as np

from dcsim.engine.island import Island
from dcsim.errors import InvariantError


class Keeper(Protocol):
    """What the gate asks of the loop; *depth* counts the gates that are open."""

    depth: int

    @property
    def now_ns(self) -> int:
        """The current instant."""

    def touch(self, island: Island, why: str) -> None:
        """Bring *island* to now and let it settle in this instant."""

    def keep(self, failure: Exception) -> None:
        """Hold *failure*, to be raised whoever swallows it."""


class Edit:
    """Writes to one island at one instant, as `with sim.change("why", island) as edit:`.

    Equal values are ignored: a change that writes nothing changes nothing. An exception inside is
    kept by the loop, so that no waiting process can swallow it.
    """

    def __init__(self, sim: Keeper, why: str, island: Island) -> None:
        self._sim = sim
        self._island = island
        self._is_open = False
        self.why = why

    def put(self, column: str, rows: Any, value: Any) -> None:
        """Write *value* at *rows* (an index, a slice or an index array) of *column*.

        Equal means equal in the type of the column, to what it holds since the last stop.
        Raises KeyError for a column that processes do not write, InvariantError for a NaN.
        """
        if not self._is_open:
            self._refuse("a write outside the gate", column)
        target = self._island.columns[column]
        old = target[rows]
        new = np.broadcast_to(np.asarray(value, target.dtype), np.shape(old))
        if np.array_equal(old, new):
            return
        if np.isnan(np.min(new)):
            self._refuse("not a number", column)
        self._sim.touch(self._island, self.why)
        target[rows] = new

    def _refuse(self, what: str, column: str) -> None:
        error = InvariantError(self._sim.now_ns, column, -1, f"{what}: {self.why}")
        self._sim.keep(error)
        raise error

    def __enter__(self) -> "Edit":
        self._is_open = True
        self._sim.depth += 1
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        self._sim.depth -= 1
        if isinstance(error, Exception):
            self._sim.keep(error)
