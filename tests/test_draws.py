"""Keyed draws: known answers, independence from order and company, distributions."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dcsim import draws

# Random123 1.14, tests/kat_vectors, "philox4x32 10": counter, key, answer.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip

N = np.arange(100_000)


def words(text: str) -> list[np.uint64]:
    return [np.uint64(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize("function", [draws.philox, draws.philox.py_func])
@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_published_answers(function, counter, key, answer) -> None:
    assert list(function(*words(counter), *words(key))) == words(answer)


def test_counter_is_the_index_then_the_ordinal() -> None:
    key = draws.key(7, "s", "dallas/gpu")
    c = [5, 2, 9, 1]
    w = draws.philox(*(np.uint64(x) for x in c), key & draws._WORD, key >> np.uint64(32))
    expected = (((int(w[0]) << 32 | int(w[1])) >> 12) + 0.5) / 2**52
    index, ordinal = 5 + 2 * 2**32, 9 + 2**32
    assert draws.uniforms(7, "s", "dallas/gpu", np.array([index]), ordinal)[0] == expected


def test_extreme_words_stay_strictly_inside_the_unit_interval() -> None:
    zero, ones = np.uint64(0), np.uint64(0xFFFFFFFF)
    assert draws._fraction(zero, zero) == 2.0**-53
    assert draws._fraction(ones, ones) == 1.0 - 2.0**-53


def test_draws_never_change() -> None:
    """Frozen: another value here changes every recorded run."""
    assert draws.uniform(0, "spread", "dallas/gpu/0") == 0.6920862997410752
    assert draws.normal(7, "spread", "dallas/gpu/199999", 3) == -1.9239925323895415


@given(st.integers(0, 2**70), st.text(max_size=8), st.integers(0, 2**40), st.integers(0, 2**62))
@settings(max_examples=50, deadline=None)
def test_scalar_equals_batch(seed: int, stream: str, index: int, ordinal: int) -> None:
    batch = draws.uniforms(seed, stream, "a/gpu", np.array([index, 3]), ordinal)
    assert draws.uniform(seed, stream, f"a/gpu/{index}", ordinal) == batch[0]
    assert draws.normal(seed, stream, f"a/gpu/{index}", ordinal) == draws.normals(
        seed, stream, "a/gpu", np.array([index]), ordinal
    )


def test_order_and_company_move_nothing() -> None:
    few = draws.uniforms(1, "s", "a/gpu", N[:100])
    assert (draws.uniforms(1, "s", "a/gpu", N)[:100] == few).all()
    assert (draws.uniforms(1, "s", "a/gpu", N[:100][::-1])[::-1] == few).all()


def test_indices_and_ordinals_broadcast() -> None:
    table = draws.uniforms(1, "s", "a/gpu", N[:5, None], N[None, :3])
    assert table.shape == (5, 3)
    assert (table[:, 2] == draws.uniforms(1, "s", "a/gpu", N[:5], 2)).all()


def test_names_that_differ_draw_differently() -> None:
    names = ["a/gpu/1", "a/gpu/01", "a/gpu/10", "a/gpu", "a/gpu/", "a", "1", "a/gpu/-1", "a/gpu/²"]
    assert len({draws.uniform(1, "s", name) for name in names}) == len(names)
    others = {draws.uniform(2, "s", "a"), draws.uniform(1, "t", "a"), draws.uniform(1, "s", "a", 1)}
    assert len(others | {draws.uniform(1, "s", "a")}) == 4


def test_uniforms_are_uniform_and_uncorrelated() -> None:
    u = draws.uniforms(3, "s", "a/gpu", N)
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    relatives = [
        draws.uniforms(3, "s", "a/gpu", N, 1),
        draws.uniforms(3, "s", "a/gpu", N + 1),
        draws.uniforms(4, "s", "a/gpu", N),
        draws.uniforms(3, "t", "a/gpu", N),
    ]
    for other in relatives:
        assert abs(np.corrcoef(u, other)[0, 1]) < 4 / math.sqrt(N.size)


def test_normals_are_normal() -> None:
    z = draws.normals(3, "s", "a/gpu", N)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs(z.mean()) < 4 / math.sqrt(N.size)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / N.size)


@given(st.floats(2.0**-53, 1 - 2.0**-53))
@settings(deadline=None)
def test_normal_quantile_agrees_with_the_standard_library(u: float) -> None:
    expected = NormalDist().inv_cdf(u)
    assert draws.normal_quantile(u) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert draws.normal_quantile.py_func(u) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("mean_count", [0.004, 0.7, 20.0])
def test_poisson_counts_follow_the_law(mean_count: float) -> None:
    things, cells = 2000, 10
    points = draws.poisson_points(5, "s", "a/gpu", N[:things], cells, mean_count)
    counts = np.bincount(points.thing * cells + points.cell, minlength=things * cells)
    expected = mean_count * things * cells
    assert abs(counts.sum() - expected) < 4 * math.sqrt(expected)
    wild = math.sqrt((mean_count + 2 * mean_count**2) / counts.size)
    assert abs(counts.var() - mean_count) < 4 * wild


def test_points_are_scattered_evenly() -> None:
    points = draws.poisson_points(5, "s", "a/gpu", N[:2000], 3, 2.0)
    for values in (points.at_frac, points.height_frac):
        assert stats.kstest(values, "uniform").pvalue > 1e-3
    correlation = np.corrcoef(points.at_frac, points.height_frac)[0, 1]
    assert abs(correlation) < 4 / math.sqrt(points.thing.size)


def test_points_of_a_thing_ignore_other_things_and_cells() -> None:
    alone = draws.poisson_points(5, "s", "a/gpu", np.array([17]), 2, 3.0)
    together = draws.poisson_points(5, "s", "a/gpu", N[:50], 4, 3.0)
    mine = (together.thing == 17) & (together.cell < 2)
    for one, many in zip(alone, together, strict=True):
        assert (one == many[mine]).all()


def test_points_have_ordinals_of_their_own() -> None:
    points = draws.poisson_points(5, "s", "a/gpu", N[:20], 4, 30.0)
    assert len(set(zip(points.thing, points.ordinal, strict=True))) == points.thing.size
    assert np.unique(points.at_frac).size == np.unique(points.height_frac).size == points.thing.size


def test_no_mean_no_points() -> None:
    assert draws.poisson_points(5, "s", "a/gpu", N, 4, 0.0).thing.size == 0
    assert draws.poisson_points(5, "s", "a/gpu", N[:0], 4, 1.0).thing.size == 0


@pytest.mark.parametrize("mean_count", [-1.0, 101.0, math.nan])
def test_impossible_mean_is_refused(mean_count: float) -> None:
    with pytest.raises(ValueError, match=r"allowed 0\.\.100"):
        draws.poisson_points(5, "s", "a/gpu", N, 4, mean_count)
