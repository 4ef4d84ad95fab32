"""What broke, how often against the preset, how long between stops, and who waited for what."""

from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJSTickFormatter,
    FactorRange,
    HoverTool,
    NumeralTickFormatter,
    Range1d,
)

from dcsim.accounting.reliability import FailureClass, between_s, reliability
from dcsim.accounting.waits import Wait, waits
from dcsim.report.page.figures import INK, percent_axis, source, styled
from dcsim.report.page.reading import Reading
from dcsim.report.page.section import Cell, Section, Table, count, number, plain
from dcsim.report.words import FAILURE, IDLE, cause_words, clock, rounded, words_of
from dcsim.units import show

_ROW_PX = 22
_WAITS_DRAWN, _WAITS_LISTED = 12, 100
_ABOUT_CLASSES = (
    "Failures that came in the run, by class. The bar is where 90% of the counts of a Poisson "
    "process with the rate of the preset lie; things that fail again and again widen it."
)
_ABOUT_BETWEEN = (
    "Times between unexpected interruptions of one job, of all jobs. The thin line is what the "
    "same mean would give if interruptions came independently of each other."
)
_ABOUT_REPAIR = "Time out of service of what broke: median, and the time that 90% stay below."
_ABOUT_WAITS = "Time in which jobs made no steps, by state and by what began it, in GPU-time held."


def failures(reading: Reading) -> list[Section]:
    """Classes against the preset, time between interruptions, and repairs."""
    classes = reliability(reading.run)
    return [_classes(classes), _between(reading), _repairs(classes)]


def _classes(classes: list[FailureClass]) -> Section:
    question = "What broke, and how often against the preset?"
    if not classes:
        why = "The scenario has no failures, and none came. Scripted faults do not count here."
        answer = "Nothing broke by itself."
        return Section("failures", question, answer, _ABOUT_CLASSES, None, empty=why)
    total = sum(one.count for one in classes)
    expected = [one.expected_count for one in classes if one.expected_count is not None]
    answer = f"{total:,} failure{'s' * (total != 1)}" if total else "Nothing broke by itself"
    if expected:
        answer += f" where the preset leads one to expect {_amount(sum(expected))}"
        answer += _outside(classes)
    else:
        answer += "; the run has no preset to compare with."
    rows = [
        (
            one.name,
            one.component,
            count(one.count),
            number(one.expected_count, _amount(one.expected_count or 0.0)),
            number(one.expected_low, f"{one.expected_low or 0:,.0f}"),
            number(one.expected_high, f"{one.expected_high or 0:,.0f}"),
            count(one.interrupting_count),
            count(one.masked_count),
        )
        for one in classes
    ]
    head = ("class", "component", "failures", "expected", "5%", "95%", "stopped a job", "masked")
    note = "Masked: it met a thing that was down already and changed nothing."
    figures = (_class_plot(classes),) if any(_draws(one) for one in classes) else ()
    return Section(
        key="failures",
        question=question,
        answer=answer,
        about=_ABOUT_CLASSES,
        table=Table("As a table", head, rows, note),
        figures=figures,
        empty="Nothing broke by itself, and in so little time nothing was likely to.",
    )


def _draws(one: FailureClass) -> bool:
    return one.count > 0 or (one.expected_high or 0) > 0


def _outside(classes: list[FailureClass]) -> str:
    """Which classes came more or less often than nine in ten runs would see them."""
    outside = [one.name for one in classes if _is_outside(one)]
    if not outside:
        return "; every class lies in its 90% interval."
    by_chance = f"{max(round(0.1 * len(classes)), 1)} of {len(classes)} would by chance"
    return f"; outside their 90% interval, as {by_chance}: {', '.join(outside)}."


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _is_outside(one: FailureClass) -> bool:
    if one.expected_low is None or one.expected_high is None:
        return False
    return not one.expected_low <= one.count <= one.expected_high


