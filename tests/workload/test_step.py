"""The closed form of the step: what it is made of, and in which direction it moves."""

import pytest

from dcsim.catalog import sheet
from dcsim.workload.layout import Layout
from dcsim.workload.model import model_of
from dcsim.workload.rate import uniform_step_s
from dcsim.workload.step import (
    StepTime,
    chip_of,
    expected_highest,
    fabric_of,
    form_of,
    step_time,
)

GPU, NODE = sheet("gpu", "h100-sxm"), sheet("node", "hgx-h100-liquid")
SHEET = sheet("step", "first-form")
CHIP, FORM = chip_of(GPU), form_of(SHEET)
FABRIC = fabric_of(GPU, NODE, SHEET, link_byte_per_s=50e9)
MODEL = model_of(sheet("model", "llama3-405b"))
BASE = Layout(8, 16, 128, 16, 1, 8192, 8)


def step(layout: Layout = BASE) -> StepTime:
    return step_time(MODEL, layout, CHIP, FABRIC, FORM)


def test_ideal_is_model_flop_at_the_peak() -> None:
    flop = 6 * (405.9e9 - 128256 * 16384) + 12 * 126 * 16384 * 8192
    ideal_s = flop * 2048 * 8192 / (989.4e12 * 16384)
    assert step().ideal_s == pytest.approx(ideal_s, rel=1e-3)


def test_more_replicas_with_the_same_micro_batches_compute_the_same() -> None:
    one, two = step(), step(BASE._replace(dp=256))
    same = ("clocked_s", "head_s", "mean_clocked_s", "held_s", "tp_s", "pp_s", "ideal_s")
    for name in same:
        assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-12)
    assert two.jitter_s > one.jitter_s
    assert two.dp_s > one.dp_s


def test_the_bubble_shrinks_with_interleaving_and_micro_batches() -> None:
    plain = BASE._replace(interleave=1)
    assert uniform_step_s(step(plain), 1.0) > uniform_step_s(step(), 1.0)
    longer = step(BASE._replace(micro_batches=32))
    assert uniform_step_s(longer, 1.0) < 2 * uniform_step_s(step(), 1.0)


@pytest.mark.parametrize("pp", [14, 16])
def test_the_stages_hold_all_work_whether_layers_divide_or_not(pp: int) -> None:
    t = step(BASE._replace(pp=pp, interleave=1))
    whole = step(BASE._replace(pp=1, interleave=1))
    assert t.mean_clocked_s * pp == pytest.approx(whole.mean_clocked_s, rel=1e-12)
    assert t.clocked_s + t.head_s >= t.mean_clocked_s
    assert (t.head_s > 0) == (126 % pp == 0)


def test_without_pipeline_and_replicas_there_is_no_such_traffic() -> None:
    t = step_time(
        model_of(sheet("model", "llama3-8b")), Layout(8, 1, 1, 4, 1, 8192), CHIP, FABRIC, FORM
    )
    assert (t.pp_s, t.dp_s, t.jitter_s) == (0, 0, 0)


def test_times_are_at_the_highest_clock() -> None:
    slower = CHIP._replace(fit_clock_frac=CHIP.fit_clock_frac / 2)
    assert step_time(MODEL, BASE, slower, FABRIC, FORM).clocked_s == step().clocked_s / 2


def test_oversubscription_slows_gradients_where_replicas_span_domains() -> None:
    thin = FABRIC._replace(oversubscription=7.0, domain_nodes=16)
    slow = step_time(MODEL, BASE, CHIP, thin, FORM)
    assert slow.dp_s > 6 * step().dp_s
    assert slow.tp_s == step().tp_s


def test_link_rate_counts_where_it_is_below_the_nics() -> None:
    half = fabric_of(GPU, NODE, SHEET, link_byte_per_s=25e9)
    assert half.nic_byte_per_s == FABRIC.nic_byte_per_s / 2
    assert fabric_of(GPU, NODE, SHEET, link_byte_per_s=100e9) == FABRIC


@pytest.mark.parametrize(
    ("count", "mean"), [(1, 0.0), (2, 0.5642), (10, 1.5388), (100, 2.5076), (1000, 3.2414)]
)
def test_expected_highest_is_that_of_the_tables(count: int, mean: float) -> None:
    assert expected_highest(count) == pytest.approx(mean, abs=0.03)
