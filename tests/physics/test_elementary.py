"""The elementary functions against numpy's, in both precisions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim import catalog
from dcsim.kernel import kernel
from dcsim.physics import elementary

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@kernel
def exp_of(x: Any, y: Any) -> None:
    real = x.dtype.type
    magic = real(elementary.magic_of(x.itemsize))
    for i in range(x.shape[0]):
        y[i] = elementary.exp(x[i], real, magic)


@kernel
def power_of(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        y[i] = elementary.power_2_5ths(x[i], x.dtype.type)


def worst(kernel_of: Any, exact: Any, x: np.ndarray) -> float:
    """The largest relative error over *x*."""
    y = np.empty_like(x)
    kernel_of(x, y)
    return float(np.abs(y.astype(np.float64) / exact(x.astype(np.float64)) - 1).max())


@BOTH
def test_exp(dtype):
    x = np.linspace(-87, 80, 200_001).astype(dtype)
    assert worst(exp_of, np.exp, x) < (4e-6 if dtype is np.float32 else 1e-8)
    x = np.linspace(-10, 10, 200_001).astype(dtype)
    assert worst(exp_of, np.exp, x) < (1e-6 if dtype is np.float32 else 1e-8)


@BOTH
def test_power_2_5ths(dtype):
    def exact(x: np.ndarray) -> np.ndarray:
        return x**0.4

    assert worst(power_of, exact, np.linspace(0.012, 1.1, 200_001).astype(dtype)) < 6e-7
    assert worst(power_of, exact, np.linspace(0.0085, 0.012, 1001).astype(dtype)) < 2e-4


def test_every_gpu_of_the_catalogue_has_its_lowest_clock_in_range():
    for name in catalog.names("gpu"):
        sheet = catalog.sheet("gpu", name)
        lowest = (sheet["min_clock_hz"] / sheet["max_clock_hz"]) ** 2.5
        assert 0.0085 <= lowest <= 1.0, name


@BOTH
@given(st.sampled_from([4, 8]), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_reductions(dtype, width, nodes, seed):
    column = np.random.Generator(np.random.PCG64(seed)).uniform(-5, 99, width * nodes)
    column = column.astype(dtype)
    assert elementary.total(column) == pytest.approx(column.sum(dtype=float), rel=1e-5, abs=1e-2)
    assert elementary.largest(column) == column.max()
    lowest, mean = np.empty(nodes, dtype), np.empty(nodes, dtype)
    elementary.lowest_of_nodes(column, lowest)
    elementary.mean_of_nodes(column, mean)
    of_node = column.reshape(-1, width)
    np.testing.assert_array_equal(lowest, of_node.min(axis=1))
    np.testing.assert_allclose(mean, of_node.mean(axis=1), rtol=1e-5, atol=1e-5)


@BOTH
def test_scratch_rows_start_on_a_line_of_the_cache(dtype):
    rows = elementary.scratch(3, 41, np.empty(1, dtype))
    assert rows.shape[0] == 3
    assert rows.shape[1] >= 41
    assert {row.ctypes.data % 64 for row in rows} == {0}
    assert rows.dtype == dtype
