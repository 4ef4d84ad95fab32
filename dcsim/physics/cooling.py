"""Cooling units: CDUs for liquid-cooled nodes, air handlers for air-cooled ones.

One lump of coolant (or hall air) at the supply temperature T_s, an exchanger to the facility water
at T_f, by effectiveness-NTU in counterflow; q is the heat that the nodes give to it:

    C_s dT_s/dt = q - Q,   Q = eff C_min (T_s + q/C_coolant - T_f)

UA follows the flows on both sides, each as its power 0.8. With q held at its mean over the step and
T_f a ramp, T_s and the heat passed on have exact exponential forms.

Valid: flows 0.01 to 1.2 of the rated. A unit that has stopped keeps 1% of its flow (thermosiphon
and coolant at rest, a judgement), so its GPUs heat on their own plates; air nodes keep turning the
air of the hall over, which heats. Not modelled: the valve that holds a supply set point above the
approach, fouling, the delay of coolant in pipes.
Accuracy: exact for held rates; the rating point of the data sheet is met by construction.
Source: effectiveness and NTU, Kays and London, Compact Heat Exchangers; ratings in the catalogue.
"""

from typing import NamedTuple

import numpy as np

from dcsim.kernel import kernel
from dcsim.world.site import REST_FLOW
from dcsim.world.tables import UnitTable

FLOW_POWER = 0.8


class UnitLaw(NamedTuple):
    """Constants of one kind of cooling unit."""

    coolant_w_per_k: float
    facility_w_per_k: float
    ua_w_per_k: float
    coolant_j_per_k: float
    plate_lag_s: float
    pump_w: float
    liquid: bool


@kernel
def effectiveness(ntu: float, ratio: float) -> float:
    """Return the effectiveness of a counterflow exchanger [-] for NTU [-] and C_min/C_max [-]."""
    if ratio > 0.999:
        return ntu / (1.0 + ntu)
    decay = np.exp(-ntu * (1.0 - ratio))
    return float((1.0 - decay) / (1.0 - ratio * decay))


def ntu_of(effectiveness_frac: float, ratio: float) -> float:
    """Return the NTU [-] at which a counterflow exchanger reaches this effectiveness [-].

    Valid: effectiveness below 1. Accuracy: exact inverse of `effectiveness`. Source: as there.
    """
    if ratio > 0.999:
        return effectiveness_frac / (1.0 - effectiveness_frac)
    return float(
        np.log((1.0 - effectiveness_frac * ratio) / (1.0 - effectiveness_frac)) / (1.0 - ratio)
    )


@kernel
def exchange_w_per_k(law: UnitLaw, flow: float, loop_flow: float) -> float:
    """Return eff C_min [W/K] at these shares of the rated flows [-]."""
    here, there = max(flow, REST_FLOW), max(loop_flow, REST_FLOW)
    coolant = law.coolant_w_per_k * here
    facility = law.facility_w_per_k * there
    low, high = min(coolant, facility), max(coolant, facility)
    ua = law.ua_w_per_k * 2.0 / (here**-FLOW_POWER + there**-FLOW_POWER)
    return effectiveness(ua / low, low / high) * low


@kernel
def through_nodes_w_per_k(law: UnitLaw, flow: float) -> float:
    """Return the capacity flow through the nodes [W/K]: their own fans keep up that of air."""
    return law.coolant_w_per_k * max(flow, REST_FLOW) if law.liquid else law.coolant_w_per_k


@kernel
def evaluate_units(
    units: UnitTable, law: UnitLaw, loop_flow: float, loop_c: float, loop_slope: float
) -> float:
    """Write slope, heat passed on and pump power of each unit; return the longest hold [s].

    Those that a unit cools expect T_s to relax at its own rate. The hold is that in which other
    causes lead them astray by 1 K: the slope of the heat and of the loop, and the heat that is
    still on its way with the lag of plates: the power of the GPUs, less what they pass on, less
    what they store by following T_s.
    """
    curvature = 1e-12
    air_heat = 0.0 if law.liquid else 1.0
    for u in range(units.supply_c.shape[0]):
        flow = units.flow_frac[u]
        exchange = exchange_w_per_k(law, flow, loop_flow)
        coolant = through_nodes_w_per_k(law, flow)
        supply, heat = units.supply_c[u], units.heat_w[u] + air_heat * units.around_w[u]
        units.rejected_w[u] = exchange * (supply + heat / coolant - loop_c)
        slope = (heat - units.rejected_w[u]) / law.coolant_j_per_k
        units.supply_k_per_s[u] = slope
        units.pump_w[u] = law.pump_w * flow
        units.relax_per_s[u] = exchange / law.coolant_j_per_k
        bend = units.heat_w_per_s[u] * (1.0 - exchange / coolant) + exchange * loop_slope
        following_w = units.gpu_j_per_k[u] * slope
        coming = (units.gpu_w[u] - units.heat_w[u] - following_w) / law.plate_lag_s
        curvature = max(curvature, max(abs(bend), abs(coming)) / law.coolant_j_per_k)
    return float(np.sqrt(2.0 / curvature))


@kernel
def advance_units(
    units: UnitTable,
    law: UnitLaw,
    loop_flow: float,
    loop_c: float,
    loop_slope: float,
    dt_s: float,
) -> float:
    """Advance T_s of each unit under the heat of the step; return the heat passed on [J]."""
    passed = 0.0
    air_heat = 0.0 if law.liquid else 1.0
    for u in range(units.supply_c.shape[0]):
        exchange = exchange_w_per_k(law, units.flow_frac[u], loop_flow)
        coolant = through_nodes_w_per_k(law, units.flow_frac[u])
        heat = units.step_j[u] / dt_s + air_heat * units.around_w[u]
        rate = exchange / law.coolant_j_per_k
        lag = loop_slope / rate
        level = loop_c + heat * (1.0 / exchange - 1.0 / coolant)
        decay = np.exp(-rate * dt_s)
        gap = units.supply_c[u] - level + lag
        units.supply_c[u] = level + loop_slope * dt_s - lag + gap * decay
        mean_k = (level - lag - loop_c) * dt_s + gap * (1.0 - decay) / rate
        out = exchange * (mean_k + heat / coolant * dt_s)
        units.heat_j[u] += heat * dt_s
        units.rejected_j[u] += out
        passed += out
    return passed
