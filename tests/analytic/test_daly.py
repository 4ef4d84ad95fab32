"""Checkpointed work under a constant failure rate, against Daly's exact expectations.

The life of the job, its progress, its recovery and the loop are those of a run; only its physics is
a toy, a step that always takes as long. A crash costs a fixed restart. Detection and diagnosis take
no time here, because a crash of what stands still is none.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np
import pytest

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.engine import Inbox, Island, Sim
from dcsim.processes.cast import WRITABLE
from dcsim.processes.jobs import JobLife
from dcsim.processes.log import EventLog
from dcsim.processes.plan import plan_jobs
from dcsim.processes.progress import Progress
from dcsim.processes.recovery import PHASES, Checkpoints, Phases, Tier
from dcsim.world import build
from tests.processes.stage import EVENT, S, job, scenario, site
from tests.reference.daly import optimum_work_s, segment_s

STEP_S = 0.5
NONE = Tier(float("inf"), 0.0, 0.0)


class Steps:
    """A step that always takes STEP_S beside its stall for checkpoints."""

    reads = ()
    writes = ("job.step_per_s",)

    def evaluate(self, world, _now_ns):
        table = world.job
        table.step_per_s[:] = np.where(table.running, 1 / (STEP_S + table.stall_s), 0.0)
        return Holds(NEVER_NS, float("inf"))

    def switch(self, _world, _now_ns):
        return []

    def advance(self, world, dt_s):
        world.job.steps_count[:] += world.job.step_per_s * dt_s

    def modes(self, _world):
        return {}


class Grants:
    """A scheduler that grants at once what is asked for, which is nothing: jobs only crash."""

    def ask(self, life):
        life.inbox.put(Fact("granted", "job", 0, []))

    def withdraw(self, _life):
        """Nobody waits."""

    def release(self, _life, _nodes):
        """Nobody holds nodes."""

    def give_back(self, _life):
        """Nobody counts."""


class Case(NamedTuple):
    """Work between saves, stall and restart [s], failures [1/s]; whether a restart may fail."""

    work_s: float
    stall_s: float
    restart_s: float
    rate_per_s: float
    safe_restart: bool

    @property
    def expected_s(self):
        """Wall time of a segment of work and stall; work is whole steps where it is a fluid."""
        return segment_s(
            self.rate_per_s, self.work_s + self.stall_s, self.restart_s, self.safe_restart
        )


def play(case, checkpoints, seed, segments, target_steps=None):
    """Run one job under *case*; return when each event of its log happened, by kind [ns].

    It ends with its target or, without one, with as many saves as *segments*.
    """
    asked = scenario([job(1)], sites={"lab": site(1, 1)})
    world = build(asked)
    place = world.sites["lab"]
    restart = dict.fromkeys(PHASES, 0.0) | {"init": case.restart_s}
    plan = plan_jobs(asked, world)[0]["lab"]._replace(
        step_ns=STEP_S * 1e9,
        stall_per_step_s=0.0 if checkpoints.local is None else case.stall_s * STEP_S / case.work_s,
        checkpoints=checkpoints,
        phases=Phases(tuple(restart.values()), 0.0),
        target_steps=target_steps,
    )
    columns = place.columns("state", "mode")
    island = Island("lab", place, [Steps()], {n: columns[n] for n in WRITABLE}, grid_ns=NEVER_NS)
    sim = Sim([island])
    happened = {kind: [] for kind in EVENT}
    log = EventLog(
        lambda _t, row: happened[EVENT[row["event_kind_id"]]].append(row["t_ns"]),
        lambda: sim.now_ns,
    )
    progress = Progress(place, plan, lambda _table, _row: None, 0)
    life = JobLife(sim, island, place, plan, log, progress, Grants())
    sim.process(life.life())
    sim.process(crashes(sim, life, case, np.random.default_rng(seed)))
    life.inbox.put(Fact("placed", "job", 0, np.zeros(1, np.int32)))
    while not happened["job_done"] and len(happened["job_checkpoint"]) < segments:
        sim.run_to(sim.now_ns + 10**6 * S)
    return happened


def crashes(sim, life, case, chance):
    """Crash the job at a constant rate, not while it restarts if *case* says so."""
    inbox = Inbox(sim)
    while life.state != "done":
        sim.timer(inbox, round(chance.exponential(1 / case.rate_per_s) * S), Fact("now", "", 0))
        yield inbox.get()
        if life.state in ("running", "checkpointing") or not case.safe_restart:
            life.inbox.put(Fact("crashed", "node", 0, ("test", -1, None)))


CASES = [
    Case(1000.0, 60.0, 300.0, 1 / 3000, safe_restart=False),
    Case(1000.0, 60.0, 300.0, 1 / 3000, safe_restart=True),
    Case(300.0, 15.0, 1200.0, 1 / 2000, safe_restart=False),
]


def long_saves(case, segments):
    """Wall times of segments whose saves are events [s]."""
    remote = Tier(case.work_s, case.stall_s, 0.0)
    saves_ns = play(case, Checkpoints(None, remote), 1, segments)["job_checkpoint"]
    return np.diff(saves_ns) / S


def short_saves(case, segments):
    """Mean wall times of the segments of each of 100 jobs, whose saves are a share of the rate [s].

    A job makes whole segments and ends with the last of them.
    """
    tier = Tier(case.work_s, 0.0, 0.0)
    each = segments // 100
    times_s = []
    for seed in range(100):
        happened = play(case, Checkpoints(tier, NONE), seed, segments, each * case.work_s / STEP_S)
        started_ns = happened["job_started"][0] + case.restart_s * S
        times_s.append((happened["job_done"][0] - started_ns) / S / each)
    return np.array(times_s)


def check_mean(times_s, expected_s, tolerance):
    """The mean of independent times lies within 4 standard errors, and these are small."""
    error_s = np.std(times_s, ddof=1) / sqrt(len(times_s))
    assert error_s < tolerance * expected_s
    assert abs(np.mean(times_s) - expected_s) < 4 * error_s


@pytest.mark.parametrize("saves", [long_saves, short_saves])
@pytest.mark.parametrize("case", CASES)
def test_the_mean_time_of_a_segment_is_daly_s(case, saves):
    check_mean(saves(case, 5_000), case.expected_s, 0.02)


@pytest.mark.validate
@pytest.mark.parametrize("saves", [long_saves, short_saves])
@pytest.mark.parametrize("case", CASES)
def test_the_mean_time_of_a_segment_is_daly_s_over_1e5_segments(case, saves):
    check_mean(saves(case, 100_000), case.expected_s, 0.005)


def test_the_optimum_interval_is_the_best_of_its_neighbours():
    """Along one series of failures the time for a stretch of work is least near Daly's interval."""
    case = CASES[0]._replace(restart_s=60.0)
    optimum_s = optimum_work_s(case.rate_per_s, case.stall_s)
    per_work = [
        long_saves(case._replace(work_s=work_s), 700).mean() / work_s
        for work_s in (optimum_s / 3, optimum_s, 3 * optimum_s)
    ]
    assert min(per_work) == per_work[1]
