"""Contention: what hashing, oversubscription and placement leave of a NIC."""

import numpy as np
import pytest

from dcsim.workload.contention import (
    ecmp_share,
    highest_load,
    leaf_nodes_count,
    placed_ring_share,
    ring_share,
)


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
