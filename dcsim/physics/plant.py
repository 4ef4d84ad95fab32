"""The cooling plant as one model: pumps, cooling units, the facility loop, heat rejection.

Units and loop exchange heat within a step: the units advance first, with a loop whose slope dies
away at its own rate, and the loop then takes exactly the heat that they passed on. Heat that does
not go into coolant (host, switches, supplies of liquid-cooled nodes) is taken from the hall's air
by coils on the same loop, whose fans draw a share of it as far as their feeds live. Electricity of
pumps and of those fans ends in the loop too.

Valid: as its parts, `cooling` and `rejection`. The hall's air has no temperature of its own where
nodes are liquid-cooled, and reaches the coils without fans too, which is a simplification.
Accuracy: energy in equals energy out and stored to 1e-6; supply temperatures to the hold tolerance
of 0.1 K. Measured against steps of 1 ms: 0.08 K after a loss of flow, 0.2 K after a jump of the air
over a very small loop.
Source: as its parts; the fans' 4% of the heat is the default of the LBNL Modelica Buildings
library.
"""

from math import sqrt
from typing import Any

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.kernel import kernel
from dcsim.physics.cooling import SLOW, UnitLaw, advance_units, evaluate_units, ntu_of
from dcsim.physics.rejection import LoopLaw, advance_loop, evaluate_loop
from dcsim.world.cooling import cooler_ua_w_per_k, loop_w_per_k
from dcsim.world.site import Site
from dcsim.world.tables import LoopTable, UnitTable, WeatherTable

TOLERANCE_K = 0.1
"""Hold tolerance of supply temperatures [K], see Accuracy above."""
HALL_FAN_FRAC = 0.04
"""Electricity of the hall's fans over the heat they move, see Source above."""


@kernel
def evaluate_plant(
    units: UnitTable, loop: LoopTable, air: WeatherTable, unit_law: UnitLaw, loop_law: LoopLaw
) -> float:
    """Write every rate of the plant; return the longest hold for an error of 1 K [s]."""
    hall_w = units.around_w.sum() if unit_law.liquid else 0.0
    units_s = evaluate_units(units, unit_law, loop)
    pumps_w = units.pump_w.sum() + loop_law.pump_w * loop.flow_frac[0]
    fans_w = hall_w * HALL_FAN_FRAC * loop.fan_frac[0]
    loop.other_w[0] = hall_w + fans_w + pumps_w
    heat_w = units.rejected_w.sum() + loop.other_w[0]
    loop_s = evaluate_loop(loop, loop_law, heat_w, air.dry_bulb_c[0])
    loop.plant_w[0] += fans_w
    coming_w = units.gpu_w.sum() - units.heat_w.sum()
    if heat_w + max(coming_w, 0.0) > loop.most_w[0]:
        bend = abs(coming_w) * units.part_per_s[:, SLOW].max() / loop_law.water_j_per_k
        loop_s = min(loop_s, np.sqrt(2.0 / max(bend, 1e-12)))
    return min(units_s, loop_s)


@kernel
def advance_plant(
    units: UnitTable,
    loop: LoopTable,
    air: WeatherTable,
    unit_law: UnitLaw,
    loop_law: LoopLaw,
    dt_s: float,
) -> None:
    """Advance the units, then the loop with what they passed on."""
    passed_j = advance_units(units, unit_law, loop, dt_s)
    advance_loop(loop, loop_law, passed_j + loop.other_w[0] * dt_s, air.dry_bulb_c[0], dt_s)
    hall_w = units.around_w.sum() if unit_law.liquid else 0.0
    loop.plant_j[2] = hall_w * HALL_FAN_FRAC * loop.fan_frac[0] * dt_s


class PlantModel:
    """From the coolant of the nodes to the air outside.

    Own states: `unit.supply_c`, `loop.supply_c`.

    *tolerance_k* is how far a published slope may lead the supply temperature astray.
    """

    reads = ("unit.flow_frac", "unit.heat_w", "unit.around_w", "weather.dry_bulb_c")
    writes = ("unit.pump_w", "loop.plant_w")

    def __init__(self, site: Site, tolerance_k: float = TOLERANCE_K) -> None:
        self._laws = unit_law(site), loop_law(site)
        self._tables = site.unit, site.loop, site.weather
        self._tolerance = sqrt(tolerance_k)

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        """Write flows of heat, slopes of temperature, electricity."""
        return Holds(NEVER_NS, self._tolerance * evaluate_plant(*self._tables, *self._laws))

    def switch(self, _world: Any, _now_ns: int) -> list[Fact]:
        """Nothing flips here: controllers are continuous."""
        return []

    def advance(self, _world: Any, dt_s: float) -> None:
        """Advance the units, then the loop with what they passed on."""
        advance_plant(*self._tables, *self._laws, dt_s)

    def modes(self, _world: Any) -> dict[str, Any]:
        """No modes of its own."""
        return {}


def unit_law(site: Site) -> UnitLaw:
    """Read the constants of the site's cooling units from their sheet.

    Flows, what the loop holds, and the electricity of pumps are those of the share of its rating
    that a unit serves.
    """
    sheet = site.sheets["cooling_unit"]
    coolant = sheet["coolant_kg_per_s"] * sheet["coolant_cp_j_per_kg_k"]
    facility = sheet["facility_kg_per_s"] * sheet["facility_cp_j_per_kg_k"]
    low, high = min(coolant, facility), max(coolant, facility)
    ua = ntu_of(sheet["effectiveness_frac"], low / high) * low
    served = site.unit_load_frac
    return UnitLaw(
        coolant_w_per_k=coolant * served,
        facility_w_per_k=facility * served,
        ua_w_per_k=ua * served,
        coolant_j_per_k=sheet["coolant_j_per_k"] * served,
        pump_w=sheet["pump_w"] * served,
        liquid=site.sheets["node"].text("cooling") != "air",
    )


def loop_law(site: Site) -> LoopLaw:
    """Read the constants of the site's facility loop and heat rejection from their sheets."""
    unit, dry, chiller = (site.sheets[kind] for kind in ("cooling_unit", "dry_cooler", "chiller"))
    cp = unit["facility_cp_j_per_kg_k"]
    coolers, size = len(site.cooler.capacity_frac), site.cooler_size_frac
    return LoopLaw(
        setpoint_c=site.ask.cooling.supply_c,
        water_j_per_k=site.loop_kg * cp,
        water_w_per_k=loop_w_per_k(unit, len(site.unit.supply_c) * site.unit_load_frac),
        dry_ua_w_per_k=coolers * size * cooler_ua_w_per_k(dry),
        coolers_count=coolers,
        water_exponent=dry["water_exponent_frac"],
        air_exponent=dry["air_exponent_frac"],
        fan_w=dry["fan_w"] * size,
        fan_min_frac=dry["fan_min_frac"],
        chiller_w=chiller["rated_w"] * len(site.chiller.capacity_frac) * site.chiller_size_frac,
        design_w=site.design_w,
        chiller_fixed_frac=chiller["fixed_power_frac"],
        chiller_per_k=chiller["lift_power_frac"] / chiller["lift_reference_k"],
        chiller_lift_min_k=chiller["lift_min_k"],
        condenser_k=chiller["condenser_k"],
        evaporator_k=chiller["evaporator_k"],
        chiller_fan_frac=chiller["fan_power_frac"],
        pump_w=site.loop_pump_w,
    )
