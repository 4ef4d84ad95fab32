"""Waits whose speed depends on physics: a job's progress, a transfer."""

from collections.abc import Callable, Sequence
from math import ceil, inf

from dcsim.contract import NEVER_NS, Fact
from dcsim.engine.inbox import Inbox
from dcsim.engine.island import Island
from dcsim.errors import InvariantError


class Activity:
    """A piece of work, in nominal nanoseconds, done at a rate that islands publish.

    Progress is anchored at the last change of rate; the due time is stored, so completion is a
    matter of the clock and never of `work left == 0`.
    """

    __slots__ = (
        "_anchor_done_ns",
        "_anchor_ns",
        "cancelled",
        "due_ns",
        "inbox",
        "islands",
        "rate",
        "rate_of",
        "tag",
        "work_ns",
    )

    def __init__(
        self,
        work_ns: float,
        inbox: Inbox,
        tag: Fact,
        rate_of: Callable[[], float],
        islands: Sequence[Island],
        now_ns: int,
    ) -> None:
        if not 0.0 <= work_ns < inf:
            raise InvariantError(now_ns, tag.table, tag.row, f"work of {work_ns} ns")
        self.work_ns = float(work_ns)
        self.inbox = inbox
        self.tag = tag
        self.rate_of = rate_of
        self.islands = tuple(islands)
        self.rate = 0.0
        self.cancelled = False
        self._anchor_ns = now_ns
        self._anchor_done_ns = 0.0
        self.due_ns = NEVER_NS

    def done_ns(self, now_ns: int) -> float:
        """Return the nominal nanoseconds done by *now_ns*, never more than the work."""
        done = self._anchor_done_ns + self.rate * (now_ns - self._anchor_ns)
        return min(done, self.work_ns)

    def rerate(self, now_ns: int) -> None:
        """Take the rate of now; the due time moves only if the rate changed bitwise.

        Raises InvariantError for a rate that is negative, infinite or not a number.
        """
        rate = float(self.rate_of())
        if rate == self.rate:
            return
        if not 0.0 <= rate < inf:
            raise InvariantError(now_ns, self.tag.table, self.tag.row, f"rate of {rate}")
        self._anchor_done_ns = self.done_ns(now_ns)
        self._anchor_ns = now_ns
        self.rate = rate
        left_ns = self.work_ns - self._anchor_done_ns
        reachable = rate > 0.0 and left_ns / rate < NEVER_NS - now_ns
        self.due_ns = now_ns + max(1, ceil(left_ns / rate)) if reachable else NEVER_NS
