"""Writes a trace until it is killed or the disk is full: `python -m tests.trace.writing FOLDER`.

Prints the number of samples after each flush; with `--limit BYTES` no file may grow larger.
"""

import argparse
import resource
import signal
from pathlib import Path

import numpy as np

from dcsim.trace import TraceWriter, create_run_folder
from dcsim.trace.schema import EVENTS
from tests.accounting.handmade import filled

RACK_COUNT = 500
SAMPLES_PER_FLUSH = 7


def rack_rows(sample):
    """Rack rows of a sample, different in every bit that is kept."""
    noise = np.random.Generator(np.random.Philox(sample)).uniform(0, 100, (5, RACK_COUNT))
    names = ("temp_c_min", "temp_c_mean", "temp_c_max", "power_w", "clock_frac_mean")
    return {
        "t_ns": sample,
        "rack_id": np.arange(RACK_COUNT),
        **dict(zip(names, noise, strict=True)),
    }


def write_for_ever(trace):
    trace.row("dim_site", filled("dim_site"))
    for rack in range(RACK_COUNT):
        trace.row("dim_rack", filled("dim_rack", rack_id=rack))
    trace.flush()
    sample = 0
    while True:
        for _ in range(SAMPLES_PER_FLUSH):
            trace.rows("rack", rack_rows(sample))
            ids = {"event_id": sample, "cause_id": -1, "job_id": -1}
            trace.row(EVENTS.name, filled("events", **ids, t_ns=sample, detail="{}"))
            sample += 1
        trace.flush()
        print(sample, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int)
    asked = parser.parse_args()
    if asked.limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked.limit, asked.limit))
    run = create_run_folder(
        name="writing",
        scenario_digest="0" * 64,
        scenario_text="x" * 5000,
        seed=0,
        epoch_ns=0,
        duration_ns=10**9,
        sources=[],
        where={},
        out=asked.folder,
    )
    try:
        with TraceWriter(run.traces, epoch_ns=0) as trace:
            write_for_ever(trace)
    except OSError as error:
        run.mark("failed")
        print(f"failed: {error.errno}", flush=True)


if __name__ == "__main__":
    main()
