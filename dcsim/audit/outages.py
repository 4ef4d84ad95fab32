"""What one component takes down: the worst of each kind, by what hangs on what."""

from collections.abc import Iterator

from dcsim.audit.finding import NOTE, OK, Finding, Seat, Subject
from dcsim.units import show
from dcsim.world.dependency import nodes_below

_NAMED = {
    "feed": "a feed",
    "ups": "a UPS",
    "pdu": "a PDU",
    "cdu": "a CDU",
    "crah": "a CRAH",
    "rack": "a rack",
}
_KEYS = {
    "feed": "power.feeds",
    "ups": "power.racks_per_ups",
    "pdu": "power.racks_per_pdu",
    "rack": "racks.nodes_per_rack",
}


def findings(subject: Subject) -> Iterator[Finding]:
    """Yield for each job what nodes left over replace, and what it must wait for."""
    for seat in subject.seats:
        below = nodes_below(seat.site, seat.nodes)
        worst = {kind: int(count.max()) for kind, count in below.items()}
        leaf = worst.pop("leaf")
        left_over = subject.left_over_count(seat.site)
        beyond = {kind: count for kind, count in worst.items() if count > left_over}
        within = {kind: count for kind, count in worst.items() if count <= left_over}
        if beyond:
            yield _beyond(seat, beyond, left_over)
        if within:
            text = f"{seat.plan.name} can replace the nodes that it loses with {_listed(within)}: "
            text += f"{left_over:,} left over"
            yield Finding(OK, "outages", f"{seat.path}.spares", text, _numbers(within))
        yield _leaf(seat, leaf)


def _beyond(seat: Seat, worst: dict[str, int], left_over: int) -> Finding:
    site, kind = seat.site, max(worst, key=lambda each: worst[each])
    share = worst[kind] / len(seat.nodes)
    text = f"{seat.plan.name} waits for the repair of {_listed(worst)}: that is up to {share:.0%} "
    text += f"of its nodes, with {left_over:,} left over"
    numbers = _numbers(worst) | {"job_frac": share, "left_over_count": float(left_over)}
    output_w = float((site.ups.output_w + site.ups.loss_w).max())
    if "feed" in worst and output_w > 0.0:
        numbers["battery_s"] = site.battery_j / output_w
        text += f"; without a feed batteries last {show(numbers['battery_s'], 's')}, and there is "
        text += "no second path"
    path = f"sites.{site.name}.{_KEYS.get(kind, 'cooling.racks_per_unit')}"
    return Finding(NOTE, "outages", path, text, numbers)


def _leaf(seat: Seat, worst: int) -> Finding:
    rails = int(seat.site.sheets["node"]["nics_count"])
    text = f"{worst:,} nodes of {seat.plan.name} lose one of {rails} rails with a leaf, "
    text += "and stay in it" if rails > 1 else "their only one"
    numbers = {"leaf_nodes_count": float(worst), "rails_count": float(rails)}
    path = f"sites.{seat.site.name}.network.switch"
    return Finding(OK if rails > 1 else NOTE, "outages", path, text, numbers)


def _listed(worst: dict[str, int]) -> str:
    parts = [f"{_NAMED[kind]} ({count:,})" for kind, count in worst.items()]
    return ", ".join(parts[:-1]) + (" or " if len(parts) > 1 else "") + parts[-1]


def _numbers(worst: dict[str, int]) -> dict[str, float]:
    return {f"{kind}_nodes_count": float(count) for kind, count in worst.items()}
