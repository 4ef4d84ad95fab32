"""Who gets which nodes: first come first served, whole racks first, spares kept."""

import pytest

from dcsim.accounting import summarise
from dcsim.simulation import run
from dcsim.trace import Run
from tests.processes.stage import (
    BOOT,
    DETECT,
    DIAGNOSE,
    HOUR,
    MIN,
    S,
    Stage,
    fails,
    job,
    planned,
    scenario,
    site,
)

SOON = {"tokens": 100_000_000}


def staged(*jobs, sites=None, records=(), hours=4):
    return Stage(scenario(jobs, hours, sites=sites or {"lab": site()}), records)


def started(stage):
    """When each job got its nodes, by job."""
    return {event.job: event.t_ns for event in stage.events("job_started")}


def test_jobs_queue_first_come_first_served_and_do_not_overtake():
    stage = staged(
        job(6, name="a", target=SOON),
        job(6, name="b", target=SOON),
        job(2, name="c", target=SOON),
        job(2, name="d", target=SOON, arrive="1 min"),
    ).run()
    ended = {e.job: e.t_ns for e in stage.events("job_done")}
    begun = started(stage)
    assert begun[0] == 0
    assert begun[1] == begun[2] == ended[0]
    assert begun[3] == min(ended[1], ended[2])
    queued = {n: stage.spells(n)[0] for n in (1, 2, 3)}
    assert all(spell.state == "queued" for spell in queued.values())
    assert [spell.from_ns for spell in queued.values()] == [0, 0, MIN]


def test_a_job_that_never_fits_in_time_is_in_the_trace_as_never_placed():
    stage = staged(job(8, name="a"), job(8, name="b")).run()
    rows = {row["job_id"]: row for row in stage.tape.tables["dim_job"]}
    assert rows[0]["site_id"] == 0
    assert rows[1]["site_id"] == -1
    assert rows[1]["gpus_count"] == 64
    assert not stage.spells(1)


def test_whole_racks_come_first():
    stage = staged(
        job(4, name="a", arrive="10 min"), records=[fails(MIN, "lab/node/1", repair_s=20_000)]
    )
    stage.cast.sim.run_to(HOUR)
    assert stage.life(0).nodes.tolist() == [4, 5, 6, 7]
    stage = staged(job(2, name="a"), job(4, name="b"), job(2, name="c"))
    stage.cast.sim.run_to(HOUR)
    assert [stage.life(n).nodes.tolist() for n in range(3)] == [[0, 1], [4, 5, 6, 7], [2, 3]]


def test_replacements_leave_whole_racks_whole():
    """The rack in which a node is free already comes before the one that is free as a whole."""
    stage = staged(
        job(6, name="a"),
        sites={"lab": site(16)},
        records=[
            fails(HOUR, "lab/node/1", repair_s=90_000),
            fails(2 * HOUR, "lab/node/2", repair_s=90_000),
            fails(3 * HOUR, "lab/node/3", repair_s=90_000),
        ],
    ).run()
    assert stage.life(0).nodes.tolist() == [0, 6, 7, 8, 4, 5]


def test_a_job_larger_than_the_whole_racks_takes_the_others_last():
    stage = staged(
        job(6, name="a", arrive="10 min"), records=[fails(MIN, "lab/node/1", repair_s=9e4)]
    )
    stage.cast.sim.run_to(HOUR)
    assert stage.life(0).nodes.tolist() == [4, 5, 6, 7, 0, 2]


def test_two_sites_share_the_jobs():
    sites = {"east": site(8), "west": site(12)}
    stage = staged(
        job(6, name="a"),
        job(6, name="b"),
        job(6, name="c"),
        job(6, name="d", site="east", target=SOON),
        sites=sites,
    )
    stage.cast.sim.run_to(HOUR)
    assert [life.site_name for life in stage.cast.scheduler.jobs] == ["east", "west", "west"]
    rows = {row["job_id"]: row["site_id"] for row in stage.run().tape.tables["dim_job"]}
    assert rows == {0: 0, 1: 1, 2: 1, 3: -1}


def test_a_job_that_fits_only_one_site_goes_there():
    stage = staged(job(10, name="a"), sites={"east": site(8), "west": site(12)})
    stage.cast.sim.run_to(HOUR)
    assert stage.life(0).site_name == "west"


