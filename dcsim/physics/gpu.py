"""The accelerator: clock, power and temperature of every GPU.

Two thermal states, package j and plate c (a cold plate, or a heat sink in air):

    C_j dT_j/dt = P - (T_j - T_c)/R_jc
    C_c dT_c/dt = (T_j - T_c)/R_jc - (T_c - T_in)/R_ca
    P = P_static + P_leak exp((T_j - 60)/45) + P_dyn load f^2.5,     f = clock / highest clock

The load is the share of time in dense work; P is the mean over a step. Without any load the voltage
is low too, and P is that share of static power and leakage that the sheet's idle power is. The
clock is the highest at which two limits hold: the cap, in the dense phase (P at load 1 <= cap), and
the thermal limit, which is a continuous controller of the mean,
P <= (T_lim - T_c)/R_jc + C_j (T_lim - T_j)/tau: alone it takes T_j to T_lim with the time constant
tau. Below the lowest clock neither can act, and the
package heats on until the hardware shuts down. Within a step each GPU keeps the regime that it
starts in (free, capped, throttled), in which P is linear in T_j and T_c, so that states and both
energies follow from the exact exponential of a 2x2 matrix. T_in is a ramp there, fitted to what the
cooling unit foresees: it ends where that does, and leaves a plate of the unit's lag where that
would. Energy in and heat out are separate integrals.

Valid: package 0 to 110 degC, load 0 to 1. One regime a step: a GPU that reaches a limit inside one
overshoots by at most its rise over that step, which `soonest_s` keeps to a hold.
Accuracy: against a 1 ms Euler reference 0.1% of temperature rise and power at a hold tolerance of
0.1 K. The half clock of a hardware slowdown (89 degC) is not modelled: the controller holds the
limit below it. HBM has no temperature of its own.
Source: thermal constants and thresholds from the data sheet of the GPU in the catalogue; the
exponential form of leakage De Vogeleer et al. 2014; the exponent 2.5 is a judgement (2 to 3).
"""

from typing import Any, NamedTuple

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.kernel import kernel, serial_and_threaded
from dcsim.physics.cooling import coolant_line
from dcsim.physics.elementary import (
    exp,
    largest,
    lowest_of_nodes,
    magic_of,
    mean_of_nodes,
    power_2_5ths,
    scratch,
    total,
)
from dcsim.physics.limits import STEP_S, soonest_s
from dcsim.physics.response import advance_slice
from dcsim.world.site import Site
from dcsim.world.tables import GpuTable, Real

EXPONENT = 2.5
"""Dynamic power over clock; `power_2_5ths` is its inverse."""
CONTROL_S = 2.0
"""Time constant of the thermal controller [s], a judgement."""
IDLE_C = 30.0
"""About where the idle power of the sheets was measured: 28 to 33 degC."""
THREADED_MIN_COUNT = 20_000
"""Fewer GPUs than this are faster on one thread."""


class GpuLaw(NamedTuple):
    """Constants of one kind of GPU, as scalars of the world's precision.

    *idle_frac* is what a GPU without any work keeps of its static power and leakage.
    """

    static_w: Any
    cap_w: Any
    limit_c: Any
    package_j_per_k: Any
    plate_j_per_k: Any
    package_plate_k_per_w: Any
    leak_fold_per_k: Any
    control_s: Any
    floor_power_frac: Any
    shutdown_c: Any
    idle_frac: Any = 1.0


class Coolant(NamedTuple):
    """What cools each group of GPUs, those of one cooling unit; shape (groups_count,).

    *first_rack* has groups_count + 1 entries, *first_gpu* racks_count + 1. Over a step the inlet
    is a ramp.
    """

    first_rack: Any
    first_gpu: Any
    inlet_c: Real
    inlet_k_per_s: Real
    plate_w_per_k: Real


class GroupSums(NamedTuple):
    """What each group of GPUs comes to; shape (groups_count,), float64."""

    power_w: Any
    heat_w: Any
    package_c_max: Any
    rise_k_per_s_max: Any
    heat_j: Any


