"""What is wrong with a table that was read: its columns, its values, and ids that point nowhere."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from dcsim.errors import InputError
from dcsim.trace.schema import DTYPES, Column, Table

HOME_OF = {
    "site_id": "dim_site",
    "rack_id": "dim_rack",
    "job_id": "dim_job",
    "event_kind_id": "dim_event_kind",
    "thing_kind_id": "dim_thing_kind",
    "job_state_id": "dim_job_state",
}
"""The table in which the id of a column must be."""
MAY_BE_NONE = {
    "events": ("site_id", "thing_kind_id", "job_id"),
    "dim_job": ("site_id",),
}
"""Such columns, by table, that may be -1, for none."""
_JSON = ("detail", "payload")

Array = np.ndarray[Any, Any]
Fault = tuple[int, str] | None


class Limits(NamedTuple):
    """What columns may hold: whole numbers from one to another, or ids of a table."""

    spans: Mapping[str, tuple[int, int]]
    ids: Mapping[str, tuple[str, Array]]


def columns_in(path: object, schema: pa.Schema, table: Table, version: int) -> list[Column]:
    """The columns of *table* that a file has; those that its schema version has must be there.

    Raises:
        InputError: one is missing, there twice, or of another type.
    """
    found = []
    for column in table.columns:
        at = schema.get_all_field_indices(column.name)
        if len(at) == 1 and schema.field(at[0]).type == column.type:
            found.append(column)
        elif at or column.since <= version:
            has = " and ".join(str(schema.field(place).type) for place in at) or "nothing"
            raise InputError(
                f"{path}: column {column.name} of {column.type} is needed, found {has}"
            )
    return found


def check_batch(
    path: object, batch: pa.RecordBatch, columns: Sequence[Column], limits: Limits, first_row: int
) -> None:
    """Check the values of *columns* in a batch that begins with the row *first_row*.

    Raises:
        InputError: a value cannot be; names the column and its first such row.
    """
    arrays = {column.name: batch.column(column.name) for column in columns}
    for column in columns:
        fault = _value_fault(column, arrays[column.name], limits)
        if fault is not None:
            raise InputError(f"{path}: row {first_row + fault[0]}: {column.name} {fault[1]}")
    fault = _order_fault(arrays, first_row)
    if fault is not None:
        raise InputError(f"{path}: row {first_row + fault[0]}: {fault[1]}")


def numbers_of(values: pa.Array) -> Array:
    """The numbers of an array without a copy; the writer leaves NaN below a null."""
    dtype = np.dtype(DTYPES[values.type])
    start_byte = values.offset * dtype.itemsize
    return np.frombuffer(values.buffers()[1], dtype, count=len(values), offset=start_byte)


def _value_fault(column: Column, values: pa.Array, limits: Limits) -> Fault:
    if values.null_count and not column.nullable:
        return values.is_null().to_pylist().index(True), "is empty"
    if column.name in _JSON:
        return _json_fault(values)
    if column.type not in DTYPES:
        return None
    numbers = numbers_of(values)
    if numbers.dtype.kind == "f":
        wrong = np.isinf(numbers) if column.nullable else ~np.isfinite(numbers)
        return _first(wrong, numbers, "allowed finite numbers")
    if column.name in limits.ids:
        home, ids = limits.ids[column.name]
        return _first(~np.isin(numbers, ids), numbers, f"not in {home}")
    if column.name in limits.spans:
        low, high = limits.spans[column.name]
        return _first((numbers < low) | (numbers > high), numbers, f"allowed {low}..{high}")
    if column.name.endswith("_count"):
        return _first(numbers < 0, numbers, "allowed 0 or more")
    return None


def _order_fault(arrays: Mapping[str, pa.Array], first_row: int) -> Fault:
    """Events count up and come after their causes; segments end after they begin."""
    if "event_id" in arrays:
        ids = numbers_of(arrays["event_id"])
        rows = np.arange(first_row, first_row + ids.size)
        fault = _first(ids != rows, ids, "allowed the row itself", "event_id")
        if fault is None and "cause_id" in arrays:
            causes = numbers_of(arrays["cause_id"])
            fault = _first(causes >= rows, causes, "allowed events before it", "cause_id")
        return fault
    if "t_start_ns" in arrays and "t_ns" in arrays:
        begins = numbers_of(arrays["t_start_ns"])
        return _first(begins > numbers_of(arrays["t_ns"]), begins, "after t_ns", "t_start_ns")
    return None


def _first(wrong: Array, numbers: Array, what: str, name: str = "") -> Fault:
    if not wrong.any():
        return None
    row = int(np.argmax(wrong))
    return row, f"{name} = {numbers[row]}: {what}".lstrip()


def _json_fault(values: pa.Array) -> Fault:
    for row, text in enumerate(values.to_pylist()):
        try:
            fits = not text or isinstance(json.loads(text), dict)
        except (ValueError, RecursionError):
            fits = False
        if not fits:
            return row, "is no JSON object"
    return None
