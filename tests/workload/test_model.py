"""Parameters and FLOPs against published numbers."""

import pytest

from dcsim.catalog import sheet
from dcsim.workload.model import (
    Shape,
    active_layer_params,
    attention_params,
    dense,
    flop_per_token,
    params_count,
    shape_of,
)


@pytest.mark.parametrize(
    ("name", "billions"),
    [("llama3-8b", 8.03), ("llama3-70b", 70.55), ("llama3-405b", 405.9), ("gpt3-175b", 174.6)],
)
def test_parameters_are_the_published(name: str, billions: float) -> None:
    assert params_count(shape_of(sheet("model", name))) / 1e9 == pytest.approx(billions, rel=1e-3)


def test_flop_of_a_gpt_is_the_formula_of_2021() -> None:
    model = dense(96, 12288, 96, 96, 4 * 12288, 51200, gated=False, tied=True)
    L, h, s, V = 96, 12288, 2048, 51200
    per_token = 72 * L * h**2 * (1 + s / (6 * h) + V / (12 * h * L))
    assert flop_per_token(model, s) == pytest.approx(per_token, rel=1e-12)


def test_flop_of_llama_is_six_per_parameter_and_full_attention() -> None:
    model = shape_of(sheet("model", "llama3-405b"))
    matrices = params_count(model) - model.vocab * model.hidden  # the input embedding is a look-up
    assert flop_per_token(model, 8192) == 6 * matrices + 12 * 126 * 16384 * 8192


DEEPSEEK_V3 = Shape(
    layers=61,
    hidden=7168,
    heads=128,
    kv_heads=128,
    head_dim=128,
    ffn=18432,
    vocab=129280,
    gated=1,
    tied=0,
    experts=256,
    top_k=8,
    shared_experts=1,
    expert_ffn=2048,
    dense_layers=3,
    q_rank=1536,
    kv_rank=512,
    rope_dim=64,
    value_dim=128,
)


def test_a_mixture_with_latent_attention_has_the_published_parameters() -> None:
    assert params_count(DEEPSEEK_V3) / 1e9 == pytest.approx(671, rel=2e-3)
    active = 61 * active_layer_params(DEEPSEEK_V3) + 2 * 129280 * 7168
    assert active / 1e9 == pytest.approx(37.5, rel=0.02)
    assert attention_params(DEEPSEEK_V3) / 1e6 == pytest.approx(187.1, rel=1e-3)


def test_causal_attention_counts_half() -> None:
    model = shape_of(sheet("model", "llama3-8b"))
    full, causal = (flop_per_token(model, 8192, kind) for kind in (False, True))
    assert full - causal == 6 * 32 * 4096 * 8192
