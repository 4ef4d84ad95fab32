"""How a process waits: one inbox, fed by facts, timers and finished activities."""

from collections import deque

import simpy

from dcsim.engine.contract import Fact


class Inbox:
    """A first-in first-out queue of facts with at most one process waiting on it.

    Anyone may `put`; only the owner gets, by `fact = yield inbox.get()`.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._facts: deque[Fact] = deque()
        self._waiting: simpy.Event | None = None

    def put(self, fact: Fact) -> None:
        """Deliver *fact*; the owner wakes at this instant."""
        if self._waiting is None:
            self._facts.append(fact)
        else:
            waiting, self._waiting = self._waiting, None
            waiting.succeed(fact)

    def get(self) -> simpy.Event:
        """Return the event that carries the next fact."""
        event = simpy.Event(self._env)
        if self._facts:
            event.succeed(self._facts.popleft())
        else:
            self._waiting = event
        return event


class Timer:
    """A fixed wait that ends in an inbox; a cancelled one arrives nowhere."""

    __slots__ = ("due_ns", "fact", "inbox")

    def __init__(self, inbox: Inbox, fact: Fact, due_ns: int) -> None:
        self.inbox: Inbox | None = inbox
        self.fact = fact
        self.due_ns = due_ns

    def cancel(self) -> None:
        """Drop the wait; the heap entry dies when its time comes."""
        self.inbox = None

    def ring(self, _event: simpy.Event) -> None:
        """Deliver, unless cancelled (the callback of the heap event)."""
        if self.inbox is not None:
            self.inbox.put(self.fact)
