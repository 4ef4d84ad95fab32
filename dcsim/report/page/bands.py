"""Interruptions as bands over time, as rows of marks, and as a table."""

import shlex
from typing import Any, NamedTuple

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJSHover,
    FactorRange,
    HBar,
    HoverTool,
    LinearColorMapper,
    Scatter,
    VStrip,
)

from dcsim.accounting.interruptions import Interruption
from dcsim.report.page.figures import TimeAxis
from dcsim.report.page.reading import Reading
from dcsim.report.page.section import Cell, Table, number, plain
from dcsim.report.words import cause_words, clock

DRAWN_MAX = 5000
LISTED_MAX = 150
_BRIEF = 1 / 500
_MANY, _FEW_ALPHA, _MANY_ALPHA = 100, 0.3, 0.12
LANES = {
    "GPU": ("#D55E00", ("gpu",)),
    "node": ("#CC79A7", ("node", "rack")),
    "network": ("#56B4E9", ("link", "leaf", "spine")),
    "cooling": ("#E69F00", ("cdu", "crah", "pump", "cooler", "chiller")),
    "power": ("#0072B2", ("pdu", "ups", "feed")),
    "planned": ("#999999", ()),
    "other": ("#777777", ()),
}
"""Classes of interruptions: their colour, and the kinds of things in them."""


_LONG = """
const s = Math.round(value / 1000), two = n => String(n).padStart(2, "0"), d = Math.floor(s / 86400)
const m = two(Math.floor(s % 3600 / 60)), h = two(Math.floor(s % 86400 / 3600))
return d ? `${d} d ${h}:${m}` : `${h}:${m}:${two(s % 60)}`
"""
_GPU_HOURS = "return Number(value.toPrecision(3)).toLocaleString('en') + ' GPU-hours'"
_SHARE = "return (100 * value).toPrecision(2) + '% of the peak FLOPs of the run'"


class Bands(NamedTuple):
    """Interruptions to draw: those too brief to be seen at full length, and the others.

    Words are numbers in the data, which `says` turns into text where the cursor is.
    """

    brief: ColumnDataSource
    lasting: ColumnDataSource
    names: list[str]
    alpha: float
    says: dict[str, CustomJSHover]


def lane(what: Interruption) -> str:
    """The class that an interruption is drawn in."""
    if not what.unexpected:
        return "planned"
    found = (name for name, (_, kinds) in LANES.items() if what.component in kinds)
    return next(found, "other")


def bands_of(reading: Reading) -> Bands:
    """The interruptions that cost most, in the order of time."""
    found = sorted(reading.interruptions, key=lambda i: (-i.lost_gpu_s, i.event_id))
    found = found[: reading.at_most(DRAWN_MAX)]
    found.sort(key=lambda i: i.event_id)
    names = [name for name in LANES if name in {lane(i) for i in found}][::-1]
    causes = list(dict.fromkeys(plain(cause_words(i.cause)) for i in found))
    jobs = list(dict.fromkeys(plain(i.job) for i in found))
    brief_ns = _BRIEF * reading.run.end_ns
    is_brief = [i.until_ns - i.t_ns < brief_ns for i in found]
    brief, lasting = (
        [i for i, is_so in zip(found, is_brief, strict=True) if is_so is wanted]
        for wanted in (True, False)
    )
    says = {
        "@cause": CustomJSHover(args={"words": causes}, code="return words[value]"),
        "@job": CustomJSHover(args={"words": jobs}, code="return words[value]"),
        "@took": CustomJSHover(code=_LONG),
        "@cost": CustomJSHover(code=_GPU_HOURS),
        "@share": CustomJSHover(code=_SHARE),
    }
    return Bands(
        brief=_source(brief, names, causes, jobs),
        lasting=_source(lasting, names, causes, jobs),
        names=names,
        alpha=_FEW_ALPHA if len(found) <= _MANY else _MANY_ALPHA,
        says=says,
    )


def _source(
    found: list[Interruption], names: list[str], causes: list[str], jobs: list[str]
) -> ColumnDataSource:
    cause_of = {cause: number for number, cause in enumerate(causes)}
    job_of = {job: number for number, job in enumerate(jobs)}
    return ColumnDataSource(
        {
            "begin": np.array([i.t_ns / 1e6 for i in found]),
            "end": np.array([i.until_ns / 1e6 for i in found]),
            "lane": np.array([names.index(lane(i)) + 0.5 for i in found], np.float32),
            "cause": np.array([cause_of[plain(cause_words(i.cause))] for i in found], np.int16),
            "job": np.array([job_of[plain(i.job)] for i in found], np.int16),
            "took": np.array([(i.until_ns - i.t_ns) / 1e6 for i in found], np.float32),
            "cost": np.array([i.lost_gpu_s / 3600 for i in found], np.float32),
            "share": np.array([i.share for i in found], np.float32),
            "thing": [plain(i.thing) for i in found],
        }
    )