@kernel
def evaluate_slice(
    temp: Any,
    plate: Any,
    leak: Any,
    dynamic: Any,
    load: Any,
    on: Any,
    ceiling: Any,
    conductance: Any,
    clock: Any,
    power: Any,
    heat: Any,
    rise: Any,
    law: GpuLaw,
    inlet_c: Any,
    film: Any,
) -> None:
    """Write clock, power, heat to the coolant and rise of one group, shape (n,)."""
    real = temp.dtype.type
    magic = real(magic_of(temp.itemsize))
    through = real(1) / law.package_plate_k_per_w
    control = law.package_j_per_k / law.control_s
    per_package = real(1) / law.package_j_per_k
    per_plate = real(1) / law.plate_j_per_k
    idle = real(law.idle_frac)
    for i in range(temp.shape[0]):
        leaking = leak[i] * exp((temp[i] - real(60)) * law.leak_fold_per_k, real, magic)
        full = max(dynamic[i] * load[i], real(1e-3))
        room = law.limit_c - temp[i]
        allowed = (law.limit_c - plate[i]) * through + control * room
        held = (law.static_w + leaking) * (real(1) if load[i] > real(0) else idle)
        most = min((law.cap_w - held) * load[i], allowed - held)
        active = max(min(full * ceiling[i], most), full * law.floor_power_frac)
        clock[i] = power_2_5ths(active / full, real)
        power[i] = on[i] * (held + min(active, dynamic[i] * load[i] * ceiling[i]))
        flow = (temp[i] - plate[i]) * through
        heat[i] = (plate[i] - inlet_c) * conductance[i] * film
        rise[i] = max((power[i] - flow) * per_package, (flow - heat[i]) * per_plate)


@kernel
def regime_slice(
    temp: Any,
    plate: Any,
    leak: Any,
    dynamic: Any,
    load: Any,
    on: Any,
    ceiling: Any,
    power: Any,
    conductance: Any,
    constant: Any,
    by_package: Any,
    by_plate: Any,
    law: GpuLaw,
    inlet_c: Any,
    film: Any,
    settled_frac: Any,
) -> None:
    """Write P = constant + by_package T_j + by_plate T_c for one group, as its regime has it.

    Leakage is a line to where the package comes in the step: by *settled_frac* to its rest at the
    present power, with the coolant at *inlet_c*. The line has the right end where GPUs settle and
    forget the way, and the right mean where they do not.
    """
    real = temp.dtype.type
    magic = real(magic_of(temp.itemsize))
    through = real(1) / law.package_plate_k_per_w
    control = law.package_j_per_k / law.control_s
    idle = real(law.idle_frac)
    fold = settled_frac * law.leak_fold_per_k
    first = real(1 / 3) + settled_frac * real(1 / 6)
    second = real(1 / 12) + settled_frac * real(1 / 12)
    for i in range(temp.shape[0]):
        leaking = leak[i] * exp((temp[i] - real(60)) * law.leak_fold_per_k, real, magic)
        rest_c = inlet_c + power[i] * (
            law.package_plate_k_per_w + real(1) / (conductance[i] * film)
        )
        x = min(max((rest_c - temp[i]) * fold, real(-1)), real(1))
        steeper = real(1) + x * (first + x * second)
        full = dynamic[i] * load[i]
        base = law.static_w + leaking
        allowed = (law.limit_c - plate[i]) * through + control * (law.limit_c - temp[i])
        floor = base + full * law.floor_power_frac
        free = base + full * ceiling[i]
        cap = base + (law.cap_w - base) * load[i]
        throttled = (allowed < min(cap, free)) & (allowed > floor) & (on[i] > real(0.5))
        capped = (cap < min(allowed, free)) & (cap > floor)
        share = real(1) - load[i] if capped else real(1)
        share = share if load[i] > real(0) else idle
        g = on[i] * leaking * law.leak_fold_per_k * steeper * share
        g = -control if throttled else g
        h = -through if throttled else real(0)
        by_package[i] = g
        by_plate[i] = h
        constant[i] = power[i] - g * temp[i] - h * plate[i]


@kernel
def settled_frac(law: GpuLaw, film: Any, dt_s: Any) -> Any:
    """Return how much of the way to its rest a GPU comes in *dt_s*, by the lag of its plate [-]."""
    lags_count = dt_s * film / (law.package_j_per_k + law.plate_j_per_k)
    return type(dt_s)(-np.expm1(-lags_count))


def _evaluate_groups(
    gpu: GpuTable,
    law: GpuLaw,
    coolant: Coolant,
    sums: GroupSums,
    rack_w: Any,
    node_clock: Real,
    node_mean_clock: Real,
    first: int,
    last: int,
) -> None:
    """Evaluate groups *first* to *last*: sums by rack and group, clock by node."""
    heat_w, power_w = sums.heat_w, sums.power_w
    package_c_max, rise_k_per_s_max = sums.package_c_max, sums.rise_k_per_s_max
    per_node = gpu.temp_c.shape[0] // node_clock.shape[0]
    for group in range(first, last):
        racks = range(coolant.first_rack[group], coolant.first_rack[group + 1])
        lo = coolant.first_gpu[racks.start]
        hi = coolant.first_gpu[racks.stop]
        work = scratch(2, hi - lo, gpu.temp_c)
        evaluate_slice(
            gpu.temp_c[lo:hi],
            gpu.plate_c[lo:hi],
            gpu.leak_w[lo:hi],
            gpu.dynamic_w[lo:hi],
            gpu.load_frac[lo:hi],
            gpu.on_frac[lo:hi],
            gpu.ceiling_x[lo:hi],
            gpu.conductance_x[lo:hi],
            gpu.clock_frac[lo:hi],
            gpu.power_w[lo:hi],
            work[0],
            work[1],
            law,
            coolant.inlet_c[group],
            coolant.plate_w_per_k[group],
        )
        heat_w[group] = total(work[0, : hi - lo])
        rise_k_per_s_max[group] = largest(work[1, : hi - lo])
        package_c_max[group] = largest(gpu.temp_c[lo:hi])
        begin, end = lo // per_node, hi // per_node
        lowest_of_nodes(gpu.clock_frac[lo:hi], node_clock[begin:end])
        mean_of_nodes(gpu.clock_frac[lo:hi], node_mean_clock[begin:end])
        in_group_w = 0.0
        for rack in racks:
            rack_w[rack] = total(gpu.power_w[coolant.first_gpu[rack] : coolant.first_gpu[rack + 1]])
            in_group_w += rack_w[rack]
        power_w[group] = in_group_w


