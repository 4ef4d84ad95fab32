"""Tables of estimates as CSV: one row a run, columns named like the options.

A column that is no option is passed through. If its name is nearly that of an option, or what
others call one, it is refused where that option has no column of its own. Empty cells take the
default.
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from dcsim.errors import InputError
from dcsim.workload.estimate import Estimate, Problem, Table, table
from dcsim.workload.options import BY_NAME, SHAPE, Value, meant, read

ADDED = (
    "step_time_s",
    "step_time_s_low",
    "step_time_s_high",
    "mfu_frac",
    "tflops_per_gpu",
    "memory_byte",
    "fits",
    "reason",
)
_TERA = 1e-12


class Rows(NamedTuple):
    """A CSV as read: header, cells and line of each row, and the values of the options."""

    path: Path
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    columns: Mapping[str, Sequence[Value]]
    problems: tuple[Problem, ...]


def read_rows(path: Path) -> Rows:
    """Read a CSV. Raises InputError for a file or a header that cannot be used.

    What is wrong with a cell is a problem of its row.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = tuple(name.strip() for name in next(reader, []))
            _check_header(path, header)
            found = [(reader.line_num, tuple(row)) for row in reader if any(map(str.strip, row))]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8: {error.reason} at byte {error.start}") from None
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: is no CSV: {error}") from None
    if not found:
        raise InputError(f"{path}: has no rows below its header")
    cells, problems = [], []
    values: dict[str, list[Value]] = {name: [] for name in header if name in BY_NAME}
    for place, (_line, row) in enumerate(found):
        whole = (*row, *[""] * (len(header) - len(row)))[: len(header)]
        if len(row) > len(header):
            text = f"{len(row)} cells for {len(header)} columns"
            problems.append(Problem(place, text))
        cells.append(whole)
        for name, text in zip(header, whole, strict=True):
            if name in BY_NAME:
                value, wrong = _value(name, text)
                values[name].append(value)
                problems += [Problem(place, wrong)] if wrong else []
    lines = tuple(line for line, _row in found)
    return Rows(path, header, tuple(cells), lines, values, tuple(problems))


def estimated_rows(rows: Rows) -> Table:
    """Return the estimates of the rows that have no problem, and the problems of all others."""
    wrong = {problem.row for problem in rows.problems}
    good = [place for place in range(len(rows.cells)) if place not in wrong]
    if not good:
        return Table(np.empty(0, np.int64), None, None, rows.problems)
    columns: dict[str, Any] = {
        name: np.array([column[place] for place in good]) for name, column in rows.columns.items()
    }
    found = table(columns or {"gpus": [BY_NAME["gpus"].default] * len(good)})
    problems = [Problem(good[problem.row], problem.text) for problem in found.problems]
    return Table(
        np.array(good)[found.rows],
        found.layout,
        found.estimate,
        tuple(sorted([*rows.problems, *problems])),
    )


def messages(rows: Rows, problems: Sequence[Problem]) -> list[str]:
    """Return a message for each problem, with file and line; the text begins with the column."""
    return [f"{rows.path}:{rows.lines[problem.row]}: {problem.text}" for problem in problems]


def print_rows(file: TextIO, rows: Rows, found: Table) -> None:
    """Write the rows as read, with the columns of `ADDED`."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*rows.header, *ADDED])
    writer.writerows(_lines(rows, found))


def write_rows(path: Path, rows: Rows, found: Table) -> None:
    """Write as `print_rows` does; an existing file is replaced whole, a device written to."""
    target = path.resolve()
    is_file = target.is_file() or not target.exists()
    part = target.with_name(f".{os.getpid()}.part") if is_file else target
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            print_rows(file, rows, found)
        if is_file:
            os.replace(part, target)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    finally:
        if is_file:
            part.unlink(missing_ok=True)


def _lines(rows: Rows, found: Table) -> Iterator[list[str]]:
    reasons: dict[int, list[str]] = {}
    for problem in found.problems:
        reasons.setdefault(problem.row, []).append(problem.text)
    numbers: dict[int, list[str]] = {}
    if found.estimate is not None:
        numbers = dict(zip(found.rows.tolist(), _numbers(found.estimate), strict=True))
    for row, cells in enumerate(rows.cells):
        empty = [*[""] * (len(ADDED) - 1), "; ".join(reasons.get(row, []))]
        yield [*cells, *numbers.get(row, empty)]


def _numbers(e: Estimate) -> Iterator[list[str]]:
    """Yield the cells of `ADDED` for each estimate."""
    columns = (
        e.step_s,
        e.low_s,
        e.high_s,
        e.mfu_frac,
        e.flop_per_s_per_gpu * _TERA,
        e.memory.total_byte,
        e.hbm_byte,
        e.fits,
    )
    for *numbers, held, room, fits in zip(*(column.tolist() for column in columns), strict=True):
        reason = "" if fits else f"needs {held / 1e9:.1f} GB of a GPU's {room / 1e9:.0f} GB"
        cells = (f"{number:.6g}" for number in numbers)
        yield [*cells, f"{held:.0f}", "true" if fits else "false", reason]


def _value(name: str, text: str) -> tuple[Value, str]:
    option = BY_NAME[name]
    try:
        return read(option, text), ""
    except InputError as error:
        return option.default, f"{name}: {error}"


def _check_header(path: Path, header: Sequence[str]) -> None:
    """Raise InputError for columns that stand twice, are misspelt, or would be written twice."""
    wrong = []
    for place, name in enumerate(header):
        if name in header[:place]:
            wrong.append(f"{path}:1: column {name!r} stands twice")
        elif name in ADDED:
            wrong.append(f"{path}:1: column {name!r} is one that is added: rename it")
        elif name not in BY_NAME and (near := meant(name)) and near not in header:
            wrong.append(f"{path}:1: column {name!r}: did you mean {near!r}?")
    if not set(header) & {"model", *SHAPE}:
        wrong.append(f"{path}:1: has neither a column model nor those of a shape")
    if wrong:
        raise InputError(*wrong)
