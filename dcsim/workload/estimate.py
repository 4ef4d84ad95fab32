"""Estimates of training: from names and numbers to step time, rates and memory.

`estimate` answers for one case, `table` for as many as its columns are long, by the same functions
on arrays. What is not given is the default of `dcsim.workload.options`.

Valid, Accuracy: as `dcsim.workload.step` and `dcsim.workload.published`; every estimate has an
interval and says whether it is extrapolated. The published runs of today's software were tuned for
a benchmark: where the software is not named, the high end of the interval is that of the same law
with the kernels of 2023 and no traffic hidden.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim import catalog
from dcsim.errors import InputError
from dcsim.workload.columns import filled, joined, rows_of
from dcsim.workload.interval import interval
from dcsim.workload.layer import Law
from dcsim.workload.layout import Exchange, Layout, Recompute, Schedule, Sharding
from dcsim.workload.legality import Case, legal, reason
from dcsim.workload.machine import law_of
from dcsim.workload.memory import Memory, memory
from dcsim.workload.model import (
    Real,
    Shape,
    active_layer_params,
    attention_flop_per_token,
    flop_per_token,
)
from dcsim.workload.named import (
    MODEL,
    SYSTEM,
    Coded,
    coded,
    made,
    picked,
    shape_named,
    system_named,
)
from dcsim.workload.options import BY_NAME, EXCHANGES, OPTIONS, SCHEDULES, Value
from dcsim.workload.step import Parts, step_of

Ints = npt.NDArray[np.int64]
Column = Value | Sequence[Value] | npt.NDArray[Any]

CHUNK = 4096
"""Rows at a time, so that arrays stay in the cache."""
_MICRO_BATCHES_PER_STAGE = 4
_AUTO = len(Recompute)


class Estimate(NamedTuple):
    """What training comes to; every number a scalar or an array."""

    parts: Parts
    memory: Memory
    step_s: Real
    low_s: Real
    high_s: Real
    extrapolated: Real
    tokens_per_s: Real
    mfu_frac: Real  # of the dense BF16 peak
    hfu_frac: Real  # what is computed again counted too
    flop_per_s_per_gpu: Real
    hbm_byte: Real
    fits: Real
    recompute: Real  # as chosen


class Problem(NamedTuple):
    """What is wrong with one row; the text begins with the option at fault."""

    row: int
    text: str


class Table(NamedTuple):
    """Estimates of the rows that are legal, and what is wrong with the others."""

    rows: Ints  # of the columns, for each estimate
    layout: Layout | None  # None where no row is legal, like the next
    estimate: Estimate | None
    problems: tuple[Problem, ...]


def estimate(**options: Value) -> tuple[Layout, Estimate]:
    """Return the layout and the estimate of one case; options as in `OPTIONS`.

    Raises InputError that says what is wrong, KeyError for an unknown option.

    >>> layout, found = estimate(model="llama3-8b", gpus=64, tp=2, gbs=512, seq=8192)
    >>> int(layout.dp), bool(found.low_s < found.step_s < found.high_s)
    (32, True)
    """
    if several := [name for name, value in options.items() if np.ndim(value)]:
        raise InputError(f"one case has one value of each option, not several {several[0]}")
    found = table(options)
    if found.layout is None or found.estimate is None:
        raise InputError(*(problem.text for problem in found.problems))
    return rows_of(found.layout, 0), rows_of(found.estimate, 0)


def table(columns: Mapping[str, Column]) -> Table:
    """Return the estimates of all rows; a single value counts for every row.

    Raises KeyError for a column that is no option, InputError for columns that are empty or not
    as long as each other, and for words that are not allowed.
    """
    unknown = set(columns) - set(BY_NAME)
    if unknown:
        raise KeyError(f"no option {', '.join(sorted(unknown))}")
    asked: dict[str, Any] = {o.name: columns.get(o.name, o.default) for o in OPTIONS}
    lengths = {name: len(column) for name, column in columns.items() if np.ndim(column)}  # type: ignore[arg-type]
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        each = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"columns are to have the same number of rows, at least one: {each}")
    count = next(iter(lengths.values()), 1)
    by_model, by_system = coded(asked, MODEL, count), coded(asked, SYSTEM, count)
    models, no_model = made(by_model.keys, shape_named)
    systems, no_system = made(by_system.keys, system_named)
    problems = [*_unnamed(by_model, no_model), *_unnamed(by_system, no_system)]
    problems += _out_of_range(asked, count)
    rows = np.delete(np.arange(count), [problem.row for problem in problems])
    of_system = by_system.row_key[rows]
    found = []
    for key in np.unique(of_system):
        mine = rows[of_system == key]
        here = {name: _taken(column, mine) for name, column in asked.items()}
        shape = picked(models, by_model.row_key[mine])
        machine, software, untuned, spread = systems[key]
        gpus = np.asarray(here["gpus"])
        case = Case(shape, _layout(here), machine, software, untuned, spread, gpus)
        good = np.broadcast_to(legal(case), mine.shape)
        wrong = np.flatnonzero(~good)
        problems += [Problem(int(mine[row]), reason(rows_of(case, row))) for row in wrong]
        if good.any():
            found.append(_estimates(mine, case, good, here["attention"]))
    if not found:
        return Table(rows[:0], None, None, tuple(sorted(problems)))
    kept, layout, estimates = _Part(*joined(found))
    order = np.argsort(kept)
    if len(found) > 1:
        layout, estimates = rows_of(layout, order), rows_of(estimates, order)
    return Table(kept[order], layout, estimates, tuple(sorted(problems)))


class _Part(NamedTuple):
    """Estimates of some rows."""

    rows: Ints
    layout: Layout
    estimate: Estimate


def _estimates(rows: Ints, case: Case, good: Any, attention: Any) -> _Part:
    """Return the estimates of the rows of one system that are legal, a chunk at a time."""
    kept = np.flatnonzero(good)
    if len(kept) < len(rows):
        case, attention = rows_of(case, kept), _taken(attention, kept)
    causal = np.asarray(attention) == "causal"
    law = law_of(catalog.sheet("step", "law"))
    parts = []
    for begin in range(0, len(kept), CHUNK):
        at = slice(begin, begin + CHUNK)
        found = estimated(rows_of(case, at), _taken(causal, at), law)
        parts.append(filled(found, len(kept[at])))
    found = joined(parts)
    layout = filled(case.layout._replace(recompute=found.recompute), len(kept))
    return _Part(rows[kept], layout, found)


def _out_of_range(asked: Mapping[str, Any], count: int) -> list[Problem]:
    """Return the counts that are none, and raise InputError for words that are not allowed."""
    problems = []
    for option in OPTIONS:
        column = asked[option.name]
        if option.choices and (unknown := set(np.ravel(column).tolist()) - set(option.choices)):
            allowed = ", ".join(option.choices)
            raise InputError(f"{option.name} {sorted(unknown)[0]!r}: allowed {allowed}")
        if option.is_count:
            least = min(1, int(option.default))
            numbers = np.broadcast_to(column, (count,))
            wrong = np.flatnonzero(~((numbers >= least) & (numbers == np.floor(numbers))))
            text = f"allowed a whole number from {least}"
            problems += [
                Problem(int(row), f"{option.name} {numbers[row]}: {text}") for row in wrong
            ]
    return problems


def _unnamed(by: Coded, wrong: list[str]) -> list[Problem]:
    return [Problem(row, wrong[key]) for row, key in enumerate(by.row_key) if wrong[key]]


def estimated(case: Case, causal: Real, law: Law) -> Estimate:
    """Return the estimates of cases that are legal."""
    shape, layout, machine = case.shape, case.layout, case.machine
    layout = layout._replace(recompute=_least_that_fits(case))
    parts = step_of(shape, layout, machine, case.software, law).parts
    held, step_s = memory(shape, layout), parts.step_s
    ends = interval(step_s, case.spread, case.gpus, shape.experts > 0)
    untuned_s = step_s
    if case.untuned != case.software:
        untuned_s = step_of(shape, layout, machine, case.untuned, law).parts.step_s
    flop = flop_per_token(shape, layout.sequence, causal)
    again = np.where(layout.recompute == Recompute.FULL, _forward_flop(shape, layout, causal), 0.0)
    tokens_per_s = layout.tokens_count / step_s
    each = tokens_per_s / layout.gpus_count
    return Estimate(
        parts=parts,
        memory=held,
        step_s=step_s,
        low_s=ends.low_s,
        high_s=ends.high_s * np.maximum(1.0, untuned_s / step_s),
        extrapolated=ends.extrapolated,
        tokens_per_s=tokens_per_s,
        mfu_frac=each * flop / machine.peak_flop_per_s,
        hfu_frac=each * (flop + again) / machine.peak_flop_per_s,
        flop_per_s_per_gpu=each * flop,
        hbm_byte=machine.hbm_byte,
        fits=held.total_byte <= machine.hbm_byte,
        recompute=layout.recompute,
    )


def _least_that_fits(case: Case) -> Real:
    """Return the recomputation asked for, or where it is left open the least that fits."""
    asked, shape = case.layout.recompute, case.shape
    if not np.any(asked == _AUTO):
        return asked
    chosen: Any = Recompute.FULL
    for level in (Recompute.SELECTIVE, Recompute.NONE):
        held = memory(shape, case.layout._replace(recompute=level)).total_byte
        chosen = np.where(held <= case.machine.hbm_byte, level, chosen)
    return np.where(asked == _AUTO, chosen, asked)


def _forward_flop(shape: Shape, layout: Layout, causal: Real) -> Real:
    """Return the model FLOPs of the forward pass of all layers on one token."""
    attention = attention_flop_per_token(shape, layout.sequence, causal)
    return shape.layers * (2.0 * active_layer_params(shape) + attention / 3.0)


def _layout(asked: Mapping[str, Any]) -> Layout:
    """Return the layouts; replicas follow from the GPUs, the batch from the stages if not given."""
    count = {o.name: np.asarray(asked[o.name]) for o in OPTIONS if o.is_count}
    replica = count["tp"] * count["pp"] * count["cp"]
    dp = np.maximum(1, count["gpus"] // replica)
    usual = dp * count["mbs"] * _MICRO_BATCHES_PER_STAGE * count["pp"]
    return Layout(
        tp=count["tp"],
        pp=count["pp"],
        dp=dp,
        micro_batch=count["mbs"],
        global_batch=np.where(count["gbs"] > 0, count["gbs"], usual),
        sequence=count["seq"],
        vpp=count["vpp"],
        cp=count["cp"],
        ep=count["ep"],
        sharding=_coded(asked["sharding"], {level.name.lower(): level for level in Sharding}),
        recompute=_coded(
            asked["recompute"], {level.name.lower(): level for level in Recompute} | {"auto": _AUTO}
        ),
        schedule=_coded(asked["schedule"], dict(zip(SCHEDULES, Schedule, strict=True))),
        exchange=_coded(asked["cp_exchange"], dict(zip(EXCHANGES, Exchange, strict=True))),
        shards=count["shards"],
        token_nodes=count["token_nodes"],
    )


def _coded(column: Any, codes: Mapping[str, int]) -> Any:
    if np.ndim(column) == 0:
        return codes[str(column)]
    return np.fromiter((codes[word] for word in column), np.int64, len(column))


def _taken(column: Any, rows: Any) -> Any:
    """Return *rows* of a column, which may be a single value."""
    return column if np.ndim(column) == 0 else np.asarray(column)[rows]
