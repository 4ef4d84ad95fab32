"""What exists, in rows: one NamedTuple of arrays a kind of thing.

Each column says its unit, its class and its meaning. *Fixed* columns never change; *state* is
integrated by its model; *mode* is flipped by its model or written by processes through the gate;
*rate* is published by its model and read by the others. `Real` columns have the world's
precision (float32, or float64 in analytic tests), accumulated quantities are always float64.
"""

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.floating[Any]]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]


class Col(NamedTuple):
    """What a column holds: its unit, its class, its meaning."""

    unit: str
    kind: Literal["fixed", "state", "mode", "rate"]
    meaning: str


class GpuTable(NamedTuple):
    """GPUs, in the order of nodes, racks and cooling units; shape (gpus_count,)."""

    temp_c: Annotated[Real, Col("degC", "state", "package")]
    plate_c: Annotated[Real, Col("degC", "state", "cold plate or heat sink")]
    conductance_x: Annotated[Real, Col("1", "fixed", "plate to coolant, against the sheet")]
    leak_w: Annotated[Real, Col("W", "fixed", "leakage at 60 degC")]
    dynamic_w: Annotated[Real, Col("W", "fixed", "dynamic power at the highest clock, load 1")]
    load_frac: Annotated[Real, Col("1", "mode", "activity of the work that it does")]
    on_frac: Annotated[Real, Col("1", "mode", "1 in a node that runs, 0 in one that is off")]
    ceiling_x: Annotated[Real, Col("1", "mode", "dynamic power left by a lowered clock ceiling")]
    clock_frac: Annotated[Real, Col("1", "rate", "clock over the highest clock")]
    power_w: Annotated[Real, Col("W", "rate", "power of the package")]


class NodeTable(NamedTuple):
    """Nodes; shape (nodes_count,)."""

    rack: Annotated[I32, Col("row", "fixed", "the rack that it stands in")]
    up: Annotated[Bool, Col("1", "mode", "runs, as its process says")]
    busy_frac: Annotated[F64, Col("1", "mode", "activity of the host")]
    clock_frac: Annotated[Real, Col("1", "rate", "lowest clock of its GPUs")]
    mean_clock_frac: Annotated[Real, Col("1", "rate", "mean clock of its GPUs")]
    reachable: Annotated[Bool, Col("1", "mode", "no more than one of its rails is dead")]
    rails_frac: Annotated[F64, Col("1", "rate", "bandwidth against the nominal; [node, rail]")]


class RackTable(NamedTuple):
    """Racks; shape (racks_count,)."""

    first_node: Annotated[I64, Col("row", "fixed", "first node; racks_count + 1 entries")]
    pdu: Annotated[I32, Col("row", "fixed", "the PDU that feeds it")]
    unit: Annotated[I32, Col("row", "fixed", "the cooling unit that cools it")]
    powered: Annotated[Bool, Col("1", "mode", "its PDU has power")]
    gpu_w: Annotated[F64, Col("W", "rate", "sum over its GPUs")]
    power_w: Annotated[F64, Col("W", "rate", "drawn from the PDU")]
    efficiency_frac: Annotated[F64, Col("1", "rate", "of its nodes' supplies")]
    drawn_j: Annotated[F64, Col("J", "rate", "energy drawn from the PDU in the last step")]
    step_j: Annotated[F64, Col("J", "rate", "energy into its GPUs in the last step")]
    gpu_j: Annotated[F64, Col("J", "state", "energy into its GPUs")]
    energy_j: Annotated[F64, Col("J", "state", "energy drawn from the PDU")]


