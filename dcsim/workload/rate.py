"""The step as it runs now: slowed GPUs, a degraded network, and what each of them costs.

A replica takes m times its slowest slot and 1/v of the sum of the others, so that slow stages
within it hide behind the slowest; the job waits for its slowest replica. With all stages alike
that is the closed form of `dcsim.workload.step`.
"""

import numpy as np
import numpy.typing as npt

from dcsim.kernel import kernel
from dcsim.workload.step import StepTime

F64 = npt.NDArray[np.float64]

PARTS = (
    "useful",
    "kernel_efficiency",
    "exposed_communication",
    "pipeline_bubble",
    "slow_gpus",
    "throttling",
    "power_cap",
    "degraded_network",
)


@kernel
def exposed_dp_s(t: StepTime, network_frac: float) -> float:
    """Return the seconds that gradient traffic adds when its links have *network_frac*."""
    traffic = t.dp_s / network_frac
    behind = traffic * (1.0 - t.dp_tail_frac)
    return traffic - (1.0 - t.dp_contention_frac) * min(behind, t.dp_window_s)


@kernel
def uniform_step_s(t: StepTime, slowdown: float) -> float:
    """Return the step [s] with every GPU slowed alike, no jitter, all links whole."""
    slot = t.clocked_s * slowdown + t.held_s + t.tp_s + t.group_s + t.pp_s
    pipeline = (t.micro_batches + (t.stages - 1) / t.interleave) * slot
    last = t.head_s * slowdown
    last = t.micro_batches * last if last > 0.0 else last / t.interleave
    return pipeline + last + exposed_dp_s(t, 1.0) + t.fixed_s


@kernel
def waits_s(t: StepTime, hop_frac: F64, group_frac: F64) -> F64:
    """Return what does not follow the clock in a slot of each stage of each group, [group, stage].

    Shares of the NICs, in (0, 1]: *hop_frac* of the hop from each stage to the next, from the last
    to the first; *group_frac* of the traffic of the ranks that are in step. A slot sends once
    either way, and waits for either.
    """
    groups, stages = hop_frac.shape
    waits = np.empty((groups, stages))
    for group in range(groups):
        before = 1.0 / hop_frac[group, stages - 1]
        for stage in range(stages):
            after = 1.0 / hop_frac[group, stage]
            sent = 0.5 * t.pp_s * (before + after) + t.group_s / group_frac[group, stage]
            waits[group, stage] = t.held_s + t.tp_s + sent
            before = after
    return waits


@kernel
def gradients_s(t: StepTime, ring_frac: F64) -> float:
    """Return the seconds that gradient traffic adds where rings have these shares, [stage].

    In 1F1B each stage ends its last backward pass before the one below it, so that a slow ring of
    a later stage has that time to catch up.
    """
    added = exposed_dp_s(t, 1.0)
    for stage in range(ring_frac.shape[0]):
        ahead = stage * t.drain_s
        added = max(added, exposed_dp_s(t, ring_frac[stage]) - ahead)
    return added


@kernel
def step_now(
    t: StepTime, slowdown: npt.NDArray[np.floating], wait_s: F64, gradients_s: float
) -> float:
    """Return the step [s] with the GPUs and links as they are.

    *slowdown* [group, stage] is highest clock over actual clock of the slowest GPU of each stage of
    each group of ranks in step, >= 1; infinite where it stands still. *wait_s* and *gradients_s*
    are of the functions of their name.
    """
    last = t.stages - 1
    worst = 0.0
    for replica in range(slowdown.shape[0]):
        slots, waits = slowdown[replica], wait_s[replica]
        slowest = (t.clocked_s + t.head_s) * slots[last] + waits[last]
        total = slowest
        for stage in range(last):
            slot = t.clocked_s * slots[stage] + waits[stage]
            total += slot
            slowest = max(slowest, slot)
        others = 0.0 if total == slowest else total - slowest
        worst = max(worst, t.micro_batches * slowest + others / t.interleave)
    return worst + gradients_s + t.fixed_s + t.jitter_s


@kernel
def decompose(
    t: StepTime, mean_slowdown: float, capped_s: float, throttled_s: float, now_s: float
) -> F64:
    """Return the seconds of the step by cause, in the order of `PARTS`; their sum is *now_s*.

    One cause is added at a time: the model's FLOPs at the rated peak; what kernels fall short of
    it at the highest clock; exposed traffic; the pipeline's bubble and uneven stages; the power
    cap, every GPU at *mean_slowdown* (mean of highest clock over clock under the cap alone); the
    spread of GPUs and jitter, *capped_s* being `step_now` under the cap alone; throttling,
    *throttled_s* being it with the clocks as they are; the network. No part is negative: where
    a later step is shorter than an earlier one, the earlier is cut to it.
    """
    m = t.micro_batches
    kernels = m * (t.mean_clocked_s + t.held_s) + t.fixed_s
    traffic = kernels + m * (t.tp_s + t.group_s + t.pp_s) + exposed_dp_s(t, 1.0)
    bubble = uniform_step_s(t, 1.0)
    cap = uniform_step_s(t, mean_slowdown)
    steps = np.array([0.0, t.ideal_s, kernels, traffic, bubble, cap, capped_s, throttled_s, now_s])
    for k in range(7, -1, -1):
        steps[k] = min(steps[k], steps[k + 1])
    parts = np.empty(8)
    for place, k in enumerate((0, 1, 2, 3, 5, 6, 4, 7)):
        parts[place] = steps[k + 1] - steps[k]
    return parts
