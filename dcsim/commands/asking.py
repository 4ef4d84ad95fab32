"""What all commands on one scenario ask for: the file, `--set` and `--seed`."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., object])


def asks_for_scenario(command: _Command) -> _Command:
    """Add the file of a scenario and what is laid over it."""
    for decorate in (
        click.option("--seed", type=int, help="Seed of all draws instead of the scenario's."),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="PATH=VALUE",
            help="Lay a value over the file's: sites.dallas.nodes.count=64; may be repeated.",
        ),
        click.argument("file", type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command
