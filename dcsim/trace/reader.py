"""Reads a run folder, also one whose run was cut short."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dcsim.errors import InputError
from dcsim.trace.schema import DTYPES, HISTOGRAM, HISTOGRAM_BINS, TABLES, TEXT

_STREAM_BEGIN = 8


class Run:
    """A run folder, read only.

    Args:
        folder: the run folder, with `run.json` and `traces/` in it.

    Raises:
        InputError: it is no run folder, or a table of a finished run cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def record(self) -> dict[str, Any]:
        """What `run.json` says."""
        path = self.folder / "run.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{self.folder}: no run folder: run.json: {error.strerror}") from error
        except ValueError as error:
            raise InputError(f"{path}: no JSON: {error}") from error
        if not isinstance(record, dict) or "status" not in record:
            raise InputError(f"{path}: not the run.json of a run: no status")
        return record

    @property
    def status(self) -> str:
        """running, done, interrupted or failed; a run that was killed still says running."""
        return str(self.record["status"])

    @property
    def end_ns(self) -> int:
        """When the run ended [ns]; for one that was killed, the last job or site row."""
        if "end_ns" in self.record:
            return int(self.record["end_ns"])
        for name in ("job", "site"):
            times = self.columns(name)["t_ns"]
            if times.size:
                return int(times.max())
        return 0

    def table(self, name: str) -> pa.Table:
        """One table of the trace, up to its last whole batch if the run did not end."""
        path = self.folder / "traces" / f"{name}.arrow"
        try:
            with pa.memory_map(str(path)) as file:
                return pa.ipc.open_file(file).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            if self.status == "done":
                raise InputError(f"{path}: cannot be read: {error}") from error
        return _read_cut_short(path, TABLES[name].schema(int(self.record.get("epoch_ns", 0))))

    def columns(self, name: str) -> dict[str, Any]:
        """The columns of one table as arrays; null is NaN, text an array of str.

        A histogram column has the shape (rows, bins).
        """
        table = self.table(name)
        return {field.name: _to_numpy(table[field.name]) for field in table.schema}


def _read_cut_short(path: Path, schema: pa.Schema) -> pa.Table:
    """Every whole batch of a file without a footer: from byte 8 on it is an Arrow stream."""
    batches = []
    try:
        with pa.memory_map(str(path)) as file:
            file.seek(_STREAM_BEGIN)
            stream = pa.ipc.open_stream(file)
            schema = stream.schema
            while True:
                batches.append(stream.read_next_batch())
    except (OSError, pa.ArrowInvalid, StopIteration):
        return pa.Table.from_batches(batches, schema)


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """One array of all chunks, without `to_numpy`, which imports pandas (0.13 s)."""
    if column.type == TEXT:
        return np.array(column.to_pylist(), dtype=object)
    if column.type == HISTOGRAM:
        items = [_numbers(chunk.flatten()) for chunk in column.chunks]
        return np.concatenate([np.zeros(0, np.int32), *items]).reshape(-1, HISTOGRAM_BINS)
    empty = np.zeros(0, DTYPES[column.type])
    return np.concatenate([empty, *(_numbers(chunk) for chunk in column.chunks)])


def _numbers(chunk: pa.Array) -> np.ndarray[Any, Any]:
    """The values of one chunk; the writer leaves NaN below a null."""
    dtype = np.dtype(DTYPES[chunk.type])
    start_byte = chunk.offset * dtype.itemsize
    return np.frombuffer(chunk.buffers()[1], dtype, count=len(chunk), offset=start_byte)
