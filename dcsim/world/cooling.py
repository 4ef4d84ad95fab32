"""Cooling units, the facility loop and heat rejection of a site, sized and checked."""

from collections.abc import Mapping
from math import ceil, log
from typing import NamedTuple

import numpy as np

from dcsim.catalog import Sheet
from dcsim.scenario import Site as SiteAsked
from dcsim.world.machines import groups
from dcsim.world.site import Film, Wiring
from dcsim.world.tables import LoopTable, PlantTable, RackTable, UnitTable, UpsTable, WeatherTable

LOOP_PUMP_FRAC = 0.015
"""Electricity of the facility pumps over the heat they move: a judgement, 1 to 3% is common."""
DRY_APPROACH_K = 6.0
"""Supply above outside air at which dry coolers alone are sized to carry the load: a judgement."""
WATER_KG_PER_M3 = 997.0


class Cooling(NamedTuple):
    """The cooling tables of a site, and its sizes."""

    unit: UnitTable
    pump: PlantTable
    cooler: PlantTable
    chiller: PlantTable
    loop: LoopTable
    weather: WeatherTable
    film: Film
    unit_load_frac: float
    cooler_size_frac: float
    chiller_size_frac: float
    design_w: float
    loop_kg: float
    loop_pump_w: float


def build_cooling(
    ask: SiteAsked, sheets: Mapping[str, Sheet], rack: RackTable, heat_w: float, unit_w: float
) -> Cooling:
    """Return the plant for a design load of *heat_w*, *unit_w* on a full unit, at rest."""
    cooling = ask.cooling
    units = groups(len(rack.pdu), cooling.racks_per_unit)
    first_rack = np.minimum(np.arange(units + 1) * cooling.racks_per_unit, len(rack.pdu))
    zeros = {name: np.zeros(units) for name in UnitTable._fields}
    unit = UnitTable(
        **{
            **zeros,
            "first_rack": first_rack,
            "part_k_per_s": np.zeros((units, 3)),
            "part_per_s": np.zeros((units, 3)),
            "gpu_j_per_k": np.diff(rack.first_node[first_rack]) * _node_j_per_k(sheets),
            "capacity_frac": np.ones(units),
            "stopped": np.zeros(units, np.bool_),
            "flow_frac": np.ones(units),
            "supply_c": np.full(units, cooling.supply_c + sheets["cooling_unit"]["approach_k"]),
        }
    )
    loop = LoopTable(*np.zeros((len(LoopTable._fields), 1)))._replace(plant_j=np.zeros(3))
    loop.supply_c[0] = cooling.supply_c
    loop.flow_frac[0] = 1.0
    unit_load_frac = min(1.0, unit_w / sheets["cooling_unit"]["rated_w"])
    coolers = dry_coolers(ask, sheets, units * unit_load_frac, heat_w)
    chilled = chillers(ask, sheets, heat_w)
    return Cooling(
        unit=unit,
        pump=PlantTable(np.ones(cooling.pumps)),
        cooler=PlantTable(np.ones(ceil(coolers))),
        chiller=PlantTable(np.ones(ceil(chilled))),
        loop=loop,
        weather=WeatherTable(*np.zeros((len(WeatherTable._fields), 1))),
        film=film_of(sheets["node"]),
        unit_load_frac=unit_load_frac,
        cooler_size_frac=coolers / max(ceil(coolers), 1),
        chiller_size_frac=chilled / max(ceil(chilled), 1),
        design_w=heat_w,
        loop_kg=cooling.loop_m3_per_w * heat_w * WATER_KG_PER_M3,
        loop_pump_w=LOOP_PUMP_FRAC * heat_w,
    )


def _node_j_per_k(sheets: Mapping[str, Sheet]) -> float:
    gpu = sheets["gpu"]
    return sheets["node"]["gpus_count"] * (gpu["package_j_per_k"] + gpu["plate_j_per_k"])


