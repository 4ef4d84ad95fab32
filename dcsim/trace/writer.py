"""Writes a trace while the simulation runs: buffered rows, LZ4 batches, Arrow IPC files.

Batch boundaries depend on the rows and on calls of `flush` alone, so equal runs give equal bytes.
A process that is killed leaves files that read up to their last whole batch, and so does a full
disk, which raises OSError.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from dcsim.errors import InvariantError
from dcsim.trace.schema import (
    DIM_EVENT_KIND,
    DIM_JOB_STATE,
    DIM_THING_KIND,
    DTYPES,
    EVENT_KINDS,
    HISTOGRAM,
    HISTOGRAM_BINS,
    I32,
    JOB_STATES,
    TABLES,
    TEXT,
    THING_KINDS,
    Column,
    Table,
)

Values = Mapping[str, Any]


class TraceWriter:
    """All tables of one run; made in a folder that does not exist yet.

    Args:
        folder: where `<table>.arrow` files go; is made.
        epoch_ns: the simulated calendar at the start of the run [ns since 1970-01-01 local].
    """

    def __init__(self, folder: Path, epoch_ns: int) -> None:
        folder.mkdir()
        self._files = {
            name: _TableFile(folder / f"{name}.arrow", table, epoch_ns)
            for name, table in TABLES.items()
        }
        self._write_names()

    def row(self, table: str, values: Values) -> None:
        """Add one row: a scalar for every column of the table but `epoch_ns`.

        Raises:
            OSError: the disk is full; what was flushed before stays readable.
        """
        self._files[table].row(values)

    def rows(self, table: str, values: Values) -> None:
        """Add rows: arrays (or lists) of one length, copied; scalars stand for every row.

        Raises:
            OSError: the disk is full; what was flushed before stays readable.
        """
        self._files[table].rows(values)

    def flush(self) -> None:
        """Write what is buffered, so that nothing up to now is lost if the process is killed."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Write buffers and footers; every table is tried before an error is raised."""
        failures: list[OSError | InvariantError] = []
        for file in self._files.values():
            try:
                file.close()
            except (OSError, InvariantError) as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def __enter__(self) -> "TraceWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            self.close()
        except (OSError, InvariantError):
            if error is None:
                raise

    def _write_names(self) -> None:
        kinds = {"name": list(EVENT_KINDS), "meaning": list(EVENT_KINDS.values())}
        self.rows(DIM_EVENT_KIND.name, {"event_kind_id": np.arange(len(EVENT_KINDS)), **kinds})
        for table, names in ((DIM_THING_KIND, THING_KINDS), (DIM_JOB_STATE, JOB_STATES)):
            ids = table.columns[0].name
            self.rows(table.name, {ids: np.arange(len(names)), "name": list(names)})
        self.flush()


class _TableFile:
    """One table: a buffer of `batch_rows` rows in front of an Arrow file."""

    def __init__(self, path: Path, table: Table, epoch_ns: int) -> None:
        self._path = path
        self._table = table
        self._schema = table.schema(epoch_ns)
        self._buffers = {
            column.name: _buffer(column, table.batch_rows, epoch_ns) for column in table.columns
        }
        self._given = {n: b for n, b in self._buffers.items() if n != "epoch_ns"}
        self._row_count = 0
        self._sink = pa.OSFile(str(path), "wb")
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        self._writer = pa.ipc.new_file(self._sink, self._schema, options=options)
        self._whole_byte = self._sink.tell()

    def row(self, values: Values) -> None:
        self._check_names(values)
        at = self._row_count
        for name, buffer in self._given.items():
            buffer[at] = values[name]
        self._row_count = at + 1
        if self._row_count == self._table.batch_rows:
            self.flush()

    def rows(self, values: Values) -> None:
        self._check_names(values)
        arrays = {name: value for name, value in values.items() if _is_array(value)}
        lengths = {len(value) for value in arrays.values()}
        if len(lengths) != 1:
            raise ValueError(f"{self._table.name}: columns of different lengths {sorted(lengths)}")
        count = lengths.pop()
        done = 0
        while done < count:
            size = min(count - done, self._table.batch_rows - self._row_count)
            part = {name: value[done : done + size] for name, value in arrays.items()}
            self._take({**values, **part}, size)
            done += size

    def _take(self, values: Values, size: int) -> None:
        at = self._row_count
        for name, buffer in self._given.items():
            value = values[name]
            if isinstance(buffer, list) and isinstance(value, str):
                value = [value] * size
            buffer[at : at + size] = value
        self._row_count = at + size
        if self._row_count == self._table.batch_rows:
            self.flush()

    def flush(self) -> None:
        size, self._row_count = self._row_count, 0
        if size == 0:
            return
        arrays = [self._array(column, size) for column in self._table.columns]
        self._put(lambda: self._writer.write_batch(pa.record_batch(arrays, schema=self._schema)))

    def close(self) -> None:
        if self._sink.closed:
            return
        self.flush()
        self._put(self._writer.close)
        self._sink.close()

    def _put(self, write: Callable[[], object]) -> None:
        """Write something whole or not at all: a full disk cuts the file back to what was whole."""
        try:
            write()
        except OSError:
            self._sink.close()
            os.truncate(self._path, self._whole_byte)
            raise
        self._whole_byte = self._sink.tell()

    def _array(self, column: Column, size: int) -> pa.Array:
        values = self._buffers[column.name][:size]
        if column.type == TEXT:
            return _text_array(values)
        if column.type == HISTOGRAM:
            items = pa.Array.from_buffers(I32, values.size, [None, pa.py_buffer(values)])
            return pa.Array.from_buffers(HISTOGRAM, size, [None], children=[items])
        if values.dtype.kind == "f":
            self._check_finite(column, values)
            _round(values, column.quantum)
        valid = None
        if column.nullable:
            valid = pa.py_buffer(np.packbits(~np.isnan(values), bitorder="little"))
        return pa.Array.from_buffers(column.type, size, [valid, pa.py_buffer(values)])

    def _check_finite(self, column: Column, values: np.ndarray[Any, Any]) -> None:
        wrong = np.isinf(values) if column.nullable else ~np.isfinite(values)
        if wrong.any():
            row = int(np.argmax(wrong))
            t_ns = int(self._buffers["t_ns"][row]) if "t_ns" in self._buffers else 0
            raise InvariantError(t_ns, self._table.name, row, f"{column.name} is {values[row]}")

    def _check_names(self, values: Values) -> None:
        if values.keys() != self._given.keys():
            odd = ", ".join(sorted(values.keys() ^ self._given.keys()))
            raise ValueError(f"{self._table.name}: columns missing or unknown: {odd}")


def _buffer(column: Column, size: int, epoch_ns: int) -> Any:
    if column.type == TEXT:
        return [""] * size
    if column.type == HISTOGRAM:
        return np.zeros((size, HISTOGRAM_BINS), np.int32)
    if column.name == "epoch_ns":
        return np.full(size, epoch_ns, np.int64)
    return np.zeros(size, DTYPES[column.type])


def _text_array(texts: Sequence[str]) -> pa.Array:
    """An Arrow array of text; `pa.array` would import pandas for this, 0.13 s."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(TEXT, len(texts), buffers)


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | Sequence) and not isinstance(value, str)


def _round(values: np.ndarray[Any, Any], quantum: float) -> None:
    if quantum:
        np.multiply(values, 1 / quantum, out=values)
        np.rint(values, out=values)
        np.multiply(values, quantum, out=values)
