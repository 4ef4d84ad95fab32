"""The first screen: a sentence, four numbers, and where the peak FLOPs went."""

from dcsim.accounting import PUBLISHED_GPUS_COUNT, Metric
from dcsim.accounting.losses import losses
from dcsim.accounting.metrics import DEFINITIONS
from dcsim.accounting.parts import waterfall_by
from dcsim.accounting.waterfall import PLACE_OF_STATE, Share
from dcsim.report.page.reading import Reading
from dcsim.report.page.section import Cell, Table, data_table, defined, escaped, number
from dcsim.report.words import (
    COLOURS,
    MEANINGS,
    cause_words,
    meaning_of,
    percent,
    rounded,
    value_of,
    words_of,
)

HEADLINE = {
    "goodput_frac": "goodput",
    "mfu_frac": "MFU",
    "tokens_per_day": "tokens a day",
    "site_power_w_mean": "site power",
}
_BASIS = {
    "simulated": "computed by the models of dcsim for what the scenario says",
    "extrapolated": f"simulated, for a job of more than {PUBLISHED_GPUS_COUNT:,} GPUs, "
    "beyond which nothing is published to compare with",
    "not given": "nothing in the scenario or the run says it",
}


_ABOUT = (
    "Every GPU-second of the run is in exactly one place, weighted by the peak of its GPU; the "
    "places add up to 100% of the peak FLOPs of all GPUs over the run."
)
_INTERVAL = (
    "dcsim run --range runs the scenario again at the low and at the high of what the catalogue "
    "and the estimate of the step time leave open"
)
_PARTS_MAX = 100


def about(name: str) -> str:
    """Definition of a metric or a place of the waterfall, with its convention."""
    known = DEFINITIONS.get(name)
    return "; ".join(filter(None, known[1:])) if known else words_of(name)


def headline(reading: Reading) -> str:
    """Four numbers, each with unit, interval and basis."""
    return f'<div class="four">{"".join(_card(reading, name) for name in HEADLINE)}</div>'


def _card(reading: Reading, name: str) -> str:
    metric = reading.summary.metrics[name]
    value, _, unit = value_of(name, metric).partition(" ")
    if metric.value is None:
        value, unit = "–", ""
    basis = metric.basis
    rests_on = _BASIS.get(basis.partition(";")[0], "where the number comes from")
    raw = "" if metric.value is None else f"{metric.value!r}"
    return (
        f'<div class="number" data-metric="{name}" data-value="{raw}">'
        f'<div class="label">{defined(HEADLINE[name], about(name))}</div>'
        f'<div class="value">{escaped(value)}<small>{escaped(unit)}</small></div>'
        f'<div class="interval">{defined(interval(name, metric), _INTERVAL)}</div>'
        f'<div class="basis">{defined(basis, rests_on)}'
        "</div></div>"
    )


def interval(name: str, metric: Metric) -> str:
    """The interval of a metric in words; how to get one where there is none."""
    if metric.low is None or metric.high is None:
        return "interval not computed" if metric.value is not None else "no value, no interval"
    low, high = (value_of(name, metric._replace(value=end)) for end in (metric.low, metric.high))
    return f"{low} to {high}"


def waterfall(reading: Reading) -> str:
    """Bars from the peak down to what was useful, one under the other."""
    left, bars = 1.0, []
    for name, value in reading.summary.waterfall:
        begin = 0.0 if name == "useful" else max(left - value, 0.0)
        left -= value
        bars.append(_bar(name, value, begin))
    keys = "".join(
        f'<li><i style="background:{colour}"></i>{escaped(name)} '
        f"{escaped(rounded(_sum(reading, name)))}</li>"
        for name, colour in MEANINGS.items()
    )
    return (
        '<section class="card" id="waterfall"><h2>'
        + defined("Where did the FLOPs go?", _ABOUT)
        + f'</h2><p class="answer">{escaped(_answer(reading))}</p><ul class="keys">{keys}</ul>'
        + f'<div class="bars">{"".join(bars)}</div>{data_table(_table(reading))}'
        + f"{data_table(_causes(reading))}{_by_parts(reading)}</section>"
    )


