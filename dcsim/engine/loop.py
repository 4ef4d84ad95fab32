"""The loop: instants, stops, and what is due when.

Time is whole nanoseconds. Physics is no process: `step()` runs one instant of the simulation, in
which due islands advance, due activities complete, every heap event of the instant runs, and dirty
islands settle, until nothing more is due.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import simpy

from dcsim.contract import NEVER_NS, Fact
from dcsim.engine.activity import Activity
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
    """A SimPy environment with islands of physics and a gate.

    Islands are taken in the order of their names, so that the order of creation shows nowhere.
    """

    def __init__(
        self,
        islands: Sequence[Island],
        deliver: Callable[[Fact, Island], None] = lambda _fact, _island: None,
    ) -> None:
        super().__init__(0)
        self.islands = sorted(islands, key=lambda island: island.name)
        self.depth = 0
        self.reasons: deque[str] = deque(maxlen=16)
        self.instants_count = 0
        self.events_count = 0
        self._deliver = deliver
        self._failure: Exception | None = None
        self._activities: dict[Activity, None] = {}
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
        """Run every instant up to and including *end_ns*, then bring all islands there.

        That is a stop like any other: off the report grid it shows in the last bits of a state.
        """
        if end_ns < self.now_ns:
            raise ValueError(f"it is {self.now_ns} ns, later than {end_ns} ns")
        while (now_ns := self._next_ns()) <= end_ns:
            self._instant(now_ns)
        self._now = end_ns
        lagging = [island for island in self.islands if island.time_ns < end_ns]
        for island in lagging:
            island.stop_ns = end_ns
        if lagging:
            self._instant(end_ns)

    def step(self) -> None:
        """Run one instant: the next at which anything is due."""
        self._instant(self._next_ns())

    def schedule(
        self, event: simpy.Event, priority: int = TIMER, delay: simpy.core.SimTime = 0
    ) -> None:
        """Put *event* on the heap, as SimPy does, but only whole nanoseconds from now."""
        if not isinstance(delay, int) or delay < 0:
            raise ValueError(f"time is whole nanoseconds from now on, not {delay!r}")
        super().schedule(event, simpy.events.EventPriority(priority), delay)

    def change(self, why: str, island: Island) -> Edit:
        """Open the gate to *island*; nested gates have an edit each."""
        return Edit(self, why, island)

    def touch(self, island: Island, why: str) -> None:
        """Bring *island* to now and let it settle in this instant."""
        island.wake(self.now_ns)
        self.reasons.append(why)

    def keep(self, failure: Exception) -> None:
        """Hold the first *failure* inside a gate, to be raised whoever swallows it."""
        self._failure = self._failure or failure

    def stop(self, island: Island) -> simpy.Event:
        """Return an event that fires when *island*'s state is of now; a cause, like a write."""
        self.touch(island, f"stop {island.name}")
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
        self._activities[activity] = None
        return activity

    def cancel(self, activity: Activity) -> None:
        """End *activity* early; it arrives nowhere, even when done at this very instant."""
        activity.cancelled = True
        self._activities.pop(activity, None)

    def timer(self, inbox: Inbox, delay_ns: int, fact: Fact, priority: int = TIMER) -> Timer:
        """Deliver *fact* to *inbox* after a fixed time, at least 1 ns ahead."""
        delay_ns = max(1, delay_ns)
        timer = Timer(self, inbox, fact, self.now_ns + delay_ns)
        self.schedule(timer, priority, delay_ns)
        return timer

    def _next_ns(self) -> int:
        due_ns = self._queue[0][0] if self._queue else NEVER_NS
        for island in self.islands:
            due_ns = min(due_ns, island.stop_ns)
        for activity in self._activities:
            due_ns = min(due_ns, activity.due_ns)
        return int(due_ns)

    def _is_due(self, now_ns: int) -> bool:
        is_event = bool(self._queue) and self._queue[0][0] <= now_ns
        return is_event or any(island.stop_ns <= now_ns for island in self.islands)

    def _instant(self, now_ns: int) -> None:
        stopped = [island for island in self.islands if island.stop_ns <= now_ns]
        done = [activity for activity in self._activities if activity.due_ns <= now_ns]
        self._guard(now_ns, stopped, bool(done))
        self._now = now_ns
        self.instants_count += 1
        for island in stopped:
            island.advance_to(now_ns)
            island.stops_count += 1
        for activity in sorted(done, key=lambda activity: activity.tag[:3]):
            del self._activities[activity]
            activity.inbox.put(activity.tag, activity)
        for _round in range(ROUNDS_MAX):
            self._run_heap(now_ns)
            self._settle(now_ns)
            if not self._is_due(now_ns):
                break
        else:
            self._fail(now_ns, f"more than {ROUNDS_MAX} rounds in one instant")
        for island in stopped:
            on_grid = now_ns % island.grid_ns == 0
            for observe in island.observers:
                observe(now_ns, on_grid)

    def _run_heap(self, now_ns: int) -> None:
        for _event in range(EVENTS_MAX):
            if not self._queue or self._queue[0][0] > now_ns:
                return
            super().step()
            self.events_count += 1
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if self.depth != 0:
                self._fail(now_ns, "a process yielded inside the gate")
        self._fail(now_ns, f"more than {EVENTS_MAX} events in one instant")

    def _settle(self, now_ns: int) -> None:
        due = [island for island in self.islands if island.stop_ns <= now_ns]
        facts = [(fact, island) for island in due for fact in island.settle(now_ns)]
        if due:
            settled = set(due)
            for activity in self._activities:
                if not settled.isdisjoint(activity.islands):
                    activity.rerate(now_ns)
        for fact, island in facts:
            self._deliver(fact, island)
        questions, self._questions = self._questions, []
        for event, read in questions:
            event.succeed(None if read is None else read())

    def _guard(self, now_ns: int, stopped: Sequence[Island], is_done: bool) -> None:
        """Refuse a chain of stops that go nowhere: many, close together, with nothing between."""
        is_cause = is_done or (self._queue and self._queue[0][0] <= now_ns)
        is_close = 0 < now_ns - self.now_ns < CLOSE_NS and not is_cause
        self._close_stops = self._close_stops + 1 if is_close else 0
        if self._close_stops >= CLOSE_STOPS_MAX:
            self.reasons.extend(island.pressing() for island in stopped)
            self._fail(now_ns, f"{CLOSE_STOPS_MAX} stops in a row less than 1 ms apart")

    def _fail(self, now_ns: int, what: str) -> NoReturn:
        raise InvariantError(now_ns, "engine", -1, f"{what}; last: {', '.join(self.reasons)}")
