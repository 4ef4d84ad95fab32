"""Whole runs through the command: wall time, memory and traces beside their limits, and counts."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bench.step import MOST_OVER_C, c_step_ns
from bench.table import Row

ROOT = Path(__file__).resolve().parents[1]
DCSIM = str(Path(sys.executable).with_name("dcsim"))
MAIN = "scenarios/h100-200k.yaml"
MAIN_NODES = 25_000
NODES = (3_125, 12_500, 25_000, 50_000, 100_000)
SITE_NODES_MOST = 50_000  # three tiers of the fabric's switches reach little more
GPUS_PER_NODE = 8
MEGABYTE = 1e6

WALL_MOST_S = {1: 75.0, 2: 45.0}
MEMORY_MOST_MB = 500.0
TRACES_MOST_MB = 600.0
FIRST_MOST_S = 0.8
HELP_MOST_S = 0.15
GROWTH_MOST = 1.4
REPORT_MOST_S, READ_MOST_S = 10.0, 2.0
READ_MOST_MB, PAGE_MOST_MB = 1000.0, 3.0
COUNTS = ("instants", "events", "stops", "evaluations")


class Outcome(NamedTuple):
    """One run of the command."""

    wall_s: float
    memory_mb: float
    traces_mb: float
    record: Mapping[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        """How many instants, events, stops and evaluations it took."""
        return {name: int(self.record["counts"][name]) for name in COUNTS}


def run(scenario: str, threads_count: int, *overrides: str) -> Outcome:
    """Run the command in a process of its own, into a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [DCSIM, "run", scenario, "--quiet", "--no-report", "--out", str(out)]
        command += ["--threads", str(threads_count)]
        for override in overrides:
            command += ["--set", override]
        wall_s, memory_mb = measured(command)
        traces_byte = sum(path.stat().st_size for path in (out / "traces").iterdir())
        record = json.loads((out / "run.json").read_text(encoding="utf-8"))
        return Outcome(wall_s, memory_mb, traces_byte / MEGABYTE, record)


def measured(command: list[str]) -> tuple[float, float]:
    """Wall time [s] and largest resident memory [MB] of a command that must succeed."""
    began_s = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}")
    return wall_s, usage.ru_maxrss * 1024 / MEGABYTE


def small_rows() -> Iterator[Row]:
    """What a user waits for: help, and the first scenario with its kernels compiled."""
    help_s = min(measured([DCSIM, "--help"])[0] for _ in range(5))
    yield Row("dcsim --help", help_s, "s", "limit", HELP_MOST_S, 1.0)
    runs = [run("scenarios/first.yaml", 1) for _ in range(4)]
    assert all(other.counts == runs[0].counts for other in runs)
    wall_s = min(outcome.wall_s for outcome in runs)
    yield Row("first.yaml, warm", wall_s, "s", "limit", FIRST_MOST_S, 1.0)


def reading_rows() -> Iterator[Row]:
    """What follows the main run: accounts and page, the story of a thing, a comparison."""
    with tempfile.TemporaryDirectory() as folder:
        one, other = (str(Path(folder) / name) for name in ("one", "other"))
        measured([DCSIM, "run", MAIN, "--quiet", "--no-report", "--out", one])
        inputs = str(Path(one) / "inputs.arrow")
        low = "jobs.0.train.recovery={preset: warm-spare, level: low}"
        measured([DCSIM, "run", MAIN, "--quiet", "--inputs", inputs, "--set", low, "--out", other])
        for words, most_s in (
            (["report", one, "--quiet"], REPORT_MOST_S),
            (["why", one, "dallas/cdu/3"], READ_MOST_S),
            (["why", one, "llama3-405b"], READ_MOST_S),
            (["compare", one, other], READ_MOST_S),
            (["check", MAIN], READ_MOST_S),
        ):
            wall_s, memory_mb = min(measured([DCSIM, *words]) for _ in range(2))
            what = f"dcsim {words[0]}"
            yield Row(what, wall_s, "s", "limit", most_s, 1.0)
            yield Row(f"{what}, memory", memory_mb, "MB", "limit", READ_MOST_MB, 1.0)
        page_mb = (Path(one) / "report.html").stat().st_size / MEGABYTE
        yield Row("report.html", page_mb, "MB", "limit", PAGE_MOST_MB, 1.0)


