"""A job's steps: how long one takes with the clocks, links and members of now.

The slowest GPU of a node sets the pace of the pipeline stages that the node serves; stages and
replicas combine as `workload.rate` says. A checkpoint whose stall is short is a stall in each step.

GPUs whose clock a fault lowers count as slow, not as capped.

Valid: tensor parallelism inside a node. A slow GPU counts for every tensor group of its node, which
matters only for tp < 8. Accuracy: that of `workload.step`; the live rate is exact for its form.
Source: see `workload.step` and `workload.rate`.
"""

from typing import Any, NamedTuple

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.kernel import kernel
from dcsim.physics.gpu import GpuModel, clock_under_cap
from dcsim.physics.rails import Delays, delays_now, whole_delays
from dcsim.workload.rate import decompose, step_now
from dcsim.workload.step import StepTime
from dcsim.world.site import Placement, Site
from dcsim.world.tables import F64, I32, Real


@kernel
def live_step(
    step: StepTime,
    clock: Real,
    mean_clock: Real,
    now: Delays,
    whole: Delays,
    seat_node: I32,
    nodes: I32,
) -> tuple[float, float, float]:
    """Return the step [s] as the network is *now* and as if it were *whole*, and the mean clock.

    *clock* and *mean_clock* [-] are columns of nodes, *seat_node* is as in `Placement`, *nodes*
    (n,). Of ranks that are in step the slowest sets the pace.
    """
    groups, ranks, stages = seat_node.shape
    slowdown = np.empty((groups, stages))
    for group in range(groups):
        for stage in range(stages):
            slowest = clock[seat_node[group, 0, stage]]
            for rank in range(1, ranks):
                slowest = min(slowest, clock[seat_node[group, rank, stage]])
            slowdown[group, stage] = 1.0 / np.float64(slowest)
    mean = 0.0
    for k in range(nodes.shape[0]):
        mean += np.float64(mean_clock[nodes[k]])
    whole_s = step_now(step, slowdown, whole.wait_s, whole.gradients_s)
    now_s = step_now(step, slowdown, now.wait_s, now.gradients_s)
    return now_s, whole_s, mean / nodes.shape[0]


class _Seen(NamedTuple):
    """A job's delays, and what they were found for."""

    placement: Placement
    version: int  # of the network
    now: Delays
    whole: Delays


class TrainingModel:
    """Steps of every job of a site. Own states: `job.steps_count`, `job.spent_s`."""

    reads = ("node.clock_frac", "node.rails_frac")
    writes = ("job.step_per_s",)

    def __init__(self, site: Site, gpu_model: GpuModel) -> None:
        self._site = site
        self._gpu_model = gpu_model
        self._capped = np.empty_like(site.node.clock_frac)
        self._capped_mean = np.empty_like(site.node.clock_frac)
        self._seen_of: dict[int, _Seen] = {}

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        """Write step time, rate and parts of each job that runs."""
        site, jobs = self._site, self._site.job
        jobs.step_per_s[:] = 0.0
        for j, placement in site.placement.items():
            if not jobs.running[j]:
                continue
            step_s, parts_s = self._step(j, placement)
            jobs.step_s[j] = step_s + jobs.stall_s[j]
            jobs.step_per_s[j] = 1.0 / jobs.step_s[j]
            jobs.part_frac[j, :-1] = parts_s / jobs.step_s[j]
            jobs.part_frac[j, -1] = jobs.stall_s[j] / jobs.step_s[j]
        return Holds(NEVER_NS, np.inf)

    def _step(self, job: int, placement: Placement) -> tuple[float, F64]:
        """Return the step [s] without checkpoint stalls, and its parts [s]."""
        nodes, step = self._site.node, placement.step
        seen = self._seen(job, placement)
        seats = (seen.now, seen.whole, placement.seat_node, placement.nodes)
        now_s, whole_s, mean = live_step(step, nodes.clock_frac, nodes.mean_clock_frac, *seats)
        capped_s = whole_s
        lowered = bool(self._site.gpu.ceiling_x.min() < 1.0)
        if self._gpu_model.hot or lowered:
            gpu, law = self._site.gpu, self._gpu_model.law
            clock_under_cap(gpu, law, self._capped, self._capped_mean)
            if lowered:
                healthy = gpu._replace(ceiling_x=np.ones_like(gpu.ceiling_x))
                clock_under_cap(healthy, law, np.empty_like(self._capped), self._capped_mean)
            _now_s, capped_s, mean = live_step(step, self._capped, self._capped_mean, *seats)
        return now_s, decompose(step, 1.0 / mean, capped_s, whole_s, now_s)

    def _seen(self, job: int, placement: Placement) -> "_Seen":
        """Return the job's delays, found again only where the network or its place changed."""
        seen, version = self._seen_of.get(job), int(self._site.net.version[0])
        if seen is None or seen.placement is not placement or seen.version != version:
            rails, whole = self._site.node.rails_frac, whole_delays(placement)
            now = whole if (rails == 1.0).all() else delays_now(placement, rails)
            seen = _Seen(placement, version, now, whole)
            self._seen_of[job] = seen
        return seen

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
