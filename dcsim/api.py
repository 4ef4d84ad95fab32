"""What `import dcsim` offers: simulate a scenario, open a run, bring models of one's own.

Replace the cooling. A site is a list of models; this one takes the place of the whole plant and
holds the coolant at the temperature of a river:

>>> import dcsim
>>> import numpy as np
>>> from dcsim.contract import NEVER_NS, Holds
>>> class River:
...     reads = ("unit.heat_w",)
...     writes = ("unit.pump_w", "loop.plant_w")
...
...     def __init__(self, site, water_c, pump_w):
...         self.unit, self.loop, self.pump_w = site.unit, site.loop, pump_w
...         self.unit.supply_c[:] = self.loop.supply_c[:] = water_c
...
...     def evaluate(self, world, now_ns):
...         self.unit.rejected_w[:] = self.unit.heat_w
...         self.unit.pump_w[:], self.loop.plant_w[:] = 0.0, self.pump_w
...         return Holds(NEVER_NS, np.inf)  # nothing will change by itself
...
...     def switch(self, world, now_ns):
...         return []
...
...     def advance(self, world, dt_s):
...         self.loop.plant_j[0] = self.pump_w * dt_s
...         for account_j in (self.unit.heat_j, self.unit.rejected_j):
...             account_j[:] += self.unit.step_j
...         for account_j in (self.loop.heat_j, self.loop.rejected_j):
...             account_j[:] += self.unit.step_j.sum()
...
...     def modes(self, world):
...         return {}
...
>>> def by_the_river(site):
...     plant = River(site, water_c=15.0, pump_w=2_000.0)
...     models = dcsim.default_models(site)
...     return [plant if type(model).__name__ == "PlantModel" else model for model in models]
...
>>> scenario = dcsim.load("scenarios/first.yaml")
>>> plain = dcsim.simulate(scenario, out="runs/plain")
>>> river = dcsim.simulate(scenario, models=by_the_river, out="runs/river")
>>> for run in (plain, river):
...     print(run.value("gpu_temp_c_p50") < 45, run.value("pue") < 1.2)
...
False False
True True

Add a failure process: an object that makes records before the run begins. Draws that are keyed
by name make it the same in every run, and what it makes is written to `inputs.arrow`:

>>> from dcsim.draws import uniform
>>> from dcsim.inputs.records import Fail
>>> class LooseCables:
...     def records(self, scenario, things):
...         for site in things.values():
...             for node in range(0, site.counts["node"], 4):
...                 draws = range(7 * node, 7 * node + 7)
...                 drawn = [uniform(scenario.seed, "cables", site.site, i) for i in draws]
...                 came_loose = Fail(
...                     cause="loose cable", action="restart", mark_per_s=0, repair_s=0,
...                     u=tuple(drawn[:6]),  # how long each phase of the recovery takes
...                 )
...                 t_ns = round(drawn[6] * scenario.duration_s * 1e9)
...                 yield came_loose.at(t_ns, f"{site.site}/node/{node}")
...
>>> loose = dcsim.simulate(scenario, failures=[LooseCables()], out="runs/loose")
>>> loose.summary["interruption_causes"][0]["name"], loose.value("goodput_frac") < 0.9
('loose cable', True)
>>> again = dcsim.simulate(scenario, inputs="runs/loose/inputs.arrow", out="runs/again")
>>> again.record["trace_digest"] == loose.record["trace_digest"]
True

Sweep by hand. With a common seed the runs differ by what is swept alone:

>>> points = {}
>>> for supply_c in (25, 35, 45):
...     warm = dcsim.load("scenarios/first.yaml", [f"sites.lab.cooling.supply={supply_c} degC"])
...     points[supply_c] = dcsim.simulate(warm, out=f"runs/supply-{supply_c}")
...
>>> pue = [run.value("pue") for run in points.values()]
>>> pue[0] > pue[1] > pue[2]
True
>>> temp_c = [run.value("gpu_temp_c_p99") for run in points.values()]
>>> temp_c[0] < temp_c[1] < temp_c[2]
True
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dcsim import simulation, trace
from dcsim.accounting import summarise, write_summary
from dcsim.accounting.stored import stored_summary
from dcsim.inputs.own import FailureProcess
from dcsim.physics.site import default_models
from dcsim.processes.cast import Models
from dcsim.report import notebook, print_summary
from dcsim.report.progress import progress as progress_line
from dcsim.report.progress import wall_s
from dcsim.scenario import Scenario
from dcsim.scenario.record import METRICS


class Run(trace.Run):
    """A run folder, open for reading: `dcsim.Run("runs/first")`.

    `table("site")` is a pyarrow table, `columns("site")` the same as numpy arrays, `batches` reads
    what is too large for memory. `record` is what `run.json` says, `scenario` the scenario as text,
    `status` how it ended. A notebook shows the summary.

    Raises:
        InputError: the folder is no run folder, or something in it is damaged or wrong.
    """

    @property
    def tables(self) -> "Tables":
        """All tables by name, each read when it is asked for."""
        return Tables(self)

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """What the run came to, as in `summary.json`; accounted now if that lacks a metric."""
        stored = stored_summary(self) or {}
        return stored if set(METRICS) <= set(stored) else summarise(self).as_dict()

    def value(self, metric: str) -> float | None:
        """The value of one metric of the summary, None if it is not known.

        Raises:
            KeyError: there is no such metric.
        """
        number: float | None = self.summary[metric]["value"]
        return number

    @property
    def figures(self) -> Mapping[str, list[Any]]:
        """The plots of the page as Bokeh figures, by the part of the page that they stand in."""
        from dcsim.report.page import figures

        return figures(self, summarise(self))

    def show(self) -> None:
        """Print the summary on one screen."""
        from rich.console import Console

        print_summary(self, summarise(self), Console())

    def __repr__(self) -> str:
        return f"<dcsim.Run {self.folder} {self.status}>"

    def _repr_html_(self) -> str:
        return notebook.html(self, summarise(self))


class Tables(Mapping[str, Any]):
    """The tables of a run, those of its trace and `inputs`, as pyarrow tables by name."""

    def __init__(self, run: trace.Run) -> None:
        self._run = run

    def __getitem__(self, name: str) -> Any:
        if name not in trace.READABLE:
            raise KeyError(name)
        return self._run.table(name)

    def __iter__(self) -> Iterator[str]:
        return iter(trace.READABLE)

    def __len__(self) -> int:
        return len(trace.READABLE)


def simulate(
    scenario: Scenario,
    *,
    models: Models = default_models,
    failures: Sequence[FailureProcess] = (),
    out: str | Path | None = None,
    inputs: str | Path | None = None,
    threads: int | None = None,
    progress: bool = False,
    report: bool = True,
    ranges: bool = False,
    dtype: DTypeLike = np.float32,
) -> Run:
    """Simulate *scenario*, write its run folder, its summary and its page, and open it.

    *models* gives the models of a site and *failures* makes failures beside those of the scenario:
    see the examples above. *inputs* is an `inputs.arrow` to replay instead of drawing, *out* the
    folder itself, *dtype* the precision of per-GPU states; *progress* shows a line on stderr in a
    terminal. *report* writes the page `report.html`. *ranges* simulates again, below the folder, at
    the low and high of each group of numbers, for the low and high of the summary; of an
    interrupted range the run itself is whole.

    Raises ScenarioError or InputError before anything is written; OSError for a full disk and
    InvariantError for a fault of ours, both with the run marked failed and readable.
    """
    begin_s = wall_s()
    with progress_line(round(scenario.duration_s * 1e9), quiet=not progress) as show:
        outcome = simulation.run(
            scenario,
            models=models,
            failures=failures,
            out=None if out is None else Path(out),
            inputs=None if inputs is None else Path(inputs),
            threads=threads,
            show=show,
            dtype=dtype,
        )
    run = Run(outcome.folder)
    summary = write_summary(run)
    if ranges and outcome.status == "done":
        from dcsim.ranges import simulate_range

        simulate_range(
            scenario,
            outcome.folder,
            models=models,
            threads=threads,
            dtype=dtype,
            took_s=wall_s() - begin_s,
            progress=progress,
        )
        run = Run(outcome.folder)
        summary = write_summary(run)
    if report:
        from dcsim.report.page import write_page

        write_page(run, summary)
    return run
