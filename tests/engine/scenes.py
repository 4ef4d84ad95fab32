"""Random sites of toys with processes that react to them: one seed, one scene."""

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from dcsim.engine import INPUT, Activity, Fact, Holds, Inbox, Island, Sim
from tests.engine.toys import (
    F64,
    Battery,
    Breakers,
    Coolant,
    Counter,
    Heater,
    Rc,
    S,
    at,
    digest,
    island,
    pair_table,
    put,
)


class MeterTable(NamedTuple):
    work_ns: F64


class Meter(Counter):
    """Integrates the speed of each Rc by itself: what the jobs must have done."""

    reads: Sequence[str] = ("rc_speed_frac",)

    def evaluate(self, world: Any, now_ns: int) -> Holds:
        return super().evaluate(world, now_ns)

    def advance(self, world: Any, dt_s: float) -> None:
        super().advance(world, dt_s)
        world.meter.work_ns[:] += world.rc.speed_frac * (dt_s * S)


class Job:
    """Works at the speed of one Rc, over and over; a trip ends the work, a repair begins anew."""

    def __init__(self, site: "Site", row: int) -> None:
        self.site, self.row = site, row
        self.inbox = Inbox(site.sim)
        self.done_ns: list[float] = []
        self.activity: Activity | None = None
        site.sim.process(self.life())

    def life(self) -> Any:
        self.begin()
        while True:
            fact = yield self.inbox.get()
            self.site.hear(fact)
            if fact.kind == "done":
                self.done_ns.append(self.site.work_ns[self.row])
                self.begin()
            elif fact.kind == "hot":
                self.done_ns.append(self.activity.done_ns(self.site.sim.now_ns))
                self.site.sim.cancel(self.activity)
                self.activity = None
                repair_ns = 40 * S + self.row
                self.site.sim.timer(self.inbox, repair_ns, Fact("repaired", "rc", self.row))
            else:
                put(self.site.sim, self.site.island, "rc.is_tripped", 0, self.row)()
                self.begin()

    def begin(self) -> None:
        speed_frac = self.site.island.world.rc.speed_frac
        self.activity = self.site.sim.start(
            self.site.work_ns[self.row],
            self.inbox,
            Fact("done", "job", self.row),
            lambda: speed_frac[self.row],
            [self.site.island],
        )

    def total_ns(self) -> float:
        now_ns = self.site.sim.now_ns
        return sum(self.done_ns) + (self.activity.done_ns(now_ns) if self.activity else 0.0)


class Site:
    """One island of every toy, its jobs, and the inputs that its seed draws."""

    def __init__(self, name: str, seed: int, step: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.name = name
        self.rows, batteries, breakers = rng.integers(1, 5, 3).tolist()
        self.work_ns = (rng.uniform(1, 400, self.rows) * S).tolist()
        self.capacity_j = rng.uniform(1e4, 3e6, batteries)
        self.inputs = self.draw(rng, batteries)
        tolerance_k = float(rng.choice([0.05, 0.3, 2.0]))
        world = SimpleNamespace(
            battery=Battery.table(self.capacity_j.tolist(), [0.0] * batteries),
            rc=Rc.table(rng.uniform(300, 1100, self.rows).tolist()),
            pair=pair_table(),
            breakers=Breakers.table(1.0, rng.uniform(2, 6, breakers).tolist()),
            meter=MeterTable(np.zeros(self.rows)),
        )
        models = [Battery(), Rc(), Heater(tolerance_k), Coolant(tolerance_k), Breakers(), Meter()]
        self.island = island(name, world, *models[::step], grid_s=int(rng.choice([60, 300])))
        self.facts: list[tuple[int, Fact]] = []

    @staticmethod
    def draw(rng: np.random.Generator, batteries: int) -> list[tuple[int, str, int, float]]:
        """Inputs (time_ns, column, row, value), some at round times, where stops are.

        No two write one column at one time: of those, the order would rightly matter.
        """
        inputs = {}
        for _ in range(int(rng.integers(0, 40))):
            t_ns = int(rng.integers(1, 3000 * S))
            if rng.random() < 0.3:
                t_ns = int(rng.integers(1, 50)) * 60 * S
            column, row, value = [
                ("battery.load_w", int(rng.integers(batteries)), rng.uniform(0, 4000)),
                ("rc.power_w", 0, rng.choice([0.0, 400.0, 900.0, 1300.0])),
                ("rc.ambient_c", slice(None), rng.uniform(10, 40)),
                ("pair.power_w", 0, rng.choice([0.0, 500.0, 800.0])),
                ("breakers.load_w", 0, rng.uniform(0, 6)),
            ][int(rng.integers(5))]
            inputs[t_ns, column] = (t_ns, column, row, float(value))
        return list(inputs.values())

    def open(self, sim: Sim, step: int) -> None:
        """Create every process of the site, in either order."""
        self.sim = sim
        self.desk = Inbox(sim)
        parts = [
            lambda: sim.process(self.watch()),
            self.employ,
            *[
                partial(at, sim, t_ns, put(sim, self.island, column, value, row), INPUT)
                for t_ns, column, row, value in self.inputs
            ],
        ]
        for part in parts[::step]:
            part()

    def employ(self) -> None:
        self.jobs = [Job(self, row) for row in range(self.rows)]

    def watch(self) -> Any:
        """Reset the breakers half a minute after each trip, under a smaller load."""
        while True:
            fact = yield self.desk.get()
            self.hear(fact)
            if fact.kind == "tripped":
                self.sim.timer(self.desk, 30 * S, Fact("reset", "breaker", fact.row))
            elif fact.kind == "reset":
                with self.sim.change("reset", self.island) as edit:
                    edit.put("breakers.load_w", 0, 1.5)
                    edit.put("breakers.is_open", fact.row, 0)

    def hear(self, fact: Fact) -> None:
        self.facts.append((self.sim.now_ns, fact))

    def deliver(self, fact: Fact) -> None:
        (self.jobs[fact.row].inbox if fact.table == "rc" else self.desk).put(fact)


def stage(sites: Sequence[Site], step: int = 1) -> Sim:
    """Sites together in one simulation; *step* of -1 creates everything in reverse."""
    by_name = {site.name: site for site in sites}

    def deliver(fact: Fact, where: Island) -> None:
        by_name[where.name].deliver(fact)

    sim = Sim([site.island for site in sites][::step], deliver)
    for site in sites[::step]:
        site.open(sim, step)
    return sim


def outcome(site: Site) -> tuple[str, list[tuple[int, Fact]], list[float]]:
    """What a site came to: its state, what it heard and when, the work done."""
    return digest(site.island), sorted(site.facts), [job.total_ns() for job in site.jobs]
