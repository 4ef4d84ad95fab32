"""Instants, lengths of time and events in plain words, and instants read from them."""

import re
from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from dcsim import units
from dcsim.accounting.chains import Chains
from dcsim.accounting.things import Names
from dcsim.errors import InputError
from dcsim.report.leaf import printable

Detail = Mapping[str, Any]

_TENTH_NS = 100_000_000
_S_NS = 1_000_000_000
_UNITS_S = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_CLOCK = re.compile(r"(?:(\d+) d )?(\d{1,2}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?", re.ASCII)
_LENGTHS = re.compile(r"\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?\s*[A-Za-z]+)", re.ASCII)
_AMOUNT = re.compile(
    r"(?<=\d) (?=(?:s|min|h|d|degC|W|kW|MW|steps|GPU-hours|GPUs|nodes)\b)"
    r"|(?<=\d d) (?=\d)|(?<=\d h) (?=\d)|(?<=\d min) (?=\d)"
)
"""Spaces between a number and its unit, and within a length of time."""
_NARROWEST = 20
_PLURAL = {
    "gpu": "GPUs",
    "node": "nodes",
    "rack": "racks",
    "cdu": "CDUs",
    "crah": "CRAHs",
    "pdu": "PDUs",
    "ups": "UPSs",
    "leaf": "leaves",
}
_REASONS = {
    "hot": "too hot",
    "repair": "to be repaired",
    "power": "no power",
    "rails": "no network",
    "fault": "scripted fault",
    "maintenance": "planned work",
}


def instant(t_ns: int) -> str:
    """A simulated time to the tenth of a second where it is not a whole one: `12 d 03:14:07`."""
    tenths = (int(t_ns) + _TENTH_NS // 2) // _TENTH_NS
    days, rest = divmod(tenths, 864_000)
    text = f"{rest // 36_000:02}:{rest // 600 % 60:02}:{rest // 10 % 60:02}"
    text += f".{rest % 10}" if rest % 10 else ""
    return f"{days} d {text}" if days else text


def lasted(length_ns: int) -> str:
    """A length of time in its two largest units: `4 min 40 s`; below a minute in seconds."""
    if length_ns < 60 * _S_NS:
        return f"{length_ns / _S_NS:.3g} s"
    left = round(length_ns / _S_NS)
    parts = []
    for unit, unit_s in _UNITS_S:
        count, left = divmod(left, unit_s)
        parts.append(f"{count} {unit}" if count else "")
    first = next(place for place, part in enumerate(parts) if part)
    return " ".join(filter(None, parts[first : first + 2]))


def read_instant(text: str) -> int:
    """An instant [ns] from `20 min`, `12 d 3 h` or, as stories write it, `12 d 03:14:07`.

    Raises:
        InputError: it is none of these.
    """
    clock = _CLOCK.fullmatch(text.strip())
    if clock:
        days, hours, minutes = (int(part or 0) for part in clock.groups()[:3])
        whole_s = days * 86_400 + hours * 3600 + minutes * 60
        return whole_s * _S_NS + round(float(clock[4] or 0) * _S_NS)
    parts = _LENGTHS.findall(text)
    try:
        if not parts or _LENGTHS.sub("", text).strip():
            raise ValueError("allowed a length of time such as 20 min, 12 d 3 h or 12 d 03:14:07")
        return round(sum(units.parse(part, "time") for part in parts) * _S_NS)
    except ValueError as error:
        raise InputError(f"--at {text}: {error}") from None


def plural(kind: str) -> str:
    """Things of a kind: `GPUs`."""
    return _PLURAL.get(kind, f"{kind}s")


def counted(count: int, kind: str) -> str:
    """So many things of a kind: `129 GPUs`."""
    word = plural(kind)
    if count == 1:
        word = kind.upper() if word[:-1].isupper() else kind
    return f"{count:,} {word}"


class Phrases:
    """Says what happened; *where* is the line of the scenario of each scripted fault, by origin."""

    def __init__(self, chains: Chains, names: Names, where: Mapping[str, str]) -> None:
        self._chains = chains
        self._names = names
        self._where = where

    def name(self, row: int) -> str:
        """What an event happened to."""
        name = self._names.of(row)
        return f"job {name}" if self._is_of_job(row) else name

    def _is_of_job(self, row: int) -> bool:
        events = self._chains.events
        return events.thing[row] in ("", "job") and bool(events.job_id[row] >= 0)

    def of(self, rows: Sequence[int], *, other: bool = False, named: bool = True) -> str:
        """What happened in events that are alike.

        *other* where such events are told beside these; of a job not *named* only what it did.
        """
        events, row = self._chains.events, rows[0]
        until = "" if events.t_ns[rows[-1]] == events.t_ns[row] else self._by(rows[-1])
        if self._is_of_job(row):
            return self._of_job(rows, named=named) + until
        said = self.said(row)
        if len(rows) == 1:
            return f"{self.name(row)} {said}"
        if events.kind[row] == "node_replaced":
            said = "took the seats of others"
        things = counted(len(rows), str(events.thing[row]))
        if other:
            return f"{things.replace(' ', ' other ', 1)} {said}{until}"
        return f"{things} {said}{until}, first {self.name(row)}"

    def _by(self, row: int) -> str:
        return f" by {instant(int(self._chains.events.t_ns[row]))}"

    def _of_job(self, rows: Sequence[int], *, named: bool) -> str:
        """What a job did, once or several times."""
        events, count = self._chains.events, len(rows)
        said = self.said(rows[0])
        if events.kind[rows[0]] == "job_rollback":
            said = _job_rollback(float(events.value[list(rows)].sum()), {})
        said += f", {count:,} times" if count > 1 else ""
        return f"{self.name(rows[0])} {said}" if named else said

    def until(self, rows: Sequence[int], at_ns: int) -> str:
        """How what began in these events was over by an instant, as an addition to them."""
        chains, events = self._chains, self._chains.events
        ends = [end for row in rows if (end := chains.over(row)) is not None]
        ends = sorted(end for end in ends if events.t_ns[end] <= at_ns)
        times = [int(events.t_ns[end]) for end in ends]
        still = len(rows) - len(times)
        if events.kind[rows[0]] == "throttled":
            most = counted(round(max((float(events.value[end]) for end in ends), default=0)), "gpu")
            return f", {most} at most, until {instant(times[-1])}" if times else ""
        if not times:
            return f"; still down at {instant(at_ns)}"
        text = f"; up again at {instant(times[0])}"
        if len(rows) == 1:
            text += f", after {lasted(times[0] - int(events.t_ns[rows[0]]))}"
        elif times[-1] > times[0]:
            text = f"; up again from {instant(times[0])} to {instant(times[-1])}"
        return text + (f", {still} still down at {instant(at_ns)}" if still else "")

    def said(self, row: int) -> str:
        """What happened in an event, without its subject."""
        events = self._chains.events
        kind, value, detail = str(events.kind[row]), float(events.value[row]), events.says(row)
        if kind == "fault":
            return self._fault(row, value, detail)
        if kind == "maintenance":
            return f"planned work on {counted(round(value), str(events.thing[row]))}"
        if kind in _PLAIN:
            return _PLAIN[kind].format(value=value)
        return _WORDED[kind](value, detail) if kind in _WORDED else kind.replace("_", " ")

    def _fault(self, row: int, value: float, detail: Detail) -> str:
        origin = str(detail.get("origin", ""))
        place = self._where.get(origin, origin)
        what = "down" if value <= 0 else f"degraded to {100 * value:.3g}%"
        known = ["scripted fault", *filter(None, [place]), self._fault_length(row)]
        return f"{what} ({', '.join(known)})"

    def _fault_length(self, row: int) -> str:
        t_ns, end = self._chains.events.t_ns, self._chains.over(row)
        if end is None:
            return "not over by the end of the run"
        return f"for {lasted(int(t_ns[end] - t_ns[row]))}"


def gpu_hours(gpu_s: float) -> str:
    """An amount of GPU-time [s] in GPU-hours."""
    hours = gpu_s / 3600
    return f"{hours:,.0f} GPU-hours" if hours >= 100 else f"{hours:.3g} GPU-hours"


def folded(text: str, width: int) -> list[str]:
    """Lines of at most *width* columns, in which no number is parted from its unit."""
    joined = _AMOUNT.sub("\N{NO-BREAK SPACE}", printable(text))
    lines = wrap(joined, max(width, _NARROWEST))
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines] or [""]