def _colour(bands: Bands) -> dict[str, Any]:
    """The colour of each class, by its row."""
    palette = [LANES[name][0] for name in bands.names] or ["#777777"]
    return {
        "field": "lane",
        "transform": LinearColorMapper(palette=palette, low=0, high=len(palette)),
    }


def add_bands(plot: Any, bands: Bands, axis: TimeAxis, *, is_seen: bool = True) -> None:
    """Lay the bands under what the plot shows; unseen ones are found by the cursor only."""
    for data in (bands.brief, bands.lasting):
        strips = VStrip(
            x0="begin",
            x1="end",
            fill_color=_colour(bands),
            fill_alpha=bands.alpha * is_seen,
            line_color=None,
        )
        drawn = plot.add_glyph(data, strips, level="underlay")
        plot.add_tools(_hover(drawn, bands, axis))


def _hover(drawn: Any, bands: Bands, axis: TimeAxis) -> HoverTool:
    tips = [
        *(("cause", "@cause{custom}"), ("thing", "@thing"), ("job", "@job{custom}")),
        *(("at", "@begin{custom}"), ("stopped for", "@took{custom}")),
        *(("cost", "@cost{custom}"), ("", "@share{custom}")),
    ]
    formatters = {"@begin": axis.clock, **bands.says}
    return HoverTool(renderers=[drawn], tooltips=tips, formatters=formatters, limit=2)


def lanes(bands: Bands, axis: TimeAxis) -> list[Any]:
    """A row for each class of interruptions, each a mark that stays visible."""
    if not bands.names:
        return []
    plot = axis.plot(44 + 22 * len(bands.names), FactorRange(factors=bands.names))
    plot.ygrid.visible = False
    colour = _colour(bands)
    for data in (bands.brief, bands.lasting):
        bars = HBar(
            y="lane", left="begin", right="end", height=0.7, fill_color=colour, line_color=colour
        )
        drawn = plot.add_glyph(data, bars)
        if data is bands.brief:
            spots = Scatter(x="begin", y="lane", size=9, fill_alpha=0, line_alpha=0)
            drawn = plot.add_glyph(data, spots)
        plot.add_tools(_hover(drawn, bands, axis))
    return [plot]


def interruption_table(reading: Reading) -> Table:
    """The interruptions that cost most, each with the command that tells its story."""
    found = sorted(reading.interruptions, key=lambda i: (-i.lost_gpu_s, i.event_id))
    listed = found[: reading.at_most(LISTED_MAX)]
    is_whole = len(listed) == len(found)
    more = "" if is_whole else f"The {len(listed)} that cost most of {len(found):,}; "
    rows = [
        (
            Cell(clock(i.t_ns), i.t_ns),
            i.job,
            cause_words(i.cause),
            i.thing,
            "unexpected" if i.unexpected else "planned",
            Cell(clock(i.until_ns - i.t_ns), i.until_ns - i.t_ns),
            number(i.lost_steps, f"{i.lost_steps:,.0f}"),
            number(i.lost_gpu_s, f"{i.lost_gpu_s / 3600:,.1f}"),
            why_line(reading, i.job, i.t_ns),
        )
        for i in listed
    ]
    head = (
        "at",
        "job",
        "cause",
        "thing",
        "kind",
        "stopped for",
        "steps lost",
        "GPU-hours",
        "story",
    )
    note = f"{more}GPU-hours are time stopped and work done again, times the GPUs of the job."
    return Table("Every interruption" if not more else "Interruptions", head, rows, note)


def why_line(reading: Reading, thing: str, t_ns: int) -> str:
    """The command that tells what led to an event."""
    seconds = t_ns // 10**9
    at = f"{seconds // 86_400} d {seconds % 86_400 // 3600:02}:{seconds % 3600 // 60:02}"
    folder = shlex.quote(str(reading.run.folder))
    return f"dcsim why {folder} {shlex.quote(thing)} --at '{at}:{seconds % 60:02}'"