def _advance_groups(
    gpu: GpuTable,
    law: GpuLaw,
    coolant: Coolant,
    sums: GroupSums,
    rack_j: Any,
    dt_s: Any,
    first: int,
    last: int,
) -> None:
    """Advance groups *first* to *last*; write rack energies, group heat."""
    heat_j = sums.heat_j
    for group in range(first, last):
        racks = range(coolant.first_rack[group], coolant.first_rack[group + 1])
        lo = coolant.first_gpu[racks.start]
        hi = coolant.first_gpu[racks.stop]
        work = scratch(5, hi - lo, gpu.temp_c)
        regime_slice(
            gpu.temp_c[lo:hi],
            gpu.plate_c[lo:hi],
            gpu.leak_w[lo:hi],
            gpu.dynamic_w[lo:hi],
            gpu.load_frac[lo:hi],
            gpu.on_frac[lo:hi],
            gpu.ceiling_x[lo:hi],
            gpu.power_w[lo:hi],
            gpu.conductance_x[lo:hi],
            work[0],
            work[1],
            work[2],
            law,
            coolant.inlet_c[group] + coolant.inlet_k_per_s[group] * dt_s,
            coolant.plate_w_per_k[group],
            settled_frac(law, coolant.plate_w_per_k[group], dt_s),
        )
        advance_slice(
            gpu.temp_c[lo:hi],
            gpu.plate_c[lo:hi],
            gpu.conductance_x[lo:hi],
            work[0],
            work[1],
            work[2],
            work[3],
            work[4],
            law,
            coolant.inlet_c[group],
            coolant.inlet_k_per_s[group],
            coolant.plate_w_per_k[group],
            dt_s,
        )
        heat_j[group] = total(work[4, : hi - lo])
        for rack in racks:
            begin, end = coolant.first_gpu[rack] - lo, coolant.first_gpu[rack + 1] - lo
            rack_j[rack] = total(work[3, begin:end])


@kernel
def cap_clock_slice(
    temp: Any, leak: Any, dynamic: Any, load: Any, ceiling: Any, clock: Any, law: GpuLaw
) -> None:
    """Write the clock that the power cap alone would allow; shape (n,) each."""
    real = temp.dtype.type
    magic = real(magic_of(temp.itemsize))
    for i in range(temp.shape[0]):
        leaking = leak[i] * exp((temp[i] - real(60)) * law.leak_fold_per_k, real, magic)
        full = max(dynamic[i] * load[i], real(1e-3))
        most = min(full * ceiling[i], (law.cap_w - law.static_w - leaking) * load[i])
        clock[i] = power_2_5ths(max(most, full * law.floor_power_frac) / full, real)


def clock_under_cap(gpu: GpuTable, law: GpuLaw, node_clock: Real, node_mean_clock: Real) -> Real:
    """Return the clocks under the power cap alone [-], by GPU; write lowest and mean by node."""
    clock = np.empty_like(gpu.temp_c)
    cap_clock_slice(gpu.temp_c, gpu.leak_w, gpu.dynamic_w, gpu.load_frac, gpu.ceiling_x, clock, law)
    lowest_of_nodes(clock, node_clock)
    mean_of_nodes(clock, node_mean_clock)
    return clock


def _groups(_gpu: GpuTable, _law: GpuLaw, coolant: Coolant, *_others: Any) -> int:
    return len(coolant.first_rack) - 1


evaluate_groups, evaluate_groups_threaded = serial_and_threaded(_evaluate_groups, _groups)
advance_groups, advance_groups_threaded = serial_and_threaded(_advance_groups, _groups)


