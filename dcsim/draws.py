"""Keyed random draws: each is a pure function of (seed, stream, thing, ordinal).

There is no shared cursor: adding a thing or a draw moves no other. The generator is
Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011). Its key
is a hash of seed, stream and the prefix of the thing's name, its counter the thing's index and
the ordinal of the draw.
"""

import hashlib
import json
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcsim.kernel import kernel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10
_MULTIPLY_0 = np.uint64(0xD2511F53)
_MULTIPLY_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_LOW_BITS = np.uint64(12)
_STEP = 2.0**-52

# Wichura, algorithm AS 241 (PPND16), Applied Statistics 37, 1988; highest power first.
_CENTRE_OVER = (
    2509.0809287301226727,
    33430.575583588128105,
    67265.770927008700853,
    45921.953931549871457,
    13731.693765509461125,
    1971.5909503065514427,
    133.14166789178437745,
    3.387132872796366608,
)
_CENTRE_UNDER = (
    5226.495278852854561,
    28729.085735721942674,
    39307.89580009271061,
    21213.794301586595867,
    5394.1960214247511077,
    687.1870074920579083,
    42.313330701600911252,
    1.0,
)
_TAIL_OVER = (
    7.7454501427834140764e-4,
    0.0227238449892691845833,
    0.24178072517745061177,
    1.27045825245236838258,
    3.64784832476320460504,
    5.7694972214606914055,
    4.6303378461565452959,
    1.42343711074968357734,
)
_TAIL_UNDER = (
    1.05075007164441684324e-9,
    5.475938084995344946e-4,
    0.0151986665636164571966,
    0.14810397642748007459,
    0.68976733498510000455,
    1.6763848301838038494,
    2.05319162663775882187,
    1.0,
)
_FAR_OVER = (
    2.01033439929228813265e-7,
    2.71155556874348757815e-5,
    0.0012426609473880784386,
    0.026532189526576123093,
    0.29656057182850489123,
    1.7848265399172913358,
    5.4637849111641143699,
    6.6579046435011037772,
)
_FAR_UNDER = (
    2.04426310338993978564e-15,
    1.4215117583164458887e-7,
    1.8463183175100546818e-5,
    7.868691311456132591e-4,
    0.0148753612908506148525,
    0.13692988092273580531,
    0.59983220655588793769,
    1.0,
)

_NO_INDEX = -1  # of a thing whose name does not end in a number
_POINTS_MAX = 1024  # per cell, including the count: 2^10 ordinals are set aside for each


