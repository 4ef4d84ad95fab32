"""What a job will do at a site: its layout, step, checkpoints and recovery, checked beforehand."""

from typing import NamedTuple

import numpy as np

from dcsim import catalog
from dcsim.errors import ScenarioError
from dcsim.processes.recovery import Checkpoints, Phases, checkpoints_of, mtbf_s, phases_of
from dcsim.scenario import Job, Scenario
from dcsim.workload.contention import ring_share
from dcsim.workload.layout import Layout, Recompute, plan, replicas_per_node, seats
from dcsim.workload.levels import TUNED, step_at
from dcsim.workload.machine import law_of, machine_of_site, software_of
from dcsim.workload.memory import memory
from dcsim.workload.model import Shape, dense, flop_per_token
from dcsim.workload.rate import uniform_step_s
from dcsim.workload.step import StepTime
from dcsim.workload.traffic import Traffic, traffic
from dcsim.world import Site, World
from dcsim.world.tables import I32


class JobPlan(NamedTuple):
    """All that is fixed of one job at one site.

    *step* is that on nodes of several domains of the fabric, *near_step* that in one domain, where
    traffic meets no oversubscription. *seat_place* says which of the job's nodes serves each stage
    of each replica.
    """

    job: int
    name: str
    model: Shape
    layout: Layout
    step: StepTime
    near_step: StepTime
    step_ns: float
    seat_place: I32  # [dp, pp]
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
    gpu_peak_flop_per_s: float
    traffic: Traffic

    def step_on(self, site: Site, nodes: I32) -> StepTime:
        """Return the step of the job on these nodes of *site*."""
        domain = site.clos.domain_of_node[nodes]
        return self.near_step if (domain == domain[0]).all() else self.step


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


def _plan(scenario: Scenario, index: int, job: Job, site: Site) -> tuple[JobPlan | None, list[str]]:
    """Return the plan of *job* at *site*, or what is wrong with it, located."""
    path = f"jobs.{index}.train"
    model = dense(*job.shape)
    layout, wrong = plan(
        model,
        site.gpus_per_node,
        (site.counts["node"] - job.spares) * site.gpus_per_node,
        tp=job.parallel.tp,
        pp=job.parallel.pp,
        dp=job.parallel.dp,
        batch=job.batch,
        micro_batch=job.micro_batch,
        sequence=job.sequence,
        interleave=job.interleave,
    )
    if layout is None:
        return None, [
            f"{scenario.where(f'{path}.{key}')}: {path}.{key}: {text}" for key, text in wrong
        ]
    # Norms and activation functions are computed again, as Llama 3 was trained.
    held = layout._replace(recompute=Recompute.SELECTIVE)
    needed, room = float(memory(model, held).total_byte), site.sheets["gpu"]["hbm_byte"]
    if needed > room:
        reason = f"a GPU would hold {needed / 1e9:.1f} GB of its {room / 1e9:.0f} GB: "
        reason += "allowed more tp or pp, or a smaller micro_batch"
        return None, [scenario.problem(f"{path}.parallel", reason)]
    return _plan_of(scenario, index, job, site, model, layout), []


def _plan_of(
    scenario: Scenario, index: int, job: Job, site: Site, model: Shape, layout: Layout
) -> JobPlan:
    gpu, law = site.sheets["gpu"], law_of(catalog.sheet("step", "law"))
    software = software_of(catalog.sheet("software", TUNED), gpu, law)
    together = replicas_per_node(layout, site.gpus_per_node)
    network = site.ask.network
    domain_nodes = _domain_nodes(site)
    stride_nodes = max(1, layout.tp * layout.pp * together // site.gpus_per_node)
    step, near_step = (
        step_at(
            scenario.levels.step_time,
            model,
            layout,
            machine_of_site(gpu, site.sheets["node"], law, network.link_byte_per_s, share),
            software,
            law,
            gpu,
        )
        for share in (float(ring_share(stride_nodes, domain_nodes, network.oversubscription)), 1.0)
    )
    nodes = layout.gpus_count // site.gpus_per_node
    step_s = uniform_step_s(near_step if nodes <= domain_nodes else step, 1.0)
    checkpoints = checkpoints_of(job, model, nodes, mtbf_s(scenario, nodes, layout.gpus_count))
    tokens = layout.tokens_count
    evaluation = job.evaluation
    return JobPlan(
        job=index,
        name=job.name,
        model=model,
        layout=layout,
        step=step,
        near_step=near_step,
        step_ns=step_s * 1e9,
        seat_place=_seat_place(layout, site.gpus_per_node),
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
        gpu_peak_flop_per_s=gpu["peak_bf16_flop_per_s"],
        traffic=traffic(model, layout, software),
    )


def _domain_nodes(site: Site) -> int:
    """Return how many nodes the fullest domain of the fabric holds."""
    return int(np.bincount(site.clos.domain_of_node).max())


def _seat_place(layout: Layout, gpus_per_node: int) -> I32:
    replica, stage = seats(layout, gpus_per_node)
    place = np.empty((layout.dp, layout.pp), np.int32)
    place[replica, stage] = np.arange(layout.gpus_count, dtype=np.int32) // gpus_per_node
    return place


def _stall_per_step_s(checkpoints: Checkpoints, step_s: float) -> float:
    """Return the stall of the tiers with short stalls, spread over the steps between saves."""
    tiers = [tier for tier in checkpoints if tier is not None and tier.fluid]
    return sum(tier.stall_s / max(1.0, tier.interval_s // step_s) for tier in tiers)
