"""What Python, SimPy and dispatch take of a run: its wall time outside kernels and trace files."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.table import Row
from bench.whole import MAIN, ROOT
from dcsim import load, simulate
from dcsim.trace.writer import TraceWriter

PYTHON_MOST_FRAC = 0.2


class Stopwatch:
    """Seconds spent inside functions that it wraps; calls between them are counted once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._runs = False

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*arguments: Any, **named: Any) -> Any:
            if self._runs:
                return function(*arguments, **named)
            self._runs = True
            began_s = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - began_s
                self._runs = False

        return timed


def rows() -> Iterator[Row]:
    """The share of Python in the main scenario on two threads."""
    wall_s("duration=2 d")  # compiles every kernel that the run will call
    stopwatch = Stopwatch()
    for module in [m for name, m in sys.modules.items() if name.startswith("dcsim.")]:
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func") or name.endswith("_threaded"):
                setattr(module, name, stopwatch.around(value))
    for name in ("row", "rows", "flush", "close"):
        setattr(TraceWriter, name, stopwatch.around(getattr(TraceWriter, name)))
    whole_s = wall_s()
    python_frac = 1 - stopwatch.seconds / whole_s
    yield Row("Python, SimPy, dispatch", python_frac, "", "limit", PYTHON_MOST_FRAC, 1.0)


def wall_s(*overrides: str) -> float:
    """Wall time of one run in this process, loading included."""
    with tempfile.TemporaryDirectory() as folder:
        began_s = time.perf_counter()
        scenario = load(ROOT / MAIN, overrides)
        simulate(scenario, out=Path(folder) / "run", threads=2, report=False)
        return time.perf_counter() - began_s
