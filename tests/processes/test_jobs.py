"""What a job does when it is hit, when work is planned, when it evaluates, when it is done."""

import json
from math import exp, floor
from statistics import NormalDist

import pytest

from dcsim.contract import Fact
from tests.processes.stage import (
    BOOT,
    DETECT,
    DIAGNOSE,
    EVENT,
    HOUR,
    INIT,
    LOAD,
    MIN,
    RECOVERY,
    REPLACE,
    WARMUP,
    S,
    Spell,
    Stage,
    fails,
    job,
    planned,
    scenario,
    site,
)

AT = 2 * HOUR


def staged(*records, nodes=4, total=8, hours=4, **of_job):
    """One job on *nodes* of *total* nodes."""
    return Stage(scenario([job(nodes, **of_job)], hours, sites={"lab": site(total)}), records)


def after(stage, at_ns):
    """The spells that begin at *at_ns* or later."""
    return [spell for spell in stage.spells() if spell.from_ns >= at_ns]


# --- start, failure, recovery


def test_a_job_starts_with_initialisation_and_warm_up():
    stage = staged().run()
    assert stage.spells()[0] == Spell("starting", 0, INIT + WARMUP)
    assert stage.states() == ["starting", "running"]


def test_the_last_segment_ends_with_the_run():
    stage = staged(hours=1.01).run()
    assert stage.spells()[-1] == Spell("running", INIT + WARMUP, stage.end_ns)


def test_the_phases_of_a_recovery_follow_at_their_medians():
    stage = staged(fails(AT, "lab/node/1", repair_s=9000)).run()
    lengths = [(spell.state, spell.length_ns) for spell in after(stage, AT)[:-1]]
    assert lengths == [
        *(("detecting", DETECT), ("diagnosing", DIAGNOSE), ("replacing", REPLACE)),
        *(("initialising", INIT), ("restoring", LOAD), ("warming", WARMUP)),
    ]
    assert stage.times("job_resumed") == [AT + RECOVERY]
    still = [row for row in stage.tape.tables["job"] if AT < row["t_ns"] <= AT + RECOVERY]
    assert sum(row["steps"] for row in still) == 0


def test_the_draws_of_the_failure_stretch_each_phase():
    u = (0.1, 0.2, 0.3, 0.6, 0.7, 0.9)
    stage = staged(fails(AT, "lab/node/1", repair_s=9000, u=u)).run()
    medians = (DETECT, DIAGNOSE, REPLACE, INIT, LOAD, WARMUP)
    expected = [m * exp(0.5 * NormalDist().inv_cdf(x)) for m, x in zip(medians, u, strict=True)]
    lengths = [spell.length_ns for spell in after(stage, AT)[:-1]]
    assert lengths == pytest.approx(expected, abs=1)


def test_a_crash_keeps_its_nodes_and_replaces_nothing():
    stage = staged(fails(AT, "lab/node/1"))
    stage.cast.sim.run_to(HOUR)
    before = stage.life().nodes.tolist()
    stage.run()
    assert stage.life().nodes.tolist() == before
    assert stage.times("job_resumed") == [AT + RECOVERY - REPLACE + 1]
    assert not stage.events("down")


def test_a_lost_node_is_replaced_in_its_seat():
    stage = staged(fails(AT, "lab/node/1", repair_s=9000))
    stage.cast.sim.run_to(AT - 1)
    assert stage.life().nodes.tolist() == [0, 1, 2, 3]
    stage.run()
    assert stage.life().nodes.tolist() == [0, 4, 2, 3]


def test_lost_work_is_what_was_done_since_the_last_durable_step():
    stage = staged(fails(AT, "lab/node/1", repair_s=9000)).run()
    plan = stage.life().plan
    first = next(row for row in stage.tape.tables["job"] if row["t_ns"] == AT)
    done = sum(row["steps"] for row in stage.tape.tables["job"] if row["t_ns"] <= AT)
    step_s, local = plan.step_ns / 1e9, plan.checkpoints.local
    every = floor(local.interval_s / step_s)
    durable = floor((done - local.drain_s / step_s) / every) * every
    assert first["steps"] > 0
    assert stage.lost() == [pytest.approx(done - durable, rel=1e-12)]
    assert 0 < stage.lost()[0] < every + local.drain_s / step_s


