"""Shapes from `config.json`: published totals come out, and what is wrong is named."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dcsim import catalog
from dcsim.errors import InputError
from dcsim.workload.hf_config import FAMILIES, SHAPE, read_hf_config
from tests.reference.transformers import parameters
from tests.workload.hf_configs import CONFIGS

PUBLISHED = {
    "llama3-8b": (8.03, 8.03),
    "llama3-70b": (70.6, 70.6),
    "llama3-405b": (405.9, 405.9),
    "llama2-7b": (6.74, 6.74),
    "mistral-nemo": (12.2, 12.2),
    "mixtral-8x7b": (46.7, 12.9),
    "qwen2.5-7b": (7.62, 7.62),
    "qwen2-57b-a14b": (57.4, 14.2),
    "qwen3-0.6b": (0.596, 0.596),
    "qwen3-30b-a3b": (30.5, 3.35),
    "gemma-7b": (8.54, 8.54),
    "gpt2-xl": (1.56, 1.56),
    "gpt-neox-20b": (20.6, 20.6),
    "opt-66b": (65.7, 65.7),
    "deepseek-v2": (236, 21),
    "deepseek-v2-lite": (15.7, 2.66),
    "deepseek-v3": (671, 37),
}
"""Parameters and those that a token meets, in 1e9, as the models' cards and papers say."""


def written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def refusals(folder: Path, config: dict[str, Any]) -> list[str]:
    """What is said of a config, without the path that each message begins with."""
    path = written(folder, config)
    with pytest.raises(InputError) as error:
        read_hf_config(path)
    assert all(message.startswith(f"{path}: ") for message in error.value.messages)
    return [message.removeprefix(f"{path}: ") for message in error.value.messages]


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_the_published_ones(tmp_path: Path, name: str) -> None:
    shape, _ = read_hf_config(written(tmp_path, CONFIGS[name]))
    assert tuple(shape) == SHAPE
    assert all(type(count) is int for count in shape.values())
    total, met = parameters(shape)
    assert total == pytest.approx(PUBLISHED[name][0] * 1e9, rel=0.005)
    assert met == pytest.approx(PUBLISHED[name][1] * 1e9, rel=0.02)


