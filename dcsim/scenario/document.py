"""One scenario from its layers: the file, what it extends, and `--set` on the command line.

A mapping is laid over a mapping key by key; any other value replaces what was there, and null
removes it. Every key remembers the file and line that gave it.
"""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from dcsim.errors import ScenarioError
from dcsim.scenario import reader
from dcsim.scenario.reader import join

_SIZE_MAX_BYTE = 1_000_000


class Document(NamedTuple):
    """The merged values, where each key path was given, and the files that were read."""

    values: dict[str, Any]
    places: dict[str, str]
    files: tuple[str, ...]
    name: str

    def where(self, path: str) -> str:
        """`file.yaml:41` of *path*, or of the nearest thing around it that was written."""
        while path and path not in self.places:
            path = path.rpartition(".")[0]
        return self.places.get(path, self.name)

    def value(self, path: str) -> Any:
        """Value as written at *path*, which the file need not have; then ''."""
        found: Any = self.values
        for key in path.split("."):
            if isinstance(found, list):
                found = found[int(key)]
            else:
                found = found.get(key, "") if isinstance(found, dict) else ""
        return found


def from_file(path: Path, overrides: Sequence[str], seed: int | None) -> Document:
    """Read *path*, all that it extends, and lay the overrides on it; raises ScenarioError."""
    stack = _Stack()
    stack.add_file(path, str(path), ())
    return stack.finish(path.name, overrides, seed)


def from_text(text: str, name: str, overrides: Sequence[str], seed: int | None) -> Document:
    """Do the same for a text; what it extends is relative to the working folder."""
    stack = _Stack()
    stack.add_text(text, name, Path(), ())
    return stack.finish(name, overrides, seed)


def laid_over(asked: Document, overrides: Sequence[str]) -> Document:
    """Lay the overrides on a document, which stays as it is; raises ScenarioError."""
    stack = _Stack()
    stack.values, stack.places = deepcopy(asked.values), dict(asked.places)
    stack.files = list(asked.files)
    return stack.finish(asked.name, overrides, None)


