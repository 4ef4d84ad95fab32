"""One layer and the head of a transformer on one GPU, for one micro-batch, forward and backward.

Products by shape (`operators`), attention by its kernel, all else by the bytes that pass the memory
bus; traffic of tensor, context and expert parallelism as far as software does not hide it. Every
number may be a scalar or an array.

Bytes of memory-bound work, counted in elements of 2 bytes that are read or written. As wide as the
model: two norms (2 forward, 3 backward each), two residual sums (3, 3), with dropout half a mask
forward and 2.5 backward each. As wide as attention or the feed-forward block: the activation
function, layout changes of query, key and value, bias gradients. Weight gradients are accumulated
once a micro-batch: by the product itself where software fuses that, which costs no time while the
product is not bound by memory, and else by a pass of its own.

Valid, Accuracy: as `dcsim.workload.step`. Low-rank attention (MLA) is taken as products of as many
FLOPs; experts are taken as evenly loaded.
Source: volumes of traffic, Korthikanti et al. 2022; the counting of bytes is arithmetic.
"""

from typing import NamedTuple

import numpy as np

from dcsim.workload.collectives import (
    all_gather_s,
    all_reduce_s,
    all_to_all_s,
    reduce_scatter_s,
)
from dcsim.workload.contention import WHOLE, Shares
from dcsim.workload.fabric import Fabric
from dcsim.workload.layout import Exchange, Layout, Recompute, Schedule
from dcsim.workload.model import (
    Real,
    Shape,
    attention_params,
    context_width,
    kv_width,
    mixture_layers,
    query_width,
)
from dcsim.workload.operators import Chip, attention_s, gemm_s

HIDDEN_BYTE = 2.0  # activations travel as bf16
# An operand read in 2 bytes, written in 1, and once more transposed; what norms and activation
# functions write is cast there.
_CAST_BYTE = 4.0


class Machine(NamedTuple):
    """What the law needs of a GPU, its NVLink domain and its network."""

    sm_count: Real
    peak_flop_per_s: Real  # dense bf16, at the rated clock: what MFU is a share of
    matmul_flop_per_s: Real  # the most that a product was measured to reach in that precision
    bf16_flop_per_s: Real  # and in bf16
    matmul_frac: Real  # of either, what products in training reach
    operand_byte: Real
    hbm_byte_per_s: Real
    hbm_byte: Real
    domain_count: Real  # GPUs on one NVLink switch
    fabric: Fabric
    fit_clock_frac: Real = 1.0  # of the highest clock, at the power cap


class Software(NamedTuple):
    """What a stack of training software does: facts of it, but for its generation's factor."""

    kernel_frac: Real  # of the matmul rate
    attention_frac: Real  # of the bf16 ceiling, at causal attention
    flash: Real
    sequence_parallel: Real
    hides_reductions: Real  # of the backward pass, behind weight gradients
    hides_tp: Real  # behind the products, piece by piece
    hides_pp: Real
    hides_dp: Real
    stops_early: Real  # recomputing a layer, before the last product, whose result is not needed
    fuses_gradients: Real  # weight gradients are added up by the product that makes them
    trees: Real  # long all-reduces may go by trees; else by rings, as NCCL's tuner had it
    dropout: Real
    gradient_byte: Real


class Law(NamedTuple):
    """The constants, as `catalog/data/step/law.yaml` explains them."""

    matmul_ampere_frac: float
    matmul_hopper_frac: float
    matmul_blackwell_frac: float
    hopper_2023_frac: float
    flash_attention_frac: float
    triton_attention_frac: float
    hbm_frac: float
    contention_frac: float
    step_fixed_s: float
    triton_hopper_frac: float
    attention_back_frac: float
    layer_host_s: float
    logit_byte: float
    jitter_frac: float


