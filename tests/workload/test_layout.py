"""Who sits where, and who is in step with whom."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim.workload.layout import Layout, lockstep_ranks, replicas_per_node, seats


@given(
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.integers(1, 12),
    dp=st.integers(1, 24),
    cp=st.sampled_from([1, 2, 4]),
)
def test_seats_hold_every_rank_once_and_tensor_groups_stay_in_a_node(
    tp: int, pp: int, dp: int, cp: int
) -> None:
    layout = Layout(tp, pp, dp, 1, dp, 2048, cp=cp)
    if layout.gpus_count % 8:
        return
    alike, stage = seats(layout, gpus_per_node=8)
    group = alike * pp + stage
    assert (np.bincount(group, minlength=dp * cp * pp) == tp).all()
    first, last = np.full(dp * cp * pp, 10**9), np.zeros(dp * cp * pp, int)
    gpu = np.arange(layout.gpus_count)
    np.minimum.at(first, group, gpu)
    np.maximum.at(last, group, gpu)
    assert (first // 8 == last // 8).all()
    in_first_node = {(int(r), int(s)) for r, s in zip(alike[:8], stage[:8], strict=True)}
    assert sum(s == 0 for _, s in in_first_node) == replicas_per_node(layout, 8)


@pytest.mark.parametrize(("cp", "ep", "ranks"), [(1, 1, 1), (4, 1, 4), (1, 8, 8), (4, 6, 12)])
def test_those_that_share_a_sequence_or_experts_are_in_step(cp: int, ep: int, ranks: int) -> None:
    assert lockstep_ranks(Layout(1, 1, 12, 1, 12, 2048, cp=cp, ep=ep)) == ranks
