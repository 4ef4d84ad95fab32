"""The best layouts for a model on so many GPUs: every legal one is estimated.

Layouts range over tensor, pipeline, context and expert parallelism, chunks of the pipeline,
micro-batches, sharding and recomputation; GPUs over the number given, and its halves where a target
is to be met with fewer. Of equally fast layouts one is enough: the table keeps those that no other
beats in step time, memory and GPUs at once.

Valid, Accuracy: as `dcsim.workload.estimate`: layouts within its interval of each other are alike.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim.errors import InputError
from dcsim.workload.columns import rows_of
from dcsim.workload.estimate import Estimate, table
from dcsim.workload.layout import Layout
from dcsim.workload.named import SYSTEM, shape_named, system_named
from dcsim.workload.options import BY_NAME, SHAPE, Value

Ints = npt.NDArray[np.int64]

_MICRO_BATCHES = (1, 2, 4, 8, 16)
_CHUNKS = (1, 2, 3, 4, 6, 8, 12, 16)
_HALVINGS = 6
_SPLIT = ("tp", "pp", "cp", "ep")
_DAY_S = 86_400.0


class Ranked(NamedTuple):
    """Layouts that fit, the fastest first, and how many were looked at."""

    gpus: Ints
    layout: Layout
    estimate: Estimate
    pareto: npt.NDArray[np.bool_]  # no other is as good in step time, memory and GPUs
    days: npt.NDArray[np.float64] | None  # to the tokens asked for
    tried_count: int
    legal_count: int


def ranked(
    options: Mapping[str, Value],
    *,
    tokens: float | None = None,
    target_days: float | None = None,
) -> Ranked | None:
    """Return the layouts of a model on *gpus* that fit, None where none does.

    Raises InputError for names that are unknown, and with what is mostly wrong where no layout is
    legal.

    *options* are those of `dcsim.workload.options`; what they fix is not varied. With *tokens* each
    has its days, and with *target_days* only those that meet it are kept, on fewer GPUs too.
    """
    system: list[Any] = [options.get(name, BY_NAME[name].default) for name in SYSTEM]
    system_named(*system)
    gpus = int(options["gpus"])
    halvings = _HALVINGS if target_days is not None else 0
    counts = [gpus >> k for k in range(halvings + 1) if gpus >> k and gpus % (1 << k) == 0]
    columns = _candidates(options, counts)
    if not len(columns["tp"]):
        return None
    found = table(columns, with_reasons=False)
    if found.estimate is None or found.layout is None:
        found = table(columns)
        (text, _count), *_ = Counter(problem.text for problem in found.problems).most_common(1)
        raise InputError(f"no layout is legal, most for {text}")
    all_gpus = np.asarray(columns["gpus"])[found.rows]
    per_s = found.estimate.tokens_per_s
    days = None if tokens is None else tokens / per_s / _DAY_S
    keep = np.asarray(found.estimate.fits)
    if days is not None and target_days is not None:
        keep = keep & (days <= target_days)
    rows = np.flatnonzero(keep)
    if not len(rows):
        return None
    rows = rows[np.lexsort((found.estimate.memory.total_byte[rows], found.estimate.step_s[rows]))]
    kept = rows_of(found.estimate, rows)
    goals = np.stack([kept.step_s, kept.memory.total_byte, all_gpus[rows]], axis=1)
    return Ranked(
        gpus=all_gpus[rows],
        layout=rows_of(found.layout, rows),
        estimate=kept,
        pareto=_unbeaten(goals),
        days=None if days is None else days[rows],
        tried_count=len(columns["tp"]),
        legal_count=len(found.rows),
    )


def _candidates(options: Mapping[str, Value], counts: list[int]) -> dict[str, Any]:
    """Return a column for every option: all layouts worth a look, legal or not."""
    rows = np.array(list(_splits(options, counts)), np.int64).reshape(-1, 5)
    gpus, tp, pp, cp, ep = rows.T
    chunks = _given(options, "vpp", _CHUNKS)
    micro_batches = _given(options, "mbs", _MICRO_BATCHES)
    sharded = [int(name == "zero3") for name in _given(options, "sharding", ("zero1", "zero3"))]
    inner = np.array(list(product(chunks, micro_batches, sharded)), np.int64)
    outer = np.repeat(np.arange(len(rows)), len(inner))
    vpp, mbs, is_zero3 = np.tile(inner, (len(rows), 1)).T
    whole = {"gpus": gpus, "tp": tp, "pp": pp, "cp": cp, "ep": ep}
    columns: dict[str, Any] = {name: column[outer] for name, column in whole.items()}
    columns |= {"vpp": vpp, "mbs": mbs}
    if "sharding" not in options:
        columns["sharding"] = np.where(is_zero3, "zero3", "zero1")
    worth = np.where(columns["pp"] > 1, is_zero3 == 0, vpp == 1)
    columns = {name: column[worth] for name, column in columns.items()}
    fixed = set(options) - set(columns)
    return columns | {name: options[name] for name in sorted(fixed)}


def _splits(options: Mapping[str, Value], counts: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield GPUs and splits whose product divides them."""
    powers = [1 << k for k in range(15)]
    stages = sorted({*powers[:8], 3, 5, 6, 7, 9, 10, 12, 14, 15, 18, 20, 21, 24, 28, 30, 36, 42})
    among = {"tp": powers[:7], "pp": stages, "cp": powers[:5], "ep": powers[:9]}
    numbers = [int(options.get(name, 0)) for name in SHAPE]
    if not shape_named(str(options.get("model", "")), *numbers).experts and "ep" not in options:
        among["ep"] = [1]
    for gpus in counts:
        for split in product(*(_given(options, name, among[name]) for name in _SPLIT)):
            if gpus % (split[0] * split[1] * split[2]) == 0:
                yield (gpus, *split)


def _given(options: Mapping[str, Value], name: str, usual: Any) -> Any:
    return [options[name]] if name in options else usual


def _unbeaten(goals: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which rows no other row beats or equals in every goal; rows are sorted by the first.

    Of equal rows the first is kept.
    """
    kept = np.zeros(len(goals), np.bool_)
    front: list[npt.NDArray[np.float64]] = []
    for row, goal in enumerate(goals):
        if not front or not np.any(np.all(np.array(front) <= goal, axis=1)):
            kept[row] = True
            front.append(goal)
    return kept
