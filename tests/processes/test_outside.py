"""What comes from outside hits what it names, for as long as it says, and nothing else."""

import json

import numpy as np
import pytest

from dcsim.physics.gpu import EXPONENT
from dcsim.processes.outside import COLUMNS, gpus_of
from dcsim.world import matches
from tests.processes.stage import HOUR, MEDIANS, MIN, S, Stage, fails, job, scenario, site

PLANT = [kind for kind in COLUMNS if COLUMNS[kind] != "gpu.ceiling_x" and kind != "crah"]
AIR = {
    **site(),
    "nodes": {"type": "hgx-h100-air", "count": 8},
    "cooling": {"unit": "crah-150", "racks_per_unit": 2, "supply": "22 degC"},
}


def fault(at_s, hit, effect="down", for_s=None):
    ends = {} if for_s is None else {"for": f"{for_s} s"}
    return {"at": f"{at_s} s", "hit": hit, "effect": effect, **ends}


def column(stage, name):
    table, _, of_table = name.partition(".")
    return getattr(getattr(stage.site, table), of_table)


def staged(*faults, records=(), jobs=(), **other):
    return Stage(scenario(jobs, faults=faults, **other), records)


@pytest.mark.parametrize("kind", PLANT)
@pytest.mark.parametrize("effect", ["down", {"degrade": 0.6}])
def test_a_fault_sets_what_remains_and_sets_it_back(kind, effect):
    stage = staged(fault(600, f"lab/{kind}/0", effect, 1200))
    left = 0.0 if effect == "down" else 0.6
    for t_ns, value in ((600 * S - 1, 1.0), (600 * S, left), (1800 * S - 1, left), (1800 * S, 1.0)):
        stage.cast.sim.run_to(t_ns)
        values = column(stage, COLUMNS[kind])
        assert values[0] == value
        assert (values[1:] == 1.0).all()


@pytest.mark.parametrize("kind", ["gpu", "node", "rack"])
def test_a_machine_is_left_a_share_of_its_clock(kind):
    stage = staged(fault(600, f"lab/{kind}/1", {"degrade": 0.6}, 1200), jobs=[job(8)])
    stage.cast.sim.run_to(900 * S)
    hit = gpus_of(matches(f"lab/{kind}/1", stage.world.sites)[0])
    rest = np.setdiff1d(np.arange(64), hit)
    assert len(hit) == {"gpu": 1, "node": 8, "rack": 32}[kind]
    np.testing.assert_allclose(stage.site.gpu.ceiling_x[hit], 0.6**EXPONENT, 1e-6)
    assert (stage.site.gpu.ceiling_x[rest] == 1).all()
    assert stage.site.gpu.clock_frac[hit].max() <= 0.61
    assert stage.site.gpu.clock_frac[rest].min() > 0.8
    stage.run()
    assert (stage.site.gpu.ceiling_x == 1).all()
    assert stage.site.node.up.all()


def test_no_clock_falls_below_the_lowest_that_there_is():
    """Less than that leaves the same clock, and the power that goes with it."""
    powers = set()
    for share in (345 / 1980, 0.05, 1e-6):
        stage = staged(fault(600, "lab/node/1", {"degrade": share}), jobs=[job(8)])
        stage.cast.sim.run_to(601 * S)
        assert stage.site.gpu.clock_frac[8:16] == pytest.approx(345 / 1980, rel=1e-4)
        powers.add(float(stage.site.gpu.power_w[8:16].sum()))
    assert len(powers) == 1


@pytest.mark.parametrize("kind", ["gpu", "node", "rack"])
def test_a_machine_that_is_down_takes_its_nodes_out(kind):
    stage = staged(fault(600, f"lab/{kind}/1", for_s=1200))
    stage.cast.sim.run_to(900 * S)
    expected = {"gpu": [0], "node": [1], "rack": [4, 5, 6, 7]}[kind]
    assert np.flatnonzero(~stage.site.node.up).tolist() == expected
    stage.run()
    assert stage.site.node.up.all()


