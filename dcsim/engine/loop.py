"""The loop: instants, stops, and what is due when.

Time is whole nanoseconds. Physics is no process: `step()` runs one instant of the simulation, in
which due islands advance, due activities complete, every heap event of the instant runs, and dirty
islands settle, until nothing more is due.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import simpy

from dcsim.engine.activity import Activity
from dcsim.engine.contract import NEVER_NS, Fact
from dcsim.engine.gate import Edit
from dcsim.engine.inbox import Inbox, Timer
from dcsim.engine.island import Island
from dcsim.errors import InvariantError

TIMER, INPUT = 1, 2
"""Order within an instant: what was finished by t is finished; what fails at t fails after."""

ROUNDS_MAX = 1_000
EVENTS_MAX = 10_000_000
CLOSE_STOPS_MAX = 1_000
CLOSE_NS = 1_000_000


class Sim(simpy.Environment):
    """A SimPy environment with islands of physics and a gate."""

    def __init__(
        self,
        islands: Sequence[Island],
        deliver: Callable[[Fact, Island], None] = lambda _fact, _island: None,
    ) -> None:
        super().__init__(0)
        self.islands = list(islands)
        self.depth = 0
        self.failure: Exception | None = None
        self.reasons: deque[str] = deque(maxlen=16)
        self.instants_count = 0
        self.events_count = 0
        self._deliver = deliver
        self._activities: list[Activity] = []
        self._questions: list[tuple[simpy.Event, Callable[[], Any] | None]] = []
        self._close_stops = 0

    @property
    def now_ns(self) -> int:
        """The current instant."""
        return int(self._now)

    @property
    def now_s(self) -> float:
        """The current instant in seconds, for reading only."""
        return self.now_ns / 1e9

    def run_to(self, end_ns: int) -> None:
        """Run every instant up to and including *end_ns*, then bring all islands there."""
        while self._next_ns() <= end_ns:
            self.step()
        self._now = end_ns
        for island in self.islands:
            if island.time_ns < end_ns:
                island.stop_ns = end_ns
        if any(island.time_ns < end_ns for island in self.islands):
            self.step()

    def step(self) -> None:
        """Run one instant: the next at which anything is due."""
        now_ns = self._next_ns()
        self._guard(now_ns)
        self._now = now_ns
        self.instants_count += 1
        stopped = [island for island in self.islands if island.stop_ns <= now_ns]
        for island in stopped:
            island.advance_to(now_ns)
            island.dirty = True
            island.stops_count += 1
        for _round in range(ROUNDS_MAX):
            self._complete(now_ns)
            self._run_heap(now_ns)
            self._settle(now_ns)
            if not (self._heap_due(now_ns) or self._activity_ns() <= now_ns):
                break
        else:
            self._fail(now_ns, f"more than {ROUNDS_MAX} rounds in one instant")
        for island in stopped:
            on_grid = now_ns % island.grid_ns == 0
            for observe in island.observers:
                observe(now_ns, on_grid)

    def change(self, why: str, island: Island) -> Edit:
        """Open the gate to *island*; nested gates have an edit each."""
        return Edit(self, why, island)

    def touch(self, island: Island, why: str) -> None:
        """Bring *island* to now and mark it for settling (its first effective write)."""
        if self.depth == 0:
            raise InvariantError(self.now_ns, island.name, -1, f"a write outside the gate: {why}")
        self.reasons.append(why)
        island.advance_to(self.now_ns)
        island.dirty = True

    def stop(self, island: Island) -> simpy.Event:
        """Return an event that fires when *island*'s state is of now; a cause, like a write."""
        island.advance_to(self.now_ns)
        island.dirty = True
        self.reasons.append(f"stop {island.name}")
        return self.settled()

    def settled(self, read: Callable[[], Any] | None = None) -> simpy.Event:
        """Return an event that fires at the fixed point of this instant, with what *read* finds."""
        event = simpy.Event(self)
        self._questions.append((event, read))
        return event

    def start(
        self,
        work_ns: float,
        inbox: Inbox,
        tag: Fact,
        rate_of: Callable[[], float],
        islands: Sequence[Island],
    ) -> Activity:
        """Start work whose rate *islands* publish; *tag* arrives in *inbox* when it is done."""
        activity = Activity(work_ns, inbox, tag, rate_of, islands, self.now_ns)
        activity.rerate(self.now_ns)
        self._activities.append(activity)
        return activity

    def cancel(self, activity: Activity) -> None:
        """End *activity* early; it arrives nowhere."""
        if activity in self._activities:
            self._activities.remove(activity)

    def timer(self, inbox: Inbox, delay_ns: int, fact: Fact, priority: int = TIMER) -> Timer:
        """Deliver *fact* to *inbox* after a fixed time, at least 1 ns ahead."""
        delay_ns = max(1, delay_ns)
        timer = Timer(inbox, fact, self.now_ns + delay_ns)
        event = simpy.Event(self)
        event._ok, event._value = True, None
        event.callbacks.append(timer.ring)
        self.schedule(event, priority=priority, delay=delay_ns)  # type: ignore[arg-type]
        return timer

    def _next_ns(self) -> int:
        heap_ns = int(self.peek()) if self._queue else NEVER_NS
        stops_ns = min((island.stop_ns for island in self.islands), default=NEVER_NS)
        return min(heap_ns, stops_ns, self._activity_ns())

    def _activity_ns(self) -> int:
        return min((activity.due_ns for activity in self._activities), default=NEVER_NS)

    def _heap_due(self, now_ns: int) -> bool:
        return bool(self._queue) and self._queue[0][0] <= now_ns

    def _complete(self, now_ns: int) -> None:
        due = [activity for activity in self._activities if activity.due_ns <= now_ns]
        for activity in due:
            self._activities.remove(activity)
            activity.inbox.put(activity.tag)

    def _run_heap(self, now_ns: int) -> None:
        for _event in range(EVENTS_MAX):
            if not self._heap_due(now_ns):
                return
            super().step()
            self.events_count += 1
            if self.failure is not None:
                failure, self.failure = self.failure, None
                raise failure
            if self.depth != 0:
                self._fail(now_ns, "a process yielded inside the gate")
        self._fail(now_ns, f"more than {EVENTS_MAX} events in one instant")

    def _settle(self, now_ns: int) -> None:
        settled = [island for island in self.islands if island.dirty]
        facts = [(fact, island) for island in settled for fact in island.settle(now_ns)]
        if settled:
            for activity in self._activities:
                if any(island in settled for island in activity.islands):
                    activity.rerate(now_ns)
        for fact, island in facts:
            self._deliver(fact, island)
        questions, self._questions = self._questions, []
        for event, read in questions:
            event.succeed(read() if read is not None else None)

    def _guard(self, now_ns: int) -> None:
        """Refuse a chain of stops that go nowhere: many, close together, with nothing between."""
        close = not self._heap_due(now_ns) and 0 < now_ns - self.now_ns < CLOSE_NS
        self._close_stops = self._close_stops + 1 if close else 0
        if self._close_stops >= CLOSE_STOPS_MAX:
            self._fail(now_ns, f"{CLOSE_STOPS_MAX} stops in a row less than 1 ms apart")

    def _fail(self, now_ns: int, what: str) -> None:
        raise InvariantError(now_ns, "engine", -1, f"{what}; last: {', '.join(self.reasons)}")
