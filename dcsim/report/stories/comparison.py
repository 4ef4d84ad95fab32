"""Two runs side by side: what was asked, what came of it, and where and why they part."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dcsim.accounting import Summary, summarise
from dcsim.accounting.causes import read_events
from dcsim.accounting.chains import Chains
from dcsim.accounting.divergence import (
    Inputs,
    Parting,
    compare_inputs,
    first_event,
    first_segment,
)
from dcsim.accounting.pairing import course, instants
from dcsim.accounting.segments import read_jobs, read_segments
from dcsim.accounting.things import Names
from dcsim.errors import InputError
from dcsim.report.stories.phrases import Phrases, instant, lasted
from dcsim.report.stories.telling import Step
from dcsim.report.words import words_of
from dcsim.trace import Run
from dcsim.trace.schema import FACTORS

LETTERS = "AB"


class Asked(NamedTuple):
    """A key of the scenario or a number of the catalogue that differs; "" for one without it."""

    key: str
    first: str
    second: str


class Measure(NamedTuple):
    """A number of both runs in SI; None is not known."""

    name: str
    unit: str
    first: float | None
    second: float | None


class Paired(NamedTuple):
    """How much more the second run had come to, and the mean power since the instant before."""

    t_ns: int
    tokens: float
    energy_j: float
    power_w: float


class Side(NamedTuple):
    """The first event of a run that differs, with what led to it; empty if it has no more."""

    letter: str
    thing: str
    steps: list[Step]


class Comparison(NamedTuple):
    """The second run against the first."""

    runs: tuple[str, str]
    notes: list[str]
    asked: list[Asked]
    inputs: str
    metrics: list[Measure]
    waterfall: list[Measure]
    events: str
    sides: list[Side]
    why: str
    segments: list[str]
    course: list[Paired]

    def as_dict(self) -> dict[str, Any]:
        """As plain dicts and lists, for JSON."""
        lists = ("asked", "metrics", "waterfall", "course")
        return {
            **self._asdict(),
            **{name: [item._asdict() for item in getattr(self, name)] for name in lists},
            "sides": [
                {**side._asdict(), "steps": [step._asdict() for step in side.steps]}
                for side in self.sides
            ],
        }


def open_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs to compare.

    Raises:
        InputError: fewer than two, the same twice, or one is no run folder.
    """
    if len(folders) < 2:
        raise InputError("compare takes two runs or more")
    known: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in known:
            raise InputError(f"{folder}: the same folder as {known[folder.resolve()]}")
        known[folder.resolve()] = folder
    runs: list[Run] = []
    wrong: list[str] = []
    for folder in folders:
        try:
            runs.append(Run(folder))
            runs[-1].record  # noqa: B018
        except InputError as error:
            wrong += error.messages
    if wrong:
        raise InputError(*wrong)
    return runs


def compare(first: Run, second: Run) -> Comparison:
    """Compare two runs; raises InputError where one of them cannot be read."""
    until_ns = min(first.end_ns, second.end_ns)
    inputs = compare_inputs(first, second, until_ns)
    summaries = summarise(first), summarise(second)
    parting = first_event(first, second, until_ns)
    asked = list(_asked(first, second))
    sides = _sides(first, second, parting)
    return Comparison(
        runs=(str(first.folder), str(second.folder)),
        notes=list(_notes(first, second, summaries)),
        asked=asked,
        inputs=_inputs(inputs),
        metrics=_metrics(*summaries),
        waterfall=_waterfall(*summaries),
        events=_same("Events", parting),
        sides=sides,
        why=_why(sides, asked, inputs),
        segments=list(_segments(first, second, until_ns)),
        course=_course(first, second, until_ns) if inputs.common else [],
    )


# What was asked


