"""Cooling units: CDUs for liquid-cooled nodes, air handlers for air-cooled ones.

One lump of coolant (or hall air) at the supply temperature T_s, an exchanger to the facility water
at T_f, by effectiveness-NTU in counterflow; q is the heat that the nodes give to it:

    C_s dT_s/dt = q - Q,   Q = eff C_min (T_s + q/C_coolant - T_f)

UA follows the flows on both sides, each as its power 0.8. Between two stops the heat follows the
power P of the GPUs with the lag of their plates, and what they store by following T_s:

    dq/dt = (P - q)/lag - (C_gpus/lag) dT_s/dt

so that, with the slope of T_f dying away at the loop's own rate, that of T_s is three exponentials.
GPUs take the coolant as these have it; the unit then takes exactly the heat that they gave: what it
differs by from the heat foreseen is held at its mean over the step. What goes into the loop is what
is not stored.

Valid: flows 0.01 to 1.2 of the rated, coolant of 0 to 90 degC. A unit that has stopped keeps 1% of
its flow (thermosiphon and coolant at rest, a judgement), so its GPUs heat on their own plates; air
nodes keep turning the air of the hall over, which heats. Not modelled: the valve that holds a
supply set point above the approach, fouling, the delay of coolant in pipes.
Accuracy: exact for the heat foreseen; that is wrong where powers change within a step (leakage, a
limit), by up to `SURPRISE_FRAC` of what it foresees. The rating point of the data sheet is met by
construction.
Source: effectiveness and NTU, Kays and London, Compact Heat Exchangers; ratings in the catalogue.
"""

from typing import NamedTuple

import numpy as np

from dcsim.kernel import kernel
from dcsim.physics.elementary import died_s2, gone_s
from dcsim.world.site import REST_FLOW
from dcsim.world.tables import LoopTable, Real, UnitTable

FLOW_POWER = 0.8
LOOP, SLOW, FAST = range(3)
PARTS_COUNT = 3
SHORT_LAGS = 1e-3
"""Over a shorter step than this share of the lag, the coolant's mean slope serves as its line."""
SURPRISE_FRAC = 0.05
"""How far the heat foreseen may be wrong, measured: leakage moves powers by 2% of a swing."""


class UnitLaw(NamedTuple):
    """Constants of one kind of cooling unit."""

    coolant_w_per_k: float
    facility_w_per_k: float
    ua_w_per_k: float
    coolant_j_per_k: float
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
def evaluate_units(units: UnitTable, law: UnitLaw, loop: LoopTable) -> float:
    """Write slopes, heat passed on and pump power of each unit; return the longest hold [s].

    The hold is that in which a surprise leads T_s astray by 1 K.
    """
    hold_s = np.inf
    air_heat = 0.0 if law.liquid else 1.0
    for u in range(units.supply_c.shape[0]):
        flow = units.flow_frac[u]
        exchange = exchange_w_per_k(law, flow, loop.flow_frac[0])
        coolant = through_nodes_w_per_k(law, flow)
        supply, heat = units.supply_c[u], units.heat_w[u] + air_heat * units.around_w[u]
        units.rejected_w[u] = exchange * (supply + heat / coolant - loop.supply_c[0])
        units.supply_k_per_s[u] = (heat - units.rejected_w[u]) / law.coolant_j_per_k
        units.pump_w[u] = law.pump_w * flow
        kept = (1.0 - exchange / coolant) / law.coolant_j_per_k
        bend = _foresee(units, u, exchange / law.coolant_j_per_k, kept, loop)
        swing = abs(units.part_k_per_s[u, SLOW]) / units.part_per_s[u, SLOW]
        if SURPRISE_FRAC * swing > 1.0:
            hold_s = min(hold_s, np.sqrt(2.0 / (SURPRISE_FRAC * abs(bend))))
    return float(hold_s)


