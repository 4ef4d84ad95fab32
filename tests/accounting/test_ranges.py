"""Low and high of the summary from the folders of a range, written by hand."""

import json
import shutil
from math import sqrt

import pytest

from dcsim.accounting import summarise, write_summary
from dcsim.accounting.ranges import SAME, Variation, bounds, write_list
from dcsim.errors import InputError
from dcsim.scenario.record import METRICS
from dcsim.trace import Run
from tests.accounting.handmade import HOUR_NS, Event, Job, running, write_run


def run_of(folder, steps, power_w=100.0, failures=0, **other):
    """Ten hours of 16 GPUs that do so many steps of a million tokens."""
    return write_run(
        folder,
        end_h=10,
        jobs=[Job(16)],
        segments=[running(0, 10, 16, steps, kernel_efficiency=2.0)],
        events=[Event(1 + i, "job_interrupted", value=1) for i in range(failures)],
        site_rows=[{"at_h": 10, "it_power_w": power_w, "site_power_w": 2 * power_w}],
        **other,
    )


def ranged(tmp_path, ends, own=(1000, 100.0)):
    """A run whose variations came to *ends*: group -> (low, high), each (steps, power)."""
    run = run_of(tmp_path / "run", *own)
    listed = []
    for group, pair in ends.items():
        for level, end in zip(("low", "high"), pair, strict=True):
            listed.append(Variation(group, level, SAME if end is None else "", {}))
    write_list(run.folder, listed)
    for variation, end in zip(listed, (end for pair in ends.values() for end in pair), strict=True):
        if end is not None:
            run_of(run.folder / "range" / variation.name, *end)
    return run


def test_one_sided_deviations_add_up_by_their_squares(tmp_path):
    ends = {"gpu": ((900, 90.0), (1040, 130.0)), "node": ((990, 80.0), (980, 140.0))}
    metrics = summarise(ranged(tmp_path, ends)).metrics
    tokens = metrics["tokens_count"]
    assert tokens.value == 1e9
    assert tokens.low == pytest.approx(1e9 - 1e6 * sqrt(100**2 + 20**2), rel=1e-12)
    assert tokens.high == pytest.approx(1.04e9, rel=1e-12)  # both ends of node lie below
    power = metrics["it_power_w_mean"]
    assert power.low == pytest.approx(100 - sqrt(10**2 + 20**2), rel=1e-12)
    assert power.high == pytest.approx(100 + sqrt(30**2 + 40**2), rel=1e-12)
    assert tokens.basis == "simulated; low and high by root sum of squares of gpu, node"
    for name in METRICS:
        assert (metrics[name].low is None) == (metrics[name].value is None), name


def test_what_a_level_leaves_as_it_is_moves_nothing(tmp_path):
    run = ranged(tmp_path, {"gpu": (None, (1100, 100.0))})
    tokens = summarise(run).metrics["tokens_count"]
    assert (tokens.low, tokens.high) == (1e9, pytest.approx(1.1e9))
    assert not (run.folder / "range" / "gpu-low").exists()


def test_each_effect_is_kept_and_account_is_given_again_from_the_folders(tmp_path):
    run = ranged(tmp_path, {"gpu": ((900, 90.0), (1040, 130.0))})
    write_summary(Run(run.folder))
    first = json.loads((run.folder / "summary.json").read_text())
    assert [(v["group"], v["level"]) for v in first["range"]] == [("gpu", "low"), ("gpu", "high")]
    assert first["range"][0]["values"]["tokens_count"] == 9e8
    for summary in run.folder.glob("range/*/summary.json"):
        summary.unlink()
    write_summary(Run(run.folder))
    assert json.loads((run.folder / "summary.json").read_text()) == first


def test_without_a_range_low_and_high_are_null(tmp_path):
    summary = summarise(run_of(tmp_path / "run", 1000))
    assert {(m.low, m.high) for m in summary.metrics.values()} == {(None, None)}
    assert summary.metrics["tokens_count"].basis == "simulated"
    assert summary.as_dict()["range"] == []


@pytest.mark.parametrize(
    ("harm", "note"),
    [
        (lambda folder: shutil.rmtree(folder), "not simulated, or its folder cannot be read"),
        (lambda folder: (folder / "traces/job.arrow").write_bytes(b""), "not simulated, or its"),
        (lambda folder: _mark(folder, status="running"), "running, not done"),
        (lambda folder: _mark(folder, status="interrupted"), "interrupted, not done"),
        (lambda folder: _mark(folder, inputs_digest="1"), "is of another run: its inputs differ"),
        (
            lambda folder: _mark(folder, duration_ns=11 * HOUR_NS),
            "is of another run: its inputs differ",
        ),
    ],
)
def test_a_range_with_a_hole_gives_no_interval_and_says_so(tmp_path, harm, note):
    run = ranged(tmp_path, {"gpu": ((900, 90.0), (1040, 130.0)), "node": (None, (980, 140.0))})
    harm(run.folder / "range" / "gpu-high")
    summary = summarise(run)
    tokens = summary.metrics["tokens_count"]
    assert (tokens.value, tokens.low, tokens.high) == (1e9, None, None)
    assert tokens.basis == "simulated; low and high not known, 3 of 4 runs of the range are done"
    assert summary.variations[1].note.startswith(note)
    assert summary.variations[1].values == {}
    assert summary.waterfall == summarise(run_of(tmp_path / "alone", 1000)).waterfall


def _mark(folder, **facts):
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.mark.parametrize("text", ["", "[]", '{"runs": [{"group": "gpu"}]}', '{"runs": 5}'])
def test_a_list_that_is_none_is_refused(tmp_path, text):
    run = ranged(tmp_path, {"gpu": (None, None)})
    path = run.folder / "range" / "range.json"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        summarise(Run(run.folder))
    assert str(error.value) == f"{path}: not the list of the runs of a range"


def test_a_number_that_one_run_does_not_have_has_no_interval(tmp_path):
    run = run_of(tmp_path / "run", 1000, failures=2)
    write_list(run.folder, [Variation("gpu", "low", "", {})])
    run_of(run.folder / "range" / "gpu-low", 900)
    metrics = summarise(run).metrics
    assert metrics["mtbf_s"].basis == "simulated; low and high not known, nor is it at gpu-low"
    assert metrics["interruption_count"][2:4] == (0.0, 2.0)


@pytest.mark.parametrize(
    ("name", "value", "ends", "wanted"),
    [
        ("goodput_frac", 0.9, (0.99, 0.99), 1.0),
        ("pue", 1.05, (1.01, 1.01), 1.0),
        ("interruption_count", 3.0, (0.0, 0.0), 0.0),
        ("gpu_temp_c_max", 5.0, (-2.0, -2.0), 5 - 7 * sqrt(2)),
    ],
)
def test_an_interval_stays_within_what_can_be(name, value, ends, wanted):
    variations = [
        Variation(group, "low", "", {name: end}) for group, end in zip("ab", ends, strict=True)
    ]
    low, high, _ = bounds(name, value, variations)
    assert (high if ends[0] > value else low) == pytest.approx(wanted)
