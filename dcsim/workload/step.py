"""Step time of training: one law, from the shapes of the operators to the whole step.

    step = m slot + (others - slot)/v + exposed gradient traffic + optimizer + fixed + jitter
    slot = products + attention + memory-bound work + recomputation + exposed TP, CP, EP, PP traffic

with m micro-batches and v chunks of the model on each stage; *slot* is one micro-batch on the
slowest stage, forward and backward, and *others* all stages together. What software hides of its
traffic follows from what runs beside it: at most the work of the same stretch, and never the first
piece; what is hidden still slows the GPU by `contention_frac`, for it takes multiprocessors and
memory bandwidth. Every number may be a scalar or an array.

Times are at the clock that the power cap allows in pretraining, at which the published runs and
the matmul ceilings were measured. `step_time` turns them into times at the highest clock, of which
products and attention follow the clock and the rest does not.

Valid for dense transformers on tensor-core GPUs, 8 to 16,384 of them; mixtures of experts by the
same law, uncalibrated. Accuracy: see `dcsim.workload.published`.
Llama 3 405B, which is not fitted (8,192 to 16,384 H100 in bf16, 380 to 430 TFLOP/s), comes out 13
to 26% too fast with software `megatron-core`, 5 to 7% where the software is of 2023 and shows its
TP traffic, as PyTorch's then did. Gradients of fp32 that no product adds up would be 3% of that;
the rest may be GPUs that are slower than all others, and collisions on RoCE: neither is modelled.
Source: pipeline and traffic volumes of Narayanan et al. 2021, Korthikanti et al. 2022, DeepSeek-V3
(arXiv 2412.19437, Table 2); constants in `catalog/data/step/law.yaml`.
"""

from typing import NamedTuple

import numpy as np

from dcsim.workload.collectives import all_gather_s, all_reduce_s, reduce_scatter_s, send_s
from dcsim.workload.contention import WHOLE, Shares
from dcsim.workload.layer import (
    HIDDEN_BYTE,
    Head,
    Law,
    Layer,
    Machine,
    Software,
    head_of,
    layer_of,
    local_expert_params,
    local_layer_params,
    slot_tokens,
)
from dcsim.workload.layout import Layout, Recompute, Schedule, Sharding
from dcsim.workload.model import (
    Real,
    Shape,
    active_layer_params,
    attention_flop_per_token,
    flop_per_token,
    head_params,
)

WEIGHT_BYTE = 2.0
_BUCKET_PARAMS = 40e6  # Megatron-Core: at least so many, and a million for each rank
_BUCKET_PARAMS_PER_RANK = 1e6
_UPDATE_BYTE = 30.0  # Adam reads a gradient and three fp32 values, writes those and a weight
_NORM_BYTE = 8.0  # every gradient is read for the norm, and cleared


class Parts(NamedTuple):
    """The seconds of a step by cause; their sum is the step."""

    matmul_s: Real
    attention_s: Real
    elementwise_s: Real
    recompute_s: Real
    head_s: Real
    launch_s: Real
    tp_s: Real
    cp_s: Real
    ep_s: Real
    pp_s: Real
    bubble_s: Real
    dp_s: Real
    optimizer_s: Real
    fixed_s: Real
    jitter_s: Real

    @property
    def step_s(self) -> Real:
        """The whole step."""
        return sum(self)


class StepTime(NamedTuple):
    """The parts of one step as a simulation needs them: what follows the clock, and what does not.

    At the highest clock on an undisturbed network; a slot's parts are seconds for one micro-batch
    on one stage.
    """

    micro_batches: int
    stages: int
    interleave: float  # what the schedule, and stages of fewer layers, divide the bubble by
    ideal_s: float  # model FLOPs at the rated peak of all GPUs
    clocked_s: float  # of a slot: follows the clock
    head_s: float  # what the last stage has on top, or less than others; follows the clock
    mean_clocked_s: float  # of a slot, mean over the stages, head included
    held_s: float  # of a slot: bound by memory or the host
    tp_s: float  # of a slot: exposed traffic of tensor groups
    group_s: float  # of a slot: exposed traffic of those that share a sequence, or experts
    pp_s: float  # of a slot: exposed traffic between stages
    drain_s: float  # by which each stage ends its last backward pass before the one below it
    dp_s: float  # gradient and weight traffic of a step, hidden or not
    dp_tail_frac: float  # of that, what nothing can hide
    dp_window_s: float  # what can hide the rest
    dp_contention_frac: float  # of the hidden, what it costs all the same
    fixed_s: float
    jitter_s: float


class Stages(NamedTuple):
    """How the layers lie on the stages."""

    most_layers: Real  # of one stage
    last_layers: Real  # of the one that has the head


