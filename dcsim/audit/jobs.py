"""What a job may expect: where its time goes, how often it saves, how full its GPUs are.

Failures come as a Poisson process. After one the job looks for it, during which others change
nothing, and moves on, during which another begins the search again; then it makes the steps since
the last durable save once more. Valid for saves with short stalls, and while spares last.
Accuracy: goodput within 0.01 of simulations of 54 days with 16,384 and 192,000 GPUs.
"""

from collections.abc import Iterator
from math import exp, expm1, inf
from typing import NamedTuple

from dcsim.audit.finding import NOTE, OK, WARNING, Finding, Seat, Subject, severity_of
from dcsim.catalog import failure_preset
from dcsim.processes.plan import JobPlan
from dcsim.processes.recovery import PHASES, Tier, mtbf_s
from dcsim.scenario import Scenario
from dcsim.units import show
from dcsim.workload.checkpoint import optimum_interval_s
from dcsim.workload.layout import Recompute
from dcsim.workload.memory import memory
from dcsim.workload.rate import PARTS

NEAR_MEMORY_FRAC, FULL_MEMORY_FRAC = 0.9, 0.97
"""Share of a GPU's memory from which a note and a warning are due: judgements."""
COSTLY_FRAC = 0.01
"""Share of a job's time from which an interval that is not the best is worth a warning."""
FAR_X = 3.0
"""Ratio to the best interval from which it is worth a note."""
_SHOWN_FRAC = 0.0005
"""Costs below this are no news."""
_LARGEST_COUNT = 5


class Recovered(NamedTuple):
    """The mean time between failures of a job, and what follows each [s]."""

    mtbf_s: float
    look_s: float
    move_s: float


class Times(NamedTuple):
    """Shares of a job's time after its start; they sum to 1."""

    detection: float
    restart: float
    lost_work: float
    running: float


def recovered(scenario: Scenario, plan: JobPlan) -> Recovered:
    """Return what the preset's rates and the recovery of the job come to, by their means."""
    sigma_x = exp(plan.phases.sigma**2 / 2)
    of = dict(zip(PHASES, (median_s * sigma_x for median_s in plan.phases.median_s), strict=True))
    replaced = _replaced_frac(scenario, plan)
    return Recovered(
        mtbf_s=mtbf_s(scenario, plan.nodes_count, plan.layout.gpus_count),
        look_s=of["detect"] + of["diagnose"],
        move_s=replaced * of["replace"] + of["init"] + of["load"] + of["warmup"],
    )


def _replaced_frac(scenario: Scenario, plan: JobPlan) -> float:
    """Return the share of the failures of a job that take a node from it."""
    if scenario.failures is None:
        return 0.0
    nodes, gpus = plan.nodes_count, plan.layout.gpus_count
    counts = {"gpu": gpus, "link": gpus, "node": nodes}
    rates = [
        (cause.per_year * counts[cause.component], cause.action == "replace")
        for cause in failure_preset(scenario.failures.preset).classes
        if cause.component in counts
    ]
    total = sum(rate for rate, _ in rates)
    return sum(rate for rate, replaces in rates if replaces) / total if total else 0.0


def lost_s(tier: Tier, job_mtbf_s: float) -> float:
    """Return the mean time of steps that a failure undoes [s]: since the last durable save."""
    period_s = tier.interval_s + tier.stall_s
    if job_mtbf_s == inf:
        return 0.0
    kept_s = 0.0 if period_s == inf else period_s / expm1(min(period_s / job_mtbf_s, 700.0))
    return job_mtbf_s - exp(-tier.drain_s / job_mtbf_s) * kept_s


def times(after: Recovered, tier: Tier) -> Times:
    """Return how a job spends its time; it can fail again while it moves."""
    mtbf = after.mtbf_s
    if mtbf == inf:
        return Times(0.0, 0.0, 0.0, 1.0)
    tries_count = exp(min(after.move_s / mtbf, 700.0))
    looking_s, moving_s = tries_count * after.look_s, (tries_count - 1.0) * mtbf
    cycle_s, again_s = mtbf + looking_s + moving_s, lost_s(tier, mtbf)
    spent_s = (looking_s, moving_s, again_s, mtbf - again_s)
    return Times(*(each / cycle_s for each in spent_s))


def kept_frac(after: Recovered, tier: Tier) -> float:
    """Return the share of a job's time that is spent on steps that count, saves not counted."""
    whole = tier.interval_s / (tier.interval_s + tier.stall_s) if tier.interval_s < inf else 1.0
    return times(after, tier).running * whole


