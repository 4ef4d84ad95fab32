import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsim.errors import InvariantError
from dcsim.trace import TraceWriter, create_run_folder, trace_digest
from dcsim.trace.reader import Run
from dcsim.trace.schema import EVENT_KINDS, GPU, HISTOGRAM_BINS, JOB_STATES, RACK, THING_KINDS
from tests.accounting.handmade import filled, site_row

RACKS = np.arange(100)


def rack_rows(t_ns, racks=RACKS):
    """Rack rows whose values are known from time and rack."""
    temp_c = 40 + racks * 0.25 + t_ns
    return {
        "t_ns": t_ns,
        "rack_id": racks,
        "temp_c_min": temp_c - 1,
        "temp_c_mean": temp_c,
        "temp_c_max": temp_c + 1,
        "power_w": 40e3 + racks,
        "clock_frac_mean": 0.5,
    }


def new_run(folder):
    return create_run_folder(
        name="x",
        scenario_digest="0" * 64,
        scenario_text="",
        seed=0,
        epoch_ns=7,
        duration_ns=24 * 3600 * 10**9,
        sources=[],
        where={},
        out=folder,
    )


def read(folder, table):
    return pa.ipc.open_file(str(folder / f"{table}.arrow")).read_all()


def test_rows_come_back_as_written(tmp_path):
    with TraceWriter(tmp_path / "traces", epoch_ns=7) as trace:
        for t_ns in range(5):
            trace.rows("rack", rack_rows(t_ns))
    table = read(tmp_path / "traces", "rack")
    assert table.num_rows == 500
    assert table["t_ns"].to_pylist() == [t_ns for t_ns in range(5) for _ in RACKS]
    assert set(table["epoch_ns"].to_pylist()) == {7}
    assert table["temp_c_mean"].to_pylist()[203] == 40 + 3 * 0.25 + 2
    assert table["clock_frac_mean"].to_pylist()[0] == 0.5


def test_arrays_are_copied(tmp_path):
    power_w = np.full(100, 1.0)
    with TraceWriter(tmp_path / "traces", epoch_ns=0) as trace:
        trace.rows("rack", rack_rows(0) | {"power_w": power_w})
        power_w[:] = 2.0
    assert set(read(tmp_path / "traces", "rack")["power_w"].to_pylist()) == {1.0}


def test_every_type_survives(tmp_path):
    run = new_run(tmp_path / "run")
    with TraceWriter(run.traces, epoch_ns=0) as trace:
        trace.row("events", filled("events", value=1 / 3, detail='{"cause":"Überhitzung"}'))
        trace.row("events", filled("events", event_id=2**62))
        trace.row("site", site_row(1, hot_c={0: 1, 127: 2}, gpu_temp_c_max=float("nan")))
        trace.row("dim_site", filled("dim_site", price_usd_per_kwh=float("nan")))
    events = read(run.traces, "events")
    assert events["detail"].to_pylist() == ['{"cause":"Überhitzung"}', ""]
    assert events["event_id"].to_pylist() == [0, 2**62]
    assert events["value"].to_pylist() == [1 / 3, 0.0]
    site = read(run.traces, "site")
    assert site["temp_histogram"].to_pylist() == [[1, *[0] * 126, 2]]
    assert site["gpu_temp_c_max"].to_pylist() == [None]
    assert read(run.traces, "dim_site")["price_usd_per_kwh"].to_pylist() == [None]
    columns = Run(run.path).columns("site")
    assert columns["temp_histogram"].shape == (1, HISTOGRAM_BINS)
    assert np.isnan(columns["gpu_temp_c_max"]).all()


def test_names_of_kinds_are_there_from_the_start(tmp_path):
    trace = TraceWriter(tmp_path / "traces", epoch_ns=0)
    batches = pa.ipc.open_stream((tmp_path / "traces" / "dim_job_state.arrow").read_bytes()[8:])
    assert batches.read_next_batch()["name"].to_pylist() == list(JOB_STATES)
    trace.close()
    for table, names in (("dim_event_kind", EVENT_KINDS), ("dim_thing_kind", THING_KINDS)):
        assert read(tmp_path / "traces", table)["name"].to_pylist() == list(names)


