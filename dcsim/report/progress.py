"""A line on stderr while a run is under way; the only place that reads the wall clock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from dcsim.report.words import clock
from dcsim.units import show

SHOW_AFTER_S = 2.0
REFRESH_S = 0.1


class Show(Protocol):
    """Says how far the simulation is; cheap enough to be called at every stop."""

    def __call__(
        self, t_ns: int, *, goodput_frac: float | None, gpus_up: int, power_w: float
    ) -> None:
        """Simulated time, goodput (None before a job started), GPUs up, power of all sites."""


@contextmanager
def progress(
    duration_ns: int, *, quiet: bool = False, label: str = "", console: Console | None = None
) -> Iterator[Show]:
    """Show simulated time, speed, ETA and the numbers so far while the body runs.

    The line appears after two seconds, at most ten times a second, and goes at the end. There is
    none when `quiet`, or when the console (by default stderr) is no terminal. It begins with
    `label`.
    """
    console = console or Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _show_nothing
        return
    line = _Line(duration_ns, label, console)
    try:
        yield line
    finally:
        line.stop()


def wall_s() -> float:
    """Wall time since some moment [s], to say how long things take."""
    return time.monotonic()


def announce(runs_count: int, each_s: float, console: Console | None = None) -> None:
    """Say before the runs of a range how long they will take, if each takes *each_s*."""
    console = console or Console(stderr=True)
    runs = "1 more run" if runs_count == 1 else f"{runs_count} more runs"
    total = show(runs_count * each_s, "s")
    text = f"Range: {runs} of about {show(each_s, 's')} each, {total} in all"
    text += "; Ctrl-C keeps what is done"
    console.print(Text(text), soft_wrap=True)


def _show_nothing(
    t_ns: int, *, goodput_frac: float | None, gpus_up: int, power_w: float
) -> None: ...


class _Line:
    """The progress line of one run."""

    def __init__(self, duration_ns: int, label: str, console: Console) -> None:
        self._duration_ns = duration_ns
        self._label = [label] if label else []
        self._begin_s = time.monotonic()
        self._due_s = self._begin_s + SHOW_AFTER_S
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __call__(
        self, t_ns: int, *, goodput_frac: float | None, gpus_up: int, power_w: float
    ) -> None:
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + REFRESH_S
        parts = [
            *self._label,
            f"{t_ns / self._duration_ns:.0%}",
            *self._pace(t_ns, now_s - self._begin_s),
            *([] if goodput_frac is None else [f"goodput {100 * goodput_frac:.1f}%"]),
            f"{gpus_up:,} GPUs up",
            show(power_w, "W"),
        ]
        self._live.start()
        self._live.update(Text("  ".join(parts), no_wrap=True, overflow="ellipsis"), refresh=True)

    def stop(self) -> None:
        self._live.stop()

    def _pace(self, t_ns: int, wall_s: float) -> list[str]:
        """Simulated time, speed as simulated over wall time, and wall time left."""
        if t_ns == 0:
            return [clock(t_ns)]
        eta_s = round(wall_s * (self._duration_ns - t_ns) / t_ns)
        speed = show(t_ns * 1e-9 / wall_s, "s")
        return [clock(t_ns), f"{speed}/s", f"ETA {eta_s // 60}:{eta_s % 60:02}"]
