"""Memory of a GPU in training: weights, gradients, optimizer and activations.

Weights are bf16, gradients fp32, Adam fp32 and spread over the replicas (distributed
optimizer), activations spread over the tensor-parallel GPUs (sequence parallel). Attention
scores are never stored; with *recompute*, norms and the product inside the feed-forward block
are computed again too, as Megatron-Core offers.

Accuracy: without *recompute* equal to Korthikanti et al. 2022, Figure 1, within 0.2% for the
activations of its 22B and 175B models. The reserve is a judgement.
"""

from typing import NamedTuple

from dcsim.workload.layout import Layout, pipeline_slots
from dcsim.workload.model import Model, head_params, kv_width, layer_params

WEIGHT_BYTE = 2.0
GRADIENT_BYTE = 4.0
OPTIMIZER_BYTE = 12.0  # fp32 weight and two moments
RESERVE_BYTE = 5e9  # driver, communication buffers, fragmentation


class Memory(NamedTuple):
    """Bytes on the GPU that needs most, by use."""

    weights_byte: float
    gradients_byte: float
    optimizer_byte: float
    activations_byte: float
    reserve_byte: float

    @property
    def total_byte(self) -> float:
        """All of it; a layout fits where this is at most the GPU's memory."""
        return sum(self)


def stage_params(model: Model, layout: Layout) -> float:
    """Return the parameters on one GPU of the fullest stage."""
    slots = pipeline_slots(model, layout.pp)
    whole = slots == model.layers
    embeddings = (2 if layout.pp == 1 and not model.tied else 1) * head_params(model)
    stage = slots / layout.pp * layer_params(model) + (embeddings if whole else 0)
    return stage / layout.tp


def activation_byte_per_token(model: Model, recompute: bool) -> float:
    """Return what one layer stores of one token for the backward pass.

    Without *recompute* that is 34 hidden for a GPT [Korthikanti et al. 2022, equation 6]: two
    bytes for the inputs of two norms and of every matrix, the query, keys and values, and the
    feed-forward block within; one byte for each of two dropout masks, which only GPTs have.
    """
    h, gates = model.hidden, 2 if model.swiglu else 1
    kept = 4 * h + 2 * kv_width(model) + gates * model.ffn
    again = 2 * h + model.ffn
    dropout = 0 if model.swiglu else 2 * h
    return 2.0 * kept if recompute else 2.0 * (kept + again) + dropout


def memory(model: Model, layout: Layout, recompute: bool = True) -> Memory:
    """Return the bytes that the first stage, which holds most activations, needs.

    It keeps `pp` micro-batches in flight, and with interleaving the share (pp - 1)/(pp
    interleave) more [Korthikanti et al. 2022].
    """
    params = stage_params(model, layout)
    tokens = layout.micro_batch * layout.sequence / layout.cp
    in_flight = min(layout.pp, layout.micro_batches) * (
        1 + (layout.pp - 1) / (layout.pp * layout.interleave) * (layout.interleave > 1)
    )
    layers = pipeline_slots(model, layout.pp) / layout.pp
    stored = layers * activation_byte_per_token(model, recompute) * tokens * in_flight
    return Memory(
        weights_byte=WEIGHT_BYTE * params,
        gradients_byte=GRADIENT_BYTE * params,
        optimizer_byte=OPTIMIZER_BYTE * params / (layout.dp * layout.cp),
        activations_byte=stored / layout.tp,
        reserve_byte=RESERVE_BYTE,
    )
