"""Commands that explain: `check`, `catalog`, `schema` and `help`."""

import json
from pathlib import Path

import click

from dcsim.commands.asking import asks_for_scenario
from dcsim.errors import OK, UNMET, InputError


@click.command()
@asks_for_scenario
@click.option("--strict", is_flag=True, help="Exit with 1 if there are warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, nothing else.")
def check(
    file: Path, overrides: tuple[str, ...], seed: int | None, strict: bool, as_json: bool
) -> int:
    """Look for what will hurt in a scenario, without simulating.

    Builds the world of the scenario in FILE and audits it: a line for each finding.

    \b
    Example: dcsim check scenarios/h100-200k.yaml --set sites.dallas.nodes.count=20000
    """
    from dcsim.scenario import load

    scenario = load(file, overrides, seed)

    from dcsim.audit import WARNING, audit

    found = audit(scenario)

    from dcsim.report import audit as report

    if as_json:
        _print_json(report.as_values(found))
    else:
        from rich.console import Console

        report.show_audit(found, Console())
    warned = any(finding.severity == WARNING for finding in found.findings)
    return UNMET if strict and warned else OK


@click.command("catalog")
@click.argument("kind", required=False)
@click.argument("name", required=False)
@click.option(
    "--used",
    "scenario",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="List what this scenario uses.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON in SI, nothing else.")
def browse(kind: str | None, name: str | None, scenario: Path | None, as_json: bool) -> int:
    """Show data sheets: kinds, names, or numbers with their sources.

    \b
    Example: dcsim catalog gpu h100-sxm
    Example: dcsim catalog --used scenarios/first.yaml
    """
    if scenario is not None:
        if kind is not None:
            raise InputError(f"--used lists all that a scenario uses, not {kind}")
        _show_used(scenario, as_json)
        return OK

    from dcsim.report import catalog as report

    if as_json:
        _print_json(report.values_of(kind, name))
        return OK

    from rich.console import Console

    report.show_catalog(kind, name, Console())
    return OK


def _show_used(file: Path, as_json: bool) -> None:
    from dcsim.scenario import load

    scenario = load(file)

    from dcsim.report import catalog as report

    sheets = report.sheets_used(scenario)
    if as_json:
        _print_json([report.as_values(sheet) for sheet in sheets])
        return

    from rich.console import Console

    report.show_used(sheets, Console())


@click.command()
def schema() -> int:
    """Print the JSON Schema of scenario files, for editors.

    \b
    Example: dcsim schema > dcsim.schema.json
    """
    from dcsim.scenario import Scenario

    _print_json(Scenario.json_schema())
    return OK


@click.command("help")
@click.argument("topic", nargs=-1)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print it, or all, as Markdown.")
@click.pass_context
def explain(context: click.Context, topic: tuple[str, ...], as_markdown: bool) -> int:
    """Explain a key, a metric, a table or a command; list the topics.

    \b
    Example: dcsim help scenario.cooling
    Example: dcsim help metric pue
    Example: dcsim help trace site
    """
    group = context.find_root().command
    if isinstance(group, click.Group) and len(topic) == 1 and topic[0] in group.commands:
        inner = group.commands[topic[0]]
        with click.Context(inner, info_name=topic[0], parent=context.find_root()) as of_command:
            click.echo(inner.get_help(of_command))
        return OK

    from dcsim.report import reference

    chosen = [reference.page(topic)] if topic else [reference.contents_page()]

    from dcsim.report import help as report

    if as_markdown:
        chosen = chosen if topic else list(reference.pages())
        click.echo("\n".join(map(report.markdown, chosen)), nl=False)
        return OK

    from rich.console import Console

    for page in chosen:
        report.show_page(page, Console())
    return OK


def _print_json(values: object) -> None:
    click.echo(json.dumps(values, indent=2))
