"""Lists of run folders, and what may be removed."""

import os
from pathlib import Path

import pytest

from dcsim.accounting import write_summary
from dcsim.errors import InputError
from dcsim.report.folders import check_removable, entries, lines, remove, size_byte
from dcsim.trace import Run, create_run_folder
from tests.accounting.handmade import Job, running, write_run
from tests.trace.test_run_folder import ASKED

NOON_S = 1_720_008_000  # 2024-07-03 12:00 UTC


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder of runs: one whole, one killed, one that was damaged, and something else."""
    done = write_run(
        tmp_path / "a-done", end_h=2, jobs=[Job(16)], segments=[running(0, 2, 16, 10)]
    ).folder
    write_summary(Run(done))
    made = create_run_folder(**ASKED, out=tmp_path / "b-killed")
    made.mark("running")
    (tmp_path / "c-damaged").mkdir()
    (tmp_path / "c-damaged" / "run.json").write_text("{")
    (tmp_path / "notes").mkdir()
    for path in tmp_path.glob("*/run.json"):
        os.utime(path, (NOON_S, NOON_S))
    return tmp_path


def test_each_run_has_a_line(shelf, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    found = entries(shelf)
    rows = [line.split() for line in lines(found)]
    size = size_byte(shelf / "a-done")
    assert rows[0] == ["run", "status", "when", "simulated", "size", "goodput"]
    assert rows[1][:6] == ["a-done", "done", "2024-07-03", "12:00", "2", "h"]
    assert rows[1][-1] == "100.0%"
    assert rows[2][:4] == ["b-killed", "killed", "2024-07-03", "12:00"]
    assert rows[2][-1] == "-"
    assert rows[3][:2] == ["c-damaged", "unreadable"]
    assert " ".join(rows[4]).startswith(f"{shelf}/c-damaged/run.json: no JSON")
    assert (
        found[0].size_byte
        == size
        == sum(path.stat().st_size for path in (shelf / "a-done").rglob("*") if path.is_file())
    )


def test_a_run_that_is_written_is_running(shelf):
    made = create_run_folder(**ASKED, out=shelf / "d-new")
    assert [entry.status for entry in entries(shelf)][-1] == "running"
    made.mark("done", end_ns=1)
    assert [entry.status for entry in entries(shelf)][-1] == "done"


def test_a_run_folder_is_a_list_of_one(shelf):
    (entry,) = entries(shelf / "a-done")
    assert (entry.run, entry.simulated_ns, entry.goodput_frac) == ("a-done", 7200 * 10**9, 1.0)


def test_a_folder_without_runs_is_an_empty_list(shelf):
    assert entries(shelf / "notes") == []
    with pytest.raises(InputError, match="nowhere: no such folder"):
        entries(shelf / "nowhere")
    (shelf / "file").write_text("")
    with pytest.raises(InputError, match="file: not a folder"):
        entries(shelf / "file")


def test_a_link_inside_goes_and_what_it_leads_to_stays(shelf):
    (shelf / "notes" / "kept.txt").write_text("kept")
    (shelf / "a-done" / "notes").symlink_to(shelf / "notes")
    (shelf / "a-done" / "kept").symlink_to(shelf / "notes" / "kept.txt")
    check_removable(shelf / "a-done")
    remove(shelf / "a-done")
    assert not (shelf / "a-done").exists()
    assert (shelf / "notes" / "kept.txt").read_text() == "kept"


def test_what_removes_only_a_part_can_be_done_again(shelf, monkeypatch):
    folder = shelf / "a-done"

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        with pytest.raises(PermissionError):
            remove(folder)
    check_removable(folder)
    remove(folder)
    assert not folder.exists()


def test_a_killed_run_may_be_removed(shelf):
    assert check_removable(shelf / "b-killed").status == "running"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes", "no run folder: it holds no run.json"),
        ("c-damaged", "no JSON"),
        ("nowhere", "no such folder"),
        ("link", "is a link: name the folder that it leads to"),
        ("link/", "is a link: name the folder that it leads to"),
        ("open", "is being written: stop that run first"),
        ("outer", "holds another run: remove or move .*/outer/inner first"),
        ("here", "is the folder that you are in: leave it first"),
        ("here/..", "no run folder"),
    ],
)
def test_what_may_not_be_removed(shelf, monkeypatch, name, message):
    (shelf / "link").symlink_to("a-done")
    made = create_run_folder(**ASKED, out=shelf / "open")
    for folder in ("outer", "outer/inner", "here"):
        write_run(shelf / folder, end_h=1)
    (shelf / "here" / "deep").mkdir()
    monkeypatch.chdir(shelf / "here" / "deep")
    with pytest.raises(InputError, match=message):
        check_removable(Path(f"{shelf}/{name}"))
    made.mark("failed")


def test_the_runs_of_a_range_go_with_their_run_and_no_other(shelf):
    folder = shelf / "a-done"
    made = create_run_folder(**ASKED, out=folder / "range" / "gpu-low")
    (folder / "range" / "range.json").write_text('{"runs": [{"group": "gpu", "level": "low"}]}')
    with pytest.raises(InputError, match="is being written"):
        check_removable(folder)
    made.mark("failed")
    check_removable(folder)
    write_run(folder / "range" / "mine", end_h=1)
    with pytest.raises(InputError, match=r"holds another run: .*/range/mine first"):
        check_removable(folder)


def test_a_name_does_not_rule_the_terminal(tmp_path):
    write_run(tmp_path / "a\n\x1b[31m", end_h=1)
    assert len(list(lines(entries(tmp_path)))) == 2
    assert "\x1b" not in "".join(lines(entries(tmp_path)))
