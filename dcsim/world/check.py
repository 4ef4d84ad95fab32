"""What is always true of a site; each line is one invariant."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcsim.errors import InvariantError
from dcsim.world.site import Site

TEMP_C = (-60.0, 150.0)
VALID_C = {
    "gpu.temp_c": (0.0, 110.0),
    "unit.supply_c": (0.0, 90.0),
    "loop.supply_c": (5.0, 60.0),
    "weather.dry_bulb_c": (-30.0, 50.0),
}
"""Where the models state that they are valid; see `physics.gpu`, `cooling` and `rejection`."""


def check_site(site: Site, time_ns: int = 0) -> None:
    """Raise InvariantError, naming table and row, at the first invariant that does not hold."""
    for table, holds, what in _invariants(site):
        rows = np.atleast_1d(holds)
        if not rows.all():
            raise InvariantError(time_ns, f"{site.name}/{table}", int(np.argmin(rows)), what)


def beyond(columns: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, int, float]]:
    """Yield which *columns* have left their range of `VALID_C`: name, worst row, its value."""
    for name, column in columns.items():
        low, high = VALID_C[name]
        if column.max() > high:
            yield name, int(column.argmax()), float(column.max())
        elif column.min() < low:
            yield name, int(column.argmin()), float(column.min())


def _invariants(site: Site) -> Iterator[tuple[str, Any, str]]:
    yield from _shapes(site)
    yield from _ranges(site)
    yield from _links(site)


def _shapes(site: Site) -> Iterator[tuple[str, Any, str]]:
    gpus = len(site.node.rack) * site.gpus_per_node
    for name, column in site.columns("fixed", "state", "mode", "rate").items():
        if name.startswith("gpu."):
            yield name, len(column) == gpus, "a GPU column has a row for each GPU"
    yield "rack.first_node", np.diff(site.rack.first_node) > 0, "each rack holds nodes"
    yield "rack.first_node", site.rack.first_node[-1] == len(site.node.rack), "racks hold all nodes"
    yield "unit.first_rack", np.diff(site.unit.first_rack) > 0, "each unit cools racks"
    yield "unit.first_rack", site.unit.first_rack[-1] == len(site.rack.pdu), "units cool all racks"


def _ranges(site: Site) -> Iterator[tuple[str, Any, str]]:
    for name, column in site.columns("state", "rate").items():
        yield name, np.isfinite(column).all(axis=tuple(range(1, column.ndim))), "is finite"
    for name in ("gpu.temp_c", "gpu.plate_c", "unit.supply_c", "loop.supply_c"):
        table, column_name = name.split(".")
        column = getattr(getattr(site, table), column_name)
        inside = (column > TEMP_C[0]) & (column < TEMP_C[1])
        yield name, inside, f"lies between {TEMP_C[0]} and {TEMP_C[1]} degC"
    for name, column in site.columns("mode").items():
        if name.endswith("_frac"):
            yield name, (column >= 0) & (column <= 1), "is a share, 0 to 1"
    clock = site.gpu.clock_frac
    yield "gpu.clock_frac", (clock >= 0) & (clock < 1.001), "is at most the highest clock"
    yield "gpu.power_w", site.gpu.power_w >= 0, "is not negative"
    yield "gpu.dynamic_w", site.gpu.dynamic_w > 0, "is positive"
    yield "ups.charge_j", site.ups.charge_j <= site.battery_j * (1 + 1e-9), "fits the battery"


def _links(site: Site) -> Iterator[tuple[str, Any, str]]:
    for table, parent, count in (
        ("node.rack", site.node.rack, len(site.rack.pdu)),
        ("rack.pdu", site.rack.pdu, len(site.pdu.ups)),
        ("rack.unit", site.rack.unit, len(site.unit.supply_c)),
        ("pdu.ups", site.pdu.ups, len(site.ups.feed)),
        ("ups.feed", site.ups.feed, len(site.feed.capacity_frac)),
    ):
        yield table, (parent >= 0) & (parent < count), f"names one of {count} parents"
    dark = site.node.up & ~site.rack.powered[site.node.rack]
    yield "node.up", ~dark, "a node without power is down"
    lit = np.repeat(site.rack.powered[site.node.rack], site.gpus_per_node)
    yield "gpu.on_frac", (site.gpu.on_frac == 0) | lit, "a GPU without power is off"
    kept = np.repeat(site.node.up | ~site.node.reachable, site.gpus_per_node)
    yield "gpu.on_frac", (site.gpu.on_frac == 0) | kept, "a GPU is on in a node that is up or alone"
    for job, placement in site.placement.items():
        if site.job.running[job]:
            sound = site.node.up[placement.nodes] & site.node.reachable[placement.nodes]
            yield "job.running", sound.all(), "a job makes steps only on nodes that are up"
