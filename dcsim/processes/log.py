"""The log of events: what happened, to what, and because of which earlier event."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from dcsim.trace.schema import EVENT_KIND_ID_OF, THING_KIND_ID_OF
from dcsim.world import Site

NO_CAUSE = -1

Write = Callable[[str, Mapping[str, Any]], None]


class EventLog:
    """Numbers events and writes each to the trace; *write* takes a table's name and a row."""

    def __init__(self, write: Write, now_ns: Callable[[], int]) -> None:
        self._write = write
        self._now_ns = now_ns
        self._count = 0

    def add(
        self,
        kind: str,
        site: Site | None = None,
        thing: str = "",
        row: int = -1,
        *,
        because: int = NO_CAUSE,
        job: int = -1,
        value: float = 0.0,
        **detail: Any,
    ) -> int:
        """Write one event that *because* (an earlier event) led to; return its number."""
        event = self._count
        self._count += 1
        self._write(
            "events",
            {
                "event_id": event,
                "t_ns": self._now_ns(),
                "cause_id": because,
                "event_kind_id": EVENT_KIND_ID_OF[kind],
                "site_id": -1 if site is None else site.index,
                "thing_kind_id": THING_KIND_ID_OF[thing] if thing else -1,
                "row": row,
                "job_id": job,
                "value": value,
                "detail": json.dumps(detail, sort_keys=True) if detail else "",
            },
        )
        return event