class Layer(NamedTuple):
    """Seconds of one layer and micro-batch on one GPU; traffic is what is exposed of it."""

    products_s: Real
    input_s: Real
    weight_s: Real
    attend_s: Real
    attend_back_s: Real
    elementwise_s: Real
    elementwise_back_s: Real
    again_s: Real
    again_elementwise_s: Real
    launch_s: Real
    tp_s: Real
    cp_s: Real
    ep_s: Real

    @property
    def forward_s(self) -> Real:
        """The forward pass, without traffic."""
        return self.products_s + self.attend_s + self.elementwise_s

    @property
    def compute_s(self) -> Real:
        """All that the GPU does, without traffic."""
        backward_s = self.input_s + self.weight_s + self.attend_back_s + self.elementwise_back_s
        return self.forward_s + backward_s + self.again_s + self.again_elementwise_s + self.launch_s

    @property
    def traffic_s(self) -> Real:
        """Exposed traffic."""
        return self.tp_s + self.cp_s + self.ep_s

    @property
    def total_s(self) -> Real:
        """Compute and exposed traffic."""
        return self.compute_s + self.traffic_s


class Head(NamedTuple):
    """Seconds of the output embedding and the loss of one micro-batch, forward and backward."""

    products_s: Real
    elementwise_s: Real

    @property
    def total_s(self) -> Real:
        """All of it."""
        return self.products_s + self.elementwise_s


class _Products(NamedTuple):
    """Seconds of a group of products: forward, gradient of the input, gradient of the weights."""

    forward_s: Real
    input_s: Real
    weight_s: Real


def chip_of(machine: Machine, software: Software, law: Law) -> Chip:
    """Return the rates that training on *machine* reaches."""
    reached = machine.matmul_frac * software.kernel_frac
    return Chip(
        sm_count=machine.sm_count,
        matmul_flop_per_s=machine.matmul_flop_per_s * reached,
        bf16_flop_per_s=machine.bf16_flop_per_s * reached,
        attention_flop_per_s=machine.bf16_flop_per_s * software.attention_frac,
        attention_back_frac=law.attention_back_frac,
        hbm_byte_per_s=machine.hbm_byte_per_s * law.hbm_frac,
        operand_byte=machine.operand_byte,
    )


def slot_tokens(layout: Layout) -> Real:
    """Return the tokens of one micro-batch that one group of tensor-parallel GPUs has."""
    return layout.micro_batch * layout.sequence / layout.cp


def layer_of(
    shape: Shape,
    layout: Layout,
    machine: Machine,
    software: Software,
    law: Law,
    shares: Shares = WHOLE,
) -> Layer:
    """Return the mean layer of *shape* as *layout* cuts it."""
    chip = chip_of(machine, software, law)
    products, last_s = _layer_products(shape, layout, chip, software)
    attention = attention_s(
        chip,
        software.flash,
        layout.micro_batch,
        layout.sequence / layout.cp,
        layout.sequence,
        shape.heads / layout.tp,
        (query_width(shape) + context_width(shape)) / shape.heads,
    )
    forward_s, backward_s = _elementwise(shape, layout, chip, software)
    full = layout.recompute == Recompute.FULL
    selective = layout.recompute == Recompute.SELECTIVE
    again_attend_s = np.where(full | (selective & (software.flash == 0)), attention.forward_s, 0.0)
    repeated_s = products.forward_s - np.where(software.stops_early, last_s, 0.0)
    again_s = np.where(full, repeated_s, 0.0) + again_attend_s
    again_elementwise_s = forward_s * np.where(full, 1.0, np.where(selective, 0.5, 0.0))
    attend_s = sum(attention) + again_attend_s
    busy_s = sum(products) + sum(attention) + forward_s + backward_s + again_s + again_elementwise_s
    return Layer(
        *products,
        *attention,
        forward_s,
        backward_s,
        again_s,
        again_elementwise_s,
        np.maximum(0.0, law.layer_host_s - busy_s),
        _tensor_traffic_s(shape, layout, machine, software, law),
        _context_traffic_s(shape, layout, machine, law, attend_s, shares.context),
        _expert_traffic_s(shape, layout, machine, law, shares.experts),
    )


def head_of(shape: Shape, layout: Layout, machine: Machine, software: Software, law: Law) -> Head:
    """Return the head, whose products stay in bf16, as is common in FP8 training."""
    chip = chip_of(machine, software, law)._replace(operand_byte=HIDDEN_BYTE)
    chip = chip._replace(matmul_flop_per_s=chip.bf16_flop_per_s)
    tokens, width = slot_tokens(layout), shape.vocab / layout.tp
    products = _products(chip, software, tokens, width, shape.hidden)
    gradient_byte = _added_byte(software) * width * shape.hidden
    moved_byte = law.logit_byte * tokens * width + gradient_byte
    return Head(sum(products), moved_byte / chip.hbm_byte_per_s)


