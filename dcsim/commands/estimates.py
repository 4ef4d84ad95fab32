"""Commands that answer without simulating: `estimate`, `plan` and `validate`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from dcsim.errors import InputError
from dcsim.workload.options import BY_NAME, OPTIONS, Value, read

_Command = TypeVar("_Command", bound=Callable[..., object])

OK = 0
_MOST_ROWS = 1000


def _asks(*names: str) -> Callable[[_Command], _Command]:
    """Add the options of estimates with these names."""

    def decorate(command: _Command) -> _Command:
        for name in reversed(names):
            option = BY_NAME[name]
            text = option.about
            if option.choices:
                text += f" One of {', '.join(option.choices)}."
            if option.default:
                text += f" Default {option.default}."
            command = click.option(
                option.flag, name, metavar="N" if option.is_count else "TEXT", help=text
            )(command)
        return command

    return decorate


def _values(given: dict[str, str | None]) -> dict[str, Value]:
    """Return what was given; raises InputError for all that is wrong at once."""
    values: dict[str, Value] = {}
    wrong = []
    for name, text in given.items():
        if text is not None:
            try:
                values[name] = read(BY_NAME[name], text)
            except InputError as error:
                wrong.append(f"{BY_NAME[name].flag} {error}")
    if wrong:
        raise InputError(*wrong)
    return values


@click.command()
@_asks(*BY_NAME)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, nothing else.")
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path),
    help="Estimate each row of a CSV, whose columns are named like these options with underscores.",
)
@click.option("--out", type=click.Path(path_type=Path), help="CSV to write; stdout by default.")
@click.option("--keep-going", is_flag=True, help="Leave rows that are wrong empty, with a reason.")
def estimate(
    table: Path | None, out: Path | None, keep_going: bool, as_json: bool, **given: str | None
) -> int:
    """Estimate step time and memory of training, with an interval.

    \b
    Example: dcsim estimate --model llama3-405b --gpus 16384 --tp 8 --pp 16 --vpp 8 --gbs 2048
    Example: dcsim estimate --csv rows.csv --out estimates.csv --keep-going
    """
    if table is not None:
        named = [BY_NAME[name].flag for name, text in given.items() if text is not None]
        if named or as_json:
            raise InputError(f"--csv takes all from its rows, not {', '.join(named) or '--json'}")
        return _estimate_rows(table, out, keep_going)
    if out is not None or keep_going:
        raise InputError("--out and --keep-going go with --csv")
    values = _values(given)

    from dcsim.workload import estimate as workload

    layout, found = workload.estimate(**values)

    from dcsim.report import estimate as report

    if as_json:
        click.echo(json.dumps(report.as_mapping(layout, found), indent=2))
        return OK

    from rich.console import Console

    report.show_estimate(_title(values), layout, found, Console())
    return OK


def _estimate_rows(path: Path, out: Path | None, keep_going: bool) -> int:
    from dcsim.workload import rows as tables

    rows = tables.read_rows(path)
    if free := [name for name in rows.header if name not in BY_NAME]:
        click.echo(f"{path}: passed through, no options: {', '.join(free)}", err=True)
    found = tables.estimated_rows(rows)
    if found.problems and not keep_going:
        raise InputError(*tables.messages(rows, found.problems))
    if out is None:
        tables.print_rows(sys.stdout, rows, found)
    else:
        tables.write_rows(out, rows, found)
        click.echo(f"{len(found.rows):,} of {len(rows.cells):,} rows estimated: {out}")
    return OK


def _title(values: dict[str, Value]) -> str:
    whole = {option.name: values.get(option.name, option.default) for option in OPTIONS}
    model = whole["model"] or f"{whole['layers']} layers of {whole['hidden']}"
    return f"{model} on {int(whole['gpus']):,} {whole['gpu']}, {whole['precision']}"


@click.command()
@_asks(*BY_NAME)
@click.option("--tokens", type=float, help="Tokens to train on, for the days it takes.")
@click.option("--target-days", type=float, help="Days to meet; fewer GPUs are tried too.")
@click.option(
    "--rows",
    "rows_count",
    type=click.IntRange(1, _MOST_ROWS),
    default=12,
    show_default=True,
    help="Layouts to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, nothing else.")
def plan(
    tokens: float | None,
    target_days: float | None,
    rows_count: int,
    as_json: bool,
    **given: str | None,
) -> int:
    """Find the best layouts of a model on so many GPUs.

    Options that are given are not varied.

    \b
    Example: dcsim plan --model llama3-405b --gpus 16384 --gbs 2048 --seq 8192
    Example: dcsim plan --model llama3-70b --gpus 2048 --gbs 1024 --tokens 2e12 --target-days 30
    """
    if given["gbs"] is None:
        raise InputError("--gbs is needed: layouts are compared at one batch")
    if target_days is not None and tokens is None:
        raise InputError("--target-days needs --tokens")
    for flag, number in (("--tokens", tokens), ("--target-days", target_days)):
        if number is not None and not 0 < number < float("inf"):
            raise InputError(f"{flag} {number}: allowed a number above 0")
    values = _values(given)
    values.setdefault("gpus", BY_NAME["gpus"].default)

    from dcsim.workload.plan import ranked

    found = ranked(values, tokens=tokens, target_days=target_days)
    if found is None:
        goal = "" if target_days is None else f" in at most {target_days:g} days"
        raise InputError(f"no layout of {_title(values)} is legal and fits{goal}")

    from dcsim.report import estimate as report

    if as_json:
        click.echo(json.dumps(report.plan_mapping(found, rows_count), indent=2))
        return OK

    from rich.console import Console

    report.show_plan(found, rows_count, Console())
    return OK


@click.command()
@click.option("--rows", "is_long", is_flag=True, help="Print every row, not only the sources.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, nothing else.")
def validate(is_long: bool, as_json: bool) -> int:
    """Hold the step time against published runs.

    Each source is also left out of the fit.

    \b
    Example: dcsim validate --rows
    """
    from dcsim.workload.published import validate as outcomes_of

    outcomes = outcomes_of()

    from dcsim.report import validation

    if as_json:
        click.echo(json.dumps(validation.as_mapping(outcomes), indent=2))
        return OK

    from rich.console import Console

    validation.show(outcomes, Console(), is_long=is_long)
    return OK