def test_where_faults_overlap_the_worst_counts():
    stage = staged(
        fault(600, "lab/cdu/0", {"degrade": 0.5}, 3000),
        fault(900, "lab/cdu/*", {"degrade": 0.8}, 600),
        fault(1200, "lab/cdu/0", "down", 60),
        fault(1800, "lab/cdu/0", {"degrade": 0.5}, 600),
    )
    for t_s, left in (
        *((600, 0.5), (900, 0.5), (1200, 0.0), (1260, 0.5), (1500, 0.5)),
        *((1800, 0.5), (2400, 0.5), (3600, 1.0)),
    ):
        stage.cast.sim.run_to(t_s * S)
        assert stage.site.unit.flow_frac[0] == left


def test_faults_on_a_rack_a_node_and_a_gpu_of_it_overlap():
    stage = staged(
        fault(600, "lab/rack/0", {"degrade": 0.9}, 3000),
        fault(700, "lab/node/1", {"degrade": 0.7}, 1000),
        fault(800, "lab/gpu/8", {"degrade": 0.5}, 100),
    )
    for t_s, of_gpu, of_node in (
        (650, 0.9, 0.9),
        (850, 0.5, 0.7),
        (950, 0.7, 0.7),
        (2000, 0.9, 0.9),
    ):
        stage.cast.sim.run_to(t_s * S)
        found = stage.site.gpu.ceiling_x[[8, 9]] ** (1 / EXPONENT)
        np.testing.assert_allclose(found, [of_gpu, of_node], 1e-6)


def test_a_fault_of_an_air_handler_goes_by_its_name():
    stage = staged(fault(600, "lab/crah/0", {"degrade": 0.5}), sites={"lab": AIR})
    stage.cast.sim.run_to(HOUR)
    assert stage.site.unit.flow_frac[0] == 0.5


def test_each_site_has_its_own_fault_as_the_cause():
    sites = {"east": site(4), "west": site(4)}
    stage = staged(fault(600, "*/node/1", for_s=600), sites=sites).run()
    rows = stage.tape.tables["events"]
    down = [row for row in rows if row["cause_id"] >= 0 and row["thing_kind_id"] == 2]
    assert len(down) == 4
    for row in down:
        assert rows[row["cause_id"]]["site_id"] == row["site_id"]


# --- the fabric