@given(st.lists(st.floats(-273, 1e5, width=32), min_size=1, max_size=50))
@settings(max_examples=30)
def test_values_are_rounded_to_the_sensor(tmp_path_factory, temps_c):
    folder = tmp_path_factory.mktemp("run") / "traces"
    with TraceWriter(folder, epoch_ns=0) as trace:
        zeros = {c.name: 0 for c in GPU.columns if c.name != "epoch_ns"}
        trace.rows("gpu", zeros | {"temp_c": temps_c})
    found = read(folder, "gpu")["temp_c"].to_numpy()
    assert (found % 2.0**-7 == 0).all()
    assert np.abs(found - np.array(temps_c)).max() <= 0.005


def test_batches_hold_the_rows_of_their_table(tmp_path):
    racks = np.arange(RACK.batch_rows + 10)
    with TraceWriter(tmp_path / "traces", epoch_ns=0) as trace:
        trace.rows("rack", rack_rows(0, racks=racks))
        trace.flush()
        trace.flush()
        trace.rows("rack", rack_rows(1))
    file = pa.ipc.open_file(str(tmp_path / "traces" / "rack.arrow"))
    sizes = [file.get_batch(index).num_rows for index in range(file.num_record_batches)]
    assert sizes == [RACK.batch_rows, 10, 100]


def test_equal_rows_give_equal_bytes_whatever_the_calls(tmp_path):
    with TraceWriter(tmp_path / "one", epoch_ns=0) as trace:
        for t_ns in range(900):
            trace.rows("rack", rack_rows(t_ns))
    with TraceWriter(tmp_path / "two", epoch_ns=0) as trace:
        for t_ns in range(900):
            rows = {k: np.broadcast_to(v, 100) for k, v in rack_rows(t_ns).items()}
            for part in (slice(0, 1), slice(1, 63), slice(63, 100)):
                trace.rows("rack", {name: value[part] for name, value in rows.items()})
    assert trace_digest(tmp_path / "one") == trace_digest(tmp_path / "two")


@pytest.mark.parametrize("name", ["rack.arrow", "events.arrow"])
def test_the_digest_sees_every_byte_and_name(tmp_path, name):
    for folder in ("one", "two"):
        TraceWriter(tmp_path / folder, epoch_ns=0).close()
    assert trace_digest(tmp_path / "one") == trace_digest(tmp_path / "two")
    path = tmp_path / "two" / name
    path.write_bytes(path.read_bytes()[:-1] + b"0")
    assert trace_digest(tmp_path / "one") != trace_digest(tmp_path / "two")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_our_fault(tmp_path, value):
    trace = TraceWriter(tmp_path / "traces", epoch_ns=0)
    bad = np.ones(100)
    bad[17] = value
    trace.rows("rack", rack_rows(5) | {"power_w": bad})
    with pytest.raises(InvariantError) as raised:
        trace.flush()
    assert raised.value.args == (5, "rack", 17, f"power_w is {value}")
    trace.rows("rack", rack_rows(6))
    trace.close()
    assert read(tmp_path / "traces", "rack").num_rows == 100


def test_infinity_is_not_null(tmp_path):
    trace = TraceWriter(tmp_path / "traces", epoch_ns=0)
    trace.row("dim_site", filled("dim_site", price_usd_per_kwh=float("inf")))
    with pytest.raises(InvariantError, match="price_usd_per_kwh is inf"):
        trace.close()
    assert read(tmp_path / "traces", "dim_job_state").num_rows == len(JOB_STATES)


def test_columns_must_be_those_of_the_table(tmp_path):
    with TraceWriter(tmp_path / "traces", epoch_ns=0) as trace:
        row = filled("events", extra=1)
        del row["value"]
        with pytest.raises(ValueError, match="events: columns missing or unknown: extra, value"):
            trace.row("events", row)
        with pytest.raises(ValueError, match=r"rack: columns of different lengths \[99, 100\]"):
            trace.rows("rack", rack_rows(0) | {"power_w": np.zeros(99)})


def test_an_existing_folder_is_not_touched(tmp_path):
    with pytest.raises(FileExistsError):
        TraceWriter(tmp_path, epoch_ns=0)
