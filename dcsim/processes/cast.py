"""The cast of a run: every process of a world, introduced to those it talks to."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from dcsim.contract import Fact, Model
from dcsim.engine import Island, Sim
from dcsim.inputs.records import NS_PER_S, Record, ns
from dcsim.physics.gpu import GpuModel
from dcsim.processes.causes import BROKEN, ENDS, Causes
from dcsim.processes.dimensions import write_job
from dcsim.processes.jobs import JobLife
from dcsim.processes.log import EventLog
from dcsim.processes.nodes import NodeLives
from dcsim.processes.outside import Outside
from dcsim.processes.plan import JobPlan
from dcsim.processes.progress import Progress
from dcsim.processes.recorder import Recorder
from dcsim.processes.scheduler import Scheduler
from dcsim.processes.watch import Watch
from dcsim.scenario.record import REPORT_S
from dcsim.trace import TraceWriter
from dcsim.world import Site, World

Models = Callable[[Site], Sequence[Model]]

WRITABLE = (
    *("gpu.load_frac", "gpu.on_frac", "gpu.ceiling_x", "node.up", "node.busy_frac"),
    *("unit.capacity_frac", "pump.capacity_frac", "cooler.capacity_frac", "chiller.capacity_frac"),
    *("pdu.capacity_frac", "ups.capacity_frac", "feed.capacity_frac"),
    *("net.link_frac", "net.leaf_frac", "net.spine_frac", "net.version"),
    *("weather.dry_bulb_c", "weather.wet_bulb_c"),
    *("weather.dry_bulb_k_per_s", "weather.wet_bulb_k_per_s"),
    *("job.running", "job.stall_s"),
)
"""The columns that processes write through the gate."""

LOGGED = {
    "on_battery": "on_battery",
    "depleted": "depleted",
    "tripped": "down",
    "reset": "up",
    "stopped": "down",
    "restarted": "up",
}
"""Facts of the plant that are events by themselves."""
REASONS = {"tripped": "overload", "stopped": "no facility water"}
"""Why a thing of the plant went down."""


class Cast:
    """Islands, processes and recorders of *world*, ready to run."""

    def __init__(
        self,
        world: World,
        plans: list[dict[str, JobPlan]],
        records: Sequence[Record],
        models: Models,
        trace: TraceWriter,
    ) -> None:
        self.world = world
        self.sites = {name: site.seen() for name, site in world.sites.items()}
        self._trace = trace
        self.islands = {name: _island(site, models(site)) for name, site in world.sites.items()}
        self._unplaced = {of_job[name].job: of_job[name] for of_job in plans for name in of_job}
        self.sim = Sim(list(self.islands.values()), self._deliver)
        self.log = EventLog(trace.row, lambda: self.sim.now_ns)
        self.causes = Causes(lambda: self.sim.now_ns)
        self.scheduler = Scheduler(self.sites, plans, self._make_job)
        self.lives = {
            name: NodeLives(self.sim, self.islands[name], site, self.log, self.scheduler.tell)
            for name, site in self.sites.items()
        }
        job_index = {job.name: index for index, job in enumerate(world.scenario.jobs)}
        self.outside = Outside(
            self.sim,
            self.islands,
            self.sites,
            self.lives,
            self.scheduler,
            self.log,
            self.causes,
            job_index,
            trace.rows,
        )
        self.recorders = self._recorders()
        self.sim.process(self.outside.feed(records))

    def close(self) -> None:
        """Write the last rows of every table, as of now."""
        now_ns = self.sim.now_ns
        for recorder in self.recorders:
            recorder.write_site(now_ns)
        for job in self.scheduler.jobs:
            job.progress.close_segment(now_ns)
        for plan in self._unplaced.values():
            write_job(self._trace, self.world, plan, None)

    def counts(self) -> dict[str, int]:
        """Return how much work the run was: stops, evaluations, events of the heap, instants."""
        return {
            "stops": sum(island.stops_count for island in self.islands.values()),
            "evaluations": sum(island.evaluations_count for island in self.islands.values()),
            "events": self.sim.events_count,
            "instants": self.sim.instants_count,
        }

    def _make_job(self, site: Site, plan: JobPlan) -> JobLife:
        """Begin the life of a job that has a place; its row comes before its segments."""
        del self._unplaced[plan.job]
        write_job(self._trace, self.world, plan, site)
        self._trace.flush()
        arrive_ns = ns(self.world.scenario.jobs[plan.job].arrive_s)
        progress = Progress(site, plan, self._trace.row, arrive_ns)
        job = JobLife(
            self.sim, self.islands[site.name], site, plan, self.log, progress, self.scheduler
        )
        self.sim.process(job.life())
        return job

    def _recorders(self) -> list[Recorder]:
        sites = list(self.sites.values())
        racks = [0, *accumulate(len(site.rack.pdu) for site in sites)]
        gpus = [0, *accumulate(len(site.gpu.temp_c) for site in sites)]
        recorders = []
        for site, first_rack, first_gpu in zip(sites, racks, gpus, strict=False):
            island = self.islands[site.name]
            gpu_model = next((m for m in island.models if isinstance(m, GpuModel)), None)
            if gpu_model is None:
                raise ValueError(f"{site.name}: one of its models must be a GpuModel")
            recorder = Recorder(
                site,
                self.world.scenario.record,
                self._trace,
                gpu_model,
                self.scheduler,
                self.outside,
                first_rack,
                first_gpu,
            )
            island.observers.append(recorder.observe)
            island.observers.append(self._close_running)
            island.observers.append(Watch(site, gpu_model, self.log, self.causes).observe)
            recorders.append(recorder)
        return recorders

    def _close_running(self, now_ns: int, on_grid: bool) -> None:
        """Cut the segments of running jobs at the report grid."""
        if on_grid:
            for job in self.scheduler.jobs:
                if job.state == "running" and self.islands[job.site_name].time_ns == now_ns:
                    job.progress.close_segment(now_ns)

    def _deliver(self, fact: Fact, island: Island) -> None:
        """Hand a fact of physics to the process that it concerns."""
        site = self.sites[island.name]
        lives = self.lives[site.name]
        if fact.kind == "shutdown":
            cause = self.causes.of(site, "gpu", fact.row)
            value = float(fact.payload)
            event = self.log.add("shutdown", site, "gpu", fact.row, because=cause, value=value)
            lives.put(fact.row // site.gpus_per_node, "hold", "hot", event)
        elif fact.table == "rack":
            cause = self.causes.of(site, "rack", fact.row)
            lost = fact.kind == "power_lost"
            event = self.log.add("down" if lost else "up", site, "rack", fact.row, because=cause)
            first, last = site.rack.first_node[fact.row : fact.row + 2].tolist()
            for node in range(first, last):
                lives.put(node, "hold" if lost else "release", "power", event)
        elif fact.kind in ("rails_lost", "rails_back"):
            cause = self.causes.of(site, "node", fact.row)
            kind = "hold" if fact.kind == "rails_lost" else "release"
            lives.put(fact.row, kind, "rails", cause)
        else:
            self._note_plant(site, fact)

    def _note_plant(self, site: Site, fact: Fact) -> None:
        """Log what happens to a thing of the plant; it may be the cause of what follows."""
        if fact.kind in LOGGED:
            thing = site.unit_kind if fact.table == "unit" else fact.table
            cause = self.causes.of(site, thing, fact.row)
            why: dict[str, Any] = {}
            if fact.kind in REASONS:
                why["reason"] = REASONS[fact.kind]
            event = self.log.add(LOGGED[fact.kind], site, thing, fact.row, because=cause, **why)
            if fact.kind not in ENDS and fact.table in BROKEN:
                self.causes.broke(site, fact, event)
        if fact.kind in ENDS and fact.table in BROKEN:
            self.causes.mended(site, fact)


def _island(site: Site, models: Sequence[Model]) -> Island:
    columns: dict[str, Any] = site.columns("state", "mode")
    asked = {name: columns[name] for name in WRITABLE}
    return Island(site.name, site, models, asked, REPORT_S * NS_PER_S)


def pulse(world: World) -> tuple[int, float]:
    """Return how many GPUs are up and what all sites draw [W], for the progress line."""
    sites = world.sites.values()
    up = sum(int(np.count_nonzero(site.node.up)) * site.gpus_per_node for site in sites)
    return up, sum(float(site.meter.site_w[0]) for site in sites)
