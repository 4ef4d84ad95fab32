"""How plots look: no frame, few lines, units with prefixes, one time axis for all of them.

Colours of text, axes and grids are set in the browser, light or dark; what is drawn in the colour
of text is tagged `ink`, what stands on that of the page `backed`.
"""

from typing import Any

import numpy as np
from bokeh.models import (
    AdaptiveTicker,
    BoxZoomTool,
    ColumnDataSource,
    CompositeTicker,
    CrosshairTool,
    CustomJS,
    CustomJSHover,
    CustomJSTickFormatter,
    Label,
    NumeralTickFormatter,
    Range1d,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from dcsim.accounting.segments import Array
from dcsim.report.page.section import plain

FONT = "system-ui, sans-serif"
INK, BACKED = "ink", "backed"
_MIN_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
_LABEL_PX = 15
_LEFT_PX = 72
_CLOCK = """
const s = Math.round(VALUE / 1000), d = Math.floor(s / 86400), two = n => String(n).padStart(2, "0")
const h = Math.floor(s % 86400 / 3600), m = Math.floor(s % 3600 / 60)
"""
_TICK = _CLOCK.replace("VALUE", "tick") + (
    "if (d) return h || m ? `${d} d ${two(h)}:${two(m)}` : `${d} d`\n"
    "return s % 60 ? `${two(h)}:${two(m)}:${two(s % 60)}` : `${two(h)}:${two(m)}`"
)
_HOVER = _CLOCK.replace("VALUE", "value") + (
    "return d ? `${d} d ${two(h)}:${two(m)}` : `${two(h)}:${two(m)}:${two(s % 60)}`"
)
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class TimeAxis:
    """The time axis that all plots of a page share, with its cursor."""

    def __init__(self, end_ns: int) -> None:
        end_ms = max(end_ns / 1e6, 1.0)
        self.range = Range1d(0.0, end_ms, bounds=(0.0, end_ms), min_interval=min(1000.0, end_ms))
        self.cursor = Span(dimension="height", line_width=1, line_dash="dotted", tags=[INK])
        self.clock = CustomJSHover(code=_HOVER)

    def plot(self, height_px: int, y_range: Any, *, y_label: str = "") -> Any:
        """A plot over time that zooms by dragging and goes back by a double click."""
        plot = styled(height_px, self.range, y_range, y_label=y_label)
        plot.min_border_left = _LEFT_PX
        plot.xaxis.ticker = _ticker()
        plot.xaxis.formatter = CustomJSTickFormatter(code=_TICK)
        zoom = BoxZoomTool(dimensions="width")
        wheel = WheelZoomTool(dimensions="width", modifiers={"ctrl": True})
        plot.add_tools(zoom, wheel, CrosshairTool(overlay=self.cursor))
        plot.toolbar.active_drag = zoom
        plot.toolbar.active_scroll = wheel
        reset = CustomJS(args={"range": self.range}, code="range.reset()")
        plot.js_on_event("doubletap", reset)
        return plot


def _ticker() -> Any:
    """Ticks on round seconds, minutes, hours and days."""

    def steps(base: int, mantissas: list[int], least: float, most: float | None) -> Any:
        return AdaptiveTicker(
            base=base,
            mantissas=mantissas,
            min_interval=least,
            max_interval=most,
            num_minor_ticks=0,
        )

    return CompositeTicker(
        tickers=[
            steps(60, [1, 2, 5, 10, 15, 20, 30], 1000, 30 * _MIN_MS),
            steps(24, [1, 2, 3, 6, 12], _HOUR_MS, 12 * _HOUR_MS),
            AdaptiveTicker(
                base=10,
                mantissas=[1, 2, 5],
                min_interval=_DAY_MS,
                max_interval=None,
                num_minor_ticks=0,
            ),
        ],
        desired_num_ticks=7,
    )


def styled(
    height_px: int, x_range: Any, y_range: Any, *, y_label: str = "", x_axis_type: str = "auto"
) -> Any:
    """A plot as wide as its place, without frame, toolbar and vertical lines."""
    plot = figure(
        height=height_px,
        x_range=x_range,
        y_range=y_range,
        x_axis_type=x_axis_type,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        min_border_left=8,
        min_border_right=8,
        min_border_top=6,
        min_border_bottom=4,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
    )
    plot.xgrid.visible = False
    plot.yaxis.axis_label = plain(y_label) or None
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.minor_tick_line_color = None
        axis.major_tick_in = 0
        axis.major_tick_out = 4
        axis.major_label_text_font = FONT
        axis.axis_label_text_font = FONT
        axis.axis_label_text_font_style = "normal"
        axis.major_label_text_font_size = axis.axis_label_text_font_size = "12px"
    plot.yaxis.axis_line_color = None
    plot.yaxis.major_tick_line_color = None
    return plot


def percent_axis(plot: Any) -> None:
    """Show fractions on the y axis in percent."""
    plot.yaxis.formatter = NumeralTickFormatter(format="0%")


def scaled(largest: float, unit: str) -> tuple[float, str]:
    """What to divide by, and the unit with its SI prefix, for numbers up to *largest*."""
    for scale, prefix in _PREFIXES:
        if largest >= scale:
            return scale, prefix + unit
    return 1.0, unit


def source(**columns: Any) -> Any:
    """Columns of a plot; numbers take four bytes, NaN is a gap."""

    def shrunk(values: Any) -> Any:
        is_float = isinstance(values, np.ndarray) and values.dtype == np.float64
        return values.astype(np.float32) if is_float else values

    return ColumnDataSource({name: shrunk(values) for name, values in columns.items()})


def stairs(at_ns: Array, *columns: Array) -> list[Array]:
    """Edges [ms] and values of bins as the corners of a line of steps."""
    x = np.repeat(at_ns / 1e6, 2)[1:-1]
    return [x, *(np.repeat(values, 2) for values in columns)]


def direct_labels(plot: Any, lines: list[tuple[str, float, str]], y: tuple[float, float]) -> None:
    """Name lines at their right end, none over another.

    Args:
        lines: text, value at the end and colour of each (`ink` for that of text).
        y: ends of the y axis; the plot is taken to be its height less its time axis.
    """
    per_px = (y[1] - y[0]) / (plot.height - 36)
    ordered = sorted((value, -index, text, c) for index, (text, value, c) in enumerate(lines))
    values = [value + 3 * per_px for value, *_ in ordered]
    places = _apart(values, _LABEL_PX * per_px, y[1] - _LABEL_PX * per_px)
    labels = []
    for place, (_, _, text, colour) in zip(places, ordered, strict=True):
        label = Label(
            x=plot.x_range.end,
            y=place,
            text=plain(text),
            text_align="right",
            text_font=FONT,
            text_font_size="12px",
            text_font_style="bold",
            text_color="black" if colour == INK else colour,
            background_fill_alpha=0.75,
            tags=[INK, BACKED] if colour == INK else [BACKED],
        )
        plot.add_layout(label)
        labels.append(label)
    follow = CustomJS(
        args={"labels": labels}, code="for (const label of labels) label.x = cb_obj.end"
    )
    plot.x_range.js_on_change("end", follow)


def _apart(values: list[float], least: float, top: float) -> list[float]:
    """Ascending values moved so that neighbours are *least* apart and none is above *top*."""
    places: list[float] = []
    for value in values:
        places.append(max(value, places[-1] + least) if places else value)
    for index in reversed(range(len(places))):
        places[index] = min(places[index], top)
        top = places[index] - least
    return places
