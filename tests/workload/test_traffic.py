"""Bytes of a step against counts by hand, and against what must not change them."""

import pytest

from dcsim import catalog
from dcsim.workload.layout import Layout, Recompute, Schedule, Sharding
from dcsim.workload.machine import law_of, software_of
from dcsim.workload.model import dense, params_count
from dcsim.workload.traffic import traffic

SHAPE = dense(8, 1024, heads=8, kv_heads=8, ffn=4096, vocab=32000, gated=True, tied=False)
SEQUENCE_BYTE = 2048 * 1024 * 2.0


@pytest.fixture(scope="module")
def software():
    gpu, law = catalog.sheet("gpu", "h100-sxm"), law_of(catalog.sheet("step", "law"))
    return software_of(catalog.sheet("software", "megatron-core"), gpu, law)


def layout(**more):
    asked = {"tp": 1, "pp": 1, "dp": 1, "micro_batch": 1, "global_batch": 16, "sequence": 2048}
    return Layout(**asked | more)


def test_a_gpu_on_its_own_sends_nothing(software):
    assert sum(traffic(SHAPE, layout(), software)) == 0.0


def test_tensor_parallelism_gathers_and_scatters_in_each_layer(software):
    sent = traffic(SHAPE, layout(tp=4), software)
    assert sent.tp_byte == pytest.approx(16 * 8 * 10 * SEQUENCE_BYTE * 3 / 4)
    again = traffic(SHAPE, layout(tp=4, recompute=Recompute.FULL), software)
    assert again.tp_byte / sent.tp_byte == pytest.approx(14 / 10)


def test_each_chunk_passes_a_micro_batch_on_and_its_gradient_back(software):
    sent = traffic(SHAPE, layout(pp=4, vpp=2), software)
    assert sent.pp_byte == pytest.approx(16 * 2 * 2 * SEQUENCE_BYTE)
    assert traffic(SHAPE, layout(pp=4, tp=2), software).pp_byte == pytest.approx(sent.pp_byte / 4)


@pytest.mark.parametrize(
    ("sharding", "byte_per_param"),
    [
        (Sharding.NONE, 8.0),
        (Sharding.ZERO1, 6.0),
        (Sharding.ZERO2, 2 * 4.0 + 2.0),  # of each of two micro-batches
        (Sharding.ZERO3, 2 * 8.0),
    ],
)
def test_gradients_are_reduced_once_and_sharded_weights_gathered(
    software, sharding, byte_per_param
):
    sent = traffic(SHAPE, layout(dp=8, sharding=sharding), software._replace(gradient_byte=4.0))
    assert sent.dp_byte == pytest.approx(byte_per_param * params_count(SHAPE) * 7 / 8, rel=1e-3)


def test_a_ring_passes_on_keys_and_values_and_takes_their_gradients_back(software):
    sent = traffic(SHAPE, layout(cp=2), software)
    assert sent.cp_byte == pytest.approx(16 * 8 * 3 * 2 * SEQUENCE_BYTE / 2)
    again = traffic(SHAPE, layout(cp=2, recompute=Recompute.FULL), software)
    assert again.cp_byte / sent.cp_byte == pytest.approx(4 / 3)


def test_tokens_go_to_their_experts_and_back_and_once_more_with_full_recomputation(software):
    shape = SHAPE._replace(experts=8, top_k=2, expert_ffn=4096)
    sent = traffic(shape, layout(dp=4, ep=4), software)
    assert sent.ep_byte == pytest.approx(4 * 8 * 4 * 2 * SEQUENCE_BYTE * 3 / 4)
    again = traffic(shape, layout(dp=4, ep=4, recompute=Recompute.FULL), software)
    assert again.ep_byte / sent.ep_byte == pytest.approx(6 / 4)


def test_dualpipe_reduces_the_gradients_of_two_stages(software):
    plain, dual = (
        traffic(SHAPE, layout(dp=8, pp=2, global_batch=64, schedule=schedule), software)
        for schedule in (Schedule.ONE_F_ONE_B, Schedule.DUALPIPE)
    )
    assert dual.dp_byte == 2 * plain.dp_byte
