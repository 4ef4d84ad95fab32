"""How a job is cut over GPUs: tensor, pipeline and data parallel; which cuts are legal.

GPUs are ranked with the tensor rank running fastest, then the replicas that share a node, then
the pipeline stages, then all other replicas: tensor-parallel traffic and part of the gradient
traffic stay in the node, and a replica's stages are neighbours.
"""

from collections.abc import Callable, Iterator
from math import gcd
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim.workload.model import Model

I32 = npt.NDArray[np.int32]


class Layout(NamedTuple):
    """One cut; sizes in GPUs, micro-batches, sequences and tokens."""

    tp: int
    pp: int
    dp: int
    micro_batches: int  # of one replica in one step
    micro_batch: int  # sequences
    sequence: int  # tokens
    interleave: int = 1  # chunks of the model on each stage
    cp: int = 1  # GPUs that share a sequence; only published rows need it

    @property
    def gpus_count(self) -> int:
        """GPUs in the job."""
        return self.tp * self.pp * self.dp * self.cp

    @property
    def batch(self) -> int:
        """Sequences in one step."""
        return self.dp * self.micro_batches * self.micro_batch

    @property
    def tokens_count(self) -> int:
        """Tokens in one step."""
        return self.batch * self.sequence


class Problem(NamedTuple):
    """Why a cut is impossible: the key of the job that is at fault, and the reason."""

    key: str
    text: str


def plan(
    model: Model,
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
    micro_batches = batch // (dp * micro_batch)
    return Layout(tp, pp, dp, micro_batches, micro_batch, sequence, interleave), []


def pipeline_slots(model: Model, parts: int) -> int:
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


def _tensor_problems(model: Model, gpus_per_node: int, tp: int) -> Iterator[Problem]:
    def legal(n: int) -> bool:
        heads = model.heads % n == 0 and (model.kv_heads % n == 0 or n % model.kv_heads == 0)
        return gpus_per_node % n == 0 and heads and model.ffn % n == 0

    if not legal(tp):
        needs = f"the {gpus_per_node} GPUs of a node, {model.heads} heads, ffn {model.ffn}"
        yield Problem("parallel.tp", f"{tp} does not divide {needs}: {_nearest(tp, legal)}")


def _stage_problems(model: Model, pp: int, interleave: int) -> Iterator[Problem]:
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