def test_changes_of_the_fabric_are_rows_of_the_link_table():
    stage = staged(
        fault(600, "lab/leaf/0", {"degrade": 0.5}, 600), fault(700, "lab/link/3-4", "down", 60)
    ).run()
    rows = [
        (row["t_ns"] // S, row["row"].tolist(), row["capacity_frac"].tolist())
        for row in stage.tape.tables["link"]
    ]
    assert rows == [
        *((600, [0], [0.5]), (700, [3, 4], [0.0, 0.0])),
        *((760, [3, 4], [1.0, 1.0]), (1200, [0], [1.0])),
    ]


def test_one_dead_leaf_slows_a_job_and_two_lose_it_its_nodes():
    plain = staged(jobs=[job(4)]).run()
    one = staged(fault(3600, "lab/leaf/0"), jobs=[job(4)]).run()
    assert one.states() == ["starting", "running"]
    assert one.steps() < plain.steps()
    two = staged(fault(3600, "lab/leaf/0-1", for_s=600), jobs=[job(4)]).run()
    assert [event.value for event in two.events("job_interrupted")] == [1.0]
    assert "waiting_for_nodes" in two.states()
    assert two.states()[-1] == "running"


def test_lost_spines_cost_a_job_that_leaves_its_unit_its_nodes_and_no_other():
    """Units hold 32 nodes: one job lies in the first of them, the other in both."""
    jobs, sites = [job(4, name="a"), job(36, name="b")], {"lab": site(40)}
    plain = staged(jobs=jobs, sites=sites).run()
    cut = staged(fault(3600, "lab/spine/*", for_s=600), jobs=jobs, sites=sites).run()
    assert cut.states(0) == ["starting", "running"]
    assert cut.steps(0) == pytest.approx(plain.steps(0), rel=1e-3)  # the room is cooler
    assert [(e.job, e.t_ns) for e in cut.events("job_interrupted")] == [(1, HOUR)]
    assert cut.states(1)[-1] == "running"


@pytest.mark.parametrize(("nodes", "slower"), [(16, False), (48, True)])
def test_oversubscription_slows_only_a_job_that_leaves_its_unit(nodes, slower):
    def step_s(oversubscription):
        network = {**site()["network"], "oversubscription": oversubscription}
        deep = job(nodes, parallel={"tp": 8, "pp": 8, "dp": nodes // 8})
        stage = staged(jobs=[deep], sites={"lab": site(nodes, network=network)}, hours=0.2)
        return stage.run().site.job.step_s[0]

    assert bool(step_s(16) > 1.0001 * step_s(1)) == slower


def leaf_fails(t_ns, leaf, repair_s=600.0):
    return fails(t_ns, f"lab/leaf/{leaf}", repair_s=repair_s)


def test_a_leaf_that_fails_by_itself_crashes_each_job_below_it_once():
    stage = staged(records=[leaf_fails(HOUR, 0)], jobs=[job(3, name="a"), job(3, name="b")]).run()
    counted = [(event.job, event.value) for event in stage.events("job_interrupted")]
    assert counted == [(0, 1.0), (1, 1.0)]
    assert stage.states(0)[-1] == stage.states(1)[-1] == "running"
    assert not stage.events("down")


def test_a_leaf_crashes_the_job_whichever_of_its_nodes_are_below():
    """The first node below it is a spare, the next one is in repair."""
    stage = staged(
        records=[
            fails(MIN, "lab/node/0", repair_s=20_000),
            fails(2 * MIN, "lab/node/1", repair_s=1200),
            leaf_fails(HOUR, 0),
        ],
        jobs=[job(4, arrive="5 min")],
    )
    stage.run()
    assert stage.life().nodes.tolist() == [4, 5, 6, 7]
    assert [event.t_ns for event in stage.events("job_interrupted")] == [HOUR]


def test_a_leaf_without_a_job_crashes_nothing_and_a_dead_one_cannot_fail_again():
    stage = staged(records=[leaf_fails(HOUR, 0), leaf_fails(HOUR + MIN, 0, 9000)]).run()
    assert not stage.events("job_interrupted")
    assert stage.times("masked") == [HOUR + MIN]
    assert stage.times("fault_ended") == [HOUR + 600 * S]
    assert (stage.site.net.leaf_frac == 1).all()


# --- weather and the records themselves


def test_weather_is_linear_between_its_records():
    from dcsim.inputs.records import Weather

    hourly = [
        Weather(dry_bulb_c=20.0 + i, wet_bulb_c=10.0 + 2 * i).at(i * HOUR, "lab")
        for i in range(1, 4)
    ]
    stage = staged(records=hourly)
    stage.cast.sim.run_to(HOUR // 2)
    assert stage.site.weather.dry_bulb_c[0] == pytest.approx(20.5)
    stage.cast.sim.run_to(5 * HOUR // 2)
    assert stage.site.weather.dry_bulb_c[0] == pytest.approx(22.5)
    assert stage.site.weather.wet_bulb_c[0] == pytest.approx(15.0)
    stage.cast.sim.run_to(4 * HOUR)
    assert stage.site.weather.dry_bulb_c[0] == pytest.approx(23.0)


def test_rolling_maintenance_takes_a_share_in_turn():
    stage = staged(maintenance=[{"every": "1 h", "for": "10 min", "rolling": 0.25}], hours=6).run()
    down = [(e.t_ns // HOUR, e.row) for e in stage.events("down")]
    assert down == [(1, 0), (1, 1), (2, 2), (2, 3), (3, 4), (3, 5), (4, 6), (4, 7), (5, 0), (5, 1)]
    assert json.loads(stage.tape.tables["events"][1]["detail"])["reason"] == "maintenance"


def test_failures_of_gpus_and_links_hit_their_node():
    for target, node in (("gpu/63", 7), ("link/15", 1), ("node/4", 4)):
        stage = staged(records=[fails(HOUR, f"lab/{target}", repair_s=600, u=MEDIANS)])
        stage.cast.sim.run_to(HOUR)
        assert np.flatnonzero(~stage.site.node.up).tolist() == [node]
