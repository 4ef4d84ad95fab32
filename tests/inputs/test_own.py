"""A failure process of the user's own: what it may make, and that it takes part."""

import pytest

import dcsim
from dcsim.errors import InputError
from dcsim.inputs.own import own_records
from dcsim.inputs.records import Fault, Job, Record, Weather
from dcsim.simulation import run
from dcsim.trace import Run
from tests.processes.stage import HOUR, MIN, fails, job, planned, scenario

FAULT = Fault(effect="down", frac=0.0, until_ns=2 * HOUR, origin="mine")


class Made:
    """Makes what it is told to, last first."""

    def __init__(self, *records):
        self._records = records

    def records(self, scenario, things):
        assert things["lab"].counts["node"] == 8
        yield from reversed(self._records)


def happened(folder):
    found = Run(folder)
    kinds = dict(enumerate(found.columns("dim_event_kind")["name"]))
    events = found.columns("events")
    return [
        (kinds[kind], t_ns)
        for kind, t_ns in zip(events["event_kind_id"], events["t_ns"].tolist(), strict=True)
        if kinds[kind] in ("fail", "fault", "maintenance")
    ]


def test_it_takes_part_beside_what_is_drawn(tmp_path):
    own = Made(
        fails(MIN, "lab/gpu/3"),
        FAULT.at(HOUR, "lab/node/1-2"),
        planned(3 * HOUR, "lab/node/5", 60.0),
    )
    asked = scenario([job(4)], faults=[{"at": "2 h", "hit": "lab/node/0", "effect": "down"}])
    done = dcsim.simulate(
        asked, failures=[own, Made(fails(2 * MIN, "lab/node/7"))], out=tmp_path / "a"
    )
    assert happened(done.folder) == [
        ("fail", MIN),
        ("fail", 2 * MIN),
        ("fault", HOUR),
        ("fault", 2 * HOUR),
        ("maintenance", 3 * HOUR),
    ]
    again = dcsim.simulate(asked, inputs=done.folder / "inputs.arrow", out=tmp_path / "b")
    for name in ("trace_digest", "inputs_digest", "state_digest"):
        assert again.record[name] == done.record[name]
    inputs = [(run.folder / "inputs.arrow").read_bytes() for run in (done, again)]
    assert inputs[0] == inputs[1]


def test_no_process_changes_nothing(tmp_path):
    plain = run(scenario([job(4)], 1), out=tmp_path / "a")
    empty = run(scenario([job(4)], 1), failures=[Made()], out=tmp_path / "b")
    digests = [Run(outcome.folder).record["trace_digest"] for outcome in (plain, empty)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ((0, "fail", "lab/node/1", "{}"), "allowed a Record, such as Fail(...).at(t_ns, target)"),
        (None, "allowed a Record, such as Fail(...).at(t_ns, target)"),
        (
            Record(1.5, "fail", "lab/node/1", "{}"),
            "allowed a Record, such as Fail(...).at(t_ns, target)",
        ),
        (fails(-1, "lab/node/1"), "t_ns = -1: before the start"),
        (Job().at(0, "job-0"), "kind 'job': allowed fail, fault, maintenance"),
        (
            Weather(dry_bulb_c=20.0, wet_bulb_c=10.0).at(0, "lab"),
            "kind 'weather': allowed fail, fault, maintenance",
        ),
        (Record(0, "comet", "lab", "{}"), "kind 'comet': allowed fail, fault, maintenance"),
        (Record(0, "fail", "lab/node/1", "{}"), "fail payload.cause: field required"),
        (fails(0, ""), "target is empty"),
        (
            FAULT.at(3 * HOUR, "lab/node/1"),
            f"fault payload.until_ns = {2 * HOUR}: before it begins",
        ),
    ],
)
def test_what_is_no_record_is_refused(record, message):
    with pytest.raises(InputError) as raised:
        own_records(Made(record), scenario(), {"lab": SEEN})
    assert str(raised.value) == f"Made: record 0: {message}"


class SEEN:
    counts = {"node": 8}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (fails(0, "lab/node/8"), "Made: row 0: fail lab/node/8: lab has node/0-7"),
        (fails(0, "austin/node/8"), "Made: row 0: fail austin/node/8: allowed sites are lab"),
        (fails(0, "lab/cdu/0"), "Made: row 0: fail lab/cdu/0: allowed are gpu, node, link, leaf"),
        (planned(0, "lab/cdu/0", 60.0), "Made: row 0: maintenance lab/cdu/0: allowed nodes only"),
    ],
)
def test_what_hits_nothing_is_refused_before_anything_is_written(tmp_path, record, message):
    with pytest.raises(InputError) as raised:
        dcsim.simulate(scenario(), failures=[Made(record)], out=tmp_path / "run")
    assert str(raised.value) == message
    assert not (tmp_path / "run").exists()


def test_a_replay_takes_no_others(tmp_path):
    with pytest.raises(InputError, match="holds all failures of its run: give no others with it"):
        dcsim.simulate(scenario(), failures=[Made()], inputs=tmp_path / "in", out=tmp_path / "run")
