"""One site: its tables, its data sheets, and what hangs on what."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcsim.catalog import Sheet
from dcsim.scenario import Site as SiteAsked
from dcsim.world.network import RailClos
from dcsim.world.tables import (
    F64,
    I32,
    FeedTable,
    GpuTable,
    JobTable,
    LoopTable,
    MeterTable,
    NetTable,
    NodeTable,
    PduTable,
    PlantTable,
    RackTable,
    UnitTable,
    UpsTable,
    WeatherTable,
    columns_of,
)


class Wiring(NamedTuple):
    """What feeds the cooling: rows of UPS and feed, and how a site's loads divide over them."""

    unit_ups: I32  # [units]
    pump_feed: I32  # [facility pumps]
    units_protected: bool
    pumps_protected: bool
    plant_frac: F64  # [feeds], of dry coolers and chillers; a rate
    pump_frac: F64  # [ups], of the facility pumps; a rate


class Placement(NamedTuple):
    """Where a job sits, and what its steps take there.

    *step* is a `workload.step.StepTime`, *seat_node* the node of each stage, of each group of ranks
    that are in step, and of each rank in it.
    """

    step: Any
    seat_node: I32  # [groups, ranks, stages]
    seat_gpu: I32  # the same: the first GPU of its node that serves it, on the NIC of its number
    tp: int  # GPUs that serve it
    nodes: I32  # [nodes of the job]


class Film(NamedTuple):
    """Resistance from plate to coolant: `conduction + film rated/flow` [K/W]."""

    conduction_k_per_w: float
    film_k_per_w: float


REST_FLOW = 0.01
"""Share of the rated flow that a stopped unit keeps: a judgement, see `physics.cooling`."""


@dataclass(frozen=True)
class Site:
    """All that exists at one place. Arrays change in place; the object never does."""

    name: str
    index: int
    ask: SiteAsked
    sheets: dict[str, Sheet]
    gpu: GpuTable
    node: NodeTable
    rack: RackTable
    unit: UnitTable
    pump: PlantTable
    cooler: PlantTable
    chiller: PlantTable
    loop: LoopTable
    weather: WeatherTable
    pdu: PduTable
    ups: UpsTable
    feed: FeedTable
    meter: MeterTable
    net: NetTable
    job: JobTable
    clos: RailClos
    wiring: Wiring
    film: Film
    hazard_x: dict[str, F64]
    battery_j: float
    feed_rated_w: float
    unit_load_frac: float
    cooler_size_frac: float
    chiller_size_frac: float
    design_w: float
    loop_kg: float
    loop_pump_w: float
    gpus_per_node: int
    placement: dict[int, Placement] = field(default_factory=dict)

    @property
    def unit_kind(self) -> str:
        """What its cooling units are called: cdu, or crah where nodes are air-cooled."""
        return "crah" if self.sheets["node"].text("cooling") == "air" else "cdu"

    @property
    def counts(self) -> dict[str, int]:
        """How many things of each kind there are, by the kinds that names and selectors use."""
        return {
            "gpu": len(self.gpu.temp_c),
            "node": len(self.node.rack),
            "rack": len(self.rack.pdu),
            self.unit_kind: len(self.unit.supply_c),
            "pump": len(self.pump.capacity_frac),
            "cooler": len(self.cooler.capacity_frac),
            "chiller": len(self.chiller.capacity_frac),
            "pdu": len(self.pdu.ups),
            "ups": len(self.ups.feed),
            "feed": len(self.feed.capacity_frac),
            "leaf": self.clos.leaves_count,
            "spine": self.clos.spines_count,
            "link": self.clos.leaf_of_nic.size,
        }

    def plate_k_per_w(self, flow: F64) -> F64:
        """Return the resistance from plate to coolant at these shares of the rated flow [K/W]."""
        film = self.film
        return film.conduction_k_per_w + film.film_k_per_w / np.maximum(flow, REST_FLOW)

    def tables(self) -> dict[str, Any]:
        """Return the tables by the name that columns are known by."""
        names = (
            *("gpu", "node", "rack", "unit", "pump", "cooler", "chiller", "loop", "weather"),
            *("pdu", "ups", "feed", "meter", "net", "job"),
        )
        return {name: getattr(self, name) for name in names}

    def seen(self) -> "Site":
        """Return this site as processes hold it: the same arrays, not writeable."""
        tables = {
            name: type(rows)(*(_read_only(column) for column in rows))
            for name, rows in self.tables().items()
        }
        return replace(self, **tables)

    def columns(self, *kinds: str) -> dict[str, NDArray[Any]]:
        """Return all arrays of these classes, as `table.column`."""
        return {
            f"{table}.{name}": column
            for table, rows in self.tables().items()
            for name, column in columns_of(rows, *kinds).items()
        }


def _read_only(column: NDArray[Any]) -> NDArray[Any]:
    view = column.view()
    view.flags.writeable = False
    return view
