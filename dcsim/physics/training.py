"""A job's steps: how long one takes with the clocks, links and members of now.

The slowest GPU of a node sets the pace of the pipeline stages that the node serves; stages and
replicas combine as `workload.rate` says. A checkpoint whose stall is short is a stall in each step.

GPUs whose clock a fault lowers count as slow, not as capped.

Valid: tensor parallelism inside a node. A slow GPU counts for every tensor group of its node, which
matters only for tp < 8. Accuracy: that of `workload.step`; the live rate is exact for its form.
Source: see `workload.step` and `workload.rate`.
"""

from typing import Any

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.kernel import kernel
from dcsim.physics.gpu import GpuModel, clock_under_cap
from dcsim.workload.rate import decompose, step_now
from dcsim.workload.step import StepTime
from dcsim.world.site import Placement, Site
from dcsim.world.tables import F64, I32, Real


@kernel
def live_step(
    step: StepTime, clock: Real, mean_clock: Real, rails: F64, seat_node: I32, nodes: I32
) -> tuple[float, float, float]:
    """Return the step [s] as the network is and as if it were whole, and the mean clock [-].

    *clock*, *mean_clock* and *rails* are columns of nodes, *seat_node* is (dp, pp), *nodes* (n,).
    """
    slowdown = np.empty(seat_node.shape)
    for replica in range(seat_node.shape[0]):
        for stage in range(seat_node.shape[1]):
            slowdown[replica, stage] = 1.0 / np.float64(clock[seat_node[replica, stage]])
    mean, network = 0.0, 1.0
    for k in range(nodes.shape[0]):
        mean += np.float64(mean_clock[nodes[k]])
        network = min(network, rails[nodes[k]])
    whole_s = step_now(step, slowdown, 1.0, 1.0)
    network = max(network, 1e-6)
    now_s = whole_s if network == 1.0 else step_now(step, slowdown, network, network)
    return now_s, whole_s, mean / nodes.shape[0]


class TrainingModel:
    """Steps of every job of a site. Own states: `job.steps_count`, `job.spent_s`."""

    reads = ("node.clock_frac", "node.rails_frac")
    writes = ("job.step_per_s",)

    def __init__(self, site: Site, gpu_model: GpuModel) -> None:
        self._site = site
        self._gpu_model = gpu_model
        self._capped = np.empty_like(site.node.clock_frac)
        self._capped_mean = np.empty_like(site.node.clock_frac)

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        """Write step time, rate and parts of each job that runs."""
        site, jobs = self._site, self._site.job
        jobs.step_per_s[:] = 0.0
        for j, placement in site.placement.items():
            if not jobs.running[j]:
                continue
            step_s, parts_s = self._step(placement)
            jobs.step_s[j] = step_s + jobs.stall_s[j]
            jobs.step_per_s[j] = 1.0 / jobs.step_s[j]
            jobs.part_frac[j, :-1] = parts_s / jobs.step_s[j]
            jobs.part_frac[j, -1] = jobs.stall_s[j] / jobs.step_s[j]
        return Holds(NEVER_NS, np.inf)

    def _step(self, placement: Placement) -> tuple[float, F64]:
        """Return the step [s] without checkpoint stalls, and its parts [s]."""
        nodes = self._site.node
        step, *seats = placement
        now_s, whole_s, mean = live_step(
            step, nodes.clock_frac, nodes.mean_clock_frac, nodes.rails_frac, *seats
        )
        capped_s = whole_s
        lowered = bool(self._site.gpu.ceiling_x.min() < 1.0)
        if self._gpu_model.hot or lowered:
            gpu, law = self._site.gpu, self._gpu_model.law
            clock_under_cap(gpu, law, self._capped, self._capped_mean)
            if lowered:
                healthy = gpu._replace(ceiling_x=np.ones_like(gpu.ceiling_x))
                clock_under_cap(healthy, law, np.empty_like(self._capped), self._capped_mean)
            _now_s, capped_s, mean = live_step(
                step, self._capped, self._capped_mean, nodes.rails_frac, *seats
            )
        return now_s, decompose(step, 1.0 / mean, capped_s, whole_s, now_s)

    def switch(self, _world: Any, _now_ns: int) -> list[Fact]:
        """Nothing flips here: the job's process decides."""
        return []

    def advance(self, _world: Any, dt_s: float) -> None:
        """Add steps and the time spent on each part."""
        jobs = self._site.job
        steps = jobs.step_per_s * dt_s
        jobs.steps_count[:] += steps
        jobs.spent_s[:] += jobs.part_frac * (jobs.running * dt_s)[:, None]

    def modes(self, _world: Any) -> dict[str, Any]:
        """No modes of its own."""
        return {}
