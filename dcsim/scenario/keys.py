"""Every key of a scenario file: what it means, what may stand there, and what stands there if not.

All of it is read off the parts of a scenario, for people (`dcsim help`) and for editors (JSON
Schema).
"""

import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from dcsim.scenario.fields import FILLED, Leaf, Part


class Key(NamedTuple):
    """One key; *path* leaves out names and indices: `sites.cooling.supply`.

    *default* is as one would write it, None where there is none. *holds* is the part that a
    mapping there is, or each of a list or of a mapping of names.
    """

    path: str
    meaning: str
    allowed: str
    default: Any
    needed: bool
    holds: type[Part] | None


def keys_of(part: type[Part], above: str = "") -> Iterator[Key]:
    """Yield the keys of *part* and of all that it holds, in the order of the code."""
    for field in part.model_fields.values():
        path = f"{above}.{field.alias}" if above else str(field.alias)
        holds, shape = _held(field.annotation)
        leaf = _leaf(field)
        allowed = leaf.allowed if leaf else shape
        needed = field.is_required() and FILLED not in field.metadata
        yield Key(path, _meaning(field), allowed, _default(field, leaf), needed, holds)
        if holds:
            yield from keys_of(holds, path)


def described(schema: dict[str, Any], part: type[Part]) -> None:
    """Say in a JSON Schema of *part* and its `$defs` what each key means, and may be."""
    parts = {part.__name__: part, **{holds.__name__: holds for holds in _parts(part)}}
    for name, each in parts.items():
        own = schema if each is part else schema["$defs"][name]
        own.pop("required", None)
        own["description"] = first_sentence(each)
        for field in each.model_fields.values():
            own["properties"][field.alias] = _property(field, own["properties"][field.alias])


def first_sentence(part: type[Part]) -> str:
    """Return the first sentence of the docstring of a part, without its full stop."""
    text = " ".join((part.__doc__ or "").split())
    return text.partition(". ")[0].rstrip(".")


def _property(field: FieldInfo, written: dict[str, Any]) -> dict[str, Any]:
    leaf = _leaf(field)
    words = [word for word in (_meaning(field), leaf.allowed if leaf else "") if word]
    kept = {key: value for key, value in written.items() if key not in ("default", "title")}
    kept["description"] = "; ".join(words)
    default = _default(field, leaf)
    if default is not None:
        kept["default"] = default
    return kept


def _parts(part: type[Part]) -> Iterator[type[Part]]:
    return (key.holds for key in keys_of(part) if key.holds)


def _leaf(field: FieldInfo) -> Leaf | None:
    return next((each for each in field.metadata if isinstance(each, Leaf)), None)


def _meaning(field: FieldInfo) -> str:
    """Return what is said of a key beside it, or of the part that it holds."""
    words = (each for each in field.metadata if isinstance(each, str) and each != FILLED)
    holds, _shape = _held(field.annotation)
    return next(words, first_sentence(holds) if holds else "")


def _default(field: FieldInfo, leaf: Leaf | None) -> Any:
    """Return the default as written; None where it is another part, or means `not given`."""
    if field.is_required() or leaf is None:
        return None
    return leaf.write(field.default)


def _held(annotation: Any) -> tuple[type[Part] | None, str]:
    """Return the part that an annotation such as `dict[str, Site]` speaks of, and its shape."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation, "a mapping"
    origin = typing.get_origin(annotation)
    for inner in typing.get_args(annotation):
        holds, shape = _held(inner)
        if holds:
            words = {dict: "a mapping of names to mappings", tuple: "a list of mappings"}
            return holds, words.get(origin, shape)
    return None, "a mapping such as {pue: '< 1.3'}" if origin is dict else ""
