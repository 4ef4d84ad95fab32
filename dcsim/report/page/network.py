"""What jobs send over the network and write to storage."""

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Range1d

from dcsim.report.page.figures import scaled, styled
from dcsim.report.page.reading import Reading
from dcsim.report.page.section import Section, Table, number, plain
from dcsim.report.words import COMMUNICATION
from dcsim.units import show

_AXES = {
    "tp": "tensor parallel",
    "cp": "context parallel",
    "ep": "expert parallel",
    "pp": "pipeline",
    "dp": "data parallel",
}
_LISTED_MAX = 100
_QUESTION = "How much went over the network and to storage?"
_ABOUT = (
    "Bytes that one GPU of the fullest stage sends in a step, by the kind of parallelism, over the "
    "mean time of a step while the job runs; and the size of a checkpoint over the time between "
    "saves."
)


def network(reading: Reading) -> Section:
    """Traffic of each job by kind, and its checkpoints."""
    jobs = reading.run.columns("dim_job")
    if not jobs["job_id"].size:
        return Section("network", _QUESTION, "Nothing.", _ABOUT, None, empty="There was no job.")
    axes = [axis for axis in _AXES if f"{axis}_byte_per_step" in jobs]
    if not axes:
        why = "This trace was written before traffic of jobs was recorded."
        return Section("network", _QUESTION, "Not recorded.", _ABOUT, None, empty=why)
    step_s = np.array([_step_s(reading, job) for job in jobs["job_id"].tolist()])
    rates = {axis: jobs[f"{axis}_byte_per_step"] / step_s for axis in axes}
    sends = any((rate > 0).any() for rate in rates.values())
    figures = (_plot(jobs, rates),) if sends else ()
    why = "" if figures else "No GPU sent anything: no job made a step, or each ran on one GPU."
    return Section(
        "network",
        _QUESTION,
        _answer(jobs, rates, step_s),
        _ABOUT,
        _table(jobs, axes, step_s),
        figures,
        empty=why,
    )


def _step_s(reading: Reading, job_id: int) -> float:
    """Mean wall time of a step while the job runs [s], NaN if it made none."""
    segments = reading.segments
    rows = (segments.job_id == job_id) & (segments.state == "running")
    steps = float(segments.steps[rows].sum())
    return float(segments.duration_ns[rows].sum()) * 1e-9 / steps if steps else float("nan")


def _answer(jobs: dict[str, Any], rates: dict[str, Any], step_s: Any) -> str:
    ran = np.isfinite(step_s)
    if not ran.any():
        return "No job made a step, so nothing was sent."
    place = int(np.argmax(np.where(ran, jobs["gpus_count"], -1)))
    total = sum(float(rate[place]) for rate in rates.values())
    job = jobs["name"][place]
    most = max(rates, key=lambda axis: float(rates[axis][place]))
    text = f"A GPU of {job} sends {show(total, 'byte/s')} in the mean of a step, most of it "
    text += f"{_AXES[most]}."
    if "checkpoint_byte" in jobs:
        text += f" A checkpoint is {show(float(jobs['checkpoint_byte'][place]), 'byte')}"
        saves = [
            f"to {where} every {show(float(jobs[name][place]), 's')}"
            for name, where in (("local_interval_s", "hosts"), ("remote_interval_s", "storage"))
            if np.isfinite(jobs[name][place])
        ]
        text += f", {' and '.join(saves)}." if saves else ", and is never saved."
    return text


def _plot(jobs: dict[str, Any], rates: dict[str, Any]) -> Any:
    order = np.argsort(-jobs["gpus_count"], kind="stable")[:8].tolist()
    shown = [
        (plain(f"{jobs['name'][place]}: " * (len(order) > 1) + _AXES[axis]), rate[place])
        for place in order
        for axis, rate in rates.items()
        if rate[place] > 0
    ]
    most = max(rate for _, rate in shown)
    scale, unit = scaled(float(most), "B/s")
    labels = list(dict.fromkeys(name for name, _ in shown))
    plot = styled(
        46 + 22 * len(labels),
        Range1d(0, max(most / scale, 1e-9) * 1.06),
        FactorRange(*labels[::-1]),
    )
    plot.ygrid.visible = False
    plot.xgrid.visible = True
    plot.xaxis.axis_label = f"{unit} sent by a GPU, mean over steps"
    data = ColumnDataSource(
        {"label": [name for name, _ in shown], "rate": [rate / scale for _, rate in shown]}
    )
    bars = plot.hbar(
        "label", right="rate", height=0.6, source=data, fill_color=COMMUNICATION, line_color=None
    )
    tips = [("traffic", "@label"), (unit, "@rate{0.00}")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips))
    return plot


def _table(jobs: dict[str, Any], axes: list[str], step_s: Any) -> Table:
    rows = []
    for place, name in enumerate(jobs["name"][:_LISTED_MAX]):
        sent = [float(jobs[f"{axis}_byte_per_step"][place]) for axis in axes]
        saves = [float(jobs[key][place]) if key in jobs else np.nan for key in _SAVES]
        rows.append(
            (
                str(name),
                number(float(step_s[place]), f"{step_s[place]:.3g}"),
                *(number(value, show(value, "byte")) for value in sent),
                number(saves[0], show(saves[0], "byte") if np.isfinite(saves[0]) else ""),
                *(_interval(value) for value in saves[1:]),
            )
        )
    head = (
        "job",
        "step [s]",
        *(f"{_AXES[axis]} a step" for axis in axes),
        "checkpoint",
        "to hosts every",
        "to storage every",
    )
    more = len(jobs["name"]) - len(rows)
    return Table("As a table", head, rows, f"{more:,} more jobs are not listed." if more else "")


_SAVES = ("checkpoint_byte", "local_interval_s", "remote_interval_s")


def _interval(value: float) -> Any:
    cell = number(value, show(value, "s") if np.isfinite(value) else "")
    return cell if np.isfinite(value) else cell._replace(text="never")
