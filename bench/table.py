"""Rows of measured ratios, each with the most that it may be."""

import sys
from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One figure beside another; *most* is the largest ratio allowed, None where there is none."""

    what: str
    figure: float
    unit: str
    beside: str
    other: float
    most: float | None = None

    @property
    def ratio(self) -> float:
        """The figure over what it is compared with."""
        return self.figure / self.other

    @property
    def fails(self) -> bool:
        """Whether the ratio is above what is allowed, or not a number."""
        return self.most is not None and not self.ratio <= self.most


def show(rows: Iterable[Row]) -> bool:
    """Print the rows as they come; return whether all were within their limits."""
    fine = True
    print(f"{'what':44}{'figure':>10} {'unit':6}{'beside':>26}{'other':>10}{'ratio':>8}{'most':>7}")
    for row in rows:
        most = "" if row.most is None else f"{row.most:g}"
        mark = "  <- over" if row.fails else ""
        print(
            f"{row.what:44}{row.figure:10.4g} {row.unit:6}{row.beside:>26}{row.other:10.4g}"
            f"{row.ratio:8.2f}{most:>7}{mark}"
        )
        sys.stdout.flush()
        fine = fine and not row.fails
    return fine
