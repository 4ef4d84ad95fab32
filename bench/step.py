"""The per-GPU step (evaluate and advance) by dcsim, C and numpy, and how it grows with GPUs."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.case import Case, make_case
from bench.contenders import Step, c_step, numba_step, numpy_step
from bench.table import Row

GPUS = 200_000
SIZES = (25_000, 50_000, 100_000, 200_000, 400_000, 800_000)
THREADS = (1, 2)
SPAN_S = 1.0
MOST_OVER_C = 1.8
MOST_OVER_NUMPY = 0.2
MOST_GROWTH = 1.5
AGREE_REL = 2e-5
"""Float32 and another order of operations: at most this, relative, between contenders."""


def step_ns(step: Step, case: Case) -> float:
    """Best time of one step, ns per GPU."""
    step(case)
    times_s: list[float] = []
    while sum(times_s) < SPAN_S:
        began_s = time.perf_counter()
        step(case)
        times_s.append(time.perf_counter() - began_s)
    return min(times_s) / case.gpus_count * 1e9


def assert_agreement(one: Step, other: Step) -> None:
    """Both make the same of the same case, in every column and every sum."""
    first, second = make_case(10_000), make_case(10_000)
    one(first)
    other(second)
    for table, twin in ((first.gpu, second.gpu), (first.sums, second.sums)):
        for name, mine, theirs in zip(table._fields, table, twin, strict=True):
            np.testing.assert_allclose(mine, theirs, AGREE_REL, err_msg=name)
    for mine, theirs in zip(first[4:], second[4:], strict=True):
        np.testing.assert_allclose(mine, theirs, AGREE_REL)


def c_step_ns() -> dict[int, float]:
    """C's best time of one step, ns per GPU, by number of threads; empty without a compiler.

    Asserts first that C and dcsim compute the same.
    """
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for threads_count in THREADS:
            step = c_step(Path(folder), threads_count)
            if step is not None:
                assert_agreement(numba_step(threads_count), step)
                found[threads_count] = step_ns(step, make_case(GPUS))
    return found


def rows() -> Iterator[Row]:
    """The step beside C, beside numpy, and beside itself with fewer GPUs."""
    c_ns = c_step_ns()
    for threads_count in THREADS:
        figure = step_ns(numba_step(threads_count), make_case(GPUS))
        what = f"step, {GPUS:,} GPUs, {threads_count} thread(s)"
        if threads_count in c_ns:
            yield Row(what, figure, "ns/GPU", "C", c_ns[threads_count], MOST_OVER_C)
        numpy_ns = step_ns(numpy_step, make_case(GPUS))
        yield Row(what, figure, "ns/GPU", "numpy", numpy_ns, MOST_OVER_NUMPY)
    for step in (numba_step(2), numpy_step):
        assert_agreement(numba_step(1), step)
    least = step_ns(numba_step(1), make_case(SIZES[0]))
    for size in SIZES[1:]:
        figure = step_ns(numba_step(1), make_case(size))
        yield Row(
            f"step, {size:,} GPUs", figure, "ns/GPU", f"{SIZES[0]:,} GPUs", least, MOST_GROWTH
        )
