"""Lines over time, each named at its end, and the same as a table."""

from typing import Any, NamedTuple

import numpy as np
from bokeh.models import HoverTool, Span

from dcsim.accounting.segments import Array
from dcsim.report.page.figures import INK, TimeAxis, direct_labels, source, stairs
from dcsim.report.page.section import Cell, Table, number
from dcsim.report.page.series import Reduced
from dcsim.report.words import clock
from dcsim.units import show

_MANY_BINS = 300
_TABLE_ROWS = 48


class Line(NamedTuple):
    """A series in bins; `has_band` draws from the least to the most of each bin."""

    name: str
    values: Reduced
    colour: str
    has_band: bool = False


class Scale(NamedTuple):
    """The y axis: ends, unit, and what values in SI are divided by."""

    ends: tuple[float, float]
    unit: str
    divisor: float = 1.0


def add_lines(plot: Any, axis: TimeAxis, at_ns: Array, lines: list[Line], scale: Scale) -> None:
    """Draw means as lines of steps, with their names and what the cursor shows."""
    data: dict[str, Any] = {}
    for index, line in enumerate(lines):
        x, low, mean, high = stairs(at_ns, *(values / scale.divisor for values in line.values))
        data |= {"x": x, f"mean{index}": mean}
        if line.has_band:
            data |= {f"low{index}": low, f"high{index}": high}
    shown = source(**data)
    width = 1.6 if at_ns.size < _MANY_BINS else 1.1
    for index, line in enumerate(lines):
        tags = [INK] if line.colour == INK else []
        colour = "black" if line.colour == INK else line.colour
        if line.has_band:
            band = plot.varea("x", f"low{index}", f"high{index}", source=shown, fill_alpha=0.2)
            band.glyph.update(fill_color=colour, tags=tags)
        drawn = plot.line("x", f"mean{index}", source=shown, line_width=width)
        drawn.glyph.update(line_color=colour, tags=tags)
    tips = [(line.name, f"@mean{index}{{0.0}} {scale.unit}") for index, line in enumerate(lines)]
    plot.add_tools(
        HoverTool(
            renderers=[drawn],
            mode="vline",
            tooltips=[("time", "@x{custom}"), *tips],
            formatters={"@x": axis.clock},
            line_policy="prev",
            limit=1,
        )
    )


def name_lines(
    plot: Any, lines: list[Line], scale: Scale, limits: tuple[tuple[str, float], ...] = ()
) -> None:
    """Write the name of each line, and of each dashed limit, at its right end."""
    named = []
    for line in lines:
        known = line.values.mean[np.isfinite(line.values.mean)]
        if known.size:
            named.append((line.name, float(known[-1]) / scale.divisor, line.colour))
    for name, value in limits:
        plot.add_layout(Span(location=value, line_dash="dashed", line_width=1, tags=[INK]))
        named.append((name, value, INK))
    direct_labels(plot, named, scale.ends)


def line_table(at_ns: Array, lines: list[Line], unit: str) -> Table:
    """The means of up to 48 bins, evenly chosen; the plot holds every bin."""
    bins = np.unique(np.linspace(0, at_ns.size - 2, min(_TABLE_ROWS, at_ns.size - 1)).astype(int))
    rows = [
        (
            Cell(clock(int(at_ns[i])), float(at_ns[i])),
            *(_cell(float(line.values.mean[i]), unit) for line in lines),
        )
        for i in bins.tolist()
    ]
    note = f"Means of {bins.size:,} of the {at_ns.size - 1:,} bins that are drawn."
    return Table("As a table", ("from", *(line.name for line in lines)), rows, note)


def _cell(value: float, unit: str) -> Cell:
    return number(value, show(value, "W") if unit == "W" else f"{value:.1f} {unit}")