def test_a_second_loss_while_looking_is_one_interruption():
    for delay_ns in (0, DETECT // 2, DETECT + DIAGNOSE // 2):
        stage = staged(
            fails(AT, "lab/node/1", repair_s=9000),
            fails(AT + delay_ns, "lab/node/2", repair_s=9000),
        ).run()
        assert [e.value for e in stage.events("job_interrupted")] == [1.0]
        assert stage.times("job_resumed") == [AT + RECOVERY]
        assert stage.life().nodes.tolist() == [0, 4, 5, 3]
        assert len(stage.lost()) == 1


@pytest.mark.parametrize(
    ("state", "into_ns"),
    [
        ("replacing", DETECT + DIAGNOSE + REPLACE // 2),
        ("initialising", DETECT + DIAGNOSE + REPLACE + INIT // 2),
        ("restoring", RECOVERY - WARMUP - LOAD // 2),
        ("warming", RECOVERY - WARMUP // 2),
    ],
)
def test_a_failure_during_the_restart_begins_it_anew(state, into_ns):
    again = AT + into_ns
    stage = staged(
        fails(AT, "lab/node/1", repair_s=9000), fails(again, "lab/node/2", repair_s=9000)
    ).run()
    assert [s.state for s in after(stage, AT) if s.to_ns == again] == [state]
    assert [e.value for e in stage.events("job_interrupted")] == [1.0, 1.0]
    assert stage.times("job_resumed") == [again + RECOVERY]
    assert len(stage.lost()) == 1


def test_a_job_waits_for_nodes_until_one_is_back():
    stage = staged(fails(AT, "lab/node/1", repair_s=3000), total=4).run()
    waiting = next(s for s in stage.spells() if s.state == "waiting_for_nodes")
    assert waiting == Spell("waiting_for_nodes", AT + DETECT + DIAGNOSE, AT + 3000 * S + BOOT)
    assert stage.life().nodes.tolist() == [0, 1, 2, 3]
    assert stage.states()[-1] == "running"


def test_a_loss_while_waiting_is_waited_for_too():
    stage = staged(
        fails(AT, "lab/node/1", repair_s=1000),
        fails(AT + 20 * MIN, "lab/node/3", repair_s=3000),
        total=4,
    ).run()
    waiting = [s for s in stage.spells() if s.state == "waiting_for_nodes"]
    assert [s.to_ns for s in waiting] == [AT + 20 * MIN + 3000 * S + BOOT]
    assert [e.value for e in stage.events("job_interrupted")] == [1.0]


def test_granted_nodes_that_are_lost_before_they_are_seated_are_asked_for_again():
    stage = staged(
        fails(HOUR, "lab/node/4", repair_s=20_000),
        fails(AT, "lab/node/1", repair_s=3000),
        total=5,
        hours=6,
    )
    stage.cast.sim.run_to(AT + 10 * MIN)
    life = stage.life()
    assert life.state == "waiting_for_nodes"
    life.inbox.put(Fact("granted", "job", 0, [4]))
    stage.run()
    assert life.nodes.tolist() == [0, 1, 2, 3]
    assert stage.times("job_resumed") == [AT + 3000 * S + BOOT + REPLACE + INIT + LOAD + WARMUP]


def test_a_node_that_comes_back_belongs_to_no_job_until_it_is_granted():
    """Its load is left alone by the job that left it, which still waits for another."""
    stage = staged(
        planned(AT, "lab/node/1", 60),
        planned(AT, "lab/node/2", 6000),
        fails(AT + 700 * S, "lab/node/3"),
        total=4,
    )
    stage.cast.sim.run_to(AT + 720 * S)
    assert stage.site.node.up.tolist() == [True, True, False, True]
    assert stage.life().state == "detecting"
    assert stage.site.gpu.load_frac[8:16].max() == 0.0
    assert stage.site.gpu.load_frac[:8].min() == pytest.approx(stage.life().plan.wait_frac)


# --- copies in memory


def rollback_steps(stage):
    """Steps that count after all rollbacks until the first resumption, and the plan."""
    resumed = stage.times("job_resumed")[0]
    done = sum(row["steps"] for row in stage.tape.tables["job"] if row["t_ns"] <= resumed)
    lost = sum(e.value for e in stage.events("job_rollback") if e.t_ns <= resumed)
    return done - lost, stage.life().plan


def remote_step(plan, done):
    tier, step_s = plan.checkpoints.remote, plan.step_ns / 1e9
    every = floor(tier.interval_s / step_s)
    return floor((done - tier.drain_s / step_s) / every) * every


@pytest.mark.parametrize(
    "second_ns",
    [0, DETECT // 2, DETECT + DIAGNOSE // 2, DETECT + DIAGNOSE + REPLACE // 2, RECOVERY - MIN],
)
@pytest.mark.parametrize("peer", [True, False])
def test_with_a_node_and_its_peer_gone_only_the_remote_copy_helps(second_ns, peer):
    """Seat 3 of 4 holds the copy of seat 1; whether 2 goes too does not matter."""
    other = "lab/node/3" if peer else "lab/node/2"
    stage = staged(
        fails(AT, "lab/node/1", repair_s=9000), fails(AT + second_ns, other, repair_s=9000)
    ).run()
    kept, plan = rollback_steps(stage)
    done = sum(row["steps"] for row in stage.tape.tables["job"] if row["t_ns"] <= AT)
    remote = remote_step(plan, done)
    if peer:
        assert kept == pytest.approx(remote, rel=1e-9)
        assert len(stage.lost()) == 2
    else:
        assert kept > remote + 100
        assert len(stage.lost()) == 1


def test_once_the_job_runs_again_every_node_has_its_state_again():
    again = AT + RECOVERY + 50 * MIN
    stage = staged(
        fails(AT, "lab/node/1", repair_s=9000), fails(again, "lab/node/3", repair_s=9000)
    ).run()
    assert len(stage.lost()) == 2
    plan = stage.life().plan
    every = floor(plan.checkpoints.local.interval_s / (plan.step_ns / 1e9))
    assert max(stage.lost()) < every + 2


def test_the_remote_tier_keeps_its_own_count_through_local_recoveries():
    """A local recovery at two hours must not make step 2 h durable in remote storage."""
    again = AT + RECOVERY + 2 * MIN
    stage = staged(
        fails(AT, "lab/node/0", repair_s=9000),
        fails(again, "lab/node/1", repair_s=9000),
        fails(again, "lab/node/3", repair_s=9000),
    ).run()
    done = sum(row["steps"] for row in stage.tape.tables["job"] if row["t_ns"] <= AT)
    resumed = stage.times("job_resumed")[1]
    made = sum(row["steps"] for row in stage.tape.tables["job"] if row["t_ns"] <= resumed)
    kept = made - sum(e.value for e in stage.events("job_rollback") if e.t_ns <= resumed)
    assert kept == pytest.approx(remote_step(stage.life().plan, done), rel=1e-9)


def test_the_state_of_a_job_on_one_node_dies_with_it():
    lost = staged(fails(AT, "lab/node/0", repair_s=9000), nodes=1).run()
    crashed = staged(fails(AT, "lab/node/0"), nodes=1).run()
    kept, plan = rollback_steps(lost)
    done = sum(row["steps"] for row in lost.tape.tables["job"] if row["t_ns"] <= AT)
    assert kept == pytest.approx(remote_step(plan, done), rel=1e-9)
    assert rollback_steps(crashed)[0] > kept + 100


# --- planned work


def test_planned_work_loses_nothing_and_is_no_interruption():
    stage = staged(planned(AT, "lab/node/1", 3600)).run()
    assert [e.value for e in stage.events("job_interrupted")] == [0.0]
    assert stage.lost() == []
    assert after(stage, AT)[0] == Spell("maintenance", AT, AT + REPLACE + INIT + LOAD + WARMUP)
    assert stage.life().nodes.tolist() == [0, 4, 2, 3]


def test_planned_work_on_several_nodes_at_once_is_one_move():
    for many in ("lab/node/0-1", "lab/node/0-2", "lab/rack/0/node/*"):
        stage = staged(planned(AT, many, 3600)).run()
        assert {e.value for e in stage.events("job_interrupted")} == {0.0}
        assert after(stage, AT)[0] == Spell("maintenance", AT, AT + REPLACE + INIT + LOAD + WARMUP)
        assert stage.lost() == []
        owner = stage.cast.scheduler._owner["lab"]
        assert (owner >= 0).sum() == 4
        assert sorted(stage.life().nodes.tolist()) == [i for i in range(8) if owner[i] == 0]


def test_a_move_is_not_begun_anew_by_a_node_that_comes_back():
    back_s = (AT - HOUR) // S + 3000 + BOOT // S
    stage = staged(
        fails(AT - HOUR, "lab/node/7", repair_s=3100), planned(AT, "lab/node/0-2", 3600)
    ).run()
    assert AT // S < back_s + 100 < (AT + REPLACE + INIT + LOAD + WARMUP) // S
    assert stage.times("job_resumed") == [AT + REPLACE + INIT + LOAD + WARMUP]


def test_planned_work_without_a_spare_waits_for_its_end():
    stage = staged(planned(AT, "lab/node/1-2", 3600), total=4).run()
    until = AT + HOUR + BOOT + REPLACE + INIT + LOAD + WARMUP
    assert after(stage, AT)[0] == Spell("maintenance", AT, until)
    assert stage.lost() == []


def test_a_failure_during_planned_work_is_an_interruption_that_loses_nothing():
    stage = staged(planned(AT, "lab/node/1", 3600), fails(AT + 60 * S, "lab/node/2")).run()
    assert [e.value for e in stage.events("job_interrupted")] == [0.0, 1.0]
    assert stage.lost() == []


def test_planned_work_during_a_restart_makes_the_job_move_again():
    again = AT + RECOVERY - WARMUP // 2
    stage = staged(fails(AT, "lab/node/1", repair_s=9000), planned(again, "lab/node/2", 3600)).run()
    assert [e.value for e in stage.events("job_interrupted")] == [1.0, 0.0]
    assert len(stage.lost()) == 1
    assert stage.times("job_resumed") == [again + REPLACE + INIT + LOAD + WARMUP]


def test_planned_work_on_both_holders_of_a_state_loses_nothing():
    stage = staged(planned(AT, "lab/node/1", 3600), planned(AT, "lab/node/3", 3600)).run()
    assert stage.lost() == []


# --- evaluation and long saves


def test_evaluations_come_by_running_time():
    stage = staged(evaluation={"every": "30 min", "for": "5 min"}).run()
    spells = [s for s in stage.spells() if s.state == "evaluating"]
    start = INIT + WARMUP
    assert [s.from_ns for s in spells] == [
        start + 30 * MIN + i * 35 * MIN for i in range(len(spells))
    ]
    assert all(s.length_ns == 5 * MIN for s in spells)
    assert len(spells) == 6
    assert not stage.events("job_resumed")
    evaluating = stage.tape.tables["job"]
    assert all(r["steps"] == 0 for r in evaluating if r["t_ns"] in {s.to_ns for s in spells})


def test_hosts_and_gpus_are_as_busy_in_an_evaluation_as_in_training():
    stage = staged(evaluation={"every": "30 min", "for": "5 min"})
    busy = {}
    while len(busy) < 3:
        stage.cast.sim.run_to(stage.cast.sim.now_ns + MIN)
        nodes, gpus = stage.site.node.busy_frac[:4], stage.site.gpu.load_frac[:32]
        busy[stage.life().state] = set(nodes.tolist()), set(gpus.tolist())
    assert busy["evaluating"] == busy["running"]
    assert busy["starting"][0] == {0.0}


def test_an_evaluation_that_a_failure_ends_is_made_again():
    first = INIT + WARMUP + 30 * MIN
    at = first + 2 * MIN
    stage = staged(fails(at, "lab/node/1"), evaluation={"every": "30 min", "for": "5 min"}).run()
    spells = [s for s in stage.spells() if s.state == "evaluating"]
    resumed = stage.times("job_resumed")[0]
    assert spells[0] == Spell("evaluating", first, at)
    assert spells[1] == Spell("evaluating", resumed + 1, resumed + 1 + 5 * MIN)


LONG = {"recovery": "as-2024", "checkpoint": {"local": False, "every": "40 min"}}


def test_evaluations_do_not_keep_long_saves_from_coming():
    stage = staged(**LONG, evaluation={"every": "15 min", "for": "1 min"}, hours=8).run()
    plan = stage.life().plan
    ran = [s.length_ns for s in stage.spells() if s.state == "running"]
    saves = [s for s in stage.spells() if s.state == "checkpointing"]
    assert len(saves) == sum(ran) // (40 * MIN)
    assert all(s.length_ns == 120 * S for s in saves)
    assert not plan.checkpoints.remote.fluid


def test_a_long_save_holds_once_it_is_drained():
    slow = {**LONG, "model": "llama3-70b", "parallel": {"tp": 8, "pp": 4, "dp": 1}, "batch": 64}
    stage = staged(**slow)
    plan = stage.life() if stage.cast.scheduler.jobs else None
    stage.cast.sim.run_to(1)
    plan = stage.life().plan
    drain_ns = round(plan.checkpoints.remote.drain_s * 1e9)
    assert drain_ns > 0
    stage = staged(**slow).run()
    saved = [s.to_ns for s in stage.spells() if s.state == "checkpointing"]
    for late_ns, kept_save in ((drain_ns + S, 1), (drain_ns // 2, 0)):
        hit = staged(fails(saved[1] + late_ns, "lab/node/1", repair_s=9000), **slow).run()
        steps = [e.value for e in hit.events("job_checkpoint")]
        kept, _ = rollback_steps(hit)
        assert kept == pytest.approx(steps[kept_save], rel=1e-12)


def test_a_save_is_logged_when_it_is_made_with_when_it_is_durable():
    stage = staged(planned(3 * HOUR, "lab/node/1", 600), **LONG).run()
    drain_ns = round(stage.life().plan.checkpoints.remote.drain_s * 1e9)
    made = [s.to_ns for s in stage.spells() if s.state == "checkpointing"]
    rows = [r for r in stage.tape.tables["events"] if EVENT[r["event_kind_id"]] == "job_checkpoint"]
    durable = {row["t_ns"]: json.loads(row["detail"])["durable_ns"] for row in rows}
    assert durable == {t_ns: t_ns + drain_ns for t_ns in made} | {3 * HOUR: 3 * HOUR}


# --- the end


def test_a_job_ends_at_its_target():
    stage = staged(target={"tokens": 100_000_000}).run()
    row = stage.tape.tables["dim_job"][0]
    steps = 100_000_000 / row["tokens_per_step"]
    assert stage.steps() == pytest.approx(steps, rel=1e-9)
    assert [e.kind for e in stage.events("job_done")] == ["job_done"]
    assert stage.states() == ["starting", "running"]
    assert stage.cast.scheduler.allocated_count(stage.site) == 0
    assert stage.site.gpu.load_frac.max() == 0.0
    assert not stage.site.placement


def test_a_target_is_counted_in_steps_that_were_not_lost():
    target = {"tokens": 300_000_000}
    plain = staged(target=target).run()
    hit = staged(fails(HOUR // 4, "lab/node/1", repair_s=9000), target=target).run()
    assert hit.steps() - sum(hit.lost()) == pytest.approx(plain.steps(), rel=1e-9)
    assert hit.times("job_done")[0] > plain.times("job_done")[0] + RECOVERY


@pytest.mark.parametrize("offset_ns", [-1, 0, 1])
def test_what_is_due_as_the_target_is_reached_does_no_harm(offset_ns):
    """Planned work, a failure and an evaluation at the very end, to the nanosecond."""
    target = {"tokens": 100_000_000}
    end = staged(target=target).run().times("job_done")[0]
    for record in (
        planned(end + offset_ns, "lab/node/1", 600),
        fails(end + offset_ns, "lab/node/1"),
        fails(end + offset_ns, "lab/node/1", repair_s=60),
    ):
        stage = staged(record, target=target).run()
        assert len(stage.events("job_done")) == 1
    every_s = (end + offset_ns - INIT - WARMUP) / 1e9
    evaluation = {"every": f"{every_s:.9f} s", "for": "60 s"}
    stage = staged(target=target, evaluation=evaluation).run()
    assert len(stage.events("job_done")) == 1
