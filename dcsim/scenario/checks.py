"""Parts of a scenario that contradict one another, found without building the world."""

from collections.abc import Iterator
from datetime import timedelta
from math import prod

from dcsim import catalog, units
from dcsim.scenario.fields import nearest
from dcsim.scenario.job import Job
from dcsim.scenario.record import REPORT_S
from dcsim.scenario.schema import END_YEAR, Scenario
from dcsim.scenario.site import Site

Finding = tuple[str, str]
"""Path of what is wrong, and what is allowed."""


def contradictions(scenario: Scenario) -> list[Finding]:
    """All findings, in the order of the file."""
    checks = (_sites, _jobs, _recording, _calendar)
    return [finding for check in checks for finding in check(scenario)]


def _sites(scenario: Scenario) -> Iterator[Finding]:
    for name, site in scenario.sites.items():
        node = catalog.sheet("node", site.nodes.type).text("cooling")
        unit = catalog.sheet("cooling_unit", site.cooling.unit).text("kind")
        if (node == "air") != (unit == "air"):
            yield (
                f"sites.{name}.cooling.unit",
                f"cools by {unit}, but {site.nodes.type} is cooled by {node}",
            )


def _jobs(scenario: Scenario) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, job in enumerate(scenario.jobs):
        path = f"jobs.{index}.train"
        if job.name in seen:
            yield f"{path}.name", f"also the name of jobs.{seen[job.name]}"
        seen.setdefault(job.name, index)
        if job.arrive_s >= scenario.duration_s:
            yield f"{path}.arrive", _before_end(scenario)
        yield from _rhythm(path, job)
        yield from _place(path, job, scenario.sites)


def _before_end(scenario: Scenario) -> str:
    return f"allowed before the end of the simulation, {units.show(scenario.duration_s, 's')}"


def _rhythm(path: str, job: Job) -> Iterator[Finding]:
    evaluation, saved = job.evaluation, job.checkpoint
    if evaluation and evaluation.for_s >= evaluation.every_s:
        yield f"{path}.evaluation.for", "allowed shorter than evaluation.every"
    if saved.every_s and saved.remote_every_s and saved.remote_every_s < saved.every_s:
        yield f"{path}.checkpoint.remote_every", "allowed no shorter than checkpoint.every"


def _place(path: str, job: Job, sites: dict[str, Site]) -> Iterator[Finding]:
    """The job must fit on the site that it names, or else on one of them."""
    if job.site is not None and job.site not in sites:
        hint = nearest(job.site, list(sites))
        yield f"{path}.site", f"no such site, {hint}allowed {', '.join(sites)}"
        return
    candidates = sites if job.site is None else {job.site: sites[job.site]}
    refusals = [_refusal(path, job, name, site) for name, site in candidates.items()]
    if None not in refusals:
        yield next(refusal for refusal in refusals if refusal is not None)


def _refusal(path: str, job: Job, name: str, site: Site) -> Finding | None:
    """Say why *site* cannot hold *job*, if so."""
    per_node = int(catalog.sheet("node", site.nodes.type)["gpus_count"])
    degrees = {name: getattr(job.parallel, name) or 1 for name in ("tp", "pp", "cp", "dp")}
    gpus = prod(degrees.values())
    nodes = -(-gpus // per_node)
    if nodes + job.spares <= site.nodes.count:
        return None
    spares = f"{job.spares:,} spare node" + ("" if job.spares == 1 else "s")
    shown = " x ".join(f"{name} {n}" for name, n in degrees.items() if n > 1 or name != "cp")
    needed = f"{shown} = {gpus:,} GPUs and {spares}"
    return (
        f"{path}.parallel",
        f"{needed} need {nodes + job.spares:,} nodes, {name} has {site.nodes.count:,}",
    )


def _recording(scenario: Scenario) -> Iterator[Finding]:
    for key in ("site_every", "rack_every", "gpu_every"):
        if getattr(scenario.record, f"{key}_s") % REPORT_S:
            yield f"record.{key}", f"allowed multiples of {units.show(REPORT_S, 's')}"


def _calendar(scenario: Scenario) -> Iterator[Finding]:
    end = scenario.start + timedelta(seconds=scenario.duration_s)
    if end.year >= END_YEAR:
        lasts = units.show(scenario.duration_s, "s")
        yield "start", f"it lasts {lasts}: allowed an end before the year {END_YEAR}"
    for index, fault in enumerate(scenario.faults):
        if fault.at_s >= scenario.duration_s:
            yield f"faults.{index}.at", _before_end(scenario)
    for index, work in enumerate(scenario.maintenance):
        if work.for_s >= work.every_s:
            yield f"maintenance.{index}.for", "allowed shorter than maintenance.every"
