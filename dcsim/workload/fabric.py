"""What carries a collective: rates that are reached, and what each protocol costs.

A fabric has domains, whose GPUs share NVSwitches (a node of eight, a rack of 72) or links like
them, and a network between domains, to which each GPU has its part of its node's NICs. Rates are
one way and reached, not rated. An algorithm that a fabric does not have has no protocols.

Every number may be a scalar or an array, so that the rows of a table may have different fabrics.
Source of the constants: the sheets `fabric/*` of the catalogue.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from dcsim import units
from dcsim.catalog import Sheet, sheet

_LEAST_BYTE_PER_S, _MOST_BYTE_PER_S = 1e6 / 8, 1e15 / 8  # of one NIC

Real: TypeAlias = float | npt.NDArray[np.float64]


class Protocol(NamedTuple):
    """How an algorithm moves data: its latencies, and the share of the links that carries data.

    With *slices_count* of 2 a step is sent in halves, and hops hide behind the second. Until a
    pipeline has filled it works at half speed: *fill_s* is what that costs a long message.
    """

    launch_s: Real = 0.0
    domain_hop_s: Real = 0.0
    network_hop_s: Real = 0.0
    rate_frac: Real = 1.0
    slices_count: Real = 1.0
    fill_s: Real = 0.0


Protocols: TypeAlias = tuple[Protocol, ...]


class Fabric(NamedTuple):
    """Rates of one GPU's links, and the protocols of each algorithm in and between domains."""

    domain_byte_per_s: Real
    nic_byte_per_s: Real = np.inf  # of its part of the node's NICs
    nvls_byte_per_s: Real = np.inf  # while the domain's switches reduce
    domain_ring: Protocols = ()
    domain_nvls: Protocols = ()
    network_ring: Protocols = ()
    network_tree: Protocols = ()
    network_nvls: Protocols = ()
    exchange: Protocols = ()  # all-to-all; fills once for each peer
    plateau_x: Real = (
        1.0  # latency of an all-reduce's ring between domains over the sum of its hops
    )
    relayed: Real = (
        0.0  # 1 where a domain is a ring of links, whose ranks pass on what is not theirs
    )
    chunks_count: Real = 1.0  # pieces that a collective is cut in, one after the other
    memory_byte_per_s: Real = np.inf  # of reductions that the wire does not hide


class Network(NamedTuple):
    """The NICs of one node."""

    nics_count: int
    nic_byte_per_s: float


def parse_network(text: str) -> Network:
    """Read NICs of a node and the rate of each. Raises ValueError that says what is allowed.

    >>> parse_network("4x200 Gbit/s")
    Network(nics_count=4, nic_byte_per_s=25000000000.0)
    """
    found = re.fullmatch(r"\s*([1-9]\d{0,3})\s*x\s*(.+)", text, re.ASCII)
    if not found:
        raise ValueError(f"{text!r}: NICs of a node and their rate are needed, as 8x400 Gbit/s")
    try:
        rate = units.parse(found[2].strip(), "data_rate")
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    if not _LEAST_BYTE_PER_S <= rate <= _MOST_BYTE_PER_S:
        raise ValueError(f"{text!r}: allowed rates are 1 Mbit/s to 1000 Tbit/s")
    return Network(int(found[1]), rate)


def network_of(node: Sheet) -> Network:
    """Return the NICs that a node's sheet gives it."""
    return Network(int(node["nics_count"]), node["nic_byte_per_s"])


def gpu_fabric(gpu: Sheet, node: Sheet, network: Network) -> Fabric:
    """Return what GPUs of a sheet reach in such nodes, with these NICs."""
    links = sheet("fabric", gpu.text("links"))
    return fabric_of(links, gpu["nvlink_byte_per_s"], network, int(node["gpus_count"]))


def fabric_of(links: Sheet, line_byte_per_s: Real, network: Network, gpus_per_node: int) -> Fabric:
    """Return what GPUs reach whose links of a generation run at *line_byte_per_s* one way.

    Their software is NCCL, the sheet `fabric/nccl`; *links* is another sheet of that kind.
    """
    nccl = sheet("fabric", "nccl")
    ring_byte_per_s = line_byte_per_s * links["ring_frac"]
    has_nvls = "nvls_frac" in links
    fill_s = {name: nccl[f"{name}_fill_s"] for name in ("domain", "network", "exchange")}
    ring, tree = _protocols(nccl, "ring"), _protocols(nccl, "tree")
    simple = ring[-1]._replace(slices_count=nccl["slices_count"], fill_s=fill_s["domain"])
    nvls = Protocol(nccl["nvls_launch_s"], 0.0, nccl["nvls_network_hop_s"])
    tree_nvls = nvls._replace(rate_frac=tree[-1].rate_frac, fill_s=fill_s["network"])
    crossing_s = nccl["tree_crossing_s"]
    tree, (tree_nvls,) = _slower(tree, crossing_s), _slower((tree_nvls,), crossing_s)
    return Fabric(
        domain_byte_per_s=ring_byte_per_s,
        nic_byte_per_s=network.nics_count
        * network.nic_byte_per_s
        / gpus_per_node
        * nccl["nic_frac"],
        nvls_byte_per_s=ring_byte_per_s * (links["nvls_frac"] if has_nvls else 1.0),
        domain_ring=(*ring[:-1], simple),
        domain_nvls=(nvls._replace(fill_s=fill_s["domain"]),) if has_nvls else (),
        network_ring=(simple._replace(fill_s=fill_s["network"]),),
        network_tree=(*tree[:-1], tree[-1]._replace(fill_s=fill_s["network"])),
        network_nvls=(tree_nvls,) if has_nvls else (),
        exchange=(ring[-1]._replace(fill_s=fill_s["exchange"]),),
        plateau_x=nccl["ring_plateau_x"],
    )


def _slower(protocols: Protocols, hop_s: float) -> Protocols:
    """Return *protocols* that take so much more for each hop between domains."""
    return tuple(p._replace(network_hop_s=p.network_hop_s + hop_s) for p in protocols)


def _protocols(nccl: Sheet, algorithm: str) -> Protocols:
    """Return LL, LL128 and Simple of *algorithm*."""
    names = ("launch_s", "domain_hop_s", "network_hop_s", "rate_frac")
    return tuple(
        Protocol(*each)
        for each in zip(*(nccl.list(f"{algorithm}_{n}") for n in names), strict=True)
    )


_ABSENT = Protocol(launch_s=1e9)  # what one of several fabrics lacks is never its fastest


def stack(fabrics: Sequence[Fabric], which: npt.NDArray[np.int64]) -> Fabric:
    """Return one fabric of arrays, whose row i is `fabrics[which[i]]`, all of them of scalars."""
    return Fabric._make(_stacked(values, which) for values in zip(*fabrics, strict=True))


def _stacked(
    values: tuple[Real, ...] | tuple[Protocols, ...], which: npt.NDArray[np.int64]
) -> Real | Protocols:
    lists = [value for value in values if isinstance(value, tuple)]
    if not lists:
        return np.array(values, np.float64)[which]
    longest = max(map(len, lists))
    padded = [each + (_ABSENT,) * (longest - len(each)) for each in lists]
    numbers = np.array(padded, np.float64)[which]  # [row, protocol, field]
    return tuple(Protocol(*numbers[:, i].T) for i in range(longest))