class UnitTable(NamedTuple):
    """Cooling units: CDUs, or air handlers where nodes are air-cooled; shape (units_count,)."""

    first_rack: Annotated[I64, Col("row", "fixed", "first rack; units_count + 1 entries")]
    gpu_j_per_k: Annotated[F64, Col("J/K", "fixed", "heat capacity of the GPUs that it cools")]
    capacity_frac: Annotated[F64, Col("1", "mode", "share of the pump or fan capacity left")]
    stopped: Annotated[Bool, Col("1", "mode", "stopped to protect it: no facility water, hot")]
    flow_frac: Annotated[F64, Col("1", "rate", "flow over the rated flow")]
    supply_c: Annotated[F64, Col("degC", "state", "coolant or air to the nodes")]
    supply_k_per_s: Annotated[F64, Col("K/s", "rate", "slope of the supply temperature")]
    part_k_per_s: Annotated[F64, Col("K/s", "rate", "parts of it: loop, slow, fast; (n, 3)")]
    part_per_s: Annotated[F64, Col("1/s", "rate", "rates at which they die away; (n, 3)")]
    lag_s: Annotated[F64, Col("s", "rate", "lag of the heat of its GPUs behind their power")]
    gpu_w: Annotated[F64, Col("W", "rate", "power of the GPUs that it cools")]
    heat_w: Annotated[F64, Col("W", "rate", "heat of the GPUs into the coolant")]
    around_w: Annotated[F64, Col("W", "rate", "power of its racks beside their GPUs")]
    rejected_w: Annotated[F64, Col("W", "rate", "heat into the facility loop")]
    pump_w: Annotated[F64, Col("W", "rate", "electricity of its pumps or fans")]
    step_j: Annotated[F64, Col("J", "rate", "heat from its GPUs in the last step")]
    heat_j: Annotated[F64, Col("J", "state", "heat into the coolant so far")]
    rejected_j: Annotated[F64, Col("J", "state", "heat into the facility loop so far")]


class PlantTable(NamedTuple):
    """Machines of one kind that only have a share that remains: pumps, coolers, chillers."""

    capacity_frac: Annotated[F64, Col("1", "mode", "share of the capacity that remains")]


class LoopTable(NamedTuple):
    """The facility loop of a site; one row."""

    supply_c: Annotated[F64, Col("degC", "state", "water to the cooling units")]
    supply_k_per_s: Annotated[F64, Col("K/s", "rate", "its slope")]
    relax_per_s: Annotated[F64, Col("1/s", "rate", "rate at which that slope dies away")]
    flow_frac: Annotated[F64, Col("1", "rate", "flow over the rated flow")]
    heat_w: Annotated[F64, Col("W", "rate", "heat from the cooling units")]
    other_w: Annotated[F64, Col("W", "rate", "heat beside that: hall air, pumps")]
    dry_w: Annotated[F64, Col("W", "rate", "heat to the dry coolers")]
    chilled_w: Annotated[F64, Col("W", "rate", "heat to the chillers")]
    most_w: Annotated[F64, Col("W", "rate", "heat that both could take")]
    dry_frac: Annotated[F64, Col("1", "rate", "share of dry coolers that work and have power")]
    chiller_frac: Annotated[F64, Col("1", "rate", "share of chillers that work and have power")]
    fan_frac: Annotated[F64, Col("1", "rate", "share of the hall's fans that have power")]
    pump_w: Annotated[F64, Col("W", "rate", "electricity of its pumps")]
    plant_w: Annotated[F64, Col("W", "rate", "electricity of dry coolers, chillers, hall fans")]
    plant_j: Annotated[F64, Col("J", "rate", "in the last step: coolers, chillers, fans; (3,)")]
    heat_j: Annotated[F64, Col("J", "state", "heat from the cooling units so far")]
    rejected_j: Annotated[F64, Col("J", "state", "heat to the outside so far")]
    dry_j: Annotated[F64, Col("J", "state", "what of it the dry coolers took")]


class WeatherTable(NamedTuple):
    """The air outside a site; one row."""

    dry_bulb_c: Annotated[F64, Col("degC", "state", "dry bulb")]
    dry_bulb_k_per_s: Annotated[F64, Col("K/s", "mode", "its slope until the next hour")]
    wet_bulb_c: Annotated[F64, Col("degC", "state", "wet bulb")]
    wet_bulb_k_per_s: Annotated[F64, Col("K/s", "mode", "its slope until the next hour")]


class PduTable(NamedTuple):
    """Power distribution units; shape (pdus_count,)."""

    ups: Annotated[I32, Col("row", "fixed", "the UPS that feeds it")]
    capacity_frac: Annotated[F64, Col("1", "mode", "share of its rating that remains")]
    tripped: Annotated[Bool, Col("1", "mode", "opened by an overload")]
    power_w: Annotated[F64, Col("W", "rate", "drawn from the UPS")]
    loss_w: Annotated[F64, Col("W", "rate", "heat in its transformer")]


