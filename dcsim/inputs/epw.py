"""Typical-year weather files in EnergyPlus format (EPW), plain or gzipped.

Eight header lines, then one row of 35 fields per hour of a year without 29 February. The hour
runs from 1 to 24 and names its end, in local standard time; the year may change from month to
month and is not used. Source of the format: EnergyPlus, Auxiliary Programs, "EnergyPlus Weather
File (EPW) Data Dictionary"; the ranges are those stated there, in which the codes for missing
values (99.9 degC, 999 %, 999999 Pa) do not lie.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcsim.errors import InputError

F64 = NDArray[np.float64]

HOURS_PER_YEAR = 8760
DAYS_PER_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_GZIP_MAGIC = b"\x1f\x8b"
_FIELD_COUNT = 35
_HEADERS = (
    "LOCATION",
    "DESIGN CONDITIONS",
    "TYPICAL/EXTREME PERIODS",
    "GROUND TEMPERATURES",
    "HOLIDAYS/DAYLIGHT SAVINGS",
    "COMMENTS 1",
    "COMMENTS 2",
    "DATA PERIODS",
)


class _Field(NamedTuple):
    """A field that is read: its place from 1, name, unit and allowed range."""

    place: int
    name: str
    unit: str
    low: float
    high: float


_DRY_BULB = _Field(7, "dry bulb", "degC", -70.0, 70.0)
_HUMIDITY = _Field(9, "relative humidity", "%", 0.0, 110.0)
_PRESSURE = _Field(10, "pressure", "Pa", 31000.0, 120000.0)


class TypicalYear(NamedTuple):
    """Hourly air of one year, shape (8760,): row i is the end of its hour i, counted from 0."""

    dry_bulb_c: F64
    humidity_frac: F64
    pressure_pa: F64


def read_epw(path: Path) -> TypicalYear:
    """Read the air's state in each hour of *path*.

    Raises InputError, naming the file and where it can line and field, for anything that is
    not as the format says.
    """
    rows = list(csv.reader(_lines(path)))
    _check_headers(path, rows)
    hours = rows[len(_HEADERS) :]
    if len(hours) != HOURS_PER_YEAR:
        raise InputError(f"{path}: {len(hours)} rows of hours: {HOURS_PER_YEAR} are needed")
    values = np.empty((3, HOURS_PER_YEAR))
    for i, (row, when) in enumerate(zip(hours, calendar(), strict=True)):
        line = f"{path}:{len(_HEADERS) + 1 + i}"
        if len(row) != _FIELD_COUNT:
            raise InputError(f"{line}: {len(row)} fields: {_FIELD_COUNT} are needed")
        if [text.strip().lstrip("0") for text in row[1:4]] != [str(number) for number in when]:
            month, day, hour = when
            found = "/".join(row[1:4])
            raise InputError(f"{line}: month/day/hour {found}: expected {month}/{day}/{hour}")
        for column, field in enumerate((_DRY_BULB, _HUMIDITY, _PRESSURE)):
            values[column, i] = _number(line, row, field)
    dry_bulb_c, humidity_percent, pressure_pa = values
    return TypicalYear(dry_bulb_c, np.minimum(humidity_percent / 100, 1.0), pressure_pa)


def calendar() -> Iterator[tuple[int, int, int]]:
    """Yield the (month, day, hour) of each row of a year, from (1, 1, 1) to (12, 31, 24)."""
    for month, days in enumerate(DAYS_PER_MONTH, 1):
        for day in range(1, days + 1):
            for hour in range(1, 25):
                yield month, day, hour


def _lines(path: Path) -> list[str]:
    """Return the text lines of *path*, unpacked if need be."""
    try:
        raw = path.read_bytes()
        text = gzip.decompress(raw) if raw.startswith(_GZIP_MAGIC) else raw
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return text.decode("utf-8-sig", errors="replace").splitlines()


def _check_headers(path: Path, rows: list[list[str]]) -> None:
    """Raise InputError unless *rows* start with the eight header lines, for hourly data."""
    for i, header in enumerate(_HEADERS):
        found = rows[i][0].strip() if i < len(rows) and rows[i] else "nothing"
        if found.upper() != header:
            raise InputError(f"{path}:{i + 1}: header {header} is needed, found {found[:40]!r}")
    periods = [text.strip() for text in rows[len(_HEADERS) - 1][1:3]]
    if periods != ["1", "1"]:
        found = ", ".join(periods)
        raise InputError(f"{path}:8: DATA PERIODS {found}: one period of hourly rows is needed")


def _number(line: str, row: list[str], field: _Field) -> float:
    """Return the value of *field* in *row*; raise InputError unless it is in its range."""
    text = row[field.place - 1].strip()
    where = f"{line}: field {field.place} ({field.name})"
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where} = {text!r}: not a number") from None
    if not field.low <= value <= field.high:
        allowed = f"allowed {field.low:g}..{field.high:g} {field.unit}"
        raise InputError(f"{where} = {text} {field.unit}: {allowed}")
    return value
