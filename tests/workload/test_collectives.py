"""Collectives: limits that need no data."""

import pytest

from dcsim.workload.collectives import Fabric, all_reduce_s, gather_s, ring_frac, send_s

FABRIC = Fabric(8, 360e9, 46e9, 3.4e-6, 14e-6, 8.4e-6)


def busbw(size_byte: float, ranks: int, ranks_per_node: int) -> float:
    seconds = all_reduce_s(FABRIC, size_byte, ranks, ranks_per_node)
    return 2 * (ranks - 1) / ranks * size_byte / seconds


def test_large_messages_reach_the_slowest_link() -> None:
    assert busbw(1e12, 8, 8) == pytest.approx(360e9, rel=1e-3)
    assert busbw(1e13, 1024, 1) == pytest.approx(46e9, rel=1e-3)
    assert busbw(1e13, 1024, 2) == pytest.approx(92e9, rel=1e-3)
    assert busbw(1e13, 1024, 8) == pytest.approx(360e9, rel=2e-3)


def test_latency_grows_with_ranks() -> None:
    nothing = [gather_s(FABRIC, 0, ranks, 1) for ranks in (1, 2, 1024)]
    assert nothing == pytest.approx([0, 8.4e-6 + 14e-6, 8.4e-6 + 1023 * 14e-6])
    assert gather_s(FABRIC, 0, 16, 8) == pytest.approx(8.4e-6 + 14 * 3.4e-6 + 14e-6)
    assert all_reduce_s(FABRIC, 1e9, 1, 1) == 0


def test_a_message_takes_latency_and_its_bytes() -> None:
    assert send_s(FABRIC, 46e6) == pytest.approx(1e-3 + 22.4e-6)


@pytest.mark.parametrize(
    ("oversubscription", "stride_nodes", "share"),
    [(1, 64, 1), (4, 16, 1), (4, 32, 0.5), (4, 64, 0.25), (4, 500, 0.25)],
)
def test_a_ring_keeps_what_the_uplinks_of_its_domain_carry(
    oversubscription: float, stride_nodes: int, share: float
) -> None:
    fabric = FABRIC._replace(oversubscription=oversubscription, domain_nodes=64)
    assert ring_frac(fabric, stride_nodes) == share
