"""What a job will do at a site: its layout, step, checkpoints and recovery, checked beforehand."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from dcsim import catalog
from dcsim.errors import ScenarioError
from dcsim.processes.recovery import Checkpoints, Phases, checkpoints_of, mtbf_s, phases_of
from dcsim.processes.seats import Seats, placed_shares, seats_of
from dcsim.scenario import Job, Scenario
from dcsim.workload.contention import Shares
from dcsim.workload.layout import CODES, Layout
from dcsim.workload.legality import SEATED, Cut, broken
from dcsim.workload.levels import TUNED, scaled, step_factor
from dcsim.workload.machine import law_of, machine_of_site, precisions_of, software_of
from dcsim.workload.memory import least_that_fits
from dcsim.workload.model import Shape, dense, flop_per_token, shape_of
from dcsim.workload.rate import uniform_step_s
from dcsim.workload.step import StepTime, executed_flop_per_token, step_time
from dcsim.workload.traffic import Traffic, traffic
from dcsim.world import Placement, Site, World
from dcsim.world.tables import I32


class JobPlan(NamedTuple):
    """All that is fixed of one job at one site.

    *step_with* gives the step with what the network leaves of its NICs, *step_ns* is that on the
    site's first nodes.
    """

    job: int
    name: str
    model: Shape
    layout: Layout
    seats: Seats
    step_with: Callable[[Shares], StepTime]
    step_ns: float
    nodes_count: int
    spares_count: int
    load_frac: float
    wait_frac: float
    stall_per_step_s: float
    phases: Phases
    checkpoints: Checkpoints
    evaluation_every_s: float | None
    evaluation_for_s: float
    target_steps: float | None
    tokens_per_step: int
    flop_per_step: float
    executed_flop_per_step: float
    gpu_peak_flop_per_s: float
    traffic: Traffic

    def placed(self, site: Site, nodes: I32) -> Placement:
        """Return the job on these nodes of *site*."""
        seat_node = np.ascontiguousarray(nodes[self.seats.place])
        step = self.step_with(placed_shares(self.layout, seat_node, site))
        return Placement(step, seat_node, self.seats.first_gpu, self.layout.tp, np.sort(nodes))


def plan_jobs(scenario: Scenario, world: World) -> list[dict[str, JobPlan]]:
    """Return for each job its plan at every site where it may run.

    Raises ScenarioError, with all that is wrong, for a job that fits no site.
    """
    plans, problems = [], []
    for index, job in enumerate(scenario.jobs):
        sites = [world.sites[job.site]] if job.site is not None else list(world.sites.values())
        of_job: dict[str, JobPlan] = {}
        reasons: list[str] = []
        for site in sites:
            found, wrong = _plan(scenario, index, job, site)
            if found is not None:
                of_job[site.name] = found
            reasons = reasons or wrong
        plans.append(of_job)
        problems += reasons if not of_job else []
    if problems:
        raise ScenarioError(*problems)
    return plans


_KEYS = {
    **{name: f"parallel.{name}" for name in ("tp", "pp", "dp", "cp", "ep")},
    "vpp": "interleave",
    "gbs": "batch",
}
"""Where a scenario writes what an estimate calls by these names."""


def _plan(scenario: Scenario, index: int, job: Job, site: Site) -> tuple[JobPlan | None, list[str]]:
    """Return the plan of *job* at *site*, or what is wrong with it, located."""
    path = f"jobs.{index}.train"
    given = isinstance(job.model, str)
    model = shape_of(catalog.sheet("model", job.model)) if given else dense(*job.model)
    gpus = (site.counts["node"] - job.spares) * site.gpus_per_node
    cut = Cut(model, _layout(job, gpus), site.gpus_per_node, gpus)
    if wrong := [
        scenario.problem(f"{path}.{_KEYS[rule.option]}", rule.text) for rule in broken(cut, SEATED)
    ]:
        return None, wrong
    gpu = site.sheets["gpu"]
    if job.precision not in (has := precisions_of(gpu)):
        return None, [scenario.problem(f"{path}.precision", f"{gpu.name} has {', '.join(has)}")]
    room = gpu["hbm_byte"]
    layout, held = least_that_fits(model, cut.layout, room)
    needed = float(held.total_byte)
    if needed > room:
        reason = f"a GPU would hold {needed / 1e9:.1f} GB of its {room / 1e9:.0f} GB: "
        reason += "allowed more tp or pp, or a smaller micro_batch"
        return None, [scenario.problem(f"{path}.parallel", reason)]
    return _plan_of(scenario, index, job, site, model, layout), []


def _layout(job: Job, gpus: int) -> Layout:
    """Return how *job* is cut over at most *gpus*: with as many replicas as go, if not given."""
    degrees = job.parallel
    room = gpus // (degrees.tp * degrees.pp * degrees.cp)
    return Layout(
        tp=degrees.tp,
        pp=degrees.pp,
        dp=max(1, room) if degrees.dp is None else degrees.dp,
        micro_batch=job.micro_batch,
        global_batch=job.batch,
        sequence=job.sequence,
        vpp=job.interleave,
        cp=degrees.cp,
        ep=degrees.ep,
        **{name: CODES[name][getattr(job, name)] for name in ("sharding", "recompute", "schedule")},
    )


def _plan_of(
    scenario: Scenario, index: int, job: Job, site: Site, model: Shape, layout: Layout
) -> JobPlan:
    gpu = site.sheets["gpu"]
    nodes = layout.gpus_count // site.gpus_per_node
    own_seats = seats_of(layout, site.gpus_per_node)
    law = law_of(catalog.sheet("step", "law"))
    software = software_of(catalog.sheet("software", TUNED), gpu, law)
    link_byte_per_s = site.ask.network.link_byte_per_s
    machine = machine_of_site(gpu, site.sheets["node"], job.precision, law, link_byte_per_s)

    level = scenario.levels.step_time

    @cache
    def step_with(shares: Shares) -> StepTime:
        ends = model, layout, machine, software, law
        factor = step_factor(level, *ends, gpu, job.precision, shares)
        return scaled(step_time(*ends, shares), factor)

    step = step_with(placed_shares(layout, own_seats.place, site))
    step_s = uniform_step_s(step, 1.0)
    checkpoints = checkpoints_of(job, model, nodes, mtbf_s(scenario, nodes, layout.gpus_count))
    tokens = layout.tokens_count
    evaluation = job.evaluation
    return JobPlan(
        job=index,
        name=job.name,
        model=model,
        layout=layout,
        seats=own_seats,
        step_with=step_with,
        step_ns=step_s * 1e9,
        nodes_count=nodes,
        spares_count=job.spares,
        load_frac=gpu[f"activity_{job.activity}_frac"],
        wait_frac=gpu["activity_wait_frac"],
        stall_per_step_s=_stall_per_step_s(checkpoints, step_s),
        phases=phases_of(job),
        checkpoints=checkpoints,
        evaluation_every_s=None if evaluation is None else evaluation.every_s,
        evaluation_for_s=0.0 if evaluation is None else evaluation.for_s,
        target_steps=None if job.target is None else job.target.tokens / tokens,
        tokens_per_step=tokens,
        flop_per_step=flop_per_token(model, layout.sequence) * tokens,
        executed_flop_per_step=float(executed_flop_per_token(model, layout)) * tokens,
        gpu_peak_flop_per_s=gpu["peak_bf16_flop_per_s"],
        traffic=traffic(model, layout, software),
    )


def _stall_per_step_s(checkpoints: Checkpoints, step_s: float) -> float:
    """Return the stall of the tiers with short stalls, spread over the steps between saves."""
    tiers = [tier for tier in checkpoints if tier is not None and tier.fluid]
    return sum(tier.stall_s / max(1.0, tier.interval_s // step_s) for tier in tiers)
