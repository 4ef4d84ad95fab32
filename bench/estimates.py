"""What an estimate of training takes on one core, in a table and in a plan, beside its limit."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.table import Row
from dcsim.workload.estimate import table
from dcsim.workload.plan import ranked

ROWS_COUNT = 100_000
EACH_MOST_US = 2.0
PLAN_MOST_S = 2.0
REPEATS = 5
PLAN: dict[str, Any] = {"model": "llama3-405b", "gpus": 16_384, "gbs": 2048, "seq": 8192}


def rows() -> Iterator[Row]:
    """A table of mixed layouts on one system, one of mixed models and GPUs, and a plan."""
    one, many = columns()
    for what, each in (("estimate, one system", one), ("estimate, six systems", many)):
        each_us = best_s(table, each) / ROWS_COUNT * 1e6
        yield Row(what, each_us, "us", "limit", EACH_MOST_US, 1.0)
    yield Row("plan of 405B on 16,384", best_s(ranked, PLAN), "s", "limit", PLAN_MOST_S, 1.0)


def columns() -> tuple[dict[str, Any], dict[str, Any]]:
    """Two tables of legal layouts."""
    draw = np.random.default_rng(0)

    def some(*values: Any) -> Any:
        return draw.choice(np.array(values), ROWS_COUNT)

    counts = {"gpus": some(64, 128, 1024), "tp": some(1, 2, 4, 8), "pp": some(1, 2, 4, 8)}
    counts |= {"mbs": some(1, 2), "gbs": np.full(ROWS_COUNT, 2048)}
    models, gpus = some("llama3-8b", "llama3-70b", "gpt3-175b"), some("h100-sxm", "a100-80-sxm")
    return counts | {"model": "llama3-70b"}, counts | {"model": models, "gpu": gpus}


def best_s(call: Callable[[Any], object], argument: Any) -> float:
    """The shortest of a few runs."""
    times = []
    for _ in range(REPEATS):
        began_s = time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - began_s)
    return min(times)