def _class_plot(classes: list[FailureClass]) -> Any:
    classes = [one for one in classes if _draws(one)]
    labels = _class_labels(classes)
    most = max(1, *(max(one.count, one.expected_high or 0) for one in classes))
    plot = styled(
        46 + _ROW_PX * len(classes),
        Range1d(-0.015 * most, 1.06 * most),
        FactorRange(*labels[::-1]),
    )
    plot.ygrid.visible = False
    plot.xgrid.visible = True
    plot.xaxis.axis_label = "failures"
    known = [index for index, one in enumerate(classes) if one.expected_high is not None]
    interval = ColumnDataSource(
        {
            "label": [labels[index] for index in known],
            "low": [classes[index].expected_low for index in known],
            "high": [classes[index].expected_high for index in known],
            "expected": [classes[index].expected_count for index in known],
        }
    )
    plot.hbar(
        "label",
        left="low",
        right="high",
        height=0.5,
        source=interval,
        fill_color=IDLE,
        fill_alpha=0.45,
        line_color=IDLE,
    )
    shown = ColumnDataSource({"label": labels, "count": [one.count for one in classes]})
    dots = plot.scatter("count", "label", source=shown, size=9, fill_color=FAILURE, line_color=None)
    plot.add_tools(
        HoverTool(renderers=[dots], tooltips=[("class", "@label"), ("failures", "@count")])
    )
    return plot


def _class_labels(classes: list[FailureClass]) -> list[str]:
    """Names of classes, with the kind of thing where two are the same."""
    names = [one.name for one in classes]
    return _labels(
        [
            one.name if names.count(one.name) == 1 else f"{one.name} ({one.component})"
            for one in classes
        ]
    )


def _labels(names: list[str]) -> list[str]:
    """Names for an axis, none of them twice."""
    drawn = [plain(name) for name in names]
    return [
        f"{name} {index}" if drawn.count(name) > 1 else name for index, name in enumerate(drawn)
    ]


def _between(reading: Reading) -> Section:
    question, times_s = "How long did jobs run between interruptions?", between_s(reading.run)
    if times_s.size == 0:
        why = "It takes two unexpected interruptions of one job; there were fewer."
        return Section(
            "between", question, "Never interrupted twice.", _ABOUT_BETWEEN, None, empty=why
        )
    ordered = np.sort(times_s)
    median, mean = float(np.median(ordered)), float(ordered.mean())
    answer = f"Half of the times are shorter than {show(median, 's')}, the mean is "
    answer += f"{show(mean, 's')}."
    low, high = max(ordered[0], 1.0), max(float(ordered[-1]), 2.0)
    hours = np.geomspace(low, high, 120) / 3600
    share = np.searchsorted(ordered, hours * 3600, side="right") / ordered.size
    ends = Range1d(float(hours[0]), float(hours[-1]))
    plot = styled(190, ends, Range1d(0, 1.02), x_axis_type="log")
    plot.xaxis.axis_label = "hours without interruption"
    plot.xaxis.formatter = CustomJSTickFormatter(code="return String(+tick.toPrecision(3))")
    percent_axis(plot)
    shown = source(x=hours, share=share, model=1 - np.exp(-hours * 3600 / mean))
    plot.line("x", "model", source=shown, line_dash="dashed", line_color=IDLE)
    line = plot.line("x", "share", source=shown, line_color=FAILURE, line_width=2)
    tips = [("shorter than", "@x{0.00} h"), ("share", "@share{0.0%}")]
    plot.add_tools(HoverTool(renderers=[line], mode="vline", tooltips=tips, limit=1))
    parts = np.unique(np.concatenate([np.arange(0.05, 1, 0.05), [0.01, 0.99]]))
    rows = [
        (Cell(f"{100 * part:.0f}%", float(part)), Cell(show(float(t), "s"), float(t)))
        for part, t in zip(parts, np.quantile(ordered, parts), strict=True)
    ]
    table = Table("As a table", ("share", "shorter than"), rows)
    return Section("between", question, answer, _ABOUT_BETWEEN, table, (plot,))


