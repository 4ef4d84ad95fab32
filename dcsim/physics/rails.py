"""What the rails of its nodes leave of a job's traffic: only the groups that cross a link feel it.

A tensor group stays in its node and feels nothing. Ranks in step (a sequence, or experts, shared)
feel the rails of their own seats, a hop of the pipeline those of its two ends, the ring of a
stage's gradients those of all its seats. A group that lies in one node crosses no rail.

Valid: each GPU sends on the NIC of its number; a ring is as slow as its slowest rail.
Of hops, and of traffic of ranks in step, what is exposed grows: what software hides beside a whole
network counts as hidden beside a thin one, too.
Accuracy: a closed form; no measurement of degraded fabrics was used. A group that is reduced within
nodes first, then between them, counts the rails of all its members.
Source: arithmetic of the order of ranks in `workload.layout`.
"""

from typing import Any, NamedTuple

import numpy as np

from dcsim.kernel import kernel
from dcsim.workload.rate import gradients_s, waits_s
from dcsim.world.site import Placement
from dcsim.world.tables import F64, I32


class Delays(NamedTuple):
    """What does not follow the clock: in each slot on each stage, and the gradients of a step."""

    wait_s: F64  # [groups, stages]
    gradients_s: float


class Crossed(NamedTuple):
    """Share of the NICs that each kind of group has, 1 for one that crosses no rail."""

    hop_frac: F64  # [groups, stages], from each stage to the next
    group_frac: F64  # [groups, stages], of ranks in step
    ring_frac: F64  # [stages], of gradients


def whole_delays(placement: Placement) -> Delays:
    """Return the traffic of a job on a network without a fault."""
    groups, _ranks, stages = placement.seat_node.shape
    whole = np.ones((groups, stages))
    return _delays(placement.step, Crossed(whole, whole, np.ones(stages)))


def delays_now(placement: Placement, rails: F64) -> Delays:
    """Return the traffic of a job where rails have this share of bandwidth, [node, rail]."""
    seats = seat_frac(placement.seat_node, placement.seat_gpu, placement.tp, rails)
    return _delays(placement.step, Crossed(*crossed(seats, placement.seat_node)))


@kernel
def seat_frac(seat_node: I32, seat_gpu: I32, tp: int, rails: F64) -> F64:
    """Return the share of the slowest NIC of each seat, [groups, ranks, stages]."""
    groups, ranks, stages = seat_node.shape
    seats = np.ones((groups, ranks, stages))
    for g in range(groups):
        for r in range(ranks):
            for s in range(stages):
                first = seat_gpu[g, r, s]
                for gpu in range(first, first + tp):
                    seats[g, r, s] = min(seats[g, r, s], rails[seat_node[g, r, s], gpu])
    return seats


@kernel
def crossed(seats: F64, seat_node: I32) -> tuple[F64, F64, F64]:
    """Return the fields of `Crossed` from the shares of the *seats*."""
    groups, ranks, stages = seats.shape
    hop, within, ring = np.ones((groups, stages)), np.ones((groups, stages)), np.ones(stages)
    for s in range(stages):
        after, lowest, is_wide = (s + 1) % stages, 1.0, False
        for g in range(groups):
            is_shared = False
            for r in range(ranks):
                lowest = min(lowest, seats[g, r, s])
                within[g, s] = min(within[g, s], seats[g, r, s])
                is_shared |= seat_node[g, r, s] != seat_node[g, 0, s]
                is_wide |= seat_node[g, r, s] != seat_node[0, 0, s]
                if seat_node[g, r, s] != seat_node[g, r, after]:
                    hop[g, s] = min(hop[g, s], seats[g, r, s], seats[g, r, after])
            if not is_shared:
                within[g, s] = 1.0
        if is_wide:
            ring[s] = lowest
    return hop, within, ring


def _delays(step: Any, shares: Crossed) -> Delays:
    return Delays(
        waits_s(step, shares.hop_frac, shares.group_frac), gradients_s(step, shares.ring_frac)
    )
