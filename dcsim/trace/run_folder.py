"""The folder of one run: its name, and `run.json`, which says what ran and how it ended.

While a run is written its folder is locked, and the lock goes with the process, however it ends:
a run that says `running` and is not locked was killed.
"""

import contextlib
import fcntl
import itertools
import json
import os
import platform
import weakref
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from dcsim import __version__
from dcsim.errors import ScenarioError
from dcsim.trace.schema import SCHEMA_VERSION

Status = Literal["running", "done", "interrupted", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)

PACKAGES = ("numpy", "numba", "pyarrow", "simpy", "networkx")


class RunFolder:
    """A run folder while it is written; `path` is where it lies, `traces` its trace folder."""

    def __init__(self, path: Path, record: Mapping[str, Any]) -> None:
        self.path = path
        self.traces = path / "traces"
        self._record = {"status": "running", **record}
        self._unlock = weakref.finalize(self, os.close, _locked(path))
        self._write_record()

    @property
    def record(self) -> Mapping[str, Any]:
        """What `run.json` says now."""
        return self._record

    def mark(self, status: Status, **facts: Any) -> None:
        """Set how the run ended and further facts (digests) in `run.json`, all or nothing.

        `failed` is written over the old text where a full disk leaves no room for a new file.
        """
        self._record = {**self._record, **facts, "status": status}
        try:
            self._write_record()
        except OSError:
            if status != "failed":
                raise
            self._overwrite_status()
        self._unlock()

    def _write_record(self) -> None:
        text = json.dumps(self._record, indent=1, allow_nan=False) + "\n"
        write_atomically(self.path / "run.json", text)

    def _overwrite_status(self) -> None:
        with (self.path / "run.json").open("r+b") as file:
            text = file.read()
            status = text.replace(b'"status": "running"', b'"status": "failed"', 1)
            file.seek(0)
            file.write(status.ljust(len(text)))


def is_being_written(folder: Path) -> bool:
    """Whether a process that still lives writes the run in *folder*.

    No, where the file system has no locks.
    """
    folder_id = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(folder_id, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(folder_id)
    return False


def _locked(folder: Path) -> int:
    """Lock a folder until the descriptor that is returned is closed."""
    folder_id = os.open(folder, os.O_RDONLY)
    with contextlib.suppress(OSError):
        fcntl.flock(folder_id, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return folder_id


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that readers see the old one or the new one, never a part.

    Raises:
        OSError: it cannot be written; it names the file, also where the disk is full.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")  # others may write it too
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error


def create_run_folder(
    *,
    name: str,
    scenario_digest: str,
    scenario_text: str,
    seed: int,
    epoch_ns: int,
    duration_ns: int,
    sources: Sequence[Mapping[str, Any]],
    where: Mapping[str, str],
    out: Path | None = None,
    runs: Path = Path("runs"),
) -> RunFolder:
    """Make the folder of a new run, with `run.json` at status `running`.

    Args:
        name, seed, scenario_digest, scenario_text: of the scenario, as resolved.
        epoch_ns: the calendar at the start of the run [ns since 1970-01-01 local].
        duration_ns: asked length of the run [ns].
        sources: the catalogue numbers that the run uses, each with its source.
        where: file and line of parts of the scenario, such as `faults.0`.
        out: the folder itself; by default `runs/<name>-<digest>-s<seed>`, numbered if taken.

    Raises:
        ScenarioError: `out` exists already, or the folder cannot be made.
    """
    record = {
        "name": name,
        "seed": seed,
        "duration_ns": duration_ns,
        "epoch_ns": epoch_ns,
        "schema_version": SCHEMA_VERSION,
        "scenario_digest": scenario_digest,
        "versions": {
            "dcsim": __version__,
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            **{package: version(package) for package in PACKAGES},
        },
        "scenario": scenario_text,
        "sources": list(sources),
        "where": dict(where),
    }
    folder = runs / f"{name}-{scenario_digest[:8]}-s{seed}"
    try:
        path = _make_first_free(folder) if out is None else _make(out)
        try:
            return RunFolder(path, record)
        except OSError:
            path.rmdir()
            raise
    except OSError as error:
        place = folder if out is None else f"--out {out}"
        raise ScenarioError(f"{place}: cannot make this folder: {error.strerror}") from error


def _make(out: Path) -> Path:
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise ScenarioError(f"--out {out}: exists already; name a folder that does not") from None
    return out


def _make_first_free(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(2):
        try:
            folder.mkdir()
            break
        except FileExistsError:
            folder = folder.with_name(f"{folder.name.removesuffix(f'-{number - 1}')}-{number}")
    return folder
