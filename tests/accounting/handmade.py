"""Small traces written by hand, whose accounts are known."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dcsim.trace import Run, TraceWriter, create_run_folder
from dcsim.trace.schema import (
    EVENT_KIND_ID_OF,
    FACTORS,
    HISTOGRAM_BINS,
    JOB_STATE_ID_OF,
    SITE,
    TABLES,
    THING_KIND_ID_OF,
)

HOUR_NS = 3600 * 10**9
PEAK_FLOP_PER_S = 1e15


class Segment(NamedTuple):
    """A segment of a job; times in hours, factors in hours by name without `_s`."""

    begin_h: float
    end_h: float
    state: str
    gpus: int = 0
    steps: float = 0.0
    factors_h: dict[str, float] = {}
    job: int = 0
    cause: int = -1


class Event(NamedTuple):
    """An event; its id is its place in the list."""

    at_h: float
    kind: str
    value: float = 0.0
    cause: int = -1
    detail: dict[str, Any] = {}
    job: int = 0
    thing: str = "job"
    row: int = -1
    site: int = 0


class Job(NamedTuple):
    gpus: int
    target_tokens: float = float("nan")
    tokens_per_step: float = 1e6
    flop_per_step: float = 1e15
    site: int = 0


class Site(NamedTuple):
    gpus: int
    price: float = float("nan")
    co2: float = float("nan")
    gpu: str = "h100"


def running(
    begin_h: float,
    end_h: float,
    gpus: int,
    steps: float,
    job: int = 0,
    cause: int = -1,
    **factors: float,
):
    """A running segment; what its factors leave over is useful."""
    factors["useful"] = end_h - begin_h - sum(factors.values())
    return Segment(begin_h, end_h, "running", gpus, steps, factors, job, cause)


def write_run(
    folder: Path,
    *,
    end_h: float,
    sites: Sequence[Site] = (Site(16),),
    jobs: Sequence[Job] = (),
    segments: Sequence[Segment] = (),
    events: Sequence[Event] = (),
    site_rows: Sequence[dict[str, Any]] = (),
    status: str = "done",
    scenario: str = "",
) -> Run:
    """Write a whole run folder and open it."""
    run = create_run_folder(
        name="handmade",
        scenario_digest="0" * 64,
        scenario_text=scenario,
        seed=0,
        epoch_ns=0,
        duration_ns=max(round(end_h * HOUR_NS), 1),
        sources=[],
        where={},
        out=folder,
    )
    with TraceWriter(run.traces, epoch_ns=0) as trace:
        for index, site in enumerate(sites):
            trace.row("dim_site", _site(index, site))
        for index, job in enumerate(jobs):
            trace.row("dim_job", _job(index, job))
        for index, event in enumerate(events):
            trace.row("events", _event(index, event if jobs else event._replace(job=-1)))
        for segment in segments:
            trace.row("job", _segment(segment))
        for row in site_rows:
            trace.row("site", site_row(**row))
    run.mark(status, end_ns=round(end_h * HOUR_NS))
    return Run(folder)


def site_row(at_h: float, site: int = 0, hot_c: dict[int, int] | None = None, **values: float):
    """A row of the site table, zero where nothing is said; `hot_c` counts GPUs by degree."""
    row: dict[str, Any] = {column.name: 0 for column in SITE.columns if column.name != "epoch_ns"}
    histogram = np.zeros(HISTOGRAM_BINS, np.int32)
    for degree, count in (hot_c or {}).items():
        histogram[degree] = count
    row |= {"t_ns": round(at_h * HOUR_NS), "site_id": site, "temp_histogram": histogram}
    row["clock_histogram"] = np.zeros(HISTOGRAM_BINS, np.int32)
    return row | values


def filled(table: str, **values: Any) -> dict[str, Any]:
    """A row of a table with zeros or empty text where nothing is said."""
    row = {c.name: "" if str(c.type) == "string" else 0 for c in TABLES[table].columns}
    row.pop("epoch_ns", None)
    return row | values


def _site(index: int, site: Site) -> dict[str, Any]:
    return filled(
        "dim_site",
        site_id=index,
        name=f"site-{index}",
        gpu=site.gpu,
        gpus_count=site.gpus,
        nodes_count=site.gpus // 8,
        gpu_peak_flop_per_s=PEAK_FLOP_PER_S,
        price_usd_per_kwh=site.price,
        co2_g_per_kwh=site.co2,
    )


def _job(index: int, job: Job) -> dict[str, Any]:
    return filled(
        "dim_job",
        job_id=index,
        name=f"job-{index}",
        site_id=job.site,
        gpus_count=job.gpus,
        tokens_per_step=job.tokens_per_step,
        flop_per_step=job.flop_per_step,
        executed_flop_per_step=4 / 3 * job.flop_per_step,
        gpu_peak_flop_per_s=PEAK_FLOP_PER_S,
        target_tokens_count=job.target_tokens,
    )


def _event(index: int, event: Event) -> dict[str, Any]:
    return filled(
        "events",
        event_id=index,
        t_ns=round(event.at_h * HOUR_NS),
        cause_id=event.cause,
        site_id=event.site,
        event_kind_id=EVENT_KIND_ID_OF[event.kind],
        job_id=event.job,
        thing_kind_id=THING_KIND_ID_OF[event.thing],
        row=event.row,
        value=event.value,
        detail=json.dumps(event.detail) if event.detail else "",
    )


def _segment(segment: Segment) -> dict[str, Any]:
    factors = {f.name: segment.factors_h.get(f.name[:-2], 0.0) * 3600 for f in FACTORS}
    return filled(
        "job",
        job_id=segment.job,
        t_start_ns=round(segment.begin_h * HOUR_NS),
        t_ns=round(segment.end_h * HOUR_NS),
        job_state_id=JOB_STATE_ID_OF[segment.state],
        cause_id=segment.cause,
        gpus_allocated_count=segment.gpus,
        steps=segment.steps,
        **factors,
    )
