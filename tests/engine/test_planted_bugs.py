"""Bugs planted in the engine, one at a time: each must make the test named beside it fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Per module of the engine: (what is there, what is planted, the test that must fail).
PLANTED = {
    "loop": [
        ("TIMER, INPUT = 1, 2", "TIMER, INPUT = 2, 1", "loop::test_what_was_finished"),
        ("island.advance_to(now_ns)", "pass", "gate::test_a_write_does_not_reach_back"),
        (
            "due = [island for island in self.islands if island.stop_ns <= now_ns]",
            "due = self.islands",
            "island::test_events_reads_and_empty_changes_move_no_physics",
        ),
        ("if not self._is_due(now_ns)", "if True", "loop::test_what_a_delivery_writes"),
        ("sorted(done, key=lambda activity: activity.tag[:3])", "done", "loop::test_completions"),
        (
            "sorted(islands, key=lambda island: island.name)",
            "list(islands)",
            "loop::test_facts_come_by_pass",
        ),
        ("activity.rerate(now_ns)", "pass", "activity::test_the_rate_follows_physics"),
        ("        activity.cancelled = True\n", "", "activity::test_a_completion_that_its_process"),
        (
            "del self._activities[activity]",
            "activity.due_ns = NEVER_NS",
            "activity::test_it_is_done_once",
        ),
        ("max(1, delay_ns)", "delay_ns", "loop::test_timers_are_at_least_a_nanosecond_ahead"),
        ("raise failure", "pass", "gate::test_an_exception_inside_the_gate"),
        ("if self.depth != 0", "if False", "gate::test_a_yield_inside_the_gate"),
        (
            'self.touch(island, f"stop {island.name}")',
            "pass",
            "loop::test_stop_brings_the_state_to_now",
        ),
        ("_next_ns()) <= end_ns", "_next_ns()) < end_ns", "loop::test_timers_are_at_least"),
        ("_close_stops >= CLOSE_STOPS_MAX", "_close_stops < 0", "loop::test_a_thousand_stops"),
        ("is_cause = is_done or", "is_cause =", "loop::test_work_that_ends_now_and_then"),
    ],
    "island": [
        ("max(HOLD_MIN_NS, ", "max(1, ", "island::test_a_hold_is_at_least_a_second"),
        ("hold_ns, grid_ns)", "hold_ns)", "island::test_the_next_stop_is_the_earliest"),
        ("while True:", "for _ in range(100):", "island::test_a_cascade_of_n_breakers"),
        ("if modes in seen", "if modes == seen[-1]", "island::test_a_cycle_of_modes"),
        ("        self._modes = None\n", "", "island::test_a_process_may_put_a_mode_back"),
        ("self.models = in_order(models)", "self.models = list(models)", "island::test_the_order"),
        ("if isnan(hold.hold_s)", "if False", "island::test_a_hold_that_is_no_number"),
        (
            "heard.sort(key=lambda one: one[:2])",
            "pass",
            "loop::test_facts_come_by_pass",
        ),
    ],
    "gate": [
        ("if np.array_equal(old, new)", "if False", "gate::test_equal_values_are_ignored"),
        ("np.asarray(value, target.dtype)", "value", "gate::test_equal_values_are_ignored"),
        ("self._sim.keep(error)\n        raise", "raise", "gate::test_a_write_through_a_gate"),
    ],
    "activity": [
        ("max(1, ceil(left_ns / rate))", "int(left_ns / rate)", "activity::test_the_due_time"),
        ("        self._anchor_ns = now_ns\n        self.rate", "        self.rate", "activity"),
        ("if rate == self.rate", "if False", "activity::test_the_due_time_moves_only"),
        ("float(self.rate_of())", "self.rate_of()", "activity::test_rates_of_single_precision"),
    ],
    "inbox": [
        ("popleft", "pop", "inbox::test_facts_come_in_the_order_of_putting"),
        ("or not source.cancelled", "or True", "inbox::test_a_timer_cancelled_at_the_instant"),
    ],
    "digest": [("{column.dtype.str}|", "", "digest::test_equal_bytes_of_another_type_show")],
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of what the tests of the engine need, in which they pass."""
    folder = tmp_path_factory.mktemp("planted")
    ignored = shutil.ignore_patterns("__pycache__")
    for part in ("dcsim/engine", "tests/engine"):
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    for part in ("dcsim", "tests"):
        for path in (ROOT / part).glob("*.py"):
            shutil.copy(path, folder / part)
    shutil.copy(ROOT / "pyproject.toml", folder)
    assert outcome(folder, "tests/engine").returncode == 0
    return folder


def outcome(folder, *tests):
    """Run *tests* in the copy and return how that ended."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.validate
@pytest.mark.parametrize(
    ("module", "is_there", "planted", "name"),
    [(module, *bug) for module, bugs in PLANTED.items() for bug in bugs],
)
def test_a_planted_bug_is_found(copy, module, is_there, planted, name):
    path = copy / "dcsim" / "engine" / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    assert is_there in text
    of_module, _, test = name.partition("::")
    try:
        path.write_text(text.replace(is_there, planted), encoding="utf-8")
        run = outcome(copy, f"tests/engine/test_{of_module}.py", "-k", test)
    finally:
        path.write_text(text, encoding="utf-8")
    assert run.returncode == 1, run.stdout[-2000:]
    assert "FAILED tests/engine" in run.stdout
