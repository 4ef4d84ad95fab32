"""What a model and a process say to each other and to the loop."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

NEVER_NS = 2**62
"""A due time that never comes: 146 years, which still leaves room to add to it."""


class Fact(NamedTuple):
    """Something that happened and is irreversible or seen by others.

    *payload* is what the receiver needs beyond the row: a number, a mapping, or nothing.
    """

    kind: str
    table: str
    row: int
    payload: Any = None


def flip(column: Any, wanted: Any, table: str, rises: str, falls: str) -> list[Fact]:
    """Make a mode *column* as *wanted*; return a fact for each row that flipped."""
    if np.array_equal(column, wanted):
        return []
    rows = np.flatnonzero(column != wanted)
    column[:] = wanted
    return [Fact(rises if wanted[row] else falls, table, int(row)) for row in rows]


class Holds(NamedTuple):
    """How long what a model has just published stays true.

    *event_ns* is the absolute time of the model's next exact crossing, or NEVER_NS; *hold_s* how
    long the published rates stay within the model's stated tolerance.
    """

    event_ns: int
    hold_s: float


class Model(Protocol):
    """Physics in three verbs; `reads` and `writes` name rate columns and fix the order.

    The time is given in whole nanoseconds, so that a stored due time is met exactly.
    """

    @property
    def reads(self) -> Sequence[str]:
        """Rate columns of others that `evaluate` reads, as `table.column`."""

    @property
    def writes(self) -> Sequence[str]:
        """Rate columns that others read."""

    def evaluate(self, world: Any, now_ns: int) -> Holds:
        """Write the model's own rates from states and modes."""

    def switch(self, world: Any, now_ns: int) -> Sequence[Fact]:
        """Flip the model's own modes whose crossing is due; one fact or more if any flipped.

        A fact that another one of them led to comes after it.
        """

    def advance(self, world: Any, dt_s: float) -> None:
        """Integrate the model's own state over *dt_s*, rates held, own feedback inside."""

    def modes(self, world: Any) -> Mapping[str, NDArray[np.generic]]:
        """Name the model's mode columns."""
