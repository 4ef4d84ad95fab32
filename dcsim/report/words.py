"""How numbers, times and causes are worded and coloured, on every screen and page."""

from dcsim import units
from dcsim.accounting import Metric, Summary
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
LOSSES = {
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
MEANINGS = {
    "useful training": USEFUL,
    "communication": COMMUNICATION,
    "heat and power": PHYSICS,
    "failure": FAILURE,
    "idle or below peak": IDLE,
}
"""What the colours stand for."""
_PARTS = {1 / 4: "A quarter", 1 / 3: "A third", 1 / 2: "Half", 2 / 3: "Two thirds"}
_ENDS = {"running": "Cut short", "interrupted": "Interrupted", "failed": "Failed"}
_PART_TOLERANCE = 0.02
_UNKNOWN = {"mtbf_s": "no failure"}
_HOURS_MAX = 48
_EIGHTHS = " ▏▎▍▌▋▊▉"
CAUSES = {
    "fault": "scripted fault",
    "fail": "failure",
    "down": "loss of a thing",
    "hot": "heat",
    "power": "no power",
    "rails": "no network",
    "repair": "repair",
    "shutdown": "heat",
    "depleted": "empty batteries",
    "job_interrupted": "not recorded",
    "job_rollback": "not recorded",
    "job_resumed": "not recorded",
    "unknown": "not recorded",
}
"""Words for causes that are neither a class of failures nor words already."""
LOSS_CAUSES = CAUSES | {"model": "no event", "no job": "unused"}


def cause_words(name: str) -> str:
    """The cause of a loss or a stop as words; classes of failures keep their names."""
    return LOSS_CAUSES.get(name, name.replace("_", " "))


def sentence(run: Run, summary: Summary) -> str:
    """What the run says in a sentence or two, for the head of a screen or a page."""
    metrics = summary.metrics
    gpus = f"{metrics['gpus_count'].value:,} {_gpu_names(run)}"
    took = length(run.end_ns)
    begin = ""
    if run.status in _ENDS:
        asked = length(int(run.record["duration_ns"]))
        begin = f"{_ENDS[run.status]} after {took} of {asked}. "
    if metrics["tokens_count"].value is None:
        return f"{begin}No job ran on {gpus} in {took}."
    useful = next(share.value for share in summary.waterfall if share.name == "useful")
    if _all_down(run):
        begin += "All GPUs were down at the end. "
    count = metrics["tokens_count"].value
    if not count:
        return (
            f"{begin}Nothing of the peak of {gpus} became useful training in {took}. "
            f"{_largest_loss(summary)}"
        )
    tokens = "1 token" if count == 1 else f"{short(count)}tokens"
    return (
        f"{begin}Of the peak of {gpus}, {rounded(useful)} became useful training: "
        f"{tokens} in {took}. {_largest_loss(summary)}"
    )


def meaning_of(name: str) -> str:
    """What the colour of a place in the waterfall stands for."""
    return next(meaning for meaning, colour in MEANINGS.items() if colour == COLOURS[name])


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


def _all_down(run: Run) -> bool:
    """Whether GPUs were up, but none of any site when the last row was written."""
    rows = run.columns("site")
    last = rows["t_ns"] == rows["t_ns"].max(initial=0)
    return bool(rows["gpus_up_count"].any()) and not rows["gpus_up_count"][last].any()


def _largest_loss(summary: Summary) -> str:
    losses = {name: value for name, value in summary.waterfall if name != "useful" and value}
    if not losses:
        return "Nothing was lost."
    largest = max(losses, key=lambda name: losses[name])
    part = losses[largest] / sum(losses.values())
    words = (word for exact, word in _PARTS.items() if abs(part - exact) < _PART_TOLERANCE)
    return f"{next(words, rounded(part))} of what was lost went to {LOSSES[largest]}."


def bar(length: float, *, utf: bool) -> str:
    """A bar of so many columns, in eighths of a column where the terminal has them."""
    if not utf:
        return "#" * round(length)
    whole, eighths = divmod(round(length * 8), 8)
    return ("█" * whole + _EIGHTHS[eighths]).rstrip()


def words_of(name: str) -> str:
    """A name of a place in the waterfall as words."""
    return name.replace("_", " ").replace("gpu", "GPU")


def length(duration_ns: int) -> str:
    """A length of time: in whole days or some whole hours, or else as `clock` writes it."""
    days, rest = divmod(duration_ns, units.DAY_NS)
    if days and not rest:
        return f"{days} d"
    hours, rest = divmod(duration_ns, units.HOUR_NS)
    return f"{hours} h" if 0 < hours < _HOURS_MAX and not rest else clock(duration_ns)


def rounded(fraction: float) -> str:
    """A share in percent, in whole ones where it is large."""
    return f"{100 * fraction:.0f}%" if fraction > 0.1 else percent(fraction)


def percent(fraction: float) -> str:
    """A share in percent, with a tenth."""
    return "<0.1%" if 0 < fraction < 0.0005 else f"{100 * fraction:.1f}%"


def short(number: float) -> str:
    """A large number with an SI prefix and a space behind: `5.1 T`."""
    for exponent, prefix in ((12, "T "), (9, "G "), (6, "M "), (3, "k ")):
        if number >= 10**exponent:
            return f"{number / 10**exponent:.3g} {prefix}"
    return f"{number:.3g} "


def value_of(name: str, metric: Metric) -> str:
    """A metric with its unit, or why it is not known."""
    if metric.value is None:
        return _UNKNOWN.get(name, metric.basis)
    if metric.unit in ("1/d", "USD"):
        return short(metric.value) + metric.unit.removeprefix("1/d")
    if name.endswith("_frac"):
        return percent(metric.value)
    if name.endswith("_count"):
        return f"{metric.value:,.0f}"
    return f"{metric.value:.2f}" if metric.unit == "1" else units.show(metric.value, metric.unit)


def interval_of(name: str, metric: Metric) -> str:
    """Low and high of a metric with their unit, of one whose interval is known."""
    ends = (value_of(name, metric._replace(value=end)) for end in (metric.low, metric.high))
    return " to ".join(end.strip() for end in ends)
