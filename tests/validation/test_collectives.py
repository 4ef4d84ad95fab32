"""Collectives against nccl-tests tables of H100 and H200, read from the folder DCSIM_FACTS.

Compared: rings inside a node, and all-reduces of four or more nodes with 400 Gbit/s a GPU, from
1 GB on; two nodes use trees, which exceed the NICs' rate. Four launches in ten of one cloud ran
36% slower for their whole length, and the time of 1,024 GPUs is not smooth in the size.
"""

import csv
import os
from pathlib import Path
from statistics import median

import pytest

from dcsim.catalog import sheet
from dcsim.workload.collectives import all_reduce_s, gather_s
from dcsim.workload.step import fabric_of

pytestmark = pytest.mark.validate

FABRIC = fabric_of(
    sheet("gpu", "h100-sxm"),
    sheet("node", "hgx-h100-air"),
    sheet("step", "first-form"),
    link_byte_per_s=50e9,
)


def rows() -> list[dict[str, str]]:
    file = Path(os.environ.get("DCSIM_FACTS", "../shared/facts")) / "nccl_busbw.csv"
    if not file.is_file():
        pytest.fail(f"no published figures in {file}: set DCSIM_FACTS")
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def error(row: dict[str, str]) -> float:
    """The predicted over the published time, less one."""
    ranks, per_node, size = int(row["gpus"]), int(row["gpus_per_node"]), float(row["bytes"])
    is_reduce = row["collective"] == "all_reduce"
    predicted_s = (all_reduce_s if is_reduce else gather_s)(FABRIC, size, ranks, per_node)
    factor = (2 if is_reduce else 1) * (ranks - 1) / ranks
    return predicted_s / (factor * size / (float(row["busbw_GBps"]) * 1e9)) - 1


def is_compared(row: dict[str, str]) -> bool:
    hopper = "H100" in row["system"] or "H200" in row["system"]
    ring = row["algo"] == "ring" and row["nodes"] == "1"
    clusters = row["collective"] == "all_reduce" and int(row["nodes"]) >= 4
    return hopper and (ring or clusters) and float(row["bytes"]) >= 1e9


def test_published_bandwidths() -> None:
    inside: list[float] = []
    across: list[float] = []
    for row in filter(is_compared, rows()):
        found = error(row)
        (inside if row["nodes"] == "1" else across).append(found)
        size = f"{float(row['bytes']) / 1e9:.1f} GB"
        print(
            f"{row['system'][:40]:42}{row['collective']:15}{row['gpus']:>5}{size:>9}{found:+7.1%}"
        )
    assert max(map(abs, inside)) < 0.04
    assert median(map(abs, across)) < 0.08
    assert -0.32 < min(across) < max(across) < 0.33
