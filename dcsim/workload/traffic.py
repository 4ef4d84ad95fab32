"""What a GPU sends in one step, by the kind of parallelism: bytes, whatever carries them.

Each collective counts as its ring or pairwise form: of an all-gather or a reduce-scatter of size S
over n ranks a GPU sends S (n - 1)/n, of an all-reduce twice that.

Valid for layouts that `workload.step` takes; trees and NVLS send the same or less. Counts are of
the fullest stage. Accuracy: arithmetic. Source: Narayanan et al. 2021, Korthikanti et al. 2022.
"""

from typing import NamedTuple

import numpy as np

from dcsim.workload.layer import HIDDEN_BYTE, Software, slot_tokens
from dcsim.workload.layout import Layout, Recompute, Sharding
from dcsim.workload.model import Real, Shape, kv_width, mixture_layers
from dcsim.workload.step import (
    WEIGHT_BYTE,
    stage_expert_params,
    stage_params,
    stages_of,
    weight_copies,
)


class Traffic(NamedTuple):
    """Bytes that one GPU sends in a step."""

    tp_byte: Real
    cp_byte: Real
    ep_byte: Real
    pp_byte: Real
    dp_byte: Real


def traffic(shape: Shape, layout: Layout, software: Software) -> Traffic:
    """Return what a GPU of the fullest stage sends in one step of *shape* cut as *layout*."""
    layers, m = stages_of(shape, layout).most_layers, layout.micro_batches
    hidden_byte = slot_tokens(layout) * shape.hidden * HIDDEN_BYTE
    again = np.where(layout.recompute == Recompute.FULL, 1, 0)  # the forward pass once more
    passes = 8 + 2 * (software.sequence_parallel > 0)  # inputs are gathered again going backward
    passes = passes + 4 * again
    keys_byte = layout.cp * slot_tokens(layout) * 2 * kv_width(shape) / layout.tp * HIDDEN_BYTE
    mixed = mixture_layers(shape) / shape.layers
    sent_byte = hidden_byte / layout.tp * shape.top_k * (4 + 2 * again) * mixed
    return Traffic(
        tp_byte=m * layers * passes * hidden_byte * _others(layout.tp),
        cp_byte=m * layers * (3 + again) * keys_byte * _others(layout.cp),
        ep_byte=m * layers * sent_byte * _others(layout.ep),
        pp_byte=np.where(layout.pp > 1, m * 2 * layout.vpp * hidden_byte / layout.tp, 0.0),
        dp_byte=_states_byte(shape, layout, software),
    )


def _others(ranks: Real) -> Real:
    return (ranks - 1) / ranks


def _states_byte(shape: Shape, layout: Layout, software: Software) -> Real:
    """Return the traffic of gradients and weights; those of experts have fewer copies."""
    experts, ranks = stage_expert_params(shape, layout), layout.gradient_ranks
    params = (stage_params(shape, layout) - experts) * _others(ranks)
    params = params + experts * _others(np.maximum(1, ranks / layout.ep))
    m, gather_byte = layout.micro_batches, params * WEIGHT_BYTE
    scatter_byte = params * software.gradient_byte
    sharding = layout.sharding
    sent_byte = np.select(
        [sharding == Sharding.NONE, sharding == Sharding.ZERO1, sharding == Sharding.ZERO2],
        [2 * scatter_byte, scatter_byte + gather_byte, m * scatter_byte + gather_byte],
        m * (scatter_byte + 2 * gather_byte),
    )
    return sent_byte * weight_copies(layout)
