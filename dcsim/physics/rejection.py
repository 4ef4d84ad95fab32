"""Heat rejection: the facility loop, its dry coolers and its trim chillers.

One lump of water at the supply temperature T_f, warmed by all cooling units (and the air of the
hall), cooled by dry coolers in front and chillers behind them. A continuous controller asks for the
heat that takes T_f to its set point with the time constant tau:

    need = H + C_f (T_f - T_set)/tau
    dry  = min(need, K_dry (T_return - T_air)),  T_return = T_f + H/C_water
    chilled = min(need - dry, chillers),         C_f dT_f/dt = H - dry - chilled
    chillers = min(rated those that run, H_design min(1, 2 flow))

K_dry = C_water (1 - exp(-UA/C_water)), an exchanger to plenty of air. UA comes from the data
sheet's design point, where its two sides count alike; the water's goes with the flow through each
cooler as its power 0.85, circuits being laid out for the flow of the site. Heat follows the air
flow as its power 0.8, so fans turn at y = (dry/most)^(1/0.8), draw y^3, and never less than their
lowest speed. A chiller draws kW per kW as a straight line in its lift. However many there are, they
are held to the design load of the site, so that catching up after an outage asks no more of a feed
than the hottest day; and with little flow, to what cools that by twice its range. In a step the
loop keeps the regime that it starts in (controlled, saturated, idle), each a single exponential;
electricity of a step is that of the mean heat that it took away. The units foresee a loop whose
slope dies away; that of an idle one does not, so the rate given to them is an approximation there.

Valid: air -30 to 50 degC, supply 5 to 60 degC, chilled leaving at 12 degC or above (the
line for the lift saturates at a COP near 10). Not modelled: the lock-out of chillers, ice,
adiabatic pads.
Accuracy: cooling power within about 20% of an hourly calculation for four climates; the design
point of the dry cooler exactly.
Source: LBNL Modelica Buildings records for the dry cooler; 26 chiller records at 12.7 degC for the
lift; tau is a judgement.
"""

from typing import NamedTuple

import numpy as np

from dcsim.kernel import kernel
from dcsim.world.tables import LoopTable

CONTROL_S = 120.0
CHILLED_RANGE_X = 2.0
"""The most that chillers cool the water by, over its range at the design load: a judgement."""
CROWDED_X = 1.5
"""The most water that a dry cooler takes, over its design flow."""


class LoopLaw(NamedTuple):
    """Constants of one facility loop and its plant."""

    setpoint_c: float
    water_j_per_k: float
    water_w_per_k: float
    dry_ua_w_per_k: float
    coolers_count: int
    water_exponent: float
    air_exponent: float
    fan_w: float
    fan_min_frac: float
    chiller_w: float
    design_w: float
    chiller_fixed_frac: float
    chiller_per_k: float
    chiller_lift_min_k: float
    condenser_k: float
    evaporator_k: float
    chiller_fan_frac: float
    pump_w: float


@kernel
def dry_most_w_per_k(law: LoopLaw, flow: float, dry_frac: float) -> float:
    """Return K_dry [W/K] at this share of the water flow and of the dry coolers [-]."""
    if dry_frac <= 0.0 or flow <= 0.0:
        return 0.0
    water = law.water_w_per_k * flow
    each = min(flow / dry_frac, CROWDED_X)
    ua = law.dry_ua_w_per_k * dry_frac * 2.0 / (1.0 + each**-law.water_exponent)
    return float(water * (1.0 - np.exp(-ua / water)))


@kernel
def chillers_most_w(loop: LoopTable, law: LoopLaw) -> float:
    """Return the heat that the chillers take at most [W]."""
    allowed = law.design_w * min(1.0, CHILLED_RANGE_X * loop.flow_frac[0])
    return float(min(law.chiller_w * loop.chiller_frac[0], allowed))


@kernel
def electricity_w(
    loop: LoopTable, law: LoopLaw, heat_w: float, removed_w: float, supply_c: float, air_c: float
) -> tuple[float, float, float]:
    """Return the electricity of dry coolers and of chillers, and what the dry coolers take [W].

    *heat_w* warms the water that comes back at *supply_c*; *removed_w* is to be taken from it.
    """
    flow, dry_frac = loop.flow_frac[0], loop.dry_frac[0]
    back_c = supply_c + heat_w / (law.water_w_per_k * max(flow, 0.01))
    most = dry_most_w_per_k(law, flow, dry_frac) * max(back_c - air_c, 0.0)
    dry = min(removed_w, most)
    air_flow = (dry / most) ** (1.0 / law.air_exponent) if most > 0.0 else 0.0
    air_flow = max(air_flow, law.fan_min_frac) if dry > 0.0 else 0.0
    lift = (air_c + law.condenser_k) - (supply_c - law.evaporator_k)
    per_w = law.chiller_fixed_frac + law.chiller_per_k * max(lift, law.chiller_lift_min_k)
    fans = law.fan_w * law.coolers_count * dry_frac * air_flow**3
    chilled = removed_w - dry if loop.chiller_frac[0] > 0.0 else 0.0
    return fans, chilled * (per_w + law.chiller_fan_frac), dry


