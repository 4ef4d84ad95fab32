"""Closed forms for the collectives of training, on links that are otherwise idle.

A ring over n ranks moves (n - 1)/n of the data past every rank in n - 1 steps. Inside a domain it
runs over NVLink. Across domains each rank drives its own NIC, so r ranks in a domain have the
bandwidth of r NICs, up to that of NVLink. Latency grows with the number of ranks, never with its
logarithm.
Every number may be a scalar or an array.

Valid for large messages on a rail-optimised fabric; switch-side reduction and trees left out.
Accuracy against nccl-tests from 1 GB on: 4% on eight GPUs; 5% on 32 and 128; 20% on 1,024.
Source: NCCL src/graph/tuning.cc for the steps, nccl-tests tables for the bandwidths.
"""

from typing import NamedTuple

import numpy as np

from dcsim.workload.model import Real


class Fabric(NamedTuple):
    """What carries a job's traffic: one-way rates that are reached, and latencies of a ring."""

    domain_byte_per_s: Real
    nic_byte_per_s: Real
    domain_hop_s: Real
    nic_hop_s: Real
    launch_s: Real


def all_gather_s(
    fabric: Fabric, size_byte: Real, ranks: Real, near: Real, share: Real = 1.0
) -> Real:
    """Return the time of an all-gather of *size_byte* in all [s]."""
    members = np.minimum(near, ranks)
    domains = np.ceil(ranks / members)
    across = np.minimum(fabric.domain_byte_per_s, members * fabric.nic_byte_per_s * share)
    rate = np.where(domains > 1, across, fabric.domain_byte_per_s)
    hops_s = (ranks - domains) * fabric.domain_hop_s + (domains - 1) * fabric.nic_hop_s
    time_s = fabric.launch_s + hops_s + (ranks - 1) / ranks * size_byte / rate
    return np.where(ranks > 1, time_s, 0.0)


reduce_scatter_s = all_gather_s


def all_reduce_s(
    fabric: Fabric, size_byte: Real, ranks: Real, near: Real, share: Real = 1.0
) -> Real:
    """Return the time of a ring all-reduce, a scatter and a gather in one [s]."""
    one_s = all_gather_s(fabric, size_byte, ranks, near, share)
    return np.where(ranks > 1, 2 * one_s - fabric.launch_s, 0.0)


def all_to_all_s(
    fabric: Fabric, size_byte: Real, ranks: Real, near: Real, share: Real = 1.0
) -> Real:
    """Return the time of an exchange in which each rank holds *size_byte* [s]."""
    members = np.minimum(near, ranks)
    inside_s = size_byte * (members - 1) / ranks / fabric.domain_byte_per_s
    outside_s = size_byte * (ranks - members) / ranks / (fabric.nic_byte_per_s * share)
    hop_s = np.where(ranks > members, fabric.nic_hop_s, fabric.domain_hop_s)
    time_s = fabric.launch_s + hop_s + np.maximum(inside_s, outside_s)
    return np.where(ranks > 1, time_s, 0.0)


def send_s(fabric: Fabric, size_byte: Real, near: Real, share: Real = 1.0) -> Real:
    """Return the time of one message from a GPU to its peer [s]."""
    rate = np.where(near, fabric.domain_byte_per_s, fabric.nic_byte_per_s * share)
    return (
        fabric.launch_s + np.where(near, fabric.domain_hop_s, fabric.nic_hop_s) + size_byte / rate
    )
