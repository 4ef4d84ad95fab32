"""A training job: waits, runs, fails, recovers, runs on from its last durable step.

The table is the whole automaton. Discrete are placement, long checkpoint stalls, failure, each
phase of the recovery, evaluation and planned work; progress in between is a rate that physics
publishes. Further losses are noted while the job still looks for what failed; once it restarts,
they begin the recovery anew, and planned work on its nodes makes it move again.
"""

from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np
import simpy

from dcsim.contract import Fact
from dcsim.engine import Activity, Inbox, Island, Sim, Timer
from dcsim.inputs.records import ns
from dcsim.physics.load import asked_load
from dcsim.processes.log import NO_CAUSE, EventLog
from dcsim.processes.plan import JobPlan
from dcsim.processes.progress import Progress
from dcsim.world import Site, name_of
from dcsim.world.tables import I32

_LOOKING = ("detecting", "diagnosing", "waiting_for_nodes")
_MOVING = ("starting", "replacing", "initialising", "restoring", "warming", "maintenance")
_WORKING = ("running", "evaluating", "checkpointing")

JOB: dict[tuple[str, str], tuple[str, str]] = {
    ("queued", "placed"): ("starting", "start"),
    ("starting", "phase_over"): ("running", "run"),
    ("running", "checkpoint_due"): ("checkpointing", "pause_to_save"),
    ("checkpointing", "phase_over"): ("running", "saved"),
    ("running", "evaluation_due"): ("evaluating", "pause_to_evaluate"),
    ("evaluating", "phase_over"): ("running", "evaluated"),
    ("running", "finished"): ("done", "finish"),
    ("detecting", "phase_over"): ("diagnosing", "diagnose"),
    ("diagnosing", "phase_over"): ("waiting_for_nodes", "ask_for_nodes"),
    ("waiting_for_nodes", "granted"): ("replacing", "replace"),
    ("replacing", "phase_over"): ("initialising", "initialise"),
    ("initialising", "phase_over"): ("restoring", "restore"),
    ("restoring", "phase_over"): ("warming", "warm_up"),
    ("warming", "phase_over"): ("running", "resume"),
    ("maintenance", "phase_over"): ("running", "resume"),
    ("maintenance", "granted"): ("maintenance", "swap"),
    **{(state, "drain"): ("maintenance", "save_and_leave") for state in _WORKING},
    **{(state, "drain"): ("maintenance", "leave_nodes") for state in _MOVING},
    **{(state, "node_lost"): ("detecting", "interrupt") for state in (*_WORKING, *_MOVING)},
    **{(state, "crashed"): ("detecting", "interrupt") for state in (*_WORKING, *_MOVING)},
    **{(state, "node_lost"): (state, "note_loss") for state in _LOOKING},
    **{(state, "drain"): (state, "note_loss") for state in _LOOKING},
}
"""(state, fact) -> (state, action). What is not here (a timer of a state that is over, a crash of
what stands still) changes nothing: see `JobLife.life`."""


class Loss(NamedTuple):
    """Why a node was lost or a job crashed: a word, the event, and the draws of the failure."""

    why: str
    event: int
    u: tuple[float, ...] | None


