"""The catalogue in a terminal and as plain values: kinds, names, numbers with their sources."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console

from dcsim import catalog, units
from dcsim.catalog import Number, Sheet
from dcsim.errors import ScenarioError
from dcsim.report.lines import say
from dcsim.scenario import Scenario
from dcsim.world import sources_of

_INDENT = "    "
_OPEN = ("judgement", "assumption")
_SHOWN_COUNT = 6


def show_catalog(kind: str | None, name: str | None, console: Console) -> None:
    """Print the kinds there are, or the names of one, or a sheet; raises as `found`."""
    if kind is None:
        for each in catalog.KINDS:
            say(console, f"{each}:", f" {', '.join(catalog.names(each))}")
        say(console, "", "dcsim catalog KIND NAME shows the numbers of one, with their sources")
    elif name is None:
        for each in names_of(kind):
            say(console, each, f"  {catalog.sheet(kind, each).about}")
    else:
        show_sheet(found(kind, name), console)


def values_of(kind: str | None, name: str | None) -> dict[str, Any]:
    """Return the same for `--json`."""
    if kind is None:
        return {each: catalog.names(each) for each in catalog.KINDS}
    if name is None:
        return {each: catalog.sheet(kind, each).about for each in names_of(kind)}
    return as_values(found(kind, name))


def names_of(kind: str) -> list[str]:
    """Return the names of a kind.

    Raises ScenarioError for one that does not exist, also where it is the name of something.
    """
    homes = [each for each in catalog.KINDS if kind in catalog.names(each)]
    if kind not in catalog.KINDS and homes:
        raise ScenarioError(f"{kind} is a name, not a kind: dcsim catalog {homes[0]} {kind}")
    return catalog.names(kind)


def found(kind: str, name: str) -> Sheet:
    """Return one sheet; raises ScenarioError with the nearest name for one that does not exist."""
    if name not in names_of(kind):
        homes = [each for each in catalog.KINDS if name in catalog.names(each)]
        if homes:
            raise ScenarioError(f"{name} is no {kind}: dcsim catalog {homes[0]} {name}")
    return catalog.sheet(kind, name)


def show_sheet(sheet: Sheet, console: Console) -> None:
    """Print every number of a sheet: value, range, basis, source and note."""
    say(console, f"{sheet.kind} {sheet.name}", f"  {sheet.about}")
    words = [f"{key}: {word}" for key, word in sheet.words.items() if key != "about"]
    if words:
        say(console, "", ", ".join(words))
    for path, number in numbers_of(sheet):
        say(console, path, f"  {shown(number)}")
        origin = f"{number.basis} {number.year}: {number.source}"
        for line in filter(None, (origin, number.note)):
            say(console, "", line, style="dim", first=_INDENT, indent=_INDENT)


def show_used(sheets: Sequence[Sheet], console: Console) -> None:
    """Print the sheets that a scenario uses, and how much of each is open."""
    total = opened = 0
    for sheet in sheets:
        bases = [number.basis for _, number in numbers_of(sheet)]
        open_count = sum(bases.count(basis) for basis in _OPEN)
        total, opened = total + len(bases), opened + open_count
        text = f"  {sheet.about}: {len(bases)} numbers, {open_count} judgement or assumption"
        say(console, f"{sheet.kind} {sheet.name}", text)
    say(console, f"{total} numbers, {opened} of them judgement or assumption")


def as_values(sheet: Sheet) -> dict[str, Any]:
    """Return all of a sheet in SI for `--json`."""
    return {
        "kind": sheet.kind,
        "name": sheet.name,
        **sheet.words,
        "numbers": {path: number._asdict() for path, number in numbers_of(sheet)},
    }


def numbers_of(sheet: Sheet) -> Iterator[tuple[str, Number]]:
    """Yield every number with its path, those in rows of tables included."""
    for key in sheet:
        yield key, sheet.number(key)
    for table in sheet.tables:
        for row in sheet.rows(table):
            for path, number in numbers_of(row):
                yield f"{table}/{row.words.get('name', '')}/{path}", number


def shown(number: Number) -> str:
    """Return a number with unit and range, or what a list of numbers spans."""
    if isinstance(number.value, list):
        return _list(number)
    text = _value(number.value, number.unit)
    if number.low != number.value or number.high != number.value:
        text += f" ({_value(number.low, number.unit)} .. {_value(number.high, number.unit)})"
    return text


def _list(number: Number) -> str:
    flat = [each for row in number.value for each in (row if isinstance(row, list) else [row])]
    rows = sum(isinstance(row, list) for row in number.value)
    if not rows and len(flat) <= _SHOWN_COUNT:
        return ", ".join(f"{each:g}" for each in flat) + _unit(number.unit)
    shape = f"{rows} x {len(flat) // rows}" if rows else str(len(flat))
    return f"{shape} values, {min(flat):g} .. {max(flat):g}{_unit(number.unit)}"


def _unit(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"


def _value(value: float, unit: str) -> str:
    return f"{value:,.6g}" if unit == "1" else units.show(value, unit)


def sheets_used(scenario: Scenario) -> list[Sheet]:
    """Return every sheet that a scenario names, directly or not, once."""
    paths = (str(source["path"]).split("/") for source in sources_of(scenario))
    return [catalog.sheet(kind, name) for kind, name in dict.fromkeys((p[0], p[1]) for p in paths)]
