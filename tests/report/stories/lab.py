"""A small site written by hand: two racks of two nodes of four GPUs, under one cooling unit."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dcsim.trace import Run, TraceWriter, create_run_folder
from dcsim.trace.schema import EVENT_KIND_ID_OF, JOB_STATE_ID_OF, THING_KIND_ID_OF
from tests.accounting.handmade import filled, site_row

MIN_NS = 60 * 10**9
RACKS, NODES_PER_RACK, GPUS_PER_NODE = 2, 2, 4
PEAK_FLOP_PER_S = 1e15


class Event(NamedTuple):
    """An event; its id is its place in the list, and its cause the place of another."""

    at_min: float
    kind: str
    thing: str = ""  # such as gpu/3; without an index for several
    cause: int = -1
    job: int = -1
    value: float = 0.0
    detail: dict[str, Any] = {}


class Segment(NamedTuple):
    begin_min: float
    end_min: float
    state: str
    cause: int = -1
    steps: float = 0.0
    job: int = 0


class Warmth(NamedTuple):
    """A row of the rack table."""

    at_min: float
    rack: int
    mean_c: float
    max_c: float


def write_lab(
    folder: Path,
    events: Sequence[Event] = (),
    segments: Sequence[Segment] = (),
    *,
    end_min: float = 240,
    jobs: Sequence[str] = ("train",),
    site: str = "lab",
    warmth: Sequence[Warmth] = (),
    power_w: float = 1e4,
    scenario: str = "",
    where: Mapping[str, str] | None = None,
    status: str = "done",
    **facts: Any,
) -> Run:
    """Write a whole run folder and open it; *facts* go into run.json."""
    made = create_run_folder(
        name=folder.name,
        scenario_digest="0" * 64,
        scenario_text=scenario,
        seed=0,
        epoch_ns=0,
        duration_ns=round(end_min * MIN_NS),
        sources=[],
        where=where or {},
        out=folder,
    )
    with TraceWriter(made.traces, epoch_ns=0) as trace:
        _write_site(trace, site)
        for index, name in enumerate(jobs):
            trace.row("dim_job", _job(index, name))
        for index, event in enumerate(events):
            trace.row("events", _event(index, event))
        for segment in segments:
            trace.row("job", _segment(segment))
        for row in warmth:
            trace.row("rack", _warmth(row))
        trace.row("site", site_row(end_min / 60, site_power_w=power_w))
    made.mark(status, end_ns=round(end_min * MIN_NS), **facts)
    return Run(folder)


def _write_site(trace: TraceWriter, name: str) -> None:
    nodes = RACKS * NODES_PER_RACK
    counts = {"gpus_count": nodes * GPUS_PER_NODE, "nodes_count": nodes, "racks_count": RACKS}
    site = {"name": name, "gpu": "h100", "gpu_peak_flop_per_s": PEAK_FLOP_PER_S, **counts}
    trace.row("dim_site", filled("dim_site", **site))
    for rack in range(RACKS):
        on = {"pdu": f"{name}/pdu/{rack}", "ups": f"{name}/ups/0", "cooling_unit": f"{name}/cdu/0"}
        row = filled("dim_rack", rack_id=rack, row=rack, name=f"{name}/rack/{rack}", **on)
        trace.row("dim_rack", row)
    for node in range(nodes):
        place = {"rack_id": node // NODES_PER_RACK, "first_gpu_id": node * GPUS_PER_NODE}
        what = {"name": f"{name}/node/{node}", "gpus_count": GPUS_PER_NODE}
        trace.row("dim_node", filled("dim_node", node_id=node, row=node, **place, **what))


def _job(index: int, name: str) -> dict[str, Any]:
    return filled(
        "dim_job",
        job_id=index,
        name=name,
        gpus_count=8,
        tokens_per_step=1e6,
        flop_per_step=1e15,
        gpu_peak_flop_per_s=PEAK_FLOP_PER_S,
        target_tokens_count=float("nan"),
    )


def _event(index: int, event: Event) -> dict[str, Any]:
    kind, _, row = event.thing.partition("/")
    return filled(
        "events",
        event_id=index,
        t_ns=round(event.at_min * MIN_NS),
        cause_id=event.cause,
        event_kind_id=EVENT_KIND_ID_OF[event.kind],
        site_id=0,
        thing_kind_id=THING_KIND_ID_OF[kind] if kind else -1,
        row=int(row) if row else -1,
        job_id=event.job,
        value=event.value,
        detail=json.dumps(event.detail) if event.detail else "",
    )


def _segment(segment: Segment) -> dict[str, Any]:
    length_s = (segment.end_min - segment.begin_min) * 60
    return filled(
        "job",
        job_id=segment.job,
        t_start_ns=round(segment.begin_min * MIN_NS),
        t_ns=round(segment.end_min * MIN_NS),
        job_state_id=JOB_STATE_ID_OF[segment.state],
        cause_id=segment.cause,
        gpus_allocated_count=8,
        steps=segment.steps,
        useful_s=length_s if segment.state == "running" else 0.0,
    )


def _warmth(row: Warmth) -> dict[str, Any]:
    return filled(
        "rack",
        t_ns=round(row.at_min * MIN_NS),
        rack_id=row.rack,
        temp_c_mean=row.mean_c,
        temp_c_max=row.max_c,
        power_w=5000,
    )
