"""Which cuts are legal, and what is said of the others: of estimates, and of jobs on a site."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim.scenario.job import Job, Parallel
from dcsim.workload.layout import Layout, Schedule, Sharding
from dcsim.workload.legality import RULES, SEATED, Broken, Cut, broken, legal, reason
from dcsim.workload.model import dense
from dcsim.workload.options import BY_NAME

LLAMA_405B = dense(126, 16384, 128, 8, 53248, 128256, gated=True, tied=False)
MIXTURE = LLAMA_405B._replace(experts=64, top_k=8, expert_ffn=2048)
PUBLISHED = Layout(8, 16, 128, 1, 2048, 8192, vpp=8)


def seated(gpus: int = 16384, shape: Any = LLAMA_405B, **changes: Any) -> list[Broken]:
    return list(broken(Cut(shape, PUBLISHED._replace(**changes), 8, gpus), SEATED))


def test_the_published_layout_is_legal() -> None:
    assert seated() == []
    assert reason(Cut(LLAMA_405B, PUBLISHED, 8, 16384)) == ""


@pytest.mark.parametrize(
    ("changes", "option", "text"),
    [
        ({"tp": 3}, "tp", "it is to divide the 8 GPUs of a node; nearest is 2 or 4"),
        ({"tp": 16}, "tp", "it is to divide the 8 GPUs of a node; nearest is 8"),
        ({"pp": 127, "vpp": 1}, "pp", "there are 126 layers; nearest is 126"),
        (
            {"vpp": 5},
            "vpp",
            "16 stages of as many chunks are to divide 126 layers, or those and 2 embeddings; "
            "nearest is 4 or 8",
        ),
        ({"pp": 1}, "vpp", "a pipeline of one stage cannot be interleaved; nearest is 1"),
        ({"schedule": Schedule.ZERO_BUBBLE}, "vpp", "only 1f1b is interleaved; nearest is 1"),
        (
            {"gpus": 64},
            "pp",
            "a replica takes tp x pp x cp = 128 GPUs, there are 64 beside the spares; nearest is 8",
        ),
        (
            {"dp": 129},
            "dp",
            "a replica takes tp x pp x cp = 128 GPUs, there is room for 128; nearest is 128",
        ),
        (
            {"tp": 1, "pp": 2, "dp": 6, "vpp": 1},
            "dp",
            "with 2 GPUs a replica it leaves a node of 8 half used; nearest is 4 or 8",
        ),
        (
            {"global_batch": 2000},
            "gbs",
            "it is to be a multiple of 128 replicas x micro-batch 1 x 16 interleaved stages = 2048"
            "; nearest is 2048",
        ),
        (
            {"global_batch": 100, "vpp": 1},
            "gbs",
            "it is to be a multiple of 128 replicas x micro-batch 1 = 128; nearest is 128",
        ),
        ({"cp": 3}, "cp", "twice as many parts are to divide the 8192 tokens of a sequence; "
         "nearest is 2 or 4"),
        ({"ep": 2}, "ep", "the model has no experts; nearest is 1"),
        (
            {"ep": 64, "shape": MIXTURE, "dp": 96, "global_batch": 1536},
            "ep",
            "it is to divide the 96 GPUs that hold the same layer; nearest is 32",
        ),
        (
            {"sharding": Sharding.ZERO3},
            "pp",
            "zero2 and zero3 with a pipeline are not modelled; nearest is 1",
        ),
    ],
)  # fmt: skip
def test_an_illegal_job_is_refused_with_the_nearest_legal(
    changes: dict[str, Any], option: str, text: str
) -> None:
    (found,) = seated(**changes)
    assert (found.option, found.text) == (option, text)


def test_all_independent_problems_are_told_at_once_and_none_that_follows() -> None:
    assert [rule.option for rule in seated(tp=5, pp=200, cp=3)] == ["tp", "pp", "cp"]


@given(
    tp=st.integers(1, 16),
    pp=st.integers(1, 20),
    vpp=st.integers(1, 9),
    cp=st.integers(1, 8),
    ep=st.integers(1, 8),
    gbs=st.integers(1, 64),
)
def test_a_table_says_of_a_row_what_is_said_of_it_alone(**numbers: int) -> None:
    layout = Layout(
        tp=numbers["tp"],
        pp=numbers["pp"],
        dp=2,
        micro_batch=1,
        global_batch=numbers["gbs"],
        sequence=8192,
        vpp=numbers["vpp"],
        cp=numbers["cp"],
        ep=numbers["ep"],
    )
    gpus = 2 * layout.tp * layout.pp * layout.cp
    rows = Layout(*(np.array([of_it, of_published]) for of_it, of_published in
                    zip(layout, PUBLISHED, strict=True)))  # fmt: skip
    kept = legal(Cut(MIXTURE, rows, 8, np.array([gpus, 16384])))
    assert kept.tolist() == [reason(Cut(MIXTURE, layout, 8, gpus)) == "", True]


def test_the_nearest_value_is_legal() -> None:
    said = reason(Cut(LLAMA_405B, PUBLISHED._replace(vpp=6), 8, 16384))
    near = int(said.split()[-1])
    assert reason(Cut(LLAMA_405B, PUBLISHED._replace(vpp=near), 8, 16384)) == ""


def test_a_site_asks_all_that_an_estimate_asks_but_for_whole_replicas() -> None:
    assert [rule for rule in RULES if rule not in SEATED] == [
        rule for rule in RULES if rule.option == "gpus"
    ]


def test_a_job_has_the_words_and_the_defaults_of_an_estimate() -> None:
    for name in ("precision", "recompute", "sharding", "schedule"):
        field = Job.model_fields[name]
        leaf, _meaning = field.metadata
        assert set(leaf.schema["enum"]) == set(BY_NAME[name].choices)
        assert field.default == BY_NAME[name].default
    assert all(Parallel.model_fields[name].default == 1 for name in ("cp", "ep"))
