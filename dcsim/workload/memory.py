"""Memory of a GPU in training, by use: weights, gradients, optimizer, activations, buffers.

Weights are bf16, gradients fp32, Adam fp32; sharding spreads them over the replicas, those of
routed experts over the one in `ep` of them that hold the same experts. Attention
scores are not stored (flash attention, or selective recomputation). Every number may be a scalar or
an array; `memory_of_stage` takes the stage, 0 the first.

Valid for Megatron-style software; with FULL recomputation one layer is held whole beside the
inputs of all. Accuracy: without recomputation equal to Korthikanti et al. 2022, Figure 1, within
0.2% for activations of its 22B and 175B models. The reserve is a judgement.
Source: Korthikanti et al. 2022, equations 5 and 6; DeepSeek-V3, Table 2, for DualPipe.
"""

from typing import NamedTuple

import numpy as np

from dcsim.workload.layer import local_expert_params, local_layer_params
from dcsim.workload.layout import Layout, Recompute, Schedule, Sharding
from dcsim.workload.model import Real, Shape, head_params, kv_width, query_width
from dcsim.workload.step import WEIGHT_BYTE, stages_of

GRADIENT_BYTE = 4.0
OPTIMIZER_BYTE = 12.0  # fp32 weight and two moments
RESERVE_BYTE = 5e9  # driver, communication buffers, fragmentation
_LOGIT_BYTE = 4.0  # fp32, of one micro-batch


class Memory(NamedTuple):
    """Bytes on one GPU, by use."""

    weights_byte: Real
    gradients_byte: Real
    optimizer_byte: Real
    activations_byte: Real
    buffers_byte: Real

    @property
    def total_byte(self) -> Real:
        """All of it; a layout fits where this is at most the GPU's memory."""
        return sum(self)


def activation_byte_per_token(shape: Shape, recompute: Real) -> Real:
    """Return what one layer stores of one token for the backward pass.

    Without recomputation that is 34 hidden for a GPT [Korthikanti et al. 2022, equation 6]: two
    bytes for the inputs of two norms and of every matrix, the query, keys and values, and the
    feed-forward block within; one byte for each of two dropout masks, which only GPTs have. With
    SELECTIVE the norms and the product inside the block are computed again, with FULL all but the
    input.
    """
    h, q, k = shape.hidden, query_width(shape), kv_width(shape)
    mixed = np.where(shape.experts > 0, 1 - shape.dense_layers / shape.layers, 0.0)
    ffn = (1 - mixed) * shape.ffn + mixed * (shape.top_k + shape.shared_experts) * shape.expert_ffn
    kept = 2 * h + 2 * q + 2 * k + (1 + shape.gated) * ffn
    again = 2 * h + ffn
    dropout = np.where(shape.gated, 0, 2 * h)
    whole = 2.0 * (kept + again) + dropout
    return np.select(
        [recompute == Recompute.NONE, recompute == Recompute.SELECTIVE],
        [whole, 2.0 * kept],
        2.0 * h,
    )


def memory_of_stage(shape: Shape, layout: Layout, stage: Real) -> Memory:
    """Return the bytes that a GPU of *stage* needs.

    A stage keeps `pp - stage` micro-batches in flight, with interleaving (pp - 1)/vpp of one more;
    DualPipe keeps pp + 1 and two copies of the weights on every stage.
    """
    stages = stages_of(shape, layout)
    last, dual = stage == layout.pp - 1, layout.schedule == Schedule.DUALPIPE
    layers = np.where(last, stages.last_layers, stages.most_layers)
    ends = np.where(stage == 0, 1, 0) + np.where(
        last, np.where(layout.pp == 1, 1 - shape.tied, 1), 0
    )
    whole = (layers * local_layer_params(shape, layout)) + ends * head_params(shape) / layout.tp
    experts, sharding = layers * local_expert_params(shape, layout), layout.sharding
    spread = (whole - experts) / layout.shard_ranks + experts / layout.expert_shard_ranks
    tokens = layout.micro_batch * layout.sequence / layout.cp / layout.tp
    behind = np.minimum(layout.pp - stage, layout.micro_batches)
    behind = behind + np.where(layout.vpp > 1, (layout.pp - 1) / layout.vpp, 0.0)
    in_flight = np.where(dual, layout.pp + 1, behind)
    held = tokens * activation_byte_per_token(shape, layout.recompute)
    again = tokens * activation_byte_per_token(shape, Recompute.NONE)
    at_work = np.where(layout.recompute == Recompute.FULL, again, 0.0)
    gathered = np.where(
        sharding == Sharding.ZERO3, 2 * WEIGHT_BYTE * local_layer_params(shape, layout), 0.0
    )
    logits = np.where(last, _LOGIT_BYTE * tokens * shape.vocab, 0.0)
    return Memory(
        WEIGHT_BYTE * np.where(sharding >= Sharding.ZERO3, spread, whole) * np.where(dual, 2, 1),
        GRADIENT_BYTE * np.where(sharding >= Sharding.ZERO2, spread, whole),
        OPTIMIZER_BYTE * np.where(sharding >= Sharding.ZERO1, spread, whole),
        layers * held * in_flight + at_work,
        RESERVE_BYTE + gathered + logits,
    )


def memory(shape: Shape, layout: Layout) -> Memory:
    """Return the bytes of the stage that needs most: the first, or where the loss is the last."""
    first = memory_of_stage(shape, layout, 0)
    last = memory_of_stage(shape, layout, layout.pp - 1)
    more = last.total_byte > first.total_byte
    return Memory(*(np.where(more, b, a) for a, b in zip(first, last, strict=True)))
