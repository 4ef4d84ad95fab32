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
from dcsim.workload.model import (
    Real,
    Shape,
    context_width,
    head_params,
    kv_width,
    query_width,
)
from dcsim.workload.step import WEIGHT_BYTE, stages_of, weight_copies

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
    feed-forward block within; one byte for each of two dropout masks, which only GPTs have. A
    mixture keeps a copy of each token for every expert that it was sent to, low-rank attention its
    latents and the keys and values of every head. With
    SELECTIVE the norms and the product inside the block are computed again, with FULL all but the
    input.
    """
    h, q, k, out = shape.hidden, query_width(shape), kv_width(shape), context_width(shape)
    mixed = np.where(shape.experts > 0, 1 - shape.dense_layers / shape.layers, 0.0)
    ffn = (1 - mixed) * shape.ffn + mixed * (shape.top_k + shape.shared_experts) * shape.expert_ffn
    kept = 2 * h + q + out + 2 * k + (1 + shape.gated) * ffn + mixed * shape.top_k * h
    kept = kept + np.where(shape.kv_rank > 0, shape.q_rank + q + out, 0)
    again = 2 * h + ffn
    dropout = np.where(shape.gated, 0, 2 * h)
    some = np.where(recompute == Recompute.NONE, 2.0 * again + dropout, 0.0) + 2.0 * kept
    return np.where(recompute == Recompute.FULL, 2.0 * h, some)


class _Stage(NamedTuple):
    """One stage: what its memory is, recomputation apart."""

    weights_byte: Real
    gradients_byte: Real
    optimizer_byte: Real
    buffers_byte: Real
    tokens: Real  # of a micro-batch, on one GPU
    in_flight: Real  # micro-batches times layers


def memory_of_stage(shape: Shape, layout: Layout, stage: Real) -> Memory:
    """Return the bytes that a GPU of *stage* needs.

    A stage keeps `pp - stage` micro-batches in flight, with interleaving 2 (pp - stage) - 1 +
    (vpp - 1) pp chunks of them, as Megatron-LM's order has it, never more than a step has; DualPipe
    keeps pp + 1, and two stages' weights with their gradients.
    """
    return _memory(_stage(shape, layout, stage), shape, layout.recompute)


def memory(shape: Shape, layout: Layout) -> Memory:
    """Return the bytes of the stage that needs most: the first, or where the loss is the last."""
    return _most(_ends(shape, layout), shape, layout.recompute)


def least_that_fits(shape: Shape, layout: Layout, hbm_byte: Real) -> tuple[Layout, Memory]:
    """Return *layout* with the least recomputation that fits, or FULL, where it is AUTO; its bytes.

    *hbm_byte* is the memory of a GPU.
    """
    ends, asked = _ends(shape, layout), layout.recompute
    if np.any(asked == Recompute.AUTO):
        chosen: Real = Recompute.FULL
        for level in (Recompute.SELECTIVE, Recompute.NONE):
            chosen = np.where(_most(ends, shape, level).total_byte <= hbm_byte, level, chosen)
        layout = layout._replace(recompute=np.where(asked == Recompute.AUTO, chosen, asked))
    return layout, _most(ends, shape, layout.recompute)


def _ends(shape: Shape, layout: Layout) -> tuple[_Stage, _Stage]:
    return _stage(shape, layout, 0), _stage(shape, layout, layout.pp - 1)


def _most(ends: tuple[_Stage, _Stage], shape: Shape, recompute: Real) -> Memory:
    first, last = (_memory(stage, shape, recompute) for stage in ends)
    more = last.total_byte > first.total_byte
    return Memory(*(np.where(more, b, a) for a, b in zip(first, last, strict=True)))


def _memory(stage: _Stage, shape: Shape, recompute: Real) -> Memory:
    held = activation_byte_per_token(shape, recompute) * stage.in_flight
    if np.any(full := recompute == Recompute.FULL):
        whole = activation_byte_per_token(shape, Recompute.NONE)
        held = held + np.where(full, whole, 0.0)
    return Memory(
        stage.weights_byte,
        stage.gradients_byte,
        stage.optimizer_byte,
        stage.tokens * held,
        stage.buffers_byte,
    )


def _stage(shape: Shape, layout: Layout, stage: Real) -> _Stage:
    stages, of_layer = stages_of(shape, layout), local_layer_params(shape, layout)
    last, dual = stage == layout.pp - 1, layout.schedule == Schedule.DUALPIPE
    copies = weight_copies(layout)
    layers = np.where(last, stages.last_layers, stages.most_layers)
    ends = np.where(stage == 0, 1, 0) + np.where(
        last, np.where(layout.pp == 1, 1 - shape.tied, 1), 0
    )
    whole = layers * of_layer + ends * head_params(shape) / layout.tp
    experts, sharding = layers * local_expert_params(shape, layout), layout.sharding
    spread = (whole - experts) / layout.shard_ranks + experts / layout.expert_shard_ranks
    tokens = layout.micro_batch * layout.sequence / layout.cp / layout.tp
    ahead, vpp = layout.pp - 1 - stage, layout.vpp
    chunks = 1 + np.where(vpp > 1, 2 * ahead + (vpp - 1) * layout.pp, ahead)
    behind = np.minimum(chunks / vpp, layout.micro_batches)
    gathered = np.where(sharding == Sharding.ZERO3, 2 * WEIGHT_BYTE * of_layer, 0.0)
    logits = np.where(last, _LOGIT_BYTE * tokens * shape.vocab, 0.0)
    return _Stage(
        WEIGHT_BYTE * np.where(sharding >= Sharding.ZERO3, spread, whole) * copies,
        GRADIENT_BYTE * np.where(sharding >= Sharding.ZERO2, spread, whole) * copies,
        OPTIMIZER_BYTE * np.where(sharding >= Sharding.ZERO1, spread, whole),
        RESERVE_BYTE + gathered + logits,
        tokens,
        layers * np.where(dual, layout.pp + 1, behind),
    )
