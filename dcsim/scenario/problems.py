"""Words for what pydantic found wrong: place, path, value and what is allowed."""

import json
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dcsim.scenario.document import Document
from dcsim.scenario.fields import Part, nearest

_VALUE_MAX_COUNT = 60
_WORDS = {
    "tuple_type": "allowed a list, one item a line that begins with -",
    "dict_type": "allowed a mapping of names",
    "too_short": "allowed at least one",
}


def describe(error: ValidationError, root: type[Part], asked: Document) -> list[str]:
    """Messages for all that *error* holds, such as
    `h100.yaml:41: sites.dallas.cooling.supply = 95 degC: allowed 5..60 degC`.
    """
    return [_message(dict(found), root, asked) for found in error.errors(include_url=False)]


def message(asked: Document, path: str, value: Any, what: str) -> str:
    """Place, *path*, *value* as one would write it unless it is too long to show, and *what*."""
    text = value if isinstance(value, str) else _flow(value)
    if not text.isprintable():
        text = text.encode("unicode_escape").decode()
    shown = f" = {text}" if 0 < len(text) <= _VALUE_MAX_COUNT else ""
    return f"{asked.where(path)}: {path}{shown}: {what}"


def _message(found: dict[str, Any], root: type[Part], asked: Document) -> str:
    loc = [key for key in found["loc"] if key != "[key]"]
    path = ".".join(map(str, loc))
    if found["type"] == "missing":
        return f"{asked.where(path)}: {path} is missing"
    if found["type"] == "extra_forbidden":
        keys = _keys(root, loc[:-1])
        hint = nearest(str(loc[-1]), keys)
        return f"{asked.where(path)}: {path}: unknown key, {hint}allowed {', '.join(keys)}"
    if "[key]" in found["loc"]:
        return f"{asked.where(path)}: {path}: {_allowed(found, root, loc)}"
    return message(asked, path, found["input"], _allowed(found, root, loc))


def _allowed(found: dict[str, Any], root: type[Part], loc: list[Any]) -> str:
    if found["type"] == "value_error":
        return str(found["ctx"]["error"])
    if found["type"] in ("model_type", "model_attributes_type"):
        return f"allowed a mapping of {', '.join(_keys(root, loc))}"
    return _WORDS.get(found["type"], str(found["msg"]))


def _keys(root: type[Part], loc: list[Any]) -> list[str]:
    """Keys of the part at *loc*."""
    part, in_collection = root, False
    for key in loc:
        if in_collection:
            in_collection = False
            continue
        annotation = _annotation(part, str(key))
        part = _part_in(annotation) or part
        in_collection = typing.get_origin(annotation) in (dict, tuple)
    return [field.alias or "" for field in part.model_fields.values()]


def _annotation(part: type[Part], key: str) -> Any:
    fields = part.model_fields.values()
    return next((field.annotation for field in fields if field.alias == key), None)


def _part_in(annotation: Any) -> type[Part] | None:
    """Return the first part that an annotation such as `dict[str, Site]` speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next(filter(None, map(_part_in, typing.get_args(annotation))), None)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value, default=str)
