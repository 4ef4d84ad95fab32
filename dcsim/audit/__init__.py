"""What can be said of a scenario before it is simulated: `audit(load(path))`.

Each module checks one thing; the plant's own models, brought to rest on the design day, give the
numbers of heat, power and steps.
"""

from typing import NamedTuple

from dcsim.audit import effort, heat, jobs, outages, power, repairs
from dcsim.audit.finding import NOTE, OK, SEVERITIES, WARNING, Finding, Subject, as_mapping, seated
from dcsim.audit.rest import Rest, design_day
from dcsim.processes.dimensions import check_size
from dcsim.processes.plan import plan_jobs
from dcsim.scenario import Scenario
from dcsim.world import build

__all__ = ["NOTE", "OK", "SEVERITIES", "WARNING", "Audit", "Finding", "as_mapping", "audit"]


class Audit(NamedTuple):
    """What a scenario comes to, and what there is to say about it, the worst first.

    *step_s* is the wall time of a step of each job on the design day.
    """

    subject: Subject
    step_s: dict[str, float]
    findings: tuple[Finding, ...]


def audit(scenario: Scenario) -> Audit:
    """Build the world of *scenario*, bring it to rest and look at it; nothing is written.

    Raises ScenarioError or InputError with all that is wrong, as a run would.
    """
    world = build(scenario)
    world.check()
    plans = plan_jobs(scenario, world)
    check_size(scenario, world)
    subject = Subject(scenario, world, seated(plans, world))
    at_rest = [
        Rest(site, subject.seats_at(site), design_day(site.ask.weather))
        for site in world.sites.values()
    ]
    found = [
        *outages.findings(subject),
        *repairs.findings(subject),
        *jobs.findings(subject),
    ]
    step_s = {seat.plan.name: float(seat.site.job.step_s[seat.plan.job]) for seat in subject.seats}
    for rest in at_rest:
        found += [*heat.findings(rest), *power.findings(rest), *heat.one_machine_less(rest)]
    found += effort.findings(subject)
    found.sort(key=lambda one: SEVERITIES.index(one.severity))
    return Audit(subject, step_s, tuple(found))
