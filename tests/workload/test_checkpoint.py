"""Daly's interval against a search, and what a checkpoint weighs."""

from math import exp, expm1, inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim.catalog import sheet
from dcsim.workload.checkpoint import (
    checkpoint_byte,
    drain_s,
    local_stall_s,
    optimum_interval_s,
)
from dcsim.workload.model import shape_of


def test_405b_weighs_what_mlperf_storage_saves() -> None:
    size = checkpoint_byte(shape_of(sheet("model", "llama3-405b")))
    assert size == pytest.approx(5.29e12, rel=0.08)


@given(stall=st.floats(1e-3, 1e3), mtbf=st.floats(10, 1e7))
def test_no_other_interval_is_better(stall: float, mtbf: float) -> None:
    def cost(interval: float) -> float:
        return expm1((interval + stall) / mtbf) / interval

    best = optimum_interval_s(stall, mtbf)
    assert 0 < best <= mtbf
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert cost(best) <= cost(best * factor)


def test_it_solves_dalys_equation_and_nears_youngs_rule() -> None:
    interval, stall, mtbf = optimum_interval_s(5.0, 900.0), 5.0, 900.0
    share = interval / mtbf
    assert (1 - share) * exp(share) == pytest.approx(exp(-stall / mtbf), rel=1e-12)
    assert optimum_interval_s(1e-3, 1e6) == pytest.approx(sqrt(2 * 1e-3 * 1e6), rel=1e-4)


def test_the_drain_is_the_least_and_without_failures_nothing_is_saved() -> None:
    assert optimum_interval_s(0.2, 900.0, least_s=60.0) == 60
    assert optimum_interval_s(0.0, 900.0, least_s=60.0) == 60
    assert optimum_interval_s(0.2, inf, least_s=60.0) == inf


def test_saving() -> None:
    assert local_stall_s(52e9, 52e9, floor_s=0.2) == 1
    assert local_stall_s(1e6, 52e9, floor_s=0.2) == 0.2
    assert drain_s(100e9, 40e9) == 2.5
