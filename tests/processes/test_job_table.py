"""The automaton of a job: every state is reached, every row taken, every gap deliberate."""

import itertools
from functools import cache

import pytest

from dcsim.contract import Fact
from dcsim.processes import jobs
from dcsim.processes.jobs import JOB, JobLife
from dcsim.trace.schema import JOB_STATES
from tests.processes.stage import HOUR, MEDIANS, MIN, Stage, fails, job, planned, scenario, site

FACTS = {
    *("placed", "granted", "phase_over", "checkpoint_due", "evaluation_due", "finished"),
    *("node_lost", "drain", "crashed"),
}
LOOKING = {"detecting", "diagnosing", "waiting_for_nodes"}
TIMED = {"starting", "checkpointing", "evaluating", "detecting", "diagnosing", "replacing"} | {
    *("initialising", "restoring", "warming", "maintenance")
}
ALL = set(JOB_STATES) - {"done"}
IGNORED = {
    "placed": ALL - {"queued"},  # a job is placed once
    "granted": ALL - {"waiting_for_nodes", "maintenance"},  # given back: see the test below
    "phase_over": ALL - TIMED,  # timers end with their state
    **{fact: ALL - {"running"} for fact in ("checkpoint_due", "evaluation_due", "finished")},
    "node_lost": {"queued"},  # it has no nodes
    "drain": {"queued"},
    "crashed": {"queued", *LOOKING},  # nothing of it runs
}


def test_the_table_is_total():
    gaps = {(state, fact) for fact, states in IGNORED.items() for state in states}
    assert set(JOB) | gaps == set(itertools.product(ALL, FACTS))
    assert not set(JOB) & gaps
    assert {state for state, _ in JOB.values()} <= set(JOB_STATES)
    assert all(callable(getattr(JobLife, action)) for _, action in JOB.values())


PHASES = {"detect": 240, "diagnose": 120, "replace": 60, "init": 90, "load": 120, "warmup": 60}


def told() -> Stage:
    """Two jobs on five nodes: the second goes through every state that there is."""
    preset = {"preset": "as-2024", **{name: f"{s} s" for name, s in PHASES.items()}}
    first = job(4, name="first", target={"tokens": 60_000_000})
    second = job(
        4,
        name="second",
        recovery=preset,
        checkpoint={"local": False, "every": "30 min"},
        evaluation={"every": "50 min", "for": "5 min"},
        target={"tokens": 3_000_000_000},
    )
    asked = scenario([first, second], hours=20, sites={"lab": site(5, 4)})
    records = [planned(HOUR, "lab/node/0", 3600), fails(2 * HOUR, "lab/node/1", repair_s=1800)]
    records += [fails(2 * HOUR, "lab/node/2", repair_s=1800)]
    return Stage(asked, records)


@cache
def story() -> Stage:
    return told().run()


def test_every_state_is_reached():
    states = story().states(1)
    assert set(states) | {"done"} == set(JOB_STATES)
    assert len(story().events("job_done")) == 2
    lost = states.index("detecting")
    assert states[lost : lost + 8] == [
        *("detecting", "diagnosing", "waiting_for_nodes", "replacing", "initialising"),
        *("restoring", "warming", "running"),
    ]


def test_segments_follow_one_another_without_a_gap():
    rows = [row for row in story().tape.tables["job"] if row["job_id"] == 1]
    assert rows[0]["t_start_ns"] == 0
    assert all(a["t_ns"] == b["t_start_ns"] for a, b in itertools.pairwise(rows))
    assert all(row["t_ns"] > row["t_start_ns"] for row in rows)
    assert all(row["gpus_allocated_count"] == 32 for row in rows[1:])
    assert rows[0]["gpus_allocated_count"] == 0


def in_state(state: str) -> Stage:
    """The story up to the middle of the first spell in *state*, a time of no other event."""
    spell = next(spell for spell in story().spells(1) if spell.state == state)
    stage = told()
    stage.cast.sim.run_to((spell.from_ns + spell.to_ns) // 2)
    assert stage.life(1).state == state
    return stage


@pytest.mark.parametrize(
    ("state", "fact"),
    sorted(
        (state, fact)
        for fact, states in IGNORED.items()
        for state in states - {"queued"}
        if fact not in ("node_lost", "drain")
    ),
)
def test_a_fact_without_a_row_changes_nothing(state, fact):
    plain, stage = in_state(state), in_state(state)
    payload = {"crashed": ("test", -1, None), "granted": []}.get(fact)
    stage.life(1).inbox.put(Fact(fact, "job", 1, payload))
    assert stage.run().tape.tables["job"] == plain.run().tape.tables["job"]
    assert stage.tape.tables["events"] == plain.tape.tables["events"]


LOSSES = {
    "node_lost": lambda lives, node: lives.put(
        node, "hold", "repair", -1, u=MEDIANS, for_ns=40 * MIN
    ),
    "crashed": lambda lives, node: lives.put(node, "crash", "test", -1, u=MEDIANS),
    "drain": lambda lives, node: lives.put(node, "hold", "maintenance", -1, for_ns=40 * MIN),
}


def hit(state: str, loss: str) -> Stage:
    """The story in which a node of the job is hit in *state*."""
    stage = in_state(state)
    life = stage.life(1)
    seated = [node for seat, node in enumerate(life.nodes) if seat not in life.empty]
    LOSSES[loss](stage.cast.lives["lab"], int(seated[0]))
    return stage.run()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("state", sorted(ALL - {"queued"}))
def test_a_loss_in_any_state_is_survived(state, loss):
    stage = hit(state, loss)
    at_ns = (spell := next(s for s in story().spells(1) if s.state == state)).from_ns
    at_ns += spell.length_ns // 2
    assert stage.states(1)[-1] == "running"
    assert len(stage.events("job_done")) == 2
    done = stage.events("job_done")[1]
    target = stage.tape.tables["dim_job"][1]
    target_steps = target["target_tokens_count"] / target["tokens_per_step"]
    assert done.value == pytest.approx(target_steps, rel=1e-9)
    assert stage.steps(1) - sum(stage.lost(1)) == pytest.approx(target_steps, rel=1e-9)
    counted = [e.value for e in stage.events("job_interrupted") if e.t_ns == at_ns]
    told_of = {"drain": [0.0], "node_lost": [1.0], "crashed": [1.0]}[loss]
    assert counted == ([] if state in LOOKING else told_of)
    if loss == "drain":
        lost_then = [e.value for e in stage.events("job_rollback") if e.t_ns == at_ns]
        assert lost_then == []


def test_every_row_is_taken(monkeypatch):
    class Noted(dict):
        taken = set()

        def __getitem__(self, key):
            self.taken.add(key)
            return super().__getitem__(key)

    monkeypatch.setattr(jobs, "JOB", Noted(JOB))
    told().run()
    for state in sorted(ALL - {"queued"}):
        for loss in LOSSES:
            hit(state, loss)
    assert Noted.taken == set(JOB)


def test_nodes_granted_to_a_job_that_moved_on_are_given_back():
    stage = in_state("running")
    life, owner = stage.life(1), stage.cast.scheduler._owner["lab"]
    spare = next(node for node in range(5) if node not in life.nodes)
    owner[spare] = 1
    life.inbox.put(Fact("granted", "job", 1, [spare]))
    stage.cast.sim.run_to(stage.cast.sim.now_ns)
    assert owner[spare] == -1
    assert spare not in life.nodes
