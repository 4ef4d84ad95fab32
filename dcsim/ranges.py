"""A scenario again at the low and the high of what is known, one group of numbers at a time.

What comes of it, and by which rule, is `dcsim.accounting.ranges`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numpy.typing import DTypeLike

from dcsim import simulation
from dcsim.accounting import write_summary
from dcsim.accounting.ranges import FOLDER, SAME, Variation, write_list
from dcsim.processes.cast import Models
from dcsim.report.progress import announce
from dcsim.report.progress import progress as progress_line
from dcsim.scenario import Levels, Scenario, varied
from dcsim.trace import Run
from dcsim.world import sources_of

GROUPS = ("recovery", *Levels.model_fields)
_ENDS = ("low", "high")
_RECORD = ("record.rack_every=30 d", "record.gpus=never")
"""Nothing that a headline number rests on: the site is recorded as often as in the run."""


def variations_of(scenario: Scenario) -> list[Variation]:
    """Return the runs of the range of *scenario*: groups that have one in what it uses."""
    own = _numbers(scenario)
    found = []
    for group in GROUPS:
        pair = [Variation(group, level, "", {}) for level in _ENDS]
        notes = [SAME if _numbers(_asked(scenario, each)) == own else "" for each in pair]
        if not all(notes):
            found += [each._replace(note=note) for each, note in zip(pair, notes, strict=True)]
    return found


def simulate_range(
    scenario: Scenario,
    folder: Path,
    *,
    models: Models,
    threads: int | None,
    dtype: DTypeLike,
    took_s: float,
    progress: bool,
) -> None:
    """Simulate the variations of the run in *folder*, each below it; its trace stays as it is.

    *took_s* is how long the run took. Ctrl-C ends the one that is under way and leaves out those
    that would follow. Raises OSError and InvariantError as a run does.
    """
    variations = variations_of(scenario)
    write_list(folder, variations)
    to_run = [variation for variation in variations if not variation.note]
    if progress:
        announce(len(to_run), took_s)
    for count, variation in enumerate(to_run, 1):
        label = f"range {count}/{len(to_run)} {variation.name}"
        duration_ns = round(scenario.duration_s * 1e9)
        with progress_line(duration_ns, quiet=not progress, label=label) as show:
            outcome = simulation.run(
                _asked(scenario, variation),
                models=models,
                out=folder / FOLDER / variation.name,
                inputs=folder / "inputs.arrow",
                threads=threads,
                show=show,
                dtype=dtype,
            )
        write_summary(Run(outcome.folder))
        if outcome.status != "done":
            return


def _asked(scenario: Scenario, variation: Variation) -> Scenario:
    group, level = variation.group, variation.level
    return varied(scenario, (*_overrides(scenario, group, level), *_RECORD))


def _overrides(scenario: Scenario, group: str, level: str) -> Iterable[str]:
    if group != "recovery":
        return (f"levels.{group}={level}",)
    return (
        f"jobs.{place}.train.recovery={{preset: {job.recovery.preset}, level: {level}}}"
        for place, job in enumerate(scenario.jobs)
    )


def _numbers(scenario: Scenario) -> tuple[Any, ...]:
    """Return all that a level may change in a scenario."""
    return sources_of(scenario), scenario.levels.step_time if scenario.jobs else ""
