"""Time: what became of the GPUs, power and temperature, with every interruption as a band."""

from typing import Any

import numpy as np
from bokeh.models import HoverTool, Range1d

from dcsim.accounting.interruptions import Interruption
from dcsim.accounting.waterfall import WATERFALL
from dcsim.report.page.bands import DRAWN_MAX, Bands, add_bands, bands_of, interruption_table, lanes
from dcsim.report.page.figures import INK, TimeAxis, percent_axis, scaled, source, stairs
from dcsim.report.page.lines import Line, Scale, add_lines, line_table, name_lines
from dcsim.report.page.reading import Reading, shares
from dcsim.report.page.section import Section
from dcsim.report.page.series import reduced
from dcsim.report.words import (
    COMMUNICATION,
    FAILURE,
    IDLE,
    MEANINGS,
    PHYSICS,
    clock,
    length,
    meaning_of,
    rounded,
)
from dcsim.units import show

_SITE = "#2F8FD3"


def timeline(reading: Reading, axis: TimeAxis) -> list[Section]:
    """What became of the GPUs, power and temperature, on one axis."""
    bands = bands_of(reading)
    return [_down(reading, axis, bands), _power(reading, axis, bands), _heat(reading, axis, bands)]


def _down(reading: Reading, axis: TimeAxis, bands: Bands) -> Section:
    found = reading.interruptions
    unexpected = [i for i in found if i.unexpected]
    figures = (_use(reading, axis, bands), *lanes(bands, axis))
    most = reading.at_most(DRAWN_MAX)
    drawn = f" The {most:,} that cost most are drawn." if len(found) > most else ""
    return Section(
        key="down",
        question="When was it down, and why?",
        answer=_down_answer(reading, unexpected) + drawn,
        about="Share of the peak FLOPs of all GPUs by what became of it; weighted by time, the "
        "bins add up to the waterfall. A band is an interruption, from the stop of the job to its "
        "next progress. Drag to zoom, double-click to see all again.",
        table=interruption_table(reading),
        figures=figures,
    )


