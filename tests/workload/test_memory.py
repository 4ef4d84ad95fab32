"""Memory against Korthikanti et al. 2022 and against the layout that Llama 3 was trained with."""

import pytest

from dcsim.workload.layout import Layout
from dcsim.workload.memory import activation_byte_per_token, memory, stage_params
from dcsim.workload.model import Model, params_count

GIB = 2**30
GPT_22B = Model(48, 6144, 64, 64, 4 * 6144, 51200, swiglu=False, tied=True)
GPT_175B = Model(96, 12288, 96, 96, 4 * 12288, 51200, swiglu=False, tied=True)
LLAMA_405B = Model(126, 16384, 128, 8, 53248, 128256, swiglu=True, tied=False)


@pytest.mark.parametrize(
    ("model", "layout", "gib"),
    [
        (GPT_22B, Layout(8, 1, 1, 1, 4, 2048), 9.56),
        (GPT_175B, Layout(8, 8, 1, 64, 1, 2048, 3), 12.35),
    ],
)
def test_activations_are_those_of_figure_1(model: Model, layout: Layout, gib: float) -> None:
    stored = memory(model, layout, recompute=False).activations_byte
    assert stored / GIB == pytest.approx(gib, rel=2e-3)


def test_a_gpt_stores_34_hidden_bytes_a_token() -> None:
    assert activation_byte_per_token(GPT_175B, recompute=False) == 34 * 12288


def test_states_of_22b_are_those_of_figure_1_which_leaves_embeddings_out() -> None:
    need = memory(GPT_22B._replace(vocab=0), Layout(8, 1, 1, 1, 4, 2048))
    states = need.weights_byte + need.gradients_byte + need.optimizer_byte
    assert states / GIB == pytest.approx(45.56, rel=1e-3)


def test_llama_405b_fits_80_gb_as_it_was_trained_and_not_without_recompute() -> None:
    layout = Layout(8, 16, 128, 16, 1, 8192, 8)
    assert memory(LLAMA_405B, layout).total_byte < 80e9
    assert memory(LLAMA_405B, layout, recompute=False).total_byte > 80e9


def test_more_stages_and_replicas_need_no_more_memory() -> None:
    one = memory(GPT_175B, Layout(8, 4, 1, 8, 1, 2048))
    more_stages = memory(GPT_175B, Layout(8, 8, 1, 8, 1, 2048))
    more_replicas = memory(GPT_175B, Layout(8, 4, 2, 8, 1, 2048))
    assert more_stages.weights_byte < one.weights_byte
    assert more_stages.activations_byte == one.activations_byte  # twice in flight, half as long
    assert more_replicas.optimizer_byte == one.optimizer_byte / 2


def test_one_stage_holds_all_parameters() -> None:
    assert stage_params(LLAMA_405B, Layout(8, 1, 1, 1, 1, 8192)) * 8 == params_count(LLAMA_405B)
