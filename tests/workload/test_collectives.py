"""Collectives: limits that need no data, and the 8 cases that ASTRA-sim computes."""

from itertools import pairwise

import numpy as np
import pytest

from dcsim.catalog import sheet
from dcsim.workload.collectives import (
    all_gather_s,
    all_reduce_s,
    all_to_all_s,
    reduce_scatter_s,
    send_s,
)
from dcsim.workload.fabric import (
    Fabric,
    Network,
    Protocol,
    fabric_of,
    gpu_fabric,
    network_of,
    parse_network,
    stack,
)

RING_RATE, NIC_RATE = 360e9, 46e9
RING = (Protocol(8.4e-6, 3.4e-6, 14e-6),)
PLAIN = Fabric(RING_RATE, NIC_RATE, domain_ring=RING, network_ring=RING, exchange=RING)
NODE = sheet("node", "hgx-h100-air")
H100 = gpu_fabric(sheet("gpu", "h100-sxm"), NODE, network_of(NODE))
A100 = gpu_fabric(sheet("gpu", "a100-80-sxm"), NODE, Network(8, 25e9))
COLLECTIVES = [all_reduce_s, all_gather_s, reduce_scatter_s, all_to_all_s]
FABRICS = [PLAIN, H100, A100]

every_collective = pytest.mark.parametrize("collective", COLLECTIVES)
every_fabric = pytest.mark.parametrize("fabric", FABRICS, ids=["plain", "h100", "a100"])


def astra(gbyte_per_s: float, latency_s: float, endpoint_s: float) -> Fabric:
    """A ring of links as ASTRA-sim has it, whose GB are 2**30 byte."""
    hop = (Protocol(domain_hop_s=latency_s + endpoint_s),)
    return Fabric(
        domain_byte_per_s=gbyte_per_s * 2**30,
        domain_ring=hop,
        exchange=hop,
        relayed=1.0,
        chunks_count=4,
        memory_byte_per_s=1600e9,
    )


@pytest.mark.parametrize(
    ("collective", "ranks", "expected_ns"),
    [
        (all_reduce_s, 4, 43_000),
        (all_reduce_s, 8, 64_440),
        (all_gather_s, 4, 64_744),
        (all_gather_s, 8, 151_016),
        (reduce_scatter_s, 4, 22_240),
        (reduce_scatter_s, 8, 33_080),
        (all_to_all_s, 4, 41_560),
        (all_to_all_s, 8, 125_480),
    ],
)
def test_cases_of_astra_sim(collective, ranks: int, expected_ns: float) -> None:  # type: ignore[no-untyped-def]
    """Its times for 1 MiB; for an all-gather that is what each rank brings."""
    size_byte = 2**20 * (ranks if collective is all_gather_s else 1)
    found_s = collective(astra(50, 500e-9, 10e-9), size_byte, ranks, ranks)
    assert found_s == pytest.approx(expected_ns * 1e-9, rel=0.001)


def busbw(fabric: Fabric, size_byte: float, ranks: int, near: int) -> float:
    seconds = float(all_reduce_s(fabric, size_byte, ranks, near))
    return 2 * (ranks - 1) / ranks * size_byte / seconds


def test_large_messages_reach_the_slowest_link() -> None:
    assert busbw(PLAIN, 1e12, 8, 8) == pytest.approx(RING_RATE, rel=1e-3)
    assert busbw(PLAIN, 1e13, 1024, 1) == pytest.approx(NIC_RATE, rel=1e-3)
    assert busbw(PLAIN, 1e13, 1024, 2) == pytest.approx(2 * NIC_RATE, rel=1e-3)
    assert busbw(PLAIN, 1e13, 1024, 8) == pytest.approx(RING_RATE, rel=2e-3)


