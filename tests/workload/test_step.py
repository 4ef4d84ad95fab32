"""The step: that its parts make it up, and in which direction it moves."""

from typing import Any

import numpy as np
import pytest

from dcsim.catalog import sheet
from dcsim.workload.collectives import all_gather_s, all_reduce_s, reduce_scatter_s
from dcsim.workload.contention import Shares
from dcsim.workload.fabric import network_of
from dcsim.workload.layout import Exchange, Layout, Recompute, Schedule, Sharding
from dcsim.workload.machine import (
    capped_clock_frac,
    law_of,
    machine_of,
    machine_of_site,
    software_of,
)
from dcsim.workload.model import (
    Shape,
    attention_flop_per_token,
    dense,
    flop_per_token,
    params_count,
    shape_of,
)
from dcsim.workload.rate import gradients_s, step_now, uniform_step_s, waits_s
from dcsim.workload.step import (
    Parts,
    executed_flop_per_token,
    expected_highest,
    step_of,
    step_time,
)

LAW = law_of(sheet("step", "law"))
CHIP, NODE = sheet("gpu", "h100-sxm"), sheet("node", "hgx-h100-air")
MACHINE = machine_of(CHIP, NODE, "bf16", LAW, network_of(NODE))
SOFTWARE = software_of(sheet("software", "megatron-core"), CHIP, LAW)
MODEL = shape_of(sheet("model", "llama3-405b"))
BASE = Layout(8, 16, 128, micro_batch=1, global_batch=2048, sequence=8192, vpp=8)
SMALL = dense(32, 4096, 32, 8, 14336, 128256, gated=True, tied=False)
MIXTURE = SMALL._replace(experts=64, top_k=8, expert_ffn=2048, shared_experts=1, dense_layers=2)


def parts(layout: Layout = BASE, shape: Shape = MODEL, **changes: Any) -> Parts:
    machine = changes.get("machine", MACHINE)
    software = changes.get("software", SOFTWARE)
    return step_of(shape, layout, machine, software, LAW).parts


def test_parts_sum_to_the_step_and_none_is_negative() -> None:
    found = parts()
    assert found.step_s == sum(found)
    assert all(part >= 0 for part in found)


def test_a_table_gives_what_single_estimates_give() -> None:
    layouts = [BASE, BASE._replace(tp=4), BASE._replace(dp=64, vpp=1), BASE._replace(micro_batch=2)]
    table = Layout(*(np.array(column) for column in zip(*layouts, strict=True)))
    together = step_of(MODEL, table, MACHINE, SOFTWARE, LAW).parts.step_s
    assert together == pytest.approx([parts(layout).step_s for layout in layouts], rel=1e-12)


def test_the_simulation_has_the_same_step() -> None:
    mixed = BASE._replace(tp=2, pp=2, vpp=1, dp=64, cp=2, ep=64, recompute=Recompute.FULL)
    layouts = [(MODEL, BASE._replace(pp=14, vpp=1)), (MODEL, BASE._replace(pp=1, vpp=1, dp=8))]
    layouts += [(MIXTURE, mixed._replace(schedule=schedule)) for schedule in Schedule]
    for shape, layout in layouts:
        t = step_time(shape, layout, MACHINE, SOFTWARE, LAW)
        whole = parts(layout, shape)
        alike = uniform_step_s(t, 1.0)
        assert alike + t.jitter_s == pytest.approx(float(whole.step_s), rel=1e-9)


@pytest.mark.parametrize("pp", [6, 11, 31])
def test_stages_of_unlike_layers_cost_the_simulation_the_same(pp: int) -> None:
    layout = Layout(1, pp, 2, 1, 64, 4096)
    for shape, even in ((SMALL, layout), (MODEL, BASE), (SMALL._replace(vocab=100), layout)):
        t = step_time(shape, even, MACHINE, SOFTWARE, LAW)
        step_s = float(parts(even, shape).step_s)
        assert uniform_step_s(t, 1.0) + t.jitter_s == pytest.approx(step_s, rel=1e-9)
        whole = np.ones((1, even.pp))
        now_s = step_now(t, whole, waits_s(t, whole, whole), gradients_s(t, whole[0]))
        assert now_s == pytest.approx(step_s, rel=1e-9)


