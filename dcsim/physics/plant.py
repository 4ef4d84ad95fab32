"""The cooling plant as one model: pumps, cooling units, the facility loop, heat rejection.

Units and loop exchange heat within a step: the units advance first, with the loop as a ramp, and
the loop then takes exactly the heat that they passed on. Heat that does not go into coolant (host,
switches, supplies of liquid-cooled nodes) is taken from the hall's air by coils on the same loop,
whose fans draw a share of it. Electricity of pumps and of those fans ends in the loop too.

Valid: as its parts, `cooling` and `rejection`. The hall's air has no temperature of its own where
nodes are liquid-cooled, which is a simplification.
Accuracy: energy in equals energy out and stored to 1e-6; supply temperatures to the hold tolerance.
Source: as its parts; the fans' 4% of the heat is the default of the LBNL Modelica Buildings
library.
"""

from math import sqrt
from typing import Any

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.physics.cooling import UnitLaw, advance_units, evaluate_units, ntu_of
from dcsim.physics.rejection import LoopLaw, advance_loop, evaluate_loop
from dcsim.world.site import Site

TOLERANCE_K = 0.25
HALL_FAN_FRAC = 0.04


class PlantModel:
    """From the coolant of the nodes to the air outside.

    Own states: `unit.supply_c`, `loop.supply_c`.

    *tolerance_k* is how far a published slope may lead the supply temperature astray.
    """

    reads = ("unit.flow", "unit.heat_w", "rack.power_w")
    writes = ("unit.pump_w", "loop.plant_w")

    def __init__(self, site: Site, tolerance_k: float = TOLERANCE_K) -> None:
        self.unit_law = unit_law(site)
        self.loop_law = loop_law(site)
        self._site = site
        self._tolerance = sqrt(tolerance_k)
        self._liquid = site.sheets["node"].text("cooling") != "air"
        self._hall_w = 0.0

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        """Write flows of heat, slopes of temperature, electricity."""
        site = self._site
        units, loop = site.unit, site.loop
        if self._liquid:
            self._hall_w = (site.rack.power_w.sum() - site.rack.gpu_w.sum()) * (1.0 + HALL_FAN_FRAC)
        else:
            units.around_w[:] = self._around_w()
        flow, supply = loop.flow[0], loop.supply_c[0]
        units_s = evaluate_units(units, self.unit_law, flow, supply, loop.supply_k_per_s[0])
        heat_w = units.rejected_w.sum() + self._extra_w()
        air_c = site.weather.dry_bulb_c[0]
        loop_s = evaluate_loop(loop, self.loop_law, heat_w, air_c)
        loop.plant_w[0] += self._hall_w * HALL_FAN_FRAC / (1.0 + HALL_FAN_FRAC)
        return Holds(NEVER_NS, self._tolerance * min(units_s, loop_s))

    def switch(self, _world: Any, _now_ns: int) -> list[Fact]:
        """Nothing flips here: controllers are continuous."""
        return []

    def advance(self, _world: Any, dt_s: float) -> None:
        """Advance the units, then the loop with what they passed on."""
        site = self._site
        loop = site.loop
        heat_j = site.unit.step_j
        if not self._liquid:
            heat_j = heat_j + site.unit.around_w * dt_s
        passed_j = advance_units(
            site.unit,
            self.unit_law,
            heat_j,
            loop.flow[0],
            loop.supply_c[0],
            loop.supply_k_per_s[0],
            dt_s,
        )
        advance_loop(
            loop,
            self.loop_law,
            passed_j + self._extra_w() * dt_s,
            site.weather.dry_bulb_c[0],
            dt_s,
        )

    def modes(self, _world: Any) -> dict[str, Any]:
        """No modes of its own."""
        return {}

    def _around_w(self) -> Any:
        """Power of nodes beside their GPUs, by unit."""
        racks = self._site.rack
        return np.add.reduceat(racks.power_w - racks.gpu_w, self._site.unit.first_rack[:-1])

    def _extra_w(self) -> float:
        """Heat into the loop beside that of the units: the hall's air, and the pumps."""
        pumps_w = self._site.unit.pump_w.sum() + self.loop_law.pump_w * self._site.loop.flow[0]
        return float(self._hall_w + pumps_w)


def unit_law(site: Site) -> UnitLaw:
    """Read the constants of the site's cooling units from their sheet.

    Flows, and the electricity of pumps, are those of the share of its rating that a unit serves.
    """
    sheet = site.sheets["cooling_unit"]
    coolant = sheet["coolant_kg_per_s"] * sheet["coolant_cp_j_per_kg_k"]
    facility = sheet["facility_kg_per_s"] * sheet["facility_cp_j_per_kg_k"]
    low, high = min(coolant, facility), max(coolant, facility)
    ua = ntu_of(sheet["effectiveness_frac"], low / high) * low
    served = site.unit_share
    return UnitLaw(
        coolant_w_per_k=coolant * served,
        facility_w_per_k=facility * served,
        ua_w_per_k=ua * served,
        coolant_j_per_k=sheet["coolant_j_per_k"],
        plate_lag_s=site.sheets["gpu"]["plate_j_per_k"] * float(site.plate_k_per_w(np.ones(1))[0]),
        pump_w=sheet["pump_w"] * served,
    )


def loop_law(site: Site) -> LoopLaw:
    """Read the constants of the site's facility loop and heat rejection from their sheets."""
    unit, dry, chiller = (site.sheets[kind] for kind in ("cooling_unit", "dry_cooler", "chiller"))
    cp = unit["facility_cp_j_per_kg_k"]
    water_kg_per_s = unit["facility_kg_per_s"] * len(site.unit.supply_c) * site.unit_share
    warm_k = dry["design_water_in_c"] - dry["design_dry_bulb_c"]
    coolers = len(site.cooler.capacity_frac)
    return LoopLaw(
        setpoint_c=site.ask.cooling.supply_c,
        water_j_per_k=site.loop_kg * cp,
        water_w_per_k=water_kg_per_s * cp,
        dry_w_per_k=dry["rated_w"] / warm_k,
        coolers_count=coolers,
        water_per_cooler_x=water_kg_per_s / max(coolers, 1) / dry["water_kg_per_s"],
        water_exponent=dry["water_exponent_frac"],
        air_exponent=dry["air_exponent_frac"],
        fan_w=dry["fan_w"],
        fan_min_frac=dry["fan_min_frac"],
        chiller_w=chiller["rated_w"] * len(site.chiller.capacity_frac),
        chiller_fixed=chiller["fixed_power_frac"],
        chiller_per_k=chiller["lift_power_frac"] / chiller["lift_reference_k"],
        chiller_lift_min_k=chiller["lift_min_k"],
        condenser_k=chiller["condenser_k"],
        evaporator_k=chiller["evaporator_k"],
        chiller_fan=chiller["fan_power_frac"],
        pump_w=site.loop_pump_w,
    )
