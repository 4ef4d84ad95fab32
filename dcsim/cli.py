"""Commands and exit codes; what they do lies elsewhere and is imported when it is needed.

Exit codes are those of `dcsim.errors.EXITS`. Errors go to stderr, one line each. Who reads stdout
may close it: then dcsim ends by SIGPIPE (141 in a shell), as other programs do, with the run folder
whole.
"""

import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

import dcsim
from dcsim.commands import COMMANDS
from dcsim.commands.asking import asks_for_scenario
from dcsim.errors import (
    INPUT,
    INTERRUPTED,
    OK,
    OURS,
    UNMET,
    InputError,
    InvariantError,
    ScenarioError,
)

_MARK = "\N{REPLACEMENT CHARACTER}"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (that of the process when *arguments* is None) and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal need not know every letter
    if os.environ.get("COLUMNS") == "0":
        del os.environ["COLUMNS"]  # not known, but Rich would print nothing
    try:
        with _broken_pipe(signal.SIG_DFL):
            status = commands.main(given or ["--help"], "dcsim", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        status = _complain(INTERRUPTED, "interrupted")
    except click.ClickException as error:
        status = _complain(INPUT, " ".join(error.format_message().split()))
    except (ScenarioError, InputError) as error:
        status = _complain(INPUT, *error.messages)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        status = _complain(INPUT, f"{place}{error.strerror or error}")
    except InvariantError as error:
        status = _complain(OURS, str(error))
    except Exception as error:
        place = _place(error)
        what = f"{type(error).__name__}: {error}".partition("\n")[0]
        status = _complain(OURS, f"a fault of dcsim at {place}: {what}")
    raise SystemExit(status)


@contextmanager
def _broken_pipe(action: signal.Handlers) -> Iterator[None]:
    """Let a write to a pipe that nobody reads do *action*: end the process, or fail."""
    before = signal.signal(signal.SIGPIPE, action)
    try:
        yield
    finally:
        signal.signal(signal.SIGPIPE, before)


def _place(error: Exception) -> str:
    """Name the last line of dcsim itself on the way to *error*."""
    home = Path(dcsim.__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(home)]
    return f"{Path(ours[-1].filename).relative_to(home)}:{ours[-1].lineno}"


def _run_folder(text: str) -> Path:
    if not text:
        raise click.BadParameter("allowed the path of a folder that does not exist yet")
    return Path(text)


def _complain(status: int, *messages: str) -> int:
    for message in messages:
        line = "".join(c if c.isprintable() else _MARK for c in message)
        click.echo(f"error: {line}", err=True)
    return status


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(dcsim.__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """Simulate AI datacenters, down to the temperature of every GPU.

    \b
    Example: dcsim run scenarios/first.yaml
    """


@commands.command()
@asks_for_scenario
@click.option("--out", type=_run_folder, metavar="PATH", help="Run folder; must not exist yet.")
@click.option(
    "--inputs",
    type=click.Path(path_type=Path),
    help="Replay the recorded inputs.arrow of a run instead of drawing inputs.",
)
@click.option(
    "--range",
    "ranges",
    is_flag=True,
    help="Simulate again at the low and high of what is known, for low and high of each number.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads; all cores by default.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, nothing else.")
@click.option("--quiet", is_flag=True, help="Print neither progress nor summary.")
@click.option("--no-report", is_flag=True, help="Write no report.html.")
def run(
    file: Path,
    overrides: tuple[str, ...],
    seed: int | None,
    out: Path | None,
    inputs: Path | None,
    ranges: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    no_report: bool,
) -> int:
    """Simulate the scenario in FILE and write a run folder.

    \b
    Example: dcsim run scenarios/first.yaml --set duration=2h --seed 1 --out runs/mine
    """
    from dcsim.scenario import load

    scenario = load(file, overrides, seed)

    from dcsim.api import simulate

    with _broken_pipe(signal.SIG_IGN):  # a run is finished whoever looks on
        result = simulate(
            scenario,
            out=out,
            inputs=inputs,
            threads=threads,
            progress=not quiet,
            report=not no_report,
            ranges=ranges,
        )
    if as_json:
        import json

        click.echo(json.dumps(result.summary, indent=2))
    elif not quiet:
        from dcsim.report import terminal

        terminal.show(result)
    if result.status == "interrupted":
        return _complain(INTERRUPTED, f"interrupted, what was simulated lies in {result.folder}")
    if ranges and not all(variation["values"] for variation in result.summary["range"]):
        return _complain(INTERRUPTED, f"interrupted, {result.folder} is whole but its range is not")
    unmet = scenario.unmet(result.summary)
    return _complain(UNMET, *unmet) if unmet else OK


for _command in COMMANDS:
    commands.add_command(_command)
