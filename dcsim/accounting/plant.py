"""What the sites drew and how hot it got, from the rows of the site table."""

from typing import NamedTuple

import numpy as np

from dcsim.accounting.segments import Array
from dcsim.trace import Run

_J_PER_KWH = 3.6e6
USED = ("it_power_w", "cooling_power_w", "loss_power_w")
"""What a site uses, wherever it comes from: at the meter batteries would not show."""

_READ = (
    *("site_id", "t_ns", *USED, "site_power_w", "water_l", "temp_histogram", "gpu_temp_c_max"),
    *("throttled_count", "gpus_up_count"),
)


class Plant(NamedTuple):
    """Sums over all sites and the whole run; None where the trace does not say.

    Temperatures are those of GPUs that are up, in GPU-time over all rows.
    """

    it_power_w_mean: float | None
    it_power_w_max: float | None
    site_power_w_mean: float | None
    site_power_w_max: float | None
    pue: float | None
    wue_l_per_kwh: float | None
    energy_j: float | None
    co2_g: float | None
    cost_usd: float | None
    gpu_temp_c_p50: float | None
    gpu_temp_c_p99: float | None
    gpu_temp_c_max: float | None
    throttled_frac: float | None


def read_plant(run: Run) -> Plant:
    """Power, energy, water and temperatures of a run. Maxima of power are of means per row."""
    table = run.columns("site")
    order = np.lexsort((table["t_ns"], table["site_id"]))
    table = {name: table[name][order] for name in _READ}
    length_s = _row_length_s(table["site_id"], table["t_ns"])
    if not length_s.any():
        return Plant(*[None] * len(Plant._fields))
    it_j, site_j = (table[name] * length_s for name in ("it_power_w", "site_power_w"))
    used_j = sum(table[name] for name in USED) * length_s
    it_kwh = float(it_j.sum()) / _J_PER_KWH
    span_s = float(table["t_ns"].max()) * 1e-9
    site_kwh = site_j / _J_PER_KWH
    p50_c, p99_c = _quantiles_c(length_s @ table["temp_histogram"], (0.5, 0.99))
    hottest_c = table["gpu_temp_c_max"][~np.isnan(table["gpu_temp_c_max"])]
    most_c = float(hottest_c.max()) if hottest_c.size else None
    if p99_c is not None and most_c is not None:
        p99_c = min(p99_c, most_c)  # bins are 1 K wide
    return Plant(
        it_power_w_mean=float(it_j.sum()) / span_s,
        it_power_w_max=_max_of_sum(table["t_ns"], table["it_power_w"], length_s),
        site_power_w_mean=float(site_j.sum()) / span_s,
        site_power_w_max=_max_of_sum(table["t_ns"], table["site_power_w"], length_s),
        pue=float(used_j.sum() / it_j.sum()) if it_kwh else None,
        wue_l_per_kwh=float(table["water_l"].sum()) / it_kwh if it_kwh else None,
        energy_j=float(site_j.sum()),
        co2_g=_priced(run, table["site_id"], site_kwh, "co2_g_per_kwh"),
        cost_usd=_priced(run, table["site_id"], site_kwh, "price_usd_per_kwh"),
        gpu_temp_c_p50=p50_c,
        gpu_temp_c_p99=p99_c,
        gpu_temp_c_max=most_c,
        throttled_frac=_ratio(table["throttled_count"], table["gpus_up_count"], length_s),
    )


def _row_length_s(site_id: Array, t_ns: Array) -> Array:
    """How long each row speaks for [s]: since the site's previous row, or the start of the run."""
    length_ns = np.diff(t_ns, prepend=0)
    first = np.diff(site_id, prepend=-1) != 0
    length_ns[first] = t_ns[first]
    return np.asarray(length_ns * 1e-9)


def _max_of_sum(t_ns: Array, power_w: Array, length_s: Array) -> float:
    """Highest sum over the sites at one instant, rows of no length left out."""
    _, instant = np.unique(t_ns[length_s > 0], return_inverse=True)
    return float(np.bincount(instant, weights=power_w[length_s > 0]).max())


def _priced(run: Run, site_id: Array, energy_kwh: Array, rate: str) -> float | None:
    """Energy times a rate of its site; None if a site that drew energy has none."""
    sites = run.columns("dim_site")
    rate_of = np.full(int(max(site_id.max(), sites["site_id"].max(initial=0))) + 1, np.nan)
    rate_of[sites["site_id"]] = sites[rate]
    total = float((energy_kwh * rate_of[site_id]).sum())
    return None if np.isnan(total) else total


def _quantiles_c(histogram: Array, quantiles: tuple[float, ...]) -> list[float | None]:
    """Quantiles of a histogram of 1 K bins from 0 degC, linear inside a bin."""
    cumulated = np.concatenate([[0.0], np.cumsum(histogram)])
    if cumulated[-1] == 0:
        return [None for _ in quantiles]
    found: list[float | None] = []
    for quantile in quantiles:
        below = quantile * cumulated[-1]
        bin_c = int(np.searchsorted(cumulated, below, side="left")) - 1
        found.append(bin_c + float((below - cumulated[bin_c]) / histogram[bin_c]))
    return found


def _ratio(part: Array, whole: Array, length_s: Array) -> float | None:
    total = float(length_s @ whole)
    return float(length_s @ part) / total if total else None