class Gradients(NamedTuple):
    """Traffic of gradients and weights in one step."""

    traffic_s: Real
    tail_frac: Real  # of it, what nothing can hide
    window_s: Real  # of work that can hide the rest


class Step(NamedTuple):
    """A step's parts, and what they are made of."""

    parts: Parts
    layer: Layer
    head: Head
    stages: Stages
    gradients: Gradients
    send_s: Real  # of a slot, exposed
    divisor: Real  # what interleaving or a zero-bubble schedule divides the bubble by


def stages_of(shape: Shape, layout: Layout) -> Stages:
    """Return the layers of the stages.

    Where they do not divide, each embedding takes the place of a layer, as in Llama 3 405B: 126
    layers, 128 places.
    """
    chunks = layout.pp * layout.vpp
    even = shape.layers % chunks == 0
    places = np.where(even, shape.layers, shape.layers + 2)
    most = np.ceil(places / chunks) * layout.vpp
    return Stages(most, np.where(even, most, np.maximum(0, most - 1)))


def stage_params(shape: Shape, layout: Layout) -> Real:
    """Return the parameters on one GPU of the fullest stage, the experts' spread counted."""
    stages = stages_of(shape, layout)
    spread = local_layer_params(shape, layout)
    embeddings = np.where(layout.pp == 1, 2 - shape.tied, 1) * head_params(shape) / layout.tp
    last = stages.last_layers * spread + embeddings
    return np.maximum(stages.most_layers * spread, last)


def weight_copies(layout: Layout) -> Real:
    """Return how many stages' weights, with their gradients, one GPU holds."""
    return np.where(layout.schedule == Schedule.DUALPIPE, 2, 1)


def stage_expert_params(shape: Shape, layout: Layout) -> Real:
    """Return those of them that are of routed experts."""
    return stages_of(shape, layout).most_layers * local_expert_params(shape, layout)


def step_of(
    shape: Shape,
    layout: Layout,
    machine: Machine,
    software: Software,
    law: Law,
    shares: Shares = WHOLE,
) -> Step:
    """Return the step of *shape* cut as *layout*, which must be legal.

    *shares* are what the network leaves of the NICs.
    """
    layer = layer_of(shape, layout, machine, software, law, shares)
    head = head_of(shape, layout, machine, software, law)
    stages = stages_of(shape, layout)
    passing_s = _send_s(shape, layout, machine, software, law, shares.sends)
    last_s = stages.last_layers * layer.total_s + head.total_s
    on_last = last_s >= stages.most_layers * layer.total_s
    layers = np.where(on_last, stages.last_layers, stages.most_layers)
    slot_s = np.maximum(last_s, stages.most_layers * layer.total_s) + passing_s
    m = layout.micro_batches
    whole_s = shape.layers * layer.total_s + head.total_s + layout.pp * passing_s
    divisor = _bubble_divisor(layer, layout)
    gradients = _gradients(shape, layout, machine, software, shares.gradients, layer, layers)
    heads = m * on_last
    compute_s = m * layers * layer.compute_s + heads * head.total_s
    parts = Parts(
        matmul_s=m * layers * (layer.products_s + layer.input_s + layer.weight_s),
        attention_s=m * layers * (layer.attend_s + layer.attend_back_s),
        elementwise_s=m * layers * (layer.elementwise_s + layer.elementwise_back_s),
        recompute_s=m * layers * (layer.again_s + layer.again_elementwise_s),
        head_s=heads * head.total_s,
        launch_s=m * layers * layer.launch_s,
        tp_s=m * layers * layer.tp_s,
        cp_s=m * layers * layer.cp_s,
        ep_s=m * layers * layer.ep_s,
        pp_s=m * passing_s,
        bubble_s=np.maximum(0.0, whole_s - slot_s) / divisor,
        dp_s=_exposed_s(gradients, software, law),
        optimizer_s=_optimizer_s(shape, layout, machine, law),
        fixed_s=law.step_fixed_s + 0.0 * m,
        jitter_s=law.jitter_frac * expected_highest(layout.gradient_ranks * layout.pp) * compute_s,
    )
    return Step(parts, layer, head, stages, gradients, passing_s, divisor)


def executed_flop_per_token(
    shape: Shape, layout: Layout, causal: Real = False, flash: Real = True
) -> Real:
    """Return the FLOPs that GPUs do for one token: those of the model, and what is done again.

    Full recomputation does the forward pass of all layers a second time, selective that of
    attention where its scores are stored otherwise: without *flash* [Korthikanti et al. 2022].
    """
    scores = attention_flop_per_token(shape, layout.sequence, causal) / 3.0
    again = np.select(
        [layout.recompute == Recompute.FULL, layout.recompute == Recompute.SELECTIVE],
        [2.0 * active_layer_params(shape) + scores, np.where(flash, 0.0, scores)],
    )
    return flop_per_token(shape, layout.sequence, causal) + shape.layers * again