class UpsTable(NamedTuple):
    """Uninterruptible supplies with a battery; shape (ups_count,)."""

    feed: Annotated[I32, Col("row", "fixed", "the feed that it hangs on")]
    capacity_frac: Annotated[F64, Col("1", "mode", "share of its rating that remains")]
    tripped: Annotated[Bool, Col("1", "mode", "opened by an overload")]
    on_battery: Annotated[Bool, Col("1", "mode", "its feed is dead and its battery is not")]
    depleted: Annotated[Bool, Col("1", "mode", "its battery is empty")]
    charging: Annotated[Bool, Col("1", "mode", "its battery takes energy from the feed")]
    charge_j: Annotated[F64, Col("J", "state", "energy in the battery")]
    due_ns: Annotated[I64, Col("ns", "mode", "when the battery will be empty, or full")]
    output_w: Annotated[F64, Col("W", "rate", "power to its PDUs and pumps")]
    loss_w: Annotated[F64, Col("W", "rate", "loss inside")]
    battery_w: Annotated[F64, Col("W", "rate", "drawn from the battery; charging is negative")]
    input_w: Annotated[F64, Col("W", "rate", "drawn from the feed")]


class FeedTable(NamedTuple):
    """Utility feeds of a site; shape (feeds_count,)."""

    capacity_frac: Annotated[F64, Col("1", "mode", "share of its rating that remains")]
    tripped: Annotated[Bool, Col("1", "mode", "opened by an overload")]
    power_w: Annotated[F64, Col("W", "rate", "drawn from the utility")]
    loss_w: Annotated[F64, Col("W", "rate", "loss in its transformers")]


class MeterTable(NamedTuple):
    """Energy accounts of a site, each an integral of its own; one row, or one for each part."""

    site_j: Annotated[F64, Col("J", "state", "from the utility")]
    it_j: Annotated[F64, Col("J", "state", "into the racks")]
    cooling_j: Annotated[F64, Col("J", "state", "into pumps, fans and chillers")]
    loss_j: Annotated[F64, Col("J", "state", "lost in PDUs, UPSs and transformers")]
    battery_j: Annotated[F64, Col("J", "state", "out of the batteries; charging is negative")]
    it_part_j: Annotated[F64, Col("J", "state", "GPUs, what is around them, supplies; (3,)")]
    cooling_part_j: Annotated[F64, Col("J", "state", "units, pumps, coolers, chillers, fans; (5,)")]
    loss_part_j: Annotated[F64, Col("J", "state", "PDUs, UPSs, transformers of feeds; (3,)")]
    loss_part_w: Annotated[F64, Col("W", "rate", "PDUs, UPSs, transformers of feeds; (3,)")]
    it_w: Annotated[F64, Col("W", "rate", "into the racks")]
    cooling_w: Annotated[F64, Col("W", "rate", "into pumps, fans and chillers")]
    loss_w: Annotated[F64, Col("W", "rate", "lost in PDUs, UPSs and transformers")]
    site_w: Annotated[F64, Col("W", "rate", "from the utility")]


class NetTable(NamedTuple):
    """Shares of capacity in the fabric; leaves, spines and access links have rows of their own."""

    link_frac: Annotated[F64, Col("1", "mode", "cable between a GPU's NIC and its leaf")]
    leaf_frac: Annotated[F64, Col("1", "mode", "leaf switch")]
    spine_frac: Annotated[F64, Col("1", "mode", "spine switch")]
    version: Annotated[I64, Col("1", "mode", "counts changes; one entry")]


class JobTable(NamedTuple):
    """Jobs of a site as physics sees them; shape (jobs_count,), or (jobs_count, parts)."""

    running: Annotated[Bool, Col("1", "mode", "makes steps, as its process says")]
    stall_s: Annotated[F64, Col("s", "mode", "stall for checkpoints in each step")]
    step_s: Annotated[F64, Col("s", "rate", "wall time of one step, stall included")]
    step_per_s: Annotated[F64, Col("1/s", "rate", "steps a second; 0 when it does not run")]
    part_frac: Annotated[F64, Col("1", "rate", "shares of a step, by part")]
    steps_count: Annotated[F64, Col("1", "state", "steps made so far, lost ones too")]
    spent_s: Annotated[F64, Col("s", "state", "wall time by part")]


def columns_of(table: NamedTuple, *kinds: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of *table* whose class is one of *kinds*, by column name."""
    found: dict[str, NDArray[Any]] = {}
    for name, hint in type(table).__annotations__.items():
        if hint.__metadata__[0].kind in kinds:
            found[name] = getattr(table, name)
    return found
