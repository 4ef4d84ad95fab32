import pytest

from dcsim.accounting import Names, read_events
from tests.accounting.handmade import Event, Job, Site, write_run


def events_of(tmp_path, *events, **parts):
    return write_run(tmp_path / "run", end_h=9, jobs=[Job(16)], events=events, **parts)


def test_a_chain_leads_from_the_first_cause_to_the_event(tmp_path):
    events = read_events(
        events_of(
            tmp_path,
            Event(1, "fail", detail={"cause": "gpu"}),
            Event(1, "fail", detail={"cause": "nic"}),
            Event(1, "down", cause=0),
            Event(1, "job_interrupted", value=1, cause=2),
            Event(1, "job_rollback", value=3, cause=3),
        )
    )
    assert events.chain(4) == [0, 2, 3, 4]
    assert events.root.tolist() == [0, 1, 0, 0, 0]
    assert events.chain(1) == [1]
    assert events.of_kind("fail", "down").tolist() == [0, 1, 2]
    assert events.says(0) == {"cause": "gpu"}
    assert events.says(2) == {}
    assert events.rows([4, 7, -1]).tolist() == [4, -1, -1]
    assert events.root_of(events.rows([4, 7])).tolist() == [0, -1]


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Event(0, "fail", detail={"cause": "hbm"}), "hbm"),
        (Event(0, "fault", detail={"effect": "down"}), "scripted fault"),
        (Event(0, "maintenance"), "planned work"),
        (Event(0, "job_started"), "start"),
        (Event(0, "down", detail={"reason": "overload"}), "overload"),
        (Event(0, "shutdown"), "shutdown"),
    ],
)
def test_the_name_of_a_cause(tmp_path, event, name):
    assert read_events(events_of(tmp_path, event)).cause(0) == name


def test_no_events(tmp_path):
    events = read_events(events_of(tmp_path))
    assert events.rows([0, -1]).tolist() == [-1, -1]
    assert events.root_of(events.rows([3])).tolist() == [-1]
    assert events.of_kind("fail").size == 0


def test_names_of_things(tmp_path):
    fault = {"hit": "site-1/cdu/3-5", "effect": "down"}
    run = events_of(
        tmp_path,
        Event(1, "fail", thing="gpu", row=7, site=1, job=-1),
        Event(1, "fault", detail=fault, thing="cdu", site=1, job=-1),
        Event(1, "fault_ended", cause=1, thing="cdu", site=1, job=-1),
        Event(1, "fault", detail={"hit": "*/cdu/4"}, thing="cdu", row=4, job=-1),
        Event(1, "job_interrupted"),
        Event(1, "out_of_range", thing="site", job=-1),
        Event(1, "maintenance", thing="node", job=-1),
        Event(1, "weather", thing="site", job=-1, site=-1),
        sites=[Site(16), Site(16)],
    )
    names = Names(run)
    assert [names.of(row) for row in range(8)] == [
        "site-1/gpu/7",
        "site-1/cdu/3-5",
        "site-1/cdu/3-5",
        "site-0/cdu/4",
        "job-0",
        "site-0",
        "site-0",
        "",
    ]
    assert names.job(3) == "job 3"
