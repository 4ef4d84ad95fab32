"""How a job is cut over GPUs, and which of them serves what.

GPUs are ranked with the tensor rank running fastest, then the replicas that share a node, then
the pipeline stages, then all other replicas: tensor-parallel traffic and part of the gradient
traffic stay in the node, and a replica's stages are neighbours.
"""

from enum import IntEnum
from math import gcd, lcm
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim.workload.model import Real
from dcsim.workload.options import EXCHANGES, RECOMPUTES, SCHEDULES, SHARDINGS

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
    AUTO = 3  # the least of these that fits; resolved before anything is computed


class Schedule(IntEnum):
    """In which order a stage takes its micro-batches; with `vpp` above 1, 1F1B is interleaved."""

    ONE_F_ONE_B = 0
    ZERO_BUBBLE = 1  # ZB-H1: weight gradients fill the bubble
    DUALPIPE = 2  # fed from both ends; every stage holds two copies of its weights


class Exchange(IntEnum):
    """How the GPUs that share a sequence see each other's keys and values."""

    RING = 0
    ALL_GATHER = 1


CODES: dict[str, dict[str, int]] = {
    "recompute": dict(zip(RECOMPUTES, Recompute, strict=True)),
    "sharding": dict(zip(SHARDINGS, Sharding, strict=True)),
    "schedule": dict(zip(SCHEDULES, Schedule, strict=True)),
    "cp_exchange": dict(zip(EXCHANGES, Exchange, strict=True)),
}
"""What the words of these options stand for."""


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


def replicas_per_node(layout: Layout, gpus_per_node: int) -> int:
    """Return how many replicas of one stage share a node."""
    return gcd(layout.dp * layout.cp, gpus_per_node // layout.tp)


def lockstep_ranks(layout: Layout) -> int:
    """Return how many of the GPUs that hold the same layer are in step within a micro-batch.

    Those that share a sequence, and those that share out the experts.
    """
    return lcm(layout.cp, layout.ep)


def seats(layout: Layout, gpus_per_node: int) -> tuple[I32, I32]:
    """Return whom each GPU serves, int32[gpu] in the order of ranks: its rank among those that
    hold the same layer, in which neighbours share a sequence, and its stage.
    """
    together = replicas_per_node(layout, gpus_per_node)
    rank = np.arange(layout.gpus_count, dtype=np.int32) // layout.tp
    stage = rank // together % layout.pp
    replica = rank // (together * layout.pp) * together + rank % together
    return replica, stage
