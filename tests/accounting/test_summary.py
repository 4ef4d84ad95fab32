import json
import math

import pytest

from dcsim.accounting import summarise, write_summary
from dcsim.accounting.waterfall import WATERFALL
from dcsim.errors import InputError, InvariantError
from dcsim.scenario.record import METRICS
from dcsim.trace import Run
from tests.accounting.handmade import Event, Job, Segment, Site, running, write_run

FAILED = {"cause": "gpu-memory"}


def day_with_a_failure(folder, **changes):
    """16 of 32 GPUs, one failure at 12 h that takes back 2 h of work, 1 h until it goes on."""
    parts = {
        "end_h": 24,
        "sites": [Site(32, price=0.1, co2=400)],
        "jobs": [Job(16, target_tokens=3.6e9)],
        "segments": [
            Segment(0, 1, "queued"),
            Segment(1, 2, "starting", 16),
            running(2, 12, 16, 1000, kernel_efficiency=5, checkpoint_stall=1),
            Segment(12, 12.25, "detecting", 16),
            Segment(12.25, 12.5, "waiting_for_nodes", 16),
            Segment(12.5, 13, "restoring", 16),
            running(13, 24, 16, 1000, throttling=5.5),
        ],
        "events": [
            Event(12, "fail", detail=FAILED),
            Event(12, "down", cause=0),
            Event(12, "job_interrupted", value=1, cause=1),
            Event(12, "job_rollback", value=200, cause=2),
        ],
        "site_rows": [
            {
                "at_h": 12,
                "it_power_w": 20e3,
                "loss_power_w": 4e3,
                "site_power_w": 24e3,
                "water_l": 60,
            },
            {
                "at_h": 24,
                "it_power_w": 10e3,
                "cooling_power_w": 2e3,
                "site_power_w": 12e3,
                "water_l": 30,
            },
        ],
    }
    return write_run(folder / "run", **(parts | changes))


def test_part_of_a_step_at_the_end_is_no_work(tmp_path):
    segments = [running(0, 1, 16, 10.0), running(1, 2, 16, 5.75)]
    run = write_run(tmp_path / "run", end_h=2, jobs=[Job(16)], segments=segments)
    summary = summarise(run)
    assert summary.metrics["tokens_count"].value == pytest.approx(15e6)
    assert shares(summary)["lost_work"] == pytest.approx(0.5 * 0.75 / 5.75)


def test_whole_steps_with_a_rounding_error_all_count(tmp_path):
    segments = [running(0, 1, 16, 3e6 - 1e-7)]
    run = write_run(tmp_path / "run", end_h=1, jobs=[Job(16)], segments=segments)
    assert summarise(run).metrics["tokens_count"].value == pytest.approx(3e12, rel=1e-12)


def test_plant_that_protects_itself_and_states_out_of_range_are_warnings(tmp_path):
    hot = {"state": "gpu.temp_c", "low": 0.0, "high": 110.0}
    events = [
        Event(1, "down", detail={"reason": "overload"}, thing="feed", row=0),
        Event(2, "down", detail={"reason": "overload"}, thing="feed", row=1),
        Event(2, "down", detail={"reason": "hot"}, thing="node", row=1),
        Event(3, "out_of_range", 112.0, detail=hot, thing="gpu", row=17),
    ]
    run = write_run(tmp_path / "run", end_h=4, events=events)
    assert [tuple(alarm) for alarm in summarise(run).warnings] == [
        ("site-0/feed/0 went down: overload", 3600 * 10**9, 2),
        ("site-0/gpu/17 gpu.temp_c 112.0 degC, valid 0..110", 3 * 3600 * 10**9, 1),
    ]


def shares(summary):
    return {share.name: share.value for share in summary.waterfall}


