"""Reads a run folder, also one whose run was cut short, or that a person has edited."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dcsim.errors import InputError
from dcsim.trace.checks import HOME_OF, MAY_BE_NONE, Limits, check_batch, columns_in, numbers_of
from dcsim.trace.run_record import inside, read_record
from dcsim.trace.schema import (
    DTYPES,
    HISTOGRAM,
    HISTOGRAM_BINS,
    TABLES,
    TEXT,
    Column,
    T,
    Table,
)

_STREAM_BEGIN = 8
_ALWAYS_NS = 2**62
_BROKEN = (OSError, ValueError, pa.ArrowException)

INPUTS = Table(
    "inputs",
    "what came from outside, in its order",
    0,
    (
        T,
        Column("kind", TEXT, "fail, weather, fault, job or maintenance"),
        Column("target", TEXT, "thing, selector, site or job"),
        Column("payload", TEXT, "JSON with sorted keys"),
    ),
)
READABLE = {**TABLES, INPUTS.name: INPUTS}
"""The tables of a run folder by name: those of its trace, and `inputs`."""


class Run:
    """A run folder, read only.

    Args:
        folder: the run folder, with `run.json` and `traces/` in it.

    Raises:
        InputError: it is no run folder, is of a newer schema, or `run.json` is wrong.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.record: dict[str, Any] = read_record(self.folder)
        """What `run.json` says."""
        self._ids: dict[str, np.ndarray[Any, Any]] = {}

    @property
    def status(self) -> str:
        """running, done, interrupted or failed; a run that was killed still says running."""
        return str(self.record["status"])

    @property
    def scenario(self) -> str:
        """The scenario as YAML, all its layers resolved."""
        return str(self.record["scenario"])

    @property
    def end_ns(self) -> int:
        """When the run ended [ns]; for one that was killed, the last job or site row."""
        if "end_ns" in self.record:
            return int(self.record["end_ns"])
        for name in ("job", "site"):
            times = self.columns(name, ["t_ns"])["t_ns"]
            if times.size:
                return int(times.max())
        return 0

    def table(self, name: str, only: Sequence[str] | None = None) -> pa.Table:
        """One table of the trace, or `inputs`, up to its last whole batch if the run did not end.

        Args:
            name: one of `READABLE`.
            only: the columns to read, all by default.

        Raises:
            InputError: it is not there, is damaged, or holds what cannot be.
        """
        schema, batches = self.batches(name, only)
        return pa.Table.from_batches(batches, schema)

    def columns(self, name: str, only: Sequence[str] | None = None) -> dict[str, Any]:
        """The columns of one table as arrays; null is NaN, text an array of str.

        A histogram column has the shape (rows, bins). Takes and raises what `table` does.
        """
        table = self.table(name, only)
        return {field.name: _to_numpy(table[field.name]) for field in table.schema}

    def column_batches(
        self, name: str, only: Sequence[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The columns of one table as arrays, a batch at a time, for what is too large.

        Columns of *only* that this trace is too old to have are left out. Raises what `table` does.
        """
        schema, _ = self.batches(name)
        present = schema.names if only is None else [n for n in only if n in schema.names]
        _, batches = self.batches(name, present)
        for batch in batches:
            yield {
                column: _to_numpy(pa.chunked_array([batch.column(column)])) for column in present
            }

    def batches(
        self, name: str, only: Sequence[str] | None = None
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The schema of a table, and its batches one after the other, for what is too large.

        Takes and raises what `table` does; a batch that is damaged when it is reached.
        """
        table = _table(name)
        path = self._path(table)
        file = self._open(path, table)
        columns = columns_in(path, file.schema, table, self.record["schema_version"])
        if only is not None:
            columns = [column for column in columns if column.name in only]
            absent = set(only) - {column.name for column in columns}
            if absent:
                raise InputError(f"{path}: not recorded: {', '.join(sorted(absent))}")
        limits = self._limits(table, columns)
        schema = pa.schema([file.schema.field(c.name) for c in columns], file.schema.metadata)
        if len(columns) < len(file.schema):
            places = sorted(file.schema.get_field_index(name) for name in schema.names)
            file = self._open(path, table, pa.ipc.IpcReadOptions(included_fields=places))
        return schema, _checked(path, self._batches(path, file, table), schema, columns, limits)

    def _path(self, table: Table) -> Path:
        names = ("inputs.arrow",) if table is INPUTS else ("traces", f"{table.name}.arrow")
        return inside(self.folder, *names)

    def _is_whole(self, table: Table) -> bool:
        """Whether the file must be whole: inputs are written before a run begins."""
        return self.status == "done" or table is INPUTS

    def _open(self, path: Path, table: Table, options: Any = None) -> Any:
        """A reader of the file; one without a footer is an Arrow stream from byte 8 on."""
        try:
            return pa.ipc.open_file(_mapped(path), options=options)
        except _BROKEN as error:
            if self._is_whole(table):
                raise InputError(_damaged(path, error)) from error
        try:
            file = _mapped(path)
            file.seek(_STREAM_BEGIN)
            return pa.ipc.open_stream(file, options=options)
        except _BROKEN:
            return pa.RecordBatchReader.from_batches(table.schema(self.record["epoch_ns"]), [])

    def _batches(self, path: Path, file: Any, table: Table) -> Iterator[pa.RecordBatch]:
        """Every batch up to the first that is damaged, which is an error in a whole file."""
        try:
            if isinstance(file, pa.ipc.RecordBatchFileReader):
                for place in range(file.num_record_batches):
                    batch = file.get_batch(place)
                    batch.validate(full=True)
                    yield batch
                return
            for batch in file:
                batch.validate(full=True)
                yield batch
        except _BROKEN as error:
            if self._is_whole(table):
                raise InputError(_damaged(path, error)) from error

    def _limits(self, table: Table, columns: Sequence[Column]) -> Limits:
        """What the columns of a table may hold; causes may be cut off in a run that was."""
        last_ns = self.record.get("end_ns", self.record["duration_ns"])
        end_ns = _ALWAYS_NS if table is INPUTS else last_ns
        spans = {"t_ns": (0, end_ns), "t_start_ns": (0, end_ns), "cause_id": (-1, _ALWAYS_NS)}
        if table.name == "gpu":
            count = int(self.columns("dim_site", ["gpus_count"])["gpus_count"].sum())
            spans["gpu_id"] = (0, count - 1)
        ids = {
            column.name: (HOME_OF[column.name], self._ids_of(column.name, table.name))
            for column in columns
            if HOME_OF.get(column.name, table.name) != table.name
        }
        if table.name == "job" and self.status == "done":
            count = self.columns("events", ["event_id"])["event_id"].size
            ids["cause_id"] = "events", np.arange(-1, count)
        return Limits(spans, ids)

    def _ids_of(self, name: str, user: str) -> np.ndarray[Any, Any]:
        """The ids that a column of the table *user* may hold; each is there once."""
        home = HOME_OF[name]
        if name not in self._ids:
            ids = self.columns(home, [name])[name]
            values, counts = np.unique(ids, return_counts=True)
            if (counts > 1).any():
                twice = values[np.argmax(counts > 1)]
                raise InputError(f"{self._path(READABLE[home])}: {name} = {twice}: is there twice")
            self._ids[name] = ids
        known = self._ids[name]
        return np.append(known, -1) if name in MAY_BE_NONE.get(user, ()) else known


def _table(name: str) -> Table:
    if name in READABLE:
        return READABLE[name]

    from dcsim.scenario.fields import nearest

    raise InputError(f"table {name!r}: {nearest(name, [*READABLE])}allowed {', '.join(READABLE)}")


def _mapped(path: Path) -> pa.MemoryMappedFile:
    """The file in memory; as bytes its path need not be UTF-8."""
    return pa.memory_map(os.fsencode(path))


def _damaged(path: Path, error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such file" if path.parent.is_dir() else f"{path.parent}: no such folder"
    if isinstance(error, PermissionError):
        return f"{path}: permission denied"
    return f"{path}: cannot be read: not an Arrow IPC file, damaged, or cut short"


def _checked(
    path: Path,
    batches: Iterator[pa.RecordBatch],
    schema: pa.Schema,
    columns: Sequence[Column],
    limits: Limits,
) -> Iterator[pa.RecordBatch]:
    """The asked columns of batches whose values can be."""
    first_row = 0
    for batch in batches:
        part = pa.record_batch([batch.column(name) for name in schema.names], schema=schema)
        check_batch(path, part, columns, limits, first_row)
        first_row += part.num_rows
        yield part


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """One array of all chunks, without `to_numpy`, which imports pandas (0.13 s)."""
    if column.type == TEXT:
        return np.array(column.to_pylist(), dtype=object)
    if column.type == HISTOGRAM:
        size = HISTOGRAM_BINS  # `flatten` would import pyarrow.compute
        items = [
            numbers_of(chunk.values.slice(chunk.offset * size, len(chunk) * size))
            for chunk in column.chunks
        ]
        return np.concatenate([np.zeros(0, np.int32), *items]).reshape(-1, HISTOGRAM_BINS)
    empty = np.zeros(0, DTYPES[column.type])
    return np.concatenate([empty, *(numbers_of(chunk) for chunk in column.chunks)])
