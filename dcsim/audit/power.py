"""Power headroom on the design day: PDUs, UPSs and feeds, and the feeds with one of them lost."""

from collections.abc import Iterator

import numpy as np

from dcsim.audit.finding import WARNING, Finding, severity_of
from dcsim.audit.rest import Rest
from dcsim.contract import Fact
from dcsim.units import show
from dcsim.world import Site, name_of
from dcsim.world.machines import node_design_w
from dcsim.world.tables import F64

NEAR_FRAC, FULL_FRAC = 0.95, 1.0
"""Load over rating from which a note and a warning are due; the first is a judgement."""


def findings(rest: Rest) -> Iterator[Finding]:
    """Yield how near the supplies of a site at rest are to their ratings."""
    tripped = [fact for fact in rest.facts if fact.kind == "tripped"]
    if tripped:
        yield _overloaded(rest.site, tripped)
        return
    yield _loads(rest.site)
    if len(rest.site.feed.power_w) > 1:
        yield _one_feed_less(rest.site)


def _overloaded(site: Site, tripped: list[Fact]) -> Finding:
    named = sorted({name_of(site, fact.table, fact.row) for fact in tripped})
    text = f"breakers open on overload with the jobs of {site.name} running: {named[0]}"
    text += f" and {len(named) - 1:,} more" if len(named) > 1 else ""
    path = f"sites.{site.name}.power.feeds"
    return Finding(WARNING, "power", path, text, {"tripped_count": float(len(named))})


def _loads(site: Site) -> Finding:
    """Compare loads at rest, and racks with all nodes at their design power, with ratings."""
    rack_w = float(np.diff(site.rack.first_node).max()) * node_design_w(site.ask, site.sheets)
    rated = {"pdu": site.sheets["pdu"]["rated_w"], "ups": site.sheets["ups"]["rated_w"]}
    worst = {
        "pdu": float(site.pdu.power_w.max()) / rated["pdu"],
        "ups": float(site.ups.output_w.max()) / rated["ups"],
        "feed": float(site.feed.power_w.max()) / site.feed_rated_w,
    }
    design = {
        kind: rack_w * min(getattr(site.ask.power, f"racks_per_{kind}"), site.counts["rack"]) / most
        for kind, most in rated.items()
    }
    kind = max(worst, key=lambda each: worst[each])
    text = f"{site.name} draws {show(float(site.meter.site_w[0]), 'W')} on its hottest day; the "
    text += f"fullest PDU carries {worst['pdu']:.0%} of its rating ({design['pdu']:.0%} with "
    text += f"every GPU at its cap), UPS {worst['ups']:.0%} ({design['ups']:.0%}), feed "
    text += f"{worst['feed']:.0%}"
    key = "feeds" if kind == "feed" else f"racks_per_{kind}"
    numbers = {f"{name}_load_frac": value for name, value in worst.items()}
    numbers |= {f"{name}_design_frac": value for name, value in design.items()}
    severity = severity_of(worst[kind], NEAR_FRAC, FULL_FRAC)
    return Finding(severity, "power", f"sites.{site.name}.power.{key}", text, numbers)


def _one_feed_less(site: Site) -> Finding:
    """Do the other feeds carry the cooling that one of them fed?"""
    load = one_feed_less_w(site) / site.feed_rated_w
    worst = float(load.max())
    text = f"with a feed of {site.name} lost, the others take its cooling and come to {worst:.0%}"
    text += " of their rating" if worst <= FULL_FRAC else " of their rating: they open too"
    severity = severity_of(worst, NEAR_FRAC, FULL_FRAC)
    path = f"sites.{site.name}.power.feeds"
    return Finding(severity, "feeds", path, text, {"feed_load_frac": worst})


def one_feed_less_w(site: Site) -> F64:
    """Return what each feed carries when another is lost [W], shape (feeds,).

    Dry coolers and chillers go on with the feeds that are left, at first with all the heat.
    """
    feeds = len(site.feed.power_w)
    each_w = float(site.loop.plant_w[0]) / feeds
    return np.asarray(site.feed.power_w + each_w / (feeds - 1))
