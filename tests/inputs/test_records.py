"""The record file: what is written is read, and what is broken is refused by name."""

import contextlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsim.errors import InputError
from dcsim.inputs.records import (
    KINDS,
    SCHEMA,
    Fail,
    Fault,
    Job,
    Maintenance,
    Record,
    Weather,
    digest,
    ns,
    read,
    write,
)

FAIL = Fail(cause="hbm", action="replace", mark_per_s=1e-9, repair_s=3e5, u=(0.1,) * 6)
RECORDS = sorted(
    [
        Weather(dry_bulb_c=31.25, wet_bulb_c=20.5).at(0, "dallas"),
        Job().at(0, "job-0"),
        FAIL.at(5, "dallas/gpu/17"),
        Fault(effect="degrade", frac=0.5, until_ns=None, origin="faults.0").at(7, "*/cdu/3-5"),
        Maintenance(for_s=3600.0, frac=None, turn=0, origin="maintenance.0").at(9, "*/node/*"),
    ]
)


def arrow_file(path: Path, **columns: list[object]) -> Path:
    """Write a table of RECORDS with some of its columns replaced, or left out where empty."""
    whole = dict(zip(SCHEMA.names, map(list, zip(*RECORDS, strict=True)), strict=True))
    batch = pa.table({name: column for name, column in (whole | columns).items() if column})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as out:
        out.write_table(batch)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "inputs.arrow"
    write(path, RECORDS, {"scenario": "first", "seed": "7"})
    assert read(path) == RECORDS
    metadata = pa.ipc.open_file(str(path)).schema.metadata
    assert metadata == {b"dcsim_inputs": b"1", b"scenario": b"first", b"seed": b"7"}
    assert [file.name for file in tmp_path.iterdir()] == ["inputs.arrow"]


def test_same_records_make_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name, RECORDS, {})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="x"):
        write(tmp_path / "x", RECORDS, {})
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_records_are_read_in_order(tmp_path: Path) -> None:
    write(tmp_path / "x", RECORDS[::-1], {})
    assert read(tmp_path / "x") == RECORDS


def test_digest_tells_order_and_every_field() -> None:
    other = [*RECORDS[:-1], RECORDS[-1]._replace(target="*/node/1")]
    digests = {digest(RECORDS), digest(RECORDS[::-1]), digest(other), digest([])}
    assert len(digests) == 4
    assert digest(iter(RECORDS)) == digest(RECORDS)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.kind)
def test_payload_is_json_with_sorted_keys_and_no_spaces(record: Record) -> None:
    keys = list(json.loads(record.payload))
    assert keys == sorted(keys)
    assert " " not in record.payload
    assert KINDS[record.kind].of(record).at(record.t_ns, record.target) == record


@given(st.floats(0, 1e9), st.floats(0, 1e-3), st.lists(st.floats(0, 1), min_size=6, max_size=6))
@settings(deadline=None)
def test_numbers_survive_exactly(repair_s: float, mark_per_s: float, u: list[float]) -> None:
    fail = Fail(cause="x", action="restart", mark_per_s=mark_per_s, repair_s=repair_s, u=tuple(u))
    assert Fail.of(fail.at(0, "a/gpu/0")) == fail


def test_seconds_become_the_nearest_nanosecond() -> None:
    assert ns(0.1 + 0.2) == 300_000_000
    assert ns(54 * 86400.0) == 54 * 86400 * 10**9


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path / "no.arrow")
    assert str(error.value) == f"{tmp_path}/no.arrow: no such file"


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0", b"{}", b"\0" * 4096])
def test_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == f"{path}: not a readable Arrow IPC file"


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a readable Arrow IPC file"):
        read(tmp_path)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_file_is_refused_or_read(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("damaged") / "x"
    write(path, RECORDS, {})
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert len(read(path)) == len(RECORDS)


BROKEN = [
    ({"payload": []}, "column payload of string is needed, found nothing"),
    ({"t_ns": ["0"] * 5}, "column t_ns of int64 is needed, found string"),
    ({"target": [None, *"xxxx"]}, "column target has empty cells"),
    ({"t_ns": [-1, 0, 5, 7, 9]}, "row 0: t_ns = -1: before the start"),
    ({"kind": ["jobs", *"xxxx"]}, "row 0: kind 'jobs': known are fail, weather, fault, job, "
     "maintenance; row 1: kind 'x': known are fail, weather, fault, job, maintenance; "
     "row 2: kind 'x': known are fail, weather, fault, job, maintenance; and 2 more rows"),
    ({"target": ["", *"xxxx"]}, "row 0: target is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "message"), BROKEN)
def test_broken_table_is_refused(columns, message: str, tmp_path: Path) -> None:
    path = arrow_file(tmp_path / "x", **columns)
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == f"{path}: {message}"


def test_table_without_rows_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "x", [], {})
    with pytest.raises(InputError, match="no rows"):
        read(tmp_path / "x")


PAYLOADS = [
    ("job", "", "invalid json: eof while parsing a value at line 1 column 0"),
    ("job", "[]", "input should be an object"),
    ("job", '{"a":1}', "extra inputs are not permitted"),
    ("weather", '{"dry_bulb_c":20.0}', "field required"),
    ("weather", '{"dry_bulb_c":"20","wet_bulb_c":1.0}', "input should be a valid number"),
    ("weather", '{"dry_bulb_c":NaN,"wet_bulb_c":1.0}', "input should be a finite number"),
    ("weather", '{"dry_bulb_c":2000,"wet_bulb_c":1.0}', "less than or equal to 100"),
    ("fault", '{"effect":"up","frac":0.0,"origin":"x","until_ns":null}', "should match pattern"),
    ("fault", '{"effect":"down","frac":50,"origin":"x","until_ns":null}', "equal to 1"),
    ("fail", FAIL.at(0, "x").payload.replace("0.1,", ""), "at least 6 items"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "payload", "message"), PAYLOADS)
def test_payload_outside_its_schema_is_refused(kind, payload, message, tmp_path: Path) -> None:
    path = tmp_path / "x"
    write(path, [RECORDS[0], Record(1, kind, "a", payload)], {})
    with pytest.raises(InputError) as error:
        read(path)
    assert f"{path}: row 1: {kind} payload" in str(error.value)
    assert message in str(error.value)
