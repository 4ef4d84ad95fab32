"""Run folders as a whole: what lies in a folder of runs, and removing one."""

import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from dcsim.accounting.ranges import FOLDER
from dcsim.accounting.stored import stored_summary
from dcsim.errors import InputError
from dcsim.report.leaf import printable
from dcsim.report.words import length, percent
from dcsim.trace import Run, inside, is_being_written, read_json
from dcsim.units import show

_HEAD = ("run", "status", "when", "simulated", "size", "goodput")
_RANGE = "range.json"
_RIGHT = ("simulated", "size", "goodput")


class Entry(NamedTuple):
    """A run folder in a list; None where nothing is known."""

    run: str
    status: str
    when: datetime
    simulated_ns: int | None
    size_byte: int
    goodput_frac: float | None
    problem: str | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """What stands in its line."""
        return (
            printable(self.run),
            self.status,
            f"{self.when.astimezone():%Y-%m-%d %H:%M}",
            "-" if self.simulated_ns is None else length(self.simulated_ns),
            show(float(self.size_byte), "byte"),
            "-" if self.goodput_frac is None else percent(self.goodput_frac),
        )


def entries(folder: Path) -> list[Entry]:
    """The runs in *folder* by name, or the one that it is.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    if os.path.lexists(folder / "run.json"):
        return [_entry(folder)]
    return [_entry(path.parent) for path in sorted(folder.glob("*/run.json"))]


def lines(found: list[Entry]) -> Iterator[str]:
    """A list as text, in columns, with what is wrong below it."""
    rows = [_HEAD, *(entry.cells for entry in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if name in _RIGHT else cell.ljust(width)
            for name, cell, width in zip(_HEAD, row, widths, strict=True)
        ]
        yield "  ".join(cells).rstrip()
    yield from (entry.problem for entry in found if entry.problem is not None)


def check_removable(folder: Path) -> Run:
    """Open a run that may be removed.

    Raises:
        InputError: it is no run folder, is being written, or more would go than this run.
    """
    if folder.is_symlink():
        raise InputError(f"{folder}: is a link: name the folder that it leads to")
    run = Run(folder)
    own = range_folders(folder)
    if any(map(is_being_written, (folder, *own))):
        raise InputError(f"{folder}: is being written: stop that run first")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise InputError(f"{folder}: is the folder that you are in: leave it first")
    found = (path.parent for path in sorted(folder.rglob("run.json")))
    inner = [other for other in found if other != folder and other not in own]
    if inner:
        raise InputError(f"{folder}: holds another run: remove or move {inner[0]} first")
    return run


def range_folders(folder: Path) -> list[Path]:
    """The runs that were simulated for the range of a run, and go with it; [] without a list."""
    try:
        rows = read_json(inside(folder, FOLDER, _RANGE)).get("runs")
    except InputError:
        return []
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    names = [f"{row.get('group')}-{row.get('level')}" for row in rows]
    return [folder / FOLDER / name for name in names if (folder / FOLDER / name).is_dir()]


def remove(folder: Path) -> None:
    """Remove a run folder; `run.json` goes last, so that what was begun can be done again."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == "run.json"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    folder.rmdir()


def size_byte(folder: Path) -> int:
    """Size of all files in a folder, links not followed [byte]."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterable[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield os.lstat(os.path.join(place, name)).st_size


def _entry(folder: Path) -> Entry:
    size = size_byte(folder)
    when = datetime.fromtimestamp(os.lstat(folder / "run.json").st_mtime, UTC)
    try:
        run = Run(folder)
        summary = stored_summary(run) or {}
        goodput = summary.get("goodput_frac", {}).get("value")
        return Entry(folder.name, _status(run), when, run.end_ns, size, goodput)
    except InputError as error:
        return Entry(folder.name, "unreadable", when, None, size, None, error.messages[0])


def _status(run: Run) -> str:
    if run.status == "running" and not is_being_written(run.folder):
        return "killed"
    return run.status