def test_latency_of_rings_grows_with_ranks() -> None:
    nothing = [float(all_gather_s(PLAIN, 0, ranks, 1)) for ranks in (1, 2, 1024)]
    assert nothing == pytest.approx([0, 8.4e-6 + 14e-6, 8.4e-6 + 1023 * 14e-6])
    assert all_gather_s(PLAIN, 0, 16, 8) == pytest.approx(8.4e-6 + 14 * 3.4e-6 + 14e-6)
    few, many = (float(reduce_scatter_s(H100, 1e6, ranks, 8)) for ranks in (256, 1024))
    assert many > 3.5 * few


def test_latency_of_trees_grows_with_their_depth() -> None:
    times = [float(all_reduce_s(H100, 1024, 8 * nodes, 8)) for nodes in (4, 16, 64)]
    assert times[2] - times[1] == pytest.approx(times[1] - times[0])


def test_a_sliced_step_hides_its_hops_behind_its_bytes() -> None:
    sliced = (RING[0]._replace(slices_count=2.0),)
    fabric = PLAIN._replace(network_ring=sliced)
    wire_s = 1023 / 1024 * 1e12 / RING_RATE
    assert all_gather_s(fabric, 1e12, 1024, 8) == pytest.approx(8.4e-6 + wire_s)
    assert all_gather_s(fabric, 0, 1024, 8) == all_gather_s(PLAIN, 0, 1024, 8)


def test_a_pipeline_costs_at_most_its_filling() -> None:
    filled = PLAIN._replace(domain_ring=(RING[0]._replace(fill_s=1e-4),))

    def cost(size_byte: float) -> float:
        return float(all_gather_s(filled, size_byte, 8, 8) - all_gather_s(PLAIN, size_byte, 8, 8))

    wire_s = 7 / 8 * 1e4 / RING_RATE
    assert cost(1e4) == pytest.approx(wire_s, rel=1e-3)
    assert cost(1e12) == pytest.approx(1e-4, rel=1e-3)


def test_switches_that_reduce_beat_a_ring_from_five_gpus_on() -> None:
    ring = H100._replace(domain_nvls=(), network_nvls=(), network_tree=())
    assert busbw(H100, 1e11, 4, 4) == pytest.approx(busbw(ring, 1e11, 4, 4), rel=0.02)
    assert busbw(H100, 1e11, 8, 8) > 1.3 * busbw(ring, 1e11, 8, 8)
    assert busbw(A100, 1e11, 8, 8) < 300e9


def test_two_nodes_exceed_the_rate_of_their_nics() -> None:
    assert busbw(H100, 1e11, 16, 8) > 400e9
    assert busbw(H100, 1e11, 32, 8) < 400e9


def test_an_exchange_is_bound_by_the_part_that_leaves() -> None:
    leaving_s = 1e11 * 56 / 64 / NIC_RATE
    assert all_to_all_s(PLAIN, 1e11, 64, 8) == pytest.approx(leaving_s, rel=1e-3)
    inside_s = 1e11 * 7 / 8 / RING_RATE
    assert all_to_all_s(PLAIN, 1e11, 8, 8) == pytest.approx(inside_s, rel=1e-3)


def test_a_message_takes_latency_and_its_bytes() -> None:
    assert send_s(PLAIN, 46e6, near=False) == pytest.approx(1e-3 + 22.4e-6)
    assert send_s(PLAIN, 36e7, near=True) == pytest.approx(1e-3 + 11.8e-6)
    assert send_s(H100, 1e8, near=True) < send_s(H100, 1e8, near=False)
    assert send_s(PLAIN, 46e6, near=False, share=0.5) == pytest.approx(2e-3 + 22.4e-6)


