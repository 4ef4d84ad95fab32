"""What may stand at one key: quantities, whole numbers, names, choices, catalogue references.

Each kind reads the written value once, to the SI value of the attribute, and says what is allowed
when it cannot. The key in the file is the attribute without its unit: `supply_c` is `supply`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
)

from dcsim import catalog, units
from dcsim.scenario.reader import scalar

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NAME_MAX_COUNT = 60
_PREFIXED = {"time": "s", "power": "W", "data": "byte"}
"""Dimensions whose values are written in whatever unit fits them."""


def written_key(attribute: str) -> str:
    """Key in the file of an attribute: its name without the suffix of its unit."""
    suffixes = (suffix for suffix in units.SUFFIXES if attribute.endswith(f"_{suffix}"))
    longest = max(suffixes, key=len, default="")
    return attribute.removesuffix(f"_{longest}") if longest else attribute


FILLED = "filled in where it is left out"
"""Annotation of a key that is needed, but that nobody has to write."""


class Part(BaseModel):
    """Abstract: a part of a scenario, a frozen mapping in which unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=written_key)


@dataclass(frozen=True, eq=False)
class Leaf:
    """Annotation of a field: how its written value is read, and what says so to people and editors.

    *allowed* is what may be written, in words; *write* is the reverse of *read*.
    """

    read: Callable[[Any], Any]
    schema: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    allowed: str
    write: Callable[[Any], Any] = lambda value: value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        del source
        return PlainValidator(self.read).__get_pydantic_core_schema__(Any, handler)

    def __get_pydantic_json_schema__(
        self, core: object, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        del core, handler
        return self.json_schema()

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the written value."""
        return dict(self.schema() if callable(self.schema) else self.schema)


def quantity(dimension: str, low: str, high: str, *, auto: bool = False) -> Leaf:
    """Number with a unit of *dimension*, from *low* to *high*; None for `auto` where allowed."""
    low_si, high_si = units.parse(low, dimension), units.parse(high, dimension)
    span = f"{low}..{high}"
    if low.split()[1:] == high.split()[1:]:
        span = f"{low.split()[0]}..{high}"
    also, unset = (" or auto", "auto") if auto else ("", None)

    def read(value: Any) -> float | None:
        if auto and value == "auto":
            return None
        try:
            number = units.parse(value, dimension)
        except ValueError as error:
            raise ValueError(f"{error}{also}") from None
        if not low_si <= number <= high_si:
            raise ValueError(f"allowed {span}{also}")
        return number

    def write(value: float | None) -> str | None:
        if value is None:
            return unset
        if dimension in _PREFIXED:
            return units.show(value, _PREFIXED[dimension])
        unit = low.split()[1]
        return f"{value / units.to_si(1, unit):g} {unit}"

    plain = {"type": "number", "minimum": low_si, "maximum": high_si}
    if not units.DIMENSIONS[dimension]:
        return Leaf(read, plain, f"{units.allowed(dimension)}, {span}")
    schema = {"type": "string", "examples": [low, high]}
    return Leaf(read, schema, f"{span}{also} ({units.allowed(dimension)})", write)


def whole(low: int, high: int, *, auto: bool = False) -> Leaf:
    """Whole number from *low* to *high* (`2e12` is one); None for `auto` where allowed."""
    also, unset = (" or auto", "auto") if auto else ("", None)
    span = f"a whole number {low}..{high}{also}"

    def read(value: Any) -> int | None:
        if auto and value == "auto":
            return None
        number = _plain_number(value, span)
        if number % 1 or not low <= number <= high:
            raise ValueError(f"allowed {span}")
        return int(value)

    def write(value: int | None) -> int | str | None:
        return unset if value is None else value

    schema: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
    return Leaf(read, {"anyOf": [{"const": "auto"}, schema]} if auto else schema, span, write)


def number(low: float, high: float) -> Leaf:
    """Plain number without a unit, from *low* to *high*."""
    span = f"a plain number {low:g}..{high:g}"

    def read(value: Any) -> float:
        plain = _plain_number(value, span)
        if not low <= plain <= high:
            raise ValueError(f"allowed {span}")
        return plain

    return Leaf(read, {"type": "number", "minimum": low, "maximum": high}, span)


def flag() -> Leaf:
    """Read true or false."""

    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("allowed true or false")
        return value

    return Leaf(read, {"type": "boolean"}, "true or false")


def choice(*options: str, only: bool = False) -> Leaf:
    """One of *options*; with *only*, others are said to be not modelled."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in options:
            _refuse(value, options, "not modelled, " if only else "")
        return value

    allowed = ", ".join(options) + (" (others are not modelled)" if only else "")
    return Leaf(read, {"enum": list(options)}, allowed)


def sheet(kind: str) -> Leaf:
    """Name of a data sheet of *kind* in the catalogue."""

    def read(value: Any) -> str:
        names = catalog.names(kind)
        if not isinstance(value, str) or value not in names:
            _refuse(value, names, f"no such {kind.replace('_', ' ')} in the catalogue, ")
        return value

    allowed = f"a name of `dcsim catalog {kind}`"
    return Leaf(read, {"enum": catalog.names(kind)}, allowed)


def name() -> Leaf:
    """Name of a thing: lower-case letters, digits and single hyphens."""

    def read(value: Any) -> str:
        text = str(value) if isinstance(value, int) else value
        if not isinstance(text, str) or not _NAME.fullmatch(text) or len(text) > _NAME_MAX_COUNT:
            raise ValueError("allowed lower-case letters, digits and hyphens, such as dallas-2")
        return text

    schema = {"type": "string", "pattern": f"^{_NAME.pattern}$", "maxLength": _NAME_MAX_COUNT}
    return Leaf(read, schema, "lower-case letters, digits and single hyphens")


def nearest(word: str, options: Sequence[str]) -> str:
    """Say `did you mean 'x'? ` for the option closest to *word*, or nothing."""
    from difflib import get_close_matches

    near = get_close_matches(word, options, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def _refuse(value: Any, options: Sequence[str], why: str) -> NoReturn:
    hint = nearest(value, options) if isinstance(value, str) else ""
    raise ValueError(f"{why}{hint}allowed {', '.join(options)}")


def _plain_number(value: Any, span: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        quoted = isinstance(value, str) and isinstance(scalar(value), int | float)
        raise ValueError(f"allowed {span}" + (", without quotes: this is text" if quoted else ""))
    return units.to_si(value, "1")
