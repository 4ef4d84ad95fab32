"""Collectives: limits that need no data."""

import pytest

from dcsim.workload.collectives import Fabric, all_gather_s, all_reduce_s, all_to_all_s, send_s

FABRIC = Fabric(360e9, 46e9, 3.4e-6, 14e-6, 8.4e-6)


def busbw(size_byte: float, ranks: int, near: int) -> float:
    return 2 * (ranks - 1) / ranks * size_byte / all_reduce_s(FABRIC, size_byte, ranks, near)


def test_large_messages_reach_the_slowest_link() -> None:
    assert busbw(1e12, 8, 8) == pytest.approx(360e9, rel=1e-3)
    assert busbw(1e13, 1024, 1) == pytest.approx(46e9, rel=1e-3)
    assert busbw(1e13, 1024, 8) == pytest.approx(360e9, rel=2e-3)


def test_latency_grows_with_ranks() -> None:
    nothing = [all_gather_s(FABRIC, 0, ranks, 1) for ranks in (1, 2, 1024)]
    assert nothing == pytest.approx([0, 8.4e-6 + 14e-6, 8.4e-6 + 1023 * 14e-6])
    assert all_reduce_s(FABRIC, 1e9, 1, 1) == 0


def test_messages_take_latency_and_their_bytes() -> None:
    assert send_s(FABRIC, 46e6, False) == pytest.approx(1e-3 + 22.4e-6)
    assert send_s(FABRIC, 360e6, True) == pytest.approx(1e-3 + 11.8e-6)
    assert all_to_all_s(FABRIC, 64e9, 64, 8) == pytest.approx(56e9 / 46e9, rel=1e-3)