def waterfall_of(scenario: Scenario, seat: Seat) -> dict[str, float]:
    """Return where the peak of the GPUs of a job that runs at rest would go; sums to 1."""
    plan, jobs = seat.plan, seat.site.job
    spent = times(recovered(scenario, plan), saves_of(plan))
    paused = {"checkpoint_stall": 0.0, "maintenance": 0.0}
    remote = plan.checkpoints.remote
    if not remote.fluid:
        paused["checkpoint_stall"] = remote.stall_s / (remote.interval_s + remote.stall_s)
    if plan.evaluation_every_s is not None:
        paused["maintenance"] = plan.evaluation_for_s / (
            plan.evaluation_every_s + plan.evaluation_for_s
        )
    stepping = spent.running * (1.0 - sum(paused.values()))
    *parts, stalled = (stepping * jobs.part_frac[plan.job]).tolist()
    places = {"detection": spent.detection, "restart": spent.restart, "lost_work": spent.lost_work}
    places |= {name: share * spent.running for name, share in paused.items()}
    places["checkpoint_stall"] += stalled
    return places | dict(zip(PARTS, parts, strict=True))


def saves_of(plan: JobPlan) -> Tier:
    """Return the saves that a failure falls back to: in the memory of a peer, if there are any."""
    return plan.checkpoints.local or plan.checkpoints.remote


def findings(subject: Subject) -> Iterator[Finding]:
    """Yield for each job its expected losses, its saves and its memory; its site is at rest."""
    for seat in subject.seats:
        yield _losses(subject.scenario, seat)
        yield _saves(subject.scenario, seat)
        yield _memory(seat)


def _losses(scenario: Scenario, seat: Seat) -> Finding:
    places = waterfall_of(scenario, seat)
    useful = places.pop("useful")
    largest = sorted(places.items(), key=lambda item: -item[1])[:_LARGEST_COUNT]
    listed = ", ".join(f"{name.replace('_', ' ')} {share:.1%}" for name, share in largest)
    job_mtbf_s = recovered(scenario, seat.plan).mtbf_s
    fails = "" if job_mtbf_s == inf else f" with a failure every {show(job_mtbf_s, 's')}"
    text = f"{seat.plan.name} may expect {useful:.0%} of its peak to become useful{fails}; "
    text += f"the largest losses: {listed}"
    step_s = float(seat.site.job.step_s[seat.plan.job])
    numbers = {"useful": useful, **places, "step_time_s": step_s}
    if job_mtbf_s < inf:
        numbers["mtbf_s"] = job_mtbf_s
    return Finding(NOTE, "losses", seat.path, text, numbers)


def _saves(scenario: Scenario, seat: Seat) -> Finding:
    """Compare the interval with the one that loses least."""
    plan, tier, after = seat.plan, saves_of(seat.plan), recovered(scenario, seat.plan)
    asked = scenario.jobs[plan.job].checkpoint
    is_remote = plan.checkpoints.local is None and asked.remote_every_s is not None
    key = "remote_every" if is_remote else "every"
    path = f"{seat.path}.checkpoint.{key}"
    shown = f"{plan.name} saves every {show(tier.interval_s, 's')}"
    if after.mtbf_s == inf:
        numbers = {"interval_s": tier.interval_s}
        return Finding(OK, "checkpoint", path, f"{shown}, and nothing is drawn to fail", numbers)
    best_s = optimum_interval_s(tier.stall_s, after.mtbf_s, tier.drain_s)
    best = kept_frac(after, tier._replace(interval_s=best_s))
    cost = max(0.0, 1.0 - kept_frac(after, tier) / best) if best else 0.0
    ratio = tier.interval_s / best_s
    numbers = {"interval_s": tier.interval_s, "best_s": best_s, "ratio": ratio, "cost_frac": cost}
    if tier.interval_s < tier.drain_s:
        numbers["drain_s"] = tier.drain_s
        text = f"{shown}, before the last save is safe, {show(tier.drain_s, 's')} after it is made"
        return Finding(WARNING, "checkpoint", path, text, numbers)
    text = f"{shown}, which loses least"
    if cost >= _SHOWN_FRAC:
        text = f"{shown}, which costs {cost:.1%} of its steps: {show(best_s, 's')} would lose least"
    far = getattr(asked, f"{key}_s") is not None and not 1.0 / FAR_X <= ratio <= FAR_X
    severity = WARNING if cost > COSTLY_FRAC else NOTE if far else OK
    return Finding(severity, "checkpoint", path, text, numbers)


def _memory(seat: Seat) -> Finding:
    held = seat.plan.layout._replace(recompute=Recompute.SELECTIVE)
    needed = float(memory(seat.plan.model, held).total_byte)
    room = seat.site.sheets["gpu"]["hbm_byte"]
    text = f"a GPU of {seat.plan.name} holds {show(needed, 'byte')} of {show(room, 'byte')}, "
    text += f"{needed / room:.0%}"
    severity = severity_of(needed / room, NEAR_MEMORY_FRAC, FULL_MEMORY_FRAC)
    numbers = {"needed_byte": needed, "room_byte": room}
    return Finding(severity, "memory", f"{seat.path}.parallel", text, numbers)
