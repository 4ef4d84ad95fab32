"""Where the electricity went, and the heat that it became."""

from typing import Any

import numpy as np
from bokeh.models import HoverTool, Range1d

from dcsim.accounting.energy import Flows, daily, energy, hourly
from dcsim.report.page.figures import TimeAxis, scaled, source, stairs
from dcsim.report.page.reading import Reading
from dcsim.report.page.sankey import Box, Ribbon, ribbons_between, sankey
from dcsim.report.page.section import Cell, Section, Table, number
from dcsim.report.page.series import BINS_MAX, reduced
from dcsim.report.words import IDLE, PHYSICS, USEFUL, clock, percent

_PLANT, _HOT, _CHILLED = "#0072B2", "#CC79A7", "#00466E"
_METER, _NODES, _COOLING, _LOSSES = "meter", "nodes", "cooling", "conversion losses"
_ELEMENTS = {
    "gpu": ("GPUs", _NODES, USEFUL),
    "host": ("hosts, switches, fans", _NODES, USEFUL),
    "supply_loss": ("supplies of nodes", _NODES, PHYSICS),
    "unit": ("cooling units", _COOLING, _PLANT),
    "pump": ("facility pumps", _COOLING, _PLANT),
    "cooler": ("dry cooler fans", _COOLING, _PLANT),
    "chiller": ("chillers", _COOLING, _PLANT),
    "hall_fan": ("hall fans", _COOLING, _PLANT),
    "pdu_loss": ("PDUs", _LOSSES, PHYSICS),
    "ups_loss": ("UPSs", _LOSSES, PHYSICS),
    "feed_loss": ("transformers of feeds", _LOSSES, PHYSICS),
}
_GROUPS = {"it": (_NODES, USEFUL), "cooling": (_COOLING, _PLANT), "loss": (_LOSSES, PHYSICS)}
_HEAT = {
    "unit_heat": ("heat of cooling units", 0, _HOT),
    "other_heat": ("heat of air and pumps", 0, PHYSICS),
    "dry_heat": ("out by dry coolers", 1, _PLANT),
    "chilled_heat": ("out by chillers", 1, _CHILLED),
}
_ABOUT = (
    "Energy over the run, all sites. Electricity: meter and batteries feed nodes, cooling and "
    "conversion losses, and each is the sum of its elements. Heat: what entered the facility water "
    "left it by dry coolers and chillers, or is still in it."
)
_SHOWN_LEAST = 0.001


def flows(reading: Reading) -> Section:
    """Electricity and heat as ribbons, and as a table of every element."""
    question, total = "Where did the electricity go?", energy(reading.run).total
    if _used_j(total) <= 0:
        why = "No electricity was recorded before the run ended."
        return Section("energy", question, "Not recorded.", _ABOUT, None, empty=why)
    answer, figures = _answer(total), [_electricity(total)]
    heat = _heat(total)
    if heat is None:
        answer += " Single elements and heat are not recorded in this trace."
    else:
        figures.append(heat)
    table = _table(reading, total)
    return Section("energy", question, answer, _ABOUT, table, tuple(figures), width_px=780)


def watt_hours(energy_j: float) -> str:
    """Energy in Wh with a prefix."""
    scale, unit = scaled(abs(energy_j) / 3600, "Wh")
    return f"{energy_j / 3600 / scale:.3g} {unit}"


def _j(total: Flows, name: str) -> float:
    """One flow [J], 0 where it is not recorded."""
    value: float | None = getattr(total, name)
    return 0.0 if value is None else float(value)


def _used_j(total: Flows) -> float:
    return sum(_j(total, name) for name in _GROUPS)


def _answer(total: Flows) -> str:
    used = _used_j(total)
    it, cooling, loss = (percent(_j(total, name) / used) for name in _GROUPS)
    answer = f"{watt_hours(_j(total, 'site'))} at the meter: {it} of what is used to nodes, "
    answer += f"{cooling} to cooling, {loss} lost in conversion."
    if total.gpu is not None:
        answer += f" GPUs alone took {percent(total.gpu / used)}."
    return answer


def _electricity(total: Flows) -> Any:
    used, battery = _used_j(total), _j(total, "battery")
    charged = max(-battery, 0.0)
    sources = {_METER: _j(total, "site"), "batteries": battery}
    begins = [
        _box(name, 0, value, IDLE, used)
        for name, value in sources.items()
        if value > _SHOWN_LEAST * used
    ]
    groups = [
        _box(name, 1, _j(total, key), colour, used)
        for key, (name, colour) in _GROUPS.items()
        if _j(total, key) > 0
    ]
    if charged > _SHOWN_LEAST * used:
        groups.append(_box("into batteries", 1, charged, IDLE, used))
    ribbons, boxes = ribbons_between(begins, groups), [*begins, *groups]
    for key, (name, group, colour) in _ELEMENTS.items():
        value = _j(total, key)
        if value > 0:
            boxes.append(_box(name, 2, value, colour, used))
            ribbons.append(Ribbon(group, name, value))
    return sankey(360, 3, boxes, ribbons)


