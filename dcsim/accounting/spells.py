"""When a fault or heat slowed GPUs or the network down, and which event began it."""

from typing import NamedTuple

import numpy as np

from dcsim.accounting.causes import Events
from dcsim.accounting.segments import Array, Segments

FABRIC = ("leaf", "spine", "link")
_NEVER_NS = int(np.iinfo(np.int64).max)


class Spell(NamedTuple):
    """A time at one site, and the row of the event at the root of it."""

    root: int
    site_id: int
    from_ns: int
    until_ns: int


def network_spells(events: Events) -> list[Spell]:
    """Times in which a fault, or a leaf that broke, left less of the network."""
    broke = (events.kind == "fail") & (events.thing == "leaf")
    broke[events.parent[events.of_kind("masked")]] = False
    return _spells(events, broke | (events.kind == "fault") & np.isin(events.thing, FABRIC))


def fault_spells(events: Events) -> list[Spell]:
    """Times of the scripted faults of all but the network."""
    return _spells(events, (events.kind == "fault") & ~np.isin(events.thing, FABRIC))


def heat_spells(events: Events) -> list[Spell]:
    """Times in which GPUs under a cooling unit throttled; those of one root are one spell."""
    since: dict[tuple[int, str, int], Spell] = {}
    over: list[Spell] = []
    for row in events.of_kind("throttled", "throttle_ended").tolist():
        site_id, t_ns = int(events.site_id[row]), int(events.t_ns[row])
        unit = site_id, str(events.thing[row]), int(events.row[row])
        if unit in since:
            over.append(since.pop(unit)._replace(until_ns=t_ns))
        if events.kind[row] == "throttled":
            since[unit] = Spell(int(events.root[row]), site_id, t_ns, _NEVER_NS)
    whole: dict[tuple[int, int], Spell] = {}
    for spell in (*over, *since.values()):
        known = whole.get(spell[:2], spell)
        from_ns, until_ns = min(known.from_ns, spell.from_ns), max(known.until_ns, spell.until_ns)
        whole[spell[:2]] = Spell(*spell[:2], from_ns, until_ns)
    return list(whole.values())


def behind(spells: list[Spell], segments: Segments, site_id: Array) -> Array:
    """Root of the spell that covers most of each segment at its site, -1 for none.

    Args:
        site_id: of each segment, shape (n,).
    """
    root = np.full(site_id.size, -1)
    most_ns = np.zeros(site_id.size, np.int64)
    first_begin = np.minimum.accumulate(segments.t_start_ns[::-1])[::-1]  # of all that end later
    for spell in spells:
        low = np.searchsorted(segments.t_ns, spell.from_ns, side="right")
        high = np.searchsorted(first_begin, spell.until_ns, side="left")
        part = slice(int(low), int(high))
        begin_ns = np.maximum(segments.t_start_ns[part], spell.from_ns)
        shared_ns = np.minimum(segments.t_ns[part], spell.until_ns) - begin_ns
        better = (site_id[part] == spell.site_id) & (shared_ns > most_ns[part])
        root[part][better] = spell.root
        most_ns[part][better] = shared_ns[better]
    return root


def _spells(events: Events, which: Array) -> list[Spell]:
    """From each of these events until its `fault_ended`, or for good."""
    ended = events.of_kind("fault_ended")
    until_ns = dict(zip(events.parent[ended].tolist(), events.t_ns[ended].tolist(), strict=True))
    rows = np.flatnonzero(which)
    columns = (rows, events.site_id[rows], events.t_ns[rows])
    return [
        Spell(row, site_id, from_ns, until_ns.get(row, _NEVER_NS))
        for row, site_id, from_ns in zip(*(c.tolist() for c in columns), strict=True)
    ]
