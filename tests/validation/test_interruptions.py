"""Unexpected interruptions of the Llama 3 window, simulated over many failure calendars.

A calibration, not a prediction: the rates come from the same 419 interruptions. It shows what
masking takes away (failures that hit a node or a job that is down) and that
causes keep their shares.
"""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dcsim import load, simulate
from dcsim.accounting.causes import interruption_causes
from dcsim.trace import Run

SCENARIO = Path(__file__).parents[2] / "scenarios" / "llama3-16k.yaml"
SEEDS = int(os.environ.get("DCSIM_SEEDS", "20"))
PUBLISHED_COUNT = 419
PUBLISHED_NODES = 2048
PUBLISHED_GPU_SHARE = 268 / 419
LEAN = ("record.rack_every=1 d", "record.site_every=6 h")

pytestmark = pytest.mark.validate


def test_interruptions_of_the_published_window(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts, failures, masked = [], [], []
    causes: Counter[str] = Counter()
    for seed in range(SEEDS):
        result = simulate(load(SCENARIO, LEAN, seed=seed), out=tmp_path / str(seed))
        run = Run(result.folder)
        events, kinds = run.columns("events"), run.columns("dim_event_kind")["name"]
        names = kinds[events["event_kind_id"]]
        counts.append(int(result.summary["interruption_count"]["value"]))
        failures.append(int((names == "fail").sum()))
        masked.append(int((names == "masked").sum()))
        causes.update({cause.name: cause.value for cause in interruption_causes(run)})
    gpu = sum(causes[name] for name in causes if name.startswith(("gpu", "hbm", "silent")))
    share = gpu / sum(causes.values())
    with capsys.disabled():
        print(f"\n{SEEDS} calendars: {np.mean(counts):.1f} interruptions (sd {np.std(counts):.1f})")
        print(f"failures drawn {np.mean(failures):.1f}, masked at nodes {np.mean(masked):.1f}")
        print(f"GPU share {share:.3f}, published {PUBLISHED_GPU_SHARE:.3f}")
        for name, count in causes.most_common():
            print(f"  {name:24} {count / SEEDS:7.1f}")
    nodes = len(run.columns("dim_node")["node_id"])
    drawn = np.array(failures) * PUBLISHED_NODES / nodes
    error = np.std(drawn, ddof=1) / np.sqrt(SEEDS)
    assert abs(np.mean(drawn) - PUBLISHED_COUNT) < 4 * error
    assert 0.75 < np.mean(counts) / PUBLISHED_COUNT < 1.0
    assert share == pytest.approx(PUBLISHED_GPU_SHARE, abs=0.03)