@pytest.mark.parametrize("exchange", Exchange)
def test_full_recomputation_sends_keys_and_tokens_once_more(exchange: Exchange) -> None:
    plain = Layout(1, 1, 8, 1, 64, 8192, cp=8, ep=16, exchange=exchange)
    again = parts(plain._replace(recompute=Recompute.FULL), MIXTURE)
    assert again.cp_s / parts(plain, MIXTURE).cp_s == pytest.approx(4 / 3)
    assert again.ep_s / parts(plain, MIXTURE).ep_s == pytest.approx(6 / 4)


def test_ranks_that_share_a_sequence_share_out_experts_in_their_node() -> None:
    apart = Layout(1, 1, 8, 1, 64, 4096, ep=8)
    together = apart._replace(cp=8, sequence=8 * 4096)
    assert parts(together, MIXTURE).ep_s == pytest.approx(parts(apart, MIXTURE).ep_s)


def test_sharded_gradients_are_reduced_for_each_micro_batch() -> None:
    shown = SOFTWARE._replace(hides_dp=0)
    one, two = (Layout(1, 1, 64, 1, 64 * count, 4096, sharding=Sharding.ZERO2) for count in (1, 2))
    zero1 = parts(one._replace(sharding=Sharding.ZERO1), SMALL, software=shown).dp_s
    assert parts(one, SMALL, software=shown).dp_s == zero1
    scatter_s = parts(two, SMALL, software=shown).dp_s - zero1
    byte = 4.0 * params_count(SMALL)
    assert scatter_s == pytest.approx(reduce_scatter_s(MACHINE.fabric, byte, 64, 8))


def test_selective_recomputation_counts_where_scores_are_stored_otherwise() -> None:
    layout = BASE._replace(recompute=Recompute.SELECTIVE)
    plain = flop_per_token(MODEL, 8192)
    assert executed_flop_per_token(MODEL, layout) == plain
    scores = MODEL.layers * attention_flop_per_token(MODEL, 8192) / 3
    assert executed_flop_per_token(MODEL, layout, flash=False) == pytest.approx(plain + scores)


def test_times_of_the_simulation_are_at_the_highest_clock() -> None:
    slow = step_time(MODEL, BASE, MACHINE._replace(fit_clock_frac=0.8), SOFTWARE, LAW)
    fast = step_time(MODEL, BASE, MACHINE, SOFTWARE, LAW)
    assert slow.clocked_s == pytest.approx(0.8 * fast.clocked_s)
    assert slow.held_s == fast.held_s


def test_a_simulated_machine_is_at_the_clock_of_its_cap() -> None:
    gpu, node = sheet("gpu", "h100-sxm"), sheet("node", "hgx-h100-liquid")
    machine = machine_of_site(gpu, node, "bf16", LAW, 25e9)
    assert machine.fit_clock_frac == capped_clock_frac(gpu) < 1
    assert machine.fabric.nic_byte_per_s == MACHINE.fabric.nic_byte_per_s / 2


def test_the_bubble_shrinks_with_interleaving_and_is_all_without_micro_batches() -> None:
    plain = BASE._replace(pp=14, vpp=1)
    assert parts(plain._replace(vpp=3)).bubble_s < parts(plain).bubble_s / 2.5
    assert parts(BASE._replace(pp=1, vpp=1)).bubble_s == 0
    assert parts(plain).bubble_s == pytest.approx(parts(plain._replace(dp=64)).bubble_s)


