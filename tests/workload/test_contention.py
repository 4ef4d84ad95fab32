"""Contention: what hashing, oversubscription and placement leave of a NIC."""

import numpy as np
import pytest

from dcsim.workload.contention import (
    WHOLE,
    Shares,
    ecmp_share,
    highest_load,
    leaf_nodes_count,
    placed_exchange_share,
    placed_ring_share,
    ring_share,
    shares_of,
    tier_of,
)
from dcsim.workload.layout import Layout


@pytest.mark.parametrize(
    ("oversubscription", "stride_nodes", "share"),
    [(1, 64, 1), (4, 16, 1), (4, 32, 0.5), (4, 64, 0.25), (4, 500, 0.25)],
)
def test_a_ring_keeps_what_the_uplinks_of_its_leaf_carry(
    oversubscription: float, stride_nodes: int, share: float
) -> None:
    assert ring_share(stride_nodes, 64, oversubscription) == share


def test_a_plain_fat_tree_has_fewer_nodes_below_a_leaf() -> None:
    assert leaf_nodes_count(64, 8, is_rail_optimised=True) == 32
    assert leaf_nodes_count(64, 8, is_rail_optimised=False) == 4


@pytest.mark.parametrize(("flows", "paths"), [(2, 2), (4, 4), (8, 8), (128, 8), (8, 64), (4000, 4)])
def test_the_fullest_path_is_that_of_hashing(flows: int, paths: int) -> None:
    draw = np.random.Generator(np.random.Philox(7))
    loads = [np.bincount(draw.integers(0, paths, flows)).max() for _ in range(2000)]
    assert highest_load(flows, paths) == pytest.approx(np.mean(loads), rel=0.12)
    assert highest_load(flows, paths) >= flows / paths


def test_hashing_costs_less_with_more_and_smaller_flows() -> None:
    assert ecmp_share(8, 8) == pytest.approx(0.41, abs=0.01)
    assert ecmp_share(8, 8) < ecmp_share(8, 8, flows_per_pair=16) < 1
    assert ecmp_share(1, 8) == ecmp_share(8, 1) == ecmp_share(0, 8) == 1


def test_rings_that_cross_between_the_same_leaves_share_their_uplinks() -> None:
    rings = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]])
    assert placed_ring_share(rings, np.array([2.0, 2.0])).tolist() == [1, 1, 1]
    assert placed_ring_share(rings, np.array([1.0, 2.0])).tolist() == [0.5, 0.5, 1]
    scattered = np.array([[0, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1]])
    assert placed_ring_share(scattered, np.array([2.0, 2.0])) == pytest.approx(1 / 3)


def test_counting_agrees_with_the_closed_form() -> None:
    leaf_nodes, stride, nodes = 4, 2, 16
    rings = np.arange(nodes).reshape(-1, stride).T // leaf_nodes
    counted = placed_ring_share(rings, np.full(nodes // leaf_nodes, leaf_nodes / 3))
    assert counted == pytest.approx(ring_share(stride, leaf_nodes, 3.0))


def test_hashing_takes_from_rings_that_leave_their_leaf() -> None:
    rings = np.array([[0, 1], [0, 1], [0, 1], [0, 0]])
    uplinks = np.array([8.0, 8.0])
    kept = placed_ring_share(rings, uplinks, is_hashed=True)
    assert kept == pytest.approx([ecmp_share(3, 8)] * 3 + [1])
    assert placed_ring_share(rings, uplinks).tolist() == [1, 1, 1, 1]


def test_of_an_exchange_as_much_leaves_a_leaf_as_members_are_elsewhere() -> None:
    apart = np.array([[0, 1, 2, 3], [0, 1, 2, 3]])
    assert placed_exchange_share(apart, np.full(4, 1.5)).tolist() == [1, 1]
    assert placed_exchange_share(apart, np.full(4, 0.75)).tolist() == [0.5, 0.5]
    halves = np.array([[0, 0, 1, 1], [2, 2, 2, 2]])
    assert placed_exchange_share(halves, np.full(3, 0.5)).tolist() == [0.5, 1]


TIER = tier_of(
    64, 8, 8, is_rail_optimised=True, oversubscription=4, is_hashed=False
)  # 32 nodes below a leaf, 8 cables up
BASE = Layout(8, 16, 128, micro_batch=1, global_batch=2048, sequence=8192)


def test_a_network_that_is_whole_takes_nothing() -> None:
    for is_rail_optimised in (True, False):
        whole = tier_of(
            *(64, 8, 8),
            is_rail_optimised=is_rail_optimised,
            oversubscription=1,
            is_hashed=False,
        )
        assert shares_of(BASE, 8, whole) == WHOLE


def test_the_shares_of_a_layout_are_those_of_its_place() -> None:
    leaf = np.arange(2048) // 32
    uplinks = np.full(64, 8.0)
    nodes = np.arange(2048).reshape(128, 16)  # a replica each
    shares = shares_of(BASE, 8, TIER)
    assert shares.gradients == placed_ring_share(leaf[nodes.T], uplinks).min() == 0.5
    assert shares.sends == placed_ring_share(leaf[nodes], uplinks).min() == 1
    long = shares_of(BASE._replace(cp=2, dp=64), 8, TIER)
    assert (long.context, long.gradients) == (1, 0.5)
    longer = shares_of(BASE._replace(cp=4, dp=32), 8, TIER)
    assert longer.context == placed_ring_share(leaf[nodes.reshape(32, 4, 16).swapaxes(1, 2)]
                                               .reshape(-1, 4), uplinks).min()  # fmt: skip
    spread = shares_of(BASE._replace(tp=1, pp=1, dp=512, ep=512), 8, TIER)
    assert spread.experts == placed_exchange_share(leaf[np.arange(64)][None], uplinks).min() == 0.5
    assert shares_of(BASE._replace(pp=1, dp=32), 8, TIER).gradients == 1  # below one leaf


def test_a_plain_tree_sends_more_upwards_and_hashing_takes_its_part() -> None:
    def shares(*, is_rail_optimised: bool, oversubscription: float, is_hashed: bool) -> Shares:
        tier = tier_of(
            *(64, 8, 8),
            is_rail_optimised=is_rail_optimised,
            oversubscription=oversubscription,
            is_hashed=is_hashed,
        )
        return shares_of(BASE._replace(dp=np.array([128, 256])), 8, tier)

    rails = shares(is_rail_optimised=True, oversubscription=4, is_hashed=False)
    tree = shares(is_rail_optimised=False, oversubscription=4, is_hashed=False)
    hashed = shares(is_rail_optimised=False, oversubscription=1, is_hashed=True)
    assert np.all(tree.gradients < rails.gradients)
    assert hashed.gradients == pytest.approx([ecmp_share(32, 32)] * 2)
    assert np.all(hashed.sends > hashed.gradients)