@every_collective
@every_fabric
def test_more_takes_longer(collective, fabric: Fabric) -> None:  # type: ignore[no-untyped-def]
    sizes = [0, 1, 1e3, 1e5, 1e6, 3e6, 1e7, 1e8, 1e9, 1e10, 1e11]
    for ranks, near in ((2, 2), (8, 8), (2, 1), (64, 8), (4096, 8)):
        times = [float(collective(fabric, size, ranks, near)) for size in sizes]
        assert all(a <= b for a, b in pairwise(times))
    for size in sizes:
        for near in (1, 8):
            times = [float(collective(fabric, size, near * n, near)) for n in (2, 4, 16, 64, 512)]
            assert all(a <= b * (1 + 1e-12) for a, b in pairwise(times))


@every_collective
@every_fabric
def test_one_rank_costs_nothing(collective, fabric: Fabric) -> None:  # type: ignore[no-untyped-def]
    assert collective(fabric, 1e9, 1, 1) == 0
    assert collective(fabric, 1e9, 1, 8) == 0


@every_collective
@every_fabric
def test_in_a_domain_is_faster_than_across(collective, fabric: Fabric) -> None:  # type: ignore[no-untyped-def]
    for size in (1e3, 1e6, 1e8, 1e10):
        inside, two, one = (float(collective(fabric, size, 8, near)) for near in (8, 2, 1))
        assert inside < two <= one


@every_collective
@every_fabric
def test_a_smaller_share_of_the_nics_counts_only_across(collective, fabric: Fabric) -> None:  # type: ignore[no-untyped-def]
    assert collective(fabric, 1e9, 8, 8, 0.5) == collective(fabric, 1e9, 8, 8)
    whole, half = (float(collective(fabric, 1e11, 64, 2, share)) for share in (1.0, 0.5))
    assert half == pytest.approx(2 * whole, rel=0.02)


@every_collective
def test_rows_of_a_table_equal_single_calls(collective) -> None:  # type: ignore[no-untyped-def]
    size = np.array([1e3, 1e6, 1e8, 1e10] * 6)
    ranks = np.repeat([1.0, 2.0, 8.0, 16.0, 64.0, 1024.0], 4)
    near = np.tile([8.0, 1.0, 4.0, 8.0], 6)
    which = np.arange(24) % 3
    table = collective(stack(FABRICS, which), size, ranks, near, 0.7)
    single = [
        collective(FABRICS[fabric], *row, 0.7)
        for fabric, *row in zip(which, size, ranks, near, strict=True)
    ]
    assert table == pytest.approx(np.array(single), rel=1e-12)
    assert collective(H100, 1e9, ranks, near).shape == (24,)


def test_messages_of_a_table_equal_single_calls() -> None:
    near = np.array([True, False, True])
    table = send_s(stack(FABRICS, np.arange(3)), np.array([1e5, 1e6, 1e7]), near)
    single = [send_s(f, s, near=n) for f, s, n in zip(FABRICS, (1e5, 1e6, 1e7), near, strict=True)]
    assert table == pytest.approx(np.array(single), rel=1e-12)


def test_networks_are_read_as_nics_times_rate() -> None:
    assert parse_network("4x200 Gbit/s") == (4, 25e9)
    assert parse_network(" 8 x 400 Gbit/s ") == network_of(NODE)
    half = gpu_fabric(sheet("gpu", "h100-sxm"), NODE, parse_network("4x400 Gbit/s"))
    assert half.nic_byte_per_s == pytest.approx(np.asarray(H100.nic_byte_per_s) / 2)


@pytest.mark.parametrize(
    "text",
    ["", "400 Gbit/s", "0x400 Gbit/s", "8x", "8x400", "8x400 W", "-8x400 Gbit/s", "8x0 GB/s"],
)
def test_other_networks_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"needed|allowed"):
        parse_network(text)


@pytest.mark.parametrize("links", ["nvlink3", "nvlink4", "nvlink5", "infinity-fabric", "ici"])
def test_every_kind_of_links_makes_a_fabric(links: str) -> None:
    fabric = fabric_of(sheet("fabric", links), 450e9, Network(8, 50e9), 8)
    assert 300e9 < busbw(fabric, 1e11, 8, 8) < 500e9
