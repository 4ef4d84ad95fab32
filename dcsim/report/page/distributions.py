"""How GPU temperature and clock are distributed over all GPU-time."""

from typing import Any

import numpy as np
from bokeh.models import FixedTicker, HoverTool, Range1d, Span

from dcsim.accounting.segments import Array
from dcsim.report.page.figures import INK, percent_axis, source, styled
from dcsim.report.page.reading import Reading
from dcsim.report.page.section import Cell, Section, Table
from dcsim.report.page.series import row_lengths_ns
from dcsim.report.page.timeline import throttle_c
from dcsim.report.words import PHYSICS, USEFUL, percent

_ABOUT_TEMP = (
    "GPU-time of GPUs that are up by 1 K of package temperature, from every row of the site table."
)
_ABOUT_CLOCK = (
    "GPUs that are up by clock over their highest clock, in steps of 1/100, at every full hour."
)


def distributions(reading: Reading) -> list[Section]:
    """Temperature and clock."""
    return [_temperature(reading), _clock(reading)]


def _temperature(reading: Reading) -> Section:
    question = "How is the temperature of GPUs distributed?"
    total = np.zeros(1)
    for rows, length_ns in row_lengths_ns(reading.run, ("temp_histogram",)):
        total = total + length_ns @ rows["temp_histogram"]
    shares = _normal(total)
    if shares is None:
        return _nothing("temperature", question, _ABOUT_TEMP, "No GPU was up at a recorded time.")
    limit = throttle_c(reading)
    above = float(shares[int(limit) :].sum()) if limit is not None else 0.0
    peak = int(shares.argmax())
    answer = f"Most often {peak} to {peak + 1} °C, {percent(float(shares[peak]))} of GPU-time"
    if limit is not None:
        part = percent(above) if above else "none"
        answer += f"; {part} at or above {limit:.0f} °C, where clocks are cut"
        most = reading.summary.metrics["gpu_temp_c_max"].value
        if not above and most is not None and most >= limit:
            answer += f", though between two rows a GPU reached {most:.0f} °C"
    plot = _bars(shares, "°C", PHYSICS, shares.size)
    if limit is not None and limit < plot.x_range.end:
        plot.add_layout(Span(location=limit, dimension="height", line_dash="dashed", tags=[INK]))
    table = _table(shares, lambda index: f"{index} to {index + 1} °C", "temperature")
    return Section("temperature", question, answer + ".", _ABOUT_TEMP, table, (plot,))


def _clock(reading: Reading) -> Section:
    question = "How fast did GPUs run?"
    total, is_recorded = np.zeros(1), False
    for rows in reading.run.column_batches("site", ("clock_histogram",)):
        if "clock_histogram" in rows:
            is_recorded = True
            total = total + rows["clock_histogram"].sum(axis=0, dtype=np.float64)
    shares = _normal(total)
    if shares is None:
        why = "No GPU was up at a full hour, when clocks are written."
        if not is_recorded:
            why = "This trace was written before clocks of GPUs were recorded."
        return _nothing("clock", question, _ABOUT_CLOCK, why)
    mean = float((np.arange(shares.size) + 0.5) @ shares) / 100
    answer = f"{percent(min(mean, 1.0))} of the highest clock in the mean"
    answer += f"; {percent(float(shares[:50].sum()))} of the time below half of it."
    plot = _bars(shares, "% of the highest clock", USEFUL, 101)
    table = _table(shares, lambda index: f"{index}% to {index + 1}%", "clock")
    return Section("clock", question, answer, _ABOUT_CLOCK, table, (plot,))


def _normal(total: Array) -> Array | None:
    return np.asarray(total / total.sum()) if total.sum() > 0 else None


def _bars(shares: Array, label: str, colour: str, end: int) -> Any:
    """A bar for each bin between the first and the last that are not empty."""
    used = np.flatnonzero(shares)
    first, last = max(int(used[0]) - 3, 0), min(int(used[-1]) + 4, end)
    bins = np.arange(first, last)
    values = np.append(shares, np.zeros(8))[bins]
    plot = styled(200, Range1d(first, last), Range1d(0, float(values.max()) * 1.1))
    plot.xaxis.axis_label = label
    percent_axis(plot)
    shown = source(left=bins.astype(float), right=bins + 1.0, share=values)
    bars = plot.quad("left", "right", "share", 0, source=shown, fill_color=colour, line_color=None)
    if last - first <= 16:
        plot.xaxis.ticker = FixedTicker(ticks=list(range(first, min(last, end - 1) + 1)))
    tips = [(label, "@left to @right"), ("share", "@share{0.00%}")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips, mode="vline"))
    return plot


def _table(shares: Array, name: Any, what: str) -> Table:
    rows = [
        (Cell(name(index), index), Cell(f"{100 * shares[index]:.3f}%", float(shares[index])))
        for index in np.flatnonzero(shares).tolist()
    ]
    return Table("As a table", (what, "share of GPU-time"), rows)


def _nothing(key: str, question: str, about: str, why: str) -> Section:
    return Section(key, question, "Not recorded.", about, None, empty=why)
