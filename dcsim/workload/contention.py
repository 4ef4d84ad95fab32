"""Contention: the share of its NIC that a member of a collective gets from the network.

Collectives take this as *share*, one for each kind of a job's traffic (`Shares`): `shares_of` from
a layout alone, the others counted from where ranks are. A fabric that is not oversubscribed and
spreads packets over all paths gives 1. Otherwise flows that leave their leaf share its uplinks, and
where each flow is hashed to one path (ECMP) the slowest of them, for which the collective waits,
shares its path with more than the average. Shares of independent causes multiply.

Valid for flows of equal size that all send at the same time, kinds of traffic one after the other.
`shares_of` takes jobs as packed, groups as standing in as few leaves as they can.
Accuracy: the expected load of the fullest path is up to 6% below a simulation of hashing from 8
paths on, 12% on two to four; 8 flows on 8 paths keep 0.4 of their rate, 16 on 16 a third. Between
nodes on RoCE, gathers and scatters by eight, four and two GPUs of each kept 0.79, 0.81 and 0.51 of
what adaptive or static routes gave (ISCA 2025, read off a figure); how many flows shared how many
paths is not stated, so that these are not predicted.
Source: the multinomial distribution, its links taken as independent.
"""

from functools import cache
from math import exp, lgamma, log, log1p
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim.workload.fabric import Real
from dcsim.workload.layout import Layout

Ints = npt.NDArray[np.integer[Any]]
F64 = npt.NDArray[np.float64]

_NEGLIGIBLE = 1e-9  # probability at which the sum over loads ends
_MOST_FLOWS_PER_PAIR = 64  # more even out no further


class Shares(NamedTuple):
    """What each kind of traffic keeps of its NICs; a scalar or an array each."""

    gradients: Real = 1.0
    context: Real = 1.0
    experts: Real = 1.0
    sends: Real = 1.0


WHOLE = Shares()


class Tier(NamedTuple):
    """The first tier of switches: the GPUs under one set of leaves, and a leaf's ports."""

    leaf_gpus: int  # whose traffic with one another goes no higher
    down_count: int  # ports of a leaf to nodes
    up_count: float  # cables of a leaf that go up, each as fast as a NIC
    is_hashed: bool  # each flow keeps to one path (ECMP); else packets are spread over all

    @property
    def oversubscription(self) -> float:
        """Bandwidth of the nodes over that of the cables that go up."""
        return self.down_count / self.up_count


def tier_of(
    radix_count: int,
    nics_count: int,
    gpus_per_node: int,
    *,
    is_rail_optimised: bool,
    oversubscription: float,
    is_hashed: bool,
) -> Tier:
    """Return the tier that nodes are cabled to; see `leaf_nodes_count`."""
    nodes = leaf_nodes_count(radix_count, nics_count, is_rail_optimised)
    down = radix_count // 2
    return Tier(nodes * gpus_per_node, down, max(1.0, down / oversubscription), is_hashed)


def shares_of(layout: Layout, domain_count: Real, tier: Tier) -> Shares:
    """Return the shares of a job in its order of ranks; see `dcsim.workload.layout`.

    *domain_count* is the GPUs that need no network between them. The gradients of all stages go
    at once, in rings whose neighbours stand a replica of all stages on; stages send to the next.
    """
    if tier.oversubscription == 1.0 and not tier.is_hashed:
        return WHOLE
    near = np.minimum(layout.gradient_ranks, np.maximum(1, domain_count // layout.tp))
    block = layout.tp * near
    stride = block * layout.pp
    context = np.maximum(1, layout.cp / near)
    groups = np.maximum(1, layout.ep / near)
    outside = np.maximum(0.0, 1 - np.maximum(1, tier.leaf_gpus // stride) / groups)
    hashed = _hashed(tier, 1.0, np.minimum(groups, _MOST_FLOWS_PER_PAIR))
    experts = np.minimum(1.0, hashed / (np.maximum(outside, 1e-9) * tier.oversubscription))
    return Shares(
        gradients=_ring_kept(tier, stride, layout.gpus_count),
        context=_ring_kept(tier, stride, context * stride),
        experts=np.where(outside > 0, experts, 1.0),
        sends=_ring_kept(tier, block, stride),
    )


def _ring_kept(tier: Tier, stride_gpus: Real, span_gpus: Real) -> Real:
    """Return the share of rings that span so many GPUs, with neighbours *stride_gpus* on."""
    leaving_frac = np.minimum(1.0, stride_gpus / tier.leaf_gpus)
    kept = ring_share(stride_gpus, tier.leaf_gpus, tier.oversubscription)
    return np.where(span_gpus <= tier.leaf_gpus, 1.0, kept * _hashed(tier, leaving_frac, 1))


def _hashed(tier: Tier, leaving_frac: Real, flows_per_pair: Real) -> Real:
    """Return the share that hashing leaves of an even spread, of the ports that send upwards."""
    if not tier.is_hashed:
        return 1.0
    flows = np.ceil(tier.down_count * np.asarray(leaving_frac)).astype(np.int64)
    pairs = np.stack(np.broadcast_arrays(flows, np.asarray(flows_per_pair, np.int64)), axis=-1)
    kinds, which = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
    shares = np.array([ecmp_share(f, round(tier.up_count), k) for f, k in kinds.tolist()])
    return shares[which.ravel()].reshape(pairs.shape[:-1])


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


def placed_ring_share(leaf_of_rank: Ints, uplinks: F64, *, is_hashed: bool = False) -> F64:
    """Return the share of each ring, [ring], counted from where its ranks are.

    *leaf_of_rank* [ring, rank] is the leaf of each rank in the order of its ring, *uplinks* [leaf]
    what a leaf's cables to the tier above carry, in NICs. A ring keeps the share of its most
    loaded leaf, where flows that leave and flows that come in have a direction of the cables each.
    Where flows are hashed to a cable, the share is that of the slowest of a leaf's flows.
    """
    following = np.roll(leaf_of_rank, -1, axis=1)
    crosses = leaf_of_rank != following
    leaves_count = len(uplinks)
    leaving = np.bincount(leaf_of_rank[crosses], minlength=leaves_count)
    coming = np.bincount(following[crosses], minlength=leaves_count)
    flows = np.maximum(leaving, coming)
    share = np.minimum(1.0, uplinks / np.maximum(1, flows))
    if is_hashed:
        paths = np.maximum(1, np.rint(uplinks)).astype(np.int64)
        share *= np.array(list(map(ecmp_share, flows.tolist(), paths.tolist())))
    of_step = np.minimum(share[leaf_of_rank], share[following])
    kept: F64 = np.where(crosses, of_step, 1.0).min(axis=1)
    return kept


def placed_exchange_share(leaf_of_rank: Ints, uplinks: F64) -> F64:
    """Return the share of each group in which every rank sends to every other, [group].

    As `placed_ring_share`; of a rank's traffic as much leaves its leaf as there are members
    elsewhere.
    """
    groups, ranks = leaf_of_rank.shape
    pairs = np.arange(groups)[:, None] * len(uplinks) + leaf_of_rank
    members = np.bincount(pairs.ravel(), minlength=groups * len(uplinks))
    outside_frac = 1.0 - members[pairs] / ranks
    load = np.bincount(leaf_of_rank.ravel(), outside_frac.ravel(), minlength=len(uplinks))
    share = np.minimum(1.0, uplinks / np.maximum(load, 1e-9))
    kept: F64 = np.where(outside_frac > 0.0, share[leaf_of_rank], 1.0).min(axis=1)
    return kept


@cache
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
