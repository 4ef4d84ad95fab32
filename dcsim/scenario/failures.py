"""What goes wrong or is taken down on purpose, as asked for."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import model_validator

from dcsim import units
from dcsim.scenario.fields import Leaf, Part, number, quantity, sheet

_SELECTOR = re.compile(r"(\*|[a-z0-9-]+)(/[a-z]+/(\*|[0-9]+(-[0-9]+)?))+")
_RANGE = re.compile(r"/([0-9]+)-([0-9]+)")
_EFFECT_ALLOWED = "allowed down or {degrade: share that remains, 0..1}"


class Effect(NamedTuple):
    """`down`, or `degrade` to the share of capacity that remains (0 when down).

    Of a GPU, node or rack it is the share of the clock, which stays at its lowest below that.
    """

    kind: str
    remaining_frac: float


def _selector(value: Any) -> str:
    """Read what is hit: the grammar only, the world knows what exists."""
    if not isinstance(value, str) or not _SELECTOR.fullmatch(value):
        raise ValueError("allowed site/kind/index, such as dallas/cdu/3, dallas/cdu/3-5, */node/*")
    if any(int(first) > int(last) for first, last in _RANGE.findall(value)):
        raise ValueError("allowed ranges that rise, such as dallas/cdu/3-5")
    return value


def _effect(value: Any) -> Effect:
    if value == "down":
        return Effect("down", 0.0)
    if not isinstance(value, Mapping) or list(value) != ["degrade"]:
        raise ValueError(_EFFECT_ALLOWED)
    try:
        return Effect("degrade", units.parse(value["degrade"], "fraction"))
    except ValueError:
        raise ValueError(f"{_EFFECT_ALLOWED} (fractions, never percent)") from None


_SELECTOR_LEAF = Leaf(
    _selector,
    {
        "type": "string",
        "pattern": f"^{_SELECTOR.pattern}$",
        "examples": ["dallas/cdu/3", "*/node/*"],
    },
    "site/kind/index with ranges and *, such as dallas/cdu/3-5 or dallas/rack/7/node/*",
)
_EFFECT_LEAF = Leaf(
    _effect,
    {
        "oneOf": [
            {"const": "down"},
            {
                "type": "object",
                "properties": {"degrade": {"type": "number", "minimum": 0, "maximum": 1}},
                "required": ["degrade"],
                "additionalProperties": False,
            },
        ]
    },
    "down, or {degrade: share that remains, 0..1}; of a GPU, node or rack the share of its clock, "
    "which never falls below the lowest that its GPUs have",
)


def none_or_preset(value: Any) -> Any:
    """Read the short forms of `failures`: `none`, or the name of a preset."""
    if value == "none":
        return None
    return {"preset": value} if isinstance(value, str) else value


class Failures(Part):
    """Calendar of failures drawn from a preset of the catalogue, its rates times `scale`."""

    preset: Annotated[str, sheet("failures"), "fleet whose published rates are drawn from"]
    scale: Annotated[float, number(0, 1000), "multiplies every rate"] = 1.0


class Fault(Part):
    """A scripted fault. It strikes at `at_s`; for_s None means until the end."""

    at_s: Annotated[float, quantity("time", "0 s", "10 y"), "when it strikes, after the start"]
    hit: Annotated[str, _SELECTOR_LEAF, "what it strikes"]
    effect: Annotated[Effect, _EFFECT_LEAF, "what becomes of it"]
    for_s: Annotated[
        float | None, quantity("time", "1 ms", "10 y"), "how long it lasts; to the end if not given"
    ] = None


class Maintenance(Part):
    """Planned work on nodes, over and over.

    Once in `every_s`, for `for_s`: either the nodes of `hit`, or a rolling share of all.
    """

    every_s: Annotated[float, quantity("time", "1 h", "10 y"), "time from one turn to the next"]
    for_s: Annotated[float, quantity("time", "1 s", "30 d"), "how long nodes are away"]
    hit: Annotated[str | None, _SELECTOR_LEAF, "the nodes that leave at each turn"] = None
    rolling_frac: Annotated[
        float | None,
        quantity("fraction", "0.00001", "1"),
        "share of all nodes that leaves at each turn, one share after the other",
    ] = None

    @model_validator(mode="after")
    def _one(self) -> "Maintenance":
        if (self.hit is None) == (self.rolling_frac is None):
            raise ValueError("allowed exactly one of hit, rolling")
        return self