class GpuModel:
    """Clock, power and temperature of every GPU of a site. Own states: both temperatures.

    *hottest_c* is the hottest package at the last evaluation. Facts: `shutdown` (gpu), when a
    package is at its limit at the end of a step.
    """

    reads = ("unit.flow_frac",)
    writes = ("rack.gpu_w", "unit.heat_w", "unit.lag_s", "node.clock_frac")

    def __init__(self, site: Site) -> None:
        self._site = site
        self._real = site.gpu.temp_c.dtype.type
        self.law = gpu_law(site)
        units = len(site.unit.supply_c)
        self._coolant = Coolant(
            first_rack=site.unit.first_rack,
            first_gpu=site.rack.first_node * site.gpus_per_node,
            inlet_c=np.zeros(units, site.gpu.temp_c.dtype),
            inlet_k_per_s=np.zeros(units, site.gpu.temp_c.dtype),
            plate_w_per_k=np.zeros(units, site.gpu.temp_c.dtype),
        )
        self._sums = GroupSums(
            power_w=site.unit.gpu_w,
            heat_w=site.unit.heat_w,
            package_c_max=np.zeros(units),
            rise_k_per_s_max=np.zeros(units),
            heat_j=site.unit.step_j,
        )
        self.hottest_c = 0.0
        many = len(site.gpu.temp_c) >= THREADED_MIN_COUNT
        self._evaluate = evaluate_groups_threaded if many else evaluate_groups
        self._advance = advance_groups_threaded if many else advance_groups

    @property
    def hot(self) -> bool:
        """Whether any package was at the throttling limit at the last evaluation."""
        return self.hottest_c > float(self.law.limit_c) - 0.5

    def evaluate(self, _world: Any, now_ns: int) -> Holds:
        """Write clocks and powers, and their sums by node, rack and cooling unit."""
        site, coolant = self._site, self._coolant
        coolant.inlet_c[:] = site.unit.supply_c
        k_per_w = site.plate_k_per_w(site.unit.flow_frac)
        coolant.plate_w_per_k[:] = 1.0 / k_per_w
        site.unit.lag_s[:] = (self.law.package_j_per_k + self.law.plate_j_per_k) * k_per_w
        self._evaluate(
            site.gpu,
            self.law,
            coolant,
            self._sums,
            site.rack.gpu_w,
            site.node.clock_frac,
            site.node.mean_clock_frac,
        )
        self.hottest_c = float(self._sums.package_c_max.max())
        hold_s = soonest_s(site.gpu, self.law, coolant, self._sums)
        event_ns = now_ns + int(max(hold_s, STEP_S) * 1e9) if hold_s < 1.0 else NEVER_NS
        return Holds(event_ns, hold_s)

    def switch(self, _world: Any, _now_ns: int) -> list[Fact]:
        """Turn off the GPUs whose package has reached the shutdown temperature."""
        shutdown = float(self.law.shutdown_c)
        if self.hottest_c < shutdown:
            return []
        gpu = self._site.gpu
        rows = np.flatnonzero((gpu.temp_c >= shutdown) & (gpu.on_frac > 0))
        gpu.on_frac[rows] = 0
        return [Fact("shutdown", "gpu", int(row), float(gpu.temp_c[row])) for row in rows]

    def advance(self, _world: Any, dt_s: float) -> None:
        """Advance all temperatures; write the energies of the step by rack and cooling unit."""
        site, coolant = self._site, self._coolant
        coolant_line(site.unit, dt_s, coolant.inlet_c, coolant.inlet_k_per_s)
        self._advance(site.gpu, self.law, coolant, self._sums, site.rack.step_j, self._real(dt_s))

    def modes(self, _world: Any) -> dict[str, Any]:
        """Which GPUs are on, one bit each."""
        return {"gpu.on_frac": np.packbits(self._site.gpu.on_frac > 0)}


def gpu_law(site: Site) -> GpuLaw:
    """Read the constants of the site's GPU from its sheet and the scenario's power cap."""
    sheet = site.sheets["gpu"]
    cap_w = site.ask.power_cap_w if site.ask.power_cap_w is not None else sheet["tdp_w"]
    floor = sheet["min_clock_hz"] / sheet["max_clock_hz"]
    awake_w = sheet["static_w"] + sheet["leak_w"] * np.exp((IDLE_C - 60.0) / sheet["leak_efold_k"])
    numbers = GpuLaw(
        static_w=sheet["static_w"],
        cap_w=cap_w,
        limit_c=sheet["throttle_c"],
        package_j_per_k=sheet["package_j_per_k"],
        plate_j_per_k=sheet["plate_j_per_k"],
        package_plate_k_per_w=sheet["r_package_plate_k_per_w"],
        leak_fold_per_k=1.0 / sheet["leak_efold_k"],
        control_s=CONTROL_S,
        floor_power_frac=floor**EXPONENT,
        shutdown_c=sheet["shutdown_c"],
        idle_frac=min(1.0, sheet["idle_w"] / awake_w),
    )
    return GpuLaw(*(site.gpu.temp_c.dtype.type(number) for number in numbers))
