"""Why things came as they did: the story of one job or thing of a run, in words."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from dcsim.accounting.causes import read_events
from dcsim.accounting.chains import Chains
from dcsim.accounting.holders import Holders
from dcsim.accounting.things import Names
from dcsim.errors import InputError
from dcsim.report.leaf import are_numbers, chain, heading, paragraph, printable, table, write_page
from dcsim.report.stories.of_job import story_of_job
from dcsim.report.stories.of_thing import story_of_thing
from dcsim.report.stories.phrases import Phrases, folded, instant
from dcsim.report.stories.telling import Step, Story, Table, Telling
from dcsim.trace import Run

_WIDTH_MAX = 120
_INDENT = 2
_DEPTH_MAX = 8


def story_of(run: Run, name: str, at_ns: int | None = None) -> Story:
    """The story of the job or thing *name* up to *at_ns* [ns], by default all of the run.

    Raises:
        InputError: no such thing, the run ended before, or it cannot be read.
    """
    if at_ns is not None and at_ns > run.end_ns:
        raise InputError(f"--at {instant(at_ns)}: the run ended at {instant(run.end_ns)}")
    holders = Holders(run)
    thing = holders.find(name)
    chains = Chains(read_events(run))
    phrases = Phrases(chains, Names(run), run.record.get("where", {}))
    until_ns = run.end_ns if at_ns is None else at_ns
    tell = story_of_job if thing.kind == "job" else story_of_thing
    return tell(Telling(run, chains, phrases, holders, until_ns), thing)


def show(story: Story, console: Console) -> None:
    """Print a story; plain text where the console is no terminal."""
    width = min(console.width, _WIDTH_MAX)
    for part in folded(story.headline, width):
        console.print(Text(part, style="bold"), soft_wrap=True)
    for fact in story.facts:
        for part in folded(fact, width):
            console.print(Text(part), soft_wrap=True)
    if story.by_cause.rows:
        console.print()
        for row in grid(story.by_cause):
            console.print(Text(row), soft_wrap=True)
    for title, steps in story.chapters:
        console.print()
        if title:
            console.print(Text(title, style="bold"), soft_wrap=True)
        for line in lines(steps, width):
            console.print(line, soft_wrap=True)


def lines(steps: list[Step], width: int) -> list[Text]:
    """The lines of a chapter: time, and what happened, indented below its cause."""
    times = [instant(step.t_ns) for step in steps]
    column = max(map(len, times), default=0) + 2
    found = []
    for time, step in zip(times, steps, strict=True):
        indent = _INDENT * min(max(step.depth - 1, 0), _DEPTH_MAX)
        arrow = "-> " if step.depth else ""
        begin = column + indent + len(arrow)
        first, *rest = folded(step.text, width - begin)
        line = Text(time.ljust(column), "dim").append(" " * indent + arrow, "dim")
        found += [line.append(first), *(Text(" " * begin + part) for part in rest)]
    return found


def grid(table: Table) -> list[str]:
    """The lines of a table: words to the left, numbers to the right."""
    rows = [[printable(cell) for cell in row] for row in (table.head, *table.rows)]
    columns = []
    for place, cells in enumerate(zip(*rows, strict=True)):
        width = max(map(len, cells))
        adjust = str.rjust if are_numbers(table.rows, place) else str.ljust
        columns.append([adjust(cell, width) for cell in cells])
    return ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]


def write_story(story: Story, path: Path) -> None:
    """Write a story as one page; raises OSError where it cannot be written."""
    parts = [paragraph(fact) for fact in story.facts]
    if story.by_cause.rows:
        parts.append(table(story.by_cause.head, story.by_cause.rows))
    for title, steps in story.chapters:
        parts += [heading(title)] if title else []
        parts.append(chain([(instant(step.t_ns), step.depth, step.text) for step in steps]))
    ask = f"dcsim why {story.run} {story.thing} --at '{instant(story.at_ns)}'"
    write_page(path, story.headline, parts, ask)
