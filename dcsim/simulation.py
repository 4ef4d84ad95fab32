"""Scenario -> world -> simulation -> trace, on one screen."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from dcsim.engine import array_digest
from dcsim.errors import InputError
from dcsim.inputs import records as inputs_file
from dcsim.inputs.draw import draw_inputs
from dcsim.inputs.failures import Things
from dcsim.inputs.own import FailureProcess, own_records
from dcsim.inputs.records import Record
from dcsim.kernel import set_threads
from dcsim.physics.site import default_models
from dcsim.processes.cast import Cast, Models, pulse
from dcsim.processes.dimensions import check_size, write_dimensions
from dcsim.processes.plan import plan_jobs
from dcsim.processes.targets import check_targets
from dcsim.scenario import Scenario
from dcsim.trace import RunFolder, TraceWriter, create_run_folder, trace_digest
from dcsim.trace.run_folder import Status
from dcsim.units import HOUR_NS
from dcsim.world import World, build, sources_of, state_columns

FLUSH_HOURS = 6

Show = Callable[..., None]


class Outcome(NamedTuple):
    """Where a run lies and how it ended."""

    folder: Path
    status: Status


def run(
    scenario: Scenario,
    *,
    models: Models = default_models,
    failures: Sequence[FailureProcess] = (),
    out: Path | None = None,
    inputs: Path | None = None,
    threads: int | None = None,
    show: Show = lambda *_args, **_numbers: None,
    dtype: DTypeLike = np.float32,
) -> Outcome:
    """Simulate *scenario* and write its run folder.

    *models* gives the models of a site; *failures* are processes beside those of the scenario;
    *inputs* is an `inputs.arrow` to replay; *show* is called now and then with the time and the
    numbers so far; *dtype* is the precision of per-GPU states.

    Raises ScenarioError or InputError before anything is written; OSError for a full disk and
    InvariantError for a fault of ours, both after what was written was closed.
    """
    if threads is not None:
        set_threads(threads)
    world = build(scenario, dtype)
    plans = plan_jobs(scenario, world)
    check_size(scenario, world)
    records = causes(scenario, world, failures, inputs)
    folder = create_run_folder(
        name=scenario.name,
        scenario_digest=scenario.digest,
        scenario_text=scenario.text,
        seed=scenario.seed,
        epoch_ns=epoch_ns(scenario),
        duration_ns=round(scenario.duration_s * 1e9),
        sources=sources_of(scenario),
        where={path: scenario.where(path) for path in written_parts(scenario)},
        out=out,
    )
    with marked_failed(folder), interrupts() as interrupted:
        inputs_file.write(folder.path / "inputs.arrow", records, {"scenario": scenario.name})
        with TraceWriter(folder.traces, epoch_ns(scenario)) as trace:
            write_dimensions(trace, world)
            cast = Cast(world, plans, records, models, trace)
            advance(cast, trace, round(scenario.duration_s * 1e9), interrupted, show)
            cast.close()
        status: Status = "interrupted" if interrupted.is_set() else "done"
        folder.mark(
            status,
            end_ns=cast.sim.now_ns,
            trace_digest=trace_digest(folder.traces),
            inputs_digest=inputs_file.digest(records),
            state_digest=state_digest(world),
            counts=cast.counts(),
        )
    return Outcome(folder.path, status)


def advance(
    cast: Cast, trace: TraceWriter, end_ns: int, interrupted: threading.Event, show: Show
) -> None:
    """Run to *end_ns* hour by hour, unless *interrupted*; flush every few hours."""
    for hour in range(-(-end_ns // HOUR_NS) + 1):
        if interrupted.is_set():
            return
        cast.sim.run_to(min(hour * HOUR_NS, end_ns))
        gpus_up, power_w = pulse(cast.world)
        goodput = cast.scheduler.goodput_frac(cast.sim.now_ns)
        show(cast.sim.now_ns, goodput_frac=goodput, gpus_up=gpus_up, power_w=power_w)
        if hour % FLUSH_HOURS == 0:
            trace.flush()


def causes(
    scenario: Scenario, world: World, failures: Sequence[FailureProcess], inputs: Path | None
) -> list[Record]:
    """Return all that comes from outside, ordered: drawn and made, or read from *inputs*."""
    if inputs is not None:
        if failures:
            raise InputError(f"{inputs}: holds all failures of its run: give no others with it")
        records = inputs_file.read(inputs)
        check_targets(records, world, inputs)
        return records
    records = draw_inputs(scenario, things(world))
    for process in failures:
        made = own_records(process, scenario, things(world))
        check_targets([*made, *records], world, type(process).__name__)
        records += made
    return sorted(records)


def things(world: World) -> dict[str, Things]:
    """Return what can fail at each site, and how much more often than the average."""
    return {name: Things(name, site.counts, site.hazard_x) for name, site in world.sites.items()}


def epoch_ns(scenario: Scenario) -> int:
    """Return the calendar at the start of the run, local standard time, in ns since 1970."""
    return int(scenario.start.replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def written_parts(scenario: Scenario) -> list[str]:
    """Return the paths of the parts of a scenario that events and accounts point to."""
    return [
        *(f"sites.{name}" for name in scenario.sites),
        *(
            f"{part}.{index}"
            for part in ("jobs", "faults", "maintenance")
            for index in range(len(getattr(scenario, part)))
        ),
    ]


def state_digest(world: World) -> str:
    """Return the fingerprint of every state, mode and rate of every site."""
    return array_digest(
        {
            name: column
            for site in world.sites.values()
            for name, column in state_columns(site).items()
        }
    )


@contextmanager
def marked_failed(folder: RunFolder) -> Iterator[None]:
    """Mark the run failed if the body raises."""
    try:
        yield
    except BaseException:
        folder.mark("failed")
        raise


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Give an event that is set by Ctrl-C, so that a run ends at the next hour with whole files."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