def _repairs(classes: list[FailureClass]) -> Section:
    question = "How long did repairs take?"
    known = [one for one in classes if one.repair_median_s is not None]
    if not known:
        why = "Nothing was repaired in this run."
        return Section("repairs", question, "No repairs.", _ABOUT_REPAIR, None, empty=why)
    known.sort(key=lambda one: -(one.repair_median_s or 0.0))
    slowest = known[0]
    median, p90 = (show(_s(s), "s") for s in (slowest.repair_median_s, slowest.repair_p90_s))
    answer = f"Slowest is {slowest.name}: half are back within {median}, 90% within {p90}."
    labels = _class_labels(known)
    days = [(_s(one.repair_median_s) / 86_400, _s(one.repair_p90_s) / 86_400) for one in known]
    plot = styled(
        46 + _ROW_PX * len(known),
        Range1d(0, max(p90 for _, p90 in days) * 1.05 or 1.0),
        FactorRange(*labels[::-1]),
    )
    plot.ygrid.visible = False
    plot.xgrid.visible = True
    plot.xaxis.axis_label = "days out of service"
    shown = ColumnDataSource(
        {
            "label": labels,
            "median": [median for median, _ in days],
            "p90": [p90 for _, p90 in days],
        }
    )
    plot.hbar(
        "label",
        left="median",
        right="p90",
        height=0.22,
        source=shown,
        fill_color=IDLE,
        line_color=None,
        fill_alpha=0.6,
    )
    dots = plot.scatter("median", "label", source=shown, size=9, line_color=None)
    dots.glyph.tags = [INK]
    tips = [("class", "@label"), ("median", "@median{0.00} d"), ("90% within", "@p90{0.0} d")]
    plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    rows = [
        (
            one.name,
            one.component,
            Cell(show(_s(one.repair_median_s), "s"), _s(one.repair_median_s)),
            Cell(show(_s(one.repair_p90_s), "s"), _s(one.repair_p90_s)),
        )
        for one in known
    ]
    table = Table("As a table", ("class", "component", "median", "90% within"), rows)
    return Section("repairs", question, answer, _ABOUT_REPAIR, table, (plot,))


def _s(value: float | None) -> float:
    return 0.0 if value is None else value


def waiting(reading: Reading) -> Section:
    """Who waited for what."""
    question, found = "Who waited for what?", waits(reading.run)
    if not found:
        why = "No job stood still." if reading.jobs.job_id.size else "There was no job."
        return Section("waits", question, "Nobody waited.", _ABOUT_WAITS, None, empty=why)
    total = sum(wait.gpu_s for wait in found)
    ordered = sorted(
        found, key=lambda wait: (-wait.gpu_s, -wait.total_s, wait.job, wait.state, wait.cause)
    )
    top = ordered[0]
    answer = f"{top.job} stood longest in {words_of(top.state)} ({cause_words(top.cause)}): "
    answer += f"{show(top.total_s, 's')} in {top.count:,} stay{'s' * (top.count != 1)}"
    answer += f", {rounded(top.gpu_s / total)} of all GPU-time that stood still." if total else "."
    rows = [
        (
            wait.job,
            words_of(wait.state),
            cause_words(wait.cause),
            count(wait.count),
            Cell(clock(round(wait.total_s * 1e9)), wait.total_s),
            Cell(f"{wait.gpu_s / 3600:,.1f}", wait.gpu_s),
        )
        for wait in ordered[:_WAITS_LISTED]
    ]
    more = len(ordered) - len(rows)
    note = f"{more:,} shorter ones are not listed." if more else ""
    head = ("job", "state", "because of", "times", "time", "GPU-hours held")
    figures = (_wait_plot(ordered[:_WAITS_DRAWN], total),) if total else ()
    why = "" if total else "Jobs waited in the queue and held no GPUs."
    return Section(
        key="waits",
        question=question,
        answer=answer,
        about=_ABOUT_WAITS,
        table=Table("As a table", head, rows, note),
        figures=figures,
        empty=why,
    )


def _wait_plot(shown: list[Wait], total: float) -> Any:
    several = len({wait.job for wait in shown}) > 1
    labels = _labels(
        [
            f"{wait.job}: " * several + f"{words_of(wait.state)}, {cause_words(wait.cause)}"
            for wait in shown
        ]
    )
    data = ColumnDataSource(
        {
            "label": labels,
            "share": [wait.gpu_s / total for wait in shown],
            "time": [show(wait.total_s, "s") for wait in shown],
            "times": [wait.count for wait in shown],
        }
    )
    most = max(data.data["share"])
    plot = styled(46 + _ROW_PX * len(shown), Range1d(0, most * 1.06), FactorRange(*labels[::-1]))
    plot.ygrid.visible = False
    plot.xgrid.visible = True
    plot.xaxis.axis_label = "share of all waiting"
    plot.xaxis.formatter = NumeralTickFormatter(format="0%")
    bars = plot.hbar(
        "label", right="share", height=0.6, source=data, fill_color=FAILURE, line_color=None
    )
    tips = [("wait", "@label"), ("time", "@time in @times stays"), ("share", "@share{0.0%}")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips))
    return plot