def _notes(first: Run, second: Run, summaries: Sequence[Summary]) -> Iterator[str]:
    """Which runs they are, and what makes the two less comparable than they look."""
    for letter, run in zip(LETTERS, (first, second), strict=True):
        name, seed = (run.record.get(key, "?") for key in ("name", "seed"))
        yield f"{letter}  {run.folder}: {name}, seed {seed}, {lasted(run.end_ns)}, {run.status}"
    if first.end_ns != second.end_ns:
        end = instant(min(first.end_ns, second.end_ns))
        yield f"They end at different times: numbers are of all of each, what happened up to {end}."
    for letter, summary in zip(LETTERS, summaries, strict=True):
        if summary.metrics["tokens_count"].value is None:
            yield f"No job ran in {letter}: what measures its work is not known."
    for words, key in (("versions of dcsim", "dcsim"), ("schema versions", "")):
        one, two = (
            run.record.get("versions", {}).get(key) if key else run.record.get("schema_version")
            for run in (first, second)
        )
        if one != two:
            yield f"They were made with different {words}: {one} and {two}."
    one, two = (run.record.get("trace_digest") for run in (first, second))
    if one is not None and one == two:
        yield "Their traces are the same, byte for byte."


def _asked(first: Run, second: Run) -> Iterator[Asked]:
    """Keys of the scenario, and numbers of the catalogue, that are not the same."""
    one, two = (_flat(_scenario(run)) for run in (first, second))
    for key in dict.fromkeys((*one, *two)):
        if one.get(key) != two.get(key):
            yield Asked(key, str(one.get(key, "")), str(two.get(key, "")))
    one, two = (
        {source["path"]: source.get("value") for source in run.record.get("sources", [])}
        for run in (first, second)
    )
    for key in one:
        if key in two and one[key] != two[key]:
            yield Asked(f"catalogue {key}", str(one[key]), str(two[key]))