def _down_answer(reading: Reading, unexpected: list[Interruption]) -> str:
    planned = [i for i in reading.interruptions if not i.unexpected]
    stops = f"{len(planned):,} planned stop{'s' * (len(planned) > 1)}"
    besides = f" {stops} cost {rounded(sum(i.share for i in planned))}." if planned else ""
    if not unexpected:
        return f"No unexpected interruption in {length(reading.run.end_ns)}.{besides}"
    lost = rounded(sum(i.share for i in unexpected))
    stopped_ns = sorted(i.until_ns - i.t_ns for i in unexpected)
    median = clock(stopped_ns[len(stopped_ns) // 2])
    if len(unexpected) == 1:
        one = f"1 unexpected interruption; it took {median} and cost {lost} of the peak FLOPs."
        return one + besides
    return (
        f"{len(unexpected):,} unexpected interruptions; half of them took at most {median}, and in "
        f"sum they cost {lost} of the peak FLOPs.{besides}"
    )


def _use(reading: Reading, axis: TimeAxis, bands: Bands) -> Any:
    """Shares of the peak by meaning, stacked, useful at the bottom."""
    plot = axis.plot(230, Range1d(0, 1), y_label="of peak FLOPs")
    percent_axis(plot)
    add_bands(plot, bands, axis, is_seen=False)
    by_place = shares(reading)
    meanings = [meaning_of(name) for name in WATERFALL]
    below = np.zeros(reading.at_ns.size - 1)
    columns = {}
    for name, colour in MEANINGS.items():
        part = by_place[:, [i for i, meaning in enumerate(meanings) if meaning == name]]
        above = below + part.sum(axis=1)
        columns[name] = (below, above, colour)
        below = above
    x, *levels = stairs(reading.at_ns, *(level for b, a, _ in columns.values() for level in (b, a)))
    data = {"x": x, "middle": np.repeat((reading.at_ns[1:] + reading.at_ns[:-1]) / 2e6, 2)}
    for index in range(len(columns)):
        data[f"low{index}"], data[f"high{index}"] = levels[2 * index], levels[2 * index + 1]
        data[f"share{index}"] = levels[2 * index + 1] - levels[2 * index]
    shown = source(**data)
    for index, (_, _, colour) in enumerate(columns.values()):
        plot.varea(
            "x", f"low{index}", f"high{index}", source=shown, fill_color=colour, fill_alpha=0.85
        )
    cursor = plot.line("x", "high0", source=shown, line_alpha=0)
    tips = [(name, f"@share{index}{{0.0%}}") for index, name in enumerate(columns)]
    plot.add_tools(
        HoverTool(
            renderers=[cursor],
            mode="vline",
            tooltips=[("time", "@x{custom}"), *tips[::-1]],
            formatters={"@x": axis.clock},
            line_policy="prev",
            limit=1,
        )
    )
    return plot


def _power(reading: Reading, axis: TimeAxis, bands: Bands) -> Section:
    rows, at_ns = reading.instants, reading.at_ns
    about = "Electricity at the meter and at the nodes' inlets, summed over sites: mean of each "
    about += "bin of time, and between its least and most a band. Source: table site."
    question = "How much power did it draw?"
    site = reduced(rows.t_ns, rows.site_power_w, at_ns)
    if not np.isfinite(site.high).any():
        return _nothing("power", question, about)
    lines = [
        Line("site", site, _SITE, has_band=True),
        Line("IT", reduced(rows.t_ns, rows.it_power_w, at_ns), INK),
    ]
    most_w = float(np.nanmax(site.high))
    divisor, unit = scaled(most_w, "W")
    scale = Scale((0.0, most_w / divisor * 1.12 or 1.0), unit, divisor)
    plot = axis.plot(210, Range1d(*scale.ends), y_label=unit)
    add_bands(plot, bands, axis)
    add_lines(plot, axis, at_ns, lines, scale)
    name_lines(plot, lines, scale)
    metrics = reading.summary.metrics
    mean, most, pue = (metrics[n].value for n in ("site_power_w_mean", "site_power_w_max", "pue"))
    answer = "No power was recorded."
    if mean is not None and most is not None:
        answer = f"{show(mean, 'W')} at the meter in the mean, {show(most, 'W')} at most"
        answer += f"; {pue:.2f} W were used for each watt of IT." if pue is not None else "."
    return Section("power", question, answer, about, line_table(at_ns, lines, "W"), (plot,))


def _heat(reading: Reading, axis: TimeAxis, bands: Bands) -> Section:
    rows, at_ns = reading.instants, reading.at_ns
    about = "Package temperatures of GPUs that are up, at the hottest site: half of them below the "
    about += "median, 1% above the 99th percentile. Source: table site."
    question = "How hot did GPUs get?"
    hottest = reduced(rows.t_ns, rows.gpu_temp_c_max, at_ns)
    if not np.isfinite(hottest.high).any():
        return _nothing("heat", question, about)
    lines = [
        Line("hottest GPU", hottest._replace(mean=hottest.high), FAILURE),
        Line("99% below", reduced(rows.t_ns, rows.gpu_temp_c_p99, at_ns), PHYSICS),
        Line("median GPU", reduced(rows.t_ns, rows.gpu_temp_c_p50, at_ns), INK, has_band=True),
        Line("facility water", reduced(rows.t_ns, rows.facility_supply_c, at_ns), COMMUNICATION),
        Line("outside air", reduced(rows.t_ns, rows.dry_bulb_c, at_ns), IDLE),
    ]
    lowest = float(np.nanmin([line.values.low for line in lines]))
    limit = throttle_c(reading)
    top = max(float(np.nanmax(hottest.high)) * 1.05, (limit or 0) + 6)
    scale = Scale((min(lowest - 3, 15.0), top), "°C")
    plot = axis.plot(250, Range1d(*scale.ends), y_label="°C")
    add_bands(plot, bands, axis)
    add_lines(plot, axis, at_ns, lines, scale)
    name_lines(plot, lines, scale, () if limit is None else (("clocks are cut", limit),))
    metrics = reading.summary.metrics
    p50, p99, most = (metrics[f"gpu_temp_c_{name}"].value for name in ("p50", "p99", "max"))
    answer = "No GPU was up while temperatures were recorded."
    if p50 is not None and p99 is not None and most is not None:
        answer = f"Half of the GPU-time below {p50:.0f} °C, 99% below {p99:.0f} °C; "
        answer += f"the hottest GPU reached {most:.0f} °C"
        answer += f"; clocks are cut at {limit:.0f} °C." if limit else "."
    return Section("heat", question, answer, about, line_table(at_ns, lines, "°C"), (plot,))


def throttle_c(reading: Reading) -> float | None:
    """Lowest temperature at which a GPU of the run lowers its clock [degC]; None: not said."""
    found = [
        float(item["value"])
        for item in reading.run.record.get("sources", [])
        if str(item.get("path")).endswith("/throttle_c")
        and isinstance(item.get("value"), int | float)
    ]
    return min(found, default=None)


def _nothing(key: str, question: str, about: str) -> Section:
    why = "The run ended before anything was recorded here."
    return Section(key, question, "Not recorded.", about, None, empty=why)
