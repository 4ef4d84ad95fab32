"""How a job is cut over GPUs: tensor, pipeline and data parallel; which cuts are legal.

GPUs are ranked with the tensor rank running fastest, then the replicas that share a node, then
the pipeline stages, then all other replicas: tensor-parallel traffic and part of the gradient
traffic stay in the node, and a replica's stages are neighbours.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from math import gcd
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim.workload.model import Real, Shape

I32 = npt.NDArray[np.int32]


class Sharding(IntEnum):
    """What of a replica's states is spread over the replicas."""

    NONE = 0
    ZERO1 = 1  # optimizer
    ZERO2 = 2  # and gradients
    ZERO3 = 3  # and weights: FSDP full shard


class Recompute(IntEnum):
    """What the backward pass computes again instead of keeping it."""

    NONE = 0
    SELECTIVE = 1  # norms, activation functions, and scores where they are not fused away
    FULL = 2


class Schedule(IntEnum):
    """In which order a stage takes its micro-batches; with `vpp` above 1, 1F1B is interleaved."""

    ONE_F_ONE_B = 0
    ZERO_BUBBLE = 1  # ZB-H1: weight gradients fill the bubble
    DUALPIPE = 2  # fed from both ends; every stage holds two copies of its weights


class Exchange(IntEnum):
    """How the GPUs that share a sequence see each other's keys and values."""

    RING = 0
    ALL_GATHER = 1


