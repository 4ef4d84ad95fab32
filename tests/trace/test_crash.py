"""What is left when the process is killed, or the disk is full, in the middle of a run."""

import errno
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest

from dcsim.errors import InputError
from dcsim.trace import Run
from dcsim.trace.schema import TABLES
from tests.trace.writing import RACK_COUNT, SAMPLES_PER_FLUSH, rack_rows


def start(folder, *options):
    command = [sys.executable, "-m", "tests.trace.writing", str(folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check_readable(folder):
    """Everything that is there is right and whole samples long; returns how many samples."""
    run = Run(folder)
    for name in TABLES:
        run.columns(name)
    rack = run.columns("rack")
    samples, rest = divmod(rack["t_ns"].size, RACK_COUNT)
    assert rest == 0
    for sample in range(0, samples, 13):
        rows = slice(sample * RACK_COUNT, (sample + 1) * RACK_COUNT)
        expected = rack_rows(sample)
        assert (rack["t_ns"][rows] == sample).all()
        assert np.abs(rack["temp_c_mean"][rows] - expected["temp_c_mean"]).max() <= 0.005
    events = run.columns("events")
    assert events["event_id"].tolist() == list(range(events["event_id"].size))
    assert abs(events["event_id"].size - samples) <= SAMPLES_PER_FLUSH
    return samples


@pytest.mark.parametrize("moment", range(20))
def test_killed_at_any_moment_it_reads_to_the_last_flush(tmp_path, moment):
    chance = random.Random(moment)
    process = start(tmp_path / "run")
    flushed = 0
    try:
        for _ in range(chance.randint(1, 40)):
            flushed = int(process.stdout.readline())
        time.sleep(chance.uniform(0, 0.01))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    run = Run(tmp_path / "run")
    assert run.status == "running"
    assert check_readable(tmp_path / "run") >= flushed
    run.record["status"] = "done"
    with pytest.raises(InputError, match=r"rack\.arrow: cannot be read"):
        run.table("rack")


def test_a_file_cut_at_any_byte_reads_to_its_last_whole_batch(tmp_path):
    process = start(tmp_path / "run", "--limit", "60000")
    process.communicate()
    path = tmp_path / "run" / "traces" / "events.arrow"
    whole = path.read_bytes()
    sizes = set()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        sizes.add(Run(tmp_path / "run").table("events").num_rows)
    path.unlink()
    assert Run(tmp_path / "run").table("events").num_rows == 0
    assert sizes == set(range(0, max(sizes) + 1, SAMPLES_PER_FLUSH))


def test_a_file_that_may_not_grow_fails_the_run_and_stays_readable(tmp_path):
    process = start(tmp_path / "run", "--limit", "300000")
    output, _ = process.communicate(timeout=60)
    *flushed, last = output.split("\n")[:-1]
    assert last == f"failed: {errno.EFBIG}"
    assert Run(tmp_path / "run").status == "failed"
    assert check_readable(tmp_path / "run") == int(flushed[-1]) > 10


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB, where the user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_fails_the_run_and_stays_readable(small_disk):
    process = start(small_disk / "run")
    output, _ = process.communicate(timeout=60)
    *flushed, last = output.split("\n")[:-1]
    assert last == f"failed: {errno.ENOSPC}"
    assert Run(small_disk / "run").status == "failed"
    assert check_readable(small_disk / "run") >= int(flushed[-1]) > 10
    assert not list((small_disk / "run").glob("*.part"))
