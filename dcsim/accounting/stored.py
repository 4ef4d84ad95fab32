"""The summary that lies in a run folder, which a person may have edited."""

from collections.abc import Iterator, Mapping
from typing import Any

from dcsim.errors import InputError
from dcsim.scenario.record import METRICS
from dcsim.trace import Run, inside, read_json, shown

_NUMBERS = ("value", "low", "high")
_TEXTS = ("unit", "basis")


def stored_summary(run: Run) -> Mapping[str, Any] | None:
    """What `summary.json` of a run says, None if it is not there.

    One that an earlier dcsim wrote lacks metrics that came later.

    Raises:
        InputError: it is damaged or holds what cannot be.
    """
    path = inside(run.folder, "summary.json")
    if not path.exists():
        return None
    summary = read_json(path)
    wrong = [
        f"{path}: {message}; without this file the run is accounted again"
        for message in _faults(summary)
    ]
    if wrong:
        raise InputError(*wrong)
    return summary


def _faults(summary: Mapping[str, Any]) -> Iterator[str]:
    for name in METRICS:
        if name in summary:
            yield from _metric_faults(name, summary[name])
    if not _is_waterfall(summary.get("waterfall")):
        yield f"{_given('waterfall', summary)}: allowed a list of name and value"


def _metric_faults(name: str, metric: object) -> Iterator[str]:
    if not isinstance(metric, dict) or not all(isinstance(metric.get(key), str) for key in _TEXTS):
        yield f"{name} = {shown(metric)}: allowed a mapping with value, unit and basis"
        return
    for key in _NUMBERS:
        is_optional = key != "value" and key not in metric
        if not (is_optional or metric.get(key, "") is None or _is_number(metric.get(key))):
            yield f"{name}.{_given(key, metric)}: allowed a number or null"


def _is_waterfall(shares: object) -> bool:
    return (
        isinstance(shares, list)
        and bool(shares)
        and all(
            isinstance(share, dict)
            and isinstance(share.get("name"), str)
            and _is_number(share.get("value"))
            for share in shares
        )
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _given(key: str, mapping: Mapping[str, Any]) -> str:
    return f"{key} = {shown(mapping[key])}" if key in mapping else f"{key} is missing"