def _added_byte(software: Software) -> Real:
    """Return what passes memory to add up one weight's gradient, beside the product."""
    return np.where(software.fuses_gradients, 0.0, 2 * software.gradient_byte)


def _products(chip: Chip, software: Software, m: Real, n: Real, k: Real) -> _Products:
    def one(m: Real, n: Real, k: Real, result_byte: Real = HIDDEN_BYTE) -> Real:
        return gemm_s(
            chip.sm_count,
            chip.matmul_flop_per_s,
            chip.hbm_byte_per_s,
            m,
            n,
            k,
            chip.operand_byte,
            result_byte,
        )

    sum_byte = np.where(software.fuses_gradients, 2 * software.gradient_byte, HIDDEN_BYTE)
    return _Products(one(m, n, k), one(m, k, n), one(n, k, m, sum_byte))


def _added(groups: list[tuple[Real, _Products]]) -> _Products:
    return _Products(*(sum(times * group[i] for times, group in groups) for i in range(3)))


def _layer_products(
    shape: Shape, layout: Layout, chip: Chip, software: Software
) -> tuple[_Products, Real]:
    """Return the products of a layer, and the forward seconds of the last one."""
    tokens, h, tp = slot_tokens(layout), shape.hidden, layout.tp
    out = context_width(shape) / tp
    into = attention_params(shape) / (h * tp) - out
    groups: list[tuple[Real, _Products]] = [
        (1.0, _products(chip, software, tokens, into, h)),
        (1.0, _products(chip, software, tokens, h, out)),
    ]
    mixed = mixture_layers(shape) / shape.layers

    def block(times: Real, m: Real, width: Real) -> None:
        groups.append((times, _products(chip, software, m, (1 + shape.gated) * width, h)))
        groups.append((times, _products(chip, software, m, h, width)))

    block(1.0 - mixed, tokens, shape.ffn / tp)
    if np.any(mixed):
        experts = np.maximum(1, shape.experts)
        of_expert = tokens * shape.top_k * layout.ep / experts
        block(mixed * experts / layout.ep, of_expert, shape.expert_ffn / tp)
        block(
            mixed * (shape.shared_experts > 0), tokens, shape.shared_experts * shape.expert_ffn / tp
        )
    last_s = sum(times * group.forward_s for times, group in groups[3::2])
    return _added(groups), last_s


def _elementwise(shape: Shape, layout: Layout, chip: Chip, software: Software) -> tuple[Real, Real]:
    """Return the seconds of memory-bound work, forward and backward."""
    tokens, h, tp = slot_tokens(layout), shape.hidden, layout.tp
    spread = np.where(software.sequence_parallel, tp, 1.0)
    mixed = mixture_layers(shape) / shape.layers
    active = (shape.top_k + shape.shared_experts) * shape.expert_ffn
    ffn = (1 - mixed) * shape.ffn + mixed * active
    moved = mixed * 2 * shape.top_k * h / spread  # to the experts and back
    attend = query_width(shape) + 2 * kv_width(shape)
    gates, plain = 1 + shape.gated, 1 - shape.gated
    wide, wide_back = h * (10 + software.dropout), h * (12 + 5 * software.dropout + 2 * plain)
    narrow = (gates + 1) * ffn + 2 * attend
    narrow_back = (2 * gates + 1) * ffn + 2 * attend + plain * (attend + ffn)
    cast = np.where(chip.operand_byte < HIDDEN_BYTE, _CAST_BYTE, 0.0)
    forward = HIDDEN_BYTE * (wide / spread + narrow / tp + 2 * moved)
    forward = forward + cast * context_width(shape) / tp
    backward = HIDDEN_BYTE * (wide_back / spread + narrow_back / tp + 2 * moved)
    backward = backward + cast * (attend / tp + 2 * h)
    weights = local_layer_params(shape, layout)
    backward_byte = tokens * backward + _added_byte(software) * weights
    return tokens * forward / chip.hbm_byte_per_s, backward_byte / chip.hbm_byte_per_s


def local_layer_params(shape: Shape, layout: Layout) -> Real:
    """Return the mean parameters of a layer on one GPU."""
    mixed = mixture_layers(shape) / shape.layers
    wide = (1 - mixed) * shape.ffn + mixed * shape.shared_experts * shape.expert_ffn
    block = (2 + shape.gated) * shape.hidden * wide
    return (attention_params(shape) + block) / layout.tp + local_expert_params(shape, layout)


