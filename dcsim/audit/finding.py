"""One thing that an audit has to say, how bad it is, and which key of the scenario it is about."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dcsim.processes.plan import JobPlan
from dcsim.scenario import Scenario
from dcsim.world import Site, World
from dcsim.world.tables import I32

WARNING, NOTE, OK = "warning", "note", "ok"
SEVERITIES = (WARNING, NOTE, OK)
"""From what one would change before a run to what was looked at and holds."""


class Finding(NamedTuple):
    """*topic* names the check, *path* the key of the scenario that decides it.

    *numbers* are what the text is made of, in SI by names with their units.
    """

    severity: str
    topic: str
    path: str
    text: str
    numbers: Mapping[str, float]


class Seat(NamedTuple):
    """A job at the site where it would run first, and the nodes that it would get there."""

    plan: JobPlan
    site: Site
    nodes: I32

    @property
    def path(self) -> str:
        """Its key in the scenario."""
        return f"jobs.{self.plan.job}.train"


class Subject(NamedTuple):
    """What is audited: a scenario whose world is built, and whose jobs have their seats."""

    scenario: Scenario
    world: World
    seats: tuple[Seat, ...]

    def seats_at(self, site: Site) -> list[Seat]:
        """Return the jobs of one site."""
        return [seat for seat in self.seats if seat.site is site]

    def left_over_count(self, site: Site) -> int:
        """Return how many nodes of *site* no job needs while all run that fit in together."""
        return site.counts["node"] - sum(len(seat.nodes) for seat in self.seats_at(site))


def seated(plans: list[dict[str, JobPlan]], world: World) -> tuple[Seat, ...]:
    """Return the jobs that find room, each at its first site, on nodes in their order.

    One that finds its site taken would wait for another to end, and is left out.
    """
    taken = dict.fromkeys(world.sites, 0)
    seats = []
    for of_job in plans:
        for name, plan in of_job.items():
            first, site = taken[name], world.sites[name]
            if first + plan.nodes_count + plan.spares_count <= site.counts["node"]:
                nodes = np.arange(first, first + plan.nodes_count, dtype=np.int32)
                seats.append(Seat(plan, site, nodes))
                taken[name] += plan.nodes_count
                break
    return tuple(seats)


def severity_of(value: float, noted: float, warned: float) -> str:
    """Return how bad a value is that should stay below both."""
    return WARNING if value > warned else NOTE if value > noted else OK


def as_mapping(finding: Finding, scenario: Scenario) -> dict[str, Any]:
    """Return a finding as plain values, with the line of the scenario."""
    return {
        "severity": finding.severity,
        "topic": finding.topic,
        "where": scenario.where(finding.path),
        "path": finding.path,
        "text": finding.text,
        "numbers": dict(finding.numbers),
    }
