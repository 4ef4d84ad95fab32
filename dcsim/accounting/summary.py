"""The headline numbers of a run, from its trace alone."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from dcsim.accounting.causes import Cause, interruption_causes
from dcsim.accounting.losses import Largest, largest, losses
from dcsim.accounting.metrics import DEFINITIONS
from dcsim.accounting.once import once
from dcsim.accounting.plant import Plant, read_plant
from dcsim.accounting.ranges import Values, Variation, bounds, read_variations
from dcsim.accounting.segments import Array, Jobs, Segments, read_jobs, read_segments
from dcsim.accounting.warnings import Alarm, read_warnings
from dcsim.accounting.waterfall import WATERFALL, Share, wall_time_by_place, waterfall
from dcsim.scenario.record import METRICS
from dcsim.trace import Run, write_atomically

PUBLISHED_GPUS_COUNT = 16_384
"""Largest job whose interruptions and goodput are published; beyond it, it is extrapolation."""

NAMES = (*METRICS, "duration_s", "gpus_count")
NOT_GIVEN, NOT_RECORDED = "not given", "not recorded"
_DAY_S = 86_400.0
_PRODUCTIVE = [
    WATERFALL.index(name)
    for name in (
        *("useful", "kernel_efficiency", "exposed_communication", "pipeline_bubble", "slow_gpus"),
        *("throttling", "power_cap", "degraded_network"),
    )
]


class Metric(NamedTuple):
    """One number: value and interval in `unit`, and what it rests on; None is not known."""

    value: float | None
    unit: str
    low: float | None
    high: float | None
    basis: str


class Summary(NamedTuple):
    """What a run came to."""

    metrics: Mapping[str, Metric]
    waterfall: list[Share]
    interruption_causes: list[Cause]
    warnings: list[Alarm]
    losses: list[Largest]
    variations: tuple[Variation, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As in `summary.json`: plain dicts and lists."""
        return {
            **{name: metric._asdict() for name, metric in self.metrics.items()},
            "waterfall": [share._asdict() for share in self.waterfall],
            "interruption_causes": [cause._asdict() for cause in self.interruption_causes],
            "losses": [
                {**place._asdict(), "causes": [asdict(loss) for loss in place.causes]}
                for place in self.losses
            ],
            "warnings": [alarm._asdict() for alarm in self.warnings],
            "range": [variation._asdict() for variation in self.variations],
        }


class _Work(NamedTuple):
    """What the jobs did."""

    interruption_count: float
    goodput_frac: float | None = None
    ettr_frac: float | None = None
    mfu_frac: float | None = None
    hfu_frac: float | None = None
    step_time_s: float | None = None
    tokens_count: float | None = None
    tokens_per_day: float | None = None
    days_to_target: float | None = None
    mtbf_s: float | None = None


@once
def summarise(run: Run) -> Summary:
    """Read a run folder and account for it.

    Raises:
        InputError: the run folder cannot be read.
        InvariantError: the trace contradicts itself.
    """
    jobs, segments = read_jobs(run), read_segments(run)
    places_ns = wall_time_by_place(segments)
    causes = interruption_causes(run)
    values = _values(run, jobs, segments, places_ns, sum(cause.value for cause in causes))
    variations = read_variations(run, values, _headline)
    published = jobs.gpus_count.max(initial=0) <= PUBLISHED_GPUS_COUNT
    basis = "simulated" if published else "extrapolated"
    metrics = {name: _metric(name, values[name], basis, variations) for name in NAMES}
    shares = waterfall(run, jobs, segments, places_ns)
    return Summary(metrics, shares, causes, read_warnings(run), largest(losses(run)), variations)


def _headline(run: Run) -> Values:
    """Return the headline numbers of a run alone."""
    jobs, segments = read_jobs(run), read_segments(run)
    count = sum(cause.value for cause in interruption_causes(run))
    return _values(run, jobs, segments, wall_time_by_place(segments), count)


def _values(
    run: Run, jobs: Jobs, segments: Segments, places_ns: Array, interruption_count: int
) -> Values:
    work = _work(jobs, segments, places_ns, interruption_count)
    plant = read_plant(run)
    return {
        **work._asdict(),
        **plant._asdict(),
        "usd_per_mtoken": _usd_per_mtoken(plant, work),
        "duration_s": run.end_ns * 1e-9,
        "gpus_count": int(run.columns("dim_site")["gpus_count"].sum()),
    }


