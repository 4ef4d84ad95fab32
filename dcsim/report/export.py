"""A run in the formats of other tools: Parquet, CSV, or a timeline that Perfetto shows.

Tables are read, changed and written batch by batch. What is written appears under its name when it
is whole; until then it ends in `.part`.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dcsim.errors import InputError
from dcsim.report.perfetto import write_timeline
from dcsim.trace import Run
from dcsim.trace.schema import TABLES

_ROWS_TOGETHER = 262_144

Tell = Callable[[str, int], None]
"""Takes the table that is written and how many rows of it were."""


def export(
    run: Run, to: str, out: Path | None = None, tables: Sequence[str] = (), tell: Tell | None = None
) -> Path:
    """Write a run in the format *to* and return where it lies.

    Args:
        run: the run.
        to: parquet, csv or perfetto.
        out: what to make, by default `parquet/`, `csv/` or `perfetto.json` in the run folder.
        tables: those to write, by default all of the trace; a timeline takes none.
        tell: is called as the rows go by.

    Raises:
        InputError: *out* exists, or the run cannot be read; nothing is left behind.
        OSError: it cannot be written; nothing is left behind.
    """
    if to == "perfetto":
        if tables:
            raise InputError("--table goes with parquet and csv: a timeline is one file")
        target = out or run.folder / "perfetto.json"
        with _whole(target) as part, part.open("w", encoding="utf-8") as file:
            write_timeline(run, file)
        return target
    target = out or run.folder / to
    write = _write_parquet if to == "parquet" else _write_csv
    opened = {name: run.batches(name) for name in tables or TABLES}
    with _whole(target) as part:
        part.mkdir()
        for name, (schema, batches) in opened.items():
            write(part / f"{name}.{to}", schema, _counted(name, batches, tell))
    return target


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Give a path to write at, which becomes *target* if the body ends well, and goes if not."""
    if os.path.lexists(target) or target.name == "..":
        raise InputError(f"{target}: exists already; name what does not with --out")
    part = target.with_name(f"{target.name}.part")
    if os.path.lexists(part):
        raise InputError(f"{part}: an export is under way, or was killed: then remove this")
    made = [folder for folder in part.parents if not folder.exists()]
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.rename(target)
    except BaseException as error:
        _unmake(part, made)
        if isinstance(error, OSError):
            why = error.strerror or str(error)
            raise OSError(error.errno, why, error.filename or str(target)) from error
        raise


def _unmake(part: Path, made: Sequence[Path]) -> None:
    """Remove what is there of *part*, and the folders that were made for it."""
    if part.is_dir():
        shutil.rmtree(part)
    elif os.path.lexists(part):
        part.unlink()
    with suppress(OSError):  # a folder in which others write by now stays
        for folder in made:
            folder.rmdir()


def _counted(
    name: str, batches: Iterator[pa.RecordBatch], tell: Tell | None
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        if tell is not None:
            tell(name, batch.num_rows)


def _write_parquet(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for table in _together(schema, batches):
            file.write_table(table)


def _write_csv(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import pyarrow.csv as pa_csv

    plain = pa.schema([_plain_field(field) for field in schema])
    with pa_csv.CSVWriter(path, plain) as file:
        for batch in batches:
            columns = [_plain(column) for column in batch.columns]
            file.write_batch(pa.record_batch(columns, schema=plain))


def _together(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches as fewer, larger tables: each becomes a row group."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(part.num_rows for part in held) >= _ROWS_TOGETHER:
            yield pa.Table.from_batches(held, schema)
            held = []
    if held:
        yield pa.Table.from_batches(held, schema)


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, pa.utf8()) if pa.types.is_fixed_size_list(field.type) else field


def _plain(column: pa.Array) -> pa.Array:
    """A histogram as its counts with spaces between them; other columns as they are."""
    if not pa.types.is_fixed_size_list(column.type):
        return column
    texts = column.cast(pa.list_(pa.int32())).cast(pa.list_(pa.utf8()))
    return pc.binary_join(texts, " ")
