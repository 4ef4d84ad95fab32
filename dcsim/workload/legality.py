"""Which layouts are legal, and why others are not, for one or for a table of them.

`RULES` are those of an estimate; `SEATED` those of a job on the nodes of a site, which also has to
sit on whole nodes.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim.workload.layout import Layout, Schedule, Sharding
from dcsim.workload.model import Real, Shape
from dcsim.workload.options import SCHEDULES

_REACH = 4096


class Cut(NamedTuple):
    """Models and how they are cut; every number a scalar or an array.

    *domain_count* is the GPUs that a tensor group may lie on, *gpus* how many there are.
    """

    shape: Shape
    layout: Layout
    domain_count: Real
    gpus: Real


class Rule(NamedTuple):
    """A condition on one option, and what is said where it does not hold.

    *holds* takes a cut and, instead of its own, a value of that option; *needs* one row. What
    *follows* from other options is only worth telling where those are right.
    """

    option: str
    holds: Callable[[Cut, Any], Any]
    needs: Callable[[Cut], str]
    follows: bool = False


class Broken(NamedTuple):
    """A rule that is not kept: the option, its value, and what is needed, with the nearest."""

    option: str
    value: int
    text: str


def _divides(whole: Any, part: Any) -> Any:
    return whole % np.maximum(part, 1) == 0


def _heads(cut: Cut, tp: Any) -> Any:
    kv = cut.shape.kv_heads
    return _divides(cut.shape.heads, tp) & (_divides(kv, tp) | _divides(tp, kv))


def _replica(cut: Cut) -> Real:
    return cut.layout.tp * cut.layout.pp * cut.layout.cp


def _chunks(cut: Cut, vpp: Any) -> Any:
    chunks, layers = vpp * cut.layout.pp, cut.shape.layers
    even = _divides(layers, chunks) | _divides(layers + 2, chunks)  # each embedding as a layer
    return (vpp == 1) | even


def _round(cut: Cut) -> Real:
    return np.where(cut.layout.vpp > 1, cut.layout.pp, 1)


def _batch(cut: Cut, gbs: Any) -> Any:
    layout = cut.layout
    return _divides(gbs, layout.dp * layout.micro_batch * _round(cut)) & (gbs > 0)


def _filling(cut: Cut) -> Real:
    """Return the micro-batches that a schedule needs to fill the pipeline as it says."""
    schedule, pp = cut.layout.schedule, cut.layout.pp
    needed = np.where(schedule == Schedule.DUALPIPE, 2 * pp, 1)
    return np.where(schedule == Schedule.ZERO_BUBBLE, pp, needed)


def _alike(cut: Cut) -> Real:
    return cut.layout.dp * cut.layout.cp


_SPLIT = (
    Rule(
        "tp",
        lambda c, tp: tp <= c.domain_count,
        lambda c: (
            f"tensor parallelism beyond the {c.domain_count:.0f} GPUs of an NVLink "
            "domain is not modelled"
        ),
    ),
    Rule(
        "tp",
        _heads,
        lambda c: (
            f"{c.shape.heads:.0f} heads and {c.shape.kv_heads:.0f} "
            "key-value heads are to be shared out evenly"
        ),
    ),
    Rule(
        "tp",
        lambda c, tp: _divides(c.shape.ffn, tp),
        lambda c: f"it is to divide the feed-forward width {c.shape.ffn:.0f}",
    ),
    Rule(
        "pp", lambda c, pp: pp <= c.shape.layers, lambda c: f"there are {c.shape.layers:.0f} layers"
    ),
    Rule(
        "pp",
        lambda c, pp: (c.layout.schedule != Schedule.DUALPIPE) | (pp % 2 == 0),
        lambda _c: "dualpipe needs an even number of stages",
    ),
    Rule(
        "pp",
        lambda c, pp: (pp == 1) | (c.layout.sharding < Sharding.ZERO2),
        lambda _c: "zero2 and zero3 with a pipeline are not modelled",
    ),
    Rule(
        "cp",
        lambda c, cp: (cp == 1) | _divides(c.layout.sequence, 2 * cp),
        lambda c: (
            f"twice as many parts are to divide the {c.layout.sequence:.0f} tokens of a sequence"
        ),
    ),
    Rule(
        "ep",
        lambda c, ep: (ep == 1) | (_divides(c.shape.experts, ep) & (c.shape.experts > 0)),
        lambda c: (
            f"it is to divide the {c.shape.experts:.0f} experts"
            if c.shape.experts
            else "the model has no experts"
        ),
    ),
    Rule(
        "vpp",
        lambda c, vpp: (vpp == 1) | (c.layout.pp > 1),
        lambda _c: "a pipeline of one stage cannot be interleaved",
        follows=True,
    ),
    Rule(
        "vpp",
        _chunks,
        lambda c: (
            f"{c.layout.pp:.0f} stages of as many chunks are to divide {c.shape.layers:.0f} "
            "layers, or those and 2 embeddings"
        ),
        follows=True,
    ),
    Rule(
        "vpp",
        lambda c, vpp: (vpp == 1) | (c.layout.schedule == Schedule.ONE_F_ONE_B),
        lambda _c: "only 1f1b is interleaved",
        follows=True,
    ),
)
_REPLICAS = (
    Rule(
        "ep",
        lambda c, ep: _divides(_alike(c), ep),
        lambda c: f"it is to divide the {_alike(c):.0f} GPUs that hold the same layer",
        follows=True,
    ),
    Rule(
        "gbs",
        _batch,
        lambda c: (
            "it is to be a multiple of "
            f"{c.layout.dp:.0f} replicas x micro-batch {c.layout.micro_batch:.0f}"
            + (f" x {c.layout.pp:.0f} interleaved stages" if c.layout.vpp > 1 else "")
            + f" = {c.layout.dp * c.layout.micro_batch * _round(c):.0f}"
        ),
        follows=True,
    ),
    Rule(
        "gbs",
        lambda c, gbs: gbs >= _filling(c) * c.layout.dp * c.layout.micro_batch,
        lambda c: (
            f"{SCHEDULES[int(c.layout.schedule)]} needs {_filling(c):.0f} micro-batches or more"
        ),
        follows=True,
    ),
    Rule(
        "gbs",
        lambda c, gbs: (
            (c.layout.schedule != Schedule.DUALPIPE)
            | _divides(gbs, 2 * c.layout.dp * c.layout.micro_batch)
        ),
        lambda _c: "dualpipe needs an even number of micro-batches, half of them from either end",
        follows=True,
    ),
    Rule(
        "shards",
        lambda c, shards: (shards == 0) | _divides(_alike(c), shards),
        lambda c: f"it is to divide the {_alike(c):.0f} GPUs that hold the same layer",
        follows=True,
    ),
    Rule(
        "token_nodes",
        lambda c, nodes: (nodes == 0) | (c.layout.ep > 1),
        lambda _c: "no experts are spread over GPUs",
        follows=True,
    ),
)
RULES = (
    *_SPLIT,
    Rule(
        "gpus",
        lambda c, gpus: _divides(gpus, _replica(c)) & (gpus >= _replica(c)),
        lambda c: f"a replica takes tp x pp x cp = {_replica(c):.0f}",
        follows=True,
    ),
    *_REPLICAS,
)
SEATED = (
    Rule(
        "tp",
        lambda c, tp: _divides(c.domain_count, tp),
        lambda c: f"it is to divide the {c.domain_count:.0f} GPUs of a node",
    ),
    *_SPLIT,
    Rule(
        "pp",
        lambda c, pp: pp * c.layout.tp * c.layout.cp <= c.gpus,
        lambda c: (
            f"a replica takes tp x pp x cp = {_replica(c):.0f} GPUs, there are {c.gpus:.0f} "
            "beside the spares"
        ),
        follows=True,
    ),
    Rule(
        "dp",
        lambda c, dp: dp * _replica(c) <= c.gpus,
        lambda c: (
            f"a replica takes tp x pp x cp = {_replica(c):.0f} GPUs, there is room for "
            f"{c.gpus // _replica(c):.0f}"
        ),
        follows=True,
    ),
    Rule(
        "dp",
        lambda c, dp: _divides(dp * _replica(c), c.domain_count),
        lambda c: (
            f"with {_replica(c):.0f} GPUs a replica it leaves a node of "
            f"{c.domain_count:.0f} half used"
        ),
        follows=True,
    ),
    *_REPLICAS,
)
_FIELD = {"gbs": "global_batch"}


def legal(cut: Cut) -> npt.NDArray[np.bool_]:
    """Return which rows keep every one of `RULES`."""
    kept: Any = True
    for rule in RULES:
        kept = kept & rule.holds(cut, _value(cut, rule.option))
    return np.asarray(kept)


def broken(cut: Cut, rules: tuple[Rule, ...] = RULES) -> Iterator[Broken]:
    """Yield for each option the first rule that one row breaks, with the nearest legal value."""
    told: set[str] = set()
    for rule in rules:
        value = int(_value(cut, rule.option))
        if rule.option in told or rule.holds(cut, value):
            continue
        if told and rule.follows:
            return
        told.add(rule.option)
        same = [r for r in rules if r.option == rule.option]
        yield Broken(rule.option, value, f"{rule.needs(cut)}; {_nearest(cut, same, value)}")


def reason(cut: Cut) -> str:
    """Return the first of `RULES` that one row breaks; empty if none."""
    return next((f"{rule.option} {rule.value}: {rule.text}" for rule in broken(cut)), "")


def _value(cut: Cut, option: str) -> Any:
    return cut.gpus if option == "gpus" else getattr(cut.layout, _FIELD.get(option, option))


def _nearest(cut: Cut, rules: list[Rule], value: int) -> str:
    near = np.arange(max(1, value - _REACH), value + _REACH + 1)
    kept = [np.broadcast_to(rule.holds(cut, near), near.shape) for rule in rules]
    fits = near[np.logical_and.reduce(kept)]
    below, above = fits[fits < value][-1:], fits[fits > value][:1]
    found = [str(n) for n in (*below, *above)]
    return f"nearest is {' or '.join(found)}" if found else "no value near it is legal"
