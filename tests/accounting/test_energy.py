import math

import numpy as np
import pytest

from dcsim.accounting import daily, hourly, summarise
from dcsim.accounting.energy import FLOWS, energy
from dcsim.trace import Run
from tests.accounting.handmade import Site, write_run
from tests.accounting.test_summary import day_with_a_failure

PARTS = {
    "it": ("gpu", "host", "supply_loss"),
    "cooling": ("unit", "pump", "cooler", "chiller", "hall_fan"),
    "loss": ("pdu_loss", "ups_loss", "feed_loss"),
}
HEAT = ("unit_heat", "other_heat", "dry_heat", "chilled_heat")
SITES = [Site(8, price=0.1, co2=100), Site(16, price=0.2, co2=300)]


class WithParts(Run):
    """A run whose site table has the power of every part; *parts* are columns [W]."""

    def __init__(self, folder, parts):
        super().__init__(folder)
        self._parts = parts

    def columns(self, name, only=None):
        table = super().columns(name)
        return table | self._parts if name == "site" else table


class WithoutParts(Run):
    """A run as version 1 wrote it."""

    def columns(self, name, only=None):
        table = super().columns(name)
        columns = [column(part) for parts in (*PARTS.values(), HEAT, ["battery"]) for part in parts]
        return {key: values for key, values in table.items() if key not in columns}


def column(part):
    return f"{part}_w" if part in HEAT else f"{part}_power_w"


def rows_every(every_h, end_h, rng):
    """Rows of two sites, the second with a last row that comes early."""
    times = [*np.arange(0, end_h, every_h).tolist(), end_h]
    return [
        {
            "at_h": at,
            "site": site,
            "it_power_w": float(rng.uniform(50, 90)) if at else 0.0,
            "cooling_power_w": float(rng.uniform(5, 9)) if at else 0.0,
            "loss_power_w": float(rng.uniform(1, 3)) if at else 0.0,
            "site_power_w": float(rng.uniform(60, 99)) if at else 0.0,
            "water_l": float(rng.uniform(0, 1)) if at else 0.0,
        }
        for at in times
        for site in (0, 1)
        if site == 0 or at < end_h
    ]


def test_energy_of_every_part_by_site(tmp_path):
    rows = [{"at_h": at, "site": site} for at in (1, 3) for site in (0, 1)]
    folder = write_run(tmp_path / "run", end_h=3, sites=SITES, site_rows=rows).folder
    parts = [part for of in (*PARTS.values(), HEAT, ["battery"]) for part in of]
    watts = {column(part): np.array([1.0, 2, 3, 4]) * (i + 1) for i, part in enumerate(parts)}
    found = energy(WithParts(folder, watts))
    for i, part in enumerate(parts):
        of_sites = [getattr(flows, part) for flows in found.sites.values()]
        assert of_sites == [(i + 1) * 3600 * (1 + 2 * 3), (i + 1) * 3600 * (2 + 2 * 4)]
        assert getattr(found.total, part) == sum(of_sites)
    first = found.sites["site-0"]
    into, other, dry, chilled = (getattr(first, part) for part in HEAT)
    assert first.stored_heat == into + other - dry - chilled


def test_what_is_not_recorded_is_not_known(tmp_path):
    rows = rows_every(1, 5, np.random.default_rng(1))
    run = WithoutParts(write_run(tmp_path / "run", end_h=5, sites=SITES, site_rows=rows).folder)
    total = energy(run).total
    assert total.site > total.it > 0
    assert {name for name in FLOWS if getattr(total, name) is None} == set(FLOWS) - {
        *("site", "it", "cooling", "loss")
    }
    assert total.stored_heat is None


def test_a_part_that_one_site_lacks_is_not_known_in_sum(tmp_path):
    rows = [{"at_h": at, "site": site} for at in (0, 1) for site in (0, 1)]
    folder = write_run(tmp_path / "run", end_h=1, sites=SITES, site_rows=rows).folder
    watts = {"gpu_power_w": np.array([math.nan, 0.0, 5.0, math.nan])}
    found = energy(WithParts(folder, watts))
    assert found.sites["site-0"].gpu == 5 * 3600
    assert found.sites["site-1"].gpu is None
    assert found.total.gpu is None


@pytest.mark.parametrize("every_h", [1 / 12, 0.7, 1, 5, 40])
def test_hours_and_days_sum_to_the_summary(tmp_path, every_h):
    rows = rows_every(every_h, 52.6, np.random.default_rng(7))
    run = write_run(tmp_path / "run", end_h=52.6, sites=SITES, site_rows=rows)
    metrics = {name: metric.value for name, metric in summarise(run).metrics.items()}
    hours, days, total = hourly(run), daily(run), energy(run).total
    assert total.site == pytest.approx(metrics["energy_j"], rel=1e-12)
    length_s = np.diff(hours["t_ns"], prepend=0) * 1e-9
    assert len(length_s) == 53
    assert length_s[:-1] == pytest.approx(3600)
    assert length_s[-1] == pytest.approx(0.6 * 3600)
    assert hours["site_w"] @ length_s == pytest.approx(metrics["energy_j"], rel=1e-12)
    it_j = hours["it_w"] * length_s
    assert it_j.sum() == pytest.approx(total.it, rel=1e-12)
    assert hours["pue"] @ it_j / it_j.sum() == pytest.approx(metrics["pue"], rel=1e-12)
    assert hours["wue"] @ it_j / it_j.sum() == pytest.approx(metrics["wue_l_per_kwh"], rel=1e-12)
    assert (days["t_ns"] / 3.6e12).tolist() == pytest.approx([24, 48, 52.6])
    assert days["cost_usd"].sum() == pytest.approx(metrics["cost_usd"], rel=1e-12)
    assert days["co2_g"].sum() == pytest.approx(metrics["co2_g"], rel=1e-12)


def test_the_hours_of_a_day_with_a_failure(tmp_path):
    hours = hourly(day_with_a_failure(tmp_path))
    assert hours["it_w"].tolist() == pytest.approx([20e3] * 12 + [10e3] * 12)
    assert hours["pue"].tolist() == pytest.approx([1.2] * 24)
    assert hours["wue"].tolist() == pytest.approx([60 / 240] * 12 + [30 / 120] * 12)


def test_a_price_that_one_site_lacks_leaves_the_cost_of_its_days_unknown(tmp_path):
    rows = [
        {"at_h": at, "site": site, "site_power_w": 0.0 if site == at == 24 else power}
        for at, power in ((24, 1000.0), (48, 2000.0))
        for site in (0, 1)
    ]
    rows[1]["site_power_w"] = 0.0
    sites = [Site(8, price=0.5), Site(8)]
    days = daily(write_run(tmp_path / "run", end_h=48, sites=sites, site_rows=rows))
    assert days["cost_usd"][0] == pytest.approx(24 * 0.5)
    assert np.isnan(days["cost_usd"][1])
    assert np.isnan(days["co2_g"]).all()


def test_no_row_no_energy(tmp_path):
    run = write_run(tmp_path / "run", end_h=3)
    assert energy(run).total.site == 0
    for table in (hourly(run), daily(run)):
        assert all(values.size == 0 for values in table.values())


def test_without_power_there_is_no_pue(tmp_path):
    run = write_run(tmp_path / "run", end_h=1, site_rows=[{"at_h": 1}])
    assert np.isnan(hourly(run)["pue"]).all()