def expected_highest(count: Real) -> Real:
    """Return the mean of the largest of *count* standard normal values, by Blom's formula.

    Accuracy: 0.03. Source: Abramowitz and Stegun 26.2.23 for the inverse normal distribution.
    """
    t = np.sqrt(-2.0 * np.log(0.625 / (count + 0.25)))
    above = 2.515517 + t * (0.802853 + t * 0.010328)
    below = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    return np.where(count > 1, t - above / below, 0.0)


def step_time(
    shape: Shape,
    layout: Layout,
    machine: Machine,
    software: Software,
    law: Law,
    shares: Shares = WHOLE,
) -> StepTime:
    """Return the step of one legal layout, of plain numbers, as `dcsim.workload.rate` takes it.

    Every stage but the last counts as the fullest; what others have less divides the bubble. All
    that the last has more or less, the head's loss and layers too, counts as following the clock.
    """
    step = step_of(shape, layout, machine, software, law, shares)
    layer, clock = step.layer, machine.fit_clock_frac
    layers = float(step.stages.most_layers)
    clocked_s = layer.products_s + layer.input_s + layer.weight_s
    clocked_s = float(clocked_s + layer.attend_s + layer.attend_back_s + layer.again_s) * clock
    held_s = layer.elementwise_s + layer.elementwise_back_s + layer.again_elementwise_s
    head_s = float(step.head.total_s) * clock
    fewer_s = layers - float(step.stages.last_layers)
    fewer_s = fewer_s * float(layer.total_s) * clock
    slot_s = layers * float(layer.total_s) + float(step.send_s)
    others_s = (layout.pp - 1) * slot_s + min(0.0, head_s - fewer_s) / clock
    bubble_s = float(step.parts.bubble_s * step.divisor)
    flop = flop_per_token(shape, layout.sequence) * layout.tokens_count
    window_s = step.gradients.window_s if software.hides_dp else 0.0
    return StepTime(
        micro_batches=int(layout.micro_batches),
        stages=int(layout.pp),
        interleave=float(step.divisor) * (others_s / bubble_s if bubble_s else 1.0),
        ideal_s=float(flop / (machine.peak_flop_per_s * layout.gpus_count)),
        clocked_s=layers * clocked_s,
        head_s=head_s - fewer_s,
        mean_clocked_s=(shape.layers * clocked_s + head_s) / layout.pp,
        held_s=layers * float(held_s + layer.launch_s),
        tp_s=layers * float(layer.tp_s),
        group_s=layers * float(layer.cp_s + layer.ep_s),
        pp_s=float(step.send_s),
        drain_s=_drain_s(step, layout),
        dp_s=float(step.gradients.traffic_s),
        dp_tail_frac=float(step.gradients.tail_frac),
        dp_window_s=float(window_s),
        dp_contention_frac=law.contention_frac,
        fixed_s=float(step.parts.fixed_s + step.parts.optimizer_s),
        jitter_s=float(step.parts.jitter_s),
    )


def _drain_s(step: Step, layout: Layout) -> float:
    """Return what a backward pass of a chunk takes, half of the traffic counted; 0 if not 1F1B.

    Other schedules fill the end of the step with work.
    """
    layer = step.layer
    backward_s = layer.compute_s - layer.forward_s + layer.traffic_s / 2
    whole_s = step.stages.most_layers * backward_s + step.send_s / 2
    is_plain = layout.schedule == Schedule.ONE_F_ONE_B
    return float(whole_s / layout.vpp) if is_plain else 0.0


def _bubble_divisor(layer: Layer, layout: Layout) -> Real:
    """Return the plain bubble over that of the schedule.

    ZB-H1 waits (p - 1)(F + B - 2W) and DualPipe (p/2 - 1)(2F + 2B - 3W), with B the whole
    backward pass and W the weight gradients in it.
    """
    whole_s, weight_s = layer.total_s, layer.weight_s
    zero_s = np.maximum(whole_s - 2 * weight_s, 1e-3 * whole_s)
    dual_s = np.maximum(whole_s + layer.input_s + layer.weight_s - 3 * weight_s, 1e-3 * whole_s)
    stages = np.maximum(1, layout.pp - 1)
    halves = np.maximum(1e-3, layout.pp / 2 - 1)
    return np.select(
        [layout.schedule == Schedule.ZERO_BUBBLE, layout.schedule == Schedule.DUALPIPE],
        [whole_s / zero_s, whole_s * stages / (dual_s * halves)],
        layout.vpp,
    )


