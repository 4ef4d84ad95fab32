"""Ways to break a run folder: each makes a function that does it to one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

Break = Callable[[Path], object]

RECORD = "run.json"


def record(**values: Any) -> Break:
    """Set keys of `run.json`; `...` takes one out."""
    return keys(RECORD, values)


def summary(**values: Any) -> Break:
    """Set keys of `summary.json`; `...` takes one out."""
    return keys("summary.json", values)


def keys(name: str, values: dict[str, Any]) -> Break:
    def break_(folder: Path) -> None:
        path = folder / name
        found = json.loads(path.read_text(encoding="utf-8")) | values
        kept = {name: value for name, value in found.items() if value is not ...}
        path.write_text(json.dumps(kept), encoding="utf-8")

    return break_


def text(name: str, content: str | bytes) -> Break:
    """Replace a file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def edited(name: str, old: str, new: str) -> Break:
    """Replace a text in a file, once."""

    def break_(folder: Path) -> None:
        found = (folder / name).read_text(encoding="utf-8")
        assert old in found
        (folder / name).write_text(found.replace(old, new, 1), encoding="utf-8")

    return break_


def cut(name: str, kept_frac: float) -> Break:
    """Keep the beginning of a file, as a copy that was cut short does."""

    def break_(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * kept_frac)])

    return break_


def gone(name: str) -> Break:
    def break_(folder: Path) -> None:
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()

    return break_


def as_folder(name: str) -> Break:
    def break_(folder: Path) -> None:
        gone(name)(folder)
        (folder / name).mkdir()

    return break_


def link(name: str, target: str) -> Break:
    """Put a link where a file or folder was; what it was lies beside the run folder then."""

    def break_(folder: Path) -> None:
        if not (folder.parent / "elsewhere").exists():
            (folder / name).rename(folder.parent / "elsewhere")
        else:
            gone(name)(folder)
        (folder / name).symlink_to(target)

    return break_


def table(name: str, change: Callable[[pa.Table], pa.Table]) -> Break:
    """Write a table again, changed, as someone who knows Arrow would."""

    def break_(folder: Path) -> None:
        path = folder / ("inputs.arrow" if name == "inputs" else f"traces/{name}.arrow")
        changed = change(pa.ipc.open_file(path.read_bytes()).read_all())
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, changed.schema) as file:
            file.write_table(changed)

    return break_


def cell(name: str, column: str, row: int, value: Any) -> Break:
    """Change one value of a table."""

    def change(found: pa.Table) -> pa.Table:
        values = found[column].to_pylist()
        values[row] = value
        field = found.schema.field(column)
        place = found.schema.get_field_index(column)
        return found.set_column(place, field, pa.array(values, field.type))

    return table(name, change)


def retyped(name: str, column: str, kind: pa.DataType) -> Break:
    def change(found: pa.Table) -> pa.Table:
        place = found.schema.get_field_index(column)
        return found.set_column(place, column, found[column].cast(kind))

    return table(name, change)


def scrambled(name: str) -> Break:
    """Change bytes in the middle of a file, in the first compressed batch."""

    def break_(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        begin = data.index(b"\x04\x22\x4d\x18")  # of an LZ4 frame
        data[begin : begin + 64] = bytes(64)
        (folder / name).write_bytes(data)

    return break_
