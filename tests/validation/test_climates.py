"""The climates of the catalogue against the weather files that they are derived from."""

import csv
import gzip

import numpy as np
import pytest
from numpy.typing import NDArray

from dcsim import catalog
from dcsim.inputs.epw import read_epw
from dcsim.inputs.moist_air import wet_bulb_c
from tests.validation.published import data

pytestmark = pytest.mark.validate

F64 = NDArray[np.float64]

FILES = {
    "ashburn": "USA_VA_Leesburg.Exec",
    "dallas": "USA_TX_Dallas-Fort.Worth",
    "phoenix": "USA_AZ_Phoenix-Sky.Harbor",
    "seattle": "USA_WA_Seattle-Tacoma",
}
DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
HALF_DIGIT = 0.0501


def by_month(hourly: F64) -> list[F64]:
    """Split a year of 8,760 hours into months of shape (days, 24)."""
    return np.split(hourly.reshape(365, 24), np.cumsum(DAYS)[:-1])


@pytest.fixture(params=sorted(FILES))
def site(request: pytest.FixtureRequest) -> tuple[catalog.Sheet, F64, F64, F64]:
    """A climate's sheet, and dry bulb, wet bulb and pressure of its weather file."""
    year = read_epw(data("epw", f"{FILES[request.param]}.epw.gz"))
    return catalog.sheet("climate", request.param), year.dry_bulb_c, wet_bulb_c(*year), year[2]


def test_tables_are_the_means_of_the_files(site: tuple[catalog.Sheet, F64, F64, F64]) -> None:
    sheet, dry_c, wet_c, pressure_pa = site
    for key, hourly in (("dry_bulb_c", dry_c), ("wet_bulb_c", wet_c)):
        derived = [month.mean(axis=0) for month in by_month(hourly)]
        assert np.abs(np.array(sheet.list(key)) - derived).max() < HALF_DIGIT
    spread = [month.mean(axis=1).std(ddof=1) for month in by_month(dry_c)]
    assert np.abs(np.array(sheet.list("day_spread_k")) - spread).max() < HALF_DIGIT
    assert sheet["pressure_pa"] == pytest.approx(pressure_pa.mean(), abs=0.6)


def test_hot_day_is_the_hottest_month_shifted_to_the_design(
    site: tuple[catalog.Sheet, F64, F64, F64],
) -> None:
    sheet, dry_c, wet_c, _ = site
    dry, wet = ([month.mean(axis=0) for month in by_month(hourly)] for hourly in (dry_c, wet_c))
    month = int(np.argmax([day.max() for day in dry]))
    hour = int(dry[month].argmax())
    for key, days, design in (
        ("hot_day_dry_bulb_c", dry, sheet["design_dry_bulb_c"]),
        ("hot_day_wet_bulb_c", wet, sheet["design_wet_bulb_c"]),
    ):
        derived = days[month] + design - days[month][hour]
        assert np.abs(np.array(sheet.list(key)) - derived).max() < HALF_DIGIT


@pytest.mark.parametrize("name", sorted(FILES))
def test_design_temperatures_are_those_of_the_header(name: str) -> None:
    with gzip.open(data("epw", f"{FILES[name]}.epw.gz"), "rt") as file:
        design = next(row for row in csv.reader(file) if row[0] == "DESIGN CONDITIONS")
    cooling, extremes = design.index("Cooling"), design.index("Extremes")
    sheet = catalog.sheet("climate", name)
    assert sheet["design_dry_bulb_c"] == float(design[cooling + 3])
    assert sheet["design_wet_bulb_c"] == float(design[cooling + 4])
    assert sheet["annual_max_dry_bulb_c"] == float(design[extremes + 5])
    assert sheet["extreme_dry_bulb_c"] == float(design[extremes + 13])
