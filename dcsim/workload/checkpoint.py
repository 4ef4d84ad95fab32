"""What a checkpoint holds, how long it takes to save, and how often to save one."""

from math import exp, inf, log1p

from dcsim.workload.model import Shape, params_count

CHECKPOINT_BYTE_PER_PARAM = 14.0  # bf16 weight, fp32 weight and two moments


def checkpoint_byte(model: Shape) -> float:
    """Return the size of a whole checkpoint.

    14 bytes a parameter: MLPerf Storage's checkpoints have 13.0 to 13.1, Megatron's of GPT-3
    175B 14.4.
    """
    return CHECKPOINT_BYTE_PER_PARAM * float(params_count(model))


def local_stall_s(gpu_byte: float, copy_byte_per_s: float, floor_s: float) -> float:
    """Return how long training stands still while *gpu_byte* are copied to host memory [s].

    *copy_byte_per_s* is from GPU to host. *floor_s* is the least that was published, 0.2 s for
    65B parameters on 1,536 GPUs [DLRover Flash Checkpoint], most of it not copying.
    """
    return max(floor_s, gpu_byte / copy_byte_per_s)


def drain_s(held_byte: float, byte_per_s: float) -> float:
    """Return how long *held_byte* take to leave for where they are safe [s].

    For an in-memory checkpoint that is a node's share through the part of its NICs that training
    leaves; for a remote one the whole through the storage, or a node's share through its link.
    The next save cannot begin before.
    """
    return held_byte / byte_per_s


def optimum_interval_s(stall_s: float, mtbf_s: float, least_s: float = 0.0) -> float:
    """Return the time between the ends of two saves that loses least [s].

    Daly's optimum, exact for exponential failures: the tau that solves
    (1 - tau/M) exp(tau/M) = exp(-stall/M) for M = *mtbf_s*; never below *least_s*, the drain.
    Infinite where nothing fails. Source: J. T. Daly, Future Generation Computer Systems 22,
    2006.
    """
    if mtbf_s == inf:
        return inf
    share = stall_s / mtbf_s
    tau = 1 - exp(-1 - share)
    while 0 < tau < 1:
        closer = tau + (log1p(-tau) + tau + share) * (1 - tau) / tau
        if not 0 <= closer < tau:
            break
        tau = closer
    return max(least_s, tau * mtbf_s)
