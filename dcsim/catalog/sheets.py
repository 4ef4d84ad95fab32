"""Sheets: one YAML file per thing, read strictly, once.

A file holds `about`, words such as `cooling: liquid`, and numbers:

    tdp_w: {value: 700, unit: W, source: NVIDIA data sheet, year: 2022, basis: published}

*unit* is the one that the suffix of the name promises (1 where there is none), or another of
the same dimension, which is converted. *year* is that of publication; for an undated page, the
year in which it was read. *basis* says how far to trust it: published, measured, fitted (by us,
to data that is named), judgement, or assumption (taken over from another thing, for want of data).
*low* and *high* bound it, *note* explains. Values may be lists, or lists of lists; a list of
mappings is a table of rows, each a sheet by itself. `sources` may hold YAML anchors that several
numbers share; it is not kept.

`like: h100-sxm` takes whatever the sheet leaves out from another of its kind, as an assumption.
"""

import difflib
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, TypeVar

import yaml

from dcsim.errors import ScenarioError
from dcsim.units import DIMENSIONS, to_si, unit_of

LEVELS = ("low", "typical", "high")

_DATA = Path(__file__).parent / "data"
KINDS = tuple(sorted(folder.name for folder in _DATA.iterdir()))
_BASES = ("published", "measured", "fitted", "judgement", "assumption")
_REQUIRED = ("value", "unit", "source", "year", "basis")
_OPTIONAL = ("low", "high", "note")
_YEARS = range(1950, 2101)

_T = TypeVar("_T")
_Array: TypeAlias = list[Any]
_Sources: TypeAlias = list[dict[str, Any]]


class Number(NamedTuple):
    """One number (or array of numbers) of a sheet, in SI, and where it comes from."""

    value: Any
    low: Any
    high: Any
    unit: str
    source: str
    year: int
    basis: str
    note: str


