"""Who serves what: the seats of a job, and what its place leaves of the network for its traffic."""

from typing import NamedTuple

import numpy as np

from dcsim.workload.contention import (
    WHOLE,
    Shares,
    placed_exchange_share,
    placed_ring_share,
)
from dcsim.workload.layout import Layout, lockstep_ranks, replicas_per_node, seats
from dcsim.world import Site
from dcsim.world.tables import F64, I32


class Seats(NamedTuple):
    """The seats of a job: of each group of ranks that are in step, each rank in it, each stage.

    A seat is the GPUs of one tensor group, neighbours in a node. All are [groups, ranks, stages].
    """

    place: I32  # of the job's nodes
    first_gpu: I32  # in its node; GPU and NIC of a node have the same number


class _Tier(NamedTuple):
    """Switches above nodes: which of them each node hangs on, and what each has of cables up."""

    of_node: I32  # [node]
    uplinks: F64  # on each rail, in NICs


def seats_of(layout: Layout, gpus_per_node: int) -> Seats:
    """Return the seats of a job whose ranks are on its nodes in order."""
    rank, stage = seats(layout, gpus_per_node)
    shape = (layout.dp * layout.cp, layout.pp)
    place, gpu = np.empty(shape, np.int32), np.empty(shape, np.int32)
    first = np.arange(0, layout.gpus_count, layout.tp)
    place[rank[first], stage[first]] = first // gpus_per_node
    gpu[rank[first], stage[first]] = first % gpus_per_node
    groups = (-1, lockstep_ranks(layout), layout.pp)
    return Seats(place.reshape(groups), gpu.reshape(groups))


def placed_shares(layout: Layout, seat_node: I32, site: Site) -> Shares:
    """Return what each kind of a job's traffic keeps of its NICs on these nodes of *site*.

    Only traffic of the same job is counted.
    """
    network = site.ask.network
    if network.oversubscription == 1.0 and network.routing == "adaptive":
        return WHOLE
    found = [_on_tier(layout, seat_node, site, tier) for tier in _tiers(site)]
    return Shares(*(float(min(shares)) for shares in zip(*found, strict=True)))


def _tiers(site: Site) -> list[_Tier]:
    """Return the tiers that traffic may meet others in: the highest, and leaves that hash."""
    clos, network = site.clos, site.ask.network
    nodes = int(np.bincount(clos.domain_of_node).max())
    found = [(clos.domain_of_node, nodes / network.oversubscription)]
    if network.routing == "ecmp" and clos.cores_count:
        found.append((clos.unit_of_node, float(clos.unit_nodes_count)))
    return [_Tier(of, np.full(int(of.max()) + 1, uplinks)) for of, uplinks in found]


def _on_tier(layout: Layout, seat_node: I32, site: Site, tier: _Tier) -> Shares:
    """Return the shares on one tier; on each rail a node sends one flow."""
    is_hashed = site.ask.network.routing == "ecmp"
    together = replicas_per_node(layout, site.gpus_per_node)
    stages_of_node = site.gpus_per_node // layout.tp // together
    nodes = seat_node.reshape(layout.dp * layout.cp, layout.pp)[::together, ::stages_of_node]
    leaf = tier.of_node[nodes]

    def rings(leaf_of_rank: I32) -> float:
        return float(placed_ring_share(leaf_of_rank, tier.uplinks, is_hashed=is_hashed).min())

    return Shares(
        gradients=rings(leaf.T),
        context=rings(_groups(leaf, layout.cp, together)),
        experts=float(
            placed_exchange_share(_groups(leaf, layout.ep, together), tier.uplinks).min()
        ),
        sends=rings(leaf),
    )


def _groups(leaf: I32, ranks: int, together: int) -> I32:
    """Return the leaves of each group of so many ranks, [group, node]; all in one if it is odd."""
    nodes = -(-ranks // together)
    nodes = nodes if len(leaf) % nodes == 0 else len(leaf)
    return np.swapaxes(leaf.reshape(-1, nodes, leaf.shape[1]), 1, 2).reshape(-1, nodes)
