"""What `dcsim check` says of a scenario without simulating it."""

from dcsim.inputs.epw import read_epw
from dcsim.processes.dimensions import check_size, trace_byte
from dcsim.processes.plan import plan_jobs
from dcsim.scenario import Scenario
from dcsim.units import show
from dcsim.world import Site, build, name_of
from dcsim.world.dependency import dependency_graph, takes_down


def findings(scenario: Scenario) -> list[str]:
    """Return what the scenario comes to, a line each.

    Raises ScenarioError or InputError with all that is wrong, as a run would.
    """
    world = build(scenario)
    world.check()
    plans = plan_jobs(scenario, world)
    check_size(scenario, world)
    lines = []
    for site in world.sites.values():
        if site.ask.weather.epw is not None:
            read_epw(site.ask.weather.epw)
        counts = ", ".join(f"{count:,} {kind}" for kind, count in site.counts.items())
        lines.append(f"{site.name}: {counts}")
        lines.append(f"{site.name}: nodes that hang on one {_reach(site)}")
    for of_job in plans:
        plan = next(iter(of_job.values()))
        step = show(plan.step_ns * 1e-9, "s")
        layout = plan.layout
        lines.append(
            f"{plan.name}: {layout.gpus_count:,} GPUs, tp {layout.tp} x pp {layout.pp} x "
            f"dp {layout.dp}, at least {step} a step, on {', '.join(of_job)}"
        )
    lines.append(f"OK, the trace may take {show(trace_byte(scenario, world), 'byte')}")
    return lines


def _reach(site: Site) -> str:
    """Return how many nodes depend on the first of each kind of thing that several share."""
    graph = dependency_graph(site)
    counts = []
    for kind in ("feed", "ups", "pdu", site.unit_kind, "leaf"):
        below = takes_down(graph, name_of(site, kind, 0))
        nodes = sum(name.startswith(f"{site.name}/node/") for name in below)
        counts.append(f"{kind} {nodes}")
    return ", ".join(counts)