def local_expert_params(shape: Shape, layout: Layout) -> Real:
    """Return those of them that are of routed experts, which `ep` GPUs share out."""
    wide = mixture_layers(shape) / shape.layers * shape.experts / layout.ep * shape.expert_ffn
    return (2 + shape.gated) * shape.hidden * wide / layout.tp


def _tensor_traffic_s(
    shape: Shape, layout: Layout, machine: Machine, software: Software, law: Law
) -> Real:
    """Return the exposed seconds: two reductions or pairs of gather and scatter either way.

    Software may hide the reductions of the backward pass behind weight gradients, or all of it
    behind the products that it feeds, piece by piece, of which the first can't be hidden. With
    sequence parallelism the backward pass gathers its inputs once more, beside products.
    """
    fabric, tp = machine.fabric, layout.tp
    near = np.minimum(tp, machine.domain_count)
    size = slot_tokens(layout) * shape.hidden * HIDDEN_BYTE
    gather_s = all_gather_s(fabric, size, tp, near)
    spread = software.sequence_parallel > 0
    scatter_s = reduce_scatter_s(fabric, size, tp, near)
    if not np.all(spread):
        whole_s = all_reduce_s(fabric, size, tp, near, trees=software.trees)
        scatter_s = np.where(spread, scatter_s, whole_s)
    gather_s = np.where(spread, gather_s, 0.0)
    forward = np.where(layout.recompute == Recompute.FULL, 4, 2)
    behind_weights = np.where(software.hides_reductions, law.contention_frac, 1.0)
    plain_s = (forward + 2) * gather_s + (forward + 2 * behind_weights) * scatter_s
    beside = 1.0 / tp + law.contention_frac * (1.0 - 1.0 / tp)
    piecewise_s = (forward + 2) * (gather_s + scatter_s) * beside
    again_s = 2 * law.contention_frac * gather_s
    return np.where(software.hides_tp, piecewise_s, plain_s) + again_s


def _context_traffic_s(
    shape: Shape, layout: Layout, machine: Machine, law: Law, attend_s: Real, share: Real
) -> Real:
    """Return the exposed seconds: keys and values forward, and with their gradients backward.

    Full recomputation sends keys and values once more.
    A ring passes them on beside attention; an all-gather stands before it.
    """
    cp = layout.cp
    if np.all(cp == 1):
        return 0.0
    near = np.minimum(cp, np.maximum(1, machine.domain_count // layout.tp))
    size = cp * slot_tokens(layout) * 2 * kv_width(shape) / layout.tp * HIDDEN_BYTE
    times = np.where(layout.recompute == Recompute.FULL, 4, 3)
    traffic_s = times * all_gather_s(machine.fabric, size, cp, near, share)
    hidden_s = np.where(layout.exchange == Exchange.RING, np.minimum(traffic_s, attend_s), 0.0)
    return traffic_s - (1 - law.contention_frac) * hidden_s


def _expert_traffic_s(
    shape: Shape, layout: Layout, machine: Machine, law: Law, share: Real
) -> Real:
    """Return the exposed seconds of sending tokens to their experts and back, either way.

    Full recomputation sends them once more. Neighbouring ranks, those of a sequence among them,
    share out the experts.
    DualPipe hides it behind the other direction's work. With a limit of nodes a token travels
    once to each node, and on NVLink within it.
    """
    if np.all(layout.ep == 1):
        return 0.0
    ep, near = layout.ep, np.maximum(1, machine.domain_count // layout.tp)
    copies = np.where(
        layout.token_nodes > 0, np.minimum(shape.top_k, layout.token_nodes), shape.top_k
    )
    size = slot_tokens(layout) / layout.tp * copies * shape.hidden * HIDDEN_BYTE
    mixed = mixture_layers(shape) / shape.layers
    times = np.where(layout.recompute == Recompute.FULL, 6, 4) * mixed
    traffic_s = times * all_to_all_s(machine.fabric, size, ep, np.minimum(ep, near), share)
    return traffic_s * np.where(layout.schedule == Schedule.DUALPIPE, law.contention_frac, 1.0)
