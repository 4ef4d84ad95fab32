"""PDUs, UPSs and feeds of a site, sized and checked."""

from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

import numpy as np

from dcsim.catalog import Sheet
from dcsim.scenario import Site as SiteAsked
from dcsim.units import show
from dcsim.world.machines import groups
from dcsim.world.tables import FeedTable, MeterTable, PduTable, UpsTable

FAR_NS = 2**62


class PowerPath(NamedTuple):
    """The electrical tables of a site, and its sizes."""

    pdu: PduTable
    ups: UpsTable
    feed: FeedTable
    meter: MeterTable
    battery_j: float
    feed_rated_w: float


def build_power(ask: SiteAsked, sheets: Mapping[str, Sheet], racks: int) -> PowerPath:
    """Return the electrical path of *racks* racks, energised and with full batteries."""
    power = ask.power
    pdus, upses = groups(racks, power.racks_per_pdu), groups(racks, power.racks_per_ups)
    battery_s = power.battery_s if power.battery_s is not None else sheets["ups"]["battery_s"]
    battery_j = battery_s * sheets["ups"]["rated_w"]
    feed_rated_w = power.feed_capacity_w or sheets["feed"]["rated_w"]
    ups_of_pdu = np.arange(pdus) * power.racks_per_pdu // power.racks_per_ups
    feed_of_ups = np.arange(upses) * power.feeds // upses
    return PowerPath(
        pdu=PduTable(
            ups=ups_of_pdu.astype(np.int32),
            capacity_frac=np.ones(pdus),
            tripped=np.zeros(pdus, np.bool_),
            power_w=np.zeros(pdus),
            loss_w=np.zeros(pdus),
        ),
        ups=UpsTable(
            feed=feed_of_ups.astype(np.int32),
            capacity_frac=np.ones(upses),
            tripped=np.zeros(upses, np.bool_),
            on_battery=np.zeros(upses, np.bool_),
            depleted=np.zeros(upses, np.bool_),
            charging=np.zeros(upses, np.bool_),
            charge_j=np.full(upses, battery_j),
            due_ns=np.full(upses, FAR_NS),
            output_w=np.zeros(upses),
            loss_w=np.zeros(upses),
            battery_w=np.zeros(upses),
            input_w=np.zeros(upses),
        ),
        feed=FeedTable(
            capacity_frac=np.ones(power.feeds),
            tripped=np.zeros(power.feeds, np.bool_),
            power_w=np.zeros(power.feeds),
            loss_w=np.zeros(power.feeds),
        ),
        meter=MeterTable(*np.zeros((len(MeterTable._fields), 1)))._replace(
            it_part_j=np.zeros(3),
            cooling_part_j=np.zeros(5),
            loss_part_j=np.zeros(3),
            loss_part_w=np.zeros(3),
        ),
        battery_j=battery_j,
        feed_rated_w=feed_rated_w,
    )


def power_problems(
    ask: SiteAsked, sheets: Mapping[str, Sheet], rack_w: float, site_w: float
) -> list[tuple[str, str]]:
    """Return what of the path is too small for the design load, as (key, reason)."""
    power, problems = ask.power, []
    if power.racks_per_ups % power.racks_per_pdu:
        allowed = f"allowed a multiple of racks_per_pdu, {power.racks_per_pdu}"
        problems.append(("racks_per_ups", allowed))
    for kind, thing in (("pdu", "a PDU"), ("ups", "a UPS")):
        racks = getattr(power, f"racks_per_{kind}")
        most = int(sheets[kind]["rated_w"] / (rack_w * 1.06))
        if racks > most:
            load = f"they may draw {racks * rack_w / 1e3:.0f} kW of the "
            load += f"{sheets[kind]['rated_w'] / 1e3:.0f} kW that {thing} carries: "
            cure = f"allowed at most {most}" if most else "allowed fewer racks.nodes_per_rack"
            problems.append((f"racks_per_{kind}", load + cure))
    rated_w = power.feed_capacity_w or sheets["feed"]["rated_w"]
    if site_w > rated_w * power.feeds:
        reason = f"they carry {show(rated_w * power.feeds, 'W')}, the site may draw "
        reason += f"{show(site_w, 'W')}: allowed at least {ceil(site_w / rated_w)}"
        problems.append(("feeds", reason))
    return problems
