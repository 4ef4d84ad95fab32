"""What opens, and how much of it is read; what is refused lies in tests/bad_input."""

import json
import os

import numpy as np
import pyarrow as pa
import pytest

from dcsim.errors import InputError
from dcsim.trace import READABLE, Run, TraceWriter, create_run_folder, is_being_written
from dcsim.trace.checks import columns_in
from dcsim.trace.schema import F64, SITE, TABLES, Column
from tests.accounting.handmade import Event, Job, running, write_run
from tests.trace.test_crash import start
from tests.trace.test_run_folder import ASKED

EVENTS = [Event(1, "job_interrupted", value=1), Event(2, "job_resumed", cause=0)]


@pytest.fixture
def run(tmp_path):
    return write_run(
        tmp_path / "run",
        end_h=3,
        jobs=[Job(16)],
        segments=[running(0, 1, 16, 1), running(2, 3, 16, 1)],
        events=EVENTS,
        site_rows=[{"at_h": hour, "it_power_w": 1000.0 + hour} for hour in range(4)],
    )


def test_a_folder_may_be_text(run):
    assert Run(str(run.folder)).record == run.record


def test_every_table_of_a_whole_run_reads(run):
    for name in TABLES:
        assert run.table(name).num_rows == run.columns(name)[TABLES[name].columns[0].name].size


def test_some_columns_are_read_as_in_the_whole(run):
    some = run.columns("site", ["it_power_w", "temp_histogram"])
    whole = run.columns("site")
    assert set(some) == {"it_power_w", "temp_histogram"}
    for name, values in some.items():
        assert np.array_equal(values, whole[name])


def test_a_column_that_is_not_there_is_named(run):
    with pytest.raises(InputError, match=r"site\.arrow: not recorded: latency_s, mood$"):
        run.columns("site", ["t_ns", "mood", "latency_s"])


def test_a_table_that_is_none_is_named(run):
    with pytest.raises(
        InputError, match=r"table 'event': did you mean 'events'\? allowed events, "
    ):
        run.table("event")


def test_batches_come_one_by_one(tmp_path):
    rows = [{"at_h": minute / 60} for minute in range(600)]
    run = write_run(tmp_path / "run", end_h=10, site_rows=rows)
    schema, batches = run.batches("site")
    assert next(batches).num_rows == SITE.batch_rows
    rest = list(batches)
    assert [batch.num_rows for batch in rest] == [256, 600 - 512]
    assert all(batch.schema == schema for batch in rest)
    assert schema.metadata[b"epoch_ns"] == b"0"


def test_a_row_is_counted_over_all_batches(tmp_path):
    rows = [{"at_h": minute / 60} for minute in range(299)]
    run = write_run(tmp_path / "run", end_h=5, site_rows=[*rows, {"at_h": 1, "site": 9}])
    with pytest.raises(InputError, match=r"row 299: site_id = 9: not in dim_site"):
        run.columns("site")


def test_an_earlier_trace_may_lack_what_came_later():
    later = SITE._replace(columns=(*SITE.columns, Column("mood", F64, "of the site", since=9)))
    schema = SITE.schema(0)
    assert columns_in("x", schema, later, 8) == list(SITE.columns)
    with pytest.raises(InputError, match="column mood of double is needed, found nothing"):
        columns_in("x", schema, later, 9)
    wrong = schema.append(pa.field("mood", pa.utf8()))
    with pytest.raises(InputError, match="column mood of double is needed, found string"):
        columns_in("x", wrong, later, 8)


def test_inputs_are_a_table_and_never_cut_short(run):
    with pytest.raises(InputError, match=r"inputs\.arrow: no such file"):
        run.table("inputs")
    run.record["status"] = "running"
    with pytest.raises(InputError, match=r"inputs\.arrow: no such file"):
        run.table("inputs")
    assert set(READABLE) - set(TABLES) == {"inputs"}


def test_what_a_killed_run_did_not_write_is_empty(tmp_path):
    made = create_run_folder(**ASKED, out=tmp_path / "run")
    run = Run(made.path)
    assert (run.status, run.end_ns, run.scenario) == ("running", 0, "name: first\n")
    assert all(run.table(name).num_rows == 0 for name in TABLES)


def test_ids_point_somewhere_also_in_a_run_that_was_killed(run):
    (run.folder / "traces" / "dim_job.arrow").unlink()
    run.record["status"] = "running"
    with pytest.raises(InputError, match=r"job\.arrow: row 0: job_id = 0: not in dim_job"):
        run.columns("job")


def test_causes_that_were_cut_off_are_let_pass(run):
    (run.folder / "traces" / "events.arrow").write_bytes(b"")
    run.record["status"] = "interrupted"
    assert run.columns("events")["t_ns"].size == 0
    assert run.columns("job")["t_ns"].size == 2


def test_unknown_keys_and_columns_are_kept_out_of_the_way(run):
    path = run.folder / "run.json"
    path.write_text(json.dumps(run.record | {"mood": "fine"}))
    assert Run(run.folder).record["mood"] == "fine"
    site = run.folder / "traces" / "site.arrow"
    more = run.table("site").append_column("mood", pa.array(["fine"] * 4))
    with pa.OSFile(str(site), "wb") as sink, pa.ipc.new_file(sink, more.schema) as file:
        file.write_table(more)
    assert "mood" not in Run(run.folder).columns("site")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_table_that_is_closed(run):
    (run.folder / "traces" / "site.arrow").chmod(0)
    with pytest.raises(InputError, match=r"site\.arrow: permission denied"):
        run.table("site")


def test_a_run_is_being_written_until_it_ends(tmp_path):
    made = create_run_folder(**ASKED, out=tmp_path / "run")
    assert is_being_written(made.path)
    with TraceWriter(made.traces, 0):
        assert is_being_written(made.path)
    made.mark("done", end_ns=1)
    assert not is_being_written(made.path)


def test_a_run_is_being_written_until_its_process_is_gone(tmp_path):
    process = start(tmp_path / "run")
    process.stdout.readline()
    assert is_being_written(tmp_path / "run")
    process.kill()
    process.wait()
    process.stdout.close()
    assert Run(tmp_path / "run").status == "running"
    assert not is_being_written(tmp_path / "run")


def test_a_path_need_not_be_utf_8(run):
    other = run.folder.with_name("raw\udcff")
    run.folder.rename(other)
    assert Run(other).columns("site")["t_ns"].size == 4


@pytest.mark.parametrize("status", ["done", "interrupted", "failed"])
def test_a_run_has_nothing_after_its_end(run, status):
    run.record.update(status=status, end_ns=5)
    with pytest.raises(InputError, match=r"site\.arrow: row 1: t_ns = .*: allowed 0\.\.5"):
        run.table("site")