class JobLife:
    """One job at one site. The scheduler gives and takes its nodes."""

    def __init__(
        self,
        sim: Sim,
        island: Island,
        site: Site,
        plan: JobPlan,
        log: EventLog,
        progress: Progress,
        scheduler: Any,
    ) -> None:
        self.inbox = Inbox(sim)
        self.state = "queued"
        self.plan = plan
        self.nodes: I32 = np.empty(0, np.int32)
        self.empty: set[int] = set()
        self._bare: set[int] = set()
        self.progress = progress
        self._sim = sim
        self._island = island
        self._site = site
        self._log = log
        self._scheduler = scheduler
        self._timers: list[Timer] = []
        self._target: Activity | None = None
        self._loss = Loss("start", NO_CAUSE, None)
        self._placed_ns = sim.now_ns

    @property
    def site_name(self) -> str:
        """Where it runs."""
        return self._site.name

    def goodput_frac(self, now_ns: int) -> float | None:
        """Return the time of its steps that count over the time since it was placed."""
        since_ns = now_ns - self._placed_ns
        return None if since_ns <= 0 else self.progress.useful_ns() / since_ns

    def life(self) -> Generator[simpy.Event, Fact, None]:
        """Run the automaton, fact by fact; facts without a row change nothing."""
        while self.state != "done":
            fact = yield self.inbox.get()
            if (self.state, fact.kind) not in JOB:
                if fact.kind == "granted":
                    self._scheduler.release(self, fact.payload)
                continue
            self.state, action = JOB[self.state, fact.kind]
            getattr(self, action)(fact)
            self.progress.close_segment(self._sim.now_ns)
            self.progress.enter(self.state, self._loss.event)

    # Start and run

    def start(self, fact: Fact) -> None:
        """Take the nodes that the scheduler gives, and begin: initialise and warm up."""
        self.nodes = fact.payload
        self._seat()
        gpus = len(self.nodes) * self._site.gpus_per_node
        event = self._log.add("job_started", self._site, job=self.plan.job, value=gpus)
        self._loss = Loss("start", event, None)
        self.progress.place(gpus)
        self._stand_still()
        self._phase("init", "warmup")

    def run(self, _fact: Fact) -> None:
        """Make steps until something is due."""
        plan = self.plan
        with self._sim.change(f"{plan.name} runs", self._island) as edit:
            self._load(edit, plan.load_frac, 1.0)
            edit.put("job.running", plan.job, True)
            edit.put("job.stall_s", plan.job, plan.stall_per_step_s)
        if not plan.checkpoints.remote.fluid:
            self._timer("checkpoint_due", self.progress.until_save_ns())
        if plan.evaluation_every_s is not None:
            self._timer("evaluation_due", self.progress.until_evaluation_ns())
        if plan.target_steps is not None:
            left_ns = max(0.0, plan.target_steps - self.progress.steps()) * plan.step_ns
            rate_of = self.progress.rate_against(plan.step_ns)
            done = Fact("finished", "job", plan.job)
            self._target = self._sim.start(left_ns, self.inbox, done, rate_of, [self._island])

    def pause_to_save(self, _fact: Fact) -> None:
        """Stand still for a long checkpoint."""
        self._stand_still()
        self._after("phase_over", ns(self.plan.checkpoints.remote.stall_s))

    def saved(self, fact: Fact) -> None:
        """The save is made, and durable once drained; run on."""
        self._save(drained=False)
        self.run(fact)

    def pause_to_evaluate(self, _fact: Fact) -> None:
        """Evaluate with GPUs and hosts as busy as in training; no steps are made."""
        self._stand_still(self.plan.load_frac, 1.0)
        self._after("phase_over", ns(self.plan.evaluation_for_s))

    def evaluated(self, fact: Fact) -> None:
        """The evaluation is whole; run on."""
        self.progress.evaluated()
        self.run(fact)

    def resume(self, fact: Fact) -> None:
        """Every node has its state again; make steps."""
        self._bare.clear()
        self._log.add("job_resumed", self._site, job=self.plan.job, because=self._loss.event)
        self.run(fact)

    def finish(self, _fact: Fact) -> None:
        """Give everything back."""
        self._stand_still(0.0)
        self._log.add("job_done", self._site, job=self.plan.job, value=self.progress.steps())
        self._site.placement.pop(self.plan.job, None)
        self._scheduler.give_back(self)

    # Failure and recovery

    def interrupt(self, fact: Fact) -> None:
        """Stop what it does, fall back to the last durable step, look for the cause."""
        self._leave(Loss(*fact.payload), unexpected=True)
        self._scheduler.withdraw(self)
        self.note_loss(fact)
        self._phase("detect")

    def note_loss(self, fact: Fact) -> None:
        """One more node to replace, and perhaps the last copy of its state."""
        self._note(fact)
        lost = self.progress.roll_back(self._sim.now_ns, self._lost_both_copies())
        if lost > 0.0:
            job, because = self.plan.job, self._loss.event
            self._log.add("job_rollback", self._site, job=job, because=because, value=lost)

    def diagnose(self, _fact: Fact) -> None:
        """Find out which nodes are to be replaced."""
        self._phase("diagnose")

    def ask_for_nodes(self, _fact: Fact) -> None:
        """Ask the scheduler for as many nodes as are missing; it grants at once if it can."""
        self._scheduler.ask(self)

    def replace(self, fact: Fact) -> None:
        """Put the granted nodes in the seats of the lost ones."""
        granted: list[int] = fact.payload
        if not self._take_seats(granted):
            self.state = "waiting_for_nodes"
            self._scheduler.ask(self)
        elif granted:
            self._phase("replace")
        else:
            self._after("phase_over", 0)

    def initialise(self, _fact: Fact) -> None:
        """Start processes and communicators."""
        self._phase("init")

    def restore(self, _fact: Fact) -> None:
        """Load the last durable step."""
        self._phase("load")

    def warm_up(self, _fact: Fact) -> None:
        """First steps, slower than the others."""
        self._phase("warmup")

    # Planned work

    def save_and_leave(self, fact: Fact) -> None:
        """Save first: work is planned, so nothing is lost."""
        self._stand_still()
        self._save(drained=True)
        self.leave_nodes(fact)

    def leave_nodes(self, fact: Fact) -> None:
        """Stop, and go on elsewhere as soon as there are nodes for all empty seats."""
        self._leave(Loss(*fact.payload), unexpected=False)
        self.note_loss(fact)
        self._scheduler.ask(self)

    def swap(self, fact: Fact) -> None:
        """Move to the granted nodes; the time is that of a restart without a search."""
        if self._take_seats(fact.payload):
            self._scheduler.withdraw(self)
            self._phase("replace", "init", "load", "warmup")
        else:
            self._scheduler.ask(self)

    # Parts

    def _save(self, *, drained: bool) -> None:
        """Save the present step."""
        safe_ns = self.progress.save(self._sim.now_ns, drained=drained)
        job, step = self.plan.job, self.progress.steps()
        self._log.add("job_checkpoint", self._site, job=job, value=step, durable_ns=safe_ns)

    def _leave(self, loss: Loss, *, unexpected: bool) -> None:
        """Stand still because of *loss*, and log it."""
        job, value = self.plan.job, float(unexpected)
        event = self._log.add(
            "job_interrupted", self._site, job=job, because=loss.event, value=value
        )
        self._loss = loss._replace(event=event)
        self._stand_still()

    def _note(self, fact: Fact) -> None:
        """Note which seat a lost node leaves empty and without state; a crash leaves none."""
        if fact.kind != "crashed":
            seats = np.flatnonzero(self.nodes == fact.row).tolist()
            self.empty.update(seats)
            self._bare.update(seats)

    def _lost_both_copies(self) -> bool:
        """Whether a node and the peer that holds its copy, half the job away, lost their state."""
        size = len(self.nodes)
        return any((seat + size // 2) % size in self._bare for seat in self._bare)

    def _take_seats(self, granted: list[int]) -> bool:
        """Seat the granted nodes that are still up; return whether no seat is empty."""
        up = self._site.node.up & self._site.node.reachable
        usable = [node for node in granted if up[node]]
        seats = sorted(self.empty)[: len(usable)]
        for node, seat in zip(usable, seats, strict=False):
            left = name_of(self._site, "node", int(self.nodes[seat]))
            job, because = self.plan.job, self._loss.event
            self._log.add(
                "node_replaced", self._site, "node", node, because=because, job=job, left=left
            )
        self.nodes[seats] = usable[: len(seats)]
        self.empty.difference_update(seats)
        self._scheduler.release(self, usable[len(seats) :])
        self._seat()
        return not self.empty

    def _seat(self) -> None:
        """Tell physics which node serves which stage of which replica."""
        self._site.placement[self.plan.job] = self.plan.placed(self._site, self.nodes)

    def _stand_still(self, load_frac: float | None = None, busy_frac: float = 0.0) -> None:
        """Make no steps; the GPUs wait and the hosts are idle unless they have other work."""
        with self._sim.change(f"{self.plan.name} stops", self._island) as edit:
            edit.put("job.running", self.plan.job, False)
            load_frac = self.plan.wait_frac if load_frac is None else load_frac
            self._load(edit, load_frac, busy_frac)
        self.progress.stop(self._sim.now_ns)
        self._drop_timers()
        if self._target is not None:
            self._sim.cancel(self._target)
            self._target = None

    def _load(self, edit: Any, load_frac: float, busy_frac: float) -> None:
        """Set the load of the job's GPUs and hosts that are up."""
        site = self._site
        member = np.zeros(len(site.node.up), np.bool_)
        member[np.delete(self.nodes, sorted(self.empty))] = True
        on_job = np.repeat(member, site.gpus_per_node)
        load = asked_load(site.gpu.load_frac, site.gpu.on_frac, on_job, load_frac)
        edit.put("gpu.load_frac", slice(None), load)
        busy = np.where(member & site.node.up, busy_frac, site.node.busy_frac)
        edit.put("node.busy_frac", slice(None), busy)

    def _phase(self, *phases: str) -> None:
        self._after("phase_over", sum(self.plan.phases.time_ns(p, self._loss.u) for p in phases))

    def _after(self, kind: str, delay_ns: int) -> None:
        """Replace all waits by one."""
        self._drop_timers()
        self._timer(kind, delay_ns)

    def _timer(self, kind: str, delay_ns: int) -> None:
        fact = Fact(kind, "job", self.plan.job)
        self._timers.append(self._sim.timer(self.inbox, delay_ns, fact))

    def _drop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