def write_summary(run: Run) -> Summary:
    """Summarise *run* and write its `summary.json`; raises as `summarise`."""
    summary = summarise(run)
    text = json.dumps(summary.as_dict(), indent=1, allow_nan=False) + "\n"
    write_atomically(run.folder / "summary.json", text)
    return summary


def _metric(
    name: str, value: float | None, basis: str, variations: tuple[Variation, ...]
) -> Metric:
    low, high, how = bounds(name, value, variations)
    if value is None:
        basis = NOT_RECORDED if name == "hfu_frac" else NOT_GIVEN
    return Metric(value, DEFINITIONS[name].unit, low, high, "; ".join(filter(None, (basis, how))))


def _work(jobs: Jobs, segments: Segments, places_ns: Array, interruption_count: int) -> _Work:
    """Goodput, MFU and tokens; GPU-time weights several jobs, and tokens add up."""
    place = jobs.place(segments.job_id)
    wall_s = _wall_s(jobs, segments, place, ("queued", "done"))
    if not wall_s.any():
        return _Work(interruption_count)
    since_arrival_s = np.where(wall_s > 0, _wall_s(jobs, segments, place, ("done",)), 0.0)
    held_s = segments.gpus_count * segments.duration_ns * 1e-9
    productive_ns = segments.gpus_count * places_ns[:, _PRODUCTIVE].sum(axis=1)
    productive_s = float((productive_ns * 1e-9).sum())
    kept = segments.steps - segments.lost_steps
    peak_flop = float((held_s * jobs.gpu_peak_flop_per_s[place]).sum())
    tokens = float((kept * jobs.tokens_per_step[place]).sum())
    tokens_per_day = _tokens_per_day(jobs, wall_s, place, kept)
    return _Work(
        goodput_frac=productive_s / float(jobs.gpus_count @ wall_s),
        ettr_frac=productive_s / float(jobs.gpus_count @ since_arrival_s),
        mfu_frac=_utilisation(kept, jobs.flop_per_step[place], peak_flop),
        hfu_frac=_utilisation(kept, jobs.executed_flop_per_step[place], peak_flop),
        step_time_s=_step_time_s(segments),
        tokens_count=tokens,
        tokens_per_day=tokens_per_day,
        days_to_target=_days_to_target(jobs, tokens_per_day),
        interruption_count=interruption_count,
        mtbf_s=float(wall_s.sum()) / interruption_count if interruption_count else None,
    )


def _utilisation(steps: Array, flop_per_step: Array, peak_flop: float) -> float | None:
    """FLOPs of these steps over the peak, None where one of them is not recorded."""
    flop = float((steps * flop_per_step).sum())
    return None if np.isnan(flop) or not peak_flop else flop / peak_flop


def _wall_s(jobs: Jobs, segments: Segments, place: Array, before: tuple[str, ...]) -> Array:
    """Wall time of each job from when it first left the states *before* to its end [s]."""
    begun = ~np.isin(segments.state, before)
    alive = segments.state != "done"
    first_ns = np.full(jobs.job_id.size, np.iinfo(np.int64).max)
    last_ns = np.zeros(jobs.job_id.size, np.int64)
    np.minimum.at(first_ns, place[begun], segments.t_start_ns[begun])
    np.maximum.at(last_ns, place[alive], segments.t_ns[alive])
    return np.asarray(np.maximum(last_ns - first_ns, 0) * 1e-9)


def _tokens_per_day(jobs: Jobs, wall_s: Array, place: Array, kept: Array) -> float:
    steps = np.bincount(place, weights=kept, minlength=jobs.job_id.size)
    ran = wall_s > 0
    return float((steps[ran] * jobs.tokens_per_step[ran] / wall_s[ran]).sum()) * _DAY_S


def _step_time_s(segments: Segments) -> float | None:
    """Wall time per step while running, checkpoint stalls included; None for several jobs."""
    running = segments.state == "running"
    steps = float(segments.steps[running].sum())
    if np.unique(segments.job_id[running]).size != 1 or not steps:
        return None
    return float(segments.duration_ns[running].sum()) * 1e-9 / steps


def _days_to_target(jobs: Jobs, tokens_per_day: float) -> float | None:
    """Days from the first start to the target at the mean rate of the run; of one job only."""
    if jobs.job_id.size != 1 or np.isnan(jobs.target_tokens_count[0]) or not tokens_per_day:
        return None
    return float(jobs.target_tokens_count[0]) / tokens_per_day


def _usd_per_mtoken(plant: Plant, work: _Work) -> float | None:
    if plant.cost_usd is None or not work.tokens_count:
        return None
    return plant.cost_usd / (work.tokens_count / 1e6)
