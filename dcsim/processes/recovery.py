"""How long each phase of a recovery takes, and how checkpoints are kept."""

from collections.abc import Sequence
from math import exp
from statistics import NormalDist
from typing import NamedTuple

from dcsim import catalog
from dcsim.catalog import YEAR_S, FailurePreset, Sheet
from dcsim.inputs.records import ns
from dcsim.scenario import Job, Scenario
from dcsim.workload.checkpoint import (
    drain_s,
    local_stall_s,
    optimum_interval_s,
)
from dcsim.workload.model import Shape, params_count

FLUID_STALL_S = 10.0
"""Shorter stalls are a share of the rate; longer ones are events with their drop in power."""
AUTO_REMOTE_MAX_S = 3600.0
AUTO_LOCAL_MAX_S = 300.0
"""`auto` never leaves more than this between saves, however rare failures are: for the local tier
as Fire-Flyer AI-HPC does (arXiv 2408.14158), for the remote one a judgement."""
PHASES = ("detect", "diagnose", "replace", "init", "load", "warmup")


class Phases(NamedTuple):
    """Medians of the phases of a recovery [s], and the sigma of their logarithm [-]."""

    median_s: tuple[float, ...]
    sigma: float

    def time_ns(self, phase: str, u: Sequence[float] | None) -> int:
        """Return the length of *phase*; *u* are the draws of the failure, None for the median."""
        place = PHASES.index(phase)
        z = 0.0 if u is None else NormalDist().inv_cdf(min(max(u[place], 1e-9), 1 - 1e-9))
        return ns(self.median_s[place] * exp(self.sigma * z))


class Tier(NamedTuple):
    """One kind of checkpoint: how often, what it costs, and when it is safe."""

    interval_s: float
    stall_s: float
    drain_s: float

    @property
    def fluid(self) -> bool:
        """Whether its stall is a share of the rate."""
        return self.stall_s < FLUID_STALL_S


class Checkpoints(NamedTuple):
    """The tiers of a job: in the memory of a peer (or None), and in remote storage."""

    local: Tier | None
    remote: Tier


def phases_of(job: Job) -> Phases:
    """Return the phases of a job's recovery, from the catalogue and the scenario."""
    sheet = job.recovery.numbers
    given = [getattr(job.recovery, f"{phase}_s") for phase in PHASES]
    median_s = tuple(
        own if own is not None else sheet[f"{phase}_s"]
        for own, phase in zip(given, PHASES, strict=True)
    )
    return Phases(median_s, sheet["phase_sigma_frac"])


def mtbf_s(scenario: Scenario, nodes: int, gpus: int) -> float:
    """Return the mean time between failures of a job of this size, by the preset's rates."""
    if scenario.failures is None:
        return float("inf")
    preset: FailurePreset = catalog.failure_preset(scenario.failures.preset)
    counts = {"gpu": gpus, "link": gpus, "node": nodes, "leaf": nodes / 8}
    per_year = sum(cause.per_year * counts[cause.component] for cause in preset.classes)
    per_s = scenario.failures.scale * per_year / YEAR_S
    return 1.0 / per_s if per_s > 0.0 else float("inf")


def checkpoints_of(job: Job, model: Shape, nodes: int, job_mtbf_s: float) -> Checkpoints:
    """Return how often a job saves to which tier; `auto` is Daly's optimum, never below the drain.

    A local save is copied to a peer beside training, and is safe when that copy is; a remote one
    when it is written. With a local tier the remote one only guards against the loss of both copies
    of a node, so `auto` gives it the optimum of a failure a hundred times rarer (a judgement).
    """
    sheet = job.recovery.numbers
    whole_byte = params_count(model) * sheet["state_per_param_byte"]
    node_byte = whole_byte / nodes
    remote_s = drain_s(whole_byte, sheet["remote_write_byte_per_s"])
    stall_s = sheet["remote_stall_s"]
    asked = job.checkpoint
    if not asked.local:
        every_s = asked.remote_every_s or asked.every_s
        auto_s = min(AUTO_REMOTE_MAX_S, optimum_interval_s(stall_s, job_mtbf_s, remote_s))
        return Checkpoints(None, Tier(every_s or auto_s, stall_s, remote_s))
    remote_auto_s = min(AUTO_REMOTE_MAX_S, optimum_interval_s(stall_s, 100 * job_mtbf_s, remote_s))
    remote = Tier(asked.remote_every_s or remote_auto_s, stall_s, remote_s)
    return Checkpoints(_local(asked.every_s, sheet, node_byte, job_mtbf_s), remote)


def _local(every_s: float | None, sheet: Sheet, node_byte: float, job_mtbf_s: float) -> Tier:
    copy_s = drain_s(node_byte, sheet["local_copy_byte_per_s"])
    per_gpu = sheet["local_read_byte_per_s"]
    stall_s = local_stall_s(node_byte / 8, per_gpu, sheet["local_stall_s"])
    auto_s = min(AUTO_LOCAL_MAX_S, optimum_interval_s(stall_s, job_mtbf_s, copy_s))
    return Tier(every_s or auto_s, stall_s, copy_s)
