"""Candidates of failures: points of a Poisson process in (time, hazard), drawn in strips.

The hazard axis of each cause is cut into fixed strips, the first as high as its base rate and
each further one as high as all below it; the time axis is cut into blocks of ten days. Each
(cause, strip, thing, block) has draws of its own, so that a higher hazard adds strips, a longer
run blocks and a further thing its own points, and none of them moves a point. What lies below
a thing's hazard is a candidate; its mark is how high it lies.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcsim.catalog import YEAR_S, FailureClass
from dcsim.draws import Points, normals, poisson_points, uniforms
from dcsim.inputs.records import NS_PER_S, PHASE_DRAWS_COUNT, Fail, Record

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

BLOCK_S = 10 * 86400.0
_BLOCK_NS = int(BLOCK_S) * NS_PER_S
_STRIP_POINTS_MOST = 50.0  # expected in a block: strips stop growing there


class Things(NamedTuple):
    """What exists at a site, by kind, and how much more often than its class each thing fails."""

    site: str
    counts: Mapping[str, int]
    hazard_x: Mapping[str, F64]  # shape (counts[kind],); 1 for a kind that is not in it


class _Draw(NamedTuple):
    """Whose draws: the first arguments of those in `dcsim.draws`."""

    seed: int
    stream: str
    prefix: str


def draw_failures(
    seed: int, classes: tuple[FailureClass, ...], scale: float, things: Things, duration_s: float
) -> list[Record]:
    """Return the candidates at one site within *duration_s*, its hazards times *scale*.

    They are in no particular order. Raises ValueError for a hazard that is no finite number.
    """
    return [
        record
        for cause in classes
        if cause.per_year > 0
        for record in _candidates(seed, cause, scale, things, duration_s)
    ]


def _candidates(
    seed: int, cause: FailureClass, scale: float, things: Things, duration_s: float
) -> Iterator[Record]:
    """Yield the candidates of one cause, strip by strip."""
    prefix = f"{things.site}/{cause.component}"
    count = things.counts.get(cause.component, 0)
    hazard = scale * things.hazard_x.get(cause.component, np.ones(count))
    if hazard.shape != (count,) or not np.isfinite(hazard).all():
        raise ValueError(f"{prefix}: {count} finite hazards are needed")
    blocks = math.ceil(duration_s / BLOCK_S)
    mean_count = cause.per_year * BLOCK_S / YEAR_S
    reached = np.arange(count)
    for number, (bottom, height) in enumerate(_strips(mean_count)):
        reached = reached[hazard[reached] > bottom]
        if not reached.size:
            return
        draw = _Draw(seed, f"failures/{cause.name}/{number}", prefix)
        points = poisson_points(*draw, reached, blocks, height * mean_count)
        mark_x = bottom + height * points.height_frac
        before_end = _t_ns(points) < duration_s * NS_PER_S
        kept = np.flatnonzero((mark_x < hazard[points.thing]) & before_end)
        mark_per_s = mark_x[kept] * cause.per_year / YEAR_S
        yield from _records(draw, cause, points.rows(kept), mark_per_s)


def _strips(mean_count: float) -> Iterator[tuple[float, float]]:
    """Yield bottom and height of each strip, in base rates, from the lowest up.

    *mean_count* is how many points are expected in a block at the base rate.
    """
    bottom, height = 0.0, 1.0
    while True:
        yield bottom, height
        bottom += height
        if bottom * mean_count <= _STRIP_POINTS_MOST:
            height = bottom


def _records(draw: _Draw, cause: FailureClass, points: Points, mark_per_s: F64) -> Iterator[Record]:
    """Yield a record for each of the points of one strip, with its marks."""
    seed, stream, prefix = draw
    thing, ordinal = points.thing, points.ordinal
    repair_z = normals(seed, f"{stream}/repair", prefix, thing, ordinal)
    repair_s = cause.repair_median_s * np.exp(cause.repair_sigma * repair_z)
    phases = PHASE_DRAWS_COUNT * ordinal[:, None] + np.arange(PHASE_DRAWS_COUNT)
    u = uniforms(seed, f"{stream}/phases", prefix, thing[:, None], phases)
    columns = (thing, _t_ns(points), mark_per_s, repair_s, u)
    for i, t_ns, mark, repair, phase_u in zip(*(c.tolist() for c in columns), strict=True):
        fail = Fail(
            cause=cause.name,
            action=cause.action,
            mark_per_s=mark,
            repair_s=repair,
            u=tuple(phase_u),
        )
        yield fail.at(t_ns, f"{prefix}/{i}")


def _t_ns(points: Points) -> I64:
    """Return the times of the points, since the start."""
    return points.cell * _BLOCK_NS + (points.at_frac * _BLOCK_NS).astype(np.int64)
