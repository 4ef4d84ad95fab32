"""Units: the only place where a written value becomes SI, and SI becomes words for people.

Inside dcsim all is SI with the unit in the name (`SUFFIXES`); temperatures are degC and data is
in bytes. Files write a number and a unit (`54 d`, `10.2 kW`, `400 Gbit/s`), checked against the
dimension that the place expects. Fractions are plain numbers from 0 to 1, never percent.
"""

import re
import sys

_MILLI, _MICRO, _NANO = 1e-3, 1e-6, 1e-9
_KILO, _MEGA, _GIGA, _TERA, _PETA, _EXA = 1e3, 1e6, 1e9, 1e12, 1e15, 1e18
_BITS_PER_BYTE = 8.0
_JOULE_PER_WH = 3600.0
_SECOND_PER_MIN, _SECOND_PER_H, _SECOND_PER_D = 60.0, 3600.0, 86400.0
_SECOND_PER_Y = 365 * _SECOND_PER_D

HOUR_NS, DAY_NS = 3_600_000_000_000, 86_400_000_000_000

DIMENSIONS: dict[str, dict[str, float]] = {
    "time": {
        "s": 1.0,
        "ns": _NANO,
        "us": _MICRO,
        "ms": _MILLI,
        "min": _SECOND_PER_MIN,
        "h": _SECOND_PER_H,
        "d": _SECOND_PER_D,
        "y": _SECOND_PER_Y,
    },
    "power": {"W": 1.0, "mW": _MILLI, "kW": _KILO, "MW": _MEGA, "GW": _GIGA},
    "energy": {
        "J": 1.0,
        "kJ": _KILO,
        "MJ": _MEGA,
        "GJ": _GIGA,
        "Wh": _JOULE_PER_WH,
        "kWh": _KILO * _JOULE_PER_WH,
        "MWh": _MEGA * _JOULE_PER_WH,
    },
    "data": {
        "B": 1.0,
        "kB": _KILO,
        "MB": _MEGA,
        "GB": _GIGA,
        "TB": _TERA,
        "PB": _PETA,
        "KiB": 2.0**10,
        "MiB": 2.0**20,
        "GiB": 2.0**30,
        "TiB": 2.0**40,
    },
    "data_rate": {
        "bit/s": 1 / _BITS_PER_BYTE,
        "Mbit/s": _MEGA / _BITS_PER_BYTE,
        "Gbit/s": _GIGA / _BITS_PER_BYTE,
        "Tbit/s": _TERA / _BITS_PER_BYTE,
        "B/s": 1.0,
        "MB/s": _MEGA,
        "GB/s": _GIGA,
        "TB/s": _TERA,
    },
    "temperature": {"degC": 1.0},
    "temperature_difference": {"K": 1.0},
    "volume": {"m3": 1.0, "L": _MILLI},
    "volume_flow": {
        "m3/s": 1.0,
        "m3/h": 1 / _SECOND_PER_H,
        "L/s": _MILLI,
        "L/min": _MILLI / _SECOND_PER_MIN,
    },
    "volume_per_power": {
        "m3/W": 1.0,
        "m3/MW": 1 / _MEGA,
        "L/MW": _MILLI / _MEGA,
        "L/kW": _MILLI / _KILO,
    },
    "mass_flow": {"kg/s": 1.0, "kg/h": 1 / _SECOND_PER_H},
    "mass": {"g": 1.0, "kg": _KILO, "t": _MEGA},
    "pressure": {"Pa": 1.0, "kPa": _KILO, "bar": 1e5},
    "money": {"USD": 1.0},
    "frequency": {"Hz": 1.0, "MHz": _MEGA, "GHz": _GIGA},
    "compute_rate": {"FLOP/s": 1.0, "TFLOP/s": _TERA, "PFLOP/s": _PETA, "EFLOP/s": _EXA},
    "thermal_resistance": {"K/W": 1.0},
    "heat_capacity": {"J/K": 1.0, "kJ/K": _KILO, "MJ/K": _MEGA},
    "specific_heat": {"J/kg/K": 1.0, "kJ/kg/K": _KILO},
    "event_rate": {"1/s": 1.0, "1/h": 1 / _SECOND_PER_H, "1/y": 1 / _SECOND_PER_Y},
    "fraction": {},
    "count": {},
}
"""Per dimension, its units and what one of each is in SI."""

SUFFIXES: dict[str, str] = {
    "s": "s",
    "ns": "ns",
    "w": "W",
    "j": "J",
    "c": "degC",
    "k": "K",
    "pa": "Pa",
    "hz": "Hz",
    "byte": "byte",
    "flop": "FLOP",
    "usd": "USD",
    "g": "g",
    "kg": "kg",
    "l": "L",
    "m3": "m3",
    "frac": "1",
    "count": "1",
    "byte_per_s": "byte/s",
    "flop_per_s": "FLOP/s",
    "kg_per_s": "kg/s",
    "m3_per_s": "m3/s",
    "m3_per_w": "m3/W",
    "k_per_w": "K/W",
    "k_per_s": "K/s",
    "w_per_k": "W/K",
    "j_per_k": "J/K",
    "j_per_kg_k": "J/(kg K)",
    "per_s": "1/s",
    "per_year": "1/y",
    "per_day": "1/d",
    "l_per_kwh": "L/kWh",
    "g_per_kwh": "g/kWh",
    "usd_per_kwh": "USD/kWh",
    "usd_per_mtoken": "USD per 1e6 tokens",
}
"""Suffix of a name (after its last underscore before the unit) and the unit that it means."""