def test_waterfall_of_a_day_with_a_failure(tmp_path):
    found = shares(summarise(day_with_a_failure(tmp_path)))
    gpu_h = 32 * 24
    expected = {
        "not_allocated": 16 * 24 + 16 * 1,
        "waiting_for_nodes": 16 * 0.25,
        "detection": 16 * 0.25,
        "restart": 16 * 1.5,
        "lost_work": 16 * 2,
        "checkpoint_stall": 16 * 0.8,
        "kernel_efficiency": 16 * 4,
        "throttling": 16 * 5.5,
        "useful": 16 * (3.2 + 5.5),
    }
    for name, value in found.items():
        assert value == pytest.approx(expected.get(name, 0) / gpu_h, abs=1e-12), name
    assert math.fsum(found.values()) == pytest.approx(1, abs=1e-12)


def test_headline_numbers_of_a_day_with_a_failure(tmp_path):
    metrics = summarise(day_with_a_failure(tmp_path)).metrics
    wall_h = 23
    tokens = 1800 * 1e6
    energy_kwh = 24 * 12 + 12 * 12
    expected = {
        "goodput_frac": (10 - 2 - 0.8 + 11) / wall_h,
        "ettr_frac": (10 - 2 - 0.8 + 11) / 24,
        "mfu_frac": 1800 * 1e15 / (1e15 * 16 * wall_h * 3600),
        "step_time_s": 21 * 3600 / 2000,
        "tokens_count": tokens,
        "tokens_per_day": tokens * 24 / wall_h,
        "days_to_target": 3.6e9 / (tokens * 24 / wall_h),
        "interruption_count": 1,
        "mtbf_s": wall_h * 3600,
        "it_power_w_mean": 15e3,
        "it_power_w_max": 20e3,
        "site_power_w_mean": 18e3,
        "site_power_w_max": 24e3,
        "pue": 1.2,
        "wue_l_per_kwh": 90 / 360,
        "energy_j": energy_kwh * 3.6e6,
        "co2_g": energy_kwh * 400,
        "cost_usd": energy_kwh * 0.1,
        "usd_per_mtoken": energy_kwh * 0.1 / 1800,
        "duration_s": 24 * 3600,
        "gpus_count": 32,
    }
    for name, value in expected.items():
        assert metrics[name].value == pytest.approx(value, rel=1e-12), name
        assert metrics[name].basis == "simulated"


def test_every_metric_is_there_with_a_unit(tmp_path):
    summary = summarise(day_with_a_failure(tmp_path))
    assert set(METRICS) < set(summary.metrics)
    assert all(metric.unit for metric in summary.metrics.values())
    entry = summary.as_dict()["pue"]
    assert entry == {
        "value": pytest.approx(1.2),
        "unit": "1",
        "low": None,
        "high": None,
        "basis": "simulated",
    }
    assert [share["name"] for share in summary.as_dict()["waterfall"]][-1] == "useful"
    assert summary.as_dict()["interruption_causes"] == [{"name": "gpu-memory", "value": 1}]


def test_summary_json_holds_the_summary(tmp_path):
    run = day_with_a_failure(tmp_path)
    summary = write_summary(Run(run.folder))
    read = json.loads((run.folder / "summary.json").read_text())
    assert read == summary.as_dict() == summarise(run).as_dict()
    assert list(read)[: len(METRICS)] == list(METRICS)


def test_parts_below_zero_by_rounding_are_nothing(tmp_path):
    factors = {"useful": 1 + 1e-12, "slow_gpus": -1e-12}
    segments = [Segment(0, 1, "running", 16, 10, factors)]
    run = write_run(tmp_path / "run", end_h=1, jobs=[Job(16)], segments=segments)
    assert shares(summarise(run)) == {name: float(name == "useful") for name in WATERFALL}


def test_what_the_scenario_did_not_give_is_null(tmp_path):
    metrics = summarise(
        day_with_a_failure(tmp_path, sites=[Site(32)], jobs=[Job(16)], events=[])
    ).metrics
    for name in ("co2_g", "cost_usd", "usd_per_mtoken", "days_to_target", "mtbf_s"):
        assert metrics[name].value is None
        assert metrics[name].basis == "not given"
    assert metrics["interruption_count"].value == 0


