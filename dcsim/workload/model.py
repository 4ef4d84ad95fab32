"""Dense transformers: parameters, and the floating-point operations of training them."""

from typing import NamedTuple

from dcsim.catalog import Sheet


class Model(NamedTuple):
    """The shape of a dense decoder-only transformer; all plain counts."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    swiglu: bool  # three matrices in the feed-forward block instead of two
    tied: bool  # input and output embedding are one matrix


def model_of(sheet: Sheet) -> Model:
    """Return the shape that a data sheet of kind `model` states."""
    counts = {name: int(sheet[name]) for name in Model._fields if name not in ("swiglu", "tied")}
    return Model(**counts, swiglu=sheet["swiglu"] > 0, tied=sheet["tied"] > 0)


def kv_width(model: Model) -> int:
    """Return the width of the keys, which is that of the values."""
    return model.hidden // model.heads * model.kv_heads


def layer_params(model: Model) -> int:
    """Return the matrix parameters of one layer; norms and biases (below 0.1%) left out."""
    attention = 2 * model.hidden * (model.hidden + kv_width(model))
    return attention + (3 if model.swiglu else 2) * model.hidden * model.ffn


def head_params(model: Model) -> int:
    """Return the parameters of one embedding, input or output."""
    return model.vocab * model.hidden


def params_count(model: Model) -> int:
    """Return all parameters: layers and embeddings."""
    return model.layers * layer_params(model) + (1 if model.tied else 2) * head_params(model)


def matmul_flop_per_token(params: int) -> float:
    """Return the operations, forward and backward, of *params* matrix parameters on one token."""
    return 6.0 * params


def attention_flop_per_token(model: Model, sequence: int) -> float:
    """Return the operations of one layer's scores and their use, forward and backward.

    Full attention, as MFU counts it: the causal half is not taken off.
    """
    return 12.0 * model.hidden * sequence


def flop_per_token(model: Model, sequence: int) -> float:
    """Return the model FLOPs of training on one token of a *sequence* of that many tokens.

    6 per matrix parameter (the input embedding is none) and full attention: the convention of
    `mfu_frac`. For a GPT it is 72 L h^2 (1 + s/(6h) + V/(12hL)) [Narayanan et al. 2021].
    """
    layer = matmul_flop_per_token(layer_params(model)) + attention_flop_per_token(model, sequence)
    return model.layers * layer + matmul_flop_per_token(head_params(model))
