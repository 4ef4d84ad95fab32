"""Parameters of a transformer, counted matrix by matrix, as its paper lists them."""

from collections.abc import Mapping


def parameters(shape: Mapping[str, int]) -> tuple[int, int]:
    """Return all parameters, and those that one token meets, both with the embeddings.

    *shape* has the names of `dcsim.workload.hf_config.SHAPE`. Norms, biases and learned positions
    are left out.
    """
    hidden = shape["hidden"]
    attention = (_latent if shape["kv_rank"] else _grouped)(shape)
    matrices = 3 if shape["gated"] else 2
    dense = matrices * hidden * shape["ffn"]
    expert = matrices * hidden * shape["expert_ffn"]
    router = hidden * shape["experts"]
    dense_layers = shape["dense_layers"] if shape["experts"] else shape["layers"]
    sparse_layers = shape["layers"] - dense_layers
    ends = (1 if shape["tied"] else 2) * shape["vocab"] * hidden
    same = shape["layers"] * attention + dense_layers * dense + sparse_layers * router + ends
    stored, met = (
        sparse_layers * expert * (shape["shared_experts"] + routed)
        for routed in (shape["experts"], shape["top_k"])
    )
    return same + stored, same + met


def _grouped(shape: Mapping[str, int]) -> int:
    queries = shape["hidden"] * shape["heads"] * shape["head_dim"]
    keys = shape["hidden"] * shape["kv_heads"] * shape["head_dim"]
    return 2 * queries + 2 * keys


def _latent(shape: Mapping[str, int]) -> int:
    hidden, heads = shape["hidden"], shape["heads"]
    query = heads * (shape["head_dim"] + shape["rope_dim"])
    rank = shape["q_rank"]
    queries = (hidden + query) * rank if rank else hidden * query
    keys = hidden * (shape["kv_rank"] + shape["rope_dim"])
    keys += shape["kv_rank"] * heads * (shape["head_dim"] + shape["value_dim"])
    return queries + keys + heads * shape["value_dim"] * hidden
