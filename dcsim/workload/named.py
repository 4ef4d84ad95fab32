"""Models and systems by name: what the words of an estimate stand for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim import catalog
from dcsim.errors import InputError, ScenarioError
from dcsim.workload.columns import gathered
from dcsim.workload.fabric import Network, network_of, parse_network
from dcsim.workload.hf_config import read_hf_config
from dcsim.workload.interval import Spread, spread_of
from dcsim.workload.layer import Machine, Software
from dcsim.workload.levels import TUNED, UNTUNED
from dcsim.workload.machine import law_of, machine_of, software_of
from dcsim.workload.model import Shape, shape_of
from dcsim.workload.options import PRECISIONS, SHAPE

MODEL = ("model", *SHAPE)
SYSTEM = ("gpu", "precision", "network", "software")
"""The options that name a shape, and those that name a system."""

_GPT_VOCAB = 51_200  # of Megatron-LM's GPTs [Narayanan et al. 2021]: 50,257 padded
_GPT_FFN_X = 4  # of their hidden width


class System(NamedTuple):
    """What a GPU, a precision, a network and a stack of software together give.

    *untuned* is as slow as the software may be; *software* itself where that is named.
    """

    machine: Machine
    software: Software
    untuned: Software
    spread: Spread


class Coded(NamedTuple):
    """The combinations of some options that occur, and which one each row has."""

    keys: tuple[tuple[Any, ...], ...]
    row_key: npt.NDArray[np.int64]


def coded(asked: Mapping[str, Any], options: Sequence[str], count: int) -> Coded:
    """Return what *options* say in *count* rows; a single value counts for every row."""
    columns = [asked[name] for name in options]
    varying = [name for name, column in zip(options, columns, strict=True) if np.ndim(column)]
    if not varying:
        return Coded((tuple(columns),), np.zeros(count, np.int64))
    place: dict[tuple[Any, ...], int] = {}
    rows = zip(*(np.asarray(asked[name]).tolist() for name in varying), strict=True)
    row_key = np.fromiter((place.setdefault(key, len(place)) for key in rows), np.int64, count)
    whole = [dict(asked) | dict(zip(varying, key, strict=True)) for key in place]
    return Coded(tuple(tuple(each[name] for name in options) for each in whole), row_key)


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


def system_named(gpu: str, precision: str, network: str, software: str) -> System:
    """Return the system of a GPU in its reference node. Raises InputError, ScenarioError."""
    sheet = catalog.sheet("gpu", gpu)
    node = catalog.sheet("node", sheet.text("reference_node"))
    tuned = catalog.sheet("software", software or TUNED)
    untuned = catalog.sheet("software", software or UNTUNED)
    has = [name for name in PRECISIONS if f"peak_{name}_flop_per_s" in sheet]
    if precision not in has:
        raise InputError(f"precision {precision}: {gpu} has {', '.join(has)}")
    law = law_of(catalog.sheet("step", "law"))
    return System(
        machine_of(sheet, node, precision, law, _network(network) or network_of(node)),
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
