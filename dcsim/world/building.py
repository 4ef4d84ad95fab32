"""The world from a scenario: every site with its tables, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from dcsim import catalog
from dcsim.catalog import Sheet
from dcsim.errors import ScenarioError
from dcsim.scenario import Levels, Scenario
from dcsim.scenario import Site as SiteAsked
from dcsim.scenario.network import Network
from dcsim.world import check as checks
from dcsim.world.cooling import build_cooling, cooling_problems, wiring_of
from dcsim.world.machines import Spread, build_machines, groups, node_design_w
from dcsim.world.names import matches
from dcsim.world.network import RailClos, build_clos
from dcsim.world.power import build_power, power_problems
from dcsim.world.site import Site
from dcsim.world.tables import JobTable, NetTable, columns_of

JOB_PARTS_COUNT = 9
TYPICAL = Levels()
COOLING_X = 1.25
"""What cooling and conversion may add to the load of racks when feeds are sized: a judgement."""


@dataclass(frozen=True)
class World:
    """All sites of a scenario."""

    scenario: Scenario
    sites: dict[str, Site]

    def check(self) -> None:
        """State every invariant of every site; raises InvariantError at the first that fails."""
        for site in self.sites.values():
            checks.check_site(site)


def build(scenario: Scenario, dtype: DTypeLike = np.float32) -> World:
    """Return the world of *scenario*; raises ScenarioError with all that does not fit.

    A site is designed by the typical numbers of its sheets and then built of them at their levels:
    a node that draws more than was thought stands in the plant that was thought enough for it.
    *dtype* is the precision of per-GPU states.
    """
    frailty = 0.0
    if scenario.failures is not None:
        frailty = catalog.failure_preset(scenario.failures.preset).frailty_sigma
    sites: dict[str, Site] = {}
    problems: list[str] = []
    for index, (name, ask) in enumerate(scenario.sites.items()):
        typical = sheets_of(ask)
        found = site_problems(scenario, name, ask, typical)
        problems += found
        if not found:
            spread = Spread(scenario.seed, name, ask.gpu_spread, frailty)
            design = _design(ask, typical)
            sheets = sheets_of(ask, scenario.levels)
            sites[name] = _site(index, ask, sheets, design, spread, len(scenario.jobs), dtype)
    problems += _selector_problems(scenario, sites) if len(sites) == len(scenario.sites) else []
    if problems:
        raise ScenarioError(*problems)
    return World(scenario, sites)


def sheets_of(ask: SiteAsked, levels: Levels = TYPICAL) -> dict[str, Sheet]:
    """Return the data sheets that a site is built of, by kind, each at its level."""
    node = catalog.sheet("node", ask.nodes.type)
    sheets = {
        "node": node,
        "gpu": catalog.sheet("gpu", node.text("gpu")),
        "cooling_unit": catalog.sheet("cooling_unit", ask.cooling.unit),
        "dry_cooler": catalog.sheet("dry_cooler", ask.cooling.dry_cooler),
        "chiller": catalog.sheet("chiller", ask.cooling.chiller),
        "pdu": catalog.sheet("pdu", ask.power.pdu),
        "ups": catalog.sheet("ups", ask.power.ups),
        "feed": catalog.sheet("feed", ask.power.feed),
        "switch": catalog.sheet("switch", ask.network.switch),
    }
    return {kind: sheet.at(levels.of(kind)) for kind, sheet in sheets.items()}


def site_problems(
    scenario: Scenario, name: str, ask: SiteAsked, sheets: Mapping[str, Sheet]
) -> list[str]:
    """Return what of a site does not fit together, located."""
    low_w, high_w = sheets["gpu"]["cap_min_w"], sheets["gpu"]["cap_max_w"]
    if ask.power_cap_w is not None and not low_w <= ask.power_cap_w <= high_w:
        allowed = f"allowed {low_w:g} W..{high_w:g} W, what its GPU can be set to"
        return [scenario.problem(f"sites.{name}.power_cap", allowed)]
    rack_w = ask.racks.nodes_per_rack * node_design_w(ask, sheets)
    unit_w = _unit_heat_w(ask, sheets)
    racks = groups(ask.nodes.count, ask.racks.nodes_per_rack)
    located = [
        *(("power", *p) for p in power_problems(ask, sheets, rack_w, racks * rack_w * COOLING_X)),
        *(("cooling", *p) for p in cooling_problems(ask, sheets, unit_w)),
    ]
    try:
        clos_of(ask.nodes.count, ask.network, sheets["node"], sheets["switch"])
    except ValueError as error:
        located.append(("network", "switch", str(error)))
    return [scenario.problem(f"sites.{name}.{part}.{key}", reason) for part, key, reason in located]


class _Design(NamedTuple):
    """What a site's plant is made for."""

    heat_w: float  # of all nodes
    unit_w: float  # of the racks of one cooling unit


