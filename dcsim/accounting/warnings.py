"""What a reader must know of a run that its numbers do not say."""

from typing import NamedTuple

import numpy as np

from dcsim.accounting.causes import Events, read_events
from dcsim.accounting.things import Names
from dcsim.trace import Run

PLANT = ("pdu", "ups", "feed", "cdu", "crah")


class Alarm(NamedTuple):
    """What happened, to the first thing that it happened to, when, and how often in all."""

    what: str
    first_ns: int
    times_count: int


def read_warnings(run: Run) -> list[Alarm]:
    """Plant that protected itself, and states that left their valid range, a kind each."""
    events, names = read_events(run), Names(run)
    down = (events.kind == "down") & np.isin(events.thing, PLANT)
    found: dict[tuple[str, str], Alarm] = {}
    for row in np.flatnonzero(down | (events.kind == "out_of_range")).tolist():
        key = str(events.thing[row]), events.says(row).get("state", "")
        first = found.get(key) or Alarm(_what(events, names, row), int(events.t_ns[row]), 0)
        found[key] = first._replace(times_count=first.times_count + 1)
    return list(found.values())


def _what(events: Events, names: Names, row: int) -> str:
    name, detail = names.of(row), events.says(row)
    if "state" not in detail:
        return f"{name} went down: {detail.get('reason', 'overload')}"
    span = f"{detail['low']:g}..{detail['high']:g}"
    return f"{name} {detail['state']} {events.value[row]:.1f} degC, valid {span}"
