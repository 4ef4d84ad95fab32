"""What a story is, and how one chain of events is told: its causes, itself, what it led to."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from dcsim.accounting.chains import ENDS, Alike, Chains
from dcsim.accounting.holders import Holders
from dcsim.report.stories.phrases import Phrases
from dcsim.trace import Run


class Step(NamedTuple):
    """One line of a story: when it began, how many causes before it are told, and what happened."""

    t_ns: int
    depth: int
    text: str
    event_ids: Sequence[int] = ()


class Chapter(NamedTuple):
    """One chain of events; the title is empty where all chapters are of one kind."""

    title: str
    steps: list[Step]


class Table(NamedTuple):
    """A small table: its head, and rows of as many cells."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def as_dicts(self) -> list[dict[str, str]]:
        """Each row by the head."""
        return [dict(zip(self.head, row, strict=True)) for row in self.rows]


class Story(NamedTuple):
    """What there is to say of a job or thing up to an instant."""

    thing: str
    run: str
    at_ns: int
    headline: str
    facts: list[str]
    by_cause: Table
    chapters: list[Chapter]

    def as_dict(self) -> dict[str, Any]:
        """As plain dicts and lists, for JSON."""
        chapters = [
            {"title": title, "steps": [step._asdict() for step in steps]}
            for title, steps in self.chapters
        ]
        return {**self._asdict(), "by_cause": self.by_cause.as_dicts(), "chapters": chapters}


class Telling(NamedTuple):
    """What stories of a run are made from, and the instant up to which they go."""

    run: Run
    chains: Chains
    phrases: Phrases
    holders: Holders
    until_ns: int


BEGINNINGS = (
    *("fail", "fault", "maintenance", "weather"),
    *("job_started", "job_checkpoint", "job_done"),
)
"""Events that need no cause: inputs, and what jobs do by themselves."""

More = Callable[[Sequence[int], int], Iterable[Step]]
"""Further lines about events that are alike, at a depth."""


def tell(telling: Telling, about: Sequence[int], more: More) -> list[Step]:
    """The story of the events *about*, which have one first cause.

    Told are what led to them and what they led to; what their causes led to besides is counted.
    """
    chains, phrases, until_ns = telling.chains, telling.phrases, telling.until_ns
    events = chains.events
    told = chains.below(about).union(*(events.chain(row) for row in about))
    throttled = events.of_kind("throttled").tolist()
    ends = {chains.over(row) for row in throttled}  # told with their beginnings

    def blocks(rows: Sequence[int], depth: int, job_id: int = -1) -> list[list[Step]]:
        """A block of lines for each kind of event among these effects of one cause."""
        groups: dict[tuple[Alike, bool], list[int]] = {}
        for row in rows:
            if events.t_ns[row] <= until_ns and row not in ends:
                groups.setdefault((chains.alike(row), row in told), []).append(row)
        found = []
        for (alike, is_told), group in groups.items():
            other = not is_told and (alike, True) in groups
            text = phrases.of(group, other=other, named=alike.job_id != job_id)
            if alike.kind in ENDS:
                text += phrases.until(group, until_ns)
            if depth == 0 and alike.kind not in BEGINNINGS:
                text += "; no cause recorded"
            ids = [int(events.event_id[row]) for row in group]
            found.append([Step(int(events.t_ns[group[0]]), depth, text, ids)])
            if is_told:
                found[-1] += below(group, depth + 1)
        return found

    def below(group: Sequence[int], depth: int) -> list[Step]:
        """What a group led to and what else is to be said of it, in the order of time."""
        children = sorted(child for row in group for child in chains.led_to(row))
        job_id = int(events.job_id[group[0]])
        parts = [*blocks(children, depth, job_id), *([step] for step in more(group, depth))]
        return [step for part in sorted(parts, key=lambda p: p[0].t_ns) for step in part]

    return [step for part in blocks([int(events.root[about[0]])], 0) for step in part]
