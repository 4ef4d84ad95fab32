"""Step time of dense training: a first closed form.

    step = m slot + (p - 1)/v slot + exposed gradient traffic + fixed + jitter
    slot = matrix products + attention + memory-bound work + exposed TP and PP traffic

with m micro-batches, p stages and v chunks of the model on each. A slot is one micro-batch on
one stage, forward and backward; where the head shares the last stage, that slot is longer. Only
matrix products and attention follow the clock. Times here are at the highest clock. The published
runs do not say theirs: they are taken to have held what the GPU's sheet gives in pretraining at
its power cap and 60 degC, so that a simulated node in that state reproduces them.

Gradients and weights of one step are reduced and gathered behind one micro-batch. What takes
longer, and the last bucket, is exposed. Jitter is the slowest of all stages of all replicas,
each with a normal spread of `jitter_frac`.

Valid for bf16, tensor parallelism inside a node, selective recompute, a distributed optimizer
and software of 2024 or later. Six constants stand in `catalog/data/step/first-form.yaml`: four
fitted together, two judged. Accuracy: 2.5% on the seven published H100 and H200 rows of the fit
(1.7B to 405B parameters, 48 to 1,536 GPUs), 4% on each when it is left out; what those rows do not
print had to be assumed, and moves single rows by up to 9%. Older or less tuned software is
slower, that of 2022 and 2023 by 7 to 14%. No row with all its settings and such software lies
beyond 1,536 GPUs: there only the closed forms speak.
Source: the rows, their errors and the fit are in `tests/validation/test_step_time_first_form.py`;
pipeline and traffic volumes as in Narayanan et al. 2021 and Korthikanti et al. 2022.
"""

from statistics import NormalDist
from typing import NamedTuple

from dcsim.catalog import Sheet
from dcsim.workload.collectives import all_gather_s, reduce_scatter_s, send_s
from dcsim.workload.contention import ring_share
from dcsim.workload.fabric import Fabric, Protocol
from dcsim.workload.layout import Layout, pipeline_slots, replicas_per_node
from dcsim.workload.memory import WEIGHT_BYTE, activation_byte_per_token, stage_params
from dcsim.workload.model import (
    Model,
    attention_flop_per_token,
    flop_per_token,
    head_params,
    layer_params,
    matmul_flop_per_token,
)

_HIDDEN_BYTE = 2.0  # activations travel as bf16
_BUCKET_PARAMS = 40e6  # Megatron-Core: at least so many, and a million for each rank
_BUCKET_PARAMS_PER_RANK = 1e6
_UPDATE_BYTE = 30.0  # Adam reads a gradient and three fp32 values, writes those and a weight
_NORM_BYTE = 8.0  # every gradient is read for the norm, and cleared


class Chip(NamedTuple):
    """What the step time needs of one GPU."""

    peak_flop_per_s: float  # dense bf16, at the rated clock: what MFU is a share of
    matmul_flop_per_s: float  # the most that a matrix product was measured to reach
    hbm_byte_per_s: float
    fit_clock_frac: float  # of the highest clock, in the published runs


class Links(NamedTuple):
    """What carries a job's traffic: rates that are reached, latencies of a ring, and placement."""

    gpus_per_node: int
    nvlink_byte_per_s: float
    nic_byte_per_s: float  # one NIC per GPU
    nvlink_hop_s: float  # of one step of a ring
    nic_hop_s: float
    launch_s: float
    oversubscription: float = 1.0  # of the fabric's highest tier
    domain_nodes: int = 1  # nodes below one part of that tier: a unit, or a pod with three tiers

    @property
    def fabric(self) -> Fabric:
        """Rings of one protocol, in which nothing hides or has to fill."""
        ring = (Protocol(self.launch_s, self.nvlink_hop_s, self.nic_hop_s),)
        return Fabric(
            self.nvlink_byte_per_s, self.nic_byte_per_s, domain_ring=ring, network_ring=ring
        )


