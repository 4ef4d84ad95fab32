"""A comparison of runs in the terminal and as a page."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dcsim import units
from dcsim.accounting import Metric
from dcsim.report.leaf import chain, heading, paragraph, table, write_page
from dcsim.report.stories.comparison import LETTERS, Asked, Comparison, Measure, Paired
from dcsim.report.stories.phrases import folded, instant
from dcsim.report.stories.story import grid, lines
from dcsim.report.stories.telling import Table
from dcsim.report.words import percent, short, value_of, words_of

HIGHER_IS_BETTER = (
    *("goodput_frac", "ettr_frac", "mfu_frac", "tokens_count", "tokens_per_day"),
    "mtbf_s",
)
LOWER_IS_BETTER = (
    *("step_time_s", "days_to_target", "interruption_count", "throttled_frac", "pue"),
    *("gpu_temp_c_p50", "gpu_temp_c_p99", "gpu_temp_c_max", "wue_l_per_kwh", "co2_g"),
    *("cost_usd", "usd_per_mtoken"),
)
_LABELS = {
    "ettr_frac": "ETTR",
    "mfu_frac": "MFU",
    "hfu_frac": "HFU",
    "mtbf_s": "MTBF",
    "pue": "PUE",
    "wue_l_per_kwh": "WUE",
    "co2_g": "CO2",
    "interruption_count": "interruptions",
    "tokens_per_day": "tokens a day",
    "usd_per_mtoken": "USD per 1e6 tokens",
    "gpus_count": "GPUs",
    "it_power_w_mean": "IT power mean",
    "it_power_w_max": "IT power max",
}
_WIDTH_MAX = 120
_ASKED_MAX = 12
_COURSE_MAX = 12
_TEMPERATURE_RESOLUTION_K = 0.01
_SAME = 1e-6


def show(comparison: Comparison, console: Console) -> None:
    """Print a comparison; plain text where the console is no terminal."""
    width = min(console.width, _WIDTH_MAX)

    def say(*texts: str) -> None:
        for text in texts:
            for part in folded(text, width):
                console.print(Text(part), soft_wrap=True)

    def lay(table_: Table) -> None:
        for row in ["", *grid(table_)]:
            console.print(Text(row), soft_wrap=True)

    say(*comparison.notes, "", *asked(comparison.asked), comparison.inputs)
    lay(metrics(comparison.metrics))
    lay(waterfall(comparison.waterfall))
    say("", comparison.events)
    for run, (letter, thing, steps) in zip(comparison.runs, comparison.sides, strict=False):
        say(f"{letter}  dcsim why {run} {thing}" if steps else f"{letter}  no more events")
        for line in lines(steps, width):
            console.print(line, soft_wrap=True)
    say(*filter(None, [comparison.why]), "", *comparison.segments)
    if comparison.course:
        every = -(-len(comparison.course) // _COURSE_MAX)
        lay(course(comparison.course[::-1][::every][::-1]))


def write_comparison(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write comparisons as one page; raises OSError where it cannot be written."""
    parts: list[str] = []
    for one in comparisons:
        parts += [heading(f"{one.runs[1]} against {one.runs[0]}")]
        parts += map(paragraph, (*one.notes, *asked(one.asked), one.inputs))
        parts += [table(*part) for part in (metrics(one.metrics), waterfall(one.waterfall))]
        parts.append(paragraph(one.events))
        for letter, _, steps in one.sides:
            parts.append(paragraph(letter if steps else f"{letter}: no more events"))
            parts.append(chain([(instant(step.t_ns), step.depth, step.text) for step in steps]))
        parts += [paragraph(text) for text in (one.why, *one.segments) if text]
        parts += [table(*course(one.course))] if one.course else []
    folders = [comparisons[0].runs[0], *(one.runs[1] for one in comparisons)]
    write_page(path, f"{len(folders)} runs compared", parts, f"dcsim compare {' '.join(folders)}")


