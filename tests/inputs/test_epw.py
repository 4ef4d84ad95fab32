"""Weather files: what a good one gives, and how a bad one is refused."""

import os
from pathlib import Path

import numpy as np
import pytest

from dcsim.errors import InputError
from dcsim.inputs.epw import calendar, read_epw
from tests.inputs.epw_files import HEADERS, dry_bulb_c, rows, write_epw

DATA = Path(os.environ.get("DCSIM_DATA", "../shared/data")) / "epw"


@pytest.mark.parametrize("name", ["year.epw", "year.epw.gz"])
def test_hours_are_read_in_their_order(name: str, tmp_path: Path) -> None:
    year = read_epw(write_epw(tmp_path / name))
    expected = [dry_bulb_c(*when) for when in calendar()]
    assert year.dry_bulb_c == pytest.approx(expected, abs=1e-9)
    assert set(year.humidity_frac) == {0.5}
    assert set(year.pressure_pa) == {100_000.0}


def test_mark_of_the_encoding_and_padding_are_accepted(tmp_path: Path) -> None:
    hours = [[*row[:1], f"{row[1]:0>2}", f" {row[2]}", *row[3:]] for row in rows()]
    path = write_epw(tmp_path / "x", hours=hours)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_epw(path).dry_bulb_c[0] == pytest.approx(1.11)


def test_humidity_above_saturation_counts_as_saturated(tmp_path: Path) -> None:
    hours = rows()
    hours[0][8] = "105"
    assert read_epw(write_epw(tmp_path / "x", hours=hours)).humidity_frac[0] == 1.0


def message(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_epw(path)
    (text,) = error.value.messages
    return text.replace(str(path), "FILE")


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (1, "<html>", "FILE:1: header LOCATION is needed, found '<html>'"),
        (5, "", "FILE:5: header HOLIDAYS/DAYLIGHT SAVINGS is needed, found 'nothing'"),
        (
            8,
            "DATA PERIODS,1,4,Data,Sunday,1/ 1,12/31",
            "FILE:8: DATA PERIODS 1, 4: one period of hourly rows is needed",
        ),
    ],
)
def test_wrong_header_is_refused(line: int, text: str, expected: str, tmp_path: Path) -> None:
    headers = [text if i == line else header for i, header in enumerate(HEADERS, 1)]
    assert message(write_epw(tmp_path / "x", headers=headers)) == expected


@pytest.mark.parametrize(
    ("place", "text", "expected"),
    [
        (7, "", "field 7 (dry bulb) = '': not a number"),
        (7, "warm", "field 7 (dry bulb) = 'warm': not a number"),
        (7, "99.9", "field 7 (dry bulb) = 99.9 degC: allowed -70..70 degC"),
        (7, "nan", "field 7 (dry bulb) = nan degC: allowed -70..70 degC"),
        (9, "999", "field 9 (relative humidity) = 999 %: allowed 0..110 %"),
        (10, "999999", "field 10 (pressure) = 999999 Pa: allowed 31000..120000 Pa"),
        (4, "0", "month/day/hour 1/1/0: expected 1/1/2"),
        (3, "x", "month/day/hour 1/x/2: expected 1/1/2"),
    ],
)
def test_wrong_field_is_named(place: int, text: str, expected: str, tmp_path: Path) -> None:
    hours = rows()
    hours[1][place - 1] = text
    assert message(write_epw(tmp_path / "x", hours=hours)) == f"FILE:10: {expected}"


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (rows()[:-1], "FILE: 8759 rows of hours: 8760 are needed"),
        ([], "FILE: 0 rows of hours: 8760 are needed"),
        ([*rows(), *rows()[:24]], "FILE: 8784 rows of hours: 8760 are needed"),
        ([*rows()[:-1], rows()[-1][:-1]], "FILE:8768: 34 fields: 35 are needed"),
        ([rows()[1], rows()[0], *rows()[2:]], "FILE:9: month/day/hour 1/1/2: expected 1/1/1"),
    ],
)
def test_wrong_rows_are_refused(hours: list[list[str]], expected: str, tmp_path: Path) -> None:
    assert message(write_epw(tmp_path / "x", hours=hours)) == expected


def test_file_that_cannot_be_unpacked_is_refused(tmp_path: Path) -> None:
    path = write_epw(tmp_path / "year.gz")
    path.write_bytes(path.read_bytes()[:2000])
    assert message(path).startswith("FILE: cannot be read: ")
    path.write_bytes(b"\x1f\x8b\x08\x00" + b"rubbish" * 10)
    assert message(path).startswith("FILE: cannot be read: ")


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff\xfe" * 50, b'"' * 200_000])
def test_rubbish_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert "header LOCATION is needed" in message(tmp_path / "x")


def test_folder_is_refused(tmp_path: Path) -> None:
    assert message(tmp_path).startswith("FILE: cannot be read: ")


@pytest.mark.validate
@pytest.mark.parametrize(
    ("name", "mean_c", "min_c", "max_c", "mean_pa", "hours_above_18", "wet_max_c"),
    [
        ("USA_AZ_Phoenix-Sky.Harbor", 24.67, 0.4, 45.6, 97_294, 6253, 33.2),
        ("USA_TX_Dallas-Fort.Worth", 19.81, -3.9, 40.0, 99_543, 5103, 29.5),
        ("USA_VA_Leesburg.Exec", 13.78, -12.0, 37.0, 99_900, 3181, 29.2),
        ("USA_WA_Seattle-Tacoma", 11.68, -7.2, 35.0, 100_100, 1379, 24.1),
    ],
)
def test_published_files_read_as_their_description_says(
    name, mean_c, min_c, max_c, mean_pa, hours_above_18, wet_max_c
) -> None:
    from dcsim.inputs.moist_air import wet_bulb_c

    year = read_epw(DATA / f"{name}.epw.gz")
    assert year.dry_bulb_c.mean() == pytest.approx(mean_c, abs=0.005)
    assert (year.dry_bulb_c.min(), year.dry_bulb_c.max()) == (min_c, max_c)
    assert year.pressure_pa.mean() == pytest.approx(mean_pa, abs=0.5)
    assert (year.dry_bulb_c > 18).sum() == hours_above_18
    # The description's wet bulb is by Stull's fit, which is good to 1 K.
    assert np.max(wet_bulb_c(*year)) == pytest.approx(wet_max_c, abs=1.0)
