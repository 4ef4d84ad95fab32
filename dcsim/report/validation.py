"""How the step time and the collectives compare with published measurements, in the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from dcsim.workload.nccl_tests import SIZE_CLASSES, errors, measurements
from dcsim.workload.published import PRIORS, Outcome, summaries

_COLLECTIVES = "collective", "size_class"


def as_mapping(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return sources and rows as plain numbers, for JSON; errors are shares of the measured."""
    rows = [
        outcome.row._asdict()
        | {
            "predicted_s": outcome.step_s,
            "error": outcome.error,
            "left_out_error": outcome.left_out_error,
            "low_s": outcome.low_s,
            "high_s": outcome.high_s,
            "hit": outcome.hit,
        }
        for outcome in outcomes
    ]
    return {
        "fitted_constants_count": len(PRIORS),
        "sources": [summary._asdict() for summary in summaries(outcomes)],
        "rows": rows,
    }


def show(outcomes: Sequence[Outcome], console: Console, *, is_long: bool) -> None:
    """Print errors by source, then of collectives, and every row if *is_long*."""
    if is_long:
        console.print(_rows(outcomes))
    console.print(_sources(outcomes))
    console.print(
        f"{len(PRIORS)} constants are fitted. Left out: predicted by constants that did not see "
        "the source (Blackwell: the row). The interval is around that prediction.",
    )
    console.print(_collectives())


def _sources(outcomes: Sequence[Outcome]) -> Table:
    heads = ("source", "", "rows", "median", "MAPE", "worst", "left out", "in interval")
    table = _table("Step time, error by source", heads, 2)
    for s in summaries(outcomes):
        table.add_row(
            s.source,
            "fitted" if s.fitted else "not fitted",
            str(s.rows_count),
            f"{s.median:.1%}",
            f"{s.mape:.1%}",
            f"{s.worst:+.1%}",
            f"{s.left_out_mape:.1%}",
            f"{s.hit_frac:.0%}",
        )
    return table


def _rows(outcomes: Sequence[Outcome]) -> Table:
    heads = ("source", "run", "published s", "predicted s", "error", "left out", "interval s", "")
    table = _table("Step time, every row", heads, 2)
    for o in outcomes:
        table.add_row(
            o.row.source,
            o.row.name,
            f"{o.row.step_s:.4g}",
            f"{o.step_s:.4g}",
            f"{o.error:+.1%}",
            f"{o.left_out_error:+.1%}",
            f"{o.low_s:.4g} to {o.high_s:.4g}",
            "hit" if o.hit else "miss",
        )
    return table


def _collectives() -> Table:
    heads = (*(name.replace("_", " ") for name in _COLLECTIVES), "rows", "median", "worst")
    table = _table("Collectives, error of nccl-tests rows", heads, 2)
    found = errors(measurements(), *_COLLECTIVES)
    for line in sorted(found, key=lambda line: (line.group[0], SIZE_CLASSES.index(line.group[1]))):
        numbers = f"{line.median_frac:.1%}", f"{line.worst_frac:+.1%}"
        table.add_row(*line.group, str(line.rows), *numbers)
    return table


def _table(title: str, heads: Sequence[str], words_count: int) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1))
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place < words_count else "right")
    return table