def steps(count: float) -> str:
    """So many steps of a job."""
    return f"{count:,.0f} steps" if count >= 100 else f"{count:.3g} steps"


def _fail(_value: float, detail: Detail) -> str:
    return f"failed ({detail.get('cause', 'no class recorded')})"


def _down(_value: float, detail: Detail) -> str:
    reason = detail.get("reason")
    return f"down ({_REASONS.get(str(reason), reason)})" if reason else "down"


def _shutdown(value: float, _detail: Detail) -> str:
    return f"shut down at {value:.3g} degC"


def _job_started(value: float, _detail: Detail) -> str:
    return f"started on {counted(round(value), 'gpu')}"


def _job_interrupted(value: float, _detail: Detail) -> str:
    return "interrupted" if value == 1 else "stopped for planned work"


def _job_rollback(value: float, _detail: Detail) -> str:
    return f"lost {steps(value)}, to be done again"


def _node_replaced(_value: float, detail: Detail) -> str:
    return f"took the seat of {detail.get('left', 'a node')}"


def _out_of_range(value: float, detail: Detail) -> str:
    span = f"{detail.get('low', '?')}..{detail.get('high', '?')}"
    return f"{detail.get('state', 'a state')} at {value:.3g} degC, its model is valid in {span}"


_PLAIN = {
    "fault_ended": "free of the fault",
    "degraded": "at {value:.0%} of its capacity",
    "up": "up again",
    "masked": "failed too, which changed nothing: it was down",
    "throttled": "too warm: GPUs under it lower their clocks",
    "throttle_ended": "cool enough again: {value:,.0f} GPUs at most had lowered their clocks",
    "on_battery": "on battery",
    "depleted": "battery empty",
    "job_checkpoint": "saved step {value:,.0f}",
    "job_resumed": "makes steps again",
    "job_done": "reached its target at step {value:,.0f}",
}
_WORDED: dict[str, Callable[[float, Detail], str]] = {
    "fail": _fail,
    "down": _down,
    "shutdown": _shutdown,
    "job_started": _job_started,
    "job_interrupted": _job_interrupted,
    "job_rollback": _job_rollback,
    "node_replaced": _node_replaced,
    "out_of_range": _out_of_range,
}
