"""What a name means in a run, and what holds what: the node of a GPU, the rack of a node.

The trace lists nodes, GPUs and racks, and what racks hang on; of other things it knows those that
something happened to.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import numpy as np

from dcsim.accounting.segments import Array, read_jobs
from dcsim.errors import InputError
from dcsim.scenario.fields import nearest
from dcsim.trace import Run

_LISTED = ("gpu", "node", "rack", "pdu", "ups", "cdu", "crah")
_INDEX = re.compile(r"\d{1,9}", re.ASCII)
_SPAN = re.compile(r"\*|\d{1,9}(-\d{1,9})?", re.ASCII)


class Thing(NamedTuple):
    """A job, or a thing of a site; -1 for what it does not have."""

    name: str
    kind: str
    site_id: int = -1
    row: int = -1
    job_id: int = -1


class Holders:
    """The things of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        sites = run.columns("dim_site")
        self._site_of = dict(zip(sites["site_id"].tolist(), sites["name"], strict=True))
        self._jobs = read_jobs(run)
        self._kinds = list(run.columns("dim_thing_kind")["name"])

    def find(self, name: str) -> Thing:
        """The job or thing of this name.

        Raises:
            InputError: there is none, or not as far as the trace says.
        """
        for job_id in self._jobs.job_id[self._jobs.name == name].tolist():
            return Thing(name, "job", job_id=job_id)
        site, _, rest = name.partition("/")
        kind, _, index = rest.partition("/")
        ids = [site_id for site_id, known in self._site_of.items() if known == site]
        if not ids:
            self._refuse_site(name, site)
        if kind not in self._kinds or kind in ("site", "job"):
            self._refuse_kind(name, ids[0], kind)
        count = self._counts(ids[0]).get(kind)
        if not _INDEX.fullmatch(index) or (count is not None and int(index) >= count):
            self._refuse_index(name, site, kind, count)
        return Thing(f"{site}/{kind}/{int(index)}", kind, ids[0], int(index))

    def count(self, thing: Thing) -> int | None:
        """How many of its kind its site has, None where the trace does not say."""
        return self._counts(thing.site_id).get(thing.kind)

    def family(self, thing: Thing) -> dict[str, range]:
        """Rows, by kind, of things whose events are also this one's: what it is in or contains."""
        if thing.kind == "gpu":
            node = self._node_of_gpu(thing)
            return {"gpu": range(thing.row, thing.row + 1), "node": range(node, node + 1)}
        if thing.kind == "node":
            return {"node": range(thing.row, thing.row + 1), "gpu": self._gpus(thing, thing.row)}
        if thing.kind == "rack":
            nodes = self._nodes_of(thing)
            first, last = int(nodes.min()), int(nodes.max())
            gpus = range(self._gpus(thing, first).start, self._gpus(thing, last).stop)
            rack = range(thing.row, thing.row + 1)
            return {"rack": rack, "node": range(first, last + 1), "gpu": gpus}
        return {thing.kind: range(thing.row, thing.row + 1)}

    def rack_of(self, thing: Thing) -> dict[str, Any] | None:
        """The row of dim_rack of the rack that a GPU or node is in, or of a rack."""
        if thing.kind not in ("gpu", "node", "rack"):
            return None
        if thing.kind == "rack":
            place = self._racks_at(thing.site_id)[thing.row]
        else:
            node = thing.row if thing.kind == "node" else self._node_of_gpu(thing)
            rack_id = self._nodes["rack_id"][self._nodes_at(thing.site_id)[node]]
            place = int(np.flatnonzero(self._racks["rack_id"] == rack_id)[0])
        return {name: values[place] for name, values in self._racks.items()}

    def gpu_id(self, thing: Thing) -> int:
        """The number of a GPU in the whole run."""
        first = self._nodes["first_gpu_id"][self._nodes_at(thing.site_id)[0]]
        return int(first) + thing.row

    def is_hit(self, selector: str, thing: Thing) -> bool:
        """Whether a selector such as `dallas/cdu/3-5` or `*/rack/7/node/*` matches a thing.

        False where the trace does not say what hangs on what.
        """
        site, *rest = selector.split("/")
        steps = list(zip(rest[::2], rest[1::2], strict=False))
        if site not in ("*", self._site_of[thing.site_id]) or not steps or len(rest) % 2:
            return False
        if not all(_SPAN.fullmatch(index) for _, index in steps):
            return False
        if len(steps) == 1:
            (kind, index) = steps[0]
            return kind == thing.kind and _spans(index, thing.row)
        return thing.row in self._walk(thing, steps)

    # Where things stand

    @cached_property
    def _nodes(self) -> dict[str, Array]:
        return self._run.columns("dim_node")

    @cached_property
    def _racks(self) -> dict[str, Array]:
        return self._run.columns("dim_rack")

    def _nodes_at(self, site_id: int) -> Array:
        """Places in dim_node of the nodes of a site, in the order of their rows."""
        return self._at(site_id, "node", self._nodes)

    def _racks_at(self, site_id: int) -> Array:
        return self._at(site_id, "rack", self._racks)

    def _at(self, site_id: int, kind: str, table: dict[str, Array]) -> Array:
        places = np.flatnonzero(table["site_id"] == site_id)
        if places.size != self._counts(site_id)[kind]:
            path = self._run.folder / "traces" / f"dim_{kind}.arrow"
            said = f"{self._counts(site_id)[kind]:,} in dim_site"
            raise InputError(f"{path}: {places.size:,} {kind}s of {self._site_of[site_id]}, {said}")
        return np.asarray(places[np.argsort(table["row"][places], kind="stable")])

    def _nodes_of(self, rack: Thing) -> Array:
        """Rows of the nodes in a rack."""
        rack_id = self._racks["rack_id"][self._racks_at(rack.site_id)[rack.row]]
        return np.asarray(self._nodes["row"][self._nodes["rack_id"] == rack_id])

    def _gpus(self, thing: Thing, node: int) -> range:
        """Rows of the GPUs of a node of the same site."""
        places = self._nodes_at(thing.site_id)
        first = int(self._nodes["first_gpu_id"][places[node]])
        begin = first - int(self._nodes["first_gpu_id"][places[0]])
        return range(begin, begin + int(self._nodes["gpus_count"][places[node]]))

    def _node_of_gpu(self, gpu: Thing) -> int:
        places = self._nodes_at(gpu.site_id)
        first = self._nodes["first_gpu_id"][places]
        return int(np.searchsorted(first - first[0], gpu.row, side="right")) - 1

    def _counts(self, site_id: int) -> dict[str, int]:
        """How many there are of each kind that the trace lists; 0 for those a site is without."""
        sites = self._run.columns("dim_site")
        place = int(np.flatnonzero(sites["site_id"] == site_id)[0])
        counts = dict.fromkeys(_LISTED, 0)
        for kind in ("gpu", "node", "rack"):
            counts[kind] = int(sites[f"{kind}s_count"][place])
        for column in ("pdu", "ups", "cooling_unit"):
            names = self._racks[column][self._racks["site_id"] == site_id]
            for kind, row in (_parts(name) for name in dict.fromkeys(names)):
                counts[kind] = max(counts.get(kind, 0), row + 1)
        return counts

    def _walk(self, thing: Thing, steps: Sequence[tuple[str, str]]) -> Array:
        """Rows of the thing's kind that are left after all steps of a selector."""
        none = np.zeros(0, np.int64)
        (above, index), *rest = steps
        rows = _pick(np.arange(self._counts(thing.site_id).get(above, 0)), index)
        for kind, index in rest:
            rows, above = _pick(self._inside(thing.site_id, above, rows, kind), index), kind
        return rows if above == thing.kind else none

    def _inside(self, site_id: int, above: str, rows: Array, kind: str) -> Array:
        """Rows of *kind* within *rows* of the kind *above*; none where the trace does not say."""
        racks, nodes = self._racks_at(site_id), self._nodes_at(site_id)
        if kind == "gpu" and above == "node":
            width = int(self._nodes["gpus_count"][nodes[0]])
            return np.asarray((rows[:, None] * width + np.arange(width)).ravel())
        if kind == "node" and above == "rack":
            held = np.isin(self._nodes["rack_id"][nodes], self._racks["rack_id"][racks[rows]])
            return np.flatnonzero(held)
        if kind == "rack" and above in ("pdu", "ups", "cdu", "crah"):
            column = above if above in ("pdu", "ups") else "cooling_unit"
            on = [_parts(name) for name in self._racks[column][racks]]
            return np.array([row for row, (_, of) in enumerate(on) if of in rows], np.int64)
        return np.zeros(0, np.int64)

    # Refusals

    def _refuse_site(self, name: str, site: str) -> NoReturn:
        jobs, sites = list(self._jobs.name), list(self._site_of.values())
        looks = self._looks(next(iter(self._site_of))) if sites else "the trace has no site"
        raise InputError(
            f"no job and no thing {name!r}, {nearest(site, [*jobs, *sites])}"
            f"jobs are {', '.join(jobs) or 'none'}; {looks}"
        )

    def _refuse_kind(self, name: str, site_id: int, kind: str) -> NoReturn:
        kinds = [known for known in self._kinds if known not in ("site", "job")]
        counts = self._counts(site_id)
        there = [known for known in kinds if counts.get(known) != 0]
        what = f"no kind of thing {kind!r}, {nearest(kind, there)}" if kind else "is a site; "
        raise InputError(f"{name}: {what}kinds are {', '.join(there)}; {self._looks(site_id)}")

    def _looks(self, site_id: int) -> str:
        site, counts = self._site_of[site_id], self._counts(site_id)
        there = [kind for kind in _LISTED if counts[kind]]
        first = [f"{site}/{kind}/{counts[kind] - 1}" for kind in there]
        return f"things are named {', '.join(first)}"

    def _refuse_index(self, name: str, site: str, kind: str, count: int | None) -> NoReturn:
        if count == 0:
            raise InputError(f"{name}: {site} has no {kind}")
        span = f"allowed {site}/{kind}/0"
        if count:
            span = f"{site} has {kind}/0" + (f"-{count - 1}" if count > 1 else "")
        raise InputError(f"{name}: no such {kind}, {span}")


def _parts(name: str) -> tuple[str, int]:
    _, kind, row = name.split("/")
    return kind, int(row)


def _spans(index: str, row: int) -> bool:
    first, _, last = index.partition("-")
    return index == "*" or int(first) <= row <= int(last or first)


def _pick(rows: Array, index: str) -> Array:
    """The rows at the places that `3`, `3-5` or `*` chooses."""
    if index == "*":
        return rows
    first, _, last = index.partition("-")
    return np.asarray(rows[int(first) : int(last or first) + 1])