class OfVersion1(Run):
    """A run of before GPUs' own FLOPs were recorded."""

    def columns(self, name, only=None):
        table = super().columns(name, only)
        table.pop("executed_flop_per_step", None)
        return table


def test_hfu_counts_what_is_computed_again(tmp_path):
    run = day_with_a_failure(tmp_path)
    metrics = summarise(run).metrics
    assert metrics["hfu_frac"].value == pytest.approx(4 / 3 * metrics["mfu_frac"].value, rel=1e-12)
    hfu = summarise(OfVersion1(run.folder)).metrics["hfu_frac"]
    assert (hfu.value, hfu.basis) == (None, "not recorded")


def test_planned_interruptions_do_not_count(tmp_path):
    events = [Event(12, "job_interrupted", value=0), Event(13, "job_interrupted", value=1)]
    assert (
        summarise(day_with_a_failure(tmp_path, events=events)).metrics["interruption_count"].value
        == 1
    )


def test_a_large_job_is_extrapolation(tmp_path):
    for gpus, basis in ((16_384, "simulated"), (16_385, "extrapolated")):
        run = write_run(
            tmp_path / str(gpus),
            end_h=1,
            sites=[Site(20_000)],
            jobs=[Job(gpus)],
            segments=[running(0, 1, gpus, 10)],
        )
        assert summarise(run).metrics["goodput_frac"].basis == basis


def test_a_site_without_jobs(tmp_path):
    summary = summarise(write_run(tmp_path / "run", end_h=1))
    assert shares(summary)["not_allocated"] == 1.0
    assert summary.metrics["goodput_frac"].value is None
    assert summary.metrics["it_power_w_mean"].value is None


def test_temperatures_are_of_gpu_time(tmp_path):
    rows = [
        {"at_h": 0, "hot_c": {90: 100}, "gpus_up_count": 100, "throttled_count": 100},
        {"at_h": 1, "hot_c": {50: 100}, "gpus_up_count": 100, "gpu_temp_c_max": 51.0},
        {
            "at_h": 4,
            "hot_c": {60: 97, 70: 3},
            "gpus_up_count": 100,
            "throttled_count": 4,
            "gpu_temp_c_max": 70.9,
        },
    ]
    metrics = summarise(write_run(tmp_path / "run", end_h=4, site_rows=rows)).metrics
    assert metrics["gpu_temp_c_p50"].value == pytest.approx(60 + (200 - 100) / 291)
    assert metrics["gpu_temp_c_p99"].value == pytest.approx(70 + (396 - 391) / 9)
    assert metrics["gpu_temp_c_max"].value == pytest.approx(70.9, abs=0.01)
    assert metrics["throttled_frac"].value == pytest.approx(3 * 4 / 400)


def test_a_quantile_inside_a_bin_is_not_above_the_hottest(tmp_path):
    row = {"at_h": 1, "hot_c": {60: 100}, "gpus_up_count": 100, "gpu_temp_c_max": 60.25}
    metrics = summarise(write_run(tmp_path / "run", end_h=1, site_rows=[row])).metrics
    assert metrics["gpu_temp_c_p99"].value == metrics["gpu_temp_c_max"].value


def test_no_gpu_up_leaves_temperatures_unknown(tmp_path):
    rows = [{"at_h": 1, "gpu_temp_c_max": float("nan")}]
    metrics = summarise(write_run(tmp_path / "run", end_h=1, site_rows=rows)).metrics
    for name in ("gpu_temp_c_p50", "gpu_temp_c_max", "throttled_frac", "pue"):
        assert metrics[name].value is None


