"""Reads of a trace that several accounts share are made once per run."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from dcsim.trace import Run

T = TypeVar("T")


def once(read: Callable[[Run], T]) -> Callable[[Run], T]:
    """Let *read* remember what it made of a run, for as long as that `Run` is open."""
    known: WeakKeyDictionary[Run, T] = WeakKeyDictionary()

    @wraps(read)
    def remembered(run: Run) -> T:
        if run not in known:
            known[run] = read(run)
        return known[run]

    return remembered