@pytest.mark.parametrize("schedule", [Schedule.ZERO_BUBBLE, Schedule.DUALPIPE])
def test_other_schedules_have_smaller_bubbles(schedule: Schedule) -> None:
    plain = BASE._replace(pp=14, vpp=1)
    assert parts(plain._replace(schedule=schedule)).bubble_s < parts(plain).bubble_s


def test_recomputation_costs_time_in_order() -> None:
    steps = [float(parts(BASE._replace(recompute=kind)).step_s) for kind in list(Recompute)[:3]]
    assert steps == sorted(steps)
    assert steps[-1] / steps[0] == pytest.approx(4 / 3, abs=0.06)


def test_without_groups_there_is_no_traffic() -> None:
    found = parts(Layout(1, 1, 1, 1, 4, 2048), SMALL)
    assert (found.tp_s, found.cp_s, found.ep_s, found.pp_s, found.dp_s) == (0, 0, 0, 0, 0)
    assert found.jitter_s == 0


def test_a_slower_network_slows_what_crosses_it() -> None:
    slow = MACHINE._replace(fabric=MACHINE.fabric._replace(nic_byte_per_s=5e9))
    a, b = parts(), parts(machine=slow)
    assert b.dp_s > a.dp_s
    assert b.pp_s > a.pp_s
    assert b.tp_s == a.tp_s


def test_a_share_of_the_nics_slows_its_kind_of_traffic_alone() -> None:
    layout = BASE._replace(cp=4, dp=32, ep=32, pp=14, vpp=1, schedule=Schedule.ZERO_BUBBLE)
    shape = MODEL._replace(experts=64, top_k=8, expert_ffn=2048)
    whole = parts(layout, shape)
    names = {"gradients": "dp_s", "context": "cp_s", "experts": "ep_s", "sends": "pp_s"}
    for kind, name in names.items():
        thin = step_of(shape, layout, MACHINE, SOFTWARE, LAW, Shares(**{kind: 0.1})).parts
        assert getattr(thin, name) > getattr(whole, name)
        changed = {n for n in Parts._fields if getattr(thin, n) != getattr(whole, n)}
        assert changed <= {name, "bubble_s"}


def test_what_is_hidden_costs_less_than_what_is_not_and_more_than_nothing() -> None:
    bare = SOFTWARE._replace(hides_tp=0, hides_dp=0, hides_pp=0, hides_reductions=0)
    hidden, shown = parts(), parts(software=bare)
    for name in ("tp_s", "pp_s", "dp_s"):
        assert 0 < getattr(hidden, name) < getattr(shown, name)


def test_a_ring_of_keys_hides_behind_attention_and_a_gather_does_not() -> None:
    layout = BASE._replace(cp=4, dp=32)
    gathered = layout._replace(exchange=Exchange.ALL_GATHER)
    assert 0 < parts(layout).cp_s < parts(gathered).cp_s


def test_full_sharding_moves_weights_for_every_micro_batch() -> None:
    once = Layout(1, 1, 64, 1, 512, 4096, sharding=Sharding.ZERO1)
    always = once._replace(sharding=Sharding.ZERO3)
    bare = SOFTWARE._replace(hides_dp=0)
    assert parts(always, SMALL, software=bare).dp_s > 8 * parts(once, SMALL, software=bare).dp_s


def test_sharding_within_a_node_keeps_gathers_off_the_network() -> None:
    full = Layout(1, 1, 64, 1, 512, 4096, sharding=Sharding.ZERO3)
    bare = SOFTWARE._replace(hides_dp=0)
    hybrid = parts(full._replace(shards=8), SMALL, software=bare)
    assert hybrid.dp_s < parts(full, SMALL, software=bare).dp_s


