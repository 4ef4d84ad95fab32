"""A run from its scenario to its folder, and what is left of one that ends before its time."""

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from dcsim.accounting import summarise, write_summary
from dcsim.contract import NEVER_NS, Holds
from dcsim.errors import InputError, InvariantError, ScenarioError
from dcsim.inputs import records as inputs_file
from dcsim.inputs.records import Job, Weather
from dcsim.physics.site import default_models
from dcsim.scenario import loads
from dcsim.simulation import run
from dcsim.trace import Run
from dcsim.trace.schema import TABLES
from tests.physics.rig import LIQUID
from tests.processes.stage import HOUR, fails, job, planned, scenario


def small(hours=1, **other):
    return scenario([job(4, spares=1)], hours, **other)


def test_a_run_leaves_what_it_says(tmp_path):
    outcome = run(small(2.5), out=tmp_path / "run")
    assert outcome == (tmp_path / "run", "done")
    record = Run(outcome.folder).record
    assert record["end_ns"] == record["duration_ns"] == 2.5 * HOUR
    assert set(record["counts"]) == {"stops", "evaluations", "events", "instants"}
    names = {path.name for path in (outcome.folder / "traces").iterdir()}
    assert names == {f"{table}.arrow" for table in TABLES}
    assert {path.name for path in outcome.folder.iterdir()} == {
        *("run.json", "inputs.arrow", "traces"),
    }


def test_gpus_are_counted_through_sites_whatever_their_nodes_hold(tmp_path):
    parts = {
        "nodes": "{type: gb200-nvl72, count: 18}",
        "racks": "{nodes_per_rack: 18}",
        "network": "{switch: qm9700}",
        "power": LIQUID["power"].replace("pdu-225kva", "pdu-750kva"),
    }
    sites = "".join(
        f"  {name}:\n" + "".join(f"    {key}: {value}\n" for key, value in site.items())
        for name, site in (("four", LIQUID | parts), ("eight", LIQUID))
    )
    asked = loads(f"name: two\nduration: 1 min\nsites:\n{sites}jobs: []\n")
    nodes = Run(run(asked, out=tmp_path / "run").folder).columns("dim_node")
    assert nodes["first_gpu_id"].tolist() == [*range(0, 72, 4), *range(72, 72 + 128, 8)]


def test_nothing_is_written_for_a_scenario_that_does_not_fit(tmp_path):
    with pytest.raises(ScenarioError):
        run(scenario([job(9)]), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def broken(tmp_path, *records):
    path = tmp_path / "inputs.arrow"
    inputs_file.write(path, records, {})
    with pytest.raises(InputError) as error:
        run(small(), out=tmp_path / "run", inputs=path)
    assert not (tmp_path / "run").exists()
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (fails(1, "lab/node/8"), "row 0: fail lab/node/8: lab has node/0-7"),
        (fails(1, "lab/gpu/-1"), "row 0: fail lab/gpu/-1: lab has gpu/0-63"),
        (fails(1, "lab/pump/0"), "row 0: fail lab/pump/0: allowed are gpu, node, link, leaf"),
        (fails(1, "moon/node/0"), "row 0: fail moon/node/0: allowed sites are lab"),
        (fails(1, "lab"), "row 0: fail lab: allowed are gpu, node, link, leaf"),
        (
            Weather(dry_bulb_c=1.0, wet_bulb_c=1.0).at(0, "moon"),
            "row 0: weather moon: allowed sites are lab",
        ),
        (Job().at(0, "other"), "row 0: job other: allowed jobs are job-0"),
        (
            planned(1, "lab/rack/0", 60.0),
            "row 0: maintenance lab/rack/0: allowed nodes only",
        ),
        (
            planned(1, "lab/node/9", 60.0),
            "row 0: maintenance lab/node/9: matches nothing, lab has node/0-7",
        ),
    ],
)
def test_inputs_that_speak_of_other_things_are_refused_before_anything_is_written(
    tmp_path, record, message
):
    assert broken(tmp_path, record) == message


def test_of_many_wrong_rows_the_first_are_named(tmp_path):
    message = broken(tmp_path, *(fails(t, "lab/node/8") for t in range(9)))
    assert message.count("lab has node/0-7") == 3
    assert message.endswith("; and 6 more")


def test_every_site_has_weather_from_the_start(tmp_path):
    assert broken(tmp_path, Job().at(0, "job-0")) == "no weather at the start for site lab"


def test_a_job_is_handed_in_once(tmp_path):
    assert broken(tmp_path, Job().at(0, "job-0"), Job().at(5, "job-0")) == (
        "job job-0: handed in 2 times"
    )


class Breaks:
    """A model that finds itself broken after half an hour."""

    reads = ()
    writes = ()

    def evaluate(self, _world, now_ns):
        if now_ns >= HOUR // 2:
            raise InvariantError(now_ns, "toy", 3, "broke")
        return Holds(NEVER_NS, 60.0)

    def switch(self, _world, _now_ns):
        return []

    def advance(self, _world, _dt_s):
        """Nothing moves."""

    def modes(self, _world):
        return {}


