"""Transformers: their shape, parameters, and the floating-point operations of training them.

GPT style (every head has its keys, two matrices in the feed-forward block), Llama style (grouped
keys, a gated block) and mixtures of experts (top-k of routed experts, shared experts, dense layers
in front, keys and queries by low-rank projection). Every number may be a scalar or an array.

Valid for decoder-only transformers; norms and biases (below 0.1% of the parameters) left out.
Accuracy: the parameters are arithmetic; GPT-3 175B and Llama 3 come out within 0.3%.
Source: Narayanan et al. 2021 for the operations, DeepSeek-V3 (arXiv 2412.19437) for low-rank
attention.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from dcsim.catalog import Sheet

Real: TypeAlias = Any
"""A number or a numpy array of them; all that a function is given broadcast together."""


class Shape(NamedTuple):
    """The shape of a decoder-only transformer; all plain counts.

    In a mixture, `ffn` is the width of the dense layers in front and of none without them. With
    `kv_rank` keys and values come from a latent of that width (MLA): `head_dim` is then the part
    of query and key without position, `rope_dim` that with it, `value_dim` the value's.
    """

    layers: Real
    hidden: Real
    heads: Real
    kv_heads: Real
    head_dim: Real
    ffn: Real
    vocab: Real
    gated: Real  # three matrices in the feed-forward block instead of two
    tied: Real  # input and output embedding are one matrix
    experts: Real = 0  # routed ones; 0 for a dense model
    top_k: Real = 0
    shared_experts: Real = 0
    expert_ffn: Real = 0
    dense_layers: Real = 0  # of a mixture: its first layers, which have no experts
    q_rank: Real = 0
    kv_rank: Real = 0
    rope_dim: Real = 0
    value_dim: Real = 0


def dense(
    layers: int,
    hidden: int,
    heads: int,
    kv_heads: int,
    ffn: int,
    vocab: int,
    gated: bool,
    tied: bool,
) -> Shape:
    """Return the shape of a dense model whose heads share its width."""
    return Shape(layers, hidden, heads, kv_heads, hidden // heads, ffn, vocab, gated, tied)


def shape_of(sheet: Sheet) -> Shape:
    """Return the shape that a data sheet of kind `model` states; what it leaves out is none."""
    counts = {name: int(sheet[name]) for name in Shape._fields if name in sheet}
    counts["gated"] = int(sheet["swiglu"])
    counts.setdefault("head_dim", counts["hidden"] // counts["heads"])
    return Shape(**counts)


def query_width(shape: Shape) -> Real:
    """Return the width of all queries, and of the keys once every head has its own."""
    return shape.heads * (shape.head_dim + shape.rope_dim)


def context_width(shape: Shape) -> Real:
    """Return the width of what attention gives to its output projection."""
    return shape.heads * np.where(shape.kv_rank > 0, shape.value_dim, shape.head_dim)


def kv_width(shape: Shape) -> Real:
    """Return the width of the keys that the cache or the latent holds, as wide as the values."""
    return np.where(
        shape.kv_rank > 0, (shape.kv_rank + shape.rope_dim) / 2, shape.kv_heads * shape.head_dim
    )


def attention_params(shape: Shape) -> Real:
    """Return the matrix parameters of one layer's attention."""
    q, out = query_width(shape), context_width(shape)
    plain = shape.hidden * (q + 2 * kv_width(shape)) + out * shape.hidden
    if not np.any(shape.kv_rank):
        return plain
    ranked = shape.hidden * (shape.q_rank + shape.kv_rank + shape.rope_dim)
    ranked = ranked + np.where(shape.q_rank > 0, shape.q_rank, shape.hidden) * q
    ranked = ranked + shape.kv_rank * (shape.heads * shape.head_dim + out) + out * shape.hidden
    return np.where(shape.kv_rank > 0, ranked, plain)


def block_params(shape: Shape, width: Real) -> Real:
    """Return the parameters of one feed-forward block or expert of that *width*."""
    return (2 + shape.gated) * shape.hidden * width


def mixture_params(shape: Shape, experts: Real) -> Real:
    """Return the parameters of a mixture layer's block, with so many of its routed *experts*."""
    router = shape.experts * shape.hidden
    return block_params(shape, (experts + shape.shared_experts) * shape.expert_ffn) + router


def mixture_layers(shape: Shape) -> Real:
    """Return how many layers have experts."""
    return np.where(shape.experts > 0, shape.layers - shape.dense_layers, 0)


def layer_params(shape: Shape) -> Real:
    """Return the mean matrix parameters of a layer, all experts counted."""
    return _mean_layer(shape, shape.experts)


def active_layer_params(shape: Shape) -> Real:
    """Return the mean matrix parameters of a layer that one token meets."""
    return _mean_layer(shape, shape.top_k)


def head_params(shape: Shape) -> Real:
    """Return the parameters of one embedding, input or output."""
    return shape.vocab * shape.hidden


def params_count(shape: Shape) -> Real:
    """Return all parameters: layers and embeddings."""
    return shape.layers * layer_params(shape) + (2 - shape.tied) * head_params(shape)


def attention_flop_per_token(shape: Shape, sequence: Real, causal: Real = False) -> Real:
    """Return the operations of one layer's scores and their use, forward and backward.

    Full attention, as MFU mostly counts it; half of it where *causal*.
    """
    full = 6.0 * (query_width(shape) + context_width(shape)) * sequence
    return full * np.where(causal, 0.5, 1.0)


def flop_per_token(shape: Shape, sequence: Real, causal: Real = False) -> Real:
    """Return the model FLOPs of training on one token of a *sequence* of that many tokens.

    6 per matrix parameter that it meets (the input embedding is none) and attention: for a GPT
    72 L h^2 (1 + s/(6h) + V/(12hL)) [Narayanan et al. 2021].
    """
    layer = 6.0 * active_layer_params(shape) + attention_flop_per_token(shape, sequence, causal)
    return shape.layers * layer + 6.0 * head_params(shape)


def _mean_layer(shape: Shape, experts: Real) -> Real:
    share = mixture_layers(shape) / shape.layers
    block = (1 - share) * block_params(shape, shape.ffn) + share * mixture_params(shape, experts)
    return attention_params(shape) + block
