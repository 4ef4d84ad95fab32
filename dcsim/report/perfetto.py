"""A run as a timeline for https://ui.perfetto.dev, in the trace event format of Chrome.

A site is a process: power and temperature are its counters, and each kind of its things has a
track with what happened to them. A job is a process too, with its states as slices and its
interruptions beside them. Arrows lead from a cause to what it caused. Times are simulated
microseconds since the start of the run.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple, TextIO

import numpy as np

from dcsim.report.words import words_of
from dcsim.trace import Run

Event = dict[str, Any]


class _Counter(NamedTuple):
    """A column of the site table: of an instant, or of the time since the row before."""

    column: str
    unit: str
    factor: float
    of_span: bool


COUNTERS = {
    "IT power": _Counter("it_power_w", "MW", 1e-6, True),
    "cooling power": _Counter("cooling_power_w", "MW", 1e-6, True),
    "site power": _Counter("site_power_w", "MW", 1e-6, True),
    "GPU max": _Counter("gpu_temp_c_max", "degC", 1.0, True),
    "GPU p99": _Counter("gpu_temp_c_p99", "degC", 1.0, False),
    "facility supply": _Counter("facility_supply_c", "degC", 1.0, False),
    "outside air": _Counter("dry_bulb_c", "degC", 1.0, False),
    "GPUs up": _Counter("gpus_up_count", "GPUs", 1.0, False),
}
"""Counters of a site by their label."""
_DIGITS = 4


class _Happened(NamedTuple):
    """An event of the trace: on which track, in which words."""

    t_ns: int
    cause_id: int
    process: str
    track: str
    label: str
    says: Event


class _Tracks:
    """Numbers of processes and their tracks, as the format wants them."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._tids: dict[tuple[str, str], int] = {}

    def pid(self, process: str) -> int:
        return self._pids.setdefault(process, len(self._pids) + 1)

    def of(self, process: str, track: str) -> Event:
        """What says that an event lies on this track."""
        tid = self._tids.setdefault((process, track), len(self._tids) + 1)
        return {"pid": self.pid(process), "tid": tid}

    def names(self) -> Iterator[Event]:
        """What names each process and track that was asked for."""
        for process, pid in self._pids.items():
            yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": process}}
            yield {"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}}
        for (process, track), tid in self._tids.items():
            place = {"pid": self.pid(process), "tid": tid}
            yield {"ph": "M", "name": "thread_name", **place, "args": {"name": track}}


def write_timeline(run: Run, file: TextIO) -> None:
    """Write the timeline of *run* as JSON; raises what `Run.table` does."""
    tracks = _Tracks()
    about = {"run": run.record["name"], "epoch_ns": run.record["epoch_ns"]}
    file.write(f'{{"displayTimeUnit":"ms","otherData":{_json(about)},"traceEvents":[')
    between = "\n"
    parts = _counters(run, tracks), _states(run, tracks), _events(run, tracks), tracks.names()
    for event in chain.from_iterable(parts):
        file.write(between + _json(event))
        between = ",\n"
    file.write("\n]}\n")


def _counters(run: Run, tracks: _Tracks) -> Iterator[Event]:
    names = _names(run, "dim_site", "site_id")
    columns = ("t_ns", "site_id", *(counter.column for counter in COUNTERS.values()))
    rows = {name: values.tolist() for name, values in run.columns("site", columns).items()}
    before_ns: dict[int, int] = {}
    for row, (t_ns, site_id) in enumerate(zip(rows["t_ns"], rows["site_id"], strict=True)):
        pid = tracks.pid(f"site {names[site_id]}")
        since_ns = before_ns.get(site_id, 0)
        before_ns[site_id] = t_ns
        for label, (column, unit, factor, of_span) in COUNTERS.items():
            value = rows[column][row]
            if value != value or (of_span and since_ns == t_ns):
                continue
            at_ns = since_ns if of_span else t_ns
            args = {unit: round(value * factor, _DIGITS)}
            yield {"ph": "C", "name": label, "pid": pid, "ts": at_ns / 1e3, "args": args}


def _states(run: Run, tracks: _Tracks) -> Iterator[Event]:
    """Slices of jobs, neighbours in the same state as one."""
    names = _names(run, "dim_job", "job_id")
    states = _names(run, "dim_job_state", "job_state_id")
    table = run.columns("job")
    order = np.lexsort((table["t_ns"], table["job_id"]))
    table = {name: values[order] for name, values in table.items()}
    same = np.ones(table["t_ns"].size, np.bool_)
    for name in ("job_id", "job_state_id"):
        same[1:] &= table[name][1:] == table[name][:-1]
    same[:1] = False
    begins = np.flatnonzero(~same)
    ends = [*(begins[1:] - 1), same.size - 1]
    for first, last in zip(begins.tolist(), ends, strict=bool(begins.size)):
        begin_ns, end_ns = int(table["t_start_ns"][first]), int(table["t_ns"][last])
        if end_ns == begin_ns:
            continue
        yield {
            "ph": "X",
            "name": words_of(states[int(table["job_state_id"][first])]),
            **tracks.of(f"job {names[int(table['job_id'][first])]}", "state"),
            "ts": begin_ns / 1e3,
            "dur": (end_ns - begin_ns) / 1e3,
            "args": {
                "GPUs": int(table["gpus_allocated_count"][first]),
                "steps": round(float(table["steps"][first : last + 1].sum()), _DIGITS),
            },
        }


def _events(run: Run, tracks: _Tracks) -> Iterator[Event]:
    """Instants, each followed by the ends and beginnings of its arrows."""
    happened = list(_happened(run))
    caused: dict[int, list[int]] = defaultdict(list)
    for event_id, event in enumerate(happened):
        caused[event.cause_id].append(event_id)
    for event_id, event in enumerate(happened):
        place = {**tracks.of(event.process, event.track), "ts": event.t_ns / 1e3}
        yield {"ph": "i", "s": "t", "name": event.label, **place, "args": event.says}
        arrow = {"name": "cause", "cat": "cause", **place}
        if event.cause_id in range(len(happened)):
            yield {"ph": "f", "bp": "e", "id": event_id, **arrow}
        for effect in caused.get(event_id, ()):
            yield {"ph": "s", "id": effect, **arrow}


def _happened(run: Run) -> Iterator[_Happened]:
    sites, jobs = _names(run, "dim_site", "site_id"), _names(run, "dim_job", "job_id")
    kinds = _names(run, "dim_event_kind", "event_kind_id")
    things = _names(run, "dim_thing_kind", "thing_kind_id")
    columns = {name: values.tolist() for name, values in run.columns("events").items()}
    for row in range(len(columns["event_id"])):
        event = {name: values[row] for name, values in columns.items()}
        kind = words_of(kinds[event["event_kind_id"]])
        says = json.loads(event["detail"] or "{}") | {"value": event["value"]}
        thing, site = things.get(event["thing_kind_id"]), sites.get(event["site_id"])
        if thing in (None, "job") and event["job_id"] in jobs:
            process, track, label = f"job {jobs[event['job_id']]}", "events", kind
        else:
            process, track = "run" if site is None else f"site {site}", thing or "site"
            label = f"{kind} {_thing(site, thing, event['row'], says)}"
        why = says.get("cause") or says.get("reason")
        label = f"{label} ({why})" if why else label
        yield _Happened(event["t_ns"], event["cause_id"], process, track, label, says)


def _thing(site: str | None, thing: str | None, row: int, says: Event) -> str:
    if row < 0:
        return str(says.get("hit", site or ""))
    return f"{site}/{thing}/{row}"


def _names(run: Run, table: str, ids: str) -> dict[int, str]:
    columns = run.columns(table, (ids, "name"))
    return dict(zip(columns[ids].tolist(), columns["name"].tolist(), strict=True))


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
