"""Units: what is written becomes SI, in the dimension that was asked for, or is refused."""

import math
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim import units

WITH_UNITS = {name: table for name, table in units.DIMENSIONS.items() if table}
PAIRS = [(name, unit) for name, table in WITH_UNITS.items() for unit in table]
FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200)


@pytest.mark.parametrize(
    ("text", "dimension", "si"),
    [
        ("54 d", "time", 54 * 86400),
        ("30min", "time", 1800),
        ("1.5e3 ms", "time", 1.5),
        ("1 y", "time", 365 * 86400),
        ("10.2 kW", "power", 10_200),
        ("1 kWh", "energy", 3.6e6),
        ("400 Gbit/s", "data_rate", 50e9),
        ("450 GB/s", "data_rate", 450e9),
        ("1 GiB", "data", 2**30),
        ("-5.5 degC", "temperature", -5.5),
        ("3 K", "temperature_difference", 3),
        ("60 L", "volume", 0.06),
        ("1.05 L/min", "volume_flow", 1.75e-5),
        ("10 m3/MW", "volume_per_power", 1e-5),
        ("2 bar", "pressure", 2e5),
        ("0.25", "fraction", 0.25),
        (1, "fraction", 1),
        (12, "count", 12),
    ],
)
def test_known_values(text: object, dimension: str, si: float) -> None:
    assert units.parse(text, dimension) == pytest.approx(si, rel=1e-15)


@pytest.mark.parametrize(
    ("value", "dimension", "message"),
    [
        (54, "time", "a unit is needed, allowed units s, ns, us, ms, min, h, d, y"),
        ("54", "power", "a unit is needed, allowed units W, mW, kW, MW, GW"),
        ("5 C", "temperature", "unknown unit 'C', allowed units degC"),
        ("400 Gbps", "data_rate", "unknown unit 'Gbps', allowed units bit/s, Mbit/s, Gbit/s, "
         "Tbit/s, B/s, MB/s, GB/s, TB/s"),
        ("3 kW", "energy", "unknown unit 'kW', allowed units J, kJ, MJ, GJ, Wh, kWh, MWh"),
        ("3 KW", "power", "unknown unit 'KW', allowed units W, mW, kW, MW, GW"),
        ("1 d 2 h", "time", "unknown unit 'd 2 h', allowed units s, ns, us, ms, min, h, d, y"),
        ("half", "time", "not a number, allowed units s, ns, us, ms, min, h, d, y"),
        ("", "money", "not a number, allowed units USD"),
        (True, "money", "not a number, allowed units USD"),
        (None, "money", "not a number, allowed units USD"),
        ([1], "money", "not a number, allowed units USD"),
        ("nan s", "time", "must be a finite number"),
        (".inf", "fraction", "must be a finite number"),
        (math.nan, "count", "must be a finite number"),
        ("1e999 s", "time", "must be a finite number"),
        (10**400, "count", "must be a finite number"),
        ("1e302 y", "time", "must be a finite number"),
        ("50 %", "fraction", "allowed a plain number 0..1 (fractions, never percent)"),
        (1.5, "fraction", "allowed a plain number 0..1 (fractions, never percent)"),
        (-1, "count", "allowed a whole number from 0"),
        (2.5, "count", "allowed a whole number from 0"),
    ],
)  # fmt: skip
def test_refusals_say_what_is_allowed(value: object, dimension: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        units.parse(value, dimension)


@given(FINITE, st.sampled_from(PAIRS))
def test_a_written_number_times_its_unit(number: float, pair: tuple[str, str]) -> None:
    dimension, unit = pair
    si = units.parse(f"{number!r} {unit}", dimension)
    assert si == number * WITH_UNITS[dimension][unit] == units.to_si(number, unit)


@given(FINITE, st.sampled_from(PAIRS), st.sampled_from(sorted(WITH_UNITS)))
def test_a_unit_of_another_dimension_is_refused(
    number: float, pair: tuple[str, str], dimension: str
) -> None:
    if pair[1] in WITH_UNITS[dimension]:
        return
    with pytest.raises(ValueError, match="unknown unit"):
        units.parse(f"{number!r} {pair[1]}", dimension)


@given(st.text(), st.sampled_from(sorted(units.DIMENSIONS)))
def test_any_text_is_read_as_finite_or_refused_by_value_error(text: str, dimension: str) -> None:
    with suppress(ValueError):
        assert math.isfinite(units.parse(text, dimension))


def test_no_unit_means_two_things() -> None:
    seen: dict[str, float] = {}
    for table in WITH_UNITS.values():
        for unit, factor in table.items():
            assert seen.setdefault(unit, factor) == factor


def test_to_si_knows_plain_numbers_and_refuses_what_no_dimension_has() -> None:
    assert units.to_si(0.3, "1") == 0.3
    with pytest.raises(ValueError, match="unknown unit 'furlong'"):
        units.to_si(1, "furlong")
    with pytest.raises(ValueError, match="finite"):
        units.to_si(math.inf, "W")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("temp_c", "degC"),
        ("gpu_temp_c_p99", "degC"),
        ("clock_frac_min", "1"),
        ("link_byte_per_s", "byte/s"),
        ("wue_l_per_kwh", "L/kWh"),
        ("t_ns", "ns"),
        ("pue", None),
        ("s", None),
    ],
)
def test_unit_of_a_name(name: str, unit: str | None) -> None:
    assert units.unit_of(name) == unit


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (54 * 86400, "s", "54 d"),
        (86400, "s", "1 d"),
        (900.4, "s", "15 min"),
        (90, "s", "90 s"),
        (0.0015, "s", "1.5 ms"),
        (3e-9, "s", "3 ns"),
        (0, "s", "0 s"),
        (-7200, "s", "-2 h"),
        (1e9, "s", "11,574 d"),
        (0, "W", "0 W"),
        (999.96, "W", "1 kW"),
        (142.3e6, "W", "142 MW"),
        (50e9, "byte/s", "50 GB/s"),
        (1e22, "FLOP", "10,000 EFLOP"),
        (0.9234, "frac", "0.923"),
        (200_000, "count", "200,000"),
        (45.678, "degC", "45.7 degC"),
        (12345.6, "USD", "12,346 USD"),
    ],
)
def test_show(value: float, unit: str, shown: str) -> None:
    assert units.show(value, unit) == shown


@given(st.floats(min_value=1e-3, max_value=1e20))
def test_show_keeps_three_digits(power_w: float) -> None:
    number, unit = units.show(power_w, "W").replace(",", "").split()
    prefixes = {"W": 1.0, "kW": 1e3, "MW": 1e6, "GW": 1e9, "TW": 1e12, "PW": 1e15, "EW": 1e18}
    assert float(number) * prefixes[unit] == pytest.approx(power_w, rel=5.1e-3)