@kernel
def _foresee(units: UnitTable, u: int, rate: float, kept: float, loop: LoopTable) -> float:
    """Write the parts of the slope of T_s of unit *u*; return its second derivative [K/s2].

    *rate* is that at which T_s alone would relax [1/s], *kept* what heat warms it by [K/J]. The
    loop forces a part of its own rate; the other two are the unit's and its plates' own.
    """
    lag, slope = units.lag_s[u], units.supply_k_per_s[u]
    storing = units.gpu_j_per_k[u] / lag
    coming = (units.gpu_w[u] - units.heat_w[u]) / lag - storing * slope
    bend = kept * coming - rate * (slope - loop.supply_k_per_s[0])
    half = 0.5 * (rate + 1.0 / lag + storing * kept)
    split = max(np.sqrt(max(half * half - rate / lag, 0.0)), 1e-3 * half)
    fast_per_s = half + split
    slow_per_s = max(rate / lag / fast_per_s, 1e-9)
    loop_per_s = loop.relax_per_s[0]
    apart = (slow_per_s - loop_per_s) * (fast_per_s - loop_per_s)
    apart = np.copysign(max(abs(apart), 1e-6 * half * half), apart)
    forced = rate * loop.supply_k_per_s[0] * (1.0 / lag - loop_per_s) / apart
    own, own_bend = slope - forced, bend + loop_per_s * forced
    slow = (own_bend + fast_per_s * own) / (fast_per_s - slow_per_s)
    part, per_s = units.part_k_per_s[u], units.part_per_s[u]
    part[LOOP], part[SLOW], part[FAST] = forced, slow, own - slow
    per_s[LOOP], per_s[SLOW], per_s[FAST] = loop_per_s, slow_per_s, fast_per_s
    return float(bend)


@kernel
def foreseen_k(units: UnitTable, u: int, dt_s: float) -> float:
    """Return how far T_s of unit *u* moves in *dt_s* [K]."""
    moved = 0.0
    for k in range(PARTS_COUNT):
        moved += units.part_k_per_s[u, k] * gone_s(units.part_per_s[u, k], dt_s)
    return moved


@kernel
def coolant_line(units: UnitTable, dt_s: float, inlet_c: Real, inlet_k_per_s: Real) -> None:
    """Write the line by which GPUs take their coolant over a step: start [degC], slope [K/s].

    It ends where the coolant does, and leaves a plate with the unit's lag where the coolant would.
    """
    for u in range(units.supply_c.shape[0]):
        lag, moved = units.lag_s[u], foreseen_k(units, u, dt_s)
        slope = moved / dt_s
        if dt_s > SHORT_LAGS * lag:
            behind = 0.0
            for k in range(PARTS_COUNT):
                part, rate = units.part_k_per_s[u, k], units.part_per_s[u, k]
                behind += part * _behind_s(rate, lag, dt_s)
            slope = behind / _behind_s(0.0, lag, dt_s)
        inlet_c[u] = units.supply_c[u] + moved - slope * dt_s
        inlet_k_per_s[u] = slope


@kernel
def _behind_s(rate_per_s: float, lag_s: float, dt_s: float) -> float:
    """Return what a plate at rest is behind a coolant, over its first slope, after *dt_s* [s].

    The slope dies away at *rate_per_s*. What the plate was behind at the start and has not
    forgotten does not count.
    """
    own = 1.0 / lag_s
    both_s = np.exp(-min(rate_per_s, own) * dt_s) * gone_s(abs(own - rate_per_s), dt_s)
    return float(both_s - np.exp(-own * dt_s) * gone_s(rate_per_s, dt_s))


@kernel
def advance_units(units: UnitTable, law: UnitLaw, loop: LoopTable, dt_s: float) -> float:
    """Advance T_s of each unit under the heat of the step; return the heat passed on [J]."""
    passed = 0.0
    air_heat = 0.0 if law.liquid else 1.0
    loop_k_s = died_s2(loop.relax_per_s[0], dt_s) * loop.supply_k_per_s[0]
    for u in range(units.supply_c.shape[0]):
        exchange = exchange_w_per_k(law, units.flow_frac[u], loop.flow_frac[0])
        coolant = through_nodes_w_per_k(law, units.flow_frac[u])
        heat = units.step_j[u] + air_heat * units.around_w[u] * dt_s
        above_k_s = (units.supply_c[u] - loop.supply_c[0]) * dt_s - loop_k_s
        for k in range(PARTS_COUNT):
            above_k_s += units.part_k_per_s[u, k] * died_s2(units.part_per_s[u, k], dt_s)
        rise = foreseen_k(units, u, dt_s)
        explained = law.coolant_j_per_k * rise + exchange * above_k_s
        surprise_w = (heat * (1.0 - exchange / coolant) - explained) / dt_s
        rise += surprise_w / law.coolant_j_per_k * gone_s(exchange / law.coolant_j_per_k, dt_s)
        units.supply_c[u] += rise
        out = heat - law.coolant_j_per_k * rise
        units.heat_j[u] += heat
        units.rejected_j[u] += out
        passed += out
    return passed
