"""Elementary functions that vectorise, in the precision of their argument.

Valid: `exp` for arguments of -87 to 80, `power_2_5ths` for 0.0085 to 1.1.
Accuracy: relative, against the exact value: `exp` 1e-6 in float32, 4e-6 beyond +-10, and 1e-8 in
float64; `power_2_5ths` 6e-7 in float32 and 4e-7 in float64, both 2e-4 below 0.012.
Source: Taylor polynomial of degree 7 after reduction to +-ln(2)/2; one step of Newton's method for
the fifth root of a square, from a polynomial of degree 5 in the square root (fitted to 4e-4).
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from dcsim.kernel import kernel


def power_of_two(n: Any) -> Any:
    """Return 2**n for a whole n, by writing the exponent bits."""
    return 2.0**n


@overload(power_of_two)
def _power_of_two(n: Any) -> Any:
    def single(n: Any) -> Any:
        bits = (np.int32(n) + np.int32(127)) << np.int32(23)
        return np.int32(bits).view(np.float32)

    def double(n: Any) -> Any:
        bits = (np.int64(n) + np.int64(1023)) << np.int64(52)
        return np.int64(bits).view(np.float64)

    return single if n == types.float32 else double


@kernel
def exp(x: Any, real: Any, magic: Any) -> Any:
    """Return e**x; *real* converts to the precision of x, *magic* rounds to a whole number."""
    z = x * real(1.4426950408889634)
    n = (z + magic) - magic
    r = (z - n) * real(0.6931471805599453)
    # Estrin's order: half the latency of Horner's.
    r2 = r * r
    low = (real(1) + r) + r2 * (real(1 / 2) + r * real(1 / 6))
    high = (real(1 / 24) + r * real(1 / 120)) + r2 * (real(1 / 720) + r * real(1 / 5040))
    p = low + (r2 * r2) * high
    return p * power_of_two(n)


@kernel
def power_2_5ths(x: Any, real: Any) -> Any:
    """Return x**0.4; *real* converts to the precision of x."""
    root = np.sqrt(x)
    high = real(1.79184146) + root * (real(-1.33796922) + root * real(0.40344325))
    y = real(0.02333525) + root * real(1.47233649) + x * (real(-1.35324660) + root * high)
    y2 = y * y
    y4 = y2 * y2
    return y - (y4 * y - x * x) / (real(5) * y4)


@kernel
def magic_of(item_byte: int) -> float:
    """Return 1.5 * 2**(mantissa bits): adding and subtracting it rounds to a whole number."""
    return 12582912.0 if item_byte == 4 else 6755399441055744.0


@kernel
def scratch(rows_count: int, width: int, like: Any) -> Any:
    """Return uninitialised rows of at least *width*, each on a 64-byte boundary.

    A vector that straddles two cache lines costs twice: the same holds for the columns of the
    world, see `world.columns.aligned`.
    """
    pitch = (width + 15) // 16 * 16
    buffer = np.empty(rows_count * pitch + 16, like.dtype)
    skip = (-buffer.ctypes.data) % 64 // like.itemsize
    return buffer[skip : skip + rows_count * pitch].reshape((rows_count, pitch))


@kernel(reduction=True)
def total(column: Any) -> float:
    """Return the sum of a contiguous slice, in its own precision, as float64."""
    acc = column.dtype.type(0)
    for i in range(column.shape[0]):
        acc += column[i]
    return np.float64(acc)


@kernel(reduction=True)
def lowest_of_nodes(column: Any, lowest: Any) -> None:
    """Write the minimum of each node's GPUs, 8 or 4 of them; shapes (8 n,) or (4 n,), and (n,)."""
    eight = column.shape[0] == 8 * lowest.shape[0]
    for i in range(lowest.shape[0]):
        k = 8 * i if eight else 4 * i
        low = min(min(column[k], column[k + 1]), min(column[k + 2], column[k + 3]))
        if eight:
            high = min(min(column[k + 4], column[k + 5]), min(column[k + 6], column[k + 7]))
            low = min(low, high)
        lowest[i] = low


@kernel(reduction=True)
def mean_of_nodes(column: Any, mean: Any) -> None:
    """Write the mean of each node's GPUs, 8 or 4 of them; shapes (8 n,) or (4 n,), and (n,)."""
    eight = column.shape[0] == 8 * mean.shape[0]
    part = column.dtype.type(0.125 if eight else 0.25)
    for i in range(mean.shape[0]):
        k = 8 * i if eight else 4 * i
        whole = (column[k] + column[k + 1]) + (column[k + 2] + column[k + 3])
        if eight:
            whole += (column[k + 4] + column[k + 5]) + (column[k + 6] + column[k + 7])
        mean[i] = whole * part


@kernel(reduction=True)
def largest(column: Any) -> float:
    """Return the maximum of a contiguous slice of at least one entry, as float64."""
    most = column[0]
    eights = column.shape[0] // 8
    for i in range(eights):
        k = 8 * i
        low = max(max(column[k], column[k + 1]), max(column[k + 2], column[k + 3]))
        high = max(max(column[k + 4], column[k + 5]), max(column[k + 6], column[k + 7]))
        most = max(most, max(low, high))
    for i in range(8 * eights, column.shape[0]):
        most = max(most, column[i])
    return float(most)


@kernel
def gone_s(rate_per_s: float, dt_s: float) -> float:
    """Return the integral over *dt_s* of what dies away at this rate, starting from 1 [s]."""
    rate = rate_per_s if abs(rate_per_s) > 1e-9 else 1e-9
    return float(-np.expm1(-rate * dt_s) / rate)


@kernel
def died_s2(rate_per_s: float, dt_s: float) -> float:
    """Return the integral over *dt_s* of `gone_s` [s2]."""
    rate = rate_per_s if abs(rate_per_s) > 1e-6 else 1e-6
    return float((dt_s - gone_s(rate, dt_s)) / rate)