def test_traffic_of_full_and_hybrid_sharding_is_that_by_hand() -> None:
    bare, fabric = SOFTWARE._replace(hides_dp=0), MACHINE.fabric
    full = Layout(1, 1, 64, 1, 512, 4096, sharding=Sharding.ZERO3)
    params = params_count(SMALL)
    gather_s = all_gather_s(fabric, 2 * params, 64, 8)
    scatter_s = reduce_scatter_s(fabric, 4 * params, 64, 8)
    assert parts(full, SMALL, software=bare).dp_s == pytest.approx(8 * (2 * gather_s + scatter_s))
    inside_s = 2 * all_gather_s(fabric, 2 * params, 8, 8) + reduce_scatter_s(
        fabric, 4 * params, 8, 8
    )
    copies_s = all_reduce_s(fabric, 4 * params / 8, 8, 1)
    hybrid = parts(full._replace(shards=8), SMALL, software=bare)
    assert hybrid.dp_s == pytest.approx(8 * inside_s + copies_s)


def test_a_gather_of_keys_and_values_is_that_by_hand() -> None:
    layout = Layout(8, 1, 1, 1, 2, 65536, cp=4, exchange=Exchange.ALL_GATHER)
    size_byte = 65536 * 2 * 8 * 128 / 8 * 2
    once_s = 3 * all_gather_s(MACHINE.fabric, size_byte, 4, 1)
    assert parts(layout, SMALL).cp_s == pytest.approx(2 * 32 * once_s)


def test_gradients_of_experts_travel_among_those_that_hold_the_same_experts() -> None:
    bare, fabric = SOFTWARE._replace(hides_dp=0), MACHINE.fabric
    layout = Layout(1, 1, 64, 1, 512, 4096, ep=8)
    experts = 30 * 64 / 8 * 3 * 4096 * 2048
    rest = params_count(MIXTURE) - 8 * experts - 30 * 64 * 4096  # the router is left out
    by_hand_s = all_gather_s(fabric, 2 * rest, 64, 8) + reduce_scatter_s(fabric, 4 * rest, 64, 8)
    by_hand_s += all_gather_s(fabric, 2 * experts, 8, 1)
    by_hand_s += reduce_scatter_s(fabric, 4 * experts, 8, 1)
    assert parts(layout, MIXTURE, software=bare).dp_s == pytest.approx(by_hand_s)


def test_without_trees_long_all_reduces_of_two_nodes_take_as_long_as_a_ring() -> None:
    fabric = MACHINE.fabric
    fast, slow = (all_reduce_s(fabric, 1e9, 16, 8, trees=trees) for trees in (1, 0))
    gathered = all_gather_s(fabric, 1e9, 16, 8) + reduce_scatter_s(fabric, 1e9, 16, 8)
    assert fast < 0.8 * slow
    assert slow == pytest.approx(gathered, rel=0.06)


def test_experts_exchange_tokens_less_where_routing_is_limited_to_nodes() -> None:
    layout = Layout(1, 1, 64, 1, 512, 4096, ep=64)
    free = parts(layout, MIXTURE)
    limited = parts(layout._replace(token_nodes=4), MIXTURE)
    assert 0 < limited.ep_s < free.ep_s
    assert parts(layout._replace(schedule=Schedule.DUALPIPE), MIXTURE).ep_s < free.ep_s


def test_a_mixture_computes_like_a_dense_model_of_its_active_width() -> None:
    layout = Layout(1, 1, 64, 4, 512, 4096, ep=8)
    wide = SMALL._replace(ffn=(2 * 14336 + 30 * 9 * 2048) / 32)
    mixed = parts(layout, MIXTURE).matmul_s
    assert mixed == pytest.approx(float(parts(layout, wide).matmul_s), rel=0.05)


def test_lower_precision_is_faster() -> None:
    fp8 = machine_of(CHIP, NODE, "fp8", LAW, network_of(NODE))
    assert parts(machine=fp8).step_s < 0.75 * parts().step_s


@pytest.mark.parametrize(
    ("count", "mean"), [(1, 0.0), (2, 0.5642), (10, 1.5388), (100, 2.5076), (1000, 3.2414)]
)
def test_expected_highest_is_that_of_the_tables(count: int, mean: float) -> None:
    assert expected_highest(count) == pytest.approx(mean, abs=0.03)
