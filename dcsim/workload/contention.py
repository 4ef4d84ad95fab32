"""Contention: the share of its NIC that a member of a collective gets from the network.

Collectives take this as *share*. A fabric that is not oversubscribed and spreads packets over all
paths gives 1. Otherwise flows that leave their leaf share its uplinks, and where each flow is
hashed to one path (ECMP) the slowest of them, for which the collective waits, shares its path with
more than the average. Shares of independent causes multiply.

Valid for flows of equal size that all send at the same time.
Accuracy: the expected load of the fullest path is up to 6% below a simulation of hashing from 8
paths on, 12% on two to four; 8 flows on 8 paths keep 0.4 of their rate, 16 on 16 a third. Between
nodes on RoCE, gathers and scatters by eight, four and two GPUs of each kept 0.79, 0.81 and 0.51 of
what adaptive or static routes gave (ISCA 2025, read off a figure); how many flows shared how many
paths is not stated, so that these are not predicted.
Source: the multinomial distribution, its links taken as independent.
"""

from math import exp, lgamma, log, log1p

import numpy as np
import numpy.typing as npt

from dcsim.workload.fabric import Real

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

_NEGLIGIBLE = 1e-9  # probability at which the sum over loads ends


def leaf_nodes_count(radix_count: int, nics_count: int, is_rail_optimised: bool) -> int:
    """Return how many nodes share a leaf: half its ports, one a node or every NIC of a node.

    On a rail-optimised fabric NIC r of a node is cabled to leaf r of its unit; on a plain fat tree
    all NICs of a node are cabled to one leaf, so that most traffic leaves it.
    """
    return max(1, radix_count // 2 // (1 if is_rail_optimised else nics_count))


def ring_share(stride_nodes: Real, leaf_nodes: Real, oversubscription: Real = 1.0) -> Real:
    """Return the share that rings keep whose neighbours stand *stride_nodes* on.

    Of the n nodes below a leaf min(n, stride) send out of it, and share n / oversubscription
    uplinks on each rail.
    """
    leaving = np.minimum(leaf_nodes, stride_nodes)
    return np.minimum(1.0, leaf_nodes / (oversubscription * leaving))


def placed_ring_share(leaf_of_rank: I64, uplinks: F64) -> F64:
    """Return the share of each ring, [ring], counted from where its ranks are.

    *leaf_of_rank* [ring, rank] is the leaf of each rank in the order of its ring, *uplinks* [leaf]
    what a leaf's cables to the tier above carry, in NICs. A ring keeps the share of its most
    loaded leaf, where flows that leave and flows that come in have a direction of the cables each.
    """
    following = np.roll(leaf_of_rank, -1, axis=1)
    crosses = leaf_of_rank != following
    leaves_count = len(uplinks)
    leaving = np.bincount(leaf_of_rank[crosses], minlength=leaves_count)
    coming = np.bincount(following[crosses], minlength=leaves_count)
    share = np.minimum(1.0, uplinks / np.maximum(1, np.maximum(leaving, coming)))
    of_step = np.minimum(share[leaf_of_rank], share[following])
    kept: F64 = np.where(crosses, of_step, 1.0).min(axis=1)
    return kept


def ecmp_share(flows: int, paths: int, flows_per_pair: int = 1) -> float:
    """Return the share that the slowest of *flows* keeps when each is hashed to one of *paths*.

    It is relative to an even spread. With more *flows_per_pair* a NIC's traffic is cut into as many
    flows, and loads even out.
    """
    hashed = flows * flows_per_pair
    even = max(flows_per_pair, hashed / paths)
    return min(1.0, even / highest_load(hashed, paths)) if hashed else 1.0


def highest_load(flows: int, paths: int) -> float:
    """Return the expected flows on the fullest of *paths* when *flows* are hashed over them."""
    least = -(-flows // paths)  # the fullest path has no fewer
    if paths == 1 or flows <= 1:
        return float(least)
    expected, at_most = float(least), 0.0
    for load in range(flows):
        at_most += exp(
            lgamma(flows + 1)
            - lgamma(load + 1)
            - lgamma(flows - load + 1)
            + (flows - load) * log1p(-1 / paths)
            - load * log(paths)
        )
        above = 1 - min(1.0, at_most) ** paths
        if above < _NEGLIGIBLE:
            break
        expected += above if load >= least else 0.0
    return expected
