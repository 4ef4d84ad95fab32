"""Collectives: the time of the fastest algorithm and protocol, at any message size.

A collective over *ranks*, of which *near* stand together in each domain (GPUs on the NVSwitches of
a node or of an NVL72 rack), can run as

    ring    each rank passes pieces on to the next in n - 1 steps, twice that for an all-reduce
    tree    a chain in each domain, a double binary tree between them; all-reduce only
    NVLS    the domain's switches reduce and multicast, a double binary tree between domains;
            all-reduce only

with protocols that trade latency for bandwidth. Time is launch + hops + bytes / rate, where hops
hide behind bytes that are sent in slices, and a pipeline that has to fill costs w f / (w + f): the
whole of a short wire time w, at most f of a long one. A reduction also pays for the memory passes
that the wire does not hide. Rings pay for every rank, only trees for the logarithm of the domains.

Every number may be a scalar or an array, those of the fabric too; they broadcast. *size_byte* is
the whole buffer of one rank: of an all-gather the gathered one, of an all-to-all all that a rank
holds. *share* is the part of its NIC that each member gets. One rank alone takes no time.

Valid for groups with about as many members in every domain, 2 to some 1,000 ranks, on fabrics
without SHARP. The shortest time is taken, as NCCL's tuner does; its own estimates sometimes miss
the shortest. PAT, which gathers in a logarithm of steps where each domain has one member, and
libraries for expert parallelism such as DeepEP are left out.
Accuracy against published nccl-tests, as the median of a group's errors: in a domain 3% from 64 MiB
and 0.6% from 1 GiB on; between nodes of eight H100 or H200 on InfiniBand or RoCE 0.2% to 12% from
1 GiB on, 30% too fast where one GPU and NIC of a node take part or a launch was slow, 10% to 40%
too fast below 64 MiB. SimAI's table of what rings reach, read as all-gathers by 16 to 1,024 GPUs of
16 MiB to 16 GiB, within 30%, 10% in the mean.
Between two NVL72 racks all-reduces 20% to 50%, all-to-alls 74% too fast. On EFA and TCPXO, whose
latency is not modelled, 60% too fast below 64 MiB. Below 1 MiB in a node 10% to 15% too fast where
each GPU has a process. `dcsim.workload.nccl_tests` has the rows and prints all errors.
Source: steps, latencies and shares NVIDIA/nccl src/graph/tuning.cc.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim.workload.fabric import Fabric, Protocols, Real

_REDUCE_PASSES = 3  # over local memory: two operands are read, their sum is written
_TINY_S = 1e-30  # so that a pipeline that need not fill does not divide by zero


class _Group(NamedTuple):
    """The members of a collective, and what each domain's members send together between them."""

    ranks: Real
    domains: Real
    members: Real  # in each domain
    network_byte_per_s: Real


def all_reduce_s(
    fabric: Fabric,
    size_byte: Real,
    ranks: Real,
    near: Real,
    share: Real = 1.0,
    trees: Real = 1.0,
) -> Real:
    """Return the time of an all-reduce by ring, tree or NVLS, without *trees* by ring alone [s]."""
    group = _group(fabric, ranks, near, share)
    inside_s, across_s = _rings_s(fabric, group, size_byte, rounds=2, reduces=True)
    if fabric.domain_nvls or fabric.network_tree:
        nvls_s = size_byte * (1 + 1 / group.members) / fabric.nvls_byte_per_s
        in_switch_s = _fastest_s(fabric.domain_nvls, 0.0, 0.0, nvls_s)
        trees_s = _trees_s(fabric, group, size_byte, nvls_s)
        inside_s = np.where(trees, np.minimum(inside_s, in_switch_s), inside_s)
        across_s = np.where(trees, np.minimum(across_s, trees_s), across_s)
    return _either(group, inside_s, across_s)


def all_gather_s(
    fabric: Fabric, size_byte: Real, ranks: Real, near: Real, share: Real = 1.0
) -> Real:
    """Return the time of a ring all-gather [s]."""
    group = _group(fabric, ranks, near, share)
    return _either(group, *_rings_s(fabric, group, size_byte, rounds=1, reduces=False))


def reduce_scatter_s(
    fabric: Fabric, size_byte: Real, ranks: Real, near: Real, share: Real = 1.0
) -> Real:
    """Return the time of a ring reduce-scatter [s]."""
    group = _group(fabric, ranks, near, share)
    return _either(group, *_rings_s(fabric, group, size_byte, rounds=1, reduces=True))