class Form(NamedTuple):
    """The constants of this form."""

    matmul_frac: float  # of the measured matmul rate
    attention_frac: float  # of the bf16 peak, full attention counted
    activation_passes_count: float  # times each stored byte crosses the memory bus
    exposed_frac: float  # of TP and PP traffic
    step_fixed_s: float
    jitter_frac: float
    gradient_byte: float


class StepTime(NamedTuple):
    """The parts of one step, at the highest clock on an undisturbed network.

    The slot's parts are seconds for one micro-batch on one stage.
    """

    micro_batches: int
    stages: int
    interleave: int
    ideal_s: float  # model FLOPs at the rated peak of all GPUs
    clocked_s: float  # of a slot: follows the clock
    head_s: float  # what the last stage has on top; follows the clock
    mean_clocked_s: float  # of a slot, mean over the stages, head included
    held_s: float  # of a slot: bound by memory
    tp_s: float  # of a slot: exposed traffic in the node
    pp_s: float  # of a slot: exposed traffic between stages
    dp_s: float  # gradient and weight traffic of a step, hidden or not
    dp_tail_frac: float  # of that, what nothing can hide
    dp_window_s: float  # what can hide the rest
    fixed_s: float
    jitter_s: float


def chip_of(gpu: Sheet) -> Chip:
    """Return what the step time needs of a GPU's data sheet."""
    peak = gpu["peak_bf16_flop_per_s"]
    return Chip(
        peak_flop_per_s=peak,
        matmul_flop_per_s=peak * gpu["gemm_bf16_frac"],
        hbm_byte_per_s=gpu["hbm_byte_per_s"],
        fit_clock_frac=_capped_clock_frac(gpu),
    )


def fabric_of(
    gpu: Sheet,
    node: Sheet,
    form: Sheet,
    link_byte_per_s: float,
    oversubscription: float = 1.0,
    domain_nodes: int = 1,
) -> Links:
    """Return the rates and latencies that a job on such nodes and links gets."""
    nic = min(node["nic_byte_per_s"], link_byte_per_s)
    return Links(
        gpus_per_node=int(node["gpus_count"]),
        nvlink_byte_per_s=gpu["nvlink_byte_per_s"] * form["nvlink_efficiency_frac"],
        nic_byte_per_s=nic * form["nic_efficiency_frac"],
        nvlink_hop_s=form["nvlink_hop_s"],
        nic_hop_s=form["nic_hop_s"],
        launch_s=form["launch_s"],
        oversubscription=oversubscription,
        domain_nodes=domain_nodes,
    )


def form_of(sheet: Sheet) -> Form:
    """Return the constants from their sheet, `step/first-form`."""
    return Form(**{name: sheet[name] for name in Form._fields})


def step_time(model: Model, layout: Layout, chip: Chip, links: Links, form: Form) -> StepTime:
    """Return the parts of one step of *model* cut as *layout*, which must be legal."""
    stages, interleave = layout.pp, layout.interleave
    tokens = layout.micro_batch * layout.sequence / layout.cp
    slots = pipeline_slots(model, stages * interleave) / stages
    layer_s, head_s = _clocked(model, layout, tokens, chip, form)
    head_apart_s = head_s if slots * stages == model.layers else 0.0
    stored_byte = slots * tokens * activation_byte_per_token(model, recompute=False) / layout.tp
    held_s = stored_byte * form.activation_passes_count / chip.hbm_byte_per_s
    tp_s, pp_s = _slot_traffic(model, layout, tokens, slots, links.fabric)
    tp_s, pp_s = tp_s * form.exposed_frac, pp_s * form.exposed_frac
    dp_s, dp_tail_frac = _gradient_traffic(model, layout, links, form)
    flop = flop_per_token(model, layout.sequence) * layout.tokens_count
    busiest_s = layout.micro_batches * (slots * layer_s + head_apart_s)
    return StepTime(
        micro_batches=layout.micro_batches,
        stages=stages,
        interleave=interleave,
        ideal_s=flop / (chip.peak_flop_per_s * layout.gpus_count),
        clocked_s=slots * layer_s * chip.fit_clock_frac,
        head_s=head_apart_s * chip.fit_clock_frac,
        mean_clocked_s=(model.layers * layer_s + head_s) / stages * chip.fit_clock_frac,
        held_s=held_s,
        tp_s=tp_s,
        pp_s=pp_s,
        dp_s=dp_s,
        dp_tail_frac=dp_tail_frac,
        dp_window_s=slots * layer_s + held_s + tp_s + pp_s,
        fixed_s=form.step_fixed_s + _optimizer_s(model, layout, chip),
        jitter_s=form.jitter_frac * expected_highest(layout.dp * stages) * busiest_s,
    )


