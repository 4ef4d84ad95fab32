"""The air outside, hour by hour: a climate of the catalogue, a weather file, or a constant.

A climate is the mean day of each month. From the middle of one month to that of the next it
changes linearly; it has no hot spells and no cold ones, so a question about extremes needs its
hottest day, which is repeated all year, or a weather file. Of a file, the hours of the same month,
day and hour are taken, and those of 28 February also on the 29th. The clock is local standard time
all year.
"""

import datetime
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcsim import catalog
from dcsim.inputs.epw import DAYS_PER_MONTH, HOURS_PER_YEAR, read_epw
from dcsim.inputs.moist_air import wet_bulb_c
from dcsim.inputs.records import NS_PER_S, Record, Weather
from dcsim.scenario.weather import Weather as Asked
from dcsim.units import HOUR_NS

F64 = NDArray[np.float64]

CONSTANT_HUMIDITY_FRAC = 0.5  # of constant weather: a convention, not a measurement
CONSTANT_PRESSURE_PA = 101325.0

_HOUR = datetime.timedelta(hours=1)
_DIGITS = 3  # of a degree: the wet bulb is no more exact
_FEBRUARY = 2
_FIRST_DAY = [sum(DAYS_PER_MONTH[:month]) for month in range(12)]


class _Year(NamedTuple):
    """Air at the end of each hour of a year of 365 days, shape (8760,)."""

    dry_bulb_c: F64
    wet_bulb_c: F64


def draw_weather(
    site: str, asked: Asked, start: datetime.datetime, duration_s: float
) -> list[Record]:
    """Return the weather of *site*, by its name, from *start* to the end of the run or later.

    The first record is at the start, the others at full hours of the clock; constant weather has
    one record. Raises InputError for a weather file that cannot be used.
    """
    if asked.constant_c is not None:
        return [_record(0, site, asked.constant_c, _constant_wet_bulb_c(asked.constant_c))]
    year = _file(asked.epw) if asked.epw is not None else _climate(str(asked.climate), asked.day)
    full_hour = start.replace(minute=0, second=0, microsecond=0)
    into_ns = (start - full_hour) // datetime.timedelta(microseconds=1) * 1000
    last = math.ceil((into_ns + duration_s * NS_PER_S) / HOUR_NS)
    rows = [_row(full_hour + k * _HOUR) for k in range(last + 1)]
    share = into_ns / HOUR_NS
    air = [values[rows] for values in year]
    for values in air:
        values[0] += share * (values[1] - values[0])
    return [
        _record(max(0, k * HOUR_NS - into_ns), site, dry_c, wet_c)
        for k, (dry_c, wet_c) in enumerate(zip(*air, strict=True))
    ]


def _record(t_ns: int, site: str, dry_c: float, wet_c: float) -> Record:
    """Make one weather record, rounded."""
    dry_bulb_c, wet_bulb_c = round(float(dry_c), _DIGITS), round(float(wet_c), _DIGITS)
    return Weather(dry_bulb_c=dry_bulb_c, wet_bulb_c=wet_bulb_c).at(t_ns, site)


def _row(instant: datetime.datetime) -> int:
    """Return the row of a year for the hour that ends at *instant*, -1 for the last one."""
    day = instant.day
    if instant.month == _FEBRUARY:
        day = min(day, DAYS_PER_MONTH[_FEBRUARY - 1])
    return (_FIRST_DAY[instant.month - 1] + day - 1) * 24 + instant.hour - 1


def _file(path: Path) -> _Year:
    """Read the year of a weather file."""
    year = read_epw(path)
    return _Year(year.dry_bulb_c, wet_bulb_c(*year))


def _climate(name: str, day: str) -> _Year:
    """Spread the mean days of a climate's months over a year, or repeat its hottest day.

    The climate's columns are the hours of the day, each named by its end.
    """
    sheet = catalog.sheet("climate", name)
    if day == "hottest":
        return _Year(
            *(np.resize(sheet.list(f"hot_day_{air}"), HOURS_PER_YEAR) for air in _Year._fields)
        )
    return _Year(_spread(sheet.list("dry_bulb_c")), _spread(sheet.list("wet_bulb_c")))


def _spread(mean_days_c: list[list[float]]) -> F64:
    """Interpolate mean days, 12 months of 24 hours, for each hour of a year, shape (8760,)."""
    table = np.asarray(mean_days_c, np.float64)
    middle_d = np.add(_FIRST_DAY, np.divide(DAYS_PER_MONTH, 2))
    ends_d = np.arange(1, HOURS_PER_YEAR + 1) / 24
    hours = [
        np.interp(ends_d[hour::24], middle_d, table[:, hour], period=365.0) for hour in range(24)
    ]
    return np.stack(hours, axis=1).reshape(-1)


def _constant_wet_bulb_c(dry_c: float) -> float:
    """Return the wet bulb that constant weather has."""
    air = (dry_c, CONSTANT_HUMIDITY_FRAC, CONSTANT_PRESSURE_PA)
    return float(wet_bulb_c(*(np.array([value]) for value in air))[0])