def _scenario(run: Run) -> Any:
    """The scenario as it was recorded; an alias, which dcsim never writes, could be endless."""
    try:
        events = yaml.parse(run.scenario, yaml.CSafeLoader)
        if not any(isinstance(event, yaml.AliasEvent) for event in events):
            return yaml.load(run.scenario, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    raise InputError(f"{run.folder}/run.json: its scenario is not valid YAML")


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Each leaf of nested mappings and lists by its path, such as `sites.dallas.nodes.count`."""
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(str(place), item) for place, item in enumerate(value)]
    else:
        return {path: value} if path else {}
    found: dict[str, Any] = {}
    for key, item in items:
        found |= _flat(item, f"{path}.{key}" if path else key)
    return found


def _inputs(inputs: Inputs) -> str:
    if inputs.common:
        return "Inputs: common to both."
    record = inputs.record
    if record is None:
        return "Inputs: not the same; where they part cannot be said without both inputs.arrow."
    after = f"After {inputs.common_count:,} that are common, the" if inputs.common_count else "The"
    return (
        f"Inputs: not the same. {after} first that only "
        f"{LETTERS[inputs.is_second]} has: {instant(record.t_ns)} {record.kind} {record.target} "
        f"{record.payload}"
    )


# What came of it


def _metrics(first: Summary, second: Summary) -> list[Measure]:
    return [
        Measure(name, metric.unit, metric.value, second.metrics[name].value)
        for name, metric in first.metrics.items()
    ]


def _waterfall(first: Summary, second: Summary) -> list[Measure]:
    return [
        Measure(one.name, "1", one.value, two.value)
        for one, two in zip(first.waterfall, second.waterfall, strict=True)
    ]


# Where they part


def _same(what: str, parting: Parting) -> str:
    if parting.first is None and parting.second is None:
        return f"{what}: all the same, {parting.common_count:,} of them."
    return f"{what}: {parting.common_count:,} in common, then"


def _sides(first: Run, second: Run, parting: Parting) -> list[Side]:
    """The first events that are not the same, each with its chain of causes."""
    rows = parting.first, parting.second
    if rows == (None, None):
        return []
    return [
        Side(letter, "", []) if row is None else Side(letter, Names(run).of(row), _chain(run, row))
        for letter, run, row in zip(LETTERS, (first, second), rows, strict=True)
    ]


def _chain(run: Run, row: int) -> list[Step]:
    """An event with what led to it, first cause first."""
    events = read_events(run)
    phrases = Phrases(Chains(events), Names(run), run.record.get("where", {}))
    return [
        Step(int(events.t_ns[cause]), depth, phrases.of([cause]), [int(events.event_id[cause])])
        for depth, cause in enumerate(events.chain(row))
    ]


def _why(sides: Sequence[Side], asked: Sequence[Asked], inputs: Inputs) -> str:
    """Why the first events differ, as far as the traces say."""
    if not sides:
        return ""
    keys = ", ".join(item.key for item in asked[:3]) + (", ..." if len(asked) > 3 else "")
    behind = f"what was asked: {keys}" if asked else "nothing that was asked: a change of dcsim?"
    one, two = (side.steps for side in sides)
    if not inputs.common and any(len(steps) == 1 for steps in (one, two)):
        return "The first difference is an input."
    if not one or not two:
        return f"Only one has more. Behind the difference is {behind}"
    if one[0][:3] != two[0][:3]:
        return f"They have no cause in common. Behind it is {behind}"
    late_ns = two[-1].t_ns - one[-1].t_ns
    same = one[-1].text == two[-1].text and late_ns
    when = f", in B {lasted(abs(late_ns))} {'later' if late_ns > 0 else 'earlier'}" if same else ""
    return f"Both go back to the same first cause{when}. Behind the difference is {behind}"


def _segments(first: Run, second: Run, until_ns: int) -> Iterator[str]:
    """The first segments of jobs that are not the same."""
    parting = first_segment(first, second, until_ns)
    yield _same("Segments of jobs", parting)
    rows = parting.first, parting.second
    if rows == (None, None):
        return
    for letter, run, row in zip(LETTERS, (first, second), rows, strict=True):
        yield f"{letter}  {'no more' if row is None else _segment(run, row)}"
    if parting.first is not None and parting.second is not None:
        yield from _factor(first, parting.first, second, parting.second)


def _segment(run: Run, row: int) -> str:
    segments, jobs = read_segments(run), read_jobs(run)
    name = jobs.name[jobs.place(segments.job_id[row : row + 1])[0]]
    span = f"{instant(int(segments.t_start_ns[row]))} to {instant(int(segments.t_ns[row]))}"
    done = f", {segments.steps[row]:,.6g} steps" if segments.steps[row] else ""
    gpus = f" on {segments.gpus_count[row]:,} GPUs" if segments.gpus_count[row] else ""
    return f"{span}  job {name} {words_of(str(segments.state[row]))}{gpus}{done}"


def _factor(first: Run, one: int, second: Run, two: int) -> Iterator[str]:
    """Which factor of the rate changed most between two running segments."""
    rows = [(read_segments(first), one), (read_segments(second), two)]
    if not all(segments.state[row] == "running" for segments, row in rows):
        return
    shares = [segments.factors_s[row] / segments.factors_s[row].sum() for segments, row in rows]
    most = int(abs(shares[1] - shares[0]).argmax())
    name = words_of(FACTORS[most].name.removesuffix("_s"))
    before, after = (100 * float(share[most]) for share in shares)
    yield f"   of that time, what differs most is {name}: {before:.3g}% in A, {after:.3g}% in B"


def _course(first: Run, second: Run, until_ns: int) -> list[Paired]:
    """How the difference in useful work and in energy grows."""
    t_ns = instants(until_ns)
    one, two = course(first, t_ns), course(second, t_ns)
    found: list[Paired] = []
    before_ns, before_j = 0, 0.0
    tokens, energy_j = (two.tokens - one.tokens).tolist(), (two.energy_j - one.energy_j).tolist()
    for at_ns, count, spent_j in zip(t_ns.tolist(), tokens, energy_j, strict=True):
        power_w = (spent_j - before_j) / max((at_ns - before_ns) * 1e-9, 1e-9)
        found.append(Paired(at_ns, count, spent_j, power_w))
        before_ns, before_j = at_ns, spent_j
    return found
