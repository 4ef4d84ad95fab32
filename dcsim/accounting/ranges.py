"""Low and high of each headline number: what runs at the low and high of what is known came to.

`dcsim run --range` simulates the scenario again under the inputs of the run, one group of numbers
at a time at its low and at its high, in `range/<group>-<level>/` of the run folder; `range.json`
there lists them. From the run's own value v and those at the two levels of each group,

    low = v - sqrt(sum over groups of (v - lowest)^2),  high = v + sqrt(sum of (highest - v)^2)

with v itself among lowest and highest: groups count as independent of one another, and what two of
them do together as the sum of what each does. All numbers of a group move at once, which is too
wide where their sum is better known than they are (the power of a node is fitted, its split is
not), and too narrow where some of them counteract others. Failures, weather and arrivals are those
of the run: the interval does not hold the luck of one draw, nor what the model leaves out.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import hypot, inf
from pathlib import Path
from typing import Any, NamedTuple

from dcsim.errors import InputError, InvariantError
from dcsim.trace import Run, write_atomically

FOLDER = "range"
SAME = "takes the same numbers as the run"
_LIST = "range.json"

Values = Mapping[str, float | None]
"""Headline numbers by name; None is not known."""


class Variation(NamedTuple):
    """The run with one group of numbers at one level; no values where it did not come to an end.

    *note* says why it was not simulated, or why it does not count.
    """

    group: str
    level: str
    note: str
    values: Values

    @property
    def name(self) -> str:
        """Name of its run folder."""
        return f"{self.group}-{self.level}"


class Bounds(NamedTuple):
    """Low and high of a number, and how they came about or why they are not known."""

    low: float | None
    high: float | None
    basis: str


def write_list(folder: Path, variations: Iterable[Variation]) -> None:
    """Write which variations the run in *folder* has, simulated or not."""
    rows = [{"group": v.group, "level": v.level, "note": v.note} for v in variations]
    (folder / FOLDER).mkdir(exist_ok=True)
    write_atomically(folder / FOLDER / _LIST, json.dumps({"runs": rows}, indent=1) + "\n")


def read_variations(
    run: Run, own: Values, values_of: Callable[[Run], Values]
) -> tuple[Variation, ...]:
    """Return the variations of a run, whose own values are *own*; none if it has no range.

    Raises:
        InputError: the list of them cannot be read.
    """
    path = run.folder / FOLDER / _LIST
    if not path.exists():
        return ()
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["runs"]
        listed = [Variation(str(r["group"]), str(r["level"]), str(r["note"]), {}) for r in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the list of the runs of a range") from error
    return tuple(_valued(run, variation, own, values_of) for variation in listed)


def _valued(
    run: Run, variation: Variation, own: Values, values_of: Callable[[Run], Values]
) -> Variation:
    """Return a variation of the list with what it came to."""
    if variation.note == SAME:
        return variation._replace(values=own)
    if variation.note:
        return variation
    try:
        varied = Run(run.folder / FOLDER / variation.name)
        if varied.status != "done":
            return variation._replace(note=f"{varied.status}, not done")
        if _question(varied) != _question(run):
            return variation._replace(note="is of another run: its inputs differ")
        return variation._replace(values=values_of(varied))
    except (InputError, InvariantError):
        return variation._replace(note="not simulated, or its folder cannot be read")


def _question(run: Run) -> tuple[Any, ...]:
    """Return what a run and its variations have in common."""
    return tuple(run.record.get(key) for key in ("inputs_digest", "seed", "duration_ns"))


def bounds(name: str, value: float | None, variations: Sequence[Variation]) -> Bounds:
    """Return low and high of the headline number *name* of a run with these variations."""
    if value is None or not variations:
        return Bounds(None, None, "")
    missing = [v.name for v in variations if not v.values]
    if missing:
        done = f"{len(variations) - len(missing)} of {len(variations)}"
        return Bounds(None, None, f"low and high not known, {done} runs of the range are done")
    moves: dict[str, list[float]] = {v.group: [0.0] for v in variations}
    for variation in variations:
        number = variation.values.get(name)
        if number is None:
            return Bounds(None, None, f"low and high not known, nor is it at {variation.name}")
        moves[variation.group].append(number - value)
    least, most = _limits(name)
    low = value - hypot(*(min(each) for each in moves.values()))
    high = value + hypot(*(max(each) for each in moves.values()))
    text = f"low and high by root sum of squares of {', '.join(moves)}"
    return Bounds(max(low, least), min(high, most), text)


def _limits(name: str) -> tuple[float, float]:
    """Return what a number can be at least and at most, by its name."""
    if name.endswith("_frac"):
        return 0.0, 1.0
    return (-inf if "_temp_c" in name else 1.0 if name == "pue" else 0.0), inf
