"""What each event led to, and what it is the end of; nothing but the recorded causes is used."""

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from dcsim.accounting.causes import Events
from dcsim.accounting.segments import Array

ENDS = {"down": "up", "throttled": "throttle_ended"}
"""The kind of event that ends what another kind began, for the same thing."""
_PLANNED = "planned"


class Alike(NamedTuple):
    """What events that are told as one have in common."""

    kind: str
    thing: str  # kind of thing, empty for none
    why: str  # reason, failure class or selector in its detail, empty for none
    job_id: int


class Chains:
    """The events of a run, followed from cause to effect. A row is a place in `Events`."""

    def __init__(self, events: Events) -> None:
        self.events = events

    def led_to(self, row: int) -> list[int]:
        """What an event is the direct cause of, in order."""
        order, begins = self._children
        return [int(child) for child in order[begins[row] : begins[row + 1]] if child != row]

    def below(self, rows: Iterable[int]) -> set[int]:
        """These events and all that they led to, directly or not."""
        found: set[int] = set()
        left = list(rows)
        while left:
            row = left.pop()
            if row not in found:
                found.add(row)
                left += self.led_to(row)
        return found

    def alike(self, row: int) -> Alike:
        """What has to be equal for events to be told as one."""
        events, detail = self.events, self.events.says(row)
        why = detail.get("reason", detail.get("cause", detail.get("hit", "")))
        if events.kind[row] == "job_interrupted" and events.value[row] != 1:
            why = _PLANNED
        return Alike(str(events.kind[row]), str(events.thing[row]), why, int(events.job_id[row]))

    def over(self, row: int) -> int | None:
        """The row at which a fault, or what began with *row*, is over; None if it never is."""
        kind = str(self.events.kind[row])
        if kind == "fault":
            ends = [end for end in self.led_to(row) if self.events.kind[end] == "fault_ended"]
        else:
            ends = self._ends.get((ENDS[kind], *self._key(row)), [])
        return next((end for end in ends if end > row), None)

    @cached_property
    def _children(self) -> tuple[Array, Array]:
        """Rows in the order of their parents, and where those of each parent begin."""
        parent = self.events.parent
        order = np.argsort(parent, kind="stable")
        return order, np.searchsorted(parent[order], np.arange(parent.size + 1))

    @cached_property
    def _ends(self) -> dict[tuple[str, int, str, int], list[int]]:
        found: dict[tuple[str, int, str, int], list[int]] = {}
        for row in self.events.of_kind(*ENDS.values()).tolist():
            found.setdefault((str(self.events.kind[row]), *self._key(row)), []).append(row)
        return found

    def _key(self, row: int) -> tuple[int, str, int]:
        events = self.events
        return int(events.site_id[row]), str(events.thing[row]), int(events.row[row])
