"""Time series of a run, read as a stream and reduced to what a screen can show."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dcsim.accounting.segments import Array
from dcsim.trace import Run

BINS_MAX = 1000


class Reduced(NamedTuple):
    """Least, mean and most of a series in each bin; NaN where it says nothing."""

    low: Array
    mean: Array
    high: Array


class Instants(NamedTuple):
    """The rows of all sites, one instant each; arrays of shape (n,).

    Powers are sums over sites and means since the previous instant, temperatures those of the
    hottest site.
    """

    t_ns: Array
    it_power_w: Array
    site_power_w: Array
    gpu_temp_c_p50: Array
    gpu_temp_c_p99: Array
    gpu_temp_c_max: Array
    facility_supply_c: Array
    dry_bulb_c: Array


def row_lengths_ns(run: Run, names: Sequence[str]) -> Iterator[tuple[dict[str, Array], Array]]:
    """Some columns of the site table by batch, with the time for which each row speaks [ns]."""
    before: dict[int, int] = {}
    for rows in run.column_batches("site", ("t_ns", "site_id", *names)):
        length_ns = np.zeros(rows["t_ns"].size)
        for site in np.unique(rows["site_id"]).tolist():
            here = rows["site_id"] == site
            t_ns = rows["t_ns"][here]
            length_ns[here] = np.diff(t_ns, prepend=before.get(site, 0))
            before[site] = int(t_ns[-1])
        yield rows, length_ns


def instants(run: Run) -> Instants:
    """All sites together at each instant of the site table."""
    parts = list(run.column_batches("site", Instants._fields))
    if not parts:
        return Instants(*[np.zeros(0) for _ in Instants._fields])
    table = {name: np.concatenate([part[name] for part in parts]) for name in Instants._fields}
    order = np.argsort(table["t_ns"], kind="stable")
    t_ns, begin = np.unique(table["t_ns"][order], return_index=True)
    columns: dict[str, Any] = {"t_ns": t_ns}
    for name in Instants._fields[1:]:
        combine = np.add if name.endswith("_w") else np.fmax
        columns[name] = combine.reduceat(table[name][order].astype(np.float64), begin)
    return Instants(**columns)


def edges(times_ns: Array, end_ns: int) -> Array:
    """Edges of bins [ns]: every time there is if a screen can show them, or else equal bins."""
    inner = np.unique(times_ns[(times_ns > 0) & (times_ns < end_ns)])
    if inner.size < BINS_MAX:
        return np.concatenate([[0], inner, [max(end_ns, 1)]]).astype(np.int64)
    return np.linspace(0, end_ns, BINS_MAX + 1).astype(np.int64)


def reduced(t_ns: Array, values: Array, at_ns: Array) -> Reduced:
    """Reduce a series, each value of which holds since the previous time, to bins.

    Args:
        t_ns, values: of shape (n,), in order of time.
        at_ns: edges of the bins, of shape (bins + 1,).
    """
    if not t_ns.size:
        return Reduced(*[np.full(at_ns.size - 1, np.nan)] * 3)
    first = np.searchsorted(t_ns, at_ns[:-1], side="right")
    last = np.searchsorted(t_ns, at_ns[1:], side="left") + 1
    pairs = np.minimum(np.column_stack([first, last]), t_ns.size).ravel()
    says = pairs[::2] < np.minimum(pairs[1::2], t_ns.size)
    padded = np.append(values, np.nan)
    low = np.where(says, np.fmin.reduceat(padded, pairs)[::2], np.nan)
    high = np.where(says, np.fmax.reduceat(padded, pairs)[::2], np.nan)
    return Reduced(low, _means(t_ns, values, at_ns, says), high)


def _means(t_ns: Array, values: Array, at_ns: Array, says: Array) -> Array:
    """Mean over the time in each bin for which there is a value."""
    length_ns = np.diff(t_ns, prepend=0) * np.isfinite(values)
    known_ns = np.concatenate([[0.0], np.cumsum(length_ns)])
    sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values) * length_ns)])
    times = np.concatenate([[0], t_ns])
    total = np.diff(np.interp(at_ns, times, sums))
    weight = np.diff(np.interp(at_ns, times, known_ns))
    known = says & (weight > 0)
    return np.where(known, total / np.where(known, weight, 1.0), np.nan)
