"""Where electricity and heat went, element by element, and how well it was used hour by hour."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dcsim.accounting.once import once
from dcsim.accounting.segments import Array
from dcsim.trace import Run
from dcsim.units import DAY_NS, HOUR_NS

_J_PER_KWH = 3.6e6
_HEAT = ("unit_heat", "other_heat", "dry_heat", "chilled_heat")


class Flows(NamedTuple):
    """Energy over the run [J]; None where the trace does not record it.

    `site` at the meter is `it` + `cooling` + `loss` - `battery`; each of the first three is the sum
    of the elements below it.
    """

    site: float | None
    it: float | None
    cooling: float | None
    loss: float | None
    battery: float | None
    """Out of batteries; less than 0 where they took more than they gave."""
    gpu: float | None
    host: float | None
    """Hosts, NICs, switches and fans in nodes."""
    supply_loss: float | None
    """Lost in the supplies of nodes."""
    unit: float | None
    """Pumps or fans of cooling units."""
    pump: float | None
    """Pumps of the facility loop."""
    cooler: float | None
    """Fans of dry coolers."""
    chiller: float | None
    hall_fan: float | None
    pdu_loss: float | None
    ups_loss: float | None
    feed_loss: float | None
    """Lost in the transformers of feeds."""
    unit_heat: float | None
    """Heat from cooling units into the facility loop."""
    other_heat: float | None
    """Heat of hall air and pumps into the facility loop."""
    dry_heat: float | None
    """Heat to the outside through dry coolers."""
    chilled_heat: float | None
    """Heat to the outside through chillers."""

    @property
    def stored_heat(self) -> float | None:
        """Heat that the facility loop took up and has not given off [J]."""
        into, other, dry, chilled = (getattr(self, name) for name in _HEAT)
        known = None not in (into, other, dry, chilled)
        return float(into + other - dry - chilled) if known else None


FLOWS = Flows._fields


class Energy(NamedTuple):
    """Energy of all sites together, and of each by its name."""

    total: Flows
    sites: Mapping[str, Flows]


class _Meters(NamedTuple):
    """Readings of one site, shape (n + 1,) each; the first are 0 at the start of the run."""

    site_id: int
    t_ns: Array
    energy_j: Mapping[str, Array]  # those of the fields of `Flows` that are recorded
    water_l: Array


def energy(run: Run) -> Energy:
    """Energy by element, as far as the rows of the site table go."""
    meters = _read_meters(run)
    return Energy(
        _flows([of_site.energy_j for of_site in meters.values()]),
        {site: _flows([of_site.energy_j]) for site, of_site in meters.items()},
    )


def hourly(run: Run) -> dict[str, Array]:
    """All sites together by the hour, shape (hours,) each; the last hour may be a part of one.

    `t_ns` is the end of the hour, `it_w` and `site_w` are means, `pue` is what the sites used over
    what their IT used, `wue` is water over energy of the IT [L/kWh]; NaN without IT energy. What a
    row says of a longer time is spread over it evenly.
    """
    meters = list(_read_meters(run).values())
    edges_ns = _edges(meters, HOUR_NS)
    length_s = np.diff(edges_ns) * 1e-9
    site_j, it_j, cooling_j, loss_j = (
        sum((_between(m, m.energy_j[name], edges_ns) for m in meters), np.zeros(length_s.size))
        for name in ("site", "it", "cooling", "loss")
    )
    water_l = sum((_between(m, m.water_l, edges_ns) for m in meters), np.zeros(length_s.size))
    used = np.where(it_j > 0, it_j, np.nan)
    return {
        "t_ns": edges_ns[1:],
        "it_w": it_j / length_s,
        "site_w": site_j / length_s,
        "pue": (it_j + cooling_j + loss_j) / used,
        "wue": water_l / (used / _J_PER_KWH),
    }


def daily(run: Run) -> dict[str, Array]:
    """All sites together by the day, shape (days,) each; `t_ns` is the end of the day.

    `cost_usd` and `co2_g` are of the energy at the meter; NaN where a site that drew any has no
    price or no carbon intensity.
    """
    meters = list(_read_meters(run).values())
    edges_ns = _edges(meters, DAY_NS)
    sites = run.columns("dim_site")
    found = {"t_ns": edges_ns[1:]}
    for name, rate in (("cost_usd", "price_usd_per_kwh"), ("co2_g", "co2_g_per_kwh")):
        rate_of = dict(zip(sites["site_id"].tolist(), sites[rate].tolist(), strict=True))
        found[name] = np.zeros(edges_ns.size - 1)
        for of_site in meters:
            site_kwh = _between(of_site, of_site.energy_j["site"], edges_ns) / _J_PER_KWH
            drawn = site_kwh != 0
            found[name][drawn] += site_kwh[drawn] * rate_of[of_site.site_id]
    return found


@once
def _read_meters(run: Run) -> dict[str, _Meters]:
    """The meters of each site, by its name."""
    table, sites = run.columns("site"), run.columns("dim_site")
    return {
        str(name): _meters_of(table, site_id)
        for site_id, name in zip(sites["site_id"].tolist(), sites["name"], strict=True)
    }


def _meters_of(table: Mapping[str, Array], site_id: int) -> _Meters:
    rows = np.flatnonzero(table["site_id"] == site_id)
    rows = rows[np.argsort(table["t_ns"][rows], kind="stable")]
    t_ns = np.concatenate([[0], table["t_ns"][rows]])
    length_s = np.diff(t_ns) * 1e-9
    energy_j = {}
    for name in FLOWS:
        column = f"{name}_w" if name in _HEAT else f"{name}_power_w"
        power_w = table.get(column, np.full(table["t_ns"].size, np.nan))[rows]
        spent_j = np.where(length_s > 0, power_w * length_s, 0.0)
        if column in table and not np.isnan(spent_j).any():
            energy_j[name] = np.concatenate([[0.0], np.cumsum(spent_j)])
    return _Meters(
        site_id, t_ns, energy_j, np.concatenate([[0.0], np.cumsum(table["water_l"][rows])])
    )


def _flows(meters: list[Mapping[str, Array]]) -> Flows:
    """Last readings of all sites; None where one of them does not record it."""
    return Flows(
        *(
            float(sum(energy_j[name][-1] for energy_j in meters))
            if all(name in energy_j for energy_j in meters)
            else None
            for name in FLOWS
        )
    )


def _edges(meters: list[_Meters], every_ns: int) -> Array:
    """Every so often from 0 to the last reading of any site [ns]."""
    end_ns = max((int(of_site.t_ns[-1]) for of_site in meters), default=0)
    return np.array([*range(0, end_ns, every_ns), end_ns])


def _between(of_site: _Meters, reading: Array, edges_ns: Array) -> Array:
    """What one meter counted between one edge and the next."""
    return np.diff(np.interp(edges_ns, of_site.t_ns, reading))
