"""Who gets which nodes: first come first served, whole racks first."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcsim.contract import Fact
from dcsim.processes.jobs import JobLife
from dcsim.processes.plan import JobPlan
from dcsim.world import Site
from dcsim.world.tables import I32

Make = Callable[[Site, JobPlan], JobLife]


class Scheduler:
    """Places jobs, replaces lost nodes, keeps spares free for those that asked for them.

    A job takes its nodes from racks that are free as a whole, in the order of racks, then from
    the others; replacements the other way round, so that whole racks stay whole. Jobs do not
    overtake each other: what a placed job misses is kept from those that queue. A spare that took a
    lost node's seat is there again when that node is.
    """

    def __init__(
        self, sites: Mapping[str, Site], plans: list[dict[str, JobPlan]], make: Make
    ) -> None:
        self._sites = sites
        self._plans = plans
        self._make = make
        self._queue: list[int] = []
        self._asking: list[JobLife] = []
        self.jobs: list[JobLife] = []
        self._owner, self._lost_by = (
            {name: np.full(len(site.node.up), -1, np.int32) for name, site in sites.items()}
            for _ in range(2)
        )

    def submit(self, job: int) -> None:
        """Queue a job."""
        self._queue.append(job)
        self._place_next()

    def tell(self, site: Site, row: int, fact: Fact) -> None:
        """Take what a node says: lost, crashed, back."""
        if fact.kind == "back":
            self._lost_by[site.name][row] = -1
            self._move_on()
            return
        job = self._job_on(site, row)
        if job is None:
            return
        why, event, more = fact.payload
        kind = {"lost": "node_lost", "crashed": "crashed"}[fact.kind]
        if why == "maintenance":
            kind = "drain"
        if fact.kind == "lost":
            self._owner[site.name][row] = -1
            self._lost_by[site.name][row] = job.plan.job
        job.inbox.put(Fact(kind, "node", row, (why, event, more.get("u"))))

    def ask(self, job: JobLife) -> None:
        """A job asks for replacements of its missing nodes; it waits until all can be given."""
        if job not in self._asking:
            self._asking.append(job)
        self._serve()

    def withdraw(self, job: JobLife) -> None:
        """A job no longer waits."""
        if job in self._asking:
            self._asking.remove(job)

    def release(self, job: JobLife, nodes: list[int]) -> None:
        """A job does not need these nodes after all."""
        owner = self._owner[job.site_name]
        for node in nodes:
            if owner[node] == job.plan.job:
                owner[node] = -1
        if nodes:
            self._move_on()

    def give_back(self, job: JobLife) -> None:
        """A job is over: its nodes are free, its spares no longer held."""
        for nodes in (self._owner[job.site_name], self._lost_by[job.site_name]):
            nodes[nodes == job.plan.job] = -1
        self.jobs.remove(job)
        self._move_on()

    def one_node_each(self, site: Site, rows: NDArray[np.integer[Any]]) -> list[int]:
        """Return the first of *rows* that each job holds."""
        held = rows[self._owner[site.name][rows] >= 0]
        _, first = np.unique(self._owner[site.name][held], return_index=True)
        return [int(row) for row in held[first]]

    def allocated_count(self, site: Site) -> int:
        """Return how many nodes of *site* jobs hold."""
        return int((self._owner[site.name] >= 0).sum())

    def goodput_frac(self, now_ns: int) -> float | None:
        """Return useful over wall time since their start, mean over jobs; None before any."""
        shares = [share for job in self.jobs if (share := job.goodput_frac(now_ns)) is not None]
        return sum(shares) / len(shares) if shares else None

    def _job_on(self, site: Site, row: int) -> JobLife | None:
        index = self._owner[site.name][row]
        return next((job for job in self.jobs if job.plan.job == index), None)

    def _free(self, site: Site, *, whole_first: bool) -> I32:
        """Return the nodes that are up and nobody's, whole free racks first or last."""
        usable = site.node.up & site.node.reachable & (self._owner[site.name] < 0)
        rows = np.flatnonzero(usable).astype(np.int32)
        racks = site.node.rack
        size = np.bincount(racks, minlength=len(site.rack.pdu))
        whole = np.bincount(racks[rows], minlength=len(size)) == size
        return rows[np.argsort(whole[racks[rows]] != whole_first, kind="stable")]

    def _spares_count(self, site: Site, but: JobLife | None = None) -> int:
        """Return how many free nodes are kept as spares of jobs, without those of *but*."""
        lost_by = self._lost_by[site.name]
        used = np.bincount(lost_by[lost_by >= 0], minlength=len(self._plans))
        return sum(
            max(0, job.plan.spares_count - int(used[job.plan.job]))
            for job in self.jobs
            if job.site_name == site.name and job is not but
        )

    def _missing_count(self, site: Site) -> int:
        """Return how many nodes the jobs of *site* hold less than they need."""
        need = sum(job.plan.nodes_count for job in self.jobs if job.site_name == site.name)
        return need - self.allocated_count(site)

    def _move_on(self) -> None:
        self._serve()
        self._place_next()

    def _serve(self) -> None:
        for job in list(self._asking):
            site = self._sites[job.site_name]
            free = self._free(site, whole_first=False)
            if len(job.empty) <= max(0, len(free) - self._spares_count(site, job)):
                self._asking.remove(job)
                granted = [int(row) for row in free[: len(job.empty)]]
                self._owner[job.site_name][granted] = job.plan.job
                job.inbox.put(Fact("granted", "job", job.plan.job, granted))

    def _place_next(self) -> None:
        while self._queue and self._place(self._queue[0]):
            self._queue.pop(0)

    def _place(self, index: int) -> bool:
        for name, plan in self._plans[index].items():
            site = self._sites[name]
            free = self._free(site, whole_first=True)
            kept = self._spares_count(site) + self._missing_count(site)
            if len(free) >= plan.nodes_count + plan.spares_count + kept:
                nodes = free[: plan.nodes_count].copy()
                self._owner[name][nodes] = index
                job = self._make(site, plan)
                self.jobs.append(job)
                job.inbox.put(Fact("placed", "job", index, nodes))
                return True
        return False
