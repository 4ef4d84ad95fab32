"""Which cuts are legal, what is said of the others, and who sits where."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim.workload.layout import Layout, Problem, pipeline_slots, plan, replicas_per_node, seats
from dcsim.workload.model import dense

LLAMA_405B = dense(126, 16384, 128, 8, 53248, 128256, gated=True, tied=False)


def ask(gpus_count: int = 16384, **changes: Any) -> tuple[Layout | None, list[Problem]]:
    request: dict[str, Any] = {
        "tp": 8,
        "pp": 16,
        "dp": None,
        "batch": 2048,
        "micro_batch": 1,
        "sequence": 8192,
        "interleave": 8,
    }
    return plan(LLAMA_405B, 8, gpus_count, **request | changes)


def test_the_published_layout_is_legal() -> None:
    layout, problems = ask()
    assert problems == []
    assert layout == Layout(8, 16, 128, 1, 2048, 8192, vpp=8)
    assert (layout.gpus_count, layout.global_batch) == (16384, 2048)
    assert layout.tokens_count == 2048 * 8192


def test_replicas_fill_the_room() -> None:
    layout, _ = ask(gpus_count=192_100, batch=24_000)
    assert layout is not None
    assert (layout.dp, layout.micro_batches) == (1500, 16)


@pytest.mark.parametrize(
    ("changes", "key", "text"),
    [
        (
            {"tp": 3},
            "parallel.tp",
            "3 does not divide the 8 GPUs of a node, 128 heads, ffn 53248: nearest is 2 or 4",
        ),
        (
            {"tp": 16},
            "parallel.tp",
            "16 does not divide the 8 GPUs of a node, 128 heads, ffn 53248: nearest is 8",
        ),
        (
            {"pp": 12, "interleave": 1},
            "parallel.pp",
            "12 stages do not divide 126 layers, nor those and 2 embeddings: nearest is 9 or 14",
        ),
        (
            {"interleave": 5},
            "interleave",
            "16 stages of 5 chunks do not divide 126 layers, nor those and 2 embeddings: "
            "nearest is 4 or 8",
        ),
        (
            {"pp": 1, "interleave": 2},
            "interleave",
            "2 chunks of a pipeline of one stage: nearest is 1",
        ),
        (
            {"gpus_count": 64},
            "parallel.pp",
            "a replica takes 8 x 16 = 128 GPUs, more than there are",
        ),
        (
            {"dp": 129},
            "parallel.dp",
            "129: a replica takes 8 x 16 = 128 GPUs, there is room for 1 to 128",
        ),
        (
            {"tp": 1, "pp": 2, "dp": 6, "interleave": 1},
            "parallel.dp",
            "6: a replica takes 1 x 2 = 2 GPUs, which leaves a node half used: nearest is 4 or 8",
        ),
        (
            {"batch": 2000},
            "batch",
            "2000 is no multiple of 128 replicas x micro-batch 1 x 16 interleaved stages = 2048: "
            "nearest is 2048",
        ),
        (
            {"batch": 100, "interleave": 1},
            "batch",
            "100 is no multiple of 128 replicas x micro-batch 1 = 128: nearest is 128",
        ),
    ],
)
def test_an_illegal_layout_is_refused_with_the_nearest_legal(
    changes: dict[str, Any], key: str, text: str
) -> None:
    assert ask(**changes) == (None, [Problem(key, text)])


def test_all_independent_problems_are_told_at_once() -> None:
    _, problems = ask(tp=5, pp=20)
    assert [problem.key for problem in problems] == ["parallel.tp", "parallel.pp"]


def test_embeddings_take_slots_where_layers_do_not_divide() -> None:
    assert pipeline_slots(LLAMA_405B, 9) == 126
    assert pipeline_slots(LLAMA_405B, 128) == 128
    assert pipeline_slots(LLAMA_405B, 12) == 0


@given(
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.integers(1, 12),
    dp=st.integers(1, 24),
)
def test_seats_hold_every_rank_once_and_tensor_groups_stay_in_a_node(
    tp: int, pp: int, dp: int
) -> None:
    layout = Layout(tp, pp, dp, 1, dp, 2048)
    if layout.gpus_count % 8:
        return
    replica, stage = seats(layout, gpus_per_node=8)
    group = replica * pp + stage
    assert (np.bincount(group, minlength=dp * pp) == tp).all()
    first, last = np.full(dp * pp, 10**9), np.zeros(dp * pp, int)
    gpu = np.arange(layout.gpus_count)
    np.minimum.at(first, group, gpu)
    np.maximum.at(last, group, gpu)
    assert (first // 8 == last // 8).all()
    in_first_node = {(int(r), int(s)) for r, s in zip(replica[:8], stage[:8], strict=True)}
    assert sum(s == 0 for _, s in in_first_node) == replicas_per_node(layout, 8)
