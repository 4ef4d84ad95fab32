"""Models and systems by name: what the words of an estimate stand for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim import catalog
from dcsim.errors import InputError, ScenarioError
from dcsim.workload.columns import gathered
from dcsim.workload.contention import Tier, tier_of
from dcsim.workload.fabric import Network, network_of, parse_network
from dcsim.workload.hf_config import read_hf_config
from dcsim.workload.interval import Spread, spread_of
from dcsim.workload.layer import Machine, Software
from dcsim.workload.levels import TUNED, UNTUNED
from dcsim.workload.machine import law_of, machine_of, precisions_of, software_of
from dcsim.workload.model import Shape, shape_of
from dcsim.workload.options import SHAPE

MODEL = ("model", *SHAPE)
SYSTEM = (*("gpu", "precision", "network", "fabric", "oversubscription", "routing", "software"),)
"""The options that name a shape, and those that name a system."""

_GPT_VOCAB = 51_200  # of Megatron-LM's GPTs [Narayanan et al. 2021]: 50,257 padded
_GPT_FFN_X = 4  # of their hidden width

_FEW = 8


class System(NamedTuple):
    """What a GPU, a precision, a network and a stack of software together give.

    *untuned* is as slow as the software may be; *software* itself where that is named.
    """

    machine: Machine
    tier: Tier
    software: Software
    untuned: Software
    spread: Spread


class Coded(NamedTuple):
    """The combinations of some options that occur, and which one each row has."""

    keys: tuple[tuple[Any, ...], ...]
    row_key: npt.NDArray[np.int64]


def coded(asked: Mapping[str, Any], options: Sequence[str], count: int) -> Coded:
    """Return what *options* say in *count* rows; a single value counts for every row."""
    keys: list[tuple[Any, ...]] = [()]
    row_key = np.zeros(count, np.int64)
    for name in options:
        if np.ndim(asked[name]) == 0:
            keys = [(*key, asked[name]) for key in keys]
            continue
        values, codes = _numbered(asked[name])
        both, row_key = np.unique(row_key * len(values) + codes, return_inverse=True)
        pairs = (divmod(pair, len(values)) for pair in both.tolist())
        keys = [(*keys[old], values[new]) for old, new in pairs]
    return Coded(tuple(keys), row_key)


def _numbered(column: Any) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Return the values of a column, and the number of that of each row."""
    cells = np.asarray(column)
    first, codes, left = list[int](), np.empty(len(cells), np.int64), np.arange(len(cells))
    while len(left) and len(first) < _FEW:  # many times faster than sorting words
        same = cells[left] == cells[left[0]]
        codes[left[same]] = len(first)
        first.append(int(left[0]))
        left = left[~same]
    values: list[Any] = cells[first].tolist()
    if len(left):
        others, codes_left = np.unique(cells[left], return_inverse=True)
        codes[left] = codes_left + len(values)
        values += others.tolist()
    return values, codes


def made(keys: Sequence[tuple[Any, ...]], make: Callable[..., Any]) -> tuple[list[Any], list[str]]:
    """Return what *make* makes of each key, or why it cannot; of the two one is empty."""
    records: list[Any] = []
    wrong: list[str] = []
    for key in keys:
        try:
            records.append(make(*key))
            wrong.append("")
        except (InputError, ScenarioError) as error:
            records.append(None)
            wrong.append("; ".join(error.messages))
    return records, wrong


def shape_named(model: str, *numbers: int) -> Shape:
    """Return the shape of a model of the catalogue, of a config.json, or of these numbers.

    A feed-forward width of four times the model's is taken for a GPT's, any other for a gated
    block; a GPT's embeddings are one matrix. Raises InputError, ScenarioError.
    """
    given = dict(zip(SHAPE, numbers, strict=True))
    if model and any(numbers):
        raise InputError("model: give either a model or the numbers of its shape")
    if model.endswith(".json"):
        return Shape(**read_hf_config(Path(model)).shape)
    if model:
        return shape_of(catalog.sheet("model", model))
    missing = [name for name in ("layers", "hidden", "heads") if not given[name]]
    if missing:
        raise InputError(f"model: missing, and so are {', '.join(missing)}")
    if given["hidden"] % given["heads"]:
        raise InputError(f"heads {given['heads']}: it is to divide hidden {given['hidden']}")
    if bool(given["experts"]) != bool(given["top_k"]) or given["top_k"] > given["experts"]:
        raise InputError(f"top_k {given['top_k']}: allowed 1 to experts, {given['experts']}")
    if given["heads"] % (given["kv_heads"] or given["heads"]):
        raise InputError(
            f"kv_heads {given['kv_heads']}: it is to divide the {given['heads']} heads"
        )
    usual = _GPT_FFN_X * given["hidden"]
    ffn = given["ffn"] or usual
    gated = int(ffn != usual or given["experts"] > 0)
    return Shape(
        layers=given["layers"],
        hidden=given["hidden"],
        heads=given["heads"],
        kv_heads=given["kv_heads"] or given["heads"],
        head_dim=given["hidden"] // given["heads"],
        ffn=ffn,
        vocab=given["vocab"] or _GPT_VOCAB,
        gated=gated,
        tied=1 - gated,
        experts=given["experts"],
        top_k=given["top_k"],
        expert_ffn=ffn if given["experts"] else 0,
    )


def system_named(
    gpu: str,
    precision: str,
    network: str,
    fabric: str,
    oversubscription: int,
    routing: str,
    software: str,
) -> System:
    """Return the system of a GPU in its reference node. Raises InputError, ScenarioError."""
    sheet = catalog.sheet("gpu", gpu)
    node = catalog.sheet("node", sheet.text("reference_node"))
    if precision not in (has := precisions_of(sheet)):
        raise InputError(f"precision {precision}: {gpu} has {', '.join(has)}")
    tuned = catalog.sheet("software", software or TUNED)
    untuned = catalog.sheet("software", software or UNTUNED)
    law = law_of(catalog.sheet("step", "law"))
    nics = _network(network) or network_of(node)
    radix_count = int(catalog.sheet("switch", sheet.text("reference_switch"))["radix_count"])
    if not oversubscription <= radix_count // 2:
        raise InputError(f"oversubscription {oversubscription}: allowed 1 to {radix_count // 2}")
    tier = tier_of(
        radix_count,
        nics.nics_count,
        int(node["gpus_count"]),
        is_rail_optimised=fabric == "rail-clos",
        oversubscription=oversubscription,
        is_hashed=routing == "ecmp",
    )
    return System(
        machine_of(sheet, node, precision, law, nics),
        tier,
        software_of(tuned, sheet, law),
        software_of(untuned, sheet, law),
        spread_of(sheet, tuned, precision),
    )


def _network(text: str) -> Network | None:
    try:
        return parse_network(text) if text else None
    except ValueError as error:
        raise InputError(f"network {error}") from None


def picked(records: Sequence[Any], index: npt.NDArray[np.int64]) -> Any:
    """Return `records[i]` for each i of *index*, or the record itself where there is only one."""
    whole = [record for record in records if record is not None]
    if len(records) == 1:
        return whole[0]
    filled = [whole[0] if record is None else record for record in records]
    return gathered(filled, index)
