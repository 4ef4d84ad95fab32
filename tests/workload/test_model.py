"""Parameters and FLOPs against published numbers."""

import pytest

from dcsim.catalog import sheet
from dcsim.workload.model import Model, flop_per_token, model_of, params_count


@pytest.mark.parametrize(
    ("name", "billions"),
    [("llama3-8b", 8.03), ("llama3-70b", 70.55), ("llama3-405b", 405.9), ("gpt3-175b", 174.6)],
)
def test_parameters_are_the_published(name: str, billions: float) -> None:
    assert params_count(model_of(sheet("model", name))) / 1e9 == pytest.approx(billions, rel=1e-3)


def test_flop_of_a_gpt_is_the_formula_of_2021() -> None:
    model = Model(96, 12288, 96, 96, 4 * 12288, 51200, swiglu=False, tied=True)
    L, h, s, V = 96, 12288, 2048, 51200
    per_token = 72 * L * h**2 * (1 + s / (6 * h) + V / (12 * h * L))
    assert flop_per_token(model, s) == pytest.approx(per_token, rel=1e-12)


def test_flop_of_llama_is_six_per_parameter_and_full_attention() -> None:
    model = model_of(sheet("model", "llama3-405b"))
    matrices = params_count(model) - model.vocab * model.hidden  # the input embedding is a look-up
    assert flop_per_token(model, 8192) == 6 * matrices + 12 * 126 * 16384 * 8192
