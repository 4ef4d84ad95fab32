"""The shape of a transformer from the `config.json` that Hugging Face keeps beside its weights.

Valid: the families of `FAMILIES`, decoders whose attention reaches over the whole sequence and
whose layers are alike, but for leading dense ones. Everything else is refused by its key, not
approximated. Accuracy: counts are exact; parameters that follow from them leave out biases, norms
and learned positions (0.1%, in small GPT-2 and OPT models up to 1%).
Source: the configuration classes of huggingface/transformers, for names of keys and defaults.
"""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from dcsim.errors import InputError

_LARGEST = 10**9
_MOST_SHOWN = 60  # characters of a value in a message


class HfModel(NamedTuple):
    """What a `config.json` says of a model's shape."""

    shape: dict[str, int]
    """Counts by the names of `SHAPE`; 0 for what the model does not have, flags as 0 or 1."""
    left_out: tuple[str, ...]
    """What the file asks for and the shape does not hold, in words."""


SHAPE = (
    "layers",
    "hidden",
    "heads",
    "kv_heads",
    "head_dim",  # of queries and keys, without the rotary part that MLA keeps apart
    "ffn",
    "vocab",
    "gated",  # three matrices in the feed-forward block instead of two
    "tied",  # input and output embedding are one matrix
    "experts",  # routed ones
    "top_k",
    "shared_experts",
    "expert_ffn",
    "dense_layers",  # leading layers without experts
    "q_rank",  # 0 in MLA: queries are not compressed
    "kv_rank",  # 0: no MLA
    "rope_dim",
    "value_dim",
)

_DENSE = MappingProxyType(
    {
        "layers": "num_hidden_layers",
        "hidden": "hidden_size",
        "heads": "num_attention_heads",
        "ffn": "intermediate_size",
        "vocab": "vocab_size",
    }
)
_GPT2 = {**_DENSE, "layers": "n_layer", "hidden": "n_embd", "heads": "n_head", "ffn": "n_inner"}
_QWEN_EXPERTS = {"experts": "num_experts", "expert_ffn": "moe_intermediate_size"}
_DEEPSEEK_EXPERTS = {"experts": "n_routed_experts", "expert_ffn": "moe_intermediate_size"}


class Family(NamedTuple):
    """How one `model_type` writes its shape down."""

    gated: bool
    tied: bool
    """Where the file does not say."""
    keys: Mapping[str, str] = _DENSE
    experts: Mapping[str, str] = MappingProxyType({})
    latent: bool = False
    """Multi-head latent attention."""
    fixed: Mapping[str, int] = MappingProxyType({})
    """Keys that may be absent, or else must have this value to be expressible."""


_QWEN_FIXED = {"decoder_sparse_step": 1}
_DEEPSEEK = Family(
    gated=True, tied=False, experts=_DEEPSEEK_EXPERTS, latent=True, fixed={"moe_layer_freq": 1}
)
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "deepseek_v2": _DEEPSEEK,
        "deepseek_v3": _DEEPSEEK,
        "gemma": Family(gated=True, tied=True),
        "gpt2": Family(gated=False, tied=True, keys=_GPT2),
        "gpt_neox": Family(gated=False, tied=False),
        "llama": Family(gated=True, tied=False),
        "mistral": Family(gated=True, tied=False),
        "mixtral": Family(
            gated=True,
            tied=False,
            experts={"experts": "num_local_experts", "expert_ffn": "intermediate_size"},
        ),
        "opt": Family(gated=False, tied=True, keys={**_DENSE, "ffn": "ffn_dim"}),
        "qwen2": Family(gated=True, tied=False),
        "qwen2_moe": Family(gated=True, tied=False, experts=_QWEN_EXPERTS, fixed=_QWEN_FIXED),
        "qwen3": Family(gated=True, tied=False),
        "qwen3_moe": Family(gated=True, tied=False, experts=_QWEN_EXPERTS, fixed=_QWEN_FIXED),
    }
)
_FAMILY_NAMES = ", ".join(FAMILIES)


