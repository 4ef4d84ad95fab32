"""Whether recorded inputs speak of things that the world has."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from dcsim.errors import InputError
from dcsim.inputs.records import Record
from dcsim.world import World, matches

CAN_FAIL = ("gpu", "node", "link", "leaf")
"""Kinds of things that break by themselves."""
LOCATED_MAX = 3


def check_targets(records: Sequence[Record], world: World, origin: object) -> None:
    """Raise InputError, naming origin and rows, for a target that *world* does not have."""
    wrong: Mapping[str, Callable[[str, World], str | None]] = {
        "fail": _no_thing,
        "weather": _no_site,
        "fault": _no_match,
        "maintenance": _no_nodes,
        "job": _no_job,
    }
    found = [
        f"row {row}: {record.kind} {record.target}: {reason}"
        for row, record in enumerate(records)
        if (reason := wrong[record.kind](record.target, world)) is not None
    ]
    times = Counter(record.target for record in records if record.kind == "job")
    found += [f"job {name}: handed in {n} times" for name, n in times.items() if n > 1]
    found = found or _no_weather(records, world)
    if found:
        more = len(found) - LOCATED_MAX
        rest = [f"and {more} more"] if more > 0 else []
        raise InputError(f"{origin}: " + "; ".join(found[:LOCATED_MAX] + rest))


def _no_weather(records: Sequence[Record], world: World) -> list[str]:
    aired = {record.target for record in records if record.kind == "weather" and record.t_ns == 0}
    return [f"no weather at the start for site {site}" for site in world.sites if site not in aired]


def _no_thing(target: str, world: World) -> str | None:
    name, _, thing = target.partition("/")
    kind, _, row = thing.partition("/")
    if name not in world.sites:
        return _no_site(name, world)
    if kind not in CAN_FAIL:
        return f"allowed are {', '.join(CAN_FAIL)}"
    count = world.sites[name].counts[kind]
    is_row = row.isascii() and row.isdigit() and int(row) < count
    return None if is_row else f"{name} has {kind}/0-{count - 1}"


def _no_site(target: str, world: World) -> str | None:
    return None if target in world.sites else f"allowed sites are {', '.join(world.sites)}"


def _no_match(target: str, world: World) -> str | None:
    try:
        matches(target, world.sites)
    except ValueError as error:
        return str(error)
    return None


def _no_nodes(target: str, world: World) -> str | None:
    reason = _no_match(target, world)
    if reason is None and any(match.kind != "node" for match in matches(target, world.sites)):
        return "allowed nodes only"
    return reason


def _no_job(target: str, world: World) -> str | None:
    names = [job.name for job in world.scenario.jobs]
    return None if target in names else f"allowed jobs are {', '.join(names) or 'none'}"
