"""The summary of a run on one screen: a sentence, numbers, the waterfall, what broke."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap

from rich.console import Console
from rich.text import Text

from dcsim import units
from dcsim.accounting import PUBLISHED_GPUS_COUNT, Metric, Summary, summarise
from dcsim.trace import Run

# Okabe-Ito colours, told apart with any colour vision; one meaning each in all output.
USEFUL, FAILURE, PHYSICS, COMMUNICATION, IDLE = (
    "#009E73",
    "#D55E00",
    "#E69F00",
    "#56B4E9",
    "#999999",
)
COLOURS = {
    "not_allocated": IDLE,
    "waiting_for_nodes": FAILURE,
    "detection": FAILURE,
    "restart": FAILURE,
    "lost_work": FAILURE,
    "checkpoint_stall": FAILURE,
    "maintenance": IDLE,
    "kernel_efficiency": IDLE,
    "exposed_communication": COMMUNICATION,
    "pipeline_bubble": COMMUNICATION,
    "slow_gpus": PHYSICS,
    "throttling": PHYSICS,
    "power_cap": PHYSICS,
    "degraded_network": COMMUNICATION,
    "useful": USEFUL,
}
_LOSSES = {
    "not_allocated": "GPUs that no job held",
    "waiting_for_nodes": "waiting for nodes",
    "detection": "detecting failures",
    "restart": "restarts",
    "lost_work": "work done twice",
    "checkpoint_stall": "checkpoint stalls",
    "maintenance": "maintenance and evaluation",
    "kernel_efficiency": "kernels below peak",
    "exposed_communication": "communication",
    "pipeline_bubble": "pipeline bubbles",
    "slow_gpus": "slow GPUs",
    "throttling": "thermal throttling",
    "power_cap": "power caps",
    "degraded_network": "a degraded network",
}
_COLUMNS = (
    {"goodput": "goodput_frac", "step time": "step_time_s", "interrupted": "interruption_count"},
    {"MFU": "mfu_frac", "to target": "days_to_target", "MTBF": "mtbf_s"},
    {"tokens/d": "tokens_per_day", "GPU p99": "gpu_temp_c_p99", "GPU max": "gpu_temp_c_max"},
    {"power": "site_power_w_mean", "PUE": "pue", "cost": "cost_usd"},
)
_PARTS = {1 / 4: "A quarter", 1 / 3: "A third", 1 / 2: "Half", 2 / 3: "Two thirds"}
_PART_TOLERANCE = 0.02
_ENDS = {"running": "Cut short", "interrupted": "Interrupted", "failed": "Failed"}
_WIDTH_MAX = 100
_WARNINGS_MAX = 2
_BAR_BEGIN = 29
_CAUSES = {"fault": "scripted fault"}
_UNKNOWN = {"mtbf_s": "no failure"}
_DAY_NS = 86_400 * 10**9
_HOUR_NS = 3600 * 10**9
_HOURS_MAX = 48
_EIGHTHS = " ▏▎▍▌▋▊▉"


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
    console.print(Text(_caption(summary), style="dim"), soft_wrap=True)
    longest = max(share.value for share in summary.waterfall)
    utf = console.encoding.lower().startswith("utf")
    for name, value in summary.waterfall:
        drawn = bar((width - _BAR_BEGIN) * value / longest, utf=utf)
        line = Text(f"{_words(name):<22}{_percent(value):>6} ").append(drawn, COLOURS[name])
        line.rstrip()
        console.print(line, soft_wrap=True)
    console.print(Text(_causes(summary, width)), soft_wrap=True)
    for warning in _warnings(summary):
        console.print(Text(warning), soft_wrap=True)
    console.print(Text(f"Run: {run.folder}"), soft_wrap=True)


def sentence(run: Run, summary: Summary) -> str:
    """What the run says in a sentence or two, for the head of a screen or a page."""
    metrics = summary.metrics
    gpus = f"{metrics['gpus_count'].value:,} {_gpu_names(run)}"
    length = _length(run.end_ns)
    begin = ""
    if run.status in _ENDS:
        asked = _length(int(run.record["duration_ns"]))
        begin = f"{_ENDS[run.status]} after {length} of {asked}. "
    if metrics["tokens_count"].value is None:
        return f"{begin}No job ran on {gpus} in {length}."
    useful = next(share.value for share in summary.waterfall if share.name == "useful")
    count = metrics["tokens_count"].value
    tokens = "1 token" if count == 1 else f"{_short(count)}tokens"
    return (
        f"{begin}Of the peak of {gpus}, {_rounded(useful)} became useful training: "
        f"{tokens} in {length}. {_largest_loss(summary)}"
    )


def clock(t_ns: int) -> str:
    """A simulated time as people read it: `12 d 03:14`, `03:14:15` below a day."""
    seconds = t_ns // 1_000_000_000
    days, rest = divmod(seconds, 86_400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    if days:
        return f"{days} d {hours:02}:{minutes:02}"
    return f"{hours:02}:{minutes:02}:{seconds % 60:02}"


def _gpu_names(run: Run) -> str:
    names = dict.fromkeys(name.upper() for name in run.columns("dim_site")["gpu"])
    return " and ".join(names) or "GPUs"


def _largest_loss(summary: Summary) -> str:
    losses = {name: value for name, value in summary.waterfall if name != "useful" and value}
    if not losses:
        return "Nothing was lost."
    largest = max(losses, key=lambda name: losses[name])
    part = losses[largest] / sum(losses.values())
    words = (word for exact, word in _PARTS.items() if abs(part - exact) < _PART_TOLERANCE)
    return f"{next(words, _rounded(part))} of what was lost went to {_LOSSES[largest]}."


def _numbers(metrics: Mapping[str, Metric]) -> list[Text]:
    """Three lines of four numbers under one another."""
    lines = [Text(), Text(), Text()]
    for column in _COLUMNS:
        shown = [_value(name, metrics[name]) for name in column.values()]
        label_width = max(map(len, column)) + 1
        value_width = max(map(len, shown)) + 3
        for line, label, value in zip(lines, column, shown, strict=True):
            line.append(label.ljust(label_width), "dim")
            line.append(value.ljust(value_width), "bold")
    for line in lines:
        line.rstrip()
    return lines


def _caption(summary: Summary) -> str:
    caption = "Where the peak FLOPs went"
    if summary.metrics["goodput_frac"].basis == "extrapolated":
        caption += f" (extrapolated: a job of more than {PUBLISHED_GPUS_COUNT:,} GPUs)"
    return caption


def bar(length: float, *, utf: bool) -> str:
    """A bar of so many columns, in eighths of a column where the terminal has them."""
    if not utf:
        return "#" * round(length)
    whole, eighths = divmod(round(length * 8), 8)
    return ("█" * whole + _EIGHTHS[eighths]).rstrip()


def _causes(summary: Summary, width: int) -> str:
    """What interrupted jobs, as many causes as there is room for."""
    causes = [(_CAUSES.get(name, name), value) for name, value in summary.interruption_causes]
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


def _value(name: str, metric: Metric) -> str:
    if metric.value is None:
        return _UNKNOWN.get(name, metric.basis)
    if metric.unit in ("1/d", "USD"):
        return _short(metric.value) + metric.unit.removeprefix("1/d")
    if name.endswith("_frac"):
        return _percent(metric.value)
    if name.endswith("_count"):
        return f"{metric.value:,.0f}"
    return f"{metric.value:.2f}" if metric.unit == "1" else units.show(metric.value, metric.unit)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("gpu", "GPU")


def _length(duration_ns: int) -> str:
    """A length of time: in whole days or some whole hours, or else as `clock` writes it."""
    days, rest = divmod(duration_ns, _DAY_NS)
    if days and not rest:
        return f"{days} d"
    hours, rest = divmod(duration_ns, _HOUR_NS)
    return f"{hours} h" if 0 < hours < _HOURS_MAX and not rest else clock(duration_ns)


def _rounded(fraction: float) -> str:
    return f"{100 * fraction:.0f}%" if fraction > 0.1 else _percent(fraction)


def _percent(fraction: float) -> str:
    return "<0.1%" if 0 < fraction < 0.0005 else f"{100 * fraction:.1f}%"


def _short(number: float) -> str:
    """A large number with an SI prefix and a space behind: `5.1 T`."""
    for exponent, prefix in ((12, "T "), (9, "G "), (6, "M "), (3, "k ")):
        if number >= 10**exponent:
            return f"{number / 10**exponent:.3g} {prefix}"
    return f"{number:.3g} "
