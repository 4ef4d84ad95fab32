"""YAML text to plain values, strictly, with the line of every key.

Built on the events of PyYAML's safe parser, so that nothing can be constructed but mappings,
lists, strings, numbers, booleans and null, and in time linear in the text: anchors, aliases,
merge keys and tags are refused, and so are duplicate keys. Plain words follow YAML 1.2: `1e9` is a
number; `no`, `on`, `12:30` and `2024-07-01` are strings.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH_MAX_COUNT = 32
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


class Reading(NamedTuple):
    """What a text says: its value, the line of every key path, and the problems found."""

    value: Any
    lines: dict[str, int]
    problems: list[tuple[int, str]]


class _UnreadableError(Exception):
    """(line, problem) after which the rest of the text means nothing."""


def read(text: str) -> Reading:
    """Read one YAML document; problems are returned as (line, text), never raised."""
    composer = _Composer(iter(yaml.parse(text, Loader=_PARSER)))
    value: Any = None
    try:
        value = composer.document()
    except _UnreadableError as stop:
        composer.problems.append((stop.args[0], stop.args[1]))
    except yaml.YAMLError as error:
        composer.problems.append(_syntax(error, text))
    return Reading(value, composer.lines, composer.problems)


def scalar(text: str) -> Any:
    """Value of a plain word: null, a boolean, a number, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and not re.match(r"[-+]?0[0-9]+$", text):
        return float(text)
    return text


def join(path: str, key: str | int) -> str:
    """Path of a member: `sites` and `dallas` give `sites.dallas`."""
    return f"{path}.{key}" if path else str(key)


def _syntax(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Line and problem of PyYAML's complaint."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        context = ""
        if error.context and error.context_mark is not None:
            context = f" ({error.context} from line {error.context_mark.line + 1})"
        return error.problem_mark.line + 1, f"not valid YAML: {error.problem}{context}"
    position = getattr(error, "position", 0)
    reason = getattr(error, "reason", "unreadable")
    return text[:position].count("\n") + 1, f"not valid YAML: {reason}"


class _Composer:
    """One pass over the events of a document."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.lines: dict[str, int] = {}
        self.problems: list[tuple[int, str]] = []

    def document(self) -> Any:
        """Value of the only document in the text, None for an empty text."""
        event = self._next_after(yaml.StreamStartEvent)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        value = self._value(next(self.events), "", 0)
        event = self._next_after(yaml.DocumentEndEvent)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _UnreadableError(_line(event), "a second document; one file holds one scenario")
        return value

    def _next_after(self, kind: type) -> Any:
        event = next(self.events)
        return next(self.events) if isinstance(event, kind) else event

    def _value(self, event: Any, path: str, depth: int) -> Any:
        if depth > _DEPTH_MAX_COUNT:
            raise _UnreadableError(_line(event), f"nested deeper than {_DEPTH_MAX_COUNT} levels")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse(event, "anchors and aliases (& and *) are not read, use extends")
        if isinstance(event, yaml.AliasEvent):
            return None
        if event.tag is not None:
            self._refuse(event, f"tags are not read: {event.tag}")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return scalar(event.value) if event.implicit[0] else event.value

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._key(event)
            member = join(path, key)
            if key in mapping:
                first = self.lines[member]
                self._refuse(event, f"{member} is given twice, first on line {first}")
            self.lines[member] = _line(event)
            mapping[key] = self._value(next(self.events), member, depth + 1)
        return mapping

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent) or not event.value.isprintable():
            raise _UnreadableError(_line(event), "a key must be a plain word")
        if event.value == "<<":
            self._refuse(event, "merge keys (<<) are not read, use extends")
        return str(event.value)

    def _sequence(self, path: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            member = join(path, len(items))
            self.lines[member] = _line(event)
            items.append(self._value(event, member, depth + 1))
        return items

    def _refuse(self, event: Any, problem: str) -> None:
        self.problems.append((_line(event), problem))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
