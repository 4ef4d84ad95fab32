"""Commands on run folders: `export` and `runs`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcsim.errors import InputError

if TYPE_CHECKING:
    from dcsim.report.folders import Entry

OK = 0


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to",
    required=True,
    type=click.Choice(["parquet", "csv", "perfetto"]),
    help="Tables as Parquet or CSV, or a timeline for https://ui.perfetto.dev.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="What to make, which must not exist: a folder for tables, a file for a timeline. By "
    "default parquet, csv or perfetto.json in RUN.",
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help="Table to write, instead of all of the trace; may be repeated.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def export(run: Path, to: str, out: Path | None, tables: tuple[str, ...], quiet: bool) -> int:
    """Write the run in folder RUN in the format of other tools.

    \b
    Example: dcsim export runs/first --to parquet
    Example: dcsim export runs/first --to csv --table site --out site-tables
    Example: dcsim export runs/first --to perfetto
    """
    from rich.console import Console

    from dcsim.report.export import export as write
    from dcsim.trace import Run

    console = Console(stderr=True, quiet=quiet)
    opened = Run(run)
    if not console.is_terminal:
        click.echo(write(opened, to, out, tables))
        return OK
    done: dict[str, int] = {}
    with console.status("reading") as status:

        def tell(table: str, rows_count: int) -> None:
            done[table] = done.get(table, 0) + rows_count
            status.update(f"{table}: {done[table]:,} rows")

        path = write(opened, to, out, tables, tell)
    click.echo(path)
    return OK


@click.command()
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, nothing else.")
@click.option("--remove", is_flag=True, help="Remove the run folders that are named.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
def runs(folders: tuple[Path, ...], as_json: bool, remove: bool, yes: bool) -> int:
    """List the runs in each DIR, `runs` by default; or remove runs.

    \b
    Example: dcsim runs
    Example: dcsim runs --remove runs/first runs/second
    """
    if remove:
        if as_json:
            raise InputError("--json goes with a list, not with --remove")
        _remove(folders, yes)
        return OK
    if yes:
        raise InputError("--yes goes with --remove")

    from dcsim.report.folders import entries, lines

    found = [entry for folder in folders or (Path("runs"),) for entry in entries(folder)]
    if as_json:
        click.echo(json.dumps([_as_mapping(entry) for entry in found], indent=2))
    elif found:
        for line in lines(found):
            click.echo(line)
    else:
        click.echo(f"no runs in {' or '.join(map(str, folders or ('runs',)))}")
    return OK


def _as_mapping(entry: "Entry") -> dict[str, object]:
    return {**entry._asdict(), "when": entry.when.isoformat(timespec="seconds")}


def _remove(folders: tuple[Path, ...], yes: bool) -> None:
    """Remove all of *folders* or, if one cannot be or the answer is no, none."""
    from dcsim.report.folders import check_removable, remove, size_byte
    from dcsim.units import show

    if not folders:
        raise InputError("--remove: name the run folders to remove")
    folders = tuple({folder.resolve(): folder for folder in reversed(folders)}.values())[::-1]
    wrong: list[str] = []
    for folder in folders:
        try:
            check_removable(folder)
        except InputError as error:
            wrong += error.messages
    if wrong:
        raise InputError(*wrong)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("--remove asks before it removes; without a terminal, add --yes")
        size = show(float(sum(map(size_byte, folders))), "byte")
        names = ", ".join(map(str, folders))
        if not click.confirm(f"Remove {names} ({size})?", err=True):
            click.echo("nothing removed", err=True)
            return
    for folder in folders:
        remove(folder)
        click.echo(f"removed {folder}")
