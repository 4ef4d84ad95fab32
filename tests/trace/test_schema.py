import pyarrow as pa
import pytest

from dcsim.trace.schema import (
    EVENT_KINDS,
    FACTORS,
    JOB,
    SCHEMA_VERSION,
    TABLES,
    TEXT,
)
from dcsim.units import unit_of

COLUMNS = [(table, column) for table in TABLES.values() for column in table.columns]


@pytest.mark.parametrize("table", TABLES.values(), ids=str)
def test_a_schema_carries_units_meanings_version_and_epoch(table):
    schema = table.schema(epoch_ns=5)
    assert schema.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    assert schema.metadata[b"epoch_ns"] == b"5"
    for field in schema:
        assert field.metadata[b"meaning"]
        assert field.metadata[b"unit"].decode() == (unit_of(field.name) or "")


def test_tables_of_time_have_an_epoch():
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert ("t_ns" in names) == ("epoch_ns" in names) == (not table.name.startswith("dim_"))


def test_no_column_is_a_dictionary():
    assert not any(pa.types.is_dictionary(column.type) for _, column in COLUMNS)


def test_bulk_floats_are_rounded_no_coarser_than_the_sensor():
    for _, column in COLUMNS:
        if column.type == pa.float32():
            assert 0 < column.quantum <= column.resolution < 2 * column.quantum


def test_a_running_segment_has_every_factor_of_its_rate():
    assert set(FACTORS) < set(JOB.columns)


def test_kinds_of_events_say_what_they_mean():
    assert all(len(meaning) > 10 for meaning in EVENT_KINDS.values())


def test_the_size_of_a_row_is_stated_before_a_run():
    assert TABLES["rack"].row_byte == 4 + 5 * 4
    assert TEXT in [column.type for column in TABLES["events"].columns]
    assert TABLES["events"].row_byte > 64