def all_to_all_s(
    fabric: Fabric, size_byte: Real, ranks: Real, near: Real, share: Real = 1.0
) -> Real:
    """Return the time in which each rank sends every other its part of *size_byte* [s].

    Domain and network work at the same time. On a ring of links a part crosses n / 2 of them.
    """
    group = _group(fabric, ranks, near, share)
    peers = ranks - 1
    part_byte = size_byte / ranks
    across = group.domains > 1
    hops = 1 + fabric.relayed * (peers * ranks / 2 - 1)
    crossed = 1 + fabric.relayed * (ranks / 2 - 1)
    inside_byte = part_byte * (group.members - 1) * crossed
    outside_byte = part_byte * (ranks - group.members)
    wire_s = np.maximum(
        inside_byte / fabric.domain_byte_per_s, outside_byte / (fabric.nic_byte_per_s * share)
    )
    inner = np.where(across, 0.0, hops * fabric.chunks_count)
    outer = np.where(across, 1.0, 0.0)
    exchange = tuple(p._replace(fill_s=p.fill_s * peers) for p in fabric.exchange)
    return np.where(peers > 0, _fastest_s(exchange, inner, outer, wire_s), 0.0)[()]


def send_s(
    fabric: Fabric,
    size_byte: Real,
    near: bool | np.bool_ | npt.NDArray[np.bool_],
    share: Real = 1.0,
) -> Real:
    """Return the time of one message to another rank, in the same domain where *near* [s]."""
    inside_s = _fastest_s(fabric.domain_ring, 1.0, 0.0, size_byte / fabric.domain_byte_per_s)
    wire_s = size_byte / (fabric.nic_byte_per_s * share)
    across_s = _fastest_s(fabric.network_ring, 0.0, 1.0, wire_s)
    return np.where(near, inside_s, across_s)[()]


def _group(fabric: Fabric, ranks: Real, near: Real, share: Real) -> _Group:
    members = np.minimum(near, ranks)
    network_byte_per_s = members * (fabric.nic_byte_per_s * share)
    return _Group(ranks, np.ceil(ranks / members), members, network_byte_per_s)


def _either(group: _Group, inside_s: Real, across_s: Real) -> Real:
    return np.where(group.domains > 1, across_s, inside_s * np.minimum(group.ranks - 1, 1.0))[()]


def _rings_s(
    fabric: Fabric, group: _Group, size_byte: Real, rounds: int, reduces: bool
) -> tuple[Real, Real]:
    """Return the time of a ring of *rounds* in one domain, and through all domains [s]."""
    steps, outer = rounds * (group.ranks - 1), rounds * (group.domains - 1)
    moved_byte = steps / group.ranks * size_byte
    chunks, plateau = fabric.chunks_count, fabric.plateau_x if rounds > 1 else 1.0
    memory_s = _REDUCE_PASSES / rounds * moved_byte / fabric.memory_byte_per_s if reduces else 0.0
    inside_s = moved_byte / fabric.domain_byte_per_s
    across_s = np.maximum(inside_s, moved_byte / group.network_byte_per_s)
    return (
        _fastest_s(fabric.domain_ring, steps * chunks, 0.0, inside_s) + memory_s,
        _fastest_s(fabric.network_ring, (steps - outer) * plateau, outer * plateau, across_s)
        + memory_s,
    )


def _trees_s(fabric: Fabric, group: _Group, size_byte: Real, nvls_s: Real) -> Real:
    """Return the time of a double binary tree between domains, over chains or NVLS in them [s].

    A domain that is no root sends its sum up, and as an inner node of one of the two trees the
    result down to two more; of two domains each sends once.
    """
    network_s = np.minimum(group.domains - 1, 2) * size_byte / group.network_byte_per_s
    chain_s = 2 * size_byte * (group.members > 1) / fabric.domain_byte_per_s
    inner, outer = 2 * (group.members - 1), 2 * np.log2(group.domains)
    return np.minimum(
        _fastest_s(fabric.network_tree, inner, outer, np.maximum(chain_s, network_s)),
        _fastest_s(fabric.network_nvls, 0.0, outer, np.maximum(nvls_s, network_s)),
    )


def _fastest_s(protocols: Protocols, inner: Real, outer: Real, wire_s: Real) -> Real:
    """Return the least time, over protocols, of so many hops in and between domains [s].

    *wire_s* is the time of the bytes if all that the links reach were data.
    """
    fastest_s: Real = np.inf
    for protocol in protocols:
        hops_s = inner * protocol.domain_hop_s + outer * protocol.network_hop_s
        sent_s = wire_s / protocol.rate_frac
        filled_s = protocol.fill_s * sent_s / (sent_s + (protocol.fill_s + _TINY_S))
        paced_s = np.maximum(sent_s, hops_s + sent_s / protocol.slices_count)
        fastest_s = np.minimum(fastest_s, protocol.launch_s + paced_s + filled_s)
    return fastest_s
