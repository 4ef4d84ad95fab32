"""Runs that must be the same, and runs that must differ in one direction."""

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from dcsim.contract import Fact
from dcsim.engine import Inbox, array_digest
from dcsim.inputs.draw import draw_inputs
from dcsim.kernel import set_threads
from dcsim.processes.cast import WRITABLE
from dcsim.simulation import run, state_digest, things
from dcsim.trace import Run
from dcsim.world import build, state_columns
from tests.processes.stage import S, Stage, fails, job, scenario, site

FAILURES = {"preset": "llama3-h100", "scale": 1000}
FAULTS = [
    {"at": "1 h", "hit": "lab/cdu/0", "effect": {"degrade": 0.4}, "for": "30 min"},
    {"at": "2 h", "hit": "lab/leaf/0", "effect": "down", "for": "20 min"},
    {"at": "3 h", "hit": "lab/feed/0", "effect": "down", "for": "3 min"},
    {"at": "230 min", "hit": "lab/node/1", "effect": "down", "for": "10 min"},
]
BUSY = {
    "sites": {"lab": site(16, gpu_spread=1, weather={"climate": "dallas"})},
    "failures": FAILURES,
    "faults": FAULTS,
    "maintenance": [{"every": "3 h", "for": "20 min", "rolling": 0.2}],
}


def busy(**other):
    """Two jobs on a site where everything happens."""
    jobs = [
        job(6, name="a", spares=2, evaluation={"every": "1 h", "for": "5 min"}),
        job(4, name="b", recovery="as-2024", checkpoint={"local": False, "every": "20 min"}),
    ]
    return scenario(jobs, 8, **{**BUSY, **other})


def digests(outcome):
    record = Run(outcome.folder).record
    return [record[f"{name}_digest"] for name in ("inputs", "trace", "state")]


def bytes_of(outcome):
    return {path.name: path.read_bytes() for path in sorted(outcome.folder.rglob("*.arrow"))}


# --- the same run


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    first = run(busy(), out=tmp_path / "a")
    again = run(busy(), out=tmp_path / "b")
    other = run(busy(seed=2), out=tmp_path / "c")
    assert bytes_of(first) == bytes_of(again)
    assert digests(first) == digests(again)
    assert all(x != y for x, y in zip(digests(first), digests(other), strict=True))


def test_recorded_inputs_replay_to_the_same_bytes(tmp_path):
    first = run(busy(), out=tmp_path / "a")
    again = run(busy(), out=tmp_path / "b", inputs=first.folder / "inputs.arrow")
    without = busy(failures="none", faults=[], maintenance=[])
    replayed = run(without, out=tmp_path / "c", inputs=first.folder / "inputs.arrow")
    assert bytes_of(first) == bytes_of(again)
    assert digests(first) == digests(again)
    assert digests(replayed)[0] == digests(first)[0]


SCRIPT = """
import json, sys
from pathlib import Path
from dcsim.scenario import loads
from dcsim.simulation import run
from dcsim.trace import Run
scenario, folder, threads = loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), sys.argv[3]
outcome = run(scenario, out=folder, threads=int(threads))
print(json.dumps([Run(outcome.folder).record[n + "_digest"] for n in ("inputs", "trace", "state")]))
"""


