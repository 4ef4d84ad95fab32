"""Small weather files, written by the tests themselves."""

import gzip
from pathlib import Path

from dcsim.inputs.epw import calendar

HEADERS = [
    "LOCATION,Nowhere,TX,USA,SRC,000000,32.9,-97.0,-6.0,170.7",
    "DESIGN CONDITIONS,0",
    "TYPICAL/EXTREME PERIODS,0",
    "GROUND TEMPERATURES,0",
    "HOLIDAYS/DAYLIGHT SAVINGS,No,0,0,0",
    'COMMENTS 1,"made up, for tests"',
    "COMMENTS 2,none",
    "DATA PERIODS,1,1,Data,Sunday,1/ 1,12/31",
]


def dry_bulb_c(month: int, day: int, hour: int) -> float:
    """A temperature that tells month, day and hour apart."""
    return month + day / 100 + hour / 10


def rows() -> list[list[str]]:
    """A year of hours: 35 fields each, humidity 50 %, 100 kPa."""
    ahead, between, behind = ["2020"], ["0", "?9"], ["5.0", "50", "100000", *["0"] * 25]
    return [
        [*ahead, *map(str, when), *between, f"{dry_bulb_c(*when):.2f}", *behind]
        for when in calendar()
    ]


def write_epw(
    path: Path, headers: list[str] | None = None, hours: list[list[str]] | None = None
) -> Path:
    """Write an EPW file; gzipped when its name says so."""
    lines = (HEADERS if headers is None else headers) + [
        ",".join(row) for row in (rows() if hours is None else hours)
    ]
    content = ("\r\n".join(lines) + "\r\n").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