def test_a_fault_of_ours_marks_the_run_failed_and_leaves_what_was_written(tmp_path):
    with pytest.raises(InvariantError, match="broke"):
        run(small(), out=tmp_path / "run", models=lambda place: [*default_models(place), Breaks()])
    found = Run(tmp_path / "run")
    assert found.status == "failed"
    assert found.columns("site")["t_ns"].max() >= HOUR // 2 - 300e9


def test_interrupts_are_ours_only_while_a_run_lasts(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    run(small(), out=tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_in_another_thread_works_too(tmp_path):
    thread = threading.Thread(target=run, args=(small(),), kwargs={"out": tmp_path / "run"})
    thread.start()
    thread.join()
    assert Run(tmp_path / "run").status == "done"


def test_an_interrupt_ends_the_run_at_an_hour(tmp_path, monkeypatch):
    def show(now_ns, **_numbers):
        if now_ns == 2 * HOUR:
            os.kill(os.getpid(), signal.SIGINT)

    outcome = run(small(6), out=tmp_path / "run", show=show)
    assert outcome.status == "interrupted"
    found = Run(outcome.folder)
    assert found.record["end_ns"] == 2 * HOUR
    assert found.columns("site")["t_ns"].max() == 2 * HOUR
    whole = run(small(2), out=tmp_path / "whole")
    for table in ("events", "job", "site"):
        mine, other = found.columns(table), Run(whole.folder).columns(table)
        assert all((mine[name] == other[name]).all() for name in mine if mine[name].dtype != float)


# --- runs in a process of their own


def start(folder, **how):
    """Start a run that would take minutes."""
    asked = small(24_000, failures={"preset": "llama3-h100", "scale": 300})
    path = folder.with_suffix(".yaml")
    path.write_text(asked.text, encoding="utf-8")
    main = "from dcsim.cli import main; main()"
    command = [sys.executable, "-c", main, "run", str(path), "--out", str(folder), "--quiet"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **how)


def wait_until_flushed(process, folder, byte_count):
    """Wait until the traces of a run have grown to some size."""
    while sum(p.stat().st_size for p in folder.glob("traces/*.arrow")) < byte_count:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def check_readable(folder):
    """Every table reads whole rows in order; what they say adds up."""
    found = Run(folder)
    tables = {name: found.columns(name) for name in TABLES}
    events, site_rows, jobs = tables["events"], tables["site"], tables["job"]
    assert events["event_id"].tolist() == list(range(len(events["event_id"])))
    assert (events["cause_id"] < events["event_id"]).all()
    assert (np.diff(site_rows["t_ns"]) > 0).all()
    assert (jobs["t_start_ns"][1:] == jobs["t_ns"][:-1]).all()
    assert set(jobs["job_id"].tolist()) <= set(tables["dim_job"]["job_id"].tolist())
    shares = summarise(found).waterfall
    assert sum(share.value for share in shares) == pytest.approx(1, abs=1e-9)
    return found


def test_ctrl_c_leaves_a_readable_run_and_exits_130(tmp_path):
    process = start(tmp_path / "run")
    wait_until_flushed(process, tmp_path / "run", 100_000)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == f"error: interrupted, what was simulated lies in {tmp_path / 'run'}\n"
    found = check_readable(tmp_path / "run")
    assert found.status == "interrupted"
    assert found.record["end_ns"] % HOUR == 0
    assert found.record["trace_digest"]
    assert (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize(("most_byte", "rows"), [(50_000, 0), (1_500_000, 1000)])
def test_a_file_that_may_not_grow_exits_2_and_leaves_a_readable_run(tmp_path, most_byte, rows):
    """As a full disk: before the first row, at the inputs, and in the middle."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_byte, most_byte))

    process = start(tmp_path / "run", preexec_fn=limit)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert errors.count("\n") == 1
    assert os.strerror(errno.EFBIG) in errors
    assert "Traceback" not in errors
    found = check_readable(tmp_path / "run")
    assert found.status == "failed"
    assert len(found.columns("site")["t_ns"]) >= rows
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("moment", range(20))
def test_killed_at_any_moment_a_run_reads_to_its_last_flush(tmp_path, moment):
    chance = random.Random(moment)
    process = start(tmp_path / "run")
    try:
        wait_until_flushed(process, tmp_path / "run", chance.randint(1, 400_000))
        time.sleep(chance.uniform(0, 0.05))
    finally:
        process.kill()
        process.communicate()
    found = check_readable(tmp_path / "run")
    assert found.status == "running"
    write_summary(Run(found.folder))
    assert json.loads((found.folder / "summary.json").read_text())["goodput_frac"]
