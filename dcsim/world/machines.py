"""GPUs, nodes and racks, with the spread between GPUs drawn per device."""

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from dcsim.catalog import Sheet
from dcsim.draws import normals
from dcsim.scenario import Site as SiteAsked
from dcsim.world.columns import aligned
from dcsim.world.tables import F64, GpuTable, NodeTable, RackTable


class Machines(NamedTuple):
    """What computes at a site."""

    gpu: GpuTable
    node: NodeTable
    rack: RackTable
    hazard_x: dict[str, F64]


class Spread(NamedTuple):
    """Whose draws: the seed, the site, its multiplier of all spreads, the sigma of hazards."""

    seed: int
    site: str
    gpu_x: float
    frailty_sigma: float


def build_machines(
    ask: SiteAsked, sheets: Mapping[str, Sheet], spread: Spread, dtype: DTypeLike
) -> Machines:
    """Return the tables of GPUs, nodes and racks, idle and cold."""
    nodes = ask.nodes.count
    gpus_per_node = int(sheets["node"]["gpus_count"])
    rack_of_node = np.arange(nodes, dtype=np.int32) // ask.racks.nodes_per_rack
    racks = int(rack_of_node[-1]) + 1
    node = NodeTable(
        rack=rack_of_node,
        up=np.ones(nodes, np.bool_),
        busy_frac=np.zeros(nodes),
        clock_frac=aligned(nodes, dtype, 0),
        mean_clock_frac=aligned(nodes, dtype, 1),
        reachable=np.ones(nodes, np.bool_),
        rails_frac=np.ones((nodes, int(sheets["node"]["nics_count"]))),
    )
    row = np.arange(racks)
    rack = RackTable(
        first_node=np.minimum(np.arange(racks + 1) * ask.racks.nodes_per_rack, nodes),
        pdu=(row // ask.power.racks_per_pdu).astype(np.int32),
        unit=(row // ask.cooling.racks_per_unit).astype(np.int32),
        powered=np.ones(racks, np.bool_),
        gpu_w=np.zeros(racks),
        power_w=np.zeros(racks),
        efficiency_frac=np.ones(racks),
        drawn_j=np.zeros(racks),
        step_j=np.zeros(racks),
        gpu_j=np.zeros(racks),
        energy_j=np.zeros(racks),
    )
    hazard_x = _hazards(nodes, gpus_per_node, spread)
    return Machines(
        _gpus(nodes * gpus_per_node, ask, sheets["gpu"], spread, dtype), node, rack, hazard_x
    )


def _gpus(count: int, ask: SiteAsked, sheet: Sheet, spread: Spread, dtype: DTypeLike) -> GpuTable:
    def draw(stream: str, sigma: float) -> F64:
        index = np.arange(count)
        z = normals(spread.seed, f"spread/{stream}", f"{spread.site}/gpu", index)
        return np.exp(sigma * spread.gpu_x * z)

    leak_w = sheet["leak_w"] * draw("leak", sheet["sigma_leak_frac"])
    dynamic_w = sheet["dynamic_w"] * draw("dynamic", sheet["sigma_dynamic_frac"])
    cap_w = ask.power_cap_w if ask.power_cap_w is not None else sheet["tdp_w"]
    accepted_w = _accepted(cap_w - sheet["static_w"] - leak_w, dynamic_w, sheet)
    values: dict[str, Any] = {
        "temp_c": ask.cooling.supply_c + 5.0,
        "plate_c": ask.cooling.supply_c + 3.0,
        "conductance_x": 1.0 / draw("resistance", sheet["sigma_r_frac"]),
        "leak_w": leak_w,
        "dynamic_w": accepted_w,
        "on_frac": 1.0,
        "ceiling_x": 1.0,
        "clock_frac": 1.0,
    }
    columns = {name: aligned(count, dtype, place) for place, name in enumerate(GpuTable._fields)}
    for name, value in values.items():
        columns[name][:] = value
    return GpuTable(**columns)


def _accepted(room_w: F64, dynamic_w: F64, sheet: Sheet) -> F64:
    """Return dynamic powers of GPUs that passed acceptance: none is slower than the sheet allows.

    *room_w* is what the cap leaves for dynamic power. A GPU whose clock at the cap lies further
    below the median counts as replaced by one at the limit.
    """
    slowest = 1.0 - sheet["acceptance_slowdown_frac"]
    room_w = np.maximum(room_w, 1.0)
    ratio = room_w / dynamic_w
    least = np.median(ratio) * slowest ** sheet["clock_exponent_frac"]
    return np.where(ratio < least, room_w / least, dynamic_w)


def _hazards(nodes: int, gpus_per_node: int, spread: Spread) -> dict[str, F64]:
    """Return how much more often than the average each node, its GPUs and its links fail.

    Lognormal with mean 1: a few nodes are lemons, with all that is in them.
    """
    sigma = spread.frailty_sigma
    z = normals(spread.seed, "frailty", f"{spread.site}/node", np.arange(nodes))
    of_node = np.exp(sigma * z - 0.5 * sigma**2)
    of_gpu = np.repeat(of_node, gpus_per_node)
    return {"node": of_node, "gpu": of_gpu, "link": of_gpu}


def node_design_w(ask: SiteAsked, sheets: Mapping[str, Sheet]) -> float:
    """Return the most that a node draws: all GPUs at their cap, host and fans at full load [W]."""
    node, gpu = sheets["node"], sheets["gpu"]
    cap_w = ask.power_cap_w if ask.power_cap_w is not None else gpu["tdp_w"]
    around_w = node["host_busy_w"] + node["nvswitch_w"] + node["fan_nominal_w"]
    inside_w = node["gpus_count"] * cap_w + around_w + node["nics_count"] * node["nic_w"]
    return inside_w / float(min(node.list("psu_efficiency_frac")[2:]))


def groups(count: int, size: int) -> int:
    """Return how many groups of *size* hold *count* things."""
    return ceil(count / size)
