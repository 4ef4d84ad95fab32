"""The live step: against the closed form, in which direction it moves, and its causes' sum."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim.workload import rate
from dcsim.workload.rate import (
    PARTS,
    decompose,
    exposed_dp_s,
    gradients_s,
    step_now,
    uniform_step_s,
    waits_s,
)
from dcsim.workload.step import StepTime

Floats = npt.NDArray[np.floating[Any]]

seconds = st.floats(0, 2)
steps = st.builds(
    StepTime,
    micro_batches=st.integers(1, 64),
    stages=st.just(4),
    interleave=st.integers(1, 8),
    ideal_s=seconds,
    clocked_s=st.floats(0.01, 2),
    head_s=st.sampled_from([0.0, 0.1]),
    mean_clocked_s=st.floats(0.01, 2),
    held_s=seconds,
    tp_s=seconds,
    group_s=seconds,
    pp_s=seconds,
    drain_s=seconds,
    dp_s=seconds,
    dp_tail_frac=st.floats(0, 1),
    dp_window_s=seconds,
    dp_contention_frac=st.floats(0, 1),
    fixed_s=seconds,
    jitter_s=seconds,
)
slowdowns = st.lists(st.floats(1, 5), min_size=12, max_size=12).map(
    lambda values: np.array(values).reshape(3, 4)
)
shares = st.floats(0.05, 1)
STEP = StepTime(
    *(16, 4, 2, 2.0, 0.2, 0.0, 0.19, 0.01, 0.02, 0.0, 0.004, 0.03, 0.4, 0.1, 0.25, 0.2, 0.1, 0.05)
)


def step_at(t: StepTime, slowdown: Floats, dp: float = 1.0, pp: float = 1.0) -> float:
    """The step where all rings of gradients, and all hops of the pipeline, have these shares."""
    hop, whole = np.full(slowdown.shape, pp), np.ones(slowdown.shape)
    ring = np.full(t.stages, dp)
    return float(step_now(t, slowdown, waits_s(t, hop, whole), gradients_s(t, ring)))


@given(steps, st.floats(1, 5))
def test_with_all_gpus_alike_it_is_the_closed_form(t: StepTime, slowdown: float) -> None:
    t = t._replace(head_s=0.0)
    now = step_at(t, np.full((3, 4), slowdown))
    assert now == pytest.approx(uniform_step_s(t, slowdown) + t.jitter_s, rel=1e-12)


@given(steps, slowdowns, shares, shares)
def test_kernels_are_their_python(
    t: StepTime, slowdown: npt.NDArray[np.float64], dp: float, pp: float
) -> None:
    now = step_at(t, slowdown, dp, pp)
    hop, ring = np.linspace(pp, 1, 12).reshape(3, 4), np.linspace(dp, 1, 4)
    wait_s, added_s = waits_s(t, hop, hop[::-1]), gradients_s(t, ring)
    np.testing.assert_allclose(wait_s, waits_s.py_func(t, hop, hop[::-1]), rtol=1e-12)
    assert added_s == pytest.approx(gradients_s.py_func(t, ring), rel=1e-12)
    uneven = step_now(t, slowdown, wait_s, added_s)
    assert uneven == pytest.approx(step_now.py_func(t, slowdown, wait_s, added_s), rel=1e-12)
    assert exposed_dp_s(t, dp) == pytest.approx(exposed_dp_s.py_func(t, dp), rel=1e-12)
    assert uniform_step_s(t, 1.2) == pytest.approx(uniform_step_s.py_func(t, 1.2), rel=1e-12)
    parts = decompose(t, 1.1, 0.9 * now, 0.95 * now, now)
    python = decompose.py_func(t, 1.1, 0.9 * now, 0.95 * now, now)
    assert parts == pytest.approx(python, rel=1e-9, abs=1e-12)


@given(steps, slowdowns, st.integers(0, 2), st.integers(0, 3), shares, shares)
def test_a_faster_gpu_or_link_never_slows(
    t: StepTime,
    slowdown: npt.NDArray[np.float64],
    replica: int,
    stage: int,
    dp: float,
    pp: float,
) -> None:
    now = step_at(t, slowdown, dp, pp)
    faster = slowdown.copy()
    faster[replica, stage] = 1.0
    assert step_at(t, faster, dp, pp) <= now
    assert step_at(t, slowdown, 1.0, pp) <= now
    assert step_at(t, slowdown, dp, 1.0) <= now


@given(steps, slowdowns, st.floats(1, 2), shares, shares)
def test_causes_sum_to_the_step_and_none_is_negative(
    t: StepTime, capped: npt.NDArray[np.float64], throttle: float, dp: float, pp: float
) -> None:
    now = step_at(t, capped * throttle, dp, pp)
    parts = decompose(
        t,
        float(capped.mean()),
        step_at(t, capped),
        step_at(t, capped * throttle),
        now,
    )
    assert len(parts) == len(PARTS)
    assert (parts >= 0).all()
    assert parts.sum() == pytest.approx(now, rel=1e-12)


def test_each_cause_stands_under_its_name() -> None:
    nominal = uniform_step_s(STEP, 1.0) + STEP.jitter_s
    base = dict(zip(PARTS, decompose(STEP, 1.0, nominal, nominal, nominal), strict=True))
    assert base["useful"] == 2.0
    assert base["kernel_efficiency"] == pytest.approx(16 * 0.2 + 0.1 - 2.0)
    assert base["exposed_communication"] == pytest.approx(16 * 0.024 + 0.04 + 0.11 + 0.2 * 0.25)
    assert base["pipeline_bubble"] == pytest.approx(16 * 0.01 + 1.5 * 0.234)
    assert base["slow_gpus"] == pytest.approx(0.05)
    assert base["throttling"] == base["power_cap"] == base["degraded_network"] == 0

    capped = nominal + 17.5 * 0.2 * 0.1
    slow, hot, thin = capped + 1, capped + 3, capped + 7
    parts = dict(zip(PARTS, decompose(STEP, 1.1, slow, hot, thin), strict=True))
    assert parts["power_cap"] == pytest.approx(17.5 * 0.2 * 0.1)
    assert parts["slow_gpus"] == pytest.approx(1.05)
    assert parts["throttling"] == pytest.approx(2)
    assert parts["degraded_network"] == pytest.approx(4)


def test_a_slow_stage_costs_every_micro_batch_and_slow_stages_share_that() -> None:
    nominal = step_at(STEP, np.ones((2, 4)))
    one, both = np.ones((2, 4)), np.ones((2, 4))
    one[0, 1] = 2.0
    both[0, 1:3] = 2.0
    assert step_at(STEP, one) - nominal == pytest.approx(16 * 0.2)
    assert step_at(STEP, both) - nominal == pytest.approx(16.5 * 0.2)


def test_a_dead_gpu_stops_the_job() -> None:
    slowdown = np.ones((2, 4), np.float32)
    slowdown[1, 2] = np.inf
    assert step_at(STEP, slowdown) == np.inf


def test_a_thin_hop_slows_both_its_stages_by_half_of_what_they_send() -> None:
    hop = np.ones((2, 4))
    hop[0, 1] = 0.25
    extra_s = waits_s(STEP, hop, np.ones((2, 4))) - waits_s(STEP, *np.ones((2, 2, 4)))
    np.testing.assert_allclose(extra_s, [[0, 0.006, 0.006, 0], [0, 0, 0, 0]], atol=1e-12)


def test_a_slow_ring_of_a_later_stage_has_the_time_that_its_stage_ends_earlier() -> None:
    slow = [gradients_s(STEP, np.where(np.arange(4) == stage, 0.5, 1.0)) for stage in range(4)]
    np.testing.assert_allclose(slow[0] - np.array(slow), STEP.drain_s * np.arange(4))
    slight = [gradients_s(STEP, np.where(np.arange(4) == stage, 0.99, 1.0)) for stage in range(4)]
    assert slight[3] == gradients_s(STEP, np.ones(4)) < slight[0]


def test_traffic_that_was_hidden_is_exposed_on_a_slow_network() -> None:
    t = STEP._replace(dp_s=0.25, dp_tail_frac=0.0)
    assert exposed_dp_s(t, 1.0) == pytest.approx(0.2 * 0.25)
    assert exposed_dp_s(t, 0.5) == pytest.approx(0.25 + 0.2 * 0.25)


def test_it_is_fast_enough_for_every_change_of_clock() -> None:
    t = STEP._replace(stages=16)
    slowdown = np.full((1500, 16), 1.1, np.float32)
    wait_s = waits_s(t, *np.ones((2, 1500, 16)))
    step_now(t, slowdown, wait_s, 0.1)
    runs = []
    for _ in range(20):
        start = time.perf_counter()
        step_now(t, slowdown, wait_s, 0.1)
        runs.append(time.perf_counter() - start)
    assert min(runs) < 300e-6


def test_parts_are_those_of_the_waterfall() -> None:
    assert rate.PARTS[0] == "useful"
    assert len(set(PARTS)) == 8