def main_rows() -> Iterator[Row]:
    """The main scenario on one and on two threads, beside C doing the same evaluations."""
    c_ns = c_step_ns()
    digests = set()
    for threads_count, wall_most_s in WALL_MOST_S.items():
        outcome = run(MAIN, threads_count)
        what = f"h100-200k, {threads_count} thread(s)"
        yield Row(what, outcome.wall_s, "s", "limit", wall_most_s, 1.0)
        steps = outcome.counts["evaluations"] * MAIN_NODES * GPUS_PER_NODE
        if threads_count in c_ns:
            c_s = c_ns[threads_count] * 1e-9 * steps
            yield Row(what, outcome.wall_s, "s", "C, same evaluations", c_s, MOST_OVER_C)
        yield Row(f"{what}, memory", outcome.memory_mb, "MB", "limit", MEMORY_MOST_MB, 1.0)
        yield Row(f"{what}, traces", outcome.traces_mb, "MB", "limit", TRACES_MOST_MB, 1.0)
        digests.add((outcome.record["state_digest"], *outcome.counts.values()))
    assert len(digests) == 1, f"threads change the result or its counts: {digests}"


def growth_rows() -> Iterator[Row]:
    """A day of the main scenario with 25,000 to 800,000 GPUs: wall time of each added GPU."""
    with tempfile.TemporaryDirectory() as folder:
        walls_s = {}
        for nodes_count in NODES:
            file = Path(folder) / f"{nodes_count}.yaml"
            file.write_text(json.dumps(scaled(nodes_count)), encoding="utf-8")
            walls_s[nodes_count] = min(run(str(file), 2).wall_s for _ in range(2))
    least_count, base_count = NODES[0], MAIN_NODES

    def added_us(nodes_count: int) -> float:
        added_count = (nodes_count - least_count) * GPUS_PER_NODE
        return (walls_s[nodes_count] - walls_s[least_count]) / added_count * 1e6

    for nodes_count in NODES[1:]:
        what = f"a day of {nodes_count * GPUS_PER_NODE:,} GPUs"
        beside = f"{base_count * GPUS_PER_NODE:,} GPUs"
        figure, base = added_us(nodes_count), added_us(base_count)
        yield Row(what, figure, "us/GPU", beside, base, GROWTH_MOST)


def scaled(nodes_count: int) -> dict[str, Any]:
    """A day of the main scenario with that many nodes, on as many sites as fabrics need."""
    scenario = yaml.safe_load((ROOT / MAIN).read_text(encoding="utf-8"))
    ((name, site),) = scenario["sites"].items()
    (job,) = scenario["jobs"]
    sites_count = -(-nodes_count // SITE_NODES_MOST)
    share = nodes_count / sites_count / site["nodes"]["count"]
    site["nodes"]["count"] = nodes_count // sites_count
    site["power"]["feeds"] = ceil(site["power"]["feeds"] * share)
    train = job["train"]
    replicas_count = int(train["parallel"]["dp"] * share)
    train["batch"] = train["batch"] // train["parallel"]["dp"] * replicas_count
    train["parallel"]["dp"] = replicas_count
    train["spares"] = int(train["spares"] * share)
    names = [f"{name}-{number}" for number in range(sites_count)]
    scenario["duration"] = "1 d"
    scenario["sites"] = dict.fromkeys(names, site)
    scenario["jobs"] = [{"train": {**train, "name": name, "site": name}} for name in names]
    return dict(scenario)
