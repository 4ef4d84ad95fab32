"""The same evaluate and advance by dcsim's kernels, by C, and by numpy."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from bench.case import STEP_S, Case
from dcsim.kernel import set_threads
from dcsim.physics import gpu as physics
from dcsim.world.tables import Real

Step = Callable[[Case], None]
C_FLAGS = (
    *("-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math"),
    *("-fno-signed-zeros", "-ffinite-math-only"),  # without these two gcc leaves one loop scalar
)


def numba_step(threads_count: int) -> Step:
    """One evaluate and one advance by dcsim, as a run of that many threads calls them."""
    evaluate, advance = physics.evaluate_groups, physics.advance_groups
    if threads_count > 1:
        evaluate, advance = physics.evaluate_groups_threaded, physics.advance_groups_threaded

    def step(case: Case) -> None:
        set_threads(threads_count)
        world = (case.gpu, case.law, case.coolant, case.sums)
        evaluate(*world, case.rack_w, case.node_clock, case.node_mean_clock)
        advance(*world, case.rack_j, np.float32(STEP_S))

    return step


class _Coolant(ctypes.Structure):
    _fields_ = (("groups", ctypes.c_int64), ("columns", ctypes.c_void_p * 5))


def c_step(folder: Path, threads_count: int) -> Step | None:
    """One evaluate and one advance by `kernels.c`; None where no C compiler is found.

    Its structures list their columns in the order of dcsim's tables.
    """
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        return None
    source, library = Path(__file__).with_name("kernels.c"), folder / "kernels.so"
    subprocess.run([compiler, *C_FLAGS, "-shared", "-fPIC", "-o", library, source], check=True)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads stall a busy machine
    kernels = ctypes.CDLL(str(library))

    def step(case: Case) -> None:
        law = (ctypes.c_float * len(case.law))(*map(float, case.law))
        coolant = _Coolant(case.coolant.inlet_c.shape[0], _pointers(case.coolant))
        world = (_pointers(case.gpu), law, ctypes.byref(coolant), _pointers(case.sums))
        rack_w, rack_j, clock, mean_clock = map(_pointer, case[4:])
        kernels.evaluate_groups(*world, rack_w, clock, mean_clock, threads_count)
        kernels.advance_groups(*world, rack_j, ctypes.c_float(STEP_S), threads_count)

    return step


def _pointer(column: Real) -> ctypes.c_void_p:
    return ctypes.c_void_p(column.ctypes.data)


def _pointers(columns: Iterable[Real]) -> "ctypes.Array[ctypes.c_void_p]":
    addresses = [column.ctypes.data for column in columns]
    return (ctypes.c_void_p * len(addresses))(*addresses)


def numpy_step(case: Case) -> None:
    """One evaluate and one advance in whole-array numpy."""
    gpu, law, sums = case.gpu, case.law, case.sums
    inlet_c, ramp, plate = (_per_gpu(case, c) for c in case.coolant[2:])
    outward = gpu.conductance_x * plate
    starts = case.coolant.first_gpu[:-1]
    through = 1 / law.package_plate_k_per_w
    control = law.package_j_per_k / law.control_s
    leaking = gpu.leak_w * np.exp((gpu.temp_c - 60) * law.leak_fold_per_k)
    full = gpu.dynamic_w * gpu.load_frac
    allowed = (law.limit_c - gpu.plate_c) * through + control * (law.limit_c - gpu.temp_c)
    base = law.static_w + leaking
    most = np.minimum((law.cap_w - base) * gpu.load_frac, allowed - base)
    ceiling = full * gpu.ceiling_x
    active = np.maximum(np.minimum(ceiling, most), full * law.floor_power_frac)
    gpu.clock_frac[:] = (active / full) ** np.float32(0.4)
    gpu.power_w[:] = gpu.on_frac * (base + np.minimum(active, ceiling))
    flow = (gpu.temp_c - gpu.plate_c) * through
    heat = (gpu.plate_c - inlet_c) * outward
    plates = (flow - heat) / law.plate_j_per_k
    rise = np.maximum((gpu.power_w - flow) / law.package_j_per_k, plates)
    case.rack_w[:] = np.add.reduceat(gpu.power_w, starts)
    case.node_clock[:] = gpu.clock_frac.reshape(-1, 8).min(axis=1)
    case.node_mean_clock[:] = gpu.clock_frac.reshape(-1, 8).mean(axis=1)
    units = case.coolant.first_gpu[case.coolant.first_rack[:-1]]
    sums.power_w[:] = np.add.reduceat(case.rack_w, case.coolant.first_rack[:-1])
    sums.heat_w[:] = np.add.reduceat(heat, units)
    sums.rise_k_per_s_max[:] = np.maximum.reduceat(rise, units)
    sums.package_c_max[:] = np.maximum.reduceat(gpu.temp_c, units)
    cap = base + (law.cap_w - base) * gpu.load_frac
    floor, free = base + full * law.floor_power_frac, base + ceiling
    throttled = (allowed < np.minimum(cap, free)) & (allowed > floor) & (gpu.on_frac > 0.5)
    capped = (cap < np.minimum(allowed, free)) & (cap > floor)
    own = gpu.on_frac * leaking * law.leak_fold_per_k * _steeper(case, inlet_c, ramp, plate)
    own = np.where(capped, own * (1 - gpu.load_frac), own)
    own = np.where(throttled, -control, own)
    cross = np.where(throttled, -through, np.float32(0))
    energy_j, heat_j = _advance(case, own, cross, outward, inlet_c, ramp)
    case.rack_j[:] = np.add.reduceat(energy_j, starts)
    sums.heat_j[:] = np.add.reduceat(heat_j, units)


def _steeper(case: Case, inlet_c: Real, ramp_k_per_s: Real, film: Real) -> Real:
    """How much steeper than its tangent leakage is over the step."""
    gpu, law = case.gpu, case.law
    settled = -np.expm1(-STEP_S * film / (law.package_j_per_k + law.plate_j_per_k))
    through_k_per_w = law.package_plate_k_per_w + 1 / (gpu.conductance_x * film)
    rest_c = inlet_c + ramp_k_per_s * np.float32(STEP_S) + gpu.power_w * through_k_per_w
    x = np.clip((rest_c - gpu.temp_c) * settled * law.leak_fold_per_k, -1, 1)
    steeper: Real = 1 + x * ((2 + settled) / 6 + x * (1 + settled) / 12)
    return steeper


def _per_gpu(case: Case, column: Real) -> Real:
    rows = np.diff(case.coolant.first_gpu[case.coolant.first_rack])
    return np.repeat(column, rows)


def _advance(
    case: Case, own: Real, cross: Real, outward: Real, inlet_c: Real, ramp_k_per_s: Real
) -> tuple[Real, Real]:
    """Exact step of x' = A x + b + r t, P = p0 + own T + cross T_plate; energy and heat, J."""
    gpu, law, dt = case.gpu, case.law, np.float32(STEP_S)
    half = np.float32(0.5)
    through = 1 / law.package_plate_k_per_w
    p0 = gpu.power_w - own * gpu.temp_c - cross * gpu.plate_c
    a11, a12 = (own - through) / law.package_j_per_k, (through + cross) / law.package_j_per_k
    a21, a22 = through / law.plate_j_per_k, -(through + outward) / law.plate_j_per_k
    b1, b2 = p0 / law.package_j_per_k, inlet_c * outward / law.plate_j_per_k
    ramp = ramp_k_per_s * outward / law.plate_j_per_k
    det = a11 * a22 - a12 * a21
    v1, v2 = a12 * ramp / det, -a11 * ramp / det
    c1, c2 = v1 - b1, v2 - b2
    u1, u2 = (a22 * c1 - a12 * c2) / det, (a11 * c2 - a21 * c1) / det
    mean, gap = half * (a11 + a22), half * (a11 - a22)
    split = np.sqrt(gap * gap + a12 * a21)
    fast, slow = np.exp((mean - split) * dt), np.exp((mean + split) * dt)
    even, odd = half * (slow + fast), half * (slow - fast) / split
    y1, y2 = gpu.temp_c - u1, gpu.plate_c - u2
    s1 = even * y1 + odd * (gap * y1 + a12 * y2)
    s2 = even * y2 + odd * (a21 * y1 - gap * y2)
    gpu.temp_c[:] = u1 + v1 * dt + s1
    gpu.plate_c[:] = u2 + v2 * dt + s2
    d1, d2 = s1 - y1, s2 - y2
    sum1 = (u1 + half * v1 * dt) * dt + (a22 * d1 - a12 * d2) / det
    sum2 = (u2 + half * v2 * dt) * dt + (a11 * d2 - a21 * d1) / det
    heat_j = (sum2 - (inlet_c + half * ramp_k_per_s * dt) * dt) * outward
    return p0 * dt + own * sum1 + cross * sum2, heat_j
