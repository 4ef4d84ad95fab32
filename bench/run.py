"""Print one table of ratios: the kernels beside C and numpy, whole runs beside their limits.

`python -m bench.run` measures all; names of parts (`step small main reading growth share
estimates`) measure those.
Exits 1 when a ratio is above what it may be; a count or a digest that differs is an error.
"""

import sys
from collections.abc import Callable, Iterable, Sequence

from bench import estimates, share, step, whole
from bench.table import Row, show

PARTS: dict[str, Callable[[], Iterable[Row]]] = {
    "step": step.rows,
    "small": whole.small_rows,
    "main": whole.main_rows,
    "reading": whole.reading_rows,
    "growth": whole.growth_rows,
    "share": share.rows,
    "estimates": estimates.rows,
}


def main(names: Sequence[str]) -> int:
    """Measure the parts named, all without names, and say whether every limit holds."""
    unknown = set(names) - set(PARTS)
    if unknown:
        print(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        return 2
    rows = (row for name in names or PARTS for row in PARTS[name]())
    return 0 if show(rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