def _sum(reading: Reading, meaning: str) -> float:
    return sum(value for name, value in reading.summary.waterfall if meaning_of(name) == meaning)


def _answer(reading: Reading) -> str:
    shares = dict(reading.summary.waterfall)
    useful = shares.pop("useful")
    losses = sorted(shares.items(), key=lambda share: -share[1])[:3]
    named = [f"{words_of(name)} {rounded(value)}" for name, value in losses if value > 0]
    part = rounded(useful) if useful else "Nothing"
    begin = f"{part} of the peak of all GPUs became useful training"
    return f"{begin}; most was lost to {', '.join(named)}." if named else f"{begin}."


def _bar(name: str, value: float, begin: float) -> str:
    """One row: name, bar and share; the bar of a loss hangs where the one before ends."""
    colour, nothing = COLOURS[name], "" if value > 0 else " zero"
    return (
        f'<div class="row{nothing}" data-place="{name}" data-value="{value!r}">'
        f'<span class="name">{defined(words_of(name), about(name))}</span>'
        f'<span class="track"><i style="left:{100 * begin:.3f}%;width:{100 * value:.3f}%;'
        f'background:{colour}"></i></span><span class="share">{escaped(percent(value))}</span>'
        "</div>"
    )


def _table(reading: Reading) -> Table:
    states = {place: [s for s, p in PLACE_OF_STATE.items() if p == place] for place in COLOURS}
    gpu_h = reading.gpus * reading.run.end_ns / 3.6e12
    rows = [
        (
            words_of(name),
            meaning_of(name),
            Cell(f"{100 * value:.4f}%", value),
            number(value * gpu_h, f"{value * gpu_h:,.1f}"),
            about(name) + (f" (states: {', '.join(states[name])})" if states[name] else ""),
        )
        for name, value in reading.summary.waterfall
    ]
    head = ("place", "lost to", "share of peak", "GPU-hours", "definition")
    note = "GPU-hours are the share times all GPUs times the length of the run."
    return Table("As a table", head, rows, note)


def _causes(reading: Reading) -> Table:
    rows = [
        (
            words_of(loss.place),
            cause_words(loss.cause),
            loss.component,
            loss.thing,
            Cell(f"{loss.count:,}", loss.count),
            Cell(f"{100 * loss.share:.4f}%", loss.share),
        )
        for loss in losses(reading.run)[:_PARTS_MAX]
    ]
    head = ("place", "cause", "kind of thing", "most at", "events", "share of peak")
    return Table("What caused each loss", head, rows)


def _by_parts(reading: Reading) -> str:
    """The same by site and by job where there are several, and by day."""
    found = {by: waterfall_by(reading.run, by) for by in ("site", "job", "day")}
    return "".join(data_table(_by(by, parts)) for by, parts in found.items() if len(parts) > 1)


def _by(by: str, parts: dict[str, list[Share]]) -> Table:
    listed = list(parts.items())[:_PARTS_MAX]
    head = (by, *(words_of(share.name) for share in listed[0][1]))
    rows = [
        (
            Cell(name, float(name)) if by == "day" else name,
            *(Cell(percent(share.value), share.value) for share in shares),
        )
        for name, shares in listed
    ]
    note = f"The first {_PARTS_MAX} of {len(parts):,}." if len(parts) > _PARTS_MAX else ""
    return Table(f"By {by}", head, rows, note)


def all_numbers(reading: Reading) -> str:
    """Every metric of the summary, with its definition."""
    rows = [
        (
            name,
            number(metric.value, value_of(name, metric)),
            interval(name, metric),
            metric.unit,
            metric.basis,
            about(name),
        )
        for name, metric in reading.summary.metrics.items()
    ]
    head = ("metric", "value", "interval", "unit in files", "basis", "definition")
    note = "The same as summary.json, where values are in the unit of the fourth column."
    return data_table(Table("All numbers", head, rows, note))
