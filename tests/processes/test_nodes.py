"""A node is out while anything holds it, boots when nothing does, and comes back once."""

import itertools

import numpy as np
import pytest

from dcsim.processes.nodes import NODE, RETRY_NS, NodeLife
from tests.processes.stage import BOOT, HOUR, MIN, S, Stage, fails, job, planned, scenario

STATES = {"up", "out", "booting"}
FACTS = {"hold", "crash", "release", "booted"}


def test_the_table_is_total():
    assert set(NODE) == set(itertools.product(STATES, FACTS))
    assert all(state in STATES for state, _ in NODE.values())
    assert all(callable(getattr(NodeLife, action)) for _, action in NODE.values())


def test_every_state_is_reached_from_up():
    reached = {"up"}
    for _ in STATES:
        reached |= {NODE[state, fact][0] for state in reached for fact in FACTS}
    assert reached <= STATES
    stage = Stage(scenario(), [fails(HOUR, "lab/node/3", repair_s=600)])
    seen = []
    for t_ns in (HOUR - 1, HOUR, HOUR + 10 * MIN, HOUR + 10 * MIN + BOOT):
        stage.cast.sim.run_to(t_ns)
        lives = stage.cast.lives["lab"]._lives
        seen.append(lives[3].state if 3 in lives else "up")
    assert seen == ["up", "out", "booting", "up"]


def up_again(*records, node=3, hours=8):
    """When the node came back, and the stage."""
    stage = Stage(scenario(hours=hours), records).run()
    back = [event.t_ns for event in stage.events("up") if event.thing == "node"]
    assert all(event.row == node for event in stage.events("up") if event.thing == "node")
    return back, stage


def test_a_repair_ends_with_a_boot():
    back, stage = up_again(fails(HOUR, "lab/gpu/27", repair_s=1800))
    assert back == [HOUR + 1800 * S + BOOT]
    assert stage.site.node.up.all()
    assert (stage.site.gpu.on_frac == 1).all()


def test_while_a_node_is_out_or_boots_nothing_of_it_is_on():
    stage = Stage(scenario(), [fails(HOUR, "lab/node/3", repair_s=1800)])
    for t_ns in (HOUR, HOUR + 1000 * S, HOUR + 1800 * S, HOUR + 1800 * S + BOOT - 1):
        stage.cast.sim.run_to(t_ns)
        assert not stage.site.node.up[3]
        assert (stage.site.gpu.on_frac[24:32] == 0).all()
        assert stage.site.node.up.sum() == 7


def test_a_failure_of_a_node_that_is_out_changes_nothing():
    back, stage = up_again(
        fails(HOUR, "lab/node/3", repair_s=1800),
        fails(HOUR + MIN, "lab/node/3", repair_s=9000),
        fails(HOUR + 2 * MIN, "lab/gpu/24"),
    )
    assert back == [HOUR + 1800 * S + BOOT]
    assert [event.t_ns for event in stage.events("masked")] == [HOUR + MIN, HOUR + 2 * MIN]
    assert len(stage.events("down")) == 1


def test_a_crash_leaves_the_node_up():
    back, stage = up_again(fails(HOUR, "lab/node/3"))
    assert back == []
    assert not stage.events("down", "masked")
    assert [event.kind for event in stage.events("fail")] == ["fail"]


@pytest.mark.parametrize("repair_s", [60, 1200])
def test_a_failure_during_the_boot_cancels_it(repair_s):
    booting = HOUR + 600 * S + BOOT // 2
    back, stage = up_again(
        fails(HOUR, "lab/node/3", repair_s=600), fails(booting, "lab/node/3", repair_s=repair_s)
    )
    assert back == [booting + repair_s * S + BOOT]
    assert len(stage.events("down")) == 2


def test_a_crash_during_the_boot_is_masked():
    booting = HOUR + 600 * S + BOOT // 2
    back, stage = up_again(fails(HOUR, "lab/node/3", repair_s=600), fails(booting, "lab/node/3"))
    assert back == [HOUR + 600 * S + BOOT]
    assert len(stage.events("masked")) == 1


@pytest.mark.parametrize("longer", ["repair", "maintenance", "fault"])
def test_holds_of_different_kinds_overlap_and_the_longest_counts(longer):
    for_s = dict.fromkeys(("repair", "maintenance", "fault"), 1200) | {longer: 5000}
    fault = {"at": "62 min", "hit": "lab/node/3", "effect": "down", "for": f"{for_s['fault']} s"}
    stage = Stage(
        scenario(hours=8, faults=[fault]),
        [
            fails(HOUR, "lab/node/3", repair_s=for_s["repair"]),
            planned(HOUR + MIN, "lab/node/3", for_s["maintenance"]),
        ],
    ).run()
    begins = {"repair": HOUR, "maintenance": HOUR + MIN, "fault": HOUR + 2 * MIN}
    ends = max(begins[why] + for_s[why] * S for why in begins)
    assert stage.times("up") == [ends + BOOT]


def test_two_faults_on_one_node_hold_it_until_both_are_over():
    for first, second in ((5000, 600), (600, 5000)):
        faults = [
            {"at": "60 min", "hit": "lab/node/3", "effect": "down", "for": f"{first} s"},
            {"at": "61 min", "hit": "lab/node/2-3", "effect": "down", "for": f"{second} s"},
        ]
        stage = Stage(scenario(hours=8, faults=faults)).run()
        last = max(HOUR + first * S, HOUR + MIN + second * S)
        back = {event.row: event.t_ns for event in stage.events("up")}
        assert back == {2: HOUR + MIN + second * S + BOOT, 3: last + BOOT}