class _Stack:
    """Layers laid so far, the first at the bottom."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.places: dict[str, str] = {}
        self.files: list[str] = []
        self.problems: list[str] = []

    def add_file(self, path: Path, asked_by: str, chain: tuple[Path, ...]) -> None:
        """Lay the file at *path* over what is there, after what it extends."""
        real = path.resolve()
        if real in chain:
            links = [*chain[chain.index(real) :], real]
            circle = " extends ".join(link.name for link in links)
            self.problems.append(f"{asked_by}: extends goes in a circle: {circle}")
            return
        try:
            with path.open("rb") as file:
                content = file.read(_SIZE_MAX_BYTE + 1)
        except OSError as error:
            self.problems.append(f"{asked_by}: {_cannot_read(error)}")
            return
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            self.problems.append(f"{path.name}:{line}: not UTF-8 text")
            return
        self.add_text(text, path.name, path.parent, (*chain, real))

    def add_text(self, text: str, name: str, folder: Path, chain: tuple[Path, ...]) -> None:
        """Lay *text* over what is there, after what it extends (relative to *folder*)."""
        self.files.append(name)
        if len(text) > _SIZE_MAX_BYTE:
            self.problems.append(f"{name}: larger than {_SIZE_MAX_BYTE:,} bytes")
            return
        values, lines, problems = reader.read(text)
        if not problems and not isinstance(values, dict):
            problems.append((1, "a scenario is a mapping of keys, such as `name: first`"))
        self.problems += [f"{name}:{line}: {problem}" for line, problem in problems]
        if not isinstance(values, dict):
            return
        places = {path: f"{name}:{line}" for path, line in lines.items()}
        self._extend(values.pop("extends", None), places.get("extends", name), folder, chain)
        _anchor_files(values, folder)
        for key, value in values.items():
            self._put(self.values, key, key, value)
        self.places.update(places)

    def _extend(self, base: object, place: str, folder: Path, chain: tuple[Path, ...]) -> None:
        if isinstance(base, str):
            self.add_file(folder / base, f"{place}: extends = {base}", chain)
        elif base is not None:
            self.problems.append(f"{place}: extends: allowed the path of one file")

    def add_override(self, text: str) -> None:
        """Lay one `a.b.0.c=value` over what is there."""
        place = f"--set {text}"
        path, equals, written = text.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys) or keys == ["extends"]:
            self.problems.append(f"{place}: allowed path.to.key=value")
            return
        value, lines, problems = _override_value(written.strip())
        try:
            holder, slot = _reach(self.values, keys)
        except LookupError as error:
            problems.append((1, str(error.args[0])))
        if problems:
            self.problems += [f"{place}: {problem}" for _, problem in problems]
            return
        for end in range(1, len(keys)):
            self.places.setdefault(".".join(keys[:end]), place)
        full = ".".join(keys)
        self._put(holder, slot, full, value)
        self.places[full] = place
        self.places.update({join(full, line): place for line in lines})

    def _put(self, holder: Any, slot: str | int, path: str, value: Any) -> None:
        """Lay *value* on a slot of *holder*, known as *path*; forget places it replaces."""
        old = _get(holder, slot)
        if isinstance(value, dict) and isinstance(old, dict):
            for key, member in value.items():
                self._put(old, key, join(path, key), member)
            return
        if isinstance(old, dict | list):
            for place in [place for place in self.places if place.startswith(f"{path}.")]:
                del self.places[place]
        if value is None and old is not None and isinstance(holder, dict):
            del holder[slot]
        else:
            holder[slot] = value

    def finish(self, name: str, overrides: Sequence[str], seed: int | None) -> Document:
        """Lay the command line last; raises ScenarioError with every problem of every layer."""
        if not self.problems:
            for override in overrides:
                self.add_override(override)
        if self.problems:
            raise ScenarioError(*self.problems)
        if seed is not None:
            self.values["seed"] = seed
            self.places["seed"] = f"--seed {seed}"
        return Document(self.values, self.places, tuple(self.files), name)


def _override_value(written: str) -> reader.Reading:
    """Value after the equals sign: flow YAML where it looks like it, otherwise a plain word."""
    if written.startswith(("{", "[", '"', "'")):
        return reader.read(written)
    return reader.Reading(reader.scalar(written), {}, [])


def _reach(values: Any, keys: Sequence[str]) -> tuple[Any, str | int]:
    """Holder and slot of the last key, made on the way where missing (item 0 makes a list).

    Raises LookupError for a key that its holder cannot have.
    """
    holder, slot = values, _slot(values, keys[0])
    for key in keys[1:]:
        inner = _get(holder, slot)
        if inner is None:
            inner = holder[slot] = [] if key == "0" else {}
        holder, slot = inner, _slot(inner, key)
    return holder, slot


def _get(holder: Any, slot: Any) -> Any:
    return holder[slot] if isinstance(holder, list) else holder.get(slot)


def _slot(holder: Any, key: str) -> str | int:
    """Key of a mapping, or index of a list, where one past the end makes a new item."""
    if isinstance(holder, dict):
        return key
    if not isinstance(holder, list):
        raise LookupError(f"{key!r} lies inside a value that has no keys")
    if not key.isdecimal() or int(key) > len(holder):
        raise LookupError(f"{key!r} is no index of a list that holds {len(holder)}, from 0")
    if int(key) == len(holder):
        holder.append(None)
    return int(key)


def _anchor_files(values: dict[str, Any], folder: Path) -> None:
    """Make the paths of data files relative to the working folder instead of to *folder*."""
    sites = values.get("sites")
    for site in sites.values() if isinstance(sites, dict) else ():
        weather = site.get("weather") if isinstance(site, dict) else None
        if isinstance(weather, dict) and isinstance(weather.get("epw"), str):
            weather["epw"] = str(folder / weather["epw"])


def _cannot_read(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file"
    return f"cannot be read ({error.strerror})"