class Sheet:
    """What the catalogue knows of one thing; cannot be changed.

    `sheet["tdp_w"]` is a float in the SI unit that the suffix names.
    """

    __slots__ = ("_numbers", "_rows", "_words", "about", "kind", "name")

    def __init__(
        self,
        kind: str,
        name: str,
        words: Mapping[str, str],
        numbers: Mapping[str, Number],
        rows: Mapping[str, tuple["Sheet", ...]],
    ) -> None:
        self.kind = kind
        self.name = name
        self.about = words.get("about", "")
        self._words = MappingProxyType(dict(words))
        self._numbers = MappingProxyType(dict(numbers))
        self._rows = MappingProxyType(dict(rows))

    def __repr__(self) -> str:
        return f"Sheet({self.kind}/{self.name})"

    def __contains__(self, key: str) -> bool:
        return key in self._numbers or key in self._words or key in self._rows

    def __getitem__(self, key: str) -> float:
        value = self.number(key).value
        if isinstance(value, list):
            raise KeyError(f"{self.kind}/{self.name}: {key} is a list, not one number")
        return float(value)

    def __iter__(self) -> Iterator[str]:
        """Names of the numbers, in the order of the file."""
        return iter(self._numbers)

    @property
    def words(self) -> Mapping[str, str]:
        """All its words by key, `about` among them."""
        return self._words

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of its tables of rows."""
        return tuple(self._rows)

    def number(self, key: str) -> Number:
        """The number with its unit, range, source, year and basis."""
        return _found(self, self._numbers, key, "number")

    def low(self, key: str) -> float:
        """Lower bound in SI; the value itself where the sheet gives none."""
        return float(self.number(key).low)

    def high(self, key: str) -> float:
        """Upper bound in SI; the value itself where the sheet gives none."""
        return float(self.number(key).high)

    def at(self, level: str) -> "Sheet":
        """This sheet with every number at one of `LEVELS`: low, typical or high.

        Low is the lower number, not the better one. A number without a range stays as it is.
        """
        if level == "typical":
            return self
        taken = {key: n._replace(value=getattr(n, level)) for key, n in self._numbers.items()}
        tables = {key: tuple(row.at(level) for row in rows) for key, rows in self._rows.items()}
        return Sheet(self.kind, self.name, self._words, taken, tables)

    def list(self, key: str) -> _Array:
        """An array of numbers in SI, nested as in the file; a copy."""
        value = self.number(key).value
        if not isinstance(value, list):
            raise KeyError(f"{self.kind}/{self.name}: {key} is one number, not a list")
        return [list(row) if isinstance(row, list) else row for row in value]

    def text(self, key: str) -> str:
        """A word of the sheet, such as how a node is cooled."""
        return _found(self, self._words, key, "text")

    def rows(self, key: str) -> tuple["Sheet", ...]:
        """The rows of a table, each a sheet with its own name, words and numbers."""
        return _found(self, self._rows, key, "table")

    def filled(self, other: "Sheet") -> "Sheet":
        """This sheet with all that it leaves out taken over from *other*, as assumptions."""
        taken = {key: _assumed(number, other.name) for key, number in other._numbers.items()}
        return Sheet(
            self.kind,
            self.name,
            {**other._words, **self._words},
            {**taken, **self._numbers},
            {**other._rows, **self._rows},
        )

    def sources(self) -> _Sources:
        """Every number with path, value (SI), unit, source, year and basis, rows included."""
        own = [
            {
                "path": f"{self.kind}/{self.name}/{key}",
                "value": number.value,
                "unit": number.unit,
                "source": number.source,
                "year": number.year,
                "basis": number.basis,
            }
            for key, number in self._numbers.items()
        ]
        return own + [
            source for table in self._rows.values() for row in table for source in row.sources()
        ]


def _assumed(number: Number, origin: str) -> Number:
    """The number as an assumption about another thing than the one it was found for."""
    if number.basis == "assumption":
        return number
    note = "; ".join(filter(None, [f"taken over from {origin}", number.note]))
    return number._replace(basis="assumption", note=note)


def _found(of: Sheet, among: Mapping[str, _T], key: str, what: str) -> _T:
    if key not in among:
        raise KeyError(f"{of.kind}/{of.name} has no {what} {key!r}")
    return among[key]


@cache
def _listing(kind: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (_DATA / kind).glob("*.yaml")))


def names(kind: str) -> list[str]:
    """Names of all sheets of a kind, sorted. Raises ScenarioError for an unknown kind."""
    if kind not in KINDS:
        raise ScenarioError(f"the catalogue has no kind {kind!r}{_hint(kind, KINDS)}")
    return list(_listing(kind))


@cache
def sheet(kind: str, name: str) -> Sheet:
    """Read one data sheet.

    Raises ScenarioError, with the nearest name, for a thing that the catalogue does not have,
    and ValueError for a file that breaks the form (a fault of the catalogue).
    """
    known = names(kind)
    if name not in known:
        raise ScenarioError(f"the catalogue has no {kind} {name!r}{_hint(name, known)}")
    own = parse(kind, name, (_DATA / kind / f"{name}.yaml").read_text(encoding="utf-8"))
    return own.filled(sheet(kind, own.text("like"))) if "like" in own else own


def parse(kind: str, name: str, text: str) -> Sheet:
    """A sheet from the text of its file; ValueError names the entry that breaks the form."""
    try:
        content = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"{kind}/{name}: line {line}: {error.problem}") from error
    if not isinstance(content, dict) or not isinstance(content.get("about"), str):
        raise ValueError(f"{kind}/{name}: a mapping that begins with `about:` is needed")
    return _sheet(kind, name, {key: content[key] for key in content if key != "sources"})


def _hint(wrong: str, known: list[str] | tuple[str, ...]) -> str:
    longer = [name for name in known if wrong and name.startswith(wrong)]
    near = longer or difflib.get_close_matches(wrong, known, n=1)
    meant = " or ".join(map(repr, near))
    return f"; did you mean {meant}?" if near else f"; it has {', '.join(known)}"


def _sheet(kind: str, name: str, content: Mapping[str, Any]) -> Sheet:
    words: dict[str, str] = {}
    numbers: dict[str, Number] = {}
    rows: dict[str, tuple[Sheet, ...]] = {}
    for key, entry in content.items():
        where = f"{kind}/{name}/{key}"
        if isinstance(entry, str):
            words[key] = entry
        elif isinstance(entry, dict):
            numbers[key] = _number(where, key, entry)
        elif isinstance(entry, list) and all(isinstance(row, dict) for row in entry):
            rows[key] = tuple(_sheet(kind, f"{name}/{row.get('name')}", row) for row in entry)
        else:
            raise ValueError(f"{where}: text, a number with its source, or rows are needed")
    return Sheet(kind, name, words, numbers, rows)


def _number(where: str, key: str, entry: Mapping[str, Any]) -> Number:
    missing = [field for field in _REQUIRED if field not in entry]
    unknown = [field for field in entry if field not in _REQUIRED + _OPTIONAL]
    if missing or unknown:
        raise ValueError(f"{where}: missing {missing}, unknown {unknown}")
    _check_origin(where, entry)
    unit = unit_of(key) or "1"
    low, value, high = (
        _si(where, entry.get(field, entry["value"]), str(entry["unit"]), unit)
        for field in ("low", "value", "high")
    )
    if isinstance(value, float) and sorted((low, value, high)) != [low, value, high]:
        raise ValueError(f"{where}: {low} <= {value} <= {high} does not hold")
    source, year, basis = entry["source"], entry["year"], entry["basis"]
    return Number(value, low, high, unit, source, year, basis, entry.get("note", ""))


def _check_origin(where: str, entry: Mapping[str, Any]) -> None:
    if not isinstance(entry["source"], str) or not entry["source"].strip():
        raise ValueError(f"{where}: source must be text")
    if entry["year"] not in _YEARS:
        raise ValueError(f"{where}: year must lie in {_YEARS.start}..{_YEARS.stop - 1}")
    if entry["basis"] not in _BASES:
        raise ValueError(f"{where}: basis must be one of {', '.join(_BASES)}")


def _si(where: str, value: Any, unit: str, promised: str) -> Any:
    """The value, or each of a list, in the unit that the name promises."""
    if isinstance(value, list):
        return [_si(where, item, unit, promised) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{where}: {value!r} is not a finite number")
    if unit == promised:
        return float(value)
    alias = promised.replace("byte", "B")
    if not any(alias in units and unit in units for units in DIMENSIONS.values()):
        raise ValueError(f"{where}: unit {unit!r} does not fit a name that promises {promised!r}")
    return to_si(value, unit)
