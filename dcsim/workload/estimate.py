"""Estimates of training: from names and numbers to step time, rates and memory.

`estimate` answers for one case, `table` for as many as its columns are long, by the same functions
on arrays. What is not given is the default of `dcsim.workload.options`.

Valid, Accuracy: as `dcsim.workload.step` and `dcsim.workload.published`; every estimate has an
interval and says whether it is extrapolated. The published runs of today's software were tuned for
a benchmark: where the software is not named, the high end of the interval is that of the same law
with the kernels of 2023 and no traffic hidden.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim import catalog
from dcsim.errors import InputError
from dcsim.workload.columns import filled, joined, rows_of
from dcsim.workload.contention import shares_of
from dcsim.workload.interval import interval
from dcsim.workload.layer import Law
from dcsim.workload.layout import CODES, Layout
from dcsim.workload.legality import Cut, legal, reason
from dcsim.workload.machine import law_of
from dcsim.workload.memory import Memory, least_that_fits
from dcsim.workload.model import (
    Real,
    flop_per_token,
)
from dcsim.workload.named import (
    MODEL,
    SYSTEM,
    Coded,
    System,
    coded,
    made,
    picked,
    shape_named,
    system_named,
)
from dcsim.workload.options import BY_NAME, OPTIONS, Value
from dcsim.workload.step import Parts, executed_flop_per_token, step_of

Ints = npt.NDArray[np.int64]
Column = Value | Sequence[Value] | npt.NDArray[Any]

CHUNK = 4096
"""Rows at a time, so that arrays stay in the cache."""
_MICRO_BATCHES_PER_STAGE = 4
_OF_ROW = tuple(option.name for option in OPTIONS if option.name not in (*MODEL, *SYSTEM))
"""The options that say neither of which shape nor on which system."""


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


def table(columns: Mapping[str, Column], *, with_reasons: bool = True) -> Table:
    """Return the estimates of all rows; a single value counts for every row.

    Without *with_reasons*, which takes most of the time where most rows are illegal, those are
    left out in silence.

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
    found: list[_Part] = []
    for key in np.unique(of_system):
        mine = rows[of_system == key]
        here = {name: _taken(asked[name], mine) for name in _OF_ROW}
        shape = picked(models, by_model.row_key[mine])
        domain_count = systems[key].machine.domain_count
        cut = Cut(shape, _layout(here), domain_count, np.asarray(here["gpus"]))
        good = np.broadcast_to(legal(cut), mine.shape)
        wrong = np.flatnonzero(~good & with_reasons)
        problems += [Problem(int(mine[row]), reason(rows_of(cut, row))) for row in wrong]
        if good.any():
            found += _estimates(mine, cut, systems[key], good, here["attention"])
    if not found:
        return Table(rows[:0], None, None, tuple(sorted(problems)))
    kept, layout, estimates = _Part(*joined(found))
    order = np.argsort(kept)
    if np.any(order[1:] < order[:-1]):
        layout, estimates = rows_of(layout, order), rows_of(estimates, order)
    return Table(kept[order], layout, estimates, tuple(sorted(problems)))


class _Part(NamedTuple):
    """Estimates of some rows."""

    rows: Ints
    layout: Layout
    estimate: Estimate


def _estimates(rows: Ints, cut: Cut, system: System, good: Any, attention: Any) -> Iterator[_Part]:
    """Yield the estimates of the rows of one system that are legal, a chunk at a time."""
    kept = np.flatnonzero(good)
    if len(kept) < len(rows):
        cut, attention = rows_of(cut, kept), _taken(attention, kept)
    causal = np.asarray(attention) == "causal"
    law = law_of(catalog.sheet("step", "law"))
    for begin in range(0, len(kept), CHUNK):
        at = slice(begin, begin + CHUNK)
        chunk = rows_of(cut, at)
        found = estimated(chunk, system, _taken(causal, at), law)
        layout = chunk.layout._replace(recompute=found.recompute)
        part = _Part(rows[kept[at]], layout, found)
        yield filled(part, len(part.rows))


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
    rows = np.flatnonzero(np.array([bool(text) for text in wrong])[by.row_key])
    return [Problem(row, wrong[by.row_key[row]]) for row in rows.tolist()]


def estimated(cut: Cut, system: System, causal: Real, law: Law) -> Estimate:
    """Return the estimates of cuts that are legal, on one system."""
    shape, machine = cut.shape, system.machine
    layout, held = least_that_fits(shape, cut.layout, machine.hbm_byte)
    shares = shares_of(layout, machine.domain_count, system.tier)
    parts = step_of(shape, layout, machine, system.software, law, shares).parts
    step_s = parts.step_s
    ends = interval(step_s, system.spread, cut.gpus, shape.experts > 0)
    untuned_s = step_s
    if system.untuned != system.software:
        untuned_s = step_of(shape, layout, machine, system.untuned, law, shares).parts.step_s
    flop = flop_per_token(shape, layout.sequence, causal)
    executed = executed_flop_per_token(shape, layout, causal, system.software.flash)
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
        hfu_frac=each * executed / machine.peak_flop_per_s,
        flop_per_s_per_gpu=each * flop,
        hbm_byte=machine.hbm_byte,
        fits=held.total_byte <= machine.hbm_byte,
        recompute=layout.recompute,
    )


def _layout(asked: Mapping[str, Any]) -> Layout:
    """Return the layouts; replicas follow from the GPUs, the batch from the stages if not given."""
    count = {o.name: np.asarray(asked[o.name]) for o in OPTIONS if o.name in asked and o.is_count}
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
        sharding=_coded(asked["sharding"], CODES["sharding"]),
        recompute=_coded(asked["recompute"], CODES["recompute"]),
        schedule=_coded(asked["schedule"], CODES["schedule"]),
        exchange=_coded(asked["cp_exchange"], CODES["cp_exchange"]),
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
