"""The only way in which a process changes physics."""

from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dcsim.engine.island import Island
    from dcsim.engine.loop import Sim


class Edit:
    """Writes to one island at one instant, as `with sim.change("why", island) as edit:`.

    Equal values are ignored: a change that writes nothing changes nothing. An exception inside is
    kept by the loop, so that no waiting process can swallow it.
    """

    def __init__(self, sim: "Sim", why: str, island: "Island") -> None:
        self._sim = sim
        self._island = island
        self.why = why

    def put(self, column: str, rows: Any, value: Any) -> None:
        """Write *value* at *rows* (an index, a slice or an index array) of *column*.

        Raises KeyError for a column that processes do not write.
        """
        target = self._island.columns[column]
        if np.array_equal(target[rows], np.broadcast_to(value, np.shape(target[rows]))):
            return
        self._sim.touch(self._island, self.why)
        target[rows] = value

    def __enter__(self) -> "Edit":
        self._sim.depth += 1
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._sim.depth -= 1
        if isinstance(error, Exception):
            self._sim.failure = error