@kernel
def philox(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> Words:
    """Return four random 32-bit words for the counter (c0..c3) and the key (k0, k1).

    Each word is the lower half of a uint64.
    """
    for _ in range(_ROUNDS):
        even = _MULTIPLY_0 * c0
        odd = _MULTIPLY_1 * c2
        c0 = (odd >> _HALF) ^ c1 ^ k0
        c1 = odd & _WORD
        c2 = (even >> _HALF) ^ c3 ^ k1
        c3 = even & _WORD
        k0 = (k0 + _WEYL_0) & _WORD
        k1 = (k1 + _WEYL_1) & _WORD
    return c0, c1, c2, c3


@kernel
def _fraction(high: np.uint64, low: np.uint64) -> float:
    """Return a number from the 52 leading bits of two words, strictly between 0 and 1."""
    return (((high << _HALF) | low) >> _LOW_BITS) * _STEP + 0.5 * _STEP


@kernel
def _pair(key: np.uint64, index: int, ordinal: int) -> tuple[float, float]:
    """Return two independent uniforms in (0, 1) for one counter."""
    i = np.uint64(index)
    n = np.uint64(ordinal)
    w = philox(i & _WORD, i >> _HALF, n & _WORD, n >> _HALF, key & _WORD, key >> _HALF)
    return _fraction(w[0], w[1]), _fraction(w[2], w[3])


@kernel
def _horner(coefficients: tuple[float, ...], x: float) -> float:
    """Return the polynomial in x whose coefficients are given from the highest power down."""
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


@kernel
def normal_quantile(u: float) -> float:
    """Return the standard normal number below which a share *u* of all lies.

    Valid for 0 < u < 1; relative error about 1e-15 (AS 241).
    """
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _horner(_CENTRE_OVER, r) / _horner(_CENTRE_UNDER, r)
    r = math.sqrt(-math.log(min(u, 1.0 - u)))
    if r <= 5.0:
        z = _horner(_TAIL_OVER, r - 1.6) / _horner(_TAIL_UNDER, r - 1.6)
    else:
        z = _horner(_FAR_OVER, r - 5.0) / _horner(_FAR_UNDER, r - 5.0)
    return math.copysign(z, q)


@kernel
def _to_normal(values: F64) -> None:
    """Replace uniforms by the standard normals of the same rank, in place."""
    for i in range(values.size):
        values[i] = normal_quantile(values[i])


@kernel
def _fill(key: np.uint64, indices: I64, ordinals: I64, out: F64) -> None:
    """Write the uniform of each (index, ordinal) into *out*; all have the same length."""
    for i in range(out.size):
        out[i] = _pair(key, indices[i], ordinals[i])[0]


def key(seed: int, stream: str, prefix: str) -> np.uint64:
    """Return the generator's key for the things below *prefix*, such as `dallas/gpu`."""
    text = json.dumps([seed, stream, prefix])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def uniforms(seed: int, stream: str, prefix: str, indices: I64, ordinals: int | I64 = 0) -> F64:
    """Return a uniform number strictly between 0 and 1 for each thing `<prefix>/<index>`.

    *indices* and *ordinals* are int64 arrays, or an int for all; they are broadcast to the
    shape of the answer, at least (1,).
    """
    index, ordinal = np.broadcast_arrays(
        np.atleast_1d(np.asarray(indices, np.int64)), np.asarray(ordinals, np.int64)
    )
    out = np.empty(index.size, np.float64)
    _fill(key(seed, stream, prefix), np.ravel(index).copy(), np.ravel(ordinal).copy(), out)
    return out.reshape(index.shape)


def uniform(seed: int, stream: str, name: str, ordinal: int = 0) -> float:
    """Return a uniform number strictly between 0 and 1 for one thing.

    For the name `dallas/gpu/17` it equals that of `uniforms` for `dallas/gpu` and index 17.
    """
    prefix, _, last = name.rpartition("/")
    numbered = prefix and last.isascii() and last.isdigit() and str(int(last)) == last
    if not numbered:
        prefix, last = name, str(_NO_INDEX)
    return float(uniforms(seed, stream, prefix, np.array([int(last)]), ordinal)[0])


def normals(seed: int, stream: str, prefix: str, indices: I64, ordinals: int | I64 = 0) -> F64:
    """Return a standard normal number for each thing `<prefix>/<index>`.

    It is the inverse normal of the number that `uniforms` returns for the same arguments.
    """
    values = uniforms(seed, stream, prefix, indices, ordinals)
    _to_normal(values.reshape(-1))
    return values


def normal(seed: int, stream: str, name: str, ordinal: int = 0) -> float:
    """Return a standard normal number for one thing, named as for `uniform`."""
    return normal_quantile(uniform(seed, stream, name, ordinal))


class Points(NamedTuple):
    """The points of a Poisson process in (cell, height), one row per point, shape (points,)."""

    thing: I64  # index
    cell: I64
    ordinal: I64  # of the point: unique among those of its thing
    at_frac: F64  # place within the cell, 0..1
    height_frac: F64  # height within the strip, 0..1

    def rows(self, which: I64 | slice) -> "Points":
        """Return some of the points: their rows, or a slice of them."""
        return Points(
            self.thing[which],
            self.cell[which],
            self.ordinal[which],
            self.at_frac[which],
            self.height_frac[which],
        )


@kernel
def _scatter(key: np.uint64, indices: I64, cells: int, mean_count: float, out: Points) -> int:
    """Fill *out* with points as far as it reaches and return how many there are."""
    none = math.exp(-mean_count)
    total = 0
    for i in range(indices.size):
        for cell in range(cells):
            first = cell * _POINTS_MAX
            u = _pair(key, indices[i], first)[0]
            probability = none
            below = none
            count = 0
            while u >= below and count < _POINTS_MAX - 1:
                count += 1
                probability *= mean_count / count
                below += probability
                if total < out.thing.size:
                    out.thing[total] = indices[i]
                    out.cell[total] = cell
                    out.ordinal[total] = first + count
                    place = _pair(key, indices[i], first + count)
                    out.at_frac[total] = place[0]
                    out.height_frac[total] = place[1]
                total += 1
    return total


def poisson_points(
    seed: int, stream: str, prefix: str, indices: I64, cells: int, mean_count: float
) -> Points:
    """Scatter on average *mean_count* points over each cell of each thing `<prefix>/<index>`.

    The points of a (thing, cell) depend on no other thing or cell. They are ordered by the
    position of the thing in *indices* (int64), then by cell. Raises ValueError unless
    0 <= mean_count <= 100: the count is found by summing probabilities.
    """
    if not 0.0 <= mean_count <= 100.0:
        raise ValueError(f"mean_count = {mean_count}: allowed 0..100")
    cell_count = indices.size * cells
    room = int(mean_count * cell_count + 8 * math.sqrt(mean_count * cell_count)) + 8
    generator_key = key(seed, stream, prefix)
    while True:
        thing, cell, ordinal = np.empty((3, room), np.int64)
        at_frac, height_frac = np.empty((2, room), np.float64)
        points = Points(thing, cell, ordinal, at_frac, height_frac)
        total = _scatter(generator_key, indices, cells, mean_count, points)
        if total <= room:
            return points.rows(slice(total))
        room = total
