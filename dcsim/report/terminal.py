"""The summary of a run on one screen: a sentence, numbers, the waterfall with causes, warnings."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

from rich.console import Console
from rich.text import Text

from dcsim.accounting import PUBLISHED_GPUS_COUNT, Metric, Summary, summarise
from dcsim.accounting.causes import MODEL
from dcsim.accounting.losses import Loss
from dcsim.report.words import (
    COLOURS,
    bar,
    cause_words,
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
_WIDTH_MIN, _WIDTH_MAX = 60, 120
_LINES_MAX = 25
_WARNINGS_MAX = 2
_BAR_BEGIN = 29
_BAR_PART = 0.45
_GAP = 2
REPORT = "report.html"


def show(run: Run) -> None:
    """Print the summary of *run* on stdout; raises as `summarise`."""
    print_summary(run, summarise(run), Console())


def print_summary(run: Run, summary: Summary, console: Console) -> None:
    """Print at most 25 lines at 80 columns; plain text where the console is no terminal."""
    width = max(min(console.width, _WIDTH_MAX), _WIDTH_MIN)
    lines = [Text(part, "bold") for part in wrap(sentence(run, summary), width)]
    lines += _numbers(summary.metrics)
    lines += _intervals(summary.metrics, width)
    lines.append(Text(_caption(summary), "dim"))
    lines += _waterfall(summary, width, utf=console.encoding.lower().startswith("utf"))
    lines.append(Text(_causes(summary, width)))
    room = min(_WARNINGS_MAX, _LINES_MAX - len(lines) - 1)
    lines += map(Text, _warnings(summary, max(room, 1)))
    page = run.folder / REPORT
    lines.append(Text(f"Report: {page}" if page.exists() else f"Run: {run.folder}"))
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)


def _waterfall(summary: Summary, width: int, *, utf: bool) -> list[Text]:
    """A bar for each place, with the causes of the five largest losses."""
    longest = max(share.value for share in summary.waterfall)
    bar_width = int((width - _BAR_BEGIN) * _BAR_PART)
    causes = {place.place: place.causes for place in summary.losses}
    lines = []
    for name, value in summary.waterfall:
        drawn = bar(bar_width * value / longest, utf=utf)
        line = Text(f"{words_of(name):<22}{percent(value):>6} ").append(drawn, COLOURS[name])
        room = width - _BAR_BEGIN - bar_width - _GAP
        text = _because(causes.get(name, []), room)
        if text:
            line.append(" " * (bar_width - len(drawn) + _GAP)).append(text, "dim")
        lines.append(line)
    return lines


def _because(causes: Sequence[Loss], room: int) -> str:
    """As many causes of a loss as there is room for; nothing where no event caused it."""
    shares: dict[str, float] = {}
    for loss in causes:
        if loss.cause != MODEL:
            words = cause_words(loss.cause)
            shares[words] = shares.get(words, 0.0) + loss.share
    if len(causes) == 1:
        return "".join(shares)[:room]
    text = ""
    for words, share in shares.items():
        longer = f"{text}, " if text else ""
        longer += f"{words} {percent(share)}"
        if len(longer) > room:
            break
        text = longer
    return text


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


def _intervals(metrics: Mapping[str, Metric], width: int) -> list[Text]:
    """Low and high of the numbers that say most, where they were computed."""
    known = {label: name for label, name in _RANGED.items() if metrics[name].low is not None}
    parts = [f"{label} {interval_of(name, metrics[name])}" for label, name in known.items()]
    kept = (part.replace(" ", _NO_BREAK) for part in parts)
    lines = wrap(f"Low to high: {', '.join(kept)}", width) if parts else []
    return [Text(line.replace(_NO_BREAK, " ")) for line in lines]


def _caption(summary: Summary) -> str:
    caption = "Where the peak FLOPs went, and the causes of the five largest losses"
    if summary.metrics["goodput_frac"].basis.startswith("extrapolated"):
        most = f"{PUBLISHED_GPUS_COUNT:,}"
        caption = f"Where the peak FLOPs went (extrapolated: a job of more than {most} GPUs)"
    return caption


def _causes(summary: Summary, width: int) -> str:
    """What interrupted jobs, as many causes as there is room for."""
    causes = [(cause_words(name), value) for name, value in summary.interruption_causes]
    if not causes:
        return "What broke: nothing that interrupted a job"
    for shown in range(len(causes), 0, -1):
        others = sum(value for _, value in causes[shown:])
        listed = [*causes[:shown], *([("others", others)] if others else [])]
        text = "What broke: " + ", ".join(f"{name} {value:,}" for name, value in listed)
        if len(text) <= width:
            break
    return text


def _warnings(summary: Summary, most: int) -> list[str]:
    """A line for each warning that there is room for."""
    lines = [
        f"Warning: {what} ({clock(first_ns)}" + (f", {count:,} times)" if count > 1 else ")")
        for what, first_ns, count in summary.warnings
    ]
    if len(lines) > most:
        more = len(lines) - most + 1
        lines[most - 1 :] = [f"Warning: {more} more in summary.json"]
    return lines
