"""Around the GPUs of a node: host, NVSwitch, NICs, fans, and the loss of the supplies.

    P_rack = (sum P_gpu + sum over nodes that run of [host + switch + NICs + fans]) / efficiency
    host = idle + (busy - idle) busy_frac,  fans = idle + (nominal - idle) busy_frac

The efficiency of the supplies is read off their load curve at the mean load of the rack's nodes.

Valid: nodes with eight GPUs between idle and their nameplate. Fans follow the work and not the
inlet temperature, which is a simplification.
Accuracy: within 3% of the mean power of the measured nodes: H100 in immersion (GPT-3, LoRA, idle)
and in air (LoRA). The split between parts is an assumption.
Source: fit to MLPerf Training v4.0 and v4.1 power logs, see the sheet of the node in the catalogue.
"""

from typing import Any, NamedTuple

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.kernel import kernel
from dcsim.world.site import Site
from dcsim.world.tables import F64, NodeTable, RackTable, UnitTable


class NodeLaw(NamedTuple):
    """Constants of one kind of node; *load_frac* and *efficiency_frac* are a curve."""

    idle_w: float
    busy_more_w: float
    psu_rated_w: float
    load_frac: F64
    efficiency_frac: F64


@kernel
def rack_power(racks: RackTable, nodes: NodeTable, units: UnitTable, law: NodeLaw) -> None:
    """Write the power of each rack, and by cooling unit what does not come from GPUs."""
    units.around_w[:] = 0.0
    for rack in range(racks.gpu_w.shape[0]):
        first, last = racks.first_node[rack], racks.first_node[rack + 1]
        around = 0.0
        for node in range(first, last):
            if nodes.up[node]:
                around += law.idle_w + law.busy_more_w * nodes.busy_frac[node]
        out = racks.gpu_w[rack] + around
        load = out / ((last - first) * law.psu_rated_w)
        k = 1
        while k < law.load_frac.shape[0] - 1 and load > law.load_frac[k]:
            k += 1
        share = (load - law.load_frac[k - 1]) / (law.load_frac[k] - law.load_frac[k - 1])
        better = law.efficiency_frac[k] - law.efficiency_frac[k - 1]
        racks.efficiency_frac[rack] = law.efficiency_frac[k - 1] + min(share, 1.0) * better
        racks.power_w[rack] = out / racks.efficiency_frac[rack]
        units.around_w[racks.unit[rack]] += racks.power_w[rack] - racks.gpu_w[rack]


@kernel
def advance_racks(racks: RackTable, part_j: F64, dt_s: float) -> None:
    """Add the step to the accounts of the racks, and to those of GPUs, what is around, supplies."""
    for rack in range(racks.gpu_w.shape[0]):
        efficiency = racks.efficiency_frac[rack]
        gpu_j = racks.step_j[rack]
        around_j = (racks.power_w[rack] * efficiency - racks.gpu_w[rack]) * dt_s
        drawn_j = (gpu_j + around_j) / efficiency
        racks.drawn_j[rack] = drawn_j
        racks.gpu_j[rack] += gpu_j
        racks.energy_j[rack] += drawn_j
        if racks.powered[rack]:
            part_j[0] += gpu_j
            part_j[1] += around_j
            part_j[2] += drawn_j * (1.0 - efficiency)


class NodeModel:
    """Power of nodes, summed by rack. Own columns: `rack.power_w`, `rack.energy_j`."""

    reads = ("rack.gpu_w",)
    writes = ("rack.power_w", "unit.around_w")

    def __init__(self, site: Site) -> None:
        sheet = site.sheets["node"]
        fans_w = sheet["fan_idle_w"]
        nics_w = sheet["nics_count"] * sheet["nic_w"]
        self.law = NodeLaw(
            idle_w=sheet["host_idle_w"] + sheet["nvswitch_w"] + nics_w + fans_w,
            busy_more_w=sheet["host_busy_w"]
            - sheet["host_idle_w"]
            + sheet["fan_nominal_w"]
            - fans_w,
            psu_rated_w=sheet["psu_rated_w"],
            load_frac=np.array(sheet.list("psu_load_frac")),
            efficiency_frac=np.array(sheet.list("psu_efficiency_frac")),
        )
        self._site = site

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        """Write the power of every rack."""
        rack_power(self._site.rack, self._site.node, self._site.unit, self.law)
        return Holds(NEVER_NS, np.inf)

    def switch(self, _world: Any, _now_ns: int) -> list[Fact]:
        """Nothing flips here."""
        return []

    def advance(self, _world: Any, dt_s: float) -> None:
        """Add the energy of the step to the accounts of the racks; the supplies lose as before."""
        advance_racks(self._site.rack, self._site.meter.it_part_j, dt_s)

    def modes(self, _world: Any) -> dict[str, Any]:
        """No modes."""
        return {}
