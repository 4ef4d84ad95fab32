"""Names of things, `<site>/<kind>/<index>`, and the selectors that match several."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dcsim.scenario.fields import nearest
from dcsim.world.site import Site
from dcsim.world.tables import I64


class Match(NamedTuple):
    """Things of one kind at one site."""

    site: Site
    kind: str
    rows: I64


def name_of(site: Site, kind: str, row: int) -> str:
    """Return the name that a thing has everywhere."""
    return f"{site.name}/{kind}/{row}"


def matches(selector: str, sites: Mapping[str, Site]) -> list[Match]:
    """Return what *selector* matches: `dallas/cdu/3-5`, `*/node/*`, `dallas/rack/7/node/*`.

    An index counts within what stands before it: `rack/7/node/0` is the first node of rack 7.
    Raises ValueError with what is wrong when it matches nothing.
    """
    site_part, *rest = selector.split("/")
    steps = list(zip(rest[::2], rest[1::2], strict=True))
    chosen = [site for name, site in sites.items() if site_part in ("*", name)]
    if not chosen:
        hint = nearest(site_part, list(sites))
        raise ValueError(f"no such site, {hint}allowed {', '.join(sites)} or *")
    found = [match for site in chosen if (match := _walk(site, steps)) is not None]
    if not found:
        raise ValueError(_why_none(chosen[0], steps))
    return found


def _walk(site: Site, steps: list[tuple[str, str]]) -> Match | None:
    """Follow the steps of a selector down one site."""
    counts = site.counts
    rows: I64 | None = None
    above = ""
    for kind, index in steps:
        if kind not in counts:
            return None
        inside = np.arange(counts[kind]) if rows is None else _inside(site, above, rows, kind)
        if inside is None:
            return None
        rows = _pick(inside, index)
        above = kind
    return Match(site, above, rows) if rows is not None and len(rows) else None


def _inside(site: Site, above: str, rows: I64, kind: str) -> I64 | None:
    """Return the things of *kind* that stand in *rows* of the kind *above*, None if none can."""
    parents = {
        ("gpu", "node"): np.arange(site.counts["gpu"]) // site.gpus_per_node,
        ("node", "rack"): site.node.rack,
        ("rack", site.unit_kind): site.rack.unit,
        ("rack", "pdu"): site.rack.pdu,
        ("pdu", "ups"): site.pdu.ups,
        ("ups", "feed"): site.ups.feed,
    }
    if (kind, above) in parents:
        return np.flatnonzero(np.isin(np.asarray(parents[kind, above]), rows))
    for (child, parent), of_child in parents.items():
        if parent == above:
            found = _inside(site, child, np.flatnonzero(np.isin(np.asarray(of_child), rows)), kind)
            if found is not None:
                return found
    return None


def _pick(rows: I64, index: str) -> I64:
    """Return the rows that `3`, `3-5` or `*` chooses."""
    if index == "*":
        return rows
    first, _, last = index.partition("-")
    return rows[int(first) : int(last or first) + 1]


def _why_none(site: Site, steps: list[tuple[str, str]]) -> str:
    """Say at which step of a selector nothing was left of a site."""
    counts, holder = site.counts, site.name
    for depth, (kind, index) in enumerate(steps):
        if kind not in counts:
            return f"no such kind, {nearest(kind, list(counts))}allowed {', '.join(counts)}"
        if _walk(site, steps[: depth + 1]) is None:
            there = _walk(site, [*steps[:depth], (kind, "*")])
            break
        holder = f"{holder}/{kind}/{index}"
    if there is None:
        return f"matches nothing, {holder} has no {kind}"
    last = len(there.rows) - 1
    return f"matches nothing, {holder} has {kind}/" + (f"0-{last}" if last else "0")
