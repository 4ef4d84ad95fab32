"""Sixteen GPUs on one coolant loop, by 1 ms explicit Euler steps, without engine or kernels.

Per GPU: P = static + leak e^((T - 60) / efold) + dynamic load f^2.5 (without any load, a share of
the first two), with the clock f lowered to respect the power cap while it works (P at load 1) and
the thermal limit. The thermal controller allows the mean power that takes the package to its limit:
P_th = (T_lim - T_plate) / R_jc + C_j (T_lim - T) / tau.
Cold plate: R = x (a + b / flow). CDU: C_s dT_s/dt = q - Q, Q = eff C_min (T_s + q / C_sec - T_f),
counterflow, its UA following both flows as their power 0.8. Facility loop: C_f dT_f/dt = Q - out,
out = clip(Q + C_f (T_f - T_set) / tau, 0, dry (T_return - T_air) + chillers).
A GPU at its shutdown temperature takes its node off for good.

Valid: any scripted flow, load and air. Accuracy: first order in the step. Source: the balances
themselves, written anew from DESIGN.md; nothing is taken from the kernels.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Plant(NamedTuple):
    """What stays fixed; arrays are per GPU, and the loops are those of these GPUs alone."""

    leak_w: Array
    dynamic_w: Array
    resistance_x: Array
    static_w: float
    leak_efold_k: float
    cap_w: float
    clock_min_frac: float
    throttle_c: float
    throttle_tau_s: float
    shutdown_c: float
    gpus_per_node_count: int
    package_j_per_k: float
    plate_j_per_k: float
    package_plate_k_per_w: float
    conduction_k_per_w: float
    film_k_per_w: float  # at rated flow
    rest_flow_frac: float  # what remains of the flow when the pump stands
    coolant_j_per_k: float
    coolant_w_per_k: float  # at rated flow
    exchanger_w_per_k: float  # UA at rated flows
    facility_j_per_k: float
    facility_w_per_k: float
    facility_set_c: float
    facility_tau_s: float
    dry_w_per_k: float
    chiller_w: float
    idle_x: float = 1.0  # what remains of static power and leakage without any load


class Drive(NamedTuple):
    """What the script changes; heat of other things goes to the coolant or to the facility."""

    flow_frac: float
    load_frac: Array
    air_c: float
    coolant_heat_w: float
    facility_heat_w: float


class State(NamedTuple):
    """What is integrated."""

    temp_c: Array
    plate_c: Array
    supply_c: float
    facility_c: float
    is_on: NDArray[np.bool_]


class Sample(NamedTuple):
    """State and power at one moment."""

    t_s: float
    state: State
    power_w: Array
    clock_frac: Array


class Shutdown(NamedTuple):
    """A GPU that reached its shutdown temperature."""

    t_s: float
    gpu: int


def run(
    plant: Plant,
    state: State,
    script: Iterable[tuple[float, dict[str, Any]]],
    until_s: float,
    step_s: float = 1e-3,
    sample_s: float = 1.0,
) -> tuple[list[Sample], list[Shutdown]]:
    """Integrate from *state*; *script* is (time, fields of `Drive`), its first entry complete."""
    pending = sorted(script, key=lambda entry: entry[0])
    drive = Drive(**pending.pop(0)[1])
    samples, shutdowns = [], []
    for step in range(round(until_s / step_s) + 1):
        t_s = step * step_s
        while pending and pending[0][0] <= t_s + step_s / 2:
            drive = drive._replace(**pending.pop(0)[1])
        hot = state.is_on & (state.temp_c >= plant.shutdown_c)
        if hot.any():
            shutdowns += [Shutdown(t_s, int(gpu)) for gpu in np.flatnonzero(hot)]
            down = np.any(hot.reshape(-1, plant.gpus_per_node_count), axis=1)
            down = np.repeat(down, plant.gpus_per_node_count)
            state = state._replace(is_on=state.is_on & ~down)
        power_w, dynamic_w = powers(plant, drive, state)
        if step % round(sample_s / step_s) == 0:
            full_w = np.maximum(plant.dynamic_w * drive.load_frac, 1e-300)
            samples.append(Sample(t_s, state, power_w, (dynamic_w / full_w) ** 0.4))
        state = _advance(plant, drive, state, power_w, step_s)
    return samples, shutdowns


def powers(plant: Plant, drive: Drive, state: State) -> tuple[Array, Array]:
    """Power of each GPU, and its dynamic part, W."""
    floor_w = plant.static_w + plant.leak_w * np.exp((state.temp_c - 60) / plant.leak_efold_k)
    floor_w = floor_w * np.where(drive.load_frac > 0, 1.0, plant.idle_x)
    thermal_w = (plant.throttle_c - state.plate_c) / plant.package_plate_k_per_w + (
        plant.package_j_per_k / plant.throttle_tau_s
    ) * (plant.throttle_c - state.temp_c)
    full_w = plant.dynamic_w * drive.load_frac
    room_w = np.minimum(thermal_w - floor_w, (plant.cap_w - floor_w) * drive.load_frac)
    dynamic_w = np.minimum(np.maximum(room_w, full_w * plant.clock_min_frac**2.5), full_w)
    return (floor_w + dynamic_w) * state.is_on, dynamic_w


def exchange_w_per_k(plant: Plant, flow: float) -> float:
    """Heat exchanged per kelvin between the hot coolant and the cold facility water."""
    ua = 2 * plant.exchanger_w_per_k / (float(flow**-0.8) + 1)
    smaller, larger = sorted((plant.coolant_w_per_k * flow, plant.facility_w_per_k))
    if larger - smaller < 1e-9 * larger:
        return smaller * ua / (smaller + ua)
    decay = float(np.exp(-ua * (1 / smaller - 1 / larger)))
    return smaller * (1 - decay) / (1 - decay * smaller / larger)


def _advance(plant: Plant, drive: Drive, state: State, power_w: Array, dt_s: float) -> State:
    flow = max(drive.flow_frac, plant.rest_flow_frac)
    plate_k_per_w = plant.resistance_x * (plant.conduction_k_per_w + plant.film_k_per_w / flow)
    inner_w = (state.temp_c - state.plate_c) / plant.package_plate_k_per_w
    outer_w = (state.plate_c - state.supply_c) / plate_k_per_w
    heat_w = float(outer_w.sum()) + drive.coolant_heat_w
    hot_c = state.supply_c + heat_w / (plant.coolant_w_per_k * flow)
    exchanged_w = exchange_w_per_k(plant, flow) * (hot_c - state.facility_c)
    loop_w = exchanged_w + drive.facility_heat_w
    return_c = state.facility_c + loop_w / plant.facility_w_per_k
    pull_w = (
        plant.facility_j_per_k / plant.facility_tau_s * (state.facility_c - plant.facility_set_c)
    )
    most_w = plant.dry_w_per_k * max(return_c - drive.air_c, 0.0) + plant.chiller_w
    rejected_w = max(0.0, min(loop_w + pull_w, most_w))
    return State(
        state.temp_c + dt_s / plant.package_j_per_k * (power_w - inner_w),
        state.plate_c + dt_s / plant.plate_j_per_k * (inner_w - outer_w),
        state.supply_c + dt_s / plant.coolant_j_per_k * (heat_w - exchanged_w),
        state.facility_c + dt_s / plant.facility_j_per_k * (loop_w - rejected_w),
        state.is_on,
    )
