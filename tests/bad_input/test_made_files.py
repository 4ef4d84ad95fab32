"""Broken files that no transcript can hold: each is refused with its message, nothing written."""

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from dcsim.inputs import records
from dcsim.inputs.records import Record
from tests.bad_input.transcript import SMALL, Case, play
from tests.inputs.epw_files import HEADERS, rows, write_epw

EPW = SMALL.replace("{climate: dallas}", "{epw: year.epw}")
RECORDS = [
    Record(0, "job", "pretrain", "{}"),
    Record(0, "weather", "dallas", '{"dry_bulb_c":30.0,"wet_bulb_c":20.0}'),
]


def refusal(folder: Path, text: str, *arguments: str) -> list[str]:
    """What is said of small.yaml with this text; exit code 2, nothing printed or written."""
    code, out, err = play(Case("", {"small.yaml": text}, [*arguments], []), folder)
    assert (code, out) == (2, "")
    return err


def year_with(place: int, text: str) -> list[list[str]]:
    hours = rows()
    hours[5][place - 1] = text
    return hours


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda path: write_epw(path, hours=rows()[:-1]),
            "year.epw: 8759 rows of hours: 8760 are needed",
        ),
        (
            lambda path: write_epw(path, hours=year_with(7, "99.9")),
            "year.epw:14: field 7 (dry bulb) = 99.9 degC: allowed -70..70 degC",
        ),
        (
            lambda path: write_epw(path, hours=year_with(9, "wet")),
            "year.epw:14: field 9 (relative humidity) = 'wet': not a number",
        ),
        (
            lambda path: write_epw(path, hours=year_with(4, "7")),
            "year.epw:14: month/day/hour 1/1/7: expected 1/1/6",
        ),
        (
            lambda path: write_epw(path, hours=[row[:-1] for row in rows()]),
            "year.epw:9: 34 fields: 35 are needed",
        ),
        (
            lambda path: path.write_bytes(gzip.compress("\n".join(HEADERS).encode())[:40]),
            "year.epw: cannot be read: Compressed file ended before the end-of-stream marker "
            "was reached",
        ),
        (
            lambda path: path.write_bytes(bytes(range(256)) * 40),
            "year.epw:1: header LOCATION is needed, found",
        ),
    ],
)
def test_weather_files(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "year.epw")
    for command in ("run", "check"):
        (said,) = refusal(tmp_path, EPW, command, "small.yaml")
        assert said.startswith(f"error: {message}")


def written(path: Path, content: list[Record]) -> None:
    records.write(path, content, {})


def foreign(path: Path) -> None:
    table = pa.table({"time": [1, 2], "power": [1.0, 2.0]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
        out.write_table(table)


def cut_short(path: Path) -> None:
    written(path, RECORDS)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (foreign, "in.arrow: column t_ns of int64 is needed, found nothing"),
        (cut_short, "in.arrow: not a readable Arrow IPC file"),
        (lambda path: written(path, []), "in.arrow: no rows"),
        (
            lambda path: written(path, [*RECORDS, Record(5, "comet", "dallas", "{}")]),
            "in.arrow: row 2: kind 'comet': known are fail, weather, fault, job, maintenance",
        ),
        (
            lambda path: written(path, [*RECORDS, RECORDS[1]._replace(target="austin")]),
            "in.arrow: row 1: weather austin: allowed sites are dallas",
        ),
        (
            lambda path: written(path, RECORDS[:1]),
            "in.arrow: no weather at the start for site dallas",
        ),
        (
            lambda path: written(path, [RECORDS[0]._replace(target="finetune"), RECORDS[1]]),
            "in.arrow: row 0: job finetune: allowed jobs are pretrain",
        ),
        (
            lambda path: written(path, [RECORDS[1]._replace(payload='{"dry_bulb_c":30}')]),
            "in.arrow: row 0: weather payload.wet_bulb_c: field required",
        ),
    ],
)
def test_recorded_inputs(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "in.arrow")
    assert refusal(tmp_path, SMALL, "run", "small.yaml", "--inputs", "in.arrow") == [
        f"error: {message}"
    ]


def test_the_default_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way", encoding="utf-8")
    (said,) = refusal(tmp_path, SMALL, "run", "small.yaml")
    reason = "cannot make this folder: (File exists|Not a directory)"
    assert re.fullmatch(rf"error: runs/small-\w{{8}}-s7: {reason}", said)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_is_closed(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    said = refusal(tmp_path, SMALL, "run", "small.yaml", "--out", "closed/run")
    assert said == ["error: --out closed/run: cannot make this folder: Permission denied"]
