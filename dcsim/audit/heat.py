"""Thermal headroom on the design day: the water, the plant with a machine less, the hottest GPU."""

from collections.abc import Iterator

import numpy as np

from dcsim.audit.finding import NOTE, OK, SEVERITIES, WARNING, Finding
from dcsim.audit.rest import MACHINES, Rest
from dcsim.units import show

NEAR_K = 5.0
"""Headroom of the hottest GPU below which a note is due: a judgement."""
WARMER_K = 0.5
"""Water warmer than its set point by more than this is not held."""
HOT_PERCENT = 98
"""One GPU in fifty is hotter: two standard deviations above the middle."""
_THROTTLED_K = 0.5
"""The controller comes this close to its limit."""
_NAMED = ("a pump", "a dry cooler", "a chiller")


def findings(rest: Rest) -> Iterator[Finding]:
    """Yield whether a site holds its water and its GPUs."""
    yield _water(rest)
    yield _gpus(rest)


def _water(rest: Rest) -> Finding:
    """Can dry coolers and chillers hold the set point?"""
    site, loop, asked_c = rest.site, rest.site.loop, rest.site.ask.cooling.supply_c
    supply_c, most_w = float(loop.supply_c[0]), float(loop.most_w[0])
    chilled_w = float(loop.chilled_w[0])
    heat_w = float(loop.dry_w[0]) + chilled_w
    text = f"{site.name} at {show(rest.day.dry_bulb_c, 'degC')} outside ({rest.day.what}) rejects "
    text += f"{show(heat_w, 'W')} "
    severity, key = OK, "supply"
    if supply_c > asked_c + WARMER_K:
        severity, key = WARNING, "chillers" if site.ask.cooling.chillers is not None else "supply"
        text += f"with water of {show(supply_c, 'degC')} instead of {asked_c:g}"
    else:
        by_chillers = f"{chilled_w / max(heat_w, 1.0):.0%} by chillers"
        text += f"of {show(most_w, 'W')} that its plant could, {by_chillers}, and the water "
        text += f"stays at {show(supply_c, 'degC')}"
    numbers = {
        "dry_bulb_c": rest.day.dry_bulb_c,
        "supply_c": supply_c,
        "setpoint_c": asked_c,
        "heat_w": heat_w,
        "chilled_w": chilled_w,
        "most_w": most_w,
    }
    return Finding(severity, "water", f"sites.{site.name}.cooling.{key}", text, numbers)


def _gpus(rest: Rest) -> Finding:
    """How hot do GPUs become at full load?"""
    site, sheet = rest.site, rest.site.sheets["gpu"]
    busy_c = site.gpu.temp_c[site.gpu.load_frac > 0]
    typical_c, hot_c, hottest_c = np.percentile(busy_c, (50, HOT_PERCENT, 100)).tolist()
    text = f"GPUs of {site.name} on its hottest day: half above {show(typical_c, 'degC')}, one "
    text += f"in fifty above {show(hot_c, 'degC')}, the hottest {show(hottest_c, 'degC')}; "
    severity, what = _state(rest, hottest_c)
    numbers = {
        "gpu_temp_c_p50": typical_c,
        "gpu_temp_c_p98": hot_c,
        "gpu_temp_c_max": hottest_c,
        "throttle_c": sheet["throttle_c"],
        "slowdown_c": sheet["slowdown_c"],
        "shutdown_count": float(rest.shutdown_count),
    }
    path = f"sites.{site.name}.cooling.supply"
    return Finding(severity, "gpus", path, text + what, numbers)


def _state(rest: Rest, hottest_c: float) -> tuple[str, str]:
    """Say what GPUs do at that temperature, and how bad it is."""
    sheet = rest.site.sheets["gpu"]
    throttle_c = sheet["throttle_c"]
    if rest.shutdown_count:
        return WARNING, f"GPUs shut down at {sheet['shutdown_c']:g}"
    if hottest_c > throttle_c - _THROTTLED_K:
        return WARNING, f"clocks are cut to stay below {throttle_c:g}"
    severity = NOTE if hottest_c > throttle_c - NEAR_K else OK
    return severity, f"clocks are cut at {throttle_c:g}, halved at {sheet['slowdown_c']:g}"


def one_machine_less(rest: Rest) -> Iterator[Finding]:
    """Yield what a failed machine of the plant does on that day; *rest* is changed by it."""
    site, found, worst = rest.site, [], OK
    numbers: dict[str, float] = {}
    for kind, named in zip(MACHINES, _NAMED, strict=True):
        if not site.counts[kind]:
            continue
        rest.lose(kind)
        supply_c, hottest_c = float(site.loop.supply_c[0]), float(site.gpu.temp_c.max())
        severity, what = _state(rest, hottest_c)
        if rest.shutdown_count:
            found.append(f"{named} of {site.counts[kind]}: {what}")
        else:
            bad = f", {what}" if severity == WARNING else ""
            hottest = f"hottest GPU {show(hottest_c, 'degC')}{bad}"
            found.append(f"{named} of {site.counts[kind]}: water {supply_c:.1f}, {hottest}")
        if supply_c > site.ask.cooling.supply_c + WARMER_K:
            severity = min(severity, NOTE, key=SEVERITIES.index)
        worst = min(worst, severity, key=SEVERITIES.index)
        numbers |= {f"{kind}_supply_c": supply_c, f"{kind}_gpu_temp_c_max": hottest_c}
    text = f"{site.name} on its hottest day without " + "; ".join(found)
    yield Finding(worst, "plant", f"sites.{site.name}.cooling", text, numbers)
