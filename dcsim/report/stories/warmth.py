"""How warm a rack and a GPU were, from the rows that the trace samples, read batch by batch."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dcsim.accounting.holders import Thing
from dcsim.report.stories.phrases import instant
from dcsim.report.stories.telling import Telling
from dcsim.units import show


def warmth(told: Telling, thing: Thing, rack: Mapping[str, Any]) -> list[str]:
    """Sentences on the temperatures up to the instant; none where nothing was sampled."""
    said = []
    columns = ("rack_id", "temp_c_mean", "temp_c_max", "power_w")
    samples = list(_samples(told, "rack", int(rack["rack_id"]), columns))
    if samples:
        last_ns, mean_c, _, power_w = samples[-1]
        hottest_ns, _, hottest_c, _ = max(samples, key=lambda sample: sample[2])
        said.append(
            f"{rack['name']} at {instant(last_ns)}: its GPUs at {show(mean_c, 'degC')} in the "
            f"mean, {show(power_w, 'W')}; its hottest sample was {show(hottest_c, 'degC')} at "
            f"{instant(hottest_ns)}."
        )
    if thing.kind == "gpu":
        columns = ("gpu_id", "temp_c", "power_w", "clock_frac")
        for t_ns, temp_c, power_w, clock_frac in [
            *_samples(told, "gpu", told.holders.gpu_id(thing), columns)
        ][-1:]:
            said.append(
                f"{thing.name} in its last snapshot, at {instant(t_ns)}: {show(temp_c, 'degC')}, "
                f"{show(power_w, 'W')}, {clock_frac:.0%} of its highest clock."
            )
    return said


def _samples(
    told: Telling, table: str, number: int, columns: tuple[str, ...]
) -> Iterator[tuple[Any, ...]]:
    """Time [ns] and values of the rows of one thing up to the instant.

    The first of *columns* holds the number of the thing.
    """
    for rows in told.run.column_batches(table, ("t_ns", *columns)):
        t_ns, ids, *values = (rows[name] for name in ("t_ns", *columns))
        for row in np.flatnonzero((ids == number) & (t_ns <= told.until_ns)).tolist():
            yield (int(t_ns[row]), *(float(value[row]) for value in values))
        if t_ns.size and t_ns[-1] > told.until_ns:
            return
