"""The floor: every rack as a square, by temperature, power or failures, at any time of the run."""

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d, Rect
from bokeh.palettes import Cividis256

from dcsim.accounting.segments import Array
from dcsim.report.page.figures import styled
from dcsim.report.page.reading import Reading
from dcsim.report.page.section import Cell, Section, Table, count, escaped, number, plain
from dcsim.report.words import clock
from dcsim.trace import Run
from dcsim.units import show

FRAMES_MAX = 60
CELLS_MAX = 4000
_VALUES_MAX = 120_000
_LISTED_MAX = 200
_NOTHING = 255
_LEVELS = 250
_ASPECT = 2.4
_CELLS_WIDE = 24
_GAP = 0.3
_SAME_K = 0.1
_COLUMNS = ("t_ns", "rack_id", "temp_c_max", "power_w")
_QUESTION = "Which rack is worst?"
_ABOUT = (
    "A square is a rack, in the order of their numbers and with a gap between cooling units; the "
    "trace knows no positions. Temperature is that of its hottest GPU at the "
    "instants when racks were recorded, by default every 15 min, power the mean; failures are "
    "those of its GPUs and nodes up to then."
)


class Frames(NamedTuple):
    """What happened in each cell; arrays of shape (frames, cells), NaN where it is not known."""

    temp_c: Array
    power_w: Array
    failures: Array
    """Failures up to the end of the frame."""
    length_ns: float
    power_w_mean: Array
    """Over all rows of each cell, shape (cells,)."""


def floor(reading: Reading) -> Section:
    """The floor map with its slider."""
    racks = reading.run.columns("dim_rack")
    values = reading.at_most(_VALUES_MAX)
    frames = read_frames(reading.run, racks, reading.run.end_ns, values)
    if frames is None:
        why = "No row of a rack was recorded before the run ended."
        return Section("floor", _QUESTION, "Not recorded.", _ABOUT, None, empty=why)
    return Section(
        key="floor",
        question=_QUESTION,
        answer=_answer(racks, frames) + _hotter(reading, frames),
        about=_ABOUT,
        table=_table(racks, frames),
        figures=(_plot(racks, frames),),
        body=_controls(racks, frames),
    )


