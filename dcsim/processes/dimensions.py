"""What exists, written once at the start of a trace, and how large the trace may become."""

from itertools import accumulate

import numpy as np

from dcsim.errors import ScenarioError
from dcsim.inputs.records import ns
from dcsim.processes.plan import JobPlan
from dcsim.scenario import Scenario
from dcsim.trace import TraceWriter
from dcsim.trace.schema import TABLES
from dcsim.units import show
from dcsim.workload.checkpoint import checkpoint_byte
from dcsim.world import Site, World, name_of


def write_dimensions(trace: TraceWriter, world: World) -> None:
    """Write the rows of dim_site, dim_rack and dim_node."""
    sites = list(world.sites.values())
    racks = [0, *accumulate(len(site.rack.pdu) for site in sites)]
    nodes = [0, *accumulate(len(site.node.rack) for site in sites)]
    gpus = [0, *accumulate(len(site.gpu.temp_c) for site in sites)]
    for site, first_rack, first_node, first_gpu in zip(sites, racks, nodes, gpus, strict=False):
        _write_site(trace, site)
        _write_racks(trace, site, first_rack)
        _write_nodes(trace, site, first_rack, first_node, first_gpu)
    trace.flush()


def _write_site(trace: TraceWriter, site: Site) -> None:
    price = site.ask.price
    trace.row(
        "dim_site",
        {
            "site_id": site.index,
            "name": site.name,
            "gpu": site.sheets["gpu"].name,
            "gpus_count": site.counts["gpu"],
            "nodes_count": site.counts["node"],
            "racks_count": site.counts["rack"],
            "gpu_peak_flop_per_s": site.sheets["gpu"]["peak_bf16_flop_per_s"],
            "price_usd_per_kwh": _or_nan(None if price is None else price.usd_per_kwh),
            "co2_g_per_kwh": _or_nan(None if price is None else price.co2_g_per_kwh),
        },
    )


def _write_racks(trace: TraceWriter, site: Site, first: int) -> None:
    rows = np.arange(len(site.rack.pdu))
    trace.rows(
        "dim_rack",
        {
            "rack_id": first + rows,
            "site_id": site.index,
            "row": rows,
            "name": _names(site, "rack", rows),
            "pdu": _names(site, "pdu", site.rack.pdu),
            "ups": _names(site, "ups", site.pdu.ups[site.rack.pdu]),
            "cooling_unit": _names(site, site.unit_kind, site.rack.unit),
        },
    )


def _write_nodes(
    trace: TraceWriter, site: Site, first_rack: int, first: int, first_gpu: int
) -> None:
    rows = np.arange(len(site.node.rack))
    trace.rows(
        "dim_node",
        {
            "node_id": first + rows,
            "site_id": site.index,
            "row": rows,
            "name": _names(site, "node", rows),
            "rack_id": first_rack + site.node.rack,
            "first_gpu_id": first_gpu + rows * site.gpus_per_node,
            "gpus_count": np.full(len(rows), site.gpus_per_node),
        },
    )


def write_job(trace: TraceWriter, world: World, plan: JobPlan, site: Site | None) -> None:
    """Write the row of dim_job of a job at the site where it runs, None if it was never placed."""
    job = world.scenario.jobs[plan.job]
    local, remote = plan.checkpoints
    trace.row(
        "dim_job",
        {
            "job_id": plan.job,
            "name": job.name,
            "site_id": -1 if site is None else site.index,
            "model": job.model if isinstance(job.model, str) else "described in the scenario",
            "gpus_count": plan.layout.gpus_count,
            "tp_count": plan.layout.tp,
            "pp_count": plan.layout.pp,
            "dp_count": plan.layout.dp,
            "arrive_ns": ns(job.arrive_s),
            "tokens_per_step": plan.tokens_per_step,
            "flop_per_step": plan.flop_per_step,
            "executed_flop_per_step": plan.executed_flop_per_step,
            "gpu_peak_flop_per_s": plan.gpu_peak_flop_per_s,
            "target_tokens_count": _or_nan(None if job.target is None else job.target.tokens),
            **{f"{name}_per_step": value for name, value in plan.traffic._asdict().items()},
            "checkpoint_byte": checkpoint_byte(plan.model),
            "local_interval_s": _or_nan(None if local is None else local.interval_s),
            "remote_interval_s": _or_nan(remote.interval_s),
        },
    )


def trace_byte(scenario: Scenario, world: World) -> float:
    """Return the most that the sampled tables of a run take on disk."""
    record, total = scenario.record, 0.0
    for site in world.sites.values():
        samples = scenario.duration_s / record.rack_every_s
        total += samples * site.counts["rack"] * TABLES["rack"].row_byte
        total += scenario.duration_s / record.site_every_s * TABLES["site"].row_byte
        if record.gpus == "always":
            snapshots = scenario.duration_s / record.gpu_every_s
            total += snapshots * site.counts["gpu"] * TABLES["gpu"].row_byte
    return total


def check_size(scenario: Scenario, world: World) -> None:
    """Raise ScenarioError if the trace may exceed the budget of the scenario."""
    size, budget = trace_byte(scenario, world), scenario.record.max_trace_byte
    if size > budget:
        reason = f"the trace may take {show(size, 'byte')} of {show(budget, 'byte')}: "
        reason += "record less often, or allow more"
        raise ScenarioError(scenario.problem("record.max_trace", reason))


def _names(site: Site, kind: str, rows: object) -> list[str]:
    return [name_of(site, kind, row) for row in np.asarray(rows).tolist()]


def _or_nan(value: float | None) -> float:
    """Return *value*, NaN (null in the trace) for none or for ever."""
    return float("nan") if value is None or np.isinf(value) else float(value)
