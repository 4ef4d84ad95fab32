"""What is planned: jobs that are handed in, and maintenance that comes round."""

from collections.abc import Iterator

from dcsim.inputs.records import Job, Maintenance, Record, ns
from dcsim.scenario import Scenario


def job_arrivals(scenario: Scenario) -> list[Record]:
    """Return one record for each job, at its arrival."""
    return [Job().at(ns(job.arrive_s), job.name) for job in scenario.jobs]


def planned_maintenance(scenario: Scenario) -> Iterator[Record]:
    """Yield each turn of planned work that begins within the run, the first after one period.

    Rolling work has a record for the nodes of each site.
    """
    duration_ns = ns(scenario.duration_s)
    for i, asked in enumerate(scenario.maintenance):
        targets = [f"{site}/node/*" for site in scenario.sites] if not asked.hit else [asked.hit]
        every_ns = ns(asked.every_s)
        for turn, t_ns in enumerate(range(every_ns, duration_ns, every_ns)):
            work = Maintenance(
                for_s=asked.for_s, frac=asked.rolling_frac, turn=turn, origin=f"maintenance.{i}"
            )
            for target in targets:
                yield work.at(t_ns, target)
