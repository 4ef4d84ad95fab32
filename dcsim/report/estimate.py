"""Estimates, plans and validations in the terminal."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dcsim.report.pipeline import drawn
from dcsim.report.words import COMMUNICATION, FAILURE, IDLE, PHYSICS, USEFUL, bar
from dcsim.workload.columns import rows_of
from dcsim.workload.estimate import Estimate
from dcsim.workload.layout import Layout, Recompute, Schedule, Sharding
from dcsim.workload.plan import Ranked

_PARTS = {
    "matmul": ("matrix products", USEFUL),
    "attention": ("attention", USEFUL),
    "elementwise": ("memory-bound work", PHYSICS),
    "recompute": ("computed again", FAILURE),
    "head": ("head and loss", USEFUL),
    "launch": ("launch overhead", IDLE),
    "tp": ("tensor traffic", COMMUNICATION),
    "cp": ("context traffic", COMMUNICATION),
    "ep": ("expert traffic", COMMUNICATION),
    "pp": ("pipeline traffic", COMMUNICATION),
    "bubble": ("pipeline bubble", IDLE),
    "dp": ("gradient traffic", COMMUNICATION),
    "optimizer": ("optimizer", PHYSICS),
    "fixed": ("once a step", IDLE),
    "jitter": ("slowest of all", PHYSICS),
}
"""Words and colours; traffic is what is exposed of it."""
_MEMORY = ("weights", "gradients", "optimizer", "activations", "buffers")
_BAR_BEGIN = 36
_WIDTH_MAX = 100
_GIGA = 1e-9


def show_estimate(title: str, layout: Layout, estimate: Estimate, console: Console) -> None:
    """Print one estimate: numbers, the step by cause, memory, and the pipeline."""
    width = min(console.width, _WIDTH_MAX)
    lines = [Text(title, style="bold"), *map(Text, _headline(layout, estimate))]
    lines += _step(estimate, width, utf=console.encoding.lower().startswith("utf"))
    lines += map(Text, [*_memory(estimate), *_pipeline(layout)])
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)


def as_mapping(layout: Layout, estimate: Estimate) -> dict[str, object]:
    """Return one estimate as plain numbers, for JSON; units as the names say."""
    e = estimate
    return {
        "layout": {
            "tp": int(layout.tp),
            "pp": int(layout.pp),
            "cp": int(layout.cp),
            "ep": int(layout.ep),
            "dp": int(layout.dp),
            "vpp": int(layout.vpp),
            "mbs": int(layout.micro_batch),
            "gbs": int(layout.global_batch),
            "seq": int(layout.sequence),
            "sharding": Sharding(int(layout.sharding)).name.lower(),
            "recompute": Recompute(int(e.recompute)).name.lower(),
        },
        "step_time_s": float(e.step_s),
        "step_time_s_low": float(e.low_s),
        "step_time_s_high": float(e.high_s),
        "extrapolated": bool(e.extrapolated),
        "tokens_per_s": float(e.tokens_per_s),
        "mfu_frac": float(e.mfu_frac),
        "hfu_frac": float(e.hfu_frac),
        "tflops_per_gpu": float(e.flop_per_s_per_gpu) * 1e-12,
        "parts_s": {name[:-2]: float(value) for name, value in e.parts._asdict().items()},
        "memory_byte": float(e.memory.total_byte),
        "memory_by_use_byte": {n[:-5]: float(v) for n, v in e.memory._asdict().items()},
        "hbm_byte": float(e.hbm_byte),
        "fits": bool(e.fits),
    }


def show_plan(ranked: Ranked, rows_count: int, console: Console) -> None:
    """Print the fastest layouts, then those that trade step time for memory or GPUs."""
    console.print(
        f"{ranked.tried_count:,} layouts tried, {ranked.legal_count:,} legal, "
        f"{len(ranked.gpus):,} fit"
    )
    fastest = list(range(min(rows_count, len(ranked.gpus))))
    console.print(_plan_table(ranked, fastest, "Fastest"))
    unbeaten = [int(row) for row in np.flatnonzero(ranked.pareto)][:rows_count]
    console.print(_plan_table(ranked, unbeaten, "Unbeaten in step time, memory and GPUs"))


def plan_mapping(ranked: Ranked, rows_count: int) -> dict[str, object]:
    """Return the fastest layouts as plain numbers, for JSON; units as the names say."""
    layouts = [
        as_mapping(rows_of(ranked.layout, row), rows_of(ranked.estimate, row))
        | {
            "gpus": int(ranked.gpus[row]),
            "unbeaten": bool(ranked.pareto[row]),
            "days": None if ranked.days is None else float(ranked.days[row]),
        }
        for row in range(min(rows_count, len(ranked.gpus)))
    ]
    return {
        "tried_count": ranked.tried_count,
        "legal_count": ranked.legal_count,
        "fit_count": len(ranked.gpus),
        "layouts": layouts,
    }


def _plan_table(ranked: Ranked, rows: Sequence[int], title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1))
    heads = [
        "GPUs",
        "tp",
        "pp",
        "vpp",
        "cp",
        "ep",
        "dp",
        "mbs",
        "sharding",
        "recompute",
        "step s",
        "GB",
        "MFU",
    ]
    for head in [*heads, *([] if ranked.days is None else ["days"])]:
        table.add_column(head, justify="right")
    layout, e = ranked.layout, ranked.estimate
    for row in rows:
        counts = (layout.tp, layout.pp, layout.vpp, layout.cp, layout.ep, layout.dp)
        cells = [f"{ranked.gpus[row]:,}", *(f"{int(count[row])}" for count in counts)]
        cells += [
            f"{int(layout.micro_batch[row])}",
            Sharding(int(layout.sharding[row])).name.lower(),
        ]
        cells += [Recompute(int(e.recompute[row])).name.lower()]
        cells += [f"{e.step_s[row]:.4g}", f"{e.memory.total_byte[row] * _GIGA:.1f}"]
        cells += [f"{e.mfu_frac[row]:.1%}"]
        cells += [] if ranked.days is None else [f"{ranked.days[row]:.4g}"]
        table.add_row(*cells)
    return table


def _headline(layout: Layout, e: Estimate) -> list[str]:
    cut = f"tp {layout.tp} x pp {layout.pp} x cp {layout.cp} x dp {layout.dp}"
    cut += f", vpp {layout.vpp}" if layout.vpp > 1 else ""
    cut += f", ep {layout.ep}" if layout.ep > 1 else ""
    cut += f", {int(layout.micro_batches)} micro-batches of {layout.micro_batch}"
    cut += f", recompute {Recompute(int(e.recompute)).name.lower()}"
    mark = "  extrapolated" if e.extrapolated else ""
    return [
        cut,
        f"step time   {e.step_s:.4g} s, {e.low_s:.4g} to {e.high_s:.4g} in nine of ten runs{mark}",
        f"tokens      {e.tokens_per_s:,.0f} a second, {e.tokens_per_s * 86_400 / 1e9:,.1f} G a day",
        f"MFU         {e.mfu_frac:.1%}, HFU {e.hfu_frac:.1%} of the dense BF16 peak; "
        f"{e.flop_per_s_per_gpu * 1e-12:.0f} TFLOP/s a GPU",
    ]


def _step(e: Estimate, width: int, *, utf: bool) -> list[Text]:
    parts = {name[:-2]: float(value) for name, value in e.parts._asdict().items()}
    longest = max(parts.values())
    lines = [Text("Where the step goes", style="dim")]
    for name, value_s in parts.items():
        words, colour = _PARTS[name]
        if value_s > 0.0:
            line = Text(f"{words:<18}{value_s:9.4g} s {value_s / e.step_s:6.1%} ")
            lines.append(
                line.append(bar((width - _BAR_BEGIN) * value_s / longest, utf=utf), colour)
            )
    return lines


def _memory(e: Estimate) -> list[str]:
    uses = ", ".join(
        f"{name} {float(byte) * _GIGA:.1f}" for name, byte in zip(_MEMORY, e.memory, strict=True)
    )
    held, room = float(e.memory.total_byte) * _GIGA, float(e.hbm_byte) * _GIGA
    verdict = f"fits, {room - held:.1f} left" if e.fits else f"DOES NOT FIT by {held - room:.1f}"
    return [f"memory      {held:.1f} of {room:.0f} GB, {verdict}:", f"            {uses}"]


def _pipeline(layout: Layout) -> list[str]:
    if layout.pp == 1:
        return []
    if layout.schedule == Schedule.DUALPIPE:
        return ["Pipeline: dualpipe runs from both ends at once and is not drawn"]
    is_zero_bubble = bool(layout.schedule == Schedule.ZERO_BUBBLE)
    chunks, count = int(layout.vpp), int(layout.micro_batches)
    picture = drawn(int(layout.pp), chunks, count, is_zero_bubble=is_zero_bubble)
    shown = f"{picture.stages} of {int(layout.pp)} stages, "
    shown += f"{picture.chunks} of {chunks} chunks, " if chunks > 1 else ""
    shown += f"{picture.micro_batches} of {count} micro-batches"
    return [
        f"Pipeline: {shown}; digits go forward, letters backward, dots wait",
        *(["Capitals make the gradients of weights"] if is_zero_bubble else []),
        *picture.lines,
    ]
