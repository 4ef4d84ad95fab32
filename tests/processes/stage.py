"""Small scenarios in a few words, and a cast on a stage without files."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dcsim.inputs.draw import draw_inputs
from dcsim.inputs.records import Fail, Maintenance, Record
from dcsim.physics.site import default_models
from dcsim.processes.cast import Cast
from dcsim.processes.plan import plan_jobs
from dcsim.scenario import Scenario, loads
from dcsim.simulation import things
from dcsim.trace.schema import EVENT_KINDS, JOB_STATES, THING_KINDS
from dcsim.world import build

S = 1_000_000_000
MIN, HOUR = 60 * S, 3600 * S
BOOT = 600 * S
EVENT, STATE, THING = list(EVENT_KINDS), list(JOB_STATES), list(THING_KINDS)
MEDIANS = (0.5,) * 6
DETECT, DIAGNOSE, REPLACE, INIT, LOAD, WARMUP = (
    x * S for x in (30, 60, 60, 60, 10, 60)
)  # of warm-spare
RECOVERY = DETECT + DIAGNOSE + REPLACE + INIT + LOAD + WARMUP


def site(nodes: int = 8, per_rack: int = 4, **other: Any) -> dict[str, Any]:
    """A liquid-cooled site with GPUs alike, in words of a scenario file."""
    power = {"feeds": 1, "feed": "mv-10mw", "ups": "ups-500kw", "racks_per_ups": 2}
    return {
        "nodes": {"type": "hgx-h100-liquid", "count": nodes},
        "racks": {"nodes_per_rack": per_rack},
        "network": {"switch": "qm9700", "link": "400 Gbit/s"},
        "power": {**power, "pdu": "pdu-225kva", "racks_per_pdu": 1},
        "cooling": {"unit": "xdu1350", "racks_per_unit": 2, "supply": "30 degC"},
        "weather": {"constant": "20 degC"},
        "gpu_spread": 0,
        **other,
    }


def job(nodes: int = 4, **other: Any) -> dict[str, Any]:
    """A job that computes on whole nodes, a replica each."""
    shape = {"tp": 8, "pp": 1, "dp": nodes}
    work = {"model": "llama3-8b", "batch": 4 * nodes, "sequence": 8192}
    return {"train": {**work, "parallel": shape, "recovery": "warm-spare", **other}}


def scenario(jobs: Sequence[dict[str, Any]] = (), hours: float = 4, **other: Any) -> Scenario:
    """The scenario of one site `lab`, unless *other* has its own sites."""
    document = {
        "name": "staged",
        "seed": 1,
        "duration": f"{hours} h",
        "sites": {"lab": site()},
        "jobs": list(jobs),
        **other,
    }
    return loads(json.dumps(document))


def fails(t_ns: int, target: str, *, repair_s: float = 0.0, u: Sequence[float] = MEDIANS) -> Record:
    """A failure: the node is out for its repair, or without one only the work on it dies."""
    action = "replace" if repair_s else "restart"
    fail = Fail(cause="test", action=action, mark_per_s=0.0, repair_s=repair_s, u=tuple(u))
    return fail.at(t_ns, target)


def planned(t_ns: int, target: str, for_s: float) -> Record:
    """Planned work on what *target* matches."""
    return Maintenance(for_s=for_s, frac=None, turn=0, origin="test").at(t_ns, target)


class Tape:
    """Stands in for a trace writer: keeps rows by table."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def row(self, table: str, values: dict[str, Any]) -> None:
        self.tables[table].append(dict(values))

    def rows(self, table: str, values: dict[str, Any]) -> None:
        self.tables[table].append({k: np.array(v) for k, v in values.items()})

    def flush(self) -> None:
        pass


class Happened(NamedTuple):
    """An event of the trace, in words."""

    t_ns: int
    kind: str
    thing: str
    row: int
    job: int
    value: float


class Spell(NamedTuple):
    """A stretch of one job in one state; neighbours in the same state are joined."""

    state: str
    from_ns: int
    to_ns: int

    @property
    def length_ns(self) -> int:
        return self.to_ns - self.from_ns


class Stage:
    """A cast that plays *asked*, plus records of our own, as far as it is told to."""

    def __init__(
        self,
        asked: Scenario,
        records: Sequence[Record] = (),
        models: Callable[..., Any] = default_models,
    ) -> None:
        self.tape = Tape()
        self.world = build(asked)
        drawn = draw_inputs(asked, things(self.world))
        plans = plan_jobs(asked, self.world)
        self.cast = Cast(self.world, plans, sorted([*drawn, *records]), models, self.tape)
        self.end_ns = round(asked.duration_s * 1e9)
        self.site = next(iter(self.world.sites.values()))

    def run(self, to_ns: int | None = None) -> "Stage":
        """Play up to *to_ns*, the end if it is not given, and close the segments."""
        self.cast.sim.run_to(self.end_ns if to_ns is None else to_ns)
        self.world.check()
        self.cast.close()
        return self

    def life(self, job: int = 0) -> Any:
        """The life of a job that was placed and is not done."""
        return next(life for life in self.cast.scheduler.jobs if life.plan.job == job)

    def events(self, *kinds: str) -> list[Happened]:
        """What happened, of these kinds, in order."""
        return [
            Happened(
                row["t_ns"],
                EVENT[row["event_kind_id"]],
                THING[row["thing_kind_id"]] if row["thing_kind_id"] >= 0 else "",
                *(row[name] for name in ("row", "job_id", "value")),
            )
            for row in self.tape.tables["events"]
            if EVENT[row["event_kind_id"]] in kinds
        ]

    def times(self, kind: str) -> list[int]:
        """When events of *kind* happened."""
        return [event.t_ns for event in self.events(kind)]

    def spells(self, job: int = 0) -> list[Spell]:
        """The states of a job and when."""
        found: list[Spell] = []
        for row in self.tape.tables["job"]:
            if row["job_id"] != job:
                continue
            spell = Spell(STATE[row["job_state_id"]], row["t_start_ns"], row["t_ns"])
            if found and found[-1].state == spell.state:
                found[-1] = found[-1]._replace(to_ns=spell.to_ns)
            else:
                found.append(spell)
        return found

    def states(self, job: int = 0) -> list[str]:
        """The states that a job spent time in."""
        return [spell.state for spell in self.spells(job)]

    def steps(self, job: int = 0) -> float:
        """Steps made by a job, lost ones too."""
        return sum(row["steps"] for row in self.tape.tables["job"] if row["job_id"] == job)

    def lost(self, job: int = 0) -> list[float]:
        """Steps lost by a job, rollback by rollback."""
        return [event.value for event in self.events("job_rollback") if event.job == job]
