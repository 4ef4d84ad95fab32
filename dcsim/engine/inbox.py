"""How a process waits: one inbox, fed by facts, timers and finished activities."""

from collections import deque
from typing import Protocol

import simpy

from dcsim.contract import Fact
from dcsim.errors import InvariantError


class Source(Protocol):
    """What a fact comes from, where that can be cancelled."""

    cancelled: bool


class Inbox:
    """A first-in first-out queue of facts with at most one process waiting on it.

    Anyone may `put`; only the owner gets, by `fact = yield inbox.get()`.
    """

    __slots__ = ("_env", "_facts", "_waiting")

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._facts: deque[tuple[Fact, Source | None]] | None = None
        self._waiting: simpy.Event | None = None

    def put(self, fact: Fact, source: Source | None = None) -> None:
        """Deliver *fact*; the owner wakes at this instant.

        A fact still in the queue when its *source* is cancelled is dropped.
        """
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.succeed(fact)
            return
        if self._facts is None:
            self._facts = deque()
        self._facts.append((fact, source))

    def get(self) -> simpy.Event:
        """Return the event that carries the next fact."""
        if self._waiting is not None:
            raise InvariantError(int(self._env.now), "inbox", -1, "two wait on one inbox")
        event = simpy.Event(self._env)
        while self._facts:
            fact, source = self._facts.popleft()
            if source is None or not source.cancelled:
                return event.succeed(fact)
        self._waiting = event
        return event


class Timer(simpy.Event):
    """A fixed wait that ends in an inbox; a cancelled one arrives nowhere."""

    def __init__(self, env: simpy.Environment, inbox: Inbox, fact: Fact, due_ns: int) -> None:
        super().__init__(env)
        self._ok, self._value = True, None
        self.callbacks.append(self._ring)
        self.inbox = inbox
        self.fact = fact
        self.due_ns = due_ns
        self.cancelled = False

    def cancel(self) -> None:
        """Drop the wait; the heap entry dies when its time comes."""
        self.cancelled = True

    def _ring(self, _event: simpy.Event) -> None:
        if not self.cancelled:
            self.inbox.put(self.fact, self)
