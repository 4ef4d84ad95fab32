"""Published nccl-tests measurements, and how far the collectives are from them.

The rows are `published/nccl_busbw.csv` of the catalogue, the systems they were measured on
`published/nccl_systems.csv`, each with its source. Left out of the tables: one system whose number
of NICs is not stated, and bandwidths, which follow from size, ranks and time. Systems marked as
fitted gave at least one constant: what links reach, or how long a pipeline fills; no constant
belongs to one system. A measurement of less than some 0.1 ms also holds what its harness needs to
launch, up to 45 us where one process launches on eight GPUs, which the collectives leave out.
"""

import csv
from collections.abc import Callable
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim.catalog import sheet
from dcsim.units import to_si
from dcsim.workload.collectives import all_gather_s, all_reduce_s, all_to_all_s, reduce_scatter_s
from dcsim.workload.fabric import Fabric, Real, fabric_of, parse_network, stack

F64 = npt.NDArray[np.float64]
Words = npt.NDArray[np.str_]

_COLLECTIVES: dict[str, Callable[[Fabric, Real, Real, Real], Real]] = {
    "all_reduce": all_reduce_s,
    "all_gather": all_gather_s,
    "reduce_scatter": reduce_scatter_s,
    "all_to_all": all_to_all_s,
}
_MI = 2**20
_CLASSES = {"below 1 MiB": _MI, "1 to 64 MiB": 64 * _MI, "64 MiB to 1 GiB": 1024 * _MI}
_LARGEST_CLASS = "1 GiB and more"
SIZE_CLASSES = (*_CLASSES, _LARGEST_CLASS)


class Measurements(NamedTuple):
    """Columns, [row] each, and the fabric of each system."""

    system: Words
    transport: Words  # between domains; nvlink where there is one domain
    is_fitted: npt.NDArray[np.bool_]
    collective: Words
    algorithm: Words  # ring, or auto for the library's choice
    size_class: Words
    ranks: F64
    near: F64
    size_byte: F64
    time_s: F64
    which: npt.NDArray[np.int64]  # the row's place in fabrics
    fabrics: tuple[Fabric, ...]


class Errors(NamedTuple):
    """Predicted over measured time, less one, over the rows of one group."""

    group: tuple[str, ...]
    rows: int
    bias_frac: float  # median
    median_frac: float  # of the absolute errors, as are the next two
    mean_frac: float
    worst_frac: float


def measurements() -> Measurements:
    """Read all published rows."""
    systems = {row["system"]: row for row in _read("nccl_systems")}
    rows = _read("nccl_busbw")
    order = list(systems)
    of_row = [systems[row["system"]] for row in rows]
    ranks = np.array([row["ranks"] for row in rows], np.float64)
    size_byte = np.array([row["size_byte"] for row in rows], np.float64)
    domain = np.array([system["domain_gpus"] for system in of_row], np.float64)
    bounds = list(_CLASSES.values())
    return Measurements(
        system=np.array([row["system"] for row in rows]),
        transport=np.array([system["transport"] for system in of_row]),
        is_fitted=np.array([system["fitted"] == "yes" for system in of_row]),
        collective=np.array([row["collective"] for row in rows]),
        algorithm=np.array([row["algorithm"] for row in rows]),
        size_class=np.array([*_CLASSES, _LARGEST_CLASS])[np.digitize(size_byte, bounds)],
        ranks=ranks,
        near=np.minimum(domain, ranks),
        size_byte=size_byte,
        time_s=np.array([to_si(float(row["time_us"]), "us") for row in rows]),
        which=np.array([order.index(row["system"]) for row in rows]),
        fabrics=tuple(_fabric(system) for system in systems.values()),
    )


def predicted_s(measured: Measurements) -> F64:
    """Return the time of each row by the collectives [s]."""
    predicted = np.empty(len(measured.time_s))
    for collective, form in _COLLECTIVES.items():
        for algorithm, fabrics in (
            ("auto", measured.fabrics),
            ("ring", tuple(map(_only_rings, measured.fabrics))),
        ):
            rows = (measured.collective == collective) & (measured.algorithm == algorithm)
            if rows.any():
                predicted[rows] = form(
                    stack(fabrics, measured.which[rows]),
                    measured.size_byte[rows],
                    measured.ranks[rows],
                    measured.near[rows],
                )
    return predicted


def errors(measured: Measurements, *columns: str) -> list[Errors]:
    """Return the errors of each group of rows that agree in *columns* of the measurements.

    Groups come in the order of the table.
    """
    relative = predicted_s(measured) / measured.time_s - 1
    keys = list(zip(*(getattr(measured, column) for column in columns), strict=True))
    found = []
    for group in dict.fromkeys(keys):
        error = relative[[key == group for key in keys]]
        size = np.abs(error)
        summary = (np.median(error), np.median(size), size.mean(), error[size.argmax()])
        found.append(Errors(tuple(map(str, group)), len(error), *map(float, summary)))
    return found


def _read(name: str) -> list[dict[str, str]]:
    path = files("dcsim.catalog").joinpath("data", "published", f"{name}.csv")
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def _fabric(system: dict[str, str]) -> Fabric:
    return fabric_of(
        sheet("fabric", system["links"]),
        float(system["line_byte_per_s"]),
        parse_network(system["network"]),
        int(system["gpus_per_node"]),
    )


def _only_rings(fabric: Fabric) -> Fabric:
    return fabric._replace(domain_nvls=(), network_tree=(), network_nvls=())
