"""Closed forms for the collectives of dense training, on links that are otherwise idle.

A ring over n ranks moves (n - 1)/n of the data past every rank in n - 1 steps. Inside a node it
runs over NVLink. Across nodes each rank that the group has in a node drives its own NIC, so r
ranks in a node have the bandwidth of r NICs, up to that of NVLink. Latency grows with the number
of ranks, never with its logarithm.

Valid for large messages on a rail-optimised fabric. Switch-side reduction (NVLS, SHARP) and
trees, with which all-reduces inside a node or between two nodes go up to 1.3 times faster, are
left out: training with a distributed optimizer gathers and scatters, which have neither.
Accuracy against nccl-tests from 1 GB on: 4% on eight GPUs; 5% on 32 and 128; on 64, 13% too fast
for clean launches and 30% for those that a cloud ran slowly; between 19% too fast and 32% too slow
on 1,024, where the table is not smooth. `tests/validation/test_collectives.py` prints the rows.
Source: NCCL src/graph/tuning.cc for the steps, nccl-tests tables for the bandwidths.
"""

from typing import NamedTuple


class Fabric(NamedTuple):
    """What carries a job's traffic: one-way rates that are reached, and latencies of a ring."""

    gpus_per_node: int
    nvlink_byte_per_s: float
    nic_byte_per_s: float  # one NIC per GPU
    nvlink_hop_s: float  # of one step of a ring
    nic_hop_s: float
    launch_s: float
    oversubscription: float = 1.0  # of the fabric's highest tier
    domain_nodes: int = 1  # nodes below one part of that tier: a unit, or a pod with three tiers


def gather_s(
    fabric: Fabric, size_byte: float, ranks: int, ranks_per_node: int, ring_frac: float = 1.0
) -> float:
    """Return the time of an all-gather or a reduce-scatter [s].

    *size_byte* is the whole that is gathered or scattered, *ranks_per_node* the ranks that the
    group has in each node, *ring_frac* the share of the NICs' rate that its ring gets.
    """
    if ranks == 1:
        return 0.0
    hops = ranks - 1
    nodes = -(-ranks // ranks_per_node)
    rate = fabric.nvlink_byte_per_s
    if nodes > 1:
        rate = min(rate, ranks_per_node * fabric.nic_byte_per_s * ring_frac)
    inside = hops - (nodes - 1)
    latency_s = inside * fabric.nvlink_hop_s + (nodes - 1) * fabric.nic_hop_s
    return fabric.launch_s + latency_s + hops / ranks * size_byte / rate


def all_reduce_s(fabric: Fabric, size_byte: float, ranks: int, ranks_per_node: int) -> float:
    """Return the time of a ring all-reduce, a scatter and a gather in one [s]."""
    if ranks == 1:
        return 0.0
    return 2 * gather_s(fabric, size_byte, ranks, ranks_per_node) - fabric.launch_s


def send_s(fabric: Fabric, size_byte: float) -> float:
    """Return the time of one message from a GPU to its peer in another node [s]."""
    return fabric.launch_s + fabric.nic_hop_s + size_byte / fabric.nic_byte_per_s


def ring_frac(fabric: Fabric, stride_nodes: int) -> float:
    """Return the share of the NICs' rate that a ring keeps on an oversubscribed fabric.

    Of the n nodes in a domain, whose neighbours in the ring stand *stride_nodes* on,
    min(n, stride) send out of it, and share n / oversubscription uplinks on each rail.
    """
    leaving = min(fabric.domain_nodes, stride_nodes)
    return min(1.0, fabric.domain_nodes / (fabric.oversubscription * leaving))