def asked(differences: Sequence[Asked]) -> list[str]:
    """What was asked differently, a line each."""
    if not differences:
        return ["The same was asked of both."]
    shown = [
        f"{key}: {first or 'nothing'} in A, {second or 'nothing'} in B"
        for key, first, second in differences[:_ASKED_MAX]
    ]
    more = len(differences) - len(shown)
    return [*shown, f"and {more} more, all in --json"] if more else shown


def metrics(measures: Sequence[Measure]) -> Table:
    """The metrics that are known of one run at least, with their differences."""
    rows = [_metric(m) for m in measures if (m.first, m.second) != (None, None)]
    return Table(("metric", *LETTERS, "B - A", "relative", ""), rows)


def waterfall(measures: Sequence[Measure]) -> Table:
    """The waterfalls, without places where nothing went in either run."""
    rows: list[tuple[str, ...]] = []
    for name, _, first, second in measures:
        one, two = first or 0.0, second or 0.0
        if one or two:
            points = f"{100 * (two - one):+.2f}" if abs(two - one) >= 5e-5 else "0"
            rows.append((words_of(name), percent(one), percent(two), points))
    return Table(("where the peak FLOPs went", *LETTERS, "points"), rows)


def course(pairs: Sequence[Paired]) -> Table:
    """How the differences in work and energy grow."""
    rows: list[tuple[str, ...]] = [
        (
            instant(pair.t_ns),
            _signed(pair.tokens, short(abs(pair.tokens)).rstrip()),
            _signed(pair.energy_j, units.show(abs(pair.energy_j), "J")),
            _signed(pair.power_w, units.show(abs(pair.power_w), "W")),
        )
        for pair in pairs
    ]
    return Table(("B - A up to", "useful tokens", "energy", "mean power since"), rows)


def label(name: str) -> str:
    """The name of a metric in words, without its unit."""
    suffix = next(
        (s for s in sorted(units.SUFFIXES, key=len, reverse=True) if f"_{s}_" in f"{name}_"), ""
    )
    bare = f"{name}_".replace(f"_{suffix}_", "_", 1).removesuffix("_") if suffix else name
    return _LABELS.get(name, words_of(bare))


def _metric(measure: Measure) -> tuple[str, ...]:
    """Label, both values, difference, relative difference, and whether it is for the better."""
    name, unit, one, two = measure
    shown = [_value(name, unit, value) for value in (one, two)]
    if one is None or two is None:
        return (label(name), *shown, "", "", "")
    by = two - one
    if abs(by) <= _SAME * max(abs(one), abs(two)):
        return (label(name), *shown, "same", "", "")
    if unit == "degC" and abs(by) < _TEMPERATURE_RESOLUTION_K:
        return (label(name), *shown, f"<{_TEMPERATURE_RESOLUTION_K} K", "", "")
    relative = _percent(100 * by / abs(one)) if one and unit != "degC" else ""
    wanted = (name in HIGHER_IS_BETTER) - (name in LOWER_IS_BETTER)
    verdict = "" if not wanted else "better" if by * wanted > 0 else "worse"
    return (label(name), *shown, _signed(by, _amount(name, unit, abs(by))), relative, verdict)


def _value(name: str, unit: str, value: float | None) -> str:
    if value is not None and (name == "tokens_count" or unit == "g" or unit.startswith("USD")):
        return _amount(name, unit, value)
    return value_of(name, Metric(value, unit, None, None, "not known"))


def _amount(name: str, unit: str, size: float) -> str:
    """The size of a metric, or of a difference of it, with its unit."""
    if name.endswith("_frac"):
        return f"{100 * size:.2g} points"
    if unit == "degC":
        return f"{size:.2g} K"
    if unit == "g":
        return units.show(size / 1e6, "t")
    if unit.startswith("USD"):
        return f"{short(size).rstrip()} USD"
    if unit in ("1", "1/d"):
        return short(size).rstrip()
    return units.show(size, unit)


def _percent(change: float) -> str:
    return f"{change:+,.0f}%" if abs(change) >= 99.5 else f"{change:+.2g}%"


def _signed(number: float, size: str) -> str:
    return f"{'+' if number > 0 else '-'}{size}" if number else "0"
