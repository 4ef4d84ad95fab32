"""What a reader must know of a run that its numbers do not say."""

import json
from typing import Any, NamedTuple

import numpy as np

from dcsim.accounting.segments import Array
from dcsim.trace import Run

PLANT = ("pdu", "ups", "feed", "cdu", "crah")


class Alarm(NamedTuple):
    """What happened, to the first thing that it happened to, when, and how often in all."""

    what: str
    first_ns: int
    times_count: int


def read_warnings(run: Run) -> list[Alarm]:
    """Plant that protected itself, and states that left their valid range, a kind each."""
    events = run.columns("events")
    is_plant = _is_one_of(run, "thing_kind", events, PLANT)
    down = _is_one_of(run, "event_kind", events, ("down",)) & is_plant
    outside = _is_one_of(run, "event_kind", events, ("out_of_range",))
    found: dict[tuple[str, str], Alarm] = {}
    for row in np.flatnonzero(down | outside).tolist():
        event = {name: events[name][row] for name in events}
        detail = json.loads(event["detail"] or "{}")
        key = str(event["thing_kind_id"]), detail.get("state", "")
        first = found.get(key) or Alarm(_what(run, event, detail), int(event["t_ns"]), 0)
        found[key] = first._replace(times_count=first.times_count + 1)
    return list(found.values())


def _is_one_of(run: Run, dimension: str, events: dict[str, Array], names: tuple[str, ...]) -> Array:
    """Whether each event is of a kind, or happened to a kind of thing, of these names."""
    table, column = run.columns(f"dim_{dimension}"), f"{dimension}_id"
    return np.isin(events[column], table[column][np.isin(table["name"], names)])


def _what(run: Run, event: dict[str, Any], detail: dict[str, Any]) -> str:
    sites, things = run.columns("dim_site"), run.columns("dim_thing_kind")
    name = str(sites["name"][sites["site_id"] == event["site_id"]][0])
    if event["row"] >= 0:
        kind = things["name"][things["thing_kind_id"] == event["thing_kind_id"]][0]
        name = f"{name}/{kind}/{event['row']}"
    if "state" not in detail:
        return f"{name} went down: {detail.get('reason', 'overload')}"
    span = f"{detail['low']:g}..{detail['high']:g}"
    return f"{name} {detail['state']} {event['value']:.1f} degC, valid {span}"
