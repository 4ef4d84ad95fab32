"""Collectives against ASTRA-sim's ring cases, and against published nccl-tests.

ASTRA-sim's files are read from the folder DCSIM_DATA; the same functions as for H100 get only
what the files give. The published rows are in the package. Three kinds of constants were fitted to
systems marked so: what each generation of links reaches, the time in which a pipeline fills, in
and between domains, and what trees take for each hop between domains. Here they are fitted again
without each system in turn: the former from 4 MiB on, the last below 1 GiB.
"""

import csv
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from dcsim.workload.collectives import all_gather_s, all_reduce_s, all_to_all_s, reduce_scatter_s
from dcsim.workload.fabric import Fabric, Protocol, Protocols
from dcsim.workload.nccl_tests import Measurements, errors, measurements, predicted_s
from tests.validation.published import data

pytestmark = pytest.mark.validate

COLLECTIVES = {
    "all_reduce": all_reduce_s,
    "all_gather": all_gather_s,
    "reduce_scatter": reduce_scatter_s,
    "all_to_all": all_to_all_s,
}
ASTRA_BYTE_PER_S = 2**30  # its GB/s
MEASURED = measurements()
ERROR_FROM_BYTE = 2**22
Rows = npt.NDArray[np.bool_]


def astra_fabric(system: str, network: str) -> Fabric:
    asked = json.loads(data("chakra_collectives", system).read_text())
    links = yaml.safe_load(data("chakra_collectives", network).read_text())
    assert links["topology"] == ["Ring"]
    assert asked["active-chunks-per-dimension"] == 1
    hop_ns = links["latency"][0] + asked["endpoint-delay"]
    hop = (Protocol(domain_hop_s=hop_ns * 1e-9),)
    return Fabric(
        domain_byte_per_s=links["bandwidth"][0] * ASTRA_BYTE_PER_S,
        domain_ring=hop,
        exchange=hop,
        relayed=1.0,
        chunks_count=asked["preferred-dataset-splits"],
        memory_byte_per_s=asked["local-mem-bw"] * 1e9,
    )


def test_cases_of_astra_sim() -> None:
    text = data("chakra_collectives", "expected_cycles.tsv").read_text()
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    assert len(rows) == 8
    for row in rows:
        ranks, size = int(row["npus"]), int(row["bytes"])
        if row["collective"] == "all_gather":
            size *= ranks  # its size is what each rank brings
        fabric = astra_fabric(row["system"], row["network"])
        found_ns = float(COLLECTIVES[row["collective"]](fabric, size, ranks, ranks)) * 1e9
        error = found_ns / float(row["cycles_ns"]) - 1
        print(f"{row['collective']:15}{ranks:3}{found_ns:12,.0f} ns{error:+8.3%}")
        assert abs(error) < 0.01


class Fitted(NamedTuple):
    """What the fit may move; the rates over those of the sheets, by generation of links."""

    rate_x: dict[float, float]  # key: the rate of the sheet
    domain_fill_s: float
    network_fill_s: float


def moved(fabric: Fabric, by: Fitted) -> Fabric:
    rate = float(np.asarray(fabric.domain_byte_per_s))
    x = by.rate_x.get(rate, 1.0)
    return fabric._replace(
        domain_byte_per_s=rate * x,
        nvls_byte_per_s=fabric.nvls_byte_per_s * x,
        domain_ring=refilled(fabric.domain_ring, by.domain_fill_s),
        domain_nvls=refilled(fabric.domain_nvls, by.domain_fill_s),
        network_ring=refilled(fabric.network_ring, by.network_fill_s),
        network_tree=refilled(fabric.network_tree, by.network_fill_s),
        network_nvls=refilled(fabric.network_nvls, by.network_fill_s),
    )


def refilled(protocols: Protocols, fill_s: float) -> Protocols:
    return tuple(p._replace(fill_s=fill_s) if p.fill_s else p for p in protocols)


def errors_with(by: Fitted) -> npt.NDArray[np.float64]:
    fabrics = tuple(moved(fabric, by) for fabric in MEASURED.fabrics)
    return predicted_s(MEASURED._replace(fabrics=fabrics)) / MEASURED.time_s - 1


def fit(rows: Rows) -> Fitted:
    """The links from messages of 1 GiB on, then the two times from all of *rows*."""
    inside = rows & (MEASURED.near == MEASURED.ranks)
    rate = np.array([f.domain_byte_per_s for f in MEASURED.fabrics])[MEASURED.which]
    large = inside & (MEASURED.size_byte >= 2**30)
    start = Fitted({}, 100e-6, 300e-6)
    ratio = 1 + errors_with(start)
    rate_x = {float(r): float(np.median(ratio[large & (rate == r)])) for r in set(rate[large])}
    start = start._replace(rate_x=rate_x)
    choices = np.arange(40, 501, 20) * 1e-6
    domain = best([start._replace(domain_fill_s=s) for s in choices], inside)
    across = rows & ~inside
    return best([domain._replace(network_fill_s=s) for s in choices], across)