def _design(ask: SiteAsked, sheets: Mapping[str, Sheet]) -> _Design:
    heat_w = ask.nodes.count * node_design_w(ask, sheets)
    return _Design(heat_w, ask.cooling.racks_per_unit * _unit_heat_w(ask, sheets))


def _unit_heat_w(ask: SiteAsked, sheets: Mapping[str, Sheet]) -> float:
    """Return the most that a rack gives to its cooling unit [W]: all of it to air, GPUs to
    liquid."""
    if sheets["node"].text("cooling") == "air":
        return ask.racks.nodes_per_rack * node_design_w(ask, sheets)
    cap_w = ask.power_cap_w if ask.power_cap_w is not None else sheets["gpu"]["tdp_w"]
    return ask.racks.nodes_per_rack * sheets["node"]["gpus_count"] * cap_w


def clos_of(nodes_count: int, network: Network, node: Sheet, switch: Sheet) -> RailClos:
    """Return the fabric between *nodes_count* nodes; raises ValueError where none is possible."""
    ports_per = max(1.0, switch["port_byte_per_s"] / network.link_byte_per_s)
    radix = int(switch["radix_count"] * ports_per)
    return build_clos(nodes_count, int(node["nics_count"]), radix, network.oversubscription)


def _site(
    index: int,
    ask: SiteAsked,
    sheets: dict[str, Sheet],
    design: _Design,
    spread: Spread,
    jobs: int,
    dtype: DTypeLike,
) -> Site:
    machines = build_machines(ask, sheets, spread, dtype)
    power = build_power(ask, sheets, len(machines.rack.pdu))
    cooling = build_cooling(ask, sheets, machines.rack, *design)
    clos = clos_of(ask.nodes.count, ask.network, sheets["node"], sheets["switch"])
    return Site(
        name=spread.site,
        index=index,
        ask=ask,
        sheets=sheets,
        clos=clos,
        net=_net(clos),
        job=_jobs(jobs),
        gpus_per_node=int(sheets["node"]["gpus_count"]),
        wiring=wiring_of(ask, cooling.unit, power.ups),
        **machines._asdict(),
        **power._asdict(),
        **cooling._asdict(),
    )


def _net(clos: RailClos) -> NetTable:
    return NetTable(
        link_frac=np.ones(clos.leaf_of_nic.size),
        leaf_frac=np.ones(clos.leaves_count),
        spine_frac=np.ones(clos.spines_count),
        version=np.zeros(1, np.int64),
    )


def _jobs(jobs: int) -> JobTable:
    return JobTable(
        running=np.zeros(jobs, np.bool_),
        stall_s=np.zeros(jobs),
        step_s=np.zeros(jobs),
        step_per_s=np.zeros(jobs),
        part_frac=np.zeros((jobs, JOB_PARTS_COUNT)),
        steps_count=np.zeros(jobs),
        spent_s=np.zeros((jobs, JOB_PARTS_COUNT)),
    )


def _selector_problems(scenario: Scenario, sites: Mapping[str, Site]) -> list[str]:
    """Return the faults and maintenance that match nothing, located."""
    asked: list[tuple[str, str | None]] = [
        *((f"faults.{i}.hit", fault.hit) for i, fault in enumerate(scenario.faults)),
        *((f"maintenance.{i}.hit", work.hit) for i, work in enumerate(scenario.maintenance)),
    ]
    problems = []
    for path, selector in asked:
        try:
            found = matches(selector, sites) if selector else []
        except ValueError as error:
            problems.append(scenario.problem(path, str(error)))
            continue
        if path.startswith("maintenance") and any(match.kind != "node" for match in found):
            problems.append(scenario.problem(path, "allowed nodes only"))
    return problems


def state_columns(site: Site) -> dict[str, Any]:
    """Return every column that a run changes, as `site/table.column`, for a digest."""
    return {
        f"{site.name}/{table}.{name}": column
        for table, rows in site.tables().items()
        for name, column in columns_of(rows, "state", "mode", "rate").items()
    }