def loop_w_per_k(unit: Sheet, units_full: float) -> float:
    """Return the capacity flow of the loop [W/K] for so many fully loaded cooling units."""
    return units_full * unit["facility_kg_per_s"] * unit["facility_cp_j_per_kg_k"]


def cooler_ua_w_per_k(dry: Sheet) -> float:
    """Return the conductance from water to air of a dry cooler at its design point [W/K]."""
    range_k = dry["design_water_in_c"] - dry["design_water_out_c"]
    effectiveness = range_k / (dry["design_water_in_c"] - dry["design_dry_bulb_c"])
    return dry["rated_w"] / range_k * -log(1.0 - effectiveness)


def dry_coolers(
    ask: SiteAsked, sheets: Mapping[str, Sheet], units_full: float, heat_w: float
) -> float:
    """Return how many: as asked, or those that carry the load at `DRY_APPROACH_K` above the air.

    The part of one that this ends in is shared out: all are that much smaller than their sheet.
    """
    if ask.cooling.dry_coolers is not None:
        return ask.cooling.dry_coolers
    water = loop_w_per_k(sheets["cooling_unit"], units_full)
    ua = water * log(1.0 + heat_w / water / DRY_APPROACH_K)
    return ua / cooler_ua_w_per_k(sheets["dry_cooler"])


def chillers(ask: SiteAsked, sheets: Mapping[str, Sheet], heat_w: float) -> float:
    """Return how many: as asked, or those that carry the whole load, as on the hottest day.

    The part of one is shared out as that of a dry cooler is.
    """
    if ask.cooling.chillers is not None:
        return ask.cooling.chillers
    return heat_w / sheets["chiller"]["rated_w"]


def film_of(node: Sheet) -> Film:
    """Return the resistance from plate to coolant of a node's GPUs, at its nominal flow."""
    if node.text("cooling") == "air":
        return Film(node["r_air_k_per_w"], 0.0)
    film = node["r_film_k_per_w"] * node["film_flow_m3_per_s"] / node["flow_per_gpu_m3_per_s"]
    return Film(node["r_conduction_k_per_w"], film)


def wiring_of(ask: SiteAsked, unit: UnitTable, ups: UpsTable) -> Wiring:
    """Return what feeds the cooling: a unit hangs on the UPS of its first rack.

    Facility pumps are dealt in turn to the feeds that carry a UPS.
    """
    upses, pumps = len(ups.feed), ask.cooling.pumps
    feeds = np.unique(ups.feed)
    return Wiring(
        unit_ups=(unit.first_rack[:-1] // ask.power.racks_per_ups).astype(np.int32),
        pump_feed=np.resize(feeds, pumps),
        units_protected="cdu_pumps" in ask.power.protected_cooling,
        pumps_protected="facility_pumps" in ask.power.protected_cooling,
        plant_frac=np.full(ask.power.feeds, 1.0 / ask.power.feeds),
        pump_frac=np.full(upses, 1.0 / upses),
    )


def cooling_problems(
    ask: SiteAsked, sheets: Mapping[str, Sheet], rack_heat_w: float
) -> list[tuple[str, str]]:
    """Return what of the plant does not fit, as (key, reason)."""
    unit = sheets["cooling_unit"]
    problems = []
    if ask.cooling.dry_coolers == 0 and ask.cooling.chillers == 0:
        reason = "0 dry coolers and 0 chillers take no heat away: allowed some of either, or auto"
        problems.append(("chillers", reason))
    most = max(1, int(unit["rated_w"] / rack_heat_w))
    if ask.cooling.racks_per_unit > most:
        heat = f"{ask.cooling.racks_per_unit * rack_heat_w / 1e3:.0f} kW"
        reason = f"they may give off {heat} of the {unit['rated_w'] / 1e3:.0f} kW "
        reason += f"that one unit takes: allowed at most {most}"
        problems.append(("racks_per_unit", reason))
    return problems
