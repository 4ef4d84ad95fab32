"""From a file or a text to a validated `Scenario`."""

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from dcsim.errors import ScenarioError
from dcsim.scenario import document
from dcsim.scenario.checks import contradictions
from dcsim.scenario.document import Document
from dcsim.scenario.problems import describe
from dcsim.scenario.schema import Scenario


def load(
    path: str | os.PathLike[str], overrides: Sequence[str] = (), seed: int | None = None
) -> Scenario:
    """Read the scenario file at *path*.

    *overrides* are `path.to.key=value`, as after `--set`. Raises ScenarioError with every problem
    found: file, line, path, value and what is allowed.
    """
    return _validated(document.from_file(Path(path), overrides, seed))


def loads(
    text: str, name: str = "<text>", overrides: Sequence[str] = (), seed: int | None = None
) -> Scenario:
    """Read a scenario from *text*, called *name* in messages; otherwise as `load`."""
    return _validated(document.from_text(text, name, overrides, seed))


def varied(scenario: Scenario, overrides: Sequence[str]) -> Scenario:
    """Return *scenario* with *overrides* laid over it; raises ScenarioError as `load`.

    >>> varied(load("scenarios/first.yaml"), ["duration=2 h"]).duration_s
    7200.0
    """
    return _validated(scenario.laid_over(overrides))


def _validated(asked: Document) -> Scenario:
    try:
        scenario = Scenario.of(asked)
    except ValidationError as error:
        raise ScenarioError(*describe(error, Scenario, asked)) from None
    found = contradictions(scenario)
    if found:
        raise ScenarioError(*(scenario.problem(path, what) for path, what in found))
    return scenario