def best(candidates: Sequence[Fitted], rows: Rows) -> Fitted:
    cost = [np.abs(np.log1p(errors_with(by)[rows])).mean() for by in candidates]
    return candidates[int(np.argmin(cost))]


def selected(rows: Rows) -> Measurements:
    columns = {name: getattr(MEASURED, name) for name in MEASURED._fields if name != "fabrics"}
    return MEASURED._replace(**{name: column[rows] for name, column in columns.items()})


def test_published_measurements() -> None:
    for columns in (
        ("collective", "size_class"),
        ("transport", "size_class"),
        ("system", "collective", "size_class"),
    ):
        for each in errors(MEASURED, *columns):
            errors_of = f"{each.bias_frac:+8.1%}{each.median_frac:8.1%}{each.worst_frac:+8.1%}"
            print(f"{'  '.join(each.group):58}{each.rows:5}{errors_of}")
    inside = selected(MEASURED.is_fitted & (MEASURED.transport == "nvlink"))
    large = {each.group[0]: each for each in errors(inside, "size_class")}
    assert large["1 GiB and more"].median_frac < 0.02
    assert large["64 MiB to 1 GiB"].median_frac < 0.04
    across = selected(np.isin(MEASURED.transport, ["ib", "roce"]) & MEASURED.is_fitted)
    large = {each.group[0]: each for each in errors(across, "size_class")}
    assert large["1 GiB and more"].median_frac < 0.10
    assert large["64 MiB to 1 GiB"].median_frac < 0.10


def test_each_system_left_out_of_the_fit() -> None:
    fitted = MEASURED.is_fitted & (MEASURED.size_byte >= ERROR_FROM_BYTE)
    whole = fit(fitted)
    print("fit:", whole)
    of_all = np.abs(errors_with(whole))
    left_out: list[float] = []
    for system in dict.fromkeys(MEASURED.system[fitted]):
        own = fitted & (MEASURED.system == system)
        by = fit(fitted & ~own)
        error = float(np.abs(errors_with(by))[own].mean())
        left_out.append(error)
        print(f"{system:16}{own.sum():5} rows{of_all[own].mean():8.1%} fitted{error:8.1%} left out")
    print(f"mean over systems {np.mean(left_out):.1%}")
    assert np.mean(left_out) < 0.08


def crossing_errors(crossing_s: float) -> npt.NDArray[np.float64]:
    """The size of each row's error where trees take so much more or less for each hop."""

    def changed(protocols: Protocols) -> Protocols:
        return tuple(p._replace(network_hop_s=p.network_hop_s + crossing_s) for p in protocols)

    fabrics = tuple(
        f._replace(network_tree=changed(f.network_tree), network_nvls=changed(f.network_nvls))
        for f in MEASURED.fabrics
    )
    return np.abs(np.log(predicted_s(MEASURED._replace(fabrics=fabrics)) / MEASURED.time_s))


def test_each_system_left_out_of_the_fit_of_crossings() -> None:
    inside = MEASURED.near == MEASURED.ranks
    rows = MEASURED.is_fitted & ~inside & np.isin(MEASURED.transport, ["ib", "roce"])
    rows &= MEASURED.size_byte < 2**30
    change_us = np.arange(-5, 11)
    error_of = np.array([crossing_errors(us * 1e-6) for us in change_us])
    systems = [s for s in dict.fromkeys(MEASURED.system[rows])
               if (MEASURED.size_byte[rows & (MEASURED.system == s)] < 2**26).any()]  # fmt: skip
    best_us = change_us[error_of[:, rows].mean(axis=1).argmin()]
    without, left_out = [], []
    for system in systems:
        own = rows & (MEASURED.system == system) & (MEASURED.size_byte < 2**26)
        others = rows & (MEASURED.system != system)
        place = error_of[:, others].mean(axis=1).argmin()
        without.append(float(error_of[0, own].mean()))
        left_out.append(float(error_of[place, own].mean()))
        print(f"{system:16}{own.sum():4} rows, none {without[-1]:.1%}, "
              f"{change_us[place] + 5} us {left_out[-1]:.1%} left out")  # fmt: skip
    print(f"all: {best_us + 5} us; means {np.mean(without):.1%} and {np.mean(left_out):.1%}")
    assert abs(best_us) <= 2
    assert np.mean(left_out) < 0.9 * np.mean(without)
    large = ~inside & (MEASURED.size_byte >= 2**30)
    np.testing.assert_allclose(error_of[0, large], error_of[5, large], atol=5e-3)
