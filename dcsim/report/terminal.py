"""The summary of a run on one screen: a sentence, numbers, the waterfall, what broke."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap

from rich.console import Console
from rich.text import Text

from dcsim.accounting import PUBLISHED_GPUS_COUNT, Metric, Summary, summarise
from dcsim.report.words import (
    CAUSES,
    COLOURS,
    bar,
    clock,
    interval_of,
    percent,
    sentence,
    value_of,
    words_of,
)
from dcsim.trace import Run

_COLUMNS = (
    {"goodput": "goodput_frac", "step time": "step_time_s", "interrupted": "interruption_count"},
    {"MFU": "mfu_frac", "to target": "days_to_target", "MTBF": "mtbf_s"},
    {"tokens/d": "tokens_per_day", "GPU p99": "gpu_temp_c_p99", "GPU max": "gpu_temp_c_max"},
    {"power": "site_power_w_mean", "PUE": "pue", "cost": "cost_usd"},
)
_RANGED = {
    "goodput": "goodput_frac",
    "MFU": "mfu_frac",
    "tokens/d": "tokens_per_day",
    "power": "site_power_w_mean",
}
_NO_BREAK = "\N{NO-BREAK SPACE}"
_WIDTH_MAX = 100
_WARNINGS_MAX = 2
_BAR_BEGIN = 29


def show(folder: Path) -> None:
    """Print the summary of the run in *folder* on stdout; raises as `summarise`."""
    run = Run(folder)
    print_summary(run, summarise(run), Console())


def print_summary(run: Run, summary: Summary, console: Console) -> None:
    """Print at most 25 lines at 80 columns; plain text where the console is no terminal."""
    width = min(console.width, _WIDTH_MAX)
    for part in wrap(sentence(run, summary), width):
        console.print(Text(part, style="bold"), soft_wrap=True)
    for line in _numbers(summary.metrics):
        console.print(line, soft_wrap=True)
    for part in wrap(_intervals(summary.metrics), width):
        console.print(Text(part.replace(_NO_BREAK, " ")), soft_wrap=True)
    console.print(Text(_caption(summary), style="dim"), soft_wrap=True)
    longest = max(share.value for share in summary.waterfall)
    utf = console.encoding.lower().startswith("utf")
    for name, value in summary.waterfall:
        drawn = bar((width - _BAR_BEGIN) * value / longest, utf=utf)
        line = Text(f"{words_of(name):<22}{percent(value):>6} ").append(drawn, COLOURS[name])
        line.rstrip()
        console.print(line, soft_wrap=True)
    console.print(Text(_causes(summary, width)), soft_wrap=True)
    for warning in _warnings(summary):
        console.print(Text(warning), soft_wrap=True)
    console.print(Text(f"Run: {run.folder}"), soft_wrap=True)


def _numbers(metrics: Mapping[str, Metric]) -> list[Text]:
    """Three lines of four numbers under one another."""
    lines = [Text(), Text(), Text()]
    for column in _COLUMNS:
        shown = [value_of(name, metrics[name]) for name in column.values()]
        label_width = max(map(len, column)) + 1
        value_width = max(map(len, shown)) + 3
        for line, label, value in zip(lines, column, shown, strict=True):
            line.append(label.ljust(label_width), "dim")
            line.append(value.ljust(value_width), "bold")
    for line in lines:
        line.rstrip()
    return lines


def _intervals(metrics: Mapping[str, Metric]) -> str:
    """Low and high of the numbers that say most, where they were computed."""
    known = {label: name for label, name in _RANGED.items() if metrics[name].low is not None}
    parts = [f"{label} {interval_of(name, metrics[name])}" for label, name in known.items()]
    kept = (part.replace(" ", _NO_BREAK) for part in parts)
    return f"Low to high: {', '.join(kept)}" if parts else ""


def _caption(summary: Summary) -> str:
    caption = "Where the peak FLOPs went"
    if summary.metrics["goodput_frac"].basis.startswith("extrapolated"):
        caption += f" (extrapolated: a job of more than {PUBLISHED_GPUS_COUNT:,} GPUs)"
    return caption


def _causes(summary: Summary, width: int) -> str:
    """What interrupted jobs, as many causes as there is room for."""
    causes = [(CAUSES.get(name, name), value) for name, value in summary.interruption_causes]
    if not causes:
        return "What broke: nothing that interrupted a job"
    for shown in range(len(causes), 0, -1):
        others = sum(value for _, value in causes[shown:])
        listed = [*causes[:shown], *([("others", others)] if others else [])]
        text = "What broke: " + ", ".join(f"{name} {value:,}" for name, value in listed)
        if len(text) <= width:
            break
    return text


def _warnings(summary: Summary) -> list[str]:
    """A line for each warning that there is room for."""
    lines = [
        f"Warning: {what} ({clock(first_ns)}" + (f", {count:,} times)" if count > 1 else ")")
        for what, first_ns, count in summary.warnings
    ]
    if len(lines) > _WARNINGS_MAX:
        more = len(lines) - _WARNINGS_MAX + 1
        lines[_WARNINGS_MAX - 1 :] = [f"Warning: {more} more in summary.json"]
    return lines