_UNITLESS = ("top_k",)
"""Names that end like a unit and have none: the k of a router that picks k experts."""
_STATISTICS = ("mean", "min", "max", "p50", "p90", "p99")
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.ASCII | re.DOTALL)
_NOT_FINITE = re.compile(r"[+-]?\.?(nan|inf|infinity)\b.*", re.IGNORECASE | re.DOTALL)
_LARGEST = sys.float_info.max
_PERCENT = "fractions, never percent"


def parse(value: object, dimension: str) -> float:
    """Read a written value as SI.

    *value* is a number and a unit of *dimension* (a key of `DIMENSIONS`); fractions (0..1) and
    counts (whole, not negative) are plain numbers. Raises ValueError that says what is allowed:
    no unit, a unit of another dimension, percent, NaN and infinity are refused.

    >>> parse("30 min", "time"), parse("400 Gbit/s", "data_rate"), parse(0.5, "fraction")
    (1800.0, 50000000000.0, 0.5)
    """
    units = DIMENSIONS[dimension]
    number, unit = _split(value, allowed(dimension))
    if not units:
        return _plain(number, unit, dimension)
    if unit not in units:
        what = f"unknown unit {unit!r}" if unit else "a unit is needed"
        raise ValueError(f"{what}, allowed {allowed(dimension)}")
    return _finite(number * units[unit])


def to_si(number: float, unit: str) -> float:
    """Convert *number* of any known *unit* to SI; `1` is the unit of plain numbers.

    Raises ValueError for a unit that no dimension has, and for NaN or infinity.
    """
    if unit == "1":
        return _finite(number)
    for units in DIMENSIONS.values():
        if unit in units:
            return _finite(number * units[unit])
    raise ValueError(f"unknown unit {unit!r}")


def allowed(dimension: str) -> str:
    """Say in words what may be written for *dimension*: its units, or the plain numbers."""
    plain = {"fraction": f"a plain number 0..1 ({_PERCENT})", "count": "a whole number from 0"}
    return plain.get(dimension) or "units " + ", ".join(DIMENSIONS[dimension])


def unit_of(name: str) -> str | None:
    """Unit that the suffix of *name* promises, past a statistic such as `_mean`, or None.

    >>> unit_of("site_power_w_mean"), unit_of("link_byte_per_s"), unit_of("name")
    ('W', 'byte/s', None)
    """
    if name in _UNITLESS:
        return None
    words = name.split("_")
    if words[-1] in _STATISTICS:
        words.pop()
    candidates = ("_".join(words[start:]) for start in range(1, len(words)))
    return next((SUFFIXES[suffix] for suffix in candidates if suffix in SUFFIXES), None)


def show(value: float, unit: str) -> str:
    """Write an SI *value* for people: three digits, a fitting prefix or a fitting unit of time.

    >>> show(54 * 86400, "s"), show(10_200, "W"), show(45.678, "degC"), show(25_000, "count")
    ('54 d', '10.2 kW', '45.7 degC', '25,000')
    """
    if unit == "s":
        return _show_time(value)
    if unit == "count":
        return f"{value:,.0f}"
    if unit in ("1", "frac"):
        return f"{value:.3g}"
    if unit in ("W", "J", "Hz", "byte", "byte/s", "FLOP", "FLOP/s", "bit/s"):
        return _show_prefixed(value, unit.replace("byte", "B"))
    return f"{_digits(value)} {unit}"


def _split(value: object, hint: str) -> tuple[float, str]:
    """Part a written value into its number and its unit, '' where there is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value), ""
    text = value.strip() if isinstance(value, str) else ""
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("must be a finite number")
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"not a number, allowed {hint}")
    return _finite(float(match[1])), match[2]


def _plain(number: float, unit: str, dimension: str) -> float:
    """Check a fraction or a count, which carry no unit."""
    whole = dimension == "count"
    if unit or number < 0 or (number % 1 if whole else number > 1):
        raise ValueError(f"allowed {allowed(dimension)}")
    return number


def _finite(number: float) -> float:
    """Refuse NaN, infinity and integers beyond the largest float."""
    if not abs(number) <= _LARGEST:
        raise ValueError("must be a finite number")
    return float(number)


def _show_time(value_s: float) -> str:
    """Pick the largest unit that leaves at least two of it, or one of it when that is whole."""
    for unit in ("d", "h", "min"):
        amount = value_s / DIMENSIONS["time"][unit]
        if abs(amount) >= 2 or abs(amount) == 1:
            return f"{_digits(amount)} {unit}"
    for unit in ("s", "ms", "us"):
        amount = value_s / DIMENSIONS["time"][unit]
        if abs(amount) >= 1:
            return f"{_digits(amount)} {unit}"
    return f"{_digits(value_s / _NANO)} ns" if value_s else "0 s"


def _show_prefixed(value: float, unit: str) -> str:
    """Divide by thousands until three digits are enough."""
    amount = value
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(float(f"{amount:.3g}")) < 1000:
            return f"{_digits(amount)} {prefix}{unit}"
        amount /= 1000
    return f"{_digits(amount)} E{unit}"


def _digits(number: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{number:,.0f}" if abs(number) >= 999.5 else f"{number:.3g}"