@kernel
def evaluate_loop(loop: LoopTable, law: LoopLaw, heat_w: float, air_c: float) -> float:
    """Write heat flows, slope and electricity of the loop; return the longest hold for 1 K [s]."""
    flow, supply = loop.flow_frac[0], loop.supply_c[0]
    back = supply + heat_w / (law.water_w_per_k * max(flow, 0.01))
    per_k = dry_most_w_per_k(law, flow, loop.dry_frac[0])
    most = per_k * max(back - air_c, 0.0) + chillers_most_w(loop, law)
    need = max(heat_w + law.water_j_per_k * (supply - law.setpoint_c) / CONTROL_S, 0.0)
    removed = min(need, most) if flow > 0.0 else 0.0
    coolers_w, chillers_w, dry = electricity_w(loop, law, heat_w, removed, supply, air_c)
    loop.heat_w[0], loop.dry_w[0], loop.chilled_w[0] = heat_w, dry, removed - dry
    slope = (heat_w - removed) / law.water_j_per_k
    loop.supply_k_per_s[0] = slope
    loop.most_w[0], loop.plant_w[0] = most, coolers_w + chillers_w
    loop.pump_w[0] = law.pump_w * flow
    loop.relax_per_s[0] = per_k / law.water_j_per_k if need > most else 1.0 / CONTROL_S
    bend = abs(slope) * max(1.0 / CONTROL_S, per_k / law.water_j_per_k)
    return float(np.sqrt(2.0 / max(bend, 1e-12)))


@kernel
def advance_loop(
    loop: LoopTable,
    law: LoopLaw,
    heat_j: float,
    air_c: float,
    dt_s: float,
) -> None:
    """Advance T_f under *heat_j* [J]; account for heat in, heat out and electricity."""
    flow, supply = loop.flow_frac[0], loop.supply_c[0]
    heat = heat_j / dt_s
    removed_w = loop.dry_w[0] + loop.chilled_w[0]
    need = max(loop.heat_w[0] + law.water_j_per_k * (supply - law.setpoint_c) / CONTROL_S, 0.0)
    if removed_w <= 0.0:
        loop.supply_c[0] = supply + heat_j / law.water_j_per_k
        rejected = 0.0
    elif removed_w >= need * (1.0 - 1e-12):
        decay = np.exp(-dt_s / CONTROL_S)
        loop.supply_c[0] = law.setpoint_c + (supply - law.setpoint_c) * decay
        rejected = heat_j + law.water_j_per_k * (supply - law.setpoint_c) * (1.0 - decay)
    else:
        dry = dry_most_w_per_k(law, flow, loop.dry_frac[0])
        if loop.dry_w[0] <= 0.0:
            dry = 0.0
        chilled = chillers_most_w(loop, law)
        rise = heat / (law.water_w_per_k * max(flow, 0.01))
        if dry > 0.0:
            rate = dry / law.water_j_per_k
            level = (heat - chilled) / dry - rise + air_c
            decay = np.exp(-rate * dt_s)
            loop.supply_c[0] = level + (supply - level) * decay
            mean_k = (level - air_c + rise) * dt_s + (supply - level) * (1.0 - decay) / rate
            rejected = dry * mean_k + chilled * dt_s
        else:
            loop.supply_c[0] = supply + (heat - chilled) * dt_s / law.water_j_per_k
            rejected = chilled * dt_s
    # Heat may fall within a step: then the controller takes over at the set point, or idles.
    coldest_c = min(supply, law.setpoint_c)
    if loop.supply_c[0] < coldest_c:
        rejected -= law.water_j_per_k * (coldest_c - loop.supply_c[0])
        loop.supply_c[0] = coldest_c
    if rejected < 0.0:
        loop.supply_c[0] += rejected / law.water_j_per_k
        rejected = 0.0
    loop.heat_j[0] += heat_j
    loop.rejected_j[0] += rejected
    mean_c = 0.5 * (supply + loop.supply_c[0])
    coolers_w, chillers_w, dry = electricity_w(loop, law, heat, rejected / dt_s, mean_c, air_c)
    loop.plant_j[0], loop.plant_j[1] = coolers_w * dt_s, chillers_w * dt_s
    loop.dry_j[0] += dry * dt_s if loop.chiller_frac[0] > 0.0 else rejected
