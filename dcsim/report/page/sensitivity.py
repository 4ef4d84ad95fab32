"""What each group of assumptions does to the headline: the runs of a range side by side."""

from typing import Any

from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Range1d, Span

from dcsim.accounting.ranges import Variation
from dcsim.report.page.figures import INK, styled
from dcsim.report.page.headline import HEADLINE
from dcsim.report.page.reading import Reading
from dcsim.report.page.section import Cell, Section, Table, number
from dcsim.report.words import PHYSICS, percent, value_of, words_of

_QUESTION = "What does each assumption do to the headline?"
_ABOUT = (
    "The scenario again, under the same failures and weather, with one group of numbers at the low "
    "and at the high of what its sources leave open. Low is the lower number, not the better one."
)
_METRIC = "mfu_frac"


def sensitivity(reading: Reading) -> Section:
    """MFU at the ends of each group, largest effect first; all headline numbers as a table."""
    variations = [v for v in reading.summary.variations if v.values]
    if not variations:
        why = "Add --range to dcsim run, which simulates the ends of each group of numbers."
        return Section("range", _QUESTION, "Not computed.", _ABOUT, None, empty=why)
    own = reading.summary.metrics[_METRIC].value
    ends = {} if own is None else _ends(variations, own)
    why = "No job ran, so no assumption changes its MFU."
    return Section(
        "range",
        _QUESTION,
        _answer(ends, own),
        _ABOUT,
        _table(reading, variations),
        (_plot(ends, own),) if own is not None and ends else (),
        empty=why,
    )


def _ends(variations: list[Variation], own: float) -> dict[str, tuple[float, float]]:
    """Lowest and highest of the metric by group, the widest first."""
    found: dict[str, list[float]] = {}
    for variation in variations:
        value = variation.values.get(_METRIC)
        found.setdefault(variation.group, [own]).append(own if value is None else value)
    ends = {group: (min(values), max(values)) for group, values in found.items()}
    return dict(sorted(ends.items(), key=lambda end: end[1][0] - end[1][1]))


def _answer(ends: dict[str, tuple[float, float]], own: float | None) -> str:
    if own is None or not ends:
        return "No job ran."
    group, (low, high) = next(iter(ends.items()))
    return (
        f"Most of all {words_of(group)}: it alone takes MFU from {percent(own)} "
        f"to {percent(low)} or {percent(high)}."
    )


def _plot(ends: dict[str, tuple[float, float]], own: float) -> Any:
    labels = [words_of(group) for group in ends]
    most = max(high for _, high in ends.values())
    plot = styled(50 + 26 * len(labels), Range1d(0, most * 106), FactorRange(*labels[::-1]))
    plot.ygrid.visible = False
    plot.xgrid.visible = True
    plot.xaxis.axis_label = "MFU [%]"
    lows, highs = ([100 * end[side] for end in ends.values()] for side in (0, 1))
    data = ColumnDataSource({"label": labels, "low": lows, "high": highs})
    bars = plot.hbar(
        "label",
        left="low",
        right="high",
        height=0.6,
        source=data,
        fill_color=PHYSICS,
        line_color=PHYSICS,
    )
    plot.add_layout(Span(location=100 * own, dimension="height", line_width=1, tags=[INK]))
    tips = [("group", "@label"), ("MFU [%]", "@low{0.0} to @high{0.0}")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips))
    return plot


def _table(reading: Reading, variations: list[Variation]) -> Table:
    metrics = {name: reading.summary.metrics[name] for name in HEADLINE}
    rows: list[tuple[str | Cell, ...]] = [
        (
            words_of(variation.group),
            variation.level,
            *(
                number(value, value_of(name, metric._replace(value=value)))
                for name, metric in metrics.items()
                for value in [variation.values.get(name)]
            ),
        )
        for variation in variations
    ]
    return Table("As a table", ("group", "level", *HEADLINE.values()), rows)