def expected_highest(count: int) -> float:
    """Return the mean of the largest of *count* standard normal values, by Blom's formula.

    Accuracy: 0.03.
    """
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25))


def _capped_clock_frac(gpu: Sheet) -> float:
    """Return clock over highest clock in dense work, at the rated power and 60 degC."""
    room_w = gpu["tdp_w"] - gpu["static_w"] - gpu["leak_w"]
    return min(1.0, float((room_w / gpu["dynamic_w"]) ** (1 / gpu["clock_exponent_frac"])))


def _clocked(
    model: Model, layout: Layout, tokens: float, chip: Chip, form: Form
) -> tuple[float, float]:
    """Return the seconds of one layer and of the head for *tokens*, as in the published runs."""
    matmul_rate = chip.matmul_flop_per_s * form.matmul_frac * layout.tp
    attention_rate = chip.peak_flop_per_s * form.attention_frac * layout.tp
    layer_s = matmul_flop_per_token(layer_params(model)) / matmul_rate
    layer_s += attention_flop_per_token(model, layout.sequence) / attention_rate
    head_s = matmul_flop_per_token(head_params(model)) / matmul_rate
    return tokens * layer_s, tokens * head_s


def _slot_traffic(
    model: Model, layout: Layout, tokens: float, slots: float, fabric: Fabric
) -> tuple[float, float]:
    """Return the seconds of all TP and PP traffic of one slot.

    Each layer gathers and scatters its tokens twice forward and twice backward; each chunk
    passes them on once either way, a share from every tensor-parallel GPU.
    """
    size_byte = tokens * model.hidden * _HIDDEN_BYTE
    tp_s = slots * 8 * float(all_gather_s(fabric, size_byte, layout.tp, layout.tp))
    if layout.pp == 1:
        return tp_s, 0.0
    return tp_s, 2 * layout.interleave * float(send_s(fabric, size_byte / layout.tp, near=False))


def _gradient_traffic(
    model: Model, layout: Layout, links: Links, form: Form
) -> tuple[float, float]:
    """Return the seconds to scatter gradients and gather weights, and their last bucket's share."""
    ranks, params = layout.dp * layout.cp, stage_params(model, layout)
    together = replicas_per_node(layout, links.gpus_per_node)
    stride_nodes = max(1, layout.tp * layout.pp * together // links.gpus_per_node)
    share = ring_share(stride_nodes, links.domain_nodes, links.oversubscription)
    buckets = max(1, params // max(_BUCKET_PARAMS, _BUCKET_PARAMS_PER_RANK * ranks))
    buckets = max(layout.interleave, buckets)
    gradients_byte, weights_byte = params * form.gradient_byte, params * WEIGHT_BYTE
    traffic_s = reduce_scatter_s(links.fabric, gradients_byte, ranks, together, share)
    traffic_s += all_gather_s(links.fabric, weights_byte, ranks, together, share)
    return float(traffic_s), 1 / buckets


def _optimizer_s(model: Model, layout: Layout, chip: Chip) -> float:
    moved_byte = _UPDATE_BYTE / (layout.dp * layout.cp) + _NORM_BYTE
    return stage_params(model, layout) * moved_byte / chip.hbm_byte_per_s