def read_hf_config(path: Path) -> HfModel:
    """Read the `config.json` at *path*.

    Raises InputError with every fault of the file at once, each with file and key: what is no
    JSON, a family or a setting that the shape cannot express, keys that are missing or wrong.
    """
    config = _Config(path, _loaded(path))
    kind = config.values.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        near = get_close_matches(str(kind)[:_MOST_SHOWN], FAMILIES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(config.say("model_type", f"not modelled, {hint}allowed {_FAMILY_NAMES}"))
    family = FAMILIES[kind]
    shape = {**dict.fromkeys(SHAPE, 0), **_decoder(config, family)}
    if family.experts:
        shape |= _experts(config, family, shape)
    if family.latent:
        shape |= _latent(config)
    _check(config, family, shape)
    left_out = tuple(_left_out(config))
    faults = [*config.absent(), *config.faults.values()]
    if faults:
        raise InputError(*faults)
    return HfModel(shape, left_out)


class _Config:
    """The values of one file, which keys were asked for, and what was wrong with them so far."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self.path = path
        self.values = values
        self.asked: dict[str, bool] = {}
        """Keys, and whether each must be there."""
        self.faults: dict[str, str] = {}

    def say(self, key: str, text: str) -> str:
        """The text, with the file, the key and its value."""
        value = json.dumps(self.values.get(key))
        value = value if len(value) <= _MOST_SHOWN else f"{value[:_MOST_SHOWN]}..."
        found = f" = {value}" if key in self.values else ""
        return f"{self.path}: {key}{found}: {text}"

    def refuse(self, key: str, text: str) -> None:
        """Note what is wrong with *key*."""
        self.faults[key] = self.say(key, text)

    def demand(self, holds: bool, key: str, text: str, *others: str) -> None:
        """Refuse *key* unless this *holds*; silent where it or *others* are at fault already."""
        known = [name in self.values and name not in self.faults for name in (key, *others)]
        if not holds and all(known):
            self.refuse(key, text)

    def count(self, key: str, default: int | None = None, least: int = 1) -> int:
        """The whole number at *key*; absent or null it is *default*, without one a fault.

        After a fault it is *least*, so that reading goes on.
        """
        self.asked[key] = default is None
        value = self.values.get(key, default)
        if value is None:
            return least if default is None else default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST:
            self.refuse(key, f"allowed a whole number, {least}..{_LARGEST}")
            return least
        return value

    def flag(self, key: str, default: bool) -> bool:
        """The truth value at *key*; absent or null it is *default*."""
        self.asked[key] = False
        value = self.values.get(key, default)
        if not isinstance(value, bool | None):
            self.refuse(key, "allowed true or false")
        return default if value is None else bool(value)

    def absent(self) -> list[str]:
        """What is wrong with keys that are not there: must be, or are there misspelt."""
        others = [key for key in self.values if key not in self.asked]
        found = []
        for key, needed in self.asked.items():
            near = get_close_matches(key, others, n=1, cutoff=0.7 if needed else 0.9)
            hint = f"; {near[0]!r} is there instead" if near else ""
            if self.values.get(key) is None and (needed or near):
                found.append(self.say(key, f"missing{hint}"))
        return found


def _decoder(config: _Config, family: Family) -> dict[str, int]:
    """Read what every decoder has."""
    keys = family.keys
    shape = {name: config.count(keys[name]) for name in ("layers", "hidden", "heads", "vocab")}
    hidden, heads = shape["hidden"], shape["heads"]
    shape["ffn"] = config.count(keys["ffn"], 4 * hidden if family.keys is _GPT2 else None)
    shape["kv_heads"] = config.count("num_key_value_heads", heads)
    grouped = f"allowed a divisor of the {heads} attention heads"
    config.demand(heads % shape["kv_heads"] == 0, "num_key_value_heads", grouped, keys["heads"])
    if not family.latent:
        shape["head_dim"] = config.count("head_dim", max(1, hidden // heads))
        divides = config.values.get("head_dim") is not None or hidden % heads == 0
        text = f"allowed a divisor of {keys['hidden']}, {hidden}"
        config.demand(divides, keys["heads"], text, keys["hidden"])
    shape["tied"] = int(config.flag("tie_word_embeddings", family.tied))
    shape["gated"] = int(family.gated)
    return shape


def _experts(config: _Config, family: Family, shape: Mapping[str, int]) -> dict[str, int]:
    """Read the experts of a layer, and which layers have none."""
    experts = {name: config.count(key) for name, key in family.experts.items()}
    count, top_k = experts["experts"], config.count("num_experts_per_tok")
    text = f"allowed 1..{count}, the experts"
    config.demand(top_k <= count, "num_experts_per_tok", text, family.experts["experts"])
    dense = config.count("first_k_dense_replace", _listed_layers(config, shape["layers"]), least=0)
    text = f"allowed 0..{shape['layers']}, the layers"
    config.demand(dense <= shape["layers"], "first_k_dense_replace", text, "num_hidden_layers")
    shared = _shared(config, experts["expert_ffn"])
    return {**experts, "top_k": top_k, "dense_layers": dense, "shared_experts": shared}


def _shared(config: _Config, expert_ffn: int) -> int:
    """Count shared experts, in units of a routed one."""
    key = "shared_expert_intermediate_size"
    width = config.count(key, 0, least=0)
    text = f"allowed a multiple of the {expert_ffn} of a routed expert"
    config.demand(width % expert_ffn == 0, key, text, "moe_intermediate_size")
    return config.count("n_shared_experts", width // expert_ffn, least=0)


def _listed_layers(config: _Config, layers: int) -> int:
    """Count the layers that a list says have no experts."""
    listed = config.values.get("mlp_only_layers") or []
    if not isinstance(listed, list) or listed != list(range(min(len(listed), layers))):
        config.refuse("mlp_only_layers", "allowed the first layers only, as [0, 1, 2]")
        return 0
    return len(listed)


def _latent(config: _Config) -> dict[str, int]:
    """Read multi-head latent attention."""
    return {
        "q_rank": config.count("q_lora_rank", 0, least=0),
        "kv_rank": config.count("kv_lora_rank"),
        "head_dim": config.count("qk_nope_head_dim"),
        "rope_dim": config.count("qk_rope_head_dim"),
        "value_dim": config.count("v_head_dim"),
    }


def _check(config: _Config, family: Family, shape: Mapping[str, int]) -> None:
    """Note settings that are beyond the shape."""
    for key, allowed in family.fixed.items():
        if config.values.get(key, allowed) != allowed:
            config.refuse(key, f"not modelled, allowed {allowed}")
    hidden = shape["hidden"]
    projected = config.count("word_embed_proj_dim", hidden)
    text = f"not modelled, allowed {hidden}"
    config.demand(projected == hidden, "word_embed_proj_dim", text, "hidden_size")
    window = config.count("sliding_window", _LARGEST)
    reach = config.count("max_position_embeddings", _LARGEST)
    whole = window >= reach or not config.flag("use_sliding_window", True)
    text = "attention in a window is not modelled, allowed null"
    config.demand(whole, "sliding_window", text)


def _left_out(config: _Config) -> list[str]:
    key = "num_nextn_predict_layers"
    predicted = config.count(key, 0, least=0)
    return [config.say(key, "the head for multi-token prediction is left out")] * bool(predicted)


def _loaded(path: Path) -> dict[str, Any]:
    """The object in a JSON file; raises InputError for anything else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not JSON: a number too long, or nested too deeply") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: allowed a JSON object, such as the config.json of a model")
    return values
