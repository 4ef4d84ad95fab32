"""Commands that tell why a run came out as it did: `why` and `compare`."""

import json
from pathlib import Path

import click

OK = 0


_PAGE = click.option(
    "--html",
    "page",
    is_flag=False,
    flag_value="",
    metavar="[PATH]",
    help="Write a page that needs no network; where, it says.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, nothing else.")


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("thing")
@click.option("--at", metavar="T", help="Tell it up to this time: 20 min, 12 d 3 h, 12 d 03:14:07.")
@_PAGE
@_JSON
def why(folder: Path, thing: str, at: str | None, page: str | None, as_json: bool) -> int:
    """Tell the story of THING in RUN, with its causes.

    THING is a job, or a thing such as dallas/cdu/3 or dallas/gpu/3570.

    \b
    Example: dcsim why runs/mine dallas/cdu/3
    Example: dcsim why runs/mine llama3-405b --at "12 d 3 h"
    """
    from dcsim.report.stories.phrases import read_instant
    from dcsim.report.stories.story import show, story_of, write_story
    from dcsim.trace import Run

    at_ns = None if at is None else read_instant(at)
    story = story_of(Run(folder), thing, at_ns)
    if page is not None:
        path = Path(page) if page else folder / f"why-{story.thing.replace('/', '-')}.html"
        write_story(story, path)
        click.echo(f"Page: {path}", err=as_json)
    if as_json:
        click.echo(json.dumps(story.as_dict(), indent=1))
        return OK

    from rich.console import Console

    show(story, Console())
    return OK


@click.command()
@click.argument("folders", metavar="RUN RUN [...]", nargs=-1, type=click.Path(path_type=Path))
@_PAGE
@_JSON
def compare(folders: tuple[Path, ...], page: str | None, as_json: bool) -> int:
    """Compare runs with the first of them.

    What was asked, what came of it, and where and why they part.

    \b
    Example: dcsim compare runs/as-is runs/warmer-water
    """
    from dcsim.report.stories.comparison import compare as compared
    from dcsim.report.stories.comparison import open_runs
    from dcsim.report.stories.comparison_shown import show, write_comparison

    first, *others = open_runs(folders)
    comparisons = [compared(first, other) for other in others]
    if page is not None:
        names = "-".join(run.folder.resolve().name for run in (first, *others))
        path = Path(page) if page else Path(f"compare-{names}.html")
        write_comparison(comparisons, path)
        click.echo(f"Page: {path}", err=as_json)
    if as_json:
        click.echo(json.dumps([comparison.as_dict() for comparison in comparisons], indent=1))
        return OK

    from rich.console import Console

    console = Console()
    for place, comparison in enumerate(comparisons):
        if place:
            console.print()
        show(comparison, console)
    return OK
