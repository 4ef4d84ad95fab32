import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsim.accounting.segments import Jobs, Segments, Taken, read_segments
from dcsim.accounting.waterfall import (
    PLACE_OF_STATE,
    WATERFALL,
    wall_time_by_place,
    waterfall,
)
from dcsim.trace.schema import FACTORS, JOB_STATES
from tests.accounting.handmade import Job, Site, running, write_run

DAY_NS = 86_400 * 10**9


def only_job(gpus, peak):
    values = (0, gpus, 1.0, 1.0, peak, np.nan, "job-0", 0, np.nan)
    return Jobs(*(np.array([value]) for value in values))


@st.composite
def histories(draw):
    """Segments of one job, end to end, with arbitrary factors and losses."""
    count = draw(st.integers(1, 30))
    lengths = draw(st.lists(st.integers(0, 100 * DAY_NS), min_size=count, max_size=count))
    ends_ns = np.cumsum(lengths, dtype=np.int64)
    state = np.array(
        draw(st.lists(st.sampled_from(JOB_STATES), min_size=count, max_size=count)), dtype="U24"
    )
    weights = np.array(
        draw(
            st.lists(
                st.lists(st.floats(0, 1), min_size=len(FACTORS), max_size=len(FACTORS)),
                min_size=count,
                max_size=count,
            )
        )
    )
    weights[:, 0] += 1e-3
    duration_ns = np.array(lengths)
    factors_s = weights / weights.sum(axis=1)[:, None] * duration_ns[:, None] * 1e-9
    steps = np.array(draw(st.lists(st.floats(0, 1e9), min_size=count, max_size=count)))
    lost = np.array(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))
    gpus = draw(st.lists(st.integers(0, 3_500_000), min_size=count, max_size=count))
    return Segments(
        job_id=np.zeros(count, np.int32),
        t_start_ns=ends_ns - duration_ns,
        t_ns=ends_ns,
        state=state,
        gpus_count=np.where(np.isin(state, ("queued", "done")), 0, gpus).astype(np.int64),
        steps=steps,
        lost_steps=steps * lost,
        factors_s=factors_s,
        cause_id=np.full(count, -1),
        taken=Taken(*np.zeros((3, 0), np.int64)),
    )


def test_every_state_has_a_place():
    assert set(PLACE_OF_STATE) == set(JOB_STATES) - {"running"}
    assert set(PLACE_OF_STATE.values()) < set(WATERFALL)


@given(histories())
def test_each_segment_is_in_its_places_to_the_nanosecond(segments):
    places_ns = wall_time_by_place(segments)
    assert places_ns.min() >= 0
    assert (places_ns.sum(axis=1) == segments.duration_ns).all()


@given(histories())
def test_places_follow_factors_and_losses(segments):
    places_ns = wall_time_by_place(segments)
    running = segments.state == "running"
    kept = 1 - segments.lost_steps / np.where(segments.steps > 0, segments.steps, 1)
    for index, factor in enumerate(FACTORS):
        place = WATERFALL.index(factor.name[:-2])
        expected_ns = segments.factors_s[running, index] * 1e9 * kept[running]
        slack_ns = 4 + 1e-9 * segments.duration_ns[running]
        assert (np.abs(places_ns[running, place] - expected_ns) <= slack_ns).all()


class _OneSite:
    """What the waterfall asks of a run."""

    def __init__(self, gpus, peak, end_ns):
        self.end_ns = end_ns
        self._site = {"gpus_count": np.array([gpus]), "gpu_peak_flop_per_s": np.array([peak])}

    def columns(self, name):
        assert name == "dim_site"
        return self._site


@given(histories())
@settings(max_examples=50)
def test_shares_sum_to_one_and_are_exact_gpu_time(segments):
    end_ns = int(segments.t_ns[-1]) + 1
    gpus = 3_500_000
    run = _OneSite(gpus, 989e12, end_ns)
    jobs = only_job(gpus, 989e12)
    places_ns = wall_time_by_place(segments)
    shares = {share.name: share.value for share in waterfall(run, jobs, segments, places_ns)}
    assert tuple(shares) == WATERFALL
    assert abs(math.fsum(shares.values()) - 1) < 1e-9
    for index, name in enumerate(WATERFALL[1:], start=1):
        rows = zip(segments.gpus_count.tolist(), places_ns[:, index].tolist(), strict=True)
        assert shares[name] == sum(g * ns for g, ns in rows) / (gpus * end_ns)


def test_gpu_time_beyond_int64(tmp_path):
    gpus = 3_500_000
    hours = 24 * 365 * 10.0
    run = write_run(
        tmp_path / "run",
        end_h=hours,
        sites=[Site(gpus)],
        jobs=[Job(gpus)],
        segments=[running(0, hours, gpus, 1e9)],
    )
    segments = read_segments(run)
    jobs = only_job(gpus, 1e15)
    shares = waterfall(run, jobs, segments, wall_time_by_place(segments))
    assert dict(shares)["useful"] == 1.0
