"""Named tuples as tables: rows taken, gathered and joined, field by field."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

_Record = TypeVar("_Record", bound=tuple[Any, ...])


def rows_of(record: _Record, rows: Any) -> _Record:
    """Return *rows* (an index, a slice or an index array) of each field; scalars stay."""
    return _like(record, (_taken(field, rows) for field in record))


def gathered(records: Sequence[_Record], index: Any) -> _Record:
    """Return `records[i]` for each i of *index*: an array for each field that differs."""
    return _like(
        records[0],
        (
            gathered(field, index)
            if isinstance(field[0], tuple)
            else field[0]
            if all(value == field[0] for value in field)
            else np.asarray(field)[index]
            for field in zip(*records, strict=True)
        ),
    )


def joined(records: Sequence[_Record]) -> _Record:
    """Return the rows of all *records* one after the other."""
    return _like(
        records[0],
        (
            joined(field) if isinstance(field[0], tuple) else np.concatenate(field)
            for field in zip(*records, strict=True)
        ),
    )


def _taken(field: Any, rows: Any) -> Any:
    if isinstance(field, tuple):
        return rows_of(field, rows)
    return field if np.ndim(field) == 0 else field[rows]


def filled(record: _Record, count: int) -> _Record:
    """Return *record* with every scalar repeated, so that each field has *count* rows."""
    return _like(
        record,
        (
            filled(field, count) if isinstance(field, tuple) else _repeated(field, count)
            for field in record
        ),
    )


def _repeated(field: Any, count: int) -> Any:
    return np.broadcast_to(field, (count,)) if np.ndim(field) == 0 else field


def _like(record: _Record, fields: Iterable[Any]) -> _Record:
    """Return a record of the type of *record*, which may be a plain tuple."""
    kind: Any = type(record)
    return cast(_Record, kind._make(fields) if hasattr(kind, "_make") else kind(fields))