def test_a_job_in_trouble_at_one_site_leaves_the_other_alone():
    sites = {"east": site(4), "west": site(4)}
    stage = staged(
        job(4, name="a"),
        job(4, name="b"),
        sites=sites,
        records=[fails(HOUR, "east/node/1", repair_s=1800)],
    ).run()
    assert "waiting_for_nodes" in stage.states(0)
    assert stage.states(1) == ["starting", "running"]


# --- spares


def test_spares_are_not_given_to_a_job_that_queues():
    stage = staged(job(4, name="a", spares=2), job(3, name="b"), hours=2).run()
    assert started(stage) == {0: 0}
    stage = staged(job(4, name="a", spares=2), job(2, name="b"), hours=2).run()
    assert started(stage) == {0: 0, 1: 0}


def test_spares_are_kept_from_other_jobs_that_lost_nodes():
    stage = staged(
        job(4, name="a", spares=1),
        job(3, name="b"),
        records=[fails(HOUR, "lab/node/5", repair_s=3600)],
    ).run()
    waiting = next(s for s in stage.spells(1) if s.state == "waiting_for_nodes")
    assert waiting.to_ns == HOUR + 3600 * S + BOOT
    assert stage.states(0) == ["starting", "running"]


def test_a_spare_that_is_used_is_used():
    """Both jobs lose a node; each takes its own spare, at once."""
    stage = staged(
        job(3, name="a", spares=1),
        job(3, name="b", spares=1),
        records=[
            fails(HOUR, "lab/node/0", repair_s=9000),
            fails(HOUR, "lab/node/4", repair_s=9000),
        ],
    ).run()
    for number in (0, 1):
        assert "waiting_for_nodes" not in stage.states(number)
        assert stage.states(number)[-1] == "running"


def test_a_spare_is_there_again_when_its_node_is_back():
    again = HOUR + 1800 * S + BOOT + MIN
    stage = staged(
        job(3, name="a", spares=1),
        job(4, name="b"),
        records=[
            fails(HOUR, "lab/node/0", repair_s=1800),
            fails(again, "lab/node/1", repair_s=9000),
            fails(again + HOUR, "lab/node/2", repair_s=60),
        ],
        hours=6,
    ).run()
    assert "waiting_for_nodes" in stage.states(0)
    waits = [s for s in stage.spells(0) if s.state == "waiting_for_nodes"]
    assert [s.from_ns for s in waits] == [again + HOUR + DETECT + DIAGNOSE]
    assert stage.states(1) == ["starting", "running"]


def test_what_a_placed_job_misses_is_kept_from_the_queue():
    """Without this, b would take the node that a lost, once it is back."""
    stage = staged(
        job(8, name="a"),
        job(2, name="b", arrive="61 min"),
        records=[
            fails(HOUR, "lab/node/0", repair_s=600),
            fails(HOUR, "lab/node/1", repair_s=600),
            fails(HOUR, "lab/node/2", repair_s=6000),
        ],
    ).run()
    assert started(stage) == {0: 0}
    waiting = next(s for s in stage.spells(0) if s.state == "waiting_for_nodes")
    assert waiting.to_ns == HOUR + 6000 * S + BOOT


def test_a_node_given_back_moves_the_queue_on():
    stage = staged(
        job(4, name="a", target=SOON), job(8, name="b"), records=[planned(MIN, "lab/node/7", 9000)]
    ).run()
    assert started(stage)[1] == MIN + 9000 * S + BOOT


def test_replacements_are_served_in_the_order_of_asking():
    stage = staged(
        job(4, name="a"),
        job(4, name="b"),
        records=[
            fails(HOUR, "lab/node/4", repair_s=3000),
            fails(HOUR + MIN, "lab/node/0", repair_s=3060),
        ],
    ).run()
    resumed = {e.job: e.t_ns for e in stage.events("job_resumed")}
    assert resumed[1] < resumed[0]


@pytest.mark.parametrize("nodes", [(8, 8), (5, 4), (6, 2, 8)])
def test_jobs_never_hold_more_than_there_is(tmp_path, nodes):
    jobs = [job(n, name=f"j{i}", target=SOON) for i, n in enumerate(nodes)]
    del jobs[-1]["train"]["target"]
    outcome = run(scenario(jobs, 2), out=tmp_path / "run")
    shares = summarise(Run(outcome.folder)).waterfall
    assert sum(share.value for share in shares) == pytest.approx(1, abs=1e-9)
    assert all(share.value >= 0 for share in shares)
