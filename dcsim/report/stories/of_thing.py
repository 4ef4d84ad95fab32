"""The story of a GPU, node, rack or thing of the plant."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from dcsim.accounting.causes import Events
from dcsim.accounting.chains import ENDS
from dcsim.accounting.holders import Thing
from dcsim.report.stories.phrases import instant, lasted, plural
from dcsim.report.stories.stops import Stops
from dcsim.report.stories.telling import Chapter, Story, Table, Telling, tell
from dcsim.report.stories.warmth import warmth

CHAPTERS_MAX = 5
_BEGUN = ("fault", *ENDS)
_OVER = ("fault_ended", *ENDS.values())
_ENDLESS = ("degraded", "shutdown", "on_battery", "depleted")
"""States whose end is not recorded."""


def story_of_thing(told: Telling, thing: Thing) -> Story:
    """All that happened to a thing, chain by chain, and the state that it was in at the end."""
    own = _own(told, thing)
    events, chains = told.chains.events, told.chains
    again = {chains.over(row) for row in own if events.kind[row] in ENDS}
    chapters = _by_root(told, [row for row in own if row not in again])
    shown = chapters[-CHAPTERS_MAX:]
    stops = Stops(told.run, told.until_ns)
    return Story(
        thing=thing.name,
        run=str(told.run.folder),
        at_ns=told.until_ns,
        headline=f"{thing.name} {_state(told, thing, own)}.",
        facts=_facts(told, thing, own, len(chapters), len(shown)),
        by_cause=_by_cause(told, chapters) if len(chapters) > len(shown) else Table((), []),
        chapters=[Chapter("", tell(told, about, stops.steps)) for about in shown],
    )


def _own(told: Telling, thing: Thing) -> list[int]:
    """Rows of the events of a thing, and of what it is in or contains, up to the instant."""
    events = told.chains.events
    mine = np.zeros(events.row.size, np.bool_)
    for kind, rows in told.holders.family(thing).items():
        mine |= (events.thing == kind) & (events.row >= rows.start) & (events.row < rows.stop)
    mine &= events.site_id == thing.site_id
    here = (events.row < 0) & (events.thing == thing.kind) & (events.site_id == thing.site_id)
    for row in np.flatnonzero(here).tolist():
        hit = events.says(row).get("hit")
        mine[row] = hit is not None and told.holders.is_hit(str(hit), thing)
    for row in events.of_kind("node_replaced").tolist():
        mine[row] |= events.says(row).get("left") == thing.name
    ends = events.of_kind("fault_ended")
    mine[ends] = mine[events.parent[ends]]
    return [int(row) for row in np.flatnonzero(mine & (events.t_ns <= told.until_ns))]


def _by_root(told: Telling, rows: Sequence[int]) -> list[list[int]]:
    """Rows parted by their first cause."""
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(int(told.chains.events.root[row]), []).append(row)
    return list(found.values())


def _state(told: Telling, thing: Thing, own: Sequence[int]) -> str:
    """What it is, and since when: what began with it or its node and is not over, or works."""
    events, chains = told.chains.events, told.chains
    kinds = (thing.kind, "node") if thing.kind == "gpu" else (thing.kind,)
    states = [
        row
        for row in own
        if events.thing[row] in kinds and events.kind[row] in (*_BEGUN, *_OVER, *_ENDLESS)
    ]
    when = f"at {instant(told.until_ns)}"
    if not states:
        if own:
            return f"{when}: no change of its own state is recorded"
        return f"{when}: nothing happened to it{' or to its node' * (thing.kind == 'gpu')}"
    ends = {row: chains.over(row) for row in states if events.kind[row] in _BEGUN}
    lasting = [row for row, end in ends.items() if end is None or end not in own]
    row = max(lasting, key=partial(_weight, events), default=states[-1])
    ago = lasted(told.until_ns - int(events.t_ns[row]))
    if events.kind[row] in _OVER:
        return f"works {when}, for {ago}"
    named = "" if events.thing[row] == thing.kind else f"its node {told.phrases.name(row)} "
    said = f"{named}{told.phrases.said(row)}"
    if events.kind[row] in _ENDLESS:
        return f"{when}: last recorded is {said!r}, {ago} before"
    return f"{when}: {said}, for {ago}"


def _weight(events: Events, row: int) -> tuple[bool, float, int]:
    """What decides between states at once: the worst, of equal ones the latest."""
    return events.kind[row] != "throttled", -float(events.value[row]), row


def _facts(
    told: Telling, thing: Thing, own: Sequence[int], chapters_count: int, shown_count: int
) -> list[str]:
    """Where it stands, how warm it was, and what of its story is left out."""
    facts = []
    rack = told.holders.rack_of(thing)
    if rack is not None:
        holder = "" if thing.kind == "rack" else f"in {rack['name']}, "
        on = f"cooled by {rack['cooling_unit']}, powered by {rack['pdu']} on {rack['ups']}"
        facts += [f"It is {holder}{on}.", *warmth(told, thing, rack)]
    elif not own and told.holders.count(thing) is None:
        things = plural(thing.kind)
        facts.append(f"No event names it; the trace does not say how many {things} there are.")
    if chapters_count > shown_count:
        facts.append(f"{chapters_count:,} times something happened; the last {shown_count} follow.")
    return facts


def _by_cause(told: Telling, chapters: Sequence[Sequence[int]]) -> Table:
    """How often each first cause was behind what happened to it."""
    events = told.chains.events
    roots = [int(events.root[about[0]]) for about in chapters]
    counts = Counter((events.cause(root), str(events.thing[root])) for root in roots)
    rows: list[tuple[str, ...]] = [
        (cause, of, f"{count:,}") for (cause, of), count in counts.most_common()
    ]
    return Table(("first cause", "of a", "times"), rows)
