"""Reads `run.json` and other JSON of a run folder, which a person may have edited."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from dcsim import __version__
from dcsim.errors import InputError
from dcsim.trace.run_folder import STATUSES
from dcsim.trace.schema import SCHEMA_VERSION

MOST_BYTE = 64 * 2**20
_MOST_NS = 10 * 366 * 86_400 * 10**9
_SHOWN_MOST = 40  # characters of a wrong value
_WHOLE = ("done", "interrupted")


class _Rule(NamedTuple):
    """What a value must be: in words, and whether one is."""

    allowed: str
    fits: Callable[[Any], bool]


def _whole(low: int, high: int) -> _Rule:
    return _Rule(
        f"a whole number {low}..{high}",
        lambda value: type(value) is int and low <= value <= high,
    )


def _is_source(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(name), str) for name in ("path", "unit", "source")
    )


_TEXT = _Rule("text", lambda value: isinstance(value, str))
_MAPPING = _Rule("a mapping", lambda value: isinstance(value, dict))
_TEXTS = _Rule(
    "a mapping of texts",
    lambda value: isinstance(value, dict) and all(isinstance(text, str) for text in value.values()),
)
_I64 = _whole(-(2**63), 2**63 - 1)
_NEEDED = {
    "status": _Rule(", ".join(STATUSES), lambda value: value in STATUSES),
    "name": _TEXT,
    "seed": _whole(0, 2**63 - 1),
    "duration_ns": _whole(1, _MOST_NS),
    "epoch_ns": _I64,
    "schema_version": _whole(1, 10**6),
    "scenario_digest": _TEXT,
    "scenario": _TEXT,
    "versions": _TEXTS,
    "sources": _Rule(
        "a list of mappings with path, unit and source",
        lambda value: isinstance(value, list) and all(map(_is_source, value)),
    ),
}
_FURTHER = {
    "end_ns": _whole(0, _MOST_NS),
    "trace_digest": _TEXT,
    "inputs_digest": _TEXT,
    "state_digest": _TEXT,
    "counts": _MAPPING,
    "where": _TEXTS,
}


def read_record(folder: Path) -> dict[str, Any]:
    """What `run.json` in *folder* says; keys that are not known are kept.

    Raises:
        InputError: it is no run folder, of a newer schema, or something in it is wrong.
    """
    if not folder.is_dir():
        what = "is a file, not a run folder" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}")
    if not os.path.lexists(folder / "run.json"):
        raise InputError(f"{folder}: no run folder: it holds no run.json")
    path = inside(folder, "run.json")
    record = read_json(path)
    _check_version(path, record.get("schema_version"))
    wrong = [message for name, rule in _NEEDED.items() for message in _faults(record, name, rule)]
    for name, rule in _FURTHER.items():
        if name in record:
            wrong += _faults(record, name, rule)
    if not wrong:
        wrong += _end_faults(record)
    if wrong:
        raise InputError(*(f"{path}: {message}" for message in wrong))
    return record


def inside(folder: Path, *names: str) -> Path:
    """The path of a file of a run folder.

    Raises:
        InputError: it leads out of the folder, or is there and no file.
    """
    home, path = os.path.realpath(folder), folder
    for name in names:
        path = path / name
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(home):
            raise InputError(f"{path}: leads out of the run folder, to {real}")
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: not a file")
    return path


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file, all numbers of which are finite.

    Raises:
        InputError: it cannot be read, is too large, or no such mapping.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTE:
            raise InputError(f"{path}: {size:,} bytes: allowed {MOST_BYTE:,}")
        value = json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_refuse, parse_float=_finite
        )
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 text, from byte {error.start} on") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply") from error
    except ValueError as error:
        raise InputError(f"{path}: no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: a mapping is needed, found {shown(value)}")
    return value


def shown(value: object) -> str:
    """A wrong value as JSON, shortened, for a message."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_MOST else f"{text[:_SHOWN_MOST]}..."


def _check_version(path: Path, version: object) -> None:
    if type(version) is int and version > SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version {shown(version)} is newer than {SCHEMA_VERSION}, "
            f"the newest that dcsim {__version__} reads"
        )


def _faults(record: dict[str, Any], name: str, rule: _Rule) -> list[str]:
    if name not in record:
        return [f"{name} is missing: allowed {rule.allowed}"]
    if rule.fits(record[name]):
        return []
    return [f"{name} = {shown(record[name])}: allowed {rule.allowed}"]


def _end_faults(record: dict[str, Any]) -> list[str]:
    status, most_ns = record["status"], record["duration_ns"]
    if "end_ns" not in record:
        return [f"end_ns is missing: a run that is {status} has it"] if status in _WHOLE else []
    if record["end_ns"] > most_ns:
        return [f"end_ns = {record['end_ns']}: allowed 0..{most_ns}, up to duration_ns"]
    return []


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:_SHOWN_MOST]} is too large")
    return value
