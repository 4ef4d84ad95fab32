"""Estimates in the terminal: pipelines drawn, commands answered."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dcsim import cli
from dcsim.report.pipeline import drawn, order, times, zero_bubble_times


def run(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    return stop.value.code, capsys.readouterr().out


def test_a_plain_pipeline_by_hand():
    assert drawn(2, 1, 3).lines == ("12..aa3bb.cc", ".1aa2bb3cc..")


@pytest.mark.parametrize(
    ("stages", "chunks", "count"), [(1, 1, 3), (4, 1, 8), (4, 3, 8), (8, 2, 16)]
)
def test_every_pass_happens_once_after_what_it_waits_for(stages, chunks, count):
    begun = times(stages, chunks, count)
    last = stages * chunks - 1
    when = {
        (step.way, step.micro_batch, step.chunk * stages + stage): begin
        for stage, passes in enumerate(begun)
        for begin, step in passes
    }
    assert len(when) == 2 * stages * chunks * count == sum(map(len, begun))
    for (way, micro_batch, place), begin in when.items():
        if way == "forward" and place > 0:
            assert begin >= when["forward", micro_batch, place - 1] + 1
        if way == "backward":
            before = ("backward", micro_batch, place + 1) if place < last else None
            ready = when[before] + 2 if before else when["forward", micro_batch, place] + 1
            assert begin >= ready


def test_the_bubble_of_a_drawing_is_that_of_the_formula():
    for stages, chunks, count in ((4, 1, 8), (4, 2, 8), (4, 3, 8)):
        begun = times(stages, chunks, count)
        end = max(begin + (1 if step.way == "forward" else 2) for p in begun for begin, step in p)
        assert end == 3 * chunks * count + 3 * (stages - 1)


def test_weight_gradients_fill_a_pipeline_without_bubbles_by_hand():
    lines = drawn(2, 1, 3, is_zero_bubble=True).lines
    assert lines == ("12.a3bAcBC", ".1a2b3cABC")


@pytest.mark.parametrize(("stages", "count"), [(1, 2), (2, 2), (4, 8), (7, 14), (8, 8)])
def test_the_bubble_of_a_drawn_zero_bubble_is_a_third(stages, count):
    begun = zero_bubble_times(stages, count)
    when = {
        (step.way, step.micro_batch, stage): begin
        for stage, passes in enumerate(begun)
        for begin, step in passes
    }
    assert len(when) == 3 * stages * count == sum(map(len, begun))
    assert max(when.values()) + 1 == 3 * count + stages - 1
    for (way, micro_batch, stage), begin in when.items():
        if way == "forward" and stage:
            assert begin > when["forward", micro_batch, stage - 1]
        if way == "backward" and stage < stages - 1:
            assert begin > when["backward", micro_batch, stage + 1]
        if way != "forward":
            before = "forward" if way == "backward" else "backward"
            assert begin > when[before, micro_batch, stage]


def test_each_schedule_is_drawn_or_said_not_to_be(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ask = ("estimate", "--model", "llama3-8b", "--gpus", "16", "--pp", "4", "--schedule")
    _code, out = run(capsys, *ask, "zero-bubble")
    assert out.splitlines()[-1] == "...1a2b3c4d5e6f7g8hABCDEFGH"
    assert max(map(len, out.splitlines())) <= 100
    _code, out = run(capsys, *ask, "dualpipe")
    assert out.splitlines()[-1].endswith("dualpipe runs from both ends at once and is not drawn")


def test_no_stage_holds_more_micro_batches_than_its_place_says():
    for stage in range(4):
        held = most = 0
        for step in order(stage, 4, 1, 8):
            held += 1 if step.way == "forward" else -1
            most = max(most, held)
        assert most == 4 - stage


def test_an_estimate_on_one_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ask = ("estimate", "--model", "llama3-70b", "--gpus", "512", "--tp", "8", "--pp", "4")
    code, out = run(capsys, *ask)
    lines = out.splitlines()
    assert code == 0
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100
    assert lines[0] == "llama3-70b on 512 h100-sxm, bf16"
    assert any(line.startswith("pipeline bubble") for line in lines)
    assert "\x1b" not in out


def test_json_holds_the_same_numbers(capsys):
    ask = ("estimate", "--model", "llama3-70b", "--gpus", "512", "--tp", "8", "--json")
    code, out = run(capsys, *ask)
    found = json.loads(out)
    assert code == 0
    assert sum(found["parts_s"].values()) == pytest.approx(found["step_time_s"])
    assert found["layout"]["dp"] == 64
    assert found["memory_byte"] == pytest.approx(sum(found["memory_by_use_byte"].values()))


def test_a_plan_and_a_validation_are_shown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    ask = (
        "plan",
        "--model",
        "llama3-8b",
        "--gpus",
        "64",
        "--gbs",
        "64",
        "--rows",
        "3",
        "--tokens",
        "1e12",
    )
    code, out = run(capsys, *ask)
    assert code == 0
    assert "layouts tried" in out
    assert "days" in out
    code, out = run(capsys, *ask, "--json")
    assert len(json.loads(out)["layouts"]) == 3
    code, out = run(capsys, "validate", "--json")
    found = json.loads(out)
    assert code == 0
    assert {source["source"] for source in found["sources"]} > {"mlperf", "vtrain"}
    assert len(found["rows"]) == sum(source["rows_count"] for source in found["sources"])
    code, out = run(capsys, "validate", "--rows")
    assert "Megatron-Core 70B" in out
    assert "all_reduce" in out


def test_a_table_is_written_whole_or_not_at_all(capsys, tmp_path: Path):
    source = tmp_path / "rows.csv"
    source.write_text("model,gpus\nllama3-8b,8\n")
    code, out = run(capsys, "estimate", "--csv", str(source))
    assert code == 0
    assert out.startswith("model,gpus,step_time_s,")
    target = tmp_path / "out.csv"
    code, out = run(capsys, "estimate", "--csv", str(source), "--out", str(target))
    assert "1 of 1 rows" in out
    assert target.read_text().count("\n") == 2


def test_an_estimate_needs_no_compiler_and_no_engine():
    """So that it starts in a fraction of a second, also the first time."""
    program = (
        "import sys; from dcsim.workload.estimate import estimate; "
        "estimate(model='llama3-8b', gpus=64); "
        "print(sorted({'numba', 'pyarrow', 'simpy', 'scipy', 'networkx'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