def test_every_family_is_tried() -> None:
    assert {config["model_type"] for config in CONFIGS.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", sorted(CONFIGS.keys() & set(catalog.names("model"))))
def test_the_catalogue_has_the_same_shape(tmp_path: Path, name: str) -> None:
    shape, _ = read_hf_config(written(tmp_path, CONFIGS[name]))
    sheet = catalog.sheet("model", name)
    stated = {key: sheet[key] for key in SHAPE if key in sheet}
    assert {key: shape[key] for key in stated} == stated
    assert shape["gated"] == sheet["swiglu"]
    left = {key for key in SHAPE if shape[key] and key not in stated}
    assert left <= {"gated", "head_dim"}
    total, met = parameters(shape)
    assert sheet["params_count"] == pytest.approx(total, rel=0.001)
    if "active_params_count" in sheet:
        assert sheet["active_params_count"] == pytest.approx(met, rel=0.001)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    _, left_out = read_hf_config(written(tmp_path, CONFIGS["deepseek-v3"]))
    (said,) = left_out
    assert said.endswith(
        "config.json: num_nextn_predict_layers = 1: the head for multi-token prediction is left out"
    )
    assert read_hf_config(written(tmp_path, CONFIGS["llama3-8b"])).left_out == ()


def test_defaults_are_those_of_the_family(tmp_path: Path) -> None:
    def read(name: str, *without: str) -> dict[str, int]:
        config = {key: value for key, value in CONFIGS[name].items() if key not in without}
        return read_hf_config(written(tmp_path, config)).shape

    assert read("llama3-8b", "num_key_value_heads")["kv_heads"] == 32
    assert read("llama3-8b", "tie_word_embeddings")["tied"] == 0
    assert read("gpt2-xl")["ffn"] == 6400
    assert (read("gpt2-xl")["tied"], read("gemma-7b")["tied"]) == (1, 1)
    assert (read("gpt2-xl")["gated"], read("gemma-7b")["gated"]) == (0, 1)
    assert read("qwen3-0.6b")["head_dim"] == 128
    assert read("deepseek-v2-lite")["q_rank"] == 0
    assert read("qwen2-57b-a14b")["shared_experts"] == 8


WRONG = {
    "mixer": (
        "llama3-8b",
        {"model_type": "mamba"},
        r"model_type = .mamba.: not modelled, did you mean 'llama'\? allowed deepseek_v2, ",
    ),
    "later gemma": ("gemma-7b", {"model_type": "gemma3"}, "not modelled, did you mean 'gemma'"),
    "no family": ("llama3-8b", {"model_type": None}, "model_type = null: not modelled, allowed "),
    "text": (
        "llama3-8b",
        {"hidden_size": "4096"},
        r"hidden_size = .4096.: allowed a whole number, 1\.\.1000000000",
    ),
    "truth": (
        "llama3-8b",
        {"num_hidden_layers": True},
        "num_hidden_layers = true: allowed a whole",
    ),
    "broken": ("llama3-8b", {"intermediate_size": 0.5}, "intermediate_size = 0.5: allowed a whole"),
    "zero": ("llama3-8b", {"vocab_size": 0}, "vocab_size = 0: allowed a whole number, 1"),
    "huge": ("llama3-8b", {"vocab_size": 10**12}, "vocab_size = 1000000000000: allowed"),
    "flag": ("llama3-8b", {"tie_word_embeddings": 1}, "tie_word_embeddings = 1: allowed true or"),
    "width": (
        "llama3-8b",
        {"num_attention_heads": 33, "num_key_value_heads": 11},
        "num_attention_heads = 33: allowed a divisor of hidden_size, 4096",
    ),
    "groups": (
        "llama3-8b",
        {"num_key_value_heads": 5},
        "num_key_value_heads = 5: allowed a divisor of the 32 attention heads",
    ),
    "window": (
        "mistral-nemo",
        {"sliding_window": 4096},
        "sliding_window = 4096: attention in a window is not modelled, allowed null",
    ),
    "top_k": ("mixtral-8x7b", {"num_experts_per_tok": 9}, "allowed 1..8, the experts"),
    "every other": (
        "qwen3-30b-a3b",
        {"decoder_sparse_step": 2},
        "decoder_sparse_step = 2: not modelled, allowed 1",
    ),
    "scattered": (
        "qwen3-30b-a3b",
        {"mlp_only_layers": [3, 7]},
        r"mlp_only_layers = \[3, 7\]: allowed the first layers only",
    ),
    "not a list": ("qwen3-30b-a3b", {"mlp_only_layers": 3}, "mlp_only_layers = 3: allowed the"),
    "shared": (
        "qwen2-57b-a14b",
        {"shared_expert_intermediate_size": 20_000},
        "allowed a multiple of the 2560 of a routed expert",
    ),
    "deep": (
        "deepseek-v3",
        {"first_k_dense_replace": 62},
        "first_k_dense_replace = 62: allowed 0..61, the layers",
    ),
    "projected": (
        "opt-66b",
        {"word_embed_proj_dim": 512},
        "word_embed_proj_dim = 512: not modelled, allowed 9216",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_named(tmp_path: Path, case: str) -> None:
    name, change, message = WRONG[case]
    (said,) = refusals(tmp_path, {**CONFIGS[name], **change})
    assert re.search(message, said)


def test_missing_keys_are_named_all_at_once(tmp_path: Path) -> None:
    config = dict(CONFIGS["deepseek-v3"], q_lora_rank=-1)
    for key in ("vocab_size", "kv_lora_rank", "n_routed_experts"):
        del config[key]
    assert refusals(tmp_path, {**config, "vocab_sise": 129_280}) == [
        "vocab_size: missing; 'vocab_sise' is there instead",
        "n_routed_experts: missing",
        "kv_lora_rank: missing",
        "q_lora_rank = -1: allowed a whole number, 0..1000000000",
    ]


def test_a_misspelt_optional_key_is_no_default(tmp_path: Path) -> None:
    config = dict(CONFIGS["llama3-8b"])
    config["num_key_value_head"] = config.pop("num_key_value_heads")
    assert refusals(tmp_path, config) == [
        "num_key_value_heads: missing; 'num_key_value_head' is there instead"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "config.json:1: not JSON: Expecting property name"),
        (b"[1, 2]", "config.json: allowed a JSON object"),
        (b"\xff\xfe", "config.json: not UTF-8 text"),
        (b"[" * 100_000, "config.json: not JSON: a number too long, or nested too deeply"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "config.json: not JSON: a number too long"),
        (b"", "config.json:1: not JSON: Expecting value"),
        (b"{}", "config.json: model_type: not modelled, allowed "),
    ],
)
def test_files_that_are_no_config(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message)):
        read_hf_config(path)


def test_a_mark_of_the_byte_order_is_no_fault(tmp_path: Path) -> None:
    path = written(tmp_path, CONFIGS["llama3-8b"])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_hf_config(path).shape["layers"] == 32


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.json: no such file or directory"):
        read_hf_config(tmp_path / "absent.json")
    with pytest.raises(InputError, match="is a directory"):
        read_hf_config(tmp_path)
