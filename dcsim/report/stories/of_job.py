"""The story of a job: what interrupted it, why, for how long, and at what cost."""

from collections.abc import Sequence

import numpy as np

from dcsim.accounting.holders import Thing
from dcsim.accounting.interruptions import Interruption
from dcsim.accounting.parts import waterfall_by
from dcsim.accounting.segments import read_jobs, read_segments
from dcsim.report.stories.phrases import counted, gpu_hours, instant, lasted, steps
from dcsim.report.stories.stops import Stops
from dcsim.report.stories.telling import Chapter, Story, Table, Telling, tell
from dcsim.report.words import CAUSES, LOSSES, percent, words_of

CHAPTERS_MAX = 5
COSTLIEST_COUNT = 3
CAUSES_MAX = 12
LOSSES_COUNT = 3


def story_of_job(told: Telling, thing: Thing) -> Story:
    """What stopped a job up to the instant, the costliest and the last in full, and its state."""
    all_stops = Stops(told.run, told.until_ns)
    stops = [
        stop
        for stop in all_stops.by_event.values()
        if stop.job_id == thing.job_id and stop.t_ns <= told.until_ns
    ]
    events = told.chains.events
    is_at = told.until_ns < told.run.end_ns
    chapters = []
    for title, number in _chosen(stops, is_at):
        rows = events.rows(np.array([stops[number].event_id]))
        chapters.append(Chapter(title, tell(told, rows.tolist(), all_stops.steps)))
    return Story(
        thing=thing.name,
        run=str(told.run.folder),
        at_ns=told.until_ns,
        headline=f"Job {thing.name} {_state(told, thing)}.",
        facts=_facts(told, thing, stops),
        by_cause=_by_cause(stops) if len(stops) > 1 and not is_at else Table((), []),
        chapters=chapters,
    )


def _chosen(stops: Sequence[Interruption], is_at: bool) -> list[tuple[str, int]]:
    """Which interruptions are told, with their titles: all of a few; at an instant the last."""
    last = len(stops) - 1
    if is_at or len(stops) <= CHAPTERS_MAX:
        few = range(max(last, 0) if is_at else 0, len(stops))
        return [(f"Interruption {place + 1:,} of {len(stops):,}", place) for place in few]
    by_cost = sorted(range(len(stops)), key=lambda place: -stops[place].lost_gpu_s)
    chosen = dict.fromkeys([*by_cost[:COSTLIEST_COUNT], last])
    return [(_title(place, place in by_cost[:COSTLIEST_COUNT], last), place) for place in chosen]


def _title(place: int, is_costly: bool, last: int) -> str:
    known = [*(["Costliest"] if is_costly else []), *(["last"] if place == last else [])]
    return f"{' and '.join(known).capitalize()}: interruption {place + 1:,}"


def _state(told: Telling, thing: Thing) -> str:
    """What it does at the instant, and since when."""
    segments = read_segments(told.run)
    rows = np.flatnonzero(
        (segments.job_id == thing.job_id) & (segments.t_start_ns <= told.until_ns)
    )
    when = f"at {instant(told.until_ns)}"
    if not rows.size:
        return f"has no nodes yet {when}"
    states, causes = segments.state[rows], segments.cause_id[rows]
    other = np.flatnonzero((states != states[-1]) | (causes != causes[-1]))
    first = rows[int(other[-1]) + 1 if other.size else 0]
    since_ns = int(segments.t_start_ns[first])
    state = words_of(str(states[-1]))
    if int(segments.t_ns[rows[-1]]) < told.until_ns:
        return f"is over {when}; its last state was {state}"
    return f"is {state} {when}, since {instant(since_ns)}, for {lasted(told.until_ns - since_ns)}"


def _facts(told: Telling, thing: Thing, stops: Sequence[Interruption]) -> list[str]:
    """Its size, what it was, and what all interruptions together cost."""
    jobs, events = read_jobs(told.run), told.chains.events
    gpus = int(jobs.gpus_count[jobs.job_id == thing.job_id][0])
    mine = np.flatnonzero((events.job_id == thing.job_id) & (events.t_ns <= told.until_ns))

    def rows(kind: str) -> list[int]:
        return [int(row) for row in mine if events.kind[row] == kind]

    begun = [*rows("job_started"), *rows("job_done")]
    facts = [f"It {told.phrases.said(row)} at {instant(int(events.t_ns[row]))}." for row in begun]
    facts = facts or [f"It asks for {gpus:,} GPUs."]
    saves = rows("job_checkpoint")
    if saves:
        at = f"the last at {instant(int(events.t_ns[saves[-1]]))}"
        some = "One long save" if len(saves) == 1 else f"{len(saves):,} long saves"
        facts.append(f"{some}, {at} of step {events.value[saves[-1]]:,.0f}.")
    facts += _shares(told, thing)
    seats = len(rows("node_replaced"))
    if seats:
        facts.append(f"{counted(seats, 'node')} took the seats of others that were lost.")
    if not stops:
        return [*facts, "Nothing interrupted it."]
    times = "One interruption" if len(stops) == 1 else f"{len(stops):,} interruptions"
    lost = gpu_hours(sum(stop.lost_gpu_s for stop in stops))
    share = percent(sum(stop.share for stop in stops))
    return [*facts, f"{times} cost {lost}, {share} of all there were in the run."]


def _shares(told: Telling, thing: Thing) -> list[str]:
    """Where the peak of its GPUs went, for the run as a whole."""
    shares = dict(waterfall_by(told.run, "job")[thing.name])
    useful = shares.pop("useful")
    if told.until_ns < told.run.end_ns or not useful:
        return []
    most = sorted(shares, key=lambda name: -shares[name])[:LOSSES_COUNT]
    lost = ", ".join(f"{LOSSES[name]} {percent(shares[name])}" for name in most)
    return [
        f"Of the peak of the GPUs that it held {percent(useful)} was useful; most went to {lost}."
    ]


def _by_cause(stops: Sequence[Interruption]) -> Table:
    """What the interruptions of each class came to, costliest first."""
    classes: dict[tuple[str, str], list[Interruption]] = {}
    for stop in stops:
        classes.setdefault((CAUSES.get(stop.cause, stop.cause), stop.component), []).append(stop)
    ordered = sorted(classes.items(), key=lambda item: -sum(s.lost_gpu_s for s in item[1]))
    rows = [_row(cause, component, of) for (cause, component), of in ordered[:CAUSES_MAX]]
    rest = [stop for _, of in ordered[CAUSES_MAX:] for stop in of]
    if rest:
        rows.append(_row(f"{len(ordered) - CAUSES_MAX} other classes", "", rest))
    head = ("first cause", "of a", "times", "median stop", "steps lost", "GPU-hours", "share")
    return Table(head, rows)


def _row(cause: str, component: str, stops: Sequence[Interruption]) -> tuple[str, ...]:
    median_ns = int(np.median([stop.until_ns - stop.t_ns for stop in stops]))
    return (
        cause,
        component,
        f"{len(stops):,}",
        lasted(median_ns),
        steps(sum(stop.lost_steps for stop in stops)).removesuffix(" steps"),
        gpu_hours(sum(stop.lost_gpu_s for stop in stops)).removesuffix(" GPU-hours"),
        percent(sum(stop.share for stop in stops)),
    )
