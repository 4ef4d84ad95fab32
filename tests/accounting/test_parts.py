import math

import numpy as np
import pytest
from hypothesis import given

from dcsim.accounting import summarise
from dcsim.accounting.parts import DAY_NS, cut_by_day, waterfall_by
from dcsim.accounting.waterfall import WATERFALL, wall_time_by_place
from dcsim.errors import InvariantError
from tests.accounting.handmade import Job, Segment, Site, running, write_run
from tests.accounting.storms import storm
from tests.accounting.test_waterfall import histories


def values(shares):
    assert tuple(share.name for share in shares) == WATERFALL
    assert math.fsum(share.value for share in shares) == pytest.approx(1, abs=1e-12)
    assert min(share.value for share in shares) >= 0
    return np.array([share.value for share in shares])


@given(histories())
def test_pieces_fill_their_days_and_make_up_their_segment(segments):
    places_ns = wall_time_by_place(segments)
    rows, day, wall_ns = cut_by_day(segments, places_ns)
    assert wall_ns.min() >= 0
    whole = np.zeros_like(places_ns)
    np.add.at(whole, rows, wall_ns)
    assert (whole == places_ns).all()
    begin_ns = np.maximum(segments.t_start_ns[rows], day * DAY_NS)
    end_ns = np.minimum(segments.t_ns[rows], (day + 1) * DAY_NS)
    assert (wall_ns.sum(axis=1) == end_ns - begin_ns).all()


@given(histories())
def test_a_place_is_spread_evenly_over_the_days_of_its_segment(segments):
    places_ns = wall_time_by_place(segments)
    rows, _, wall_ns = cut_by_day(segments, places_ns)
    length_ns = segments.duration_ns[rows]
    part = wall_ns.sum(axis=1) / np.where(length_ns > 0, length_ns, 1)
    slack_ns = len(WATERFALL) + 1e-12 * length_ns
    assert (np.abs(wall_ns - part[:, None] * places_ns[rows]) <= slack_ns[:, None]).all()


@pytest.mark.parametrize("seed", range(6))
def test_days_sites_and_jobs_make_up_the_whole(tmp_path, seed):
    run = storm(tmp_path / "run", seed)
    whole = np.array([share.value for share in summarise(run).waterfall])
    days = waterfall_by(run, "day")
    assert list(days) == ["0", "1", "2", "3"]
    lengths = np.array([24, 24, 24, 1.7])
    of_days = np.array([values(shares) for shares in days.values()])
    assert lengths @ of_days / lengths.sum() == pytest.approx(whole, abs=1e-12)
    sites = waterfall_by(run, "site")
    assert list(sites) == ["site-0", "site-1"]
    of_sites = np.array([values(shares) for shares in sites.values()])
    assert np.array([16, 32]) @ of_sites / 48 == pytest.approx(whole, abs=1e-14)
    jobs = waterfall_by(run, "job")
    assert list(jobs) == ["job-0", "job-1", "job-2"]
    of_jobs = np.array([values(shares) for shares in jobs.values()])
    held = [held_h(run, job) for job in range(3)]
    assert (np.array(held) @ of_jobs / (48 * 73.7))[1:] == pytest.approx(whole[1:], abs=1e-12)
    assert not of_jobs[:, 0].any()


def held_h(run, job):
    table = run.columns("job")
    rows = table["job_id"] == job
    hours = (table["t_ns"] - table["t_start_ns"])[rows] / 3.6e12
    return float(hours @ table["gpus_allocated_count"][rows])


def test_a_day_has_only_what_happened_in_it(tmp_path):
    segments = [
        Segment(0, 6, "queued"),
        Segment(6, 12, "starting", 16),
        running(12, 36, 16, 10, power_cap=12),
        Segment(36, 42, "detecting", 16),
    ]
    run = write_run(tmp_path / "run", end_h=60, sites=[Site(32)], jobs=[Job(16)], segments=segments)
    days = {day: dict(shares) for day, shares in waterfall_by(run, "day").items()}
    assert days["0"]["restart"] == 6 * 16 / (24 * 32)
    assert days["0"]["power_cap"] == 6 * 16 / (24 * 32)
    assert days["1"]["useful"] == 6 * 16 / (24 * 32)
    assert days["1"]["detection"] == 6 * 16 / (24 * 32)
    assert days["1"]["restart"] == 0
    assert days["2"]["not_allocated"] == 1


def test_a_job_that_never_ran_held_nothing(tmp_path):
    run = write_run(
        tmp_path / "run",
        end_h=2,
        jobs=[Job(16), Job(16, site=-1)],
        segments=[running(0, 2, 16, 10, slow_gpus=1), Segment(0, 2, "queued", job=1)],
    )
    jobs = {job: dict(shares) for job, shares in waterfall_by(run, "job").items()}
    assert jobs["job-0"]["slow_gpus"] == 0.5
    assert jobs["job-1"]["not_allocated"] == 1


def test_without_jobs_nothing_is_held(tmp_path):
    run = write_run(tmp_path / "run", end_h=30, sites=[Site(16), Site(8)])
    assert waterfall_by(run, "job") == {}
    for by, keys in (("site", ["site-0", "site-1"]), ("day", ["0", "1"])):
        found = waterfall_by(run, by)
        assert list(found) == keys
        assert all(dict(shares)["not_allocated"] == 1 for shares in found.values())


def test_no_time_has_no_days(tmp_path):
    assert waterfall_by(write_run(tmp_path / "run", end_h=0), "day") == {}


def test_days_of_a_run_beyond_int64(tmp_path):
    gpus, hours = 3_500_000, 24 * 365 * 10.0
    segments = [running(0, hours, gpus, 1e9, power_cap=hours / 3)]
    run = write_run(
        tmp_path / "run", end_h=hours, sites=[Site(gpus)], jobs=[Job(gpus)], segments=segments
    )
    days = waterfall_by(run, "day")
    assert len(days) == 3650
    for shares in days.values():
        assert values(shares)[WATERFALL.index("power_cap")] == pytest.approx(1 / 3, abs=1e-12)


def test_more_than_a_site_has_is_our_fault(tmp_path):
    run = write_run(
        tmp_path / "run",
        end_h=1,
        sites=[Site(8), Site(16)],
        jobs=[Job(16)],
        segments=[running(0, 1, 16, 1)],
    )
    with pytest.raises(InvariantError, match="more than there are"):
        waterfall_by(run, "site")


def test_other_parts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="by 'rack': allowed job, site, day"):
        waterfall_by(write_run(tmp_path / "run", end_h=1), "rack")