def _heat(total: Flows) -> Any | None:
    """What entered the facility water and left it; None where that is not recorded."""
    stored, whole = total.stored_heat, _j(total, "unit_heat") + _j(total, "other_heat")
    if stored is None or whole <= 0:
        return None
    boxes = [
        _box(name, column, _j(total, key), colour, whole)
        for key, (name, column, colour) in _HEAT.items()
        if _j(total, key) > 0
    ]
    if abs(stored) > _SHOWN_LEAST * whole:
        name, column = ("still in the water", 1) if stored > 0 else ("out of the water", 0)
        boxes.append(_box(name, column, abs(stored), IDLE, whole))
    begins, ends = ([box for box in boxes if box.column == column] for column in (0, 1))
    return sankey(150, 3, boxes, ribbons_between(begins, ends))


def _box(name: str, column: int, value: float, colour: str, whole: float) -> Box:
    label = f"{name} {watt_hours(value)}, {percent(value / whole)}"
    return Box(name, column, value, label, colour)


def _table(reading: Reading, total: Flows) -> Table:
    used = _used_j(total)
    names = {"site": ("at the meter", ""), "battery": ("out of batteries", "")}
    names |= {key: (name, "") for key, (name, _) in _GROUPS.items()}
    names |= {key: (name, group) for key, (name, group, _) in _ELEMENTS.items()}
    names |= {key: (name, "heat") for key, (name, _, _) in _HEAT.items()}
    rows = []
    for key, (name, group) in names.items():
        value: float | None = getattr(total, key)
        text = "" if value is None else watt_hours(value)
        cells = (
            number(value, text),
            number(None if value is None else value / used, percent(abs(_j(total, key)) / used)),
        )
        rows.append((name, group, *cells, key))
    head = ("element", "part of", "energy", "of what is used", "name")
    sites = ", ".join(energy(reading.run).sites)
    return Table("As a table", head, rows, f"Sites: {sites}.")


def efficiency(reading: Reading, axis: TimeAxis) -> Section:
    """PUE hour by hour, and cost and carbon day by day."""
    question = "How well was the electricity used?"
    about = "PUE of each hour: what sites used over what their IT used. Water is what evaporated "
    about += "or was drained, over energy of the IT."
    hours = hourly(reading.run)
    known = np.isfinite(hours["pue"])
    if not known.any():
        why = "No IT used power before the run ended."
        return Section("pue", question, "Not recorded.", about, None, empty=why)
    t_ns, pue = hours["t_ns"], hours["pue"]
    edges = np.concatenate([[0], t_ns])
    bins = reading.at_most(BINS_MAX)
    if t_ns.size > bins:
        edges = np.linspace(0, t_ns[-1], bins + 1)
    line = reduced(t_ns, pue, edges)
    low, high = float(np.nanmin(line.low)), float(np.nanmax(line.high))
    plot = axis.plot(150, Range1d(1.0, max(1 + (high - 1) * 1.25, 1.01)), y_label="PUE")
    x, least, mean, most = stairs(edges, *line)
    shown = source(x=x, low=least, mean=mean, high=most)
    plot.varea("x", "low", "high", source=shown, fill_color="#2F8FD3", fill_alpha=0.25)
    drawn = plot.line("x", "mean", source=shown, line_color="#2F8FD3", line_width=1.6)
    plot.add_tools(
        HoverTool(
            renderers=[drawn],
            mode="vline",
            tooltips=[("time", "@x{custom}"), ("PUE", "@mean")],
            formatters={"@x": axis.clock},
            line_policy="prev",
            limit=1,
        )
    )
    metric = reading.summary.metrics["pue"].value
    answer = f"PUE from {low:.2f} to {high:.2f} by the hour"
    if f"{low:.2f}" == f"{high:.2f}":
        answer = f"PUE of {low:.2f} in every hour."
    else:
        answer += f", {metric:.2f} over the run." if metric is not None else "."
    answer += _water(reading)
    return Section("pue", question, answer, about, _days(reading), (plot,))


def _water(reading: Reading) -> str:
    """How much water it took, in a sentence."""
    used = reading.summary.metrics["wue_l_per_kwh"].value
    if used is None:
        return ""
    if not used:
        return " No water was used: nothing here evaporates or drains any, so WUE is 0."
    return f" WUE was {used:.3g} L for each kWh of IT."


def _days(reading: Reading) -> Table:
    days = daily(reading.run)
    rows = [
        (
            Cell(clock(int(t_ns)), int(t_ns)),
            number(float(cost), f"{cost:,.2f}"),
            number(float(co2) / 1000, f"{co2 / 1000:,.1f}"),
        )
        for t_ns, cost, co2 in zip(days["t_ns"], days["cost_usd"], days["co2_g"], strict=True)
    ]
    head = ("until", "electricity [USD]", "carbon [kg]")
    return Table("Cost and carbon by day", head, rows)