class Layout(NamedTuple):
    """One cut; sizes in GPUs, sequences and tokens, each a scalar or an array."""

    tp: Real
    pp: Real
    dp: Real
    micro_batch: Real  # sequences
    global_batch: Real  # sequences of one step
    sequence: Real  # tokens
    vpp: Real = 1  # chunks of the model on each stage
    cp: Real = 1  # GPUs that share a sequence
    ep: Real = 1  # replicas over which the experts are spread
    sharding: Real = Sharding.ZERO1
    recompute: Real = Recompute.NONE
    schedule: Real = Schedule.ONE_F_ONE_B
    exchange: Real = Exchange.RING
    shards: Real = 0  # replicas that one copy of the states is spread over (HSDP); 0 for all
    token_nodes: Real = 0  # most nodes that a token's experts may lie on; 0 for no limit

    @property
    def gpus_count(self) -> Real:
        """GPUs in the job."""
        return self.tp * self.pp * self.dp * self.cp

    @property
    def micro_batches(self) -> Real:
        """Micro-batches of one replica in one step."""
        return self.global_batch // (self.dp * self.micro_batch)

    @property
    def tokens_count(self) -> Real:
        """Tokens in one step."""
        return self.global_batch * self.sequence

    @property
    def gradient_ranks(self) -> Real:
        """GPUs that hold the same weights, or a share of them."""
        return self.dp * self.cp

    @property
    def shard_ranks(self) -> Real:
        """Of these, how many one copy of the states is spread over."""
        return np.where(self.shards > 0, self.shards, self.gradient_ranks)

    @property
    def expert_shard_ranks(self) -> Real:
        """The same for the experts' weights, of which only one in `ep` GPUs has the same."""
        return np.maximum(1, self.shard_ranks // self.ep)


class Problem(NamedTuple):
    """Why a cut is impossible: the key of the job that is at fault, and the reason."""

    key: str
    text: str


def plan(
    model: Shape,
    gpus_per_node: int,
    gpus_count: int,
    *,
    tp: int,
    pp: int,
    dp: int | None,
    batch: int,
    micro_batch: int,
    sequence: int,
    interleave: int,
) -> tuple[Layout | None, list[Problem]]:
    """Return the cut of *batch* sequences over at most *gpus_count* GPUs, or all that is wrong.

    Without *dp* there are as many replicas as there is room for. Every problem names the
    nearest legal values. Keys are `parallel.tp`, `parallel.pp`, `parallel.dp`, `interleave`
    and `batch`.
    """
    problems = [
        *_tensor_problems(model, gpus_per_node, tp),
        *_stage_problems(model, pp, interleave),
    ]
    if problems:
        return None, problems
    room = gpus_count // (tp * pp)
    dp = room if dp is None else dp
    problems = [*_replica_problems(gpus_per_node, tp, pp, dp, room)]
    if problems:
        return None, problems
    problems = [*_batch_problems(pp, dp, batch, micro_batch, interleave)]
    if problems:
        return None, problems
    return Layout(tp, pp, dp, micro_batch, batch, sequence, vpp=interleave), []


def pipeline_slots(model: Shape, parts: int) -> int:
    """Return the equal slots that *parts* chunks of the pipeline share, 0 if they cannot.

    A slot is a layer. Where the layers do not divide, each embedding takes a slot, as Llama 3
    405B does it: 126 layers, 128 slots.
    """
    return next((n for n in (model.layers, model.layers + 2) if n % parts == 0), 0)


def replicas_per_node(layout: Layout, gpus_per_node: int) -> int:
    """Return how many replicas of one stage share a node."""
    return gcd(layout.dp * layout.cp, gpus_per_node // layout.tp)


def seats(layout: Layout, gpus_per_node: int) -> tuple[I32, I32]:
    """Return the replica and the stage that each GPU serves, int32[gpu] in the order of ranks."""
    together = replicas_per_node(layout, gpus_per_node)
    rank = np.arange(layout.gpus_count, dtype=np.int32) // layout.tp
    stage = rank // together % layout.pp
    replica = rank // (together * layout.pp) * together + rank % together
    return replica, stage


def _tensor_problems(model: Shape, gpus_per_node: int, tp: int) -> Iterator[Problem]:
    def legal(n: int) -> bool:
        heads = model.heads % n == 0 and (model.kv_heads % n == 0 or n % model.kv_heads == 0)
        return gpus_per_node % n == 0 and heads and model.ffn % n == 0

    if not legal(tp):
        needs = f"the {gpus_per_node} GPUs of a node, {model.heads} heads, ffn {model.ffn}"
        yield Problem("parallel.tp", f"{tp} does not divide {needs}: {_nearest(tp, legal)}")


def _stage_problems(model: Shape, pp: int, interleave: int) -> Iterator[Problem]:
    def legal(n: int) -> bool:
        return pipeline_slots(model, n) > 0

    slots = f"{model.layers} layers, nor those and 2 embeddings"
    if not legal(pp):
        yield Problem("parallel.pp", f"{pp} stages do not divide {slots}: {_nearest(pp, legal)}")
    elif interleave > 1 and pp == 1:
        yield Problem("interleave", f"{interleave} chunks of a pipeline of one stage: nearest is 1")
    elif not legal(pp * interleave):
        chunks = f"{pp} stages of {interleave} chunks do not divide {slots}"
        near = _nearest(interleave, lambda n: legal(pp * n))
        yield Problem("interleave", f"{chunks}: {near}")


def _replica_problems(
    gpus_per_node: int, tp: int, pp: int, dp: int, room: int
) -> Iterator[Problem]:
    replica = f"a replica takes {tp} x {pp} = {tp * pp} GPUs"
    if room < 1:
        yield Problem("parallel.pp", f"{replica}, more than there are")
    elif not 1 <= dp <= room:
        yield Problem("parallel.dp", f"{dp}: {replica}, there is room for 1 to {room}")
    elif tp * pp * dp % gpus_per_node:
        near = _nearest(dp, lambda n: n <= room and tp * pp * n % gpus_per_node == 0)
        yield Problem("parallel.dp", f"{dp}: {replica}, which leaves a node half used: {near}")


def _batch_problems(
    pp: int, dp: int, batch: int, micro_batch: int, interleave: int
) -> Iterator[Problem]:
    once = dp * micro_batch
    per_round = once * (pp if interleave > 1 else 1)
    if batch < 1 or batch % per_round:
        parts = f"{dp} replicas x micro-batch {micro_batch}"
        parts += f" x {pp} interleaved stages" if interleave > 1 else ""
        near = _nearest(batch, lambda n: n % per_round == 0, per_round)
        yield Problem("batch", f"{batch} is no multiple of {parts} = {per_round}: {near}")


def _nearest(value: int, legal: Callable[[int], bool], reach: int = 1024) -> str:
    """Name the closest legal numbers below and above *value*, at most *reach* away."""
    below = next((n for n in range(value, max(0, value - reach - 1), -1) if n and legal(n)), None)
    above = next((n for n in range(max(value, 1), value + reach + 1) if legal(n)), None)
    found = [str(n) for n in (below, above) if n is not None]
    return f"nearest is {' or '.join(found)}" if found else "no legal value is near"
