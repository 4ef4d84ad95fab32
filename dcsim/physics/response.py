"""How package and plate answer to power and coolant over a step: the exact solution.

    x' = A x + b + r t,   x = (T_j, T_c),   P = constant + by_package T_j + by_plate T_c

With the slope c = A x + b at the start,

    x(t) = x + t phi_1(A t) c + t^2 phi_2(A t) r,   its integral x t + t^2 phi_2 c + t^3 phi_3 r,
    phi_0(z) = e^z,   phi_k+1(z) = (phi_k(z) - 1/k!) / z,

each phi of the matrix by its two real eigenvalues. The slower one is positive where leakage grows
faster than the coolant takes heat away; nothing is special where it is zero. Energy in and heat out
are separate integrals.

Valid: power linear in both temperatures, the coolant a ramp.
Accuracy: against the matrix exponential 1e-5 of the rise in float32, 1e-7 in float64; energy in =
heat out + heat stored to rounding.
Source: Hochbruck and Ostermann, Exponential integrators, Acta Numerica 2010.
"""

from typing import Any

import numpy as np

from dcsim.kernel import kernel
from dcsim.physics.elementary import exp, magic_of


@kernel
def phis(z: Any, real: Any, magic: Any) -> Any:
    """Return phi_1, phi_2 and phi_3 of z; by their series where |z| < 1, else from e**z."""
    near = z if abs(z) < real(1) else real(0)
    s = real(1 / 40320) + near * (real(1 / 362880) + near * real(1 / 3628800))
    s = real(1 / 720) + near * (real(1 / 5040) + near * s)
    s3 = real(1 / 6) + near * (real(1 / 24) + near * (real(1 / 120) + near * s))
    s2 = real(1 / 2) + near * s3
    s1 = real(1) + near * s2
    far = z if abs(z) >= real(1) else real(-1)
    per_far = real(1) / far
    e1 = (exp(max(far, real(-80)), real, magic) - real(1)) * per_far
    e2 = (e1 - real(1)) * per_far
    e3 = (e2 - real(1 / 2)) * per_far
    series = abs(z) < real(1)
    return (s1 if series else e1), (s2 if series else e2), (s3 if series else e3)


@kernel
def advance_slice(
    temp: Any,
    plate: Any,
    conductance: Any,
    constant: Any,
    by_package: Any,
    by_plate: Any,
    energy: Any,
    heat: Any,
    law: Any,
    inlet_c: Any,
    inlet_k_per_s: Any,
    film: Any,
    dt_s: Any,
) -> None:
    """Advance both temperatures of one group by *dt_s*; write energy in and heat out [J].

    *law* is a `GpuLaw`, the shape of the columns (n,).
    """
    real = temp.dtype.type
    magic = real(magic_of(temp.itemsize))
    half = real(0.5)
    through = real(1) / law.package_plate_k_per_w
    per_package = real(1) / law.package_j_per_k
    per_plate = real(1) / law.plate_j_per_k
    inlet_k_s = (inlet_c + half * inlet_k_per_s * dt_s) * dt_s
    a21 = through * per_plate
    for i in range(temp.shape[0]):
        out = conductance[i] * film
        a11 = (by_package[i] - through) * per_package
        a12 = (through + by_plate[i]) * per_package
        a22 = -(through + out) * per_plate
        power = constant[i] + by_package[i] * temp[i] + by_plate[i] * plate[i]
        flow = (temp[i] - plate[i]) * through
        c1 = (power - flow) * per_package
        c2 = (flow - (plate[i] - inlet_c) * out) * per_plate
        r2 = inlet_k_per_s * out * per_plate * dt_s
        # A = mean + [[gap, a12], [a21, -gap]], with the eigenvalues mean +- split.
        mean = half * (a11 + a22)
        gap = half * (a11 - a22)
        split = max(np.sqrt(gap * gap + a12 * a21), real(1e-3))
        slow1, slow2, slow3 = phis((mean + split) * dt_s, real, magic)
        fast1, fast2, fast3 = phis((mean - split) * dt_s, real, magic)
        per_split = half / split
        even1, odd1 = half * (slow1 + fast1), (slow1 - fast1) * per_split
        even2, odd2 = half * (slow2 + fast2), (slow2 - fast2) * per_split
        even3, odd3 = half * (slow3 + fast3), (slow3 - fast3) * per_split
        m1 = gap * c1 + a12 * c2
        m2 = a21 * c1 - gap * c2
        rise1 = even1 * c1 + odd1 * m1 + odd2 * a12 * r2
        rise2 = even1 * c2 + odd1 * m2 + (even2 - odd2 * gap) * r2
        area1 = even2 * c1 + odd2 * m1 + odd3 * a12 * r2
        area2 = even2 * c2 + odd2 * m2 + (even3 - odd3 * gap) * r2
        sum1 = (temp[i] + area1 * dt_s) * dt_s
        sum2 = (plate[i] + area2 * dt_s) * dt_s
        energy[i] = constant[i] * dt_s + by_package[i] * sum1 + by_plate[i] * sum2
        heat[i] = (sum2 - inlet_k_s) * out
        temp[i] = temp[i] + rise1 * dt_s
        plate[i] = plate[i] + rise2 * dt_s
