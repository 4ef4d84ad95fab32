"""Bugs planted in processes and accounting, one at a time: each must fail the test named beside."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

JOBS, NODES, SCHEDULER = (
    "tests/processes/test_jobs.py",
    "tests/processes/test_nodes.py",
    ("tests/processes/test_scheduler.py"),
)
OUTSIDE, TABLE = "tests/processes/test_outside.py", "tests/processes/test_job_table.py"
RUNS, DALY = "tests/metamorphic/test_runs.py", "tests/analytic/test_daly.py"
SUMMARY = "tests/accounting/test_summary.py"

# Module: (what is there, what is planted, file of the test, the test that must fail).
PLANTED = {
    "processes/jobs": [
        (
            "self._loss = loss._replace(event=event)\n        self._stand_still()",
            "self._loss = loss._replace(event=event)",
            JOBS,
            "test_the_phases_of_a_recovery",
        ),
        ("            self._bare.update(seats)\n", "", JOBS, "test_with_a_node_and_its_peer_gone"),
        ("        self._bare.clear()\n", "", JOBS, "test_once_the_job_runs_again"),
        ("self.empty.update(seats)", "pass", JOBS, "test_a_lost_node_is_replaced_in_its_seat"),
        ("if up[node]]", "]", JOBS, "test_granted_nodes_that_are_lost_before"),
        (
            "member[np.delete(self.nodes, sorted(self.empty))] = True",
            "member[self.nodes] = True",
            JOBS,
            "test_a_node_that_comes_back_belongs_to_no_job",
        ),
        (
            "        self._scheduler.release(self, usable[len(seats) :])\n",
            "",
            JOBS,
            "test_planned_work_on_several_nodes_at_once",
        ),
        (
            "        self._save(drained=True)\n",
            "",
            JOBS,
            "test_planned_work_loses_nothing",
        ),
        (
            'if fact.kind == "granted":',
            "if False:",
            TABLE,
            "test_nodes_granted_to_a_job_that_moved_on",
        ),
        ("            self._scheduler.withdraw(self)\n", "", JOBS, "test_a_move_is_not_begun_anew"),
        ("max(0.0, plan.target_steps - ", "(plan.target_steps - 1 - ", JOBS, "ends_at_its_target"),
    ],
    "processes/progress": [
        (
            "local is not None and not lost_copies",
            "local is not None",
            JOBS,
            "test_with_a_node_and_its_peer_gone",
        ),
        (
            "self._remote_steps = min(remote, durable)",
            "self._remote_steps = durable",
            JOBS,
            "test_the_remote_tier_keeps_its_own_count",
        ),
        ("if safe_ns <= now_ns)", ")", JOBS, "test_a_long_save_holds_once_it_is_drained"),
        ("floor(drained / every) * every", "drained", JOBS, "test_lost_work_is_what_was_done"),
        (
            "return self._saved_ns + ns(self._plan.checkpoints.remote.interval_s) - self._ran_ns",
            "return ns(self._plan.checkpoints.remote.interval_s)",
            JOBS,
            "test_evaluations_do_not_keep_long_saves",
        ),
        ('0 if self._state == "queued" else', "", SCHEDULER, "test_jobs_never_hold_more"),
        ("self._lost += done - durable", "pass", DALY, "test_the_mean_time_of_a_segment"),
    ],
    "processes/nodes": [
        ("            self._boot.cancel()\n", "            pass\n", NODES, "during_the_boot"),
        ('if why == "repair":', "if False:", NODES, "a_node_that_is_out"),
        ("if why not in ONCE or", "if", NODES, "test_two_faults_on_one_node"),
        ('why == "hot" and self._too_hot()', "False", NODES, "test_a_node_that_is_still_hot"),
        ("self._gpus].any()", "self._gpus].all() or True", NODES, "test_a_repair_ends_with"),
    ],
    "processes/scheduler": [
        ("site, whole_first=True", "site, whole_first=False", SCHEDULER, "test_whole_racks_come"),
        ("site, whole_first=False", "site, whole_first=True", SCHEDULER, "test_replacements_leave"),
        (" + self._missing_count(site)", "", SCHEDULER, "test_what_a_placed_job_misses"),
        (" - self._spares_count(site, job)", "", SCHEDULER, "test_spares_are_kept_from_other"),
        ("- int(used[job.plan.job])", "", SCHEDULER, "test_a_spare_that_is_used_is_used"),
        ("while self._queue and self._place(self._queue[0]):", "while False:", SCHEDULER, "queue"),
    ],
    "processes/outside": [
        ("np.minimum(left[rows], frac)", "frac", OUTSIDE, "test_where_faults_overlap"),
        ("if site.net.leaf_frac[leaf] <= 0.0", "if False", OUTSIDE, "test_a_leaf_without_a_job"),
        (
            "self._scheduler.one_node_each(site, below)",
            "below[:1].tolist()",
            OUTSIDE,
            "test_a_leaf",
        ),
        ("= np.maximum(left, ", "= np.minimum(1.0, ", OUTSIDE, "test_a_machine_is_left_a_share"),
    ],
    "processes/cast": [
        (
            "job.progress.close_segment(now_ns)\n        for plan",
            "pass\n        for plan",
            JOBS,
            "test_the_last_segment",
        ),
    ],
    "accounting/waterfall": [
        ("[held[0] + rest, *held[1:]]", "held", SCHEDULER, "test_jobs_never_hold_more"),
    ],
    "accounting/segments": [
        ("weights=taken.steps", "weights=0 * taken.steps", SUMMARY, "test_rollbacks_take"),
    ],
    "inputs/failures": [
        ("mark_x < hazard[points.thing]", "mark_x < 1.0", RUNS, "test_a_doubled_hazard"),
    ],
}
COPIED = ("dcsim", "tests/processes", "tests/metamorphic", "tests/analytic", "tests/reference")
COPIED += ("tests/accounting", "tests/engine")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package and of the tests that are to fail."""
    folder = tmp_path_factory.mktemp("planted")
    ignored = shutil.ignore_patterns("__pycache__")
    for part in COPIED:
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    for path in [*(ROOT / "tests").glob("*.py"), ROOT / "pyproject.toml"]:
        shutil.copy(path, folder / path.relative_to(ROOT))
    return folder


def outcome(folder, *tests):
    """Run *tests* in the copy and return how that ended."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.validate
@pytest.mark.parametrize(
    ("module", "is_there", "planted", "file", "name"),
    [(module, *bug) for module, bugs in PLANTED.items() for bug in bugs],
)
def test_a_planted_bug_is_found(copy, module, is_there, planted, file, name):
    path = copy / "dcsim" / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    assert is_there in text
    try:
        path.write_text(text.replace(is_there, planted), encoding="utf-8")
        run = outcome(copy, file, "-k", name)
    finally:
        path.write_text(text, encoding="utf-8")
    assert run.returncode == 1, run.stdout[-2000:]
    assert "FAILED tests/" in run.stdout
