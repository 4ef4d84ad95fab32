"""Memory against Korthikanti et al. 2022 and against the layout that Llama 3 was trained with."""

import numpy as np
import pytest

from dcsim.report.pipeline import order
from dcsim.workload.layout import Layout, Recompute, Schedule, Sharding
from dcsim.workload.memory import activation_byte_per_token, memory, memory_of_stage
from dcsim.workload.model import Shape, dense, params_count

GIB = 2**30
GPT_22B = dense(48, 6144, 64, 64, 4 * 6144, 51200, gated=False, tied=True)
GPT_175B = dense(96, 12288, 96, 96, 4 * 12288, 51200, gated=False, tied=True)
LLAMA_405B = dense(126, 16384, 128, 8, 53248, 128256, gated=True, tied=False)
ALONE = Layout(8, 8, 1, micro_batch=1, global_batch=64, sequence=2048)
TRAINED = Layout(8, 16, 128, 1, 2048, 8192, vpp=8, recompute=Recompute.SELECTIVE)


@pytest.mark.parametrize(
    ("model", "layout", "gib"),
    [
        (GPT_22B, Layout(8, 1, 1, 4, 4, 2048), 9.56),
        (GPT_175B, ALONE._replace(vpp=3), 12.35),
    ],
)
def test_activations_are_those_of_figure_1(model: Shape, layout: Layout, gib: float) -> None:
    stored = memory(model, layout).activations_byte
    assert stored / GIB == pytest.approx(gib, rel=2e-3)


def test_a_gpt_stores_34_hidden_bytes_a_token_and_2_with_full_recomputation() -> None:
    assert activation_byte_per_token(GPT_175B, Recompute.NONE) == 34 * 12288
    assert activation_byte_per_token(GPT_175B, Recompute.FULL) == 2 * 12288


def test_states_of_22b_are_those_of_figure_1_which_leaves_embeddings_out() -> None:
    need = memory(GPT_22B._replace(vocab=0), Layout(8, 1, 1, 4, 4, 2048))
    states = need.weights_byte + need.gradients_byte + need.optimizer_byte
    assert states / GIB == pytest.approx(45.56, rel=1e-3)


def test_llama_405b_fits_80_gb_as_it_was_trained_and_not_without_recompute() -> None:
    assert memory(LLAMA_405B, TRAINED).total_byte < 80e9
    assert memory(LLAMA_405B, TRAINED._replace(recompute=Recompute.NONE)).total_byte > 80e9


def test_first_stages_hold_more_activations_than_later_ones() -> None:
    held = memory_of_stage(GPT_175B, ALONE, np.arange(7)).activations_byte
    assert np.all(np.diff(held) < 0)


def test_each_kind_of_sharding_spreads_one_more_of_the_states() -> None:
    layout = ALONE._replace(dp=4, global_batch=256)
    none, zero1, zero2, zero3 = (
        memory(GPT_175B, layout._replace(sharding=kind)) for kind in Sharding
    )
    assert zero1.optimizer_byte * 4 == none.optimizer_byte
    assert zero1.gradients_byte == none.gradients_byte == zero2.gradients_byte * 4
    assert zero3.weights_byte * 4 == zero2.weights_byte == none.weights_byte
    assert none.activations_byte == zero3.activations_byte


def test_dualpipe_holds_two_copies_of_the_weights() -> None:
    dual = ALONE._replace(schedule=Schedule.DUALPIPE)
    assert memory_of_stage(GPT_175B, dual, 1).weights_byte == 2 * (
        memory_of_stage(GPT_175B, ALONE, 1).weights_byte
    )


def test_one_stage_holds_all_parameters() -> None:
    whole = memory(LLAMA_405B, Layout(8, 1, 1, 1, 1, 8192))
    assert whole.weights_byte * 8 / 2 == pytest.approx(params_count(LLAMA_405B))


def test_states_of_experts_are_spread_over_those_that_hold_the_same_experts() -> None:
    shape = Shape(4, 1024, 8, 8, 128, 0, 0, True, False, experts=16, top_k=2, expert_ffn=512)
    layout = Layout(1, 1, 8, 1, 64, 2048, cp=2, ep=4, sharding=Sharding.ZERO2)
    need = memory(shape, layout)
    attention, experts = 4 * 4 * 1024**2, 4 * 16 * 3 * 1024 * 512
    assert need.weights_byte == 2 * (attention + experts / 4)
    spread = attention / 16 + experts / 4 / (8 * 2 / 4)
    assert need.gradients_byte == 4 * spread
    assert need.optimizer_byte == 12 * spread
    full = memory(shape, layout._replace(sharding=Sharding.ZERO3))
    assert full.weights_byte == 2 * spread


def test_a_hybrid_spreads_states_over_one_group_only() -> None:
    layout = Layout(1, 1, 64, 1, 64, 2048, sharding=Sharding.ZERO3)
    full, hybrid = memory(GPT_22B, layout), memory(GPT_22B, layout._replace(shards=8))
    assert hybrid.optimizer_byte == 8 * full.optimizer_byte
    assert hybrid.weights_byte * 8 == 2 * params_count(GPT_22B)


def test_sharing_a_sequence_divides_activations_and_states() -> None:
    layout = Layout(1, 1, 4, 1, 64, 8192)
    whole, shared = memory(GPT_22B, layout), memory(GPT_22B, layout._replace(cp=4))
    assert shared.activations_byte * 4 == whole.activations_byte
    assert shared.optimizer_byte * 4 == whole.optimizer_byte


@pytest.mark.parametrize("batch", [8, 64])
def test_chunks_in_flight_are_those_of_the_order_that_is_drawn(batch: int) -> None:
    layout = Layout(8, 8, 1, 1, batch, 2048, vpp=4)
    of_chunk = memory_of_stage(GPT_175B, layout._replace(pp=1, vpp=1), 0).activations_byte / 32
    for stage in range(8):
        live = [1 if step.way == "forward" else -1 for step in order(stage, 8, 4, batch)]
        held = memory_of_stage(GPT_175B, layout, stage).activations_byte
        assert held == pytest.approx(max(np.cumsum(live)) * of_chunk)


def test_dualpipe_holds_gradients_of_two_stages() -> None:
    dual = ALONE._replace(schedule=Schedule.DUALPIPE)
    alone = memory_of_stage(GPT_175B, ALONE, 1).gradients_byte
    assert memory_of_stage(GPT_175B, dual, 1).gradients_byte == 2 * alone


def test_a_mixture_keeps_each_token_once_for_every_expert_that_it_goes_to() -> None:
    model = LLAMA_405B._replace(experts=8, top_k=2, expert_ffn=LLAMA_405B.ffn // 2)
    more = activation_byte_per_token(model, Recompute.SELECTIVE)
    more -= activation_byte_per_token(LLAMA_405B, Recompute.SELECTIVE)
    assert more == 2 * 2 * LLAMA_405B.hidden


def test_low_rank_attention_keeps_the_keys_and_values_of_every_head() -> None:
    model = Shape(1, 1024, 8, 8, 128, 0, 0, True, False, q_rank=96, kv_rank=64, rope_dim=32,
                  value_dim=112)  # fmt: skip
    width = 2 * 1024 + 2 * 8 * 160 + 2 * 8 * 112 + 96 + 64 + 32
    assert activation_byte_per_token(model, Recompute.SELECTIVE) == 2 * width