def test_a_fault_without_an_end_holds_whatever_else_ends():
    faults = [
        {"at": "60 min", "hit": "lab/node/3", "effect": "down", "for": "10 min"},
        {"at": "61 min", "hit": "lab/gpu/24", "effect": "down"},
        {"at": "62 min", "hit": "lab/node/3", "effect": "down", "for": "10 min"},
    ]
    stage = Stage(scenario(hours=8, faults=faults)).run()
    assert not stage.events("up")
    assert not stage.site.node.up[3]


def test_power_and_repair_overlap():
    dark = {"at": "60 min", "hit": "lab/pdu/0", "effect": "down", "for": "20 min"}
    stage = Stage(
        scenario(hours=8, faults=[dark]), [fails(HOUR - MIN, "lab/node/3", repair_s=7200)]
    ).run()
    back = {event.row: event.t_ns for event in stage.events("up") if event.thing == "node"}
    lit = HOUR + 20 * MIN
    assert back == dict.fromkeys((0, 1, 2), lit + BOOT) | {3: HOUR - MIN + 7200 * S + BOOT}


def test_power_lost_again_during_the_boot():
    dark = [
        {"at": f"{at} min", "hit": "lab/pdu/0", "effect": "down", "for": "5 min"} for at in (60, 70)
    ]
    stage = Stage(scenario(faults=dark)).run()
    back = [event.t_ns for event in stage.events("up") if event.thing == "node"]
    assert back == [HOUR + 15 * MIN + BOOT] * 4


def test_a_hot_node_is_tried_again_until_it_is_cool():
    """Without coolant a loaded node shuts down, once for its eight GPUs; cool, it boots again."""
    stage = Stage(
        scenario(
            [job(8)],
            hours=4,
            faults=[{"at": "1 h", "hit": "lab/cdu/0", "effect": "down", "for": "30 min"}],
        )
    ).run()
    down = [event for event in stage.events("down") if event.thing == "node"]
    back = [event for event in stage.events("up") if event.thing == "node"]
    assert {event.row for event in down} == set(range(8))
    assert len(stage.events("shutdown")) > len(down)
    assert all(HOUR < event.t_ns < HOUR + 30 * MIN for event in down)
    for event in back:
        went = [other.t_ns for other in down if other.row == event.row and other < event]
        assert (event.t_ns - max(went) - BOOT) % RETRY_NS == 0
    assert stage.site.node.up.all()


def test_a_node_that_is_still_hot_is_not_booted():
    fault = {"at": "1 h", "hit": "lab/cdu/0", "effect": "down", "for": "10 min"}
    stage = Stage(scenario([job(8)], faults=[fault]))
    stage.cast.sim.run_to(HOUR + 10 * MIN)
    down = next(event for event in stage.events("down") if event.row == 3)
    stage.cast.sim.run_to(down.t_ns + RETRY_NS - 1)
    stage.site.gpu.temp_c[31] = 61.0
    back = [event.t_ns for event in stage.run().events("up") if event.row == 3]
    assert back == [down.t_ns + 2 * RETRY_NS + BOOT]


def test_hot_and_repair_overlap():
    fault = {"at": "1 h", "hit": "lab/cdu/0", "effect": "down", "for": "30 min"}
    stage = Stage(scenario([job(8)], hours=8, faults=[fault]))
    stage.cast.sim.run_to(HOUR + 5 * MIN)
    life = stage.cast.lives["lab"]._lives[3]
    assert life.state == "out"
    assert life.holds == {"hot": 1}
    stage.cast.lives["lab"].put(3, "hold", "maintenance", -1, for_ns=4 * HOUR)
    stage.run()
    back = [event.t_ns for event in stage.events("up") if event.row == 3]
    assert back == [HOUR + 5 * MIN + 4 * HOUR + BOOT]


def rails(first_s, for_s):
    """Two of the rails of node 3 die for a time."""
    return [
        {"at": f"{first_s} s", "hit": f"lab/link/{link}", "effect": "down", "for": f"{for_s} s"}
        for link in (24, 25)
    ]


def test_a_node_without_rails_keeps_its_power_and_is_back_without_a_boot():
    stage = Stage(scenario(faults=rails(3600, 1800)))
    stage.cast.sim.run_to(HOUR + MIN)
    assert np.flatnonzero(~stage.site.node.up).tolist() == [3]
    assert (stage.site.gpu.on_frac == 1).all()
    assert [event.t_ns for event in stage.run().events("up")] == [HOUR + 30 * MIN]


def test_a_node_without_rails_that_also_lost_its_power_boots():
    dark = {"at": "61 min", "hit": "lab/pdu/0", "effect": "down", "for": "5 min"}
    stage = Stage(scenario(faults=[*rails(3600, 1800), dark])).run()
    back = {event.row: event.t_ns for event in stage.events("up") if event.thing == "node"}
    assert back == dict.fromkeys((0, 1, 2), HOUR + 6 * MIN + BOOT) | {3: HOUR + 30 * MIN + BOOT}


def test_random_holds_end_when_the_last_of_them_does():
    """The rule of holds, against a list of intervals."""
    for seed in range(40):
        chance = np.random.default_rng(seed)
        faults, spans = [], []
        for _ in range(chance.integers(1, 9)):
            at, length = (int(x) for x in chance.integers(60, 10_000, 2))
            fault = {"at": f"{at} s", "effect": "down", "for": f"{length} s"}
            faults.append({**fault, "hit": str(chance.choice(["lab/node/3", "lab/gpu/24-25"]))})
            spans.append((at, at + length))
        stage = Stage(scenario(hours=10, faults=faults)).run()
        expected, until = [], None
        for at, end in sorted(spans):
            if until is not None and at > until:
                if at > until + 600:
                    expected.append(until + 600)
                until = end
            until = end if until is None else max(until, end)
        expected.append(until + 600)
        assert [t // S for t in stage.times("up")] == expected, faults
