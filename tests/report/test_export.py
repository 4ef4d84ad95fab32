"""A run in other formats: the same rows, whole or not there at all."""

import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import dcsim
from dcsim.errors import InputError
from dcsim.report.export import export
from dcsim.report.perfetto import COUNTERS
from dcsim.scenario import loads
from dcsim.trace import Run
from dcsim.trace.schema import TABLES
from tests.accounting.handmade import HOUR_NS, Event, Job, Segment, running, write_run
from tests.bad_input.breaks import scrambled
from tests.bad_input.transcript import SMALL

HOUR_US = HOUR_NS / 1e3


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two hours in which a CDU dies under a job."""
    return dcsim.simulate(loads(SMALL), out=tmp_path_factory.mktemp("small") / "run")


@pytest.fixture
def day(tmp_path: Path) -> Run:
    """A job that is interrupted by a GPU of its site."""
    return write_run(
        tmp_path / "run",
        end_h=4,
        jobs=[Job(16)],
        segments=[
            running(0, 1, 16, 10),
            running(1, 2, 16, 10.5),
            Segment(2, 3, "detecting", 16),
            running(3, 4, 16, 9),
            Segment(4, 4, "done", 0),
        ],
        events=[
            Event(2, "fail", detail={"cause": "gpu memory"}, job=-1, thing="gpu", row=3),
            Event(2, "job_interrupted", value=1, cause=0),
            Event(3, "job_resumed", cause=1),
        ],
        site_rows=[
            {"at_h": 0},
            {"at_h": 1, "it_power_w": 2e6, "gpu_temp_c_p99": 55.0},
            {"at_h": 4, "it_power_w": 3e6, "gpu_temp_c_p99": float("nan")},
        ],
    )


def timeline(run: Run, folder: Path) -> list[dict]:
    path = export(run, "perfetto", folder / "made.json")
    return json.loads(path.read_text(encoding="utf-8"))["traceEvents"]


def test_parquet_holds_every_table_as_it_is(small, tmp_path):
    made = export(small, "parquet", tmp_path / "made")
    assert {path.name for path in made.iterdir()} == {f"{name}.parquet" for name in TABLES}
    for name in TABLES:
        table = pq.read_table(made / f"{name}.parquet")
        assert table.equals(small.table(name))
        assert table.schema.field(0).metadata[b"meaning"]
        assert table.schema.metadata[b"epoch_ns"]


def test_parquet_has_few_row_groups(tmp_path):
    run = write_run(tmp_path / "run", end_h=10, site_rows=[{"at_h": m / 60} for m in range(600)])
    made = export(run, "parquet", tmp_path / "made", ["site"])
    assert pq.ParquetFile(made / "site.parquet").num_row_groups == 1


def test_csv_holds_every_value(small, tmp_path):
    made = export(small, "csv", tmp_path / "made", ["site", "events", "inputs"])
    assert sorted(path.name for path in made.iterdir()) == ["events.csv", "inputs.csv", "site.csv"]
    for name in ("site", "events", "inputs"):
        with (made / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file)
        table = small.table(name)
        assert head == table.column_names
        assert len(rows) == table.num_rows
        for at, column in enumerate(head):
            for row, value in zip(rows, table[column].to_pylist(), strict=True):
                assert as_written(row[at], value) == value


def as_written(text: str, value: object) -> object:
    """What a reader of the CSV makes of a cell."""
    if value is None:
        return text or None
    if isinstance(value, list):
        return [int(part) for part in text.split(" ")]
    if isinstance(value, float):
        return pytest.approx(float(text), rel=1e-6)
    return type(value)(text)


def test_a_timeline_has_a_counter_for_each_quantity(day, tmp_path):
    found = [event for event in timeline(day, tmp_path) if event["ph"] == "C"]
    assert {event["name"] for event in found} == set(COUNTERS)
    power = [(event["ts"], event["args"]) for event in found if event["name"] == "IT power"]
    assert power == [(0, {"MW": 2}), (HOUR_US, {"MW": 3})]  # a mean holds from the row before
    temp = [event["ts"] for event in found if event["name"] == "GPU p99"]
    assert temp == [0, HOUR_US]  # none is up at the end


def test_a_timeline_has_slices_that_tile_the_life_of_a_job(day, tmp_path):
    found = [event for event in timeline(day, tmp_path) if event["ph"] == "X"]
    spans = [(e["name"], e["ts"] / HOUR_US, e["dur"] / HOUR_US, e["args"]["steps"]) for e in found]
    assert spans == [("running", 0, 2, 20.5), ("detecting", 2, 1, 0), ("running", 3, 1, 9)]


def test_arrows_lead_from_causes_to_effects(day, tmp_path):
    found = timeline(day, tmp_path)
    instants = [event for event in found if event["ph"] == "i"]
    assert [event["name"] for event in instants] == [
        "fail site-0/gpu/3 (gpu memory)",
        "job interrupted",
        "job resumed",
    ]
    track = {event["name"]: (event["pid"], event["tid"], event["ts"]) for event in instants}
    arrows = {}
    for event in found:
        if event["ph"] in "sf":
            place = event["pid"], event["tid"], event["ts"]
            arrows.setdefault(event["id"], {})[event["ph"]] = place
    fail, stop, resume = (track[event["name"]] for event in instants)
    assert list(arrows.values()) == [{"s": fail, "f": stop}, {"s": stop, "f": resume}]


def test_every_arrow_of_a_run_has_two_ends_and_every_track_a_name(small, tmp_path):
    found = timeline(small, tmp_path)
    ends = Counter(event["id"] for event in found if event["ph"] == "f")
    assert ends
    assert set(ends.values()) == {1}
    assert Counter(event["id"] for event in found if event["ph"] == "s") == ends
    named = {event["tid"] for event in found if event["name"] == "thread_name"}
    assert {event["tid"] for event in found if "tid" in event} == named
    processes = {e["args"]["name"] for e in found if e["name"] == "process_name"}
    assert processes == {"site dallas", "job pretrain"}


def test_nothing_goes_over_what_exists(day, tmp_path):
    for to in ("parquet", "csv", "perfetto"):
        made = export(day, to)
        assert made == day.folder / {"perfetto": "perfetto.json"}.get(to, to)
        with pytest.raises(InputError, match="exists already; name what does not with --out"):
            export(day, to)
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(InputError, match="link: exists already"):
        export(day, "csv", tmp_path / "link")


def test_what_another_export_writes_is_left_alone(day, tmp_path):
    (tmp_path / "made.part").mkdir()
    with pytest.raises(InputError, match=r"made\.part: an export is under way, or was killed"):
        export(day, "csv", tmp_path / "made")
    assert (tmp_path / "made.part").is_dir()


@pytest.mark.parametrize("to", ["parquet", "csv", "perfetto"])
def test_nothing_is_left_of_what_failed(to, day, tmp_path):
    scrambled("traces/job.arrow")(day.folder)
    with pytest.raises(InputError, match=r"job\.arrow: cannot be read"):
        export(day, to, tmp_path / "deep" / "made")
    assert not (tmp_path / "deep").exists()


def test_nothing_is_left_of_what_was_interrupted(day, tmp_path):
    def stop(table: str, rows_count: int) -> None:
        if table == "job":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(day, "csv", tmp_path / "made", tell=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_rows_are_told_as_they_go_by(day, tmp_path):
    told: Counter[str] = Counter()
    export(day, "csv", tmp_path / "made", tell=lambda table, count: told.update({table: count}))
    assert told == {name: n for name in TABLES if (n := day.table(name).num_rows)}


def test_a_timeline_takes_no_tables(day):
    with pytest.raises(InputError, match="--table goes with parquet and csv"):
        export(day, "perfetto", tables=["site"])


@pytest.mark.parametrize("to", ["csv", "perfetto"])
@pytest.mark.parametrize("out", ["", ".", "/", "..", "new/.."])
def test_a_name_that_is_none_is_refused(to, out, day, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="exists already"):
        export(day, to, Path(out))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_is_named_with_what_it_has_no_room_for(day, tmp_path, monkeypatch):
    def full(*_args):
        raise OSError("Error writing bytes to file")

    monkeypatch.setattr("dcsim.report.export._write_csv", full)
    with pytest.raises(OSError, match="writing") as raised:
        export(day, "csv", tmp_path / "made")
    assert raised.value.filename == str(tmp_path / "made")
