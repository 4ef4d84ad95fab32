"""Weather records: which hour of the year meets which instant, and what a climate gives."""

import datetime
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim import catalog
from dcsim.inputs.moist_air import wet_bulb_c
from dcsim.inputs.records import Record, Weather
from dcsim.inputs.weather import draw_weather
from dcsim.scenario.weather import Weather as Asked
from tests.inputs.epw_files import dry_bulb_c, write_epw

HOUR_S = 3600.0
DAY_S = 86400.0


@pytest.fixture(scope="module")
def epw(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    path = write_epw(tmp_path_factory.mktemp("weather") / "year.epw")
    return Asked.model_validate({"epw": str(path)})


def draw(asked: Asked, start: str, duration_s: float) -> list[Record]:
    return draw_weather("dallas", asked, datetime.datetime.fromisoformat(start), duration_s)


def dry(records: list[Record]) -> list[float]:
    return [Weather.of(record).dry_bulb_c for record in records]


def hours(records: list[Record]) -> list[float]:
    return [record.t_ns / 1e9 / HOUR_S for record in records]


def test_hour_of_the_file_names_its_end(epw: Asked) -> None:
    records = draw(epw, "2024-07-05T13:00", 2 * HOUR_S)
    assert hours(records) == [0, 1, 2]
    assert dry(records) == [round(dry_bulb_c(7, 5, hour), 3) for hour in (13, 14, 15)]


def test_midnight_is_hour_24_of_the_day_before(epw: Asked) -> None:
    assert dry(draw(epw, "2023-03-01T00:00", 1.0))[0] == round(dry_bulb_c(2, 28, 24), 3)
    assert dry(draw(epw, "2023-01-01T00:00", 1.0))[0] == round(dry_bulb_c(12, 31, 24), 3)


def test_start_within_an_hour_is_interpolated(epw: Asked) -> None:
    records = draw(epw, "2024-07-05T13:45", 1 * HOUR_S)
    assert hours(records) == [0, 0.25, 1.25]
    between = 0.25 * dry_bulb_c(7, 5, 13) + 0.75 * dry_bulb_c(7, 5, 14)
    assert dry(records)[:2] == [round(between, 3), round(dry_bulb_c(7, 5, 14), 3)]


def test_records_reach_the_end_of_the_run(epw: Asked) -> None:
    for duration_s, last_h in ((0.5, 1), (HOUR_S, 1), (HOUR_S + 0.001, 2), (54 * DAY_S, 54 * 24)):
        assert hours(draw(epw, "2024-07-01T00:00", duration_s))[-1] == last_h


def test_year_comes_round_and_leap_day_repeats(epw: Asked) -> None:
    records = dry(draw(epw, "2024-02-28T12:00", 2 * DAY_S))
    assert records[0] == records[24] == round(dry_bulb_c(2, 28, 12), 3)
    assert records[48] == round(dry_bulb_c(3, 1, 12), 3)
    year = dry(draw(epw, "2022-06-01T00:00", 365 * DAY_S))
    assert year[0] == year[-1]


def test_wet_bulb_follows_from_humidity_and_pressure(epw: Asked) -> None:
    record = Weather.of(draw(epw, "2024-07-05T13:00", 1.0)[0])
    expected = wet_bulb_c(*np.array([[record.dry_bulb_c], [0.5], [1e5]]))
    assert record.wet_bulb_c == pytest.approx(expected[0], abs=1e-3)


def test_constant_weather_is_one_record() -> None:
    (record,) = draw(Asked.model_validate({"constant": "30 degC"}), "2024-07-01T00:20", 9 * DAY_S)
    air = Weather.of(record)
    assert (record.t_ns, record.target, air.dry_bulb_c) == (0, "dallas", 30.0)
    at_half_humidity = wet_bulb_c(*np.array([[30.0], [0.5], [101325.0]]))
    assert air.wet_bulb_c == pytest.approx(at_half_humidity[0], abs=1e-3)


@pytest.mark.parametrize("name", catalog.names("climate"))
def test_climate_is_the_mean_day_in_the_middle_of_a_month(name: str) -> None:
    table = np.array(catalog.sheet("climate", name).list("dry_bulb_c"))
    asked = Asked.model_validate({"climate": name})
    day = dry(draw(asked, "2023-07-16T00:00", DAY_S))
    assert day[12] == pytest.approx(table[6, 11], abs=1e-3)
    assert day[1:] == pytest.approx(table[6], abs=0.2)
    year = dry(draw(asked, "2023-01-01T00:00", 365 * DAY_S))
    assert np.mean(year[1:]) == pytest.approx(table.mean(), abs=0.2)
    assert table.min() <= min(year) <= max(year) <= table.max()


@pytest.mark.parametrize("name", catalog.names("climate"))
def test_climate_has_no_jumps_and_no_wet_bulb_above_the_dry(name: str) -> None:
    asked = Asked.model_validate({"climate": name})
    air = [Weather.of(r) for r in draw(asked, "2023-01-01T00:00", 365 * DAY_S)]
    assert all(a.wet_bulb_c <= a.dry_bulb_c for a in air)
    hourly_k = np.diff(catalog.sheet("climate", name).list("dry_bulb_c"), axis=1)
    assert np.abs(np.diff([a.dry_bulb_c for a in air])).max() < np.abs(hourly_k).max() + 0.1


@pytest.mark.parametrize("name", catalog.names("climate"))
def test_hottest_day_comes_again_and_again_in_any_month(name: str) -> None:
    asked = Asked.model_validate({"climate": name, "day": "hottest"})
    sheet = catalog.sheet("climate", name)
    records = draw(asked, "2023-01-16T00:00", 2 * DAY_S)
    assert dry(records)[1:] == 2 * sheet.list("hot_day_dry_bulb_c")
    wet = [Weather.of(record).wet_bulb_c for record in records]
    assert wet[1:] == 2 * sheet.list("hot_day_wet_bulb_c")
    assert max(dry(records)) == sheet["design_dry_bulb_c"]


def test_our_psychrolib_leaves_the_users_alone() -> None:
    import psychrolib

    psychrolib.SetUnitSystem(psychrolib.IP)
    assert wet_bulb_c(*np.array([[20.0], [1.0], [101325.0]]))[0] == 20.0
    assert psychrolib.PSYCHROLIB_UNITS == psychrolib.IP
    assert sys.modules.get("numba", "absent") is not None


@pytest.mark.parametrize(
    ("dry_c", "humidity_frac", "wet_c", "tolerance_k"),
    [
        (20.0, 0.50, 13.7, 0.1),  # Stull, J. Applied Meteorology 50, 2011, worked example
        (40.0, 0.14, 20.0, 0.3),  # ASHRAE Fundamentals 2017, ch. 1, example 1, humidity rounded
        (20.0, 1.00, 20.0, 0.0),
        (-10.0, 1.00, -10.0, 0.0),
    ],
)
def test_wet_bulb_agrees_with_published_points(dry_c, humidity_frac, wet_c, tolerance_k) -> None:
    found = wet_bulb_c(*np.array([[dry_c], [humidity_frac], [101325.0]]))
    assert found[0] == pytest.approx(wet_c, abs=tolerance_k)


@given(st.floats(-60, 60), st.floats(0, 1), st.floats(31e3, 120e3))
def test_wet_bulb_never_exceeds_the_dry(dry_c: float, humidity: float, pressure: float) -> None:
    wet = wet_bulb_c(*np.array([[dry_c], [humidity], [pressure]]))
    assert wet[0] <= dry_c
    moister = wet_bulb_c(*np.array([[dry_c], [min(1.0, humidity + 0.1)], [pressure]]))
    assert wet[0] <= moister[0] + 0.002
