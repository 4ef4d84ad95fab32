"""Which layouts are legal, and why others are not, for one or for a table of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim.workload.interval import Spread
from dcsim.workload.layer import Machine, Software
from dcsim.workload.layout import Layout, Schedule, Sharding
from dcsim.workload.model import Real, Shape

_REACH = 4096


class Case(NamedTuple):
    """Models and cuts, every number a scalar or an array, on one system, whose are scalars."""

    shape: Shape
    layout: Layout
    machine: Machine
    software: Software
    untuned: Software
    spread: Spread
    gpus: Real


class Rule(NamedTuple):
    """A condition on one option, and what is said where it does not hold.

    *holds* takes a case and, instead of its own, a value of that option; *needs* one row.
    """

    option: str
    holds: Callable[[Case, Any], Any]
    needs: Callable[[Case], str]


def _divides(whole: Any, part: Any) -> Any:
    return whole % np.maximum(part, 1) == 0


def _heads(case: Case, tp: Any) -> Any:
    kv = case.shape.kv_heads
    return _divides(case.shape.heads, tp) & (_divides(kv, tp) | _divides(tp, kv))


def _replica(case: Case) -> Real:
    return case.layout.tp * case.layout.pp * case.layout.cp


def _chunks(case: Case, vpp: Any) -> Any:
    chunks, layers = vpp * case.layout.pp, case.shape.layers
    return (chunks <= layers) | (chunks == layers + 2)  # each embedding as a layer


def _round(case: Case) -> Real:
    return np.where(case.layout.vpp > 1, case.layout.pp, 1)


def _batch(case: Case, gbs: Any) -> Any:
    layout = case.layout
    return _divides(gbs, layout.dp * layout.micro_batch * _round(case))


RULES = (
    Rule(
        "tp",
        lambda c, tp: tp <= c.machine.domain_count,
        lambda c: (
            f"tensor parallelism beyond the {c.machine.domain_count:.0f} GPUs of an NVLink "
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
        "vpp",
        lambda c, vpp: (vpp == 1) | (c.layout.pp > 1),
        lambda _c: "a pipeline of one stage cannot be interleaved",
    ),
    Rule("vpp", _chunks, lambda c: f"{c.layout.pp:.0f} stages share {c.shape.layers:.0f} layers"),
    Rule(
        "vpp",
        lambda c, vpp: (vpp == 1) | (c.layout.schedule == Schedule.ONE_F_ONE_B),
        lambda _c: "only 1f1b is interleaved",
    ),
    Rule(
        "pp",
        lambda c, pp: (c.layout.schedule != Schedule.DUALPIPE) | (pp % 2 == 0),
        lambda _c: "dualpipe needs an even number of stages",
    ),
    Rule(
        "cp",
        lambda c, cp: (cp == 1) | _divides(c.layout.sequence, 2 * cp),
        lambda c: (
            f"twice as many parts are to divide the {c.layout.sequence:.0f} tokens of a sequence"
        ),
    ),
    Rule(
        "gpus",
        lambda c, gpus: _divides(gpus, _replica(c)) & (gpus >= _replica(c)),
        lambda c: f"a replica takes tp x pp x cp = {_replica(c):.0f}",
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
        "ep",
        lambda c, ep: _divides(c.layout.dp * c.layout.cp, ep),
        lambda c: (
            f"it is to divide the {c.layout.dp * c.layout.cp:.0f} GPUs that hold the same layer"
        ),
    ),
    Rule(
        "gbs",
        _batch,
        lambda c: (
            f"{c.layout.dp:.0f} replicas x micro-batch {c.layout.micro_batch:.0f}"
            + (f" x {c.layout.pp:.0f} interleaved stages" if c.layout.vpp > 1 else "")
            + f" = {c.layout.dp * c.layout.micro_batch * _round(c):.0f}"
        ),
    ),
    Rule(
        "pp",
        lambda c, pp: (pp == 1) | (c.layout.sharding < Sharding.ZERO2),
        lambda _c: "zero2 and zero3 with a pipeline are not modelled",
    ),
    Rule(
        "shards",
        lambda c, shards: (shards == 0) | _divides(c.layout.dp * c.layout.cp, shards),
        lambda c: (
            f"it is to divide the {c.layout.dp * c.layout.cp:.0f} GPUs that hold the same layer"
        ),
    ),
    Rule(
        "token_nodes",
        lambda c, nodes: (nodes == 0) | (c.layout.ep > 1),
        lambda _c: "no experts are spread over GPUs",
    ),
)
_FIELD = {"gbs": "global_batch"}


def legal(case: Case) -> npt.NDArray[np.bool_]:
    """Return which rows keep every rule."""
    kept: Any = True
    for rule in RULES:
        kept = kept & rule.holds(case, _value(case, rule.option))
    return np.asarray(kept)


def reason(case: Case) -> str:
    """Return the first rule that one row breaks, with the nearest legal value; empty if none."""
    for rule in RULES:
        value = int(_value(case, rule.option))
        if not rule.holds(case, value):
            return f"{rule.option} {value}: {rule.needs(case)}; {_nearest(case, rule, value)}"
    return ""


def _value(case: Case, option: str) -> Any:
    return case.gpus if option == "gpus" else getattr(case.layout, _FIELD.get(option, option))


def _nearest(case: Case, rule: Rule, value: int) -> str:
    near = np.arange(max(1, value - _REACH), value + _REACH + 1)
    same = [r for r in RULES if r.option == rule.option]
    fits = near[
        np.logical_and.reduce([np.broadcast_to(r.holds(case, near), near.shape) for r in same])
    ]
    below, above = fits[fits < value][-1:], fits[fits > value][:1]
    found = [str(n) for n in (*below, *above)]
    return f"nearest is {' or '.join(found)}" if found else "no value near it is legal"