def read_frames(run: Run, racks: dict[str, Array], end_ns: int, values_count: int) -> Frames | None:
    """Read the rows of racks as a stream into few frames; None if there are none."""
    racks_count = racks["rack_id"].size
    group = cell_racks(racks_count)
    cells = -(-racks_count // group)
    place = np.zeros(int(racks["rack_id"].max(initial=0)) + 1, np.int64)
    place[racks["rack_id"]] = np.arange(racks_count) // group
    batches = [np.unique(rows["t_ns"]) for rows in run.column_batches("rack", ("t_ns",))]
    if not batches or not cells:
        return None
    times = np.unique(np.concatenate(batches))
    speaks_ns = np.diff(times, prepend=0)  # a row of power is a mean since the one before
    count_ = min(FRAMES_MAX, max(1, int((speaks_ns > 0).sum())), max(1, values_count // cells))
    length_ns = max(end_ns, 1) / count_
    hottest = np.full(count_ * cells, -np.inf)
    energy, known_ns = np.zeros(count_ * cells), np.zeros(count_ * cells)
    for rows in run.column_batches("rack", _COLUMNS):
        frame = np.clip(np.ceil(rows["t_ns"] / length_ns).astype(np.int64) - 1, 0, count_ - 1)
        key = frame * cells + place[rows["rack_id"]]
        np.maximum.at(hottest, key, rows["temp_c_max"].astype(np.float64))
        length = speaks_ns[np.searchsorted(times, rows["t_ns"])]
        energy += np.bincount(key, rows["power_w"] * length, energy.size)
        known_ns += np.bincount(key, length, energy.size)
    shape = (count_, cells)
    in_cell = np.bincount(np.arange(racks_count) // group)
    return Frames(
        np.where(np.isfinite(hottest), hottest, np.nan).reshape(shape),
        _mean_power(energy.reshape(shape), known_ns.reshape(shape), in_cell),
        _failures(run, racks, group, shape, length_ns),
        length_ns,
        _mean_power(_by_cell(energy, shape), _by_cell(known_ns, shape), in_cell),
    )


def _by_cell(sums: Array, shape: tuple[int, int]) -> Array:
    """Sums over all frames."""
    return np.asarray(sums.reshape(shape).sum(axis=0))


def _mean_power(energy: Array, known_ns: Array, in_cell: Array) -> Array:
    """Power of all racks in a cell; NaN where no row speaks for any time."""
    mean = energy / np.where(known_ns > 0, known_ns, 1) * in_cell
    return np.asarray(np.where(known_ns > 0, mean, np.nan))


def cell_racks(racks_count: int) -> int:
    """How many racks share a square, so that no more than so many are drawn."""
    return max(1, -(-racks_count // CELLS_MAX))


def _failures(
    run: Run, racks: dict[str, Array], group: int, shape: tuple[int, int], length_ns: float
) -> Array:
    """Failures of GPUs and nodes by cell, up to the end of each frame."""
    nodes, events = run.columns("dim_node"), run.columns("events")
    place_of = {rack: index // group for index, rack in enumerate(racks["rack_id"].tolist())}
    found = np.zeros(shape, np.int64)
    for t_ns, node in _broken_nodes(run, nodes, events):
        frame = min(int(t_ns / length_ns), shape[0] - 1)
        found[frame, place_of[int(nodes["rack_id"][node])]] += 1
    return np.asarray(found.cumsum(axis=0))


def _broken_nodes(
    run: Run, nodes: dict[str, Array], events: dict[str, Array]
) -> Iterator[tuple[int, int]]:
    """Time [ns] and row of dim_node of each failure of a node or of a GPU in it."""
    kinds, things = run.columns("dim_event_kind"), run.columns("dim_thing_kind")
    fail = kinds["event_kind_id"][kinds["name"] == "fail"]
    thing_of = dict(zip(things["thing_kind_id"].tolist(), things["name"], strict=True))
    first: dict[tuple[str, int], tuple[Array, Array]] = {}
    for site in np.unique(nodes["site_id"]).tolist():
        rows = np.flatnonzero(nodes["site_id"] == site)
        first["node", site] = nodes["row"][rows], rows
        gpu = nodes["first_gpu_id"][rows]
        first["gpu", site] = gpu - gpu.min(), rows
    for event in np.flatnonzero(np.isin(events["event_kind_id"], fail)).tolist():
        key = thing_of.get(int(events["thing_kind_id"][event]), ""), int(events["site_id"][event])
        if key in first:
            begins, rows = first[key]
            at = int(np.searchsorted(begins, events["row"][event], side="right")) - 1
            yield int(events["t_ns"][event]), int(rows[max(at, 0)])


def _plot(racks: dict[str, Array], frames: Frames) -> Any:
    """Squares; what they show of a frame is filled in by the slider."""
    x, y = _places(racks, frames.temp_c.shape[1])
    group = cell_racks(racks["rack_id"].size)
    shown = ColumnDataSource(
        {
            "x": x.astype(np.float32),
            "y": y.astype(np.float32),
            "name": [plain(name) for name in racks["name"][::group]],
            "value": np.zeros(x.size, np.float32),
        },
        name="floor",
    )
    low, high = float(np.nanmin(frames.temp_c)), float(np.nanmax(frames.temp_c))
    colours = LinearColorMapper(
        palette=list(Cividis256), low=low, high=max(high, low + 1), name="floor-colours"
    )
    colours.low_color = "rgba(128,128,128,0.25)"
    wide, tall = max(float(x.max()) + 1, _CELLS_WIDE), float(y.max()) + 1
    height_px = int(min(max(tall * 1040 / wide, 40), 560))
    plot = styled(height_px, Range1d(0, wide), Range1d(tall, 0))
    plot.axis.visible = False
    plot.grid.visible = False
    squares = Rect(
        x="x",
        y="y",
        width=0.88,
        height=0.86,
        line_color=None,
        fill_color={"field": "value", "transform": colours},
    )
    drawn = plot.add_glyph(shown, squares)
    tips = [
        *(("rack", "@name" + _more(group)), ("hottest GPU", "@temp"), ("power", "@power")),
        *(("failures so far", "@failures"), ("cooling unit", "@unit"), ("PDU", "@pdu")),
    ]
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips))
    return plot


def _more(group: int) -> str:
    """What a name stands for where racks share a square."""
    return f" and {group - 1} after it" if group > 1 else ""


def _names(racks: dict[str, Array], group: int) -> list[str]:
    return [name + _more(group) for name in racks["name"][::group]]


def _places(racks: dict[str, Array], cells: int) -> tuple[Array, Array]:
    """Middle of each cell: rows of whole cooling units, a site under another."""
    group = cell_racks(racks["rack_id"].size)
    sites, units = racks["site_id"][::group], racks["cooling_unit"][::group]
    x, y, top = np.zeros(cells), np.zeros(cells), 0.0
    for site in np.unique(sites).tolist():
        here = np.flatnonzero(sites == site)
        per_unit = int(np.unique(units[here].astype(str), return_counts=True)[1].max())
        across = max(int(np.ceil(np.sqrt(_ASPECT * here.size))), 1)
        if per_unit <= across:
            across = -(-across // per_unit) * per_unit
        column, row = np.arange(here.size) % across, np.arange(here.size) // across
        gap = _GAP * (column // per_unit) if 1 < per_unit <= across else 0
        x[here], y[here] = column + 0.5 + gap, row + 0.5 + top
        top = float(y[here].max()) + 1.0
    return x, y


def _controls(racks: dict[str, Array], frames: Frames) -> str:
    """The slider, what is shown, the scale and the frames themselves."""
    count_ = frames.temp_c.shape[0]
    data = {
        "length_ns": frames.length_ns,
        "temp": _packed(frames.temp_c),
        "power": _packed(frames.power_w),
        "failures": _packed(frames.failures.astype(float), 1.0),
        "unit": _coded(racks["cooling_unit"]),
        "pdu": _coded(racks["pdu"]),
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    choices = "".join(
        f'<label><input type="radio" name="floor" value="{key}"{checked}> {escaped(name)}</label>'
        for key, name, checked in (
            ("temp", "hottest GPU", " checked"),
            ("power", "power", ""),
            ("failures", "failures so far", ""),
        )
    )
    return (
        f'<div class="controls" id="floor-controls">{choices}<button type="button" class="play">'
        f'Play</button><input type="range" min="0" max="{count_ - 1}" value="{count_ - 1}" step="1"'
        ' aria-label="time"><output></output></div>'
        '<div class="scale" id="floor-scale"><span></span><i></i><span></span></div>'
        f'<script type="application/json" id="floor-frames">{text}</script>'
    )


def _packed(values: Array, least: float = 1e-6) -> dict[str, Any]:
    """Values in one byte each: value = low + step x byte, 255 for nothing."""
    known = np.isfinite(values)
    seen = values[known] if known.any() else np.zeros(1)
    low, high = float(seen.min()), float(seen.max())
    step = max((high - low) / _LEVELS, least)
    levels = np.rint((np.where(known, values, low) - low) / step).clip(0, _LEVELS)
    levels = np.where(known, levels, _NOTHING).astype(np.uint8)
    text = base64.b64encode(levels.tobytes()).decode("ascii")
    return {"low": low, "high": high, "step": step, "data": text}


def _coded(names: Array) -> dict[str, Any]:
    """Names of cells as numbers of different names."""
    group = cell_racks(names.size)
    different, codes = np.unique(names[::group].astype(str), return_inverse=True)
    return {"names": different.tolist(), "codes": codes.tolist()}


def _answer(racks: dict[str, Array], frames: Frames) -> str:
    names = _names(racks, cell_racks(racks["rack_id"].size))
    frame, hot = divmod(int(np.nanargmax(frames.temp_c)), frames.temp_c.shape[1])
    at = clock(int(frame * frames.length_ns))
    hottest = frames.temp_c[frame, hot]
    text = f"Of what racks recorded, {names[hot]} had the hottest GPU, {hottest:.1f} °C in the "
    text += f"frame from {at}"
    most = int(frames.failures[-1].argmax())
    if frames.failures[-1, most]:
        times = int(frames.failures[-1, most])
        text += f"; {names[most]} failed most often, {times:,} time{'s' if times > 1 else ''}"
    return text + "."


def _hotter(reading: Reading, frames: Frames) -> str:
    """That a GPU was hotter between the instants when racks are recorded, if one was."""
    most = reading.summary.metrics["gpu_temp_c_max"].value
    if most is None or most < float(np.nanmax(frames.temp_c)) + _SAME_K:
        return ""
    return f" Between those instants a GPU reached {most:.1f} °C."


def _table(racks: dict[str, Array], frames: Frames) -> Table:
    names = _names(racks, cell_racks(racks["rack_id"].size))
    group = cell_racks(racks["rack_id"].size)
    hottest = np.nan_to_num(np.fmax.reduce(frames.temp_c, axis=0), nan=-273.0)
    order = np.argsort(-hottest, kind="stable")[:_LISTED_MAX].tolist()
    power = frames.power_w_mean
    rows = [
        (
            names[cell],
            str(racks["cooling_unit"][::group][cell]),
            str(racks["pdu"][::group][cell]),
            Cell(f"{hottest[cell]:.1f} °C", float(hottest[cell])),
            number(float(power[cell]), show(float(power[cell]), "W")),
            count(frames.failures[-1, cell]),
        )
        for cell in order
    ]
    head = ("rack", "cooling unit", "PDU", "hottest GPU", "mean power", "failures")
    more = f"The {_LISTED_MAX} hottest of {len(names):,}." if len(names) > _LISTED_MAX else ""
    return Table("As a table", head, rows, more)