def test_two_sites_add_up(tmp_path):
    rows = [
        {"at_h": at, "site": site, "it_power_w": power, "site_power_w": 1.5 * power}
        for at, powers in ((0.5, (100, 900)), (1, (500, 600)))
        for site, power in enumerate(powers)
    ]
    run = write_run(
        tmp_path / "run",
        end_h=1,
        sites=[Site(8, price=1.0), Site(24, price=3.0)],
        jobs=[Job(8), Job(16, tokens_per_step=2e6)],
        segments=[
            running(0, 1, 8, 10, job=0, slow_gpus=0.5),
            Segment(0, 0.5, "starting", 16, job=1),
            running(0.5, 1, 16, 20, job=1),
        ],
        site_rows=rows,
    )
    summary = summarise(run)
    values = {name: metric.value for name, metric in summary.metrics.items()}
    assert values["it_power_w_max"] == 1100
    assert values["it_power_w_mean"] == 300 + 750
    assert values["cost_usd"] == pytest.approx(1.5 * (0.3 * 1 + 0.75 * 3))
    assert values["goodput_frac"] == pytest.approx((8 + 8) / 24)
    assert values["tokens_per_day"] == pytest.approx(24 * (10e6 + 40e6))
    assert values["step_time_s"] is None
    assert shares(summary)["useful"] == pytest.approx((4 + 8) / 32)
    assert shares(summary)["not_allocated"] == pytest.approx(8 / 32)


def test_a_price_that_one_site_lacks_leaves_cost_unknown(tmp_path):
    rows = [{"at_h": 1, "site": site, "site_power_w": 1.0} for site in (0, 1)]
    run = write_run(tmp_path / "run", end_h=1, sites=[Site(8, price=1.0), Site(8)], site_rows=rows)
    assert summarise(run).metrics["cost_usd"].value is None


def test_rollbacks_take_the_last_steps_that_survive(tmp_path):
    run = write_run(
        tmp_path / "run",
        end_h=4,
        jobs=[Job(16)],
        segments=[
            running(0, 1, 16, 100),
            running(1, 2, 16, 50),
            running(2, 3, 16, 10),
            running(3, 4, 16, 100),
        ],
        events=[
            Event(2, "job_rollback", value=20),
            Event(3, "job_rollback", value=50),
        ],
    )
    summary = summarise(run)
    lost_h = 20 / 50 + 10 / 10 + 30 / 50 + 10 / 100
    assert shares(summary)["lost_work"] == pytest.approx(lost_h / 4, abs=1e-12)
    assert summary.metrics["tokens_count"].value == pytest.approx((260 - 70) * 1e6)


def test_a_rollback_of_more_than_was_done_is_our_fault(tmp_path):
    with pytest.raises(InvariantError, match="a rollback of 1001"):
        summarise(day_with_a_failure(tmp_path, events=[Event(12, "job_rollback", value=1001)]))


@pytest.mark.parametrize("factors", [{"useful": 0.9}, {"useful": 1.1, "slow_gpus": -0.1}])
def test_factors_that_do_not_make_up_a_segment_are_our_fault(tmp_path, factors):
    segments = [Segment(0, 1, "running", 16, 10, factors)]
    with pytest.raises(InvariantError, match="do not make up its length"):
        summarise(day_with_a_failure(tmp_path, segments=segments, events=[]))


def test_more_gpus_than_there_are_is_our_fault(tmp_path):
    with pytest.raises(InvariantError, match="more than there are"):
        summarise(day_with_a_failure(tmp_path, sites=[Site(8)]))


def test_a_segment_of_an_unknown_job_is_named(tmp_path):
    with pytest.raises(InputError, match="job_id = 0: not in dim_job"):
        summarise(day_with_a_failure(tmp_path, jobs=[]))


def test_causes_by_number_then_name(tmp_path):
    events = [
        Event(1, "fault"),
        Event(1, "fail", detail={"cause": "nic"}),
        Event(1, "fail", detail={"cause": "gpu"}),
        *(Event(2, "job_interrupted", value=1, cause=cause) for cause in (2, 0, 1, 2, -1)),
    ]
    causes = summarise(day_with_a_failure(tmp_path, events=events)).interruption_causes
    assert [tuple(cause) for cause in causes] == [
        ("gpu", 2),
        ("job_interrupted", 1),
        ("nic", 1),
        ("scripted fault", 1),
    ]
