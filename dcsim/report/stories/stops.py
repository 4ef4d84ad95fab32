"""What an interruption of a job was like: its phases, how long they took, and what it cost."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from dcsim.accounting.causes import Events, read_events
from dcsim.accounting.interruptions import Interruption, interruptions
from dcsim.accounting.segments import read_segments
from dcsim.report.stories.phrases import gpu_hours, lasted
from dcsim.report.stories.telling import Step
from dcsim.report.words import percent
from dcsim.trace import Run

_NO_STOP = ("running", "queued", "done", "evaluating", "checkpointing")


class Stops:
    """The interruptions of all jobs of a run, told up to an instant."""

    def __init__(self, run: Run, until_ns: int) -> None:
        self._run = run
        self._until_ns = until_ns

    @cached_property
    def by_event(self) -> dict[int, Interruption]:
        """Each interruption by the number of its event."""
        return {stop.event_id: stop for stop in interruptions(self._run)}

    def steps(self, rows: Sequence[int], depth: int) -> Iterator[Step]:
        """Further lines about events that are alike: what the jobs did, and what it cost them."""
        events: Events = read_events(self._run)
        if events.kind[rows[0]] != "job_interrupted":
            return
        stops = [self.by_event[int(events.event_id[row])] for row in rows]
        phases = self.phases(stops)
        if phases:
            yield Step(stops[0].t_ns, depth, phases)
        if stops[-1].until_ns <= self._until_ns:
            yield Step(stops[-1].until_ns, depth, cost(stops))

    def phases(self, stops: Sequence[Interruption]) -> str:
        """What the job did until it ran again, each with its length: `detecting 12 s`."""
        segments = read_segments(self._run)
        which = np.isin(segments.cause_id, [stop.event_id for stop in stops])
        which &= ~np.isin(segments.state, _NO_STOP)
        lengths_ns: dict[str, int] = {}
        rows = np.flatnonzero(which & (segments.t_start_ns < self._until_ns))
        for row in rows.tolist():
            end_ns = min(int(segments.t_ns[row]), self._until_ns)
            state = str(segments.state[row])
            lengths_ns[state] = lengths_ns.get(state, 0) + end_ns - int(segments.t_start_ns[row])
        return ", ".join(f"{_words(state)} {lasted(ns)}" for state, ns in lengths_ns.items())


def cost(stops: Sequence[Interruption]) -> str:
    """What interruptions cost: time, GPU-time, and its share of all there was."""
    stood = lasted(sum(stop.until_ns - stop.t_ns for stop in stops))
    lost = gpu_hours(sum(stop.lost_gpu_s for stop in stops))
    share = percent(sum(stop.share for stop in stops))
    return f"stood for {stood}; with the work done again it cost {lost}, {share} of all there were"


def _words(state: str) -> str:
    return state.replace("_", " ")