def in_process(asked, folder, seed, threads):
    """The digests of a run in a process of its own."""
    text = folder.with_suffix(".yaml")
    text.write_text(asked.text, encoding="utf-8")
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    command = [sys.executable, "-c", SCRIPT, str(text), str(folder), str(threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_other_processes_hash_seeds_and_threads_give_the_same_digests(tmp_path):
    """With nodes enough that the kernels do run on threads."""
    wide = site(400, 8, gpu_spread=1, cooling={**site()["cooling"], "racks_per_unit": 5})
    asked = scenario(
        [job(64, spares=4)], 3, sites={"lab": wide}, failures=FAILURES, faults=FAULTS[:2]
    )
    found = {
        (seed, threads): in_process(asked, tmp_path / f"{seed}-{threads}", seed, threads)
        for seed, threads in ((0, 1), (1, 2), (12345, 1))
    }
    assert len({tuple(digest) for digest in found.values()}) == 1


@pytest.fixture
def all_threads():
    yield
    set_threads(os.cpu_count() or 1)


def test_one_and_two_threads_in_one_process(tmp_path, all_threads):
    one = run(busy(), out=tmp_path / "a", threads=1)
    two = run(busy(), out=tmp_path / "b", threads=2)
    assert digests(one) == digests(two)


@pytest.mark.parametrize(
    "record",
    [
        {"gpus": "never"},
        {"gpus": "always", "gpu_every": "5 min"},
        {"site_every": "30 min", "rack_every": "1 h"},
        {"site_every": "5 min", "rack_every": "5 min", "gpus": "always", "gpu_every": "10 min"},
    ],
)
def test_what_is_recorded_changes_no_state(record):
    plain, other = Stage(busy()).run(), Stage(busy(record=record)).run()
    assert state_digest(plain.world) == state_digest(other.world)
    assert plain.tape.tables["events"] == other.tape.tables["events"]
    assert plain.tape.tables["job"] == other.tape.tables["job"]


def test_rows_come_as_often_as_they_are_asked_for():
    asked = {"site_every": "10 min", "rack_every": "5 min", "gpus": "always", "gpu_every": "15 min"}
    stage = Stage(scenario([job(4)], 2.2, record=asked)).run()
    for table, every_ns in (("site", 600 * S), ("rack", 300 * S), ("gpu", 900 * S)):
        found = {int(np.ravel(row["t_ns"])[0]) for row in stage.tape.tables[table]}
        times = sorted(found - {stage.end_ns})
        assert times == list(range(0, stage.end_ns, every_ns))


def test_empty_changes_and_reads_change_no_state():
    """A thousand at random instants, of every column, on a site where everything happens."""

    def meddle(stage, chance):
        inbox = Inbox(stage.cast.sim)
        island = stage.cast.islands["lab"]
        for _ in range(1000):
            stage.cast.sim.timer(inbox, int(chance.integers(1, 60 * S)), Fact("now", "", 0))
            yield inbox.get()
            name = str(chance.choice(WRITABLE))
            column = island.columns[name]
            with stage.cast.sim.change("nothing", island) as edit:
                edit.put(name, slice(None), column.copy())
            yield stage.cast.sim.settled(lambda column=column: float(column.sum()))

    plain, meddled = Stage(busy()), Stage(busy())
    meddled.cast.sim.process(meddle(meddled, np.random.default_rng(1)))
    assert state_digest(plain.run().world) == state_digest(meddled.run().world)
    assert plain.tape.tables["events"] == meddled.tape.tables["events"]
    assert meddled.cast.sim.now_ns == plain.cast.sim.now_ns


# --- two sites


def two_sites(names):
    """Sites with a job, faults and failures each, in the order of *names*."""
    jobs, faults, sites = [], [], {}
    for number, name in enumerate(names):
        sites[name] = site(8 + 4 * (name == "west"), gpu_spread=1, weather={"climate": "dallas"})
        jobs.append(job(4 + 2 * number, name=f"of-{name}", site=name, spares=1))
        faults += [
            {**fault, "hit": fault["hit"].replace("lab", name), "at": f"{2000 + 977 * i} s"}
            for i, fault in enumerate(FAULTS)
        ]
    return jobs, faults, sites


def told(rows):
    """Rows, what the detail of an event says beside the others."""
    for row in rows:
        yield {**row, "detail": "", **json.loads(row.get("detail") or "{}")}


def rows_of(stage, table, keep):
    """Rows of a table that *keep* says are of the site, without what counts over all sites."""
    whole = {"site_id", "event_id", "cause_id", "job_id", "rack_id", "gpu_id", "origin"}
    return [
        {name: np.asarray(v).tolist() for name, v in row.items() if name not in whole}
        for row in told(stage.tape.tables[table])
        if keep(row)
    ]


def check_alone(together, alone, name):
    """Everything of site *name* is bit-equal in both."""
    one, two = (stage.world.sites[name] for stage in (alone, together))
    states = []
    for found, stage in ((one, alone), (two, together)):
        jobs = [
            j for j, asked in enumerate(stage.world.scenario.jobs) if asked.name == f"of-{name}"
        ]
        columns = {
            key: column[jobs] if "/job." in key else column
            for key, column in state_columns(found).items()
        }
        states.append({key: array_digest({"column": column}) for key, column in columns.items()})
    assert states[0] == states[1]
    for table in ("site", "events", "link"):
        kept = [
            rows_of(stage, table, lambda row, s=found: row["site_id"] == s.index)
            for found, stage in ((one, alone), (two, together))
        ]
        assert kept[0] == kept[1], table
    for table, thing, of in (("rack", "rack_id", "rack"), ("gpu", "gpu_id", "gpu")):
        kept = []
        for found, stage in ((one, alone), (two, together)):
            sites = list(stage.world.sites.values())
            first = sum(s.counts[of] for s in sites[: sites.index(found)])
            ids = range(first, first + found.counts[of])
            kept.append(rows_of(stage, table, lambda row, t=thing, i=ids: row[t][0] in i))
        assert kept[0] == kept[1], table


@pytest.mark.parametrize("order", [("east", "west"), ("west", "east")])
def test_two_independent_sites_together_are_each_alone(order):
    jobs, faults, sites = two_sites(("east", "west"))
    other = {"failures": FAILURES, "faults": faults}
    together = Stage(scenario(jobs, 6, sites={name: sites[name] for name in order}, **other)).run()
    for name in order:
        of_name = [asked for asked in jobs if asked["train"]["site"] == name]
        hits = [fault for fault in faults if fault["hit"].startswith(name)]
        asked = scenario(of_name, 6, sites={name: sites[name]}, failures=FAILURES, faults=hits)
        check_alone(together, Stage(asked).run(), name)


# --- one direction


def candidates(scale, seed):
    asked = scenario((), 2000, failures={"preset": "llama3-h100", "scale": scale}, seed=seed)
    world = build(asked)
    return {record for record in draw_inputs(asked, things(world)) if record.kind == "fail"}


def test_a_doubled_hazard_keeps_every_failure():
    for seed in range(3):
        nested = [candidates(scale, seed) for scale in (0, 1, 30, 60, 120, 1000)]
        assert not nested[0]
        assert all(less <= more for less, more in itertools.pairwise(nested))
        few, many = len(nested[3]), len(nested[4])
        assert abs(many - 2 * few) < 4 * np.sqrt(2 * few)


def test_failures_that_happened_nest_as_the_candidates_do():
    def happened(scale):
        stage = Stage(busy(failures={"preset": "llama3-h100", "scale": scale})).run()
        return {tuple(event[:4]) for event in stage.events("fail")}

    assert happened(300) < happened(600)


def test_a_hazard_of_nothing_is_no_failures():
    nothing = Stage(busy(failures={"preset": "llama3-h100", "scale": 0})).run()
    none = Stage(busy(failures="none"))
    # The preset also says how GPUs differ in their hazard, which changes nothing without one.
    assert nothing.tape.tables["events"] == none.run().tape.tables["events"]
    assert state_digest(nothing.world) == state_digest(none.world)


def test_a_colder_inlet_never_slows():
    steps = []
    for supply_c in (58, 50, 42, 34, 26, 18):
        cool = {**site()["cooling"], "supply": f"{supply_c} degC"}
        asked = scenario([job(8)], 3, sites={"lab": site(8, cooling=cool, gpu_spread=1)})
        steps.append(Stage(asked).run().steps())
    assert all(warm <= cold for warm, cold in itertools.pairwise(steps))
    assert steps[0] < steps[-1]


def calendar(seed):
    """A failure of one of the first eight nodes every half hour or so: a replace or a crash."""
    chance = np.random.default_rng(seed)
    at = np.cumsum(chance.exponential(1800, 40))
    return [
        fails(
            round(t_s * S),
            f"lab/node/{chance.integers(8)}",
            repair_s=float(chance.choice([0.0, 3600.0, 20_000.0])),
        )
        for t_s in at[at < 11 * 3600]
    ]


def test_more_spares_never_lose_steps_under_one_calendar():
    """The calendar hits the job's first nodes; spares stand beside and never fail.

    A job that waits for a node cannot be hit by a crash that one with a spare takes: that may cost
    one recovery and five minutes of work, so as much is allowed, and more only helps.
    """
    slack = 700 / 0.56
    gains = []
    for seed in range(8):
        kept = []
        for spares in (0, 1, 2, 4):
            asked = scenario([job(8, spares=spares)], 12, sites={"lab": site(8 + spares, 4)})
            stage = Stage(asked, calendar(seed)).run()
            kept.append(stage.steps() - sum(stage.lost()))
        assert all(fewer <= more + slack for fewer, more in itertools.pairwise(kept))
        gains.append(kept[-1] - kept[0])
    assert min(gains) > 10 * slack
