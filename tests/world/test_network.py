"""The fabric: its counts, what its wiring reaches, and what a lost switch costs."""

import re

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim.world.network import RailClos, build_clos


@pytest.mark.parametrize(
    ("units", "leaves", "spines", "cores", "cables"),
    [
        (2, 16, 8, 0, (512, 512, 0)),
        (4, 32, 16, 0, (1024, 1024, 0)),
        (8, 64, 32, 0, (2048, 2048, 0)),
        (16, 128, 128, 64, (4096, 4096, 4096)),
        (32, 256, 256, 128, (8192, 8192, 8192)),
        (64, 512, 512, 256, (16384, 16384, 16384)),
    ],
)
def test_counts_are_those_of_the_superpod_table(
    units: int, leaves: int, spines: int, cores: int, cables: tuple[int, int, int]
) -> None:
    clos = build_clos(32 * units, nics_count=8, radix_count=64)
    assert (clos.leaves_count, clos.spines_count, clos.cores_count) == (leaves, spines, cores)
    assert clos.cables_count == cables


def test_counts_of_25_000_nodes() -> None:
    clos = build_clos(25_000, nics_count=8, radix_count=128)
    assert (clos.leaves_count, clos.spines_count, clos.cores_count) == (3128, 3128, 1564)
    assert clos.cables_count == (200_000, 3128 * 64, 3128 * 64)
    assert (clos.unit_of_node == 390).sum() == 40  # the last unit is partly filled


fabrics = st.builds(
    build_clos,
    nodes_count=st.integers(1, 128),
    nics_count=st.sampled_from([1, 2, 3, 8]),
    radix_count=st.sampled_from([16, 24, 32]),
    oversubscription=st.sampled_from([1.0, 1.5, 7.0]),
)


@given(fabrics)
def test_no_switch_has_more_cables_than_ports(clos: RailClos) -> None:
    graph = clos.graph()
    for vertex, tier in graph.nodes(data="tier"):
        cables = graph.degree(vertex, weight="count")
        assert cables <= (clos.radix_count if tier else clos.nics_count)


@given(fabrics)
def test_every_pair_of_nodes_is_as_near_as_stated(clos: RailClos) -> None:
    graph = clos.graph()
    leaves = np.flatnonzero(np.arange(clos.leaves_count) % clos.nics_count)  # of other rails
    graph.remove_nodes_from((clos.nodes_count + leaves).tolist())
    lengths = nx.single_source_shortest_path_length(graph, 0)
    others = np.arange(1, clos.nodes_count)
    assert [lengths[node] - 1 for node in others] == clos.hops(0, others).tolist()


def test_the_graph_holds_what_the_arrays_hold() -> None:
    clos = build_clos(300, nics_count=8, radix_count=32)
    graph = clos.graph()
    tiers = np.array([tier for _, tier in graph.nodes(data="tier")])
    counts = (clos.nodes_count, clos.leaves_count, clos.spines_count, clos.cores_count)
    assert np.bincount(tiers).tolist() == list(counts)
    cables = [0, 0, 0]
    for a, b, count in graph.edges(data="count"):
        assert tiers[b] == tiers[a] + 1
        cables[tiers[a]] += count
    assert tuple(cables) == clos.cables_count
    for node in (0, 17, 299):
        leaves = sorted(v - clos.nodes_count for v in graph.neighbors(node))
        assert leaves == clos.leaf_of_nic[node].tolist()


def test_hops() -> None:
    clos = build_clos(512, nics_count=8, radix_count=64)
    assert clos.hops(0, [0, 31, 32, 127, 128]).tolist() == [0, 1, 3, 3, 5]


def test_oversubscription_thins_the_highest_tier_only() -> None:
    small = build_clos(128, 8, 64, oversubscription=4)
    assert (small.spines_count, small.cables_count) == (4, (1024, 256, 0))
    large = build_clos(512, 8, 64, oversubscription=4)
    assert (large.spines_count, large.cores_count) == (128, 16)
    assert large.cables_count == (4096, 4096, 1024)


def test_lost_spines_and_cores_cost_their_share() -> None:
    clos = build_clos(512, 8, 64)  # four pods of 32 leaves and 32 spines
    spines, cores = np.ones(128), np.ones(64)
    assert (clos.uplink_frac(spines, cores) == 1).all()
    spines[0] = 0
    share = clos.uplink_frac(spines, cores)
    assert share[:32] == pytest.approx(31 / 32)
    assert (share[32:] == 1).all()
    cores[:32] = 0.5
    assert clos.uplink_frac(np.ones(128), cores) == pytest.approx(0.75)
    assert (clos.uplink_frac(np.zeros(128), np.ones(64)) == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8, 64), "0 nodes: at least 1 is needed"),
        ((8, 8, 63), "63-port switches: an even number of ports is needed"),
        ((8, 33, 64), "33 NICs a node: 1 to 32 with 64-port switches"),
        ((8, 8, 64, 0.5), "oversubscription 0.5: allowed 1 to 32"),
        ((8, 8, 64, float("nan")), "oversubscription nan: allowed 1 to 32"),
        ((8193, 8, 64), "8193 nodes with 8 NICs: three tiers of 64-port switches reach 8192"),
    ],
)
def test_impossible_fabrics(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_clos(*arguments)
