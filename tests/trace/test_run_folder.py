import json
import os

import pytest

from dcsim.errors import InputError, ScenarioError
from dcsim.trace import Run, create_run_folder, write_atomically
from tests.accounting.handmade import Job, running, write_run

ASKED = {
    "name": "first",
    "scenario_digest": "0123456789abcdef" * 4,
    "scenario_text": "name: first\n",
    "seed": 7,
    "epoch_ns": 5,
    "duration_ns": 3600 * 10**9,
    "sources": [{"path": "gpu/h100.tdp_w", "value": 700, "unit": "W", "source": "somewhere"}],
    "where": {"sites.lab": "first.yaml:4"},
}


def full(*args):
    raise OSError(28, "No space left on device")


def test_the_default_name_is_numbered_when_taken(tmp_path):
    names = [create_run_folder(**ASKED, runs=tmp_path / "runs").path.name for _ in range(3)]
    assert names == ["first-01234567-s7", "first-01234567-s7-2", "first-01234567-s7-3"]


def test_a_name_that_ends_like_a_number_is_kept(tmp_path):
    asked = ASKED | {"name": "a-2", "seed": 2}
    names = [create_run_folder(**asked, runs=tmp_path).path.name for _ in range(3)]
    assert names == ["a-2-01234567-s2", "a-2-01234567-s2-2", "a-2-01234567-s2-3"]


def test_out_is_the_folder_itself(tmp_path):
    assert create_run_folder(**ASKED, out=tmp_path / "a" / "b").path == tmp_path / "a" / "b"


def test_an_existing_out_is_refused(tmp_path):
    with pytest.raises(ScenarioError) as raised:
        create_run_folder(**ASKED, out=tmp_path)
    assert str(raised.value) == f"--out {tmp_path}: exists already; name a folder that does not"
    assert list(tmp_path.iterdir()) == []


def test_an_out_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ScenarioError, match=r"--out .*: cannot make this folder: Not a directory"):
        create_run_folder(**ASKED, out=tmp_path / "file" / "run")


def test_a_folder_that_is_not_writable_is_refused(tmp_path, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(ScenarioError, match="cannot make this folder: Permission denied"):
        create_run_folder(**ASKED, runs=tmp_path)


def test_run_json_says_what_ran_and_how_it_ended(tmp_path):
    run = create_run_folder(**ASKED, out=tmp_path / "run")
    read = json.loads((run.path / "run.json").read_text())
    assert read["status"] == "running"
    for name in ("name", "seed", "scenario_digest", "epoch_ns", "duration_ns", "sources"):
        assert read[name] == ASKED[name]
    assert read["scenario"] == ASKED["scenario_text"]
    assert {"dcsim", "python", "numpy", "pyarrow"} < set(read["versions"])
    run.mark("done", end_ns=3, trace_digest="ab")
    read = json.loads((run.path / "run.json").read_text())
    assert (read["status"], read["end_ns"], read["trace_digest"]) == ("done", 3, "ab")
    assert [path.name for path in run.path.iterdir()] == ["run.json"]


def test_a_failed_run_is_marked_where_no_new_file_fits(tmp_path, monkeypatch):
    run = create_run_folder(**ASKED, out=tmp_path / "run")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        run.mark("done")
    run.mark("failed", end_ns=3)
    assert Run(run.path).status == "failed"
    assert [path.name for path in run.path.iterdir()] == ["run.json"]


def test_a_new_text_replaces_the_old_one_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "newer")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no run folder: it holds no run.json"),
        ("{", "no JSON"),
        ("[]", "a mapping is needed"),
        ("{}", "status is missing"),
    ],
)
def test_what_is_no_run_folder_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=message):
        _ = Run(tmp_path).status


def test_the_end_of_a_killed_run_is_its_last_row(tmp_path):
    run = write_run(tmp_path / "a", end_h=3, site_rows=[{"at_h": 2}])
    del run.record["end_ns"]
    assert run.end_ns == 2 * 3600 * 10**9
    run = write_run(tmp_path / "b", end_h=3, jobs=[Job(16)], segments=[running(0, 1, 16, 1)])
    del run.record["end_ns"]
    assert run.end_ns == 3600 * 10**9


def test_of_a_record_that_does_not_fit_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ScenarioError, match="cannot make this folder: No space left"):
        create_run_folder(**ASKED, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_may_write_one_text(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    replace = os.replace

    def other_first(part, target):
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: 1)
            other.setattr(os, "replace", replace)
            write_atomically(path, "other")
        replace(part, target)

    monkeypatch.setattr(os, "replace", other_first)
    write_atomically(path, "mine")
    assert path.read_text() == "mine"