def _send_s(
    shape: Shape, layout: Layout, machine: Machine, software: Software, law: Law, share: Real
) -> Real:
    """Return the exposed seconds of passing a micro-batch on, once a chunk either way.

    Every tensor-parallel GPU sends its share.
    """
    if np.all(layout.pp == 1):
        return 0.0
    near = 2 * layout.tp * layout.dp * layout.cp <= machine.domain_count
    size = slot_tokens(layout) * shape.hidden * HIDDEN_BYTE / layout.tp
    time_s = 2 * layout.vpp * send_s(machine.fabric, size, near, share)
    exposed = np.where(software.hides_pp, law.contention_frac, 1.0)
    return np.where(layout.pp > 1, time_s * exposed, 0.0)


def _gradients(
    shape: Shape,
    layout: Layout,
    machine: Machine,
    software: Software,
    share: Real,
    layer: Layer,
    layers: Real,
) -> Gradients:
    """Return the traffic: once a step, with sharded gradients or weights once a micro-batch.

    Gradients are reduced behind the last backward pass and weights gathered behind the first
    forward pass, one slot in all; interleaved chunks finish earlier, one round of `pp`
    micro-batches apart. Sharded gradients are not added up before they are reduced, and sharded
    weights are gathered for either pass of each micro-batch.
    """
    m, sharding = layout.micro_batches, layout.sharding
    ranks, params = layout.gradient_ranks, stage_params(shape, layout)
    near = np.minimum(ranks, np.maximum(1, machine.domain_count // layout.tp))
    experts = stage_expert_params(shape, layout)
    traffic_s = _states_traffic_s(
        layout, machine, software, share, params - experts, ranks, layout.shard_ranks, near
    )
    if np.any(experts):
        traffic_s = traffic_s + _states_traffic_s(
            layout,
            machine,
            software,
            share,
            experts,
            ranks / layout.ep,
            layout.expert_shard_ranks,
            np.maximum(1, near // layout.ep),
        )
    buckets = params / np.maximum(_BUCKET_PARAMS, _BUCKET_PARAMS_PER_RANK * ranks)
    buckets = np.maximum(layout.vpp, np.floor(np.maximum(1.0, buckets)))
    rounds = np.where(layout.vpp > 1, np.minimum(layout.pp, m), 1)
    slot_s = layers * layer.compute_s
    return Gradients(
        traffic_s * weight_copies(layout),
        1 / np.where(sharding == Sharding.ZERO3, shape.layers, buckets),
        np.where(sharding >= Sharding.ZERO2, m, rounds) * slot_s,
    )


def _states_traffic_s(
    layout: Layout,
    machine: Machine,
    software: Software,
    share: Real,
    params: Real,
    ranks: Real,
    group: Real,
    near: Real,
) -> Real:
    """Return the traffic of *params* that *ranks* GPUs have and *group* of them spread.

    *near* of the ranks share a domain. Copies of a group's shards are reduced once a step.
    """
    fabric, m = machine.fabric, layout.micro_batches
    gradient_byte, weight_byte = params * software.gradient_byte, params * WEIGHT_BYTE
    within, trees = np.minimum(near, group), software.trees
    gather_s = all_gather_s(fabric, weight_byte, group, within, share=share)
    scatter_s = reduce_scatter_s(fabric, gradient_byte, group, within, share=share)
    sharding, none = layout.sharding, layout.sharding == Sharding.NONE
    gathers = np.where(sharding == Sharding.ZERO3, 2 * m, 1)
    traffic_s = gathers * gather_s + np.where(sharding >= Sharding.ZERO2, m, 1) * scatter_s
    if np.any(layout.shards > 0):
        copies, near_copies = ranks / group, np.maximum(1, near // group)
        of_group = gradient_byte / group
        traffic_s = traffic_s + all_reduce_s(fabric, of_group, copies, near_copies, share, trees)
    if np.any(none):
        reduce_s = all_reduce_s(fabric, gradient_byte, ranks, near, share, trees)
        traffic_s = np.where(none, reduce_s, traffic_s)
    return traffic_s


def _exposed_s(gradients: Gradients, software: Software, law: Law) -> Real:
    tail_s = gradients.traffic_s * gradients.tail_frac
    hidden_s = np.minimum(gradients.traffic_s - tail_s, gradients.window_s)
    hidden_s = np.where(software.hides_dp, hidden_s, 0.0)
    return gradients.traffic_s - (1 - law.contention_frac) * hidden_s


def _optimizer_s(shape: Shape, layout: Layout, machine: Machine, law: Law) -> Real:
    params, experts = stage_params(shape, layout), stage_expert_params(shape, layout)
    spread = (params - experts) / layout.shard_ranks + experts / layout.expert_shard_ranks
    updated = np.where(layout.sharding == Sharding.NONE, params, spread)
    held = np.where(layout.sharding == Sharding.ZERO3, spread, params)
    moved_byte = _UPDATE_BYTE * updated + _NORM_BYTE * held
    return moved_byte / (machine.hbm_byte_per_s * law.hbm_frac)
