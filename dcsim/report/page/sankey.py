"""Flows as ribbons: columns of boxes whose height is what flows through them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, HoverTool, Range1d

from dcsim.report.page.figures import FONT, INK, styled
from dcsim.report.page.section import plain

_CURVE = (1 - np.cos(np.linspace(0, np.pi, 25))) / 2
_BOX = 0.045
_GAP = 0.015
_LABEL_PX = 17


class Box(NamedTuple):
    """A box in a column; `label` stands beside it."""

    name: str
    column: int
    value: float
    label: str
    colour: str


class Ribbon(NamedTuple):
    """A flow from one box to another, by name."""

    begin: str
    end: str
    value: float


def ribbons_between(begins: Sequence[Box], ends: Sequence[Box]) -> list[Ribbon]:
    """Every end fed by all begins, each by its part of them."""
    total = sum(box.value for box in begins)
    return [
        Ribbon(begin.name, end.name, begin.value * end.value / total)
        for begin in begins
        for end in ends
        if total > 0
    ]


def sankey(height_px: int, columns: int, boxes: Sequence[Box], ribbons: Sequence[Ribbon]) -> Any:
    """A plot of boxes and ribbons, all on one scale."""
    plot = styled(height_px, Range1d(-0.02, columns - 0.25), Range1d(1.0, 0.0))
    plot.axis.visible = False
    plot.grid.visible = False
    least = _LABEL_PX / height_px
    by_column = [[box for box in boxes if box.column == column] for column in range(columns)]
    scale = min(_scale([box.value for box in column], least) for column in by_column if column)
    places = {}
    for column in by_column:
        y = _GAP
        for box in column:
            tall = box.value * scale
            room = max(tall, least)
            places[box.name] = (box, y + (room - tall) / 2, y + (room + tall) / 2)
            y += room + _GAP
    _draw_ribbons(plot, ribbons, places, scale)
    _draw_boxes(plot, places)
    return plot


def _scale(values: list[float], least: float) -> float:
    """Height for each unit, so that a column fits though no box has less room than a label."""
    room = 1 - _GAP * (len(values) + 1)
    small: list[float] = []
    large = sorted(values)
    while large and large[0] * (room - least * len(small)) / sum(large) < least:
        small.append(large.pop(0))
    return (room - least * len(small)) / sum(large) if large else least / max(values)


def _draw_ribbons(plot: Any, ribbons: Sequence[Ribbon], places: Any, scale: float) -> None:
    left = {name: y for name, (_, y, _) in places.items()}
    arrived = dict(left)
    xs, ys, colours, names = [], [], [], []
    for ribbon in ribbons:
        begin, end = places[ribbon.begin][0], places[ribbon.end][0]
        tall = ribbon.value * scale
        x0, x1 = begin.column + _BOX, float(end.column)
        x = x0 + (x1 - x0) * np.linspace(0, 1, _CURVE.size)
        top = left[ribbon.begin] + (arrived[ribbon.end] - left[ribbon.begin]) * _CURVE
        left[ribbon.begin] += tall
        arrived[ribbon.end] += tall
        xs.append(np.concatenate([x, x[::-1]]).tolist())
        ys.append(np.concatenate([top, top[::-1] + tall]).tolist())
        colours.append(end.colour)
        names.append(plain(f"{begin.name} to {end.name}"))
    shown = ColumnDataSource({"xs": xs, "ys": ys, "colour": colours, "name": names})
    drawn = plot.patches(
        "xs", "ys", source=shown, fill_color="colour", fill_alpha=0.35, line_color=None
    )
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("flow", "@name")]))


def _draw_boxes(plot: Any, places: Any) -> None:
    found = list(places.values())
    shown = ColumnDataSource(
        {
            "left": [float(box.column) for box, _, _ in found],
            "right": [box.column + _BOX for box, _, _ in found],
            "top": [y0 for _, y0, _ in found],
            "bottom": [y1 for _, _, y1 in found],
            "colour": [box.colour for box, _, _ in found],
            "x": [box.column + _BOX + 0.02 for box, _, _ in found],
            "y": [(y0 + y1) / 2 for _, y0, y1 in found],
            "label": [plain(box.label) for box, _, _ in found],
        }
    )
    plot.quad("left", "right", "top", "bottom", source=shown, fill_color="colour", line_color=None)
    words = plot.text(
        "x",
        "y",
        "label",
        source=shown,
        text_baseline="middle",
        text_font=value(FONT),
        text_font_size="12px",
    )
    words.glyph.tags = [INK]
