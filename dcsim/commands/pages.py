"""The command that accounts for a run again and writes its page: `report`."""

import json
from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, nothing else.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
def report(folder: Path, as_json: bool, quiet: bool) -> int:
    """Account for RUN again, from its trace alone.

    Writes its summary.json and report.html.

    \b
    Example: dcsim report runs/mine
    """
    from dcsim.accounting import write_summary
    from dcsim.report.page import write_page
    from dcsim.trace import Run

    run = Run(folder)
    summary = write_summary(run)
    write_page(run, summary)
    if as_json:
        click.echo(json.dumps(summary.as_dict(), indent=2))
    elif not quiet:
        from dcsim.report import terminal

        terminal.show(run)
    return 0
