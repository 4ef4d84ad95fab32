"""The line by which GPUs take their coolant over a step, against integrals in small steps."""

import numpy as np
import pytest

from dcsim.physics.cooling import coolant_line, foreseen_k
from dcsim.world.check import check_site
from tests.physics.rig import LIQUID, PRETRAIN, Rig, site_of


def test_a_line_leaves_a_plate_where_the_coolant_would():
    site = site_of(LIQUID, np.float64)
    units, lag_s = site.unit, 12.0
    units.supply_c[:], units.lag_s[:] = 36.0, lag_s
    units.part_k_per_s[:] = 0.02, -0.05, 0.03
    units.part_per_s[:] = 1 / 90, 1 / 50, 1 / 9
    inlet_c, inlet_k_per_s = np.empty(2), np.empty(2)
    for dt_s in (1.0, 30.0, 300.0):
        coolant_line(units, dt_s, inlet_c, inlet_k_per_s)
        t_s = np.linspace(0.0, dt_s, 20_001)
        moved_k = sum(
            part / rate * (1 - np.exp(-rate * t_s))
            for part, rate in zip(units.part_k_per_s[0], units.part_per_s[0], strict=True)
        )
        line_c = inlet_c[0] + inlet_k_per_s[0] * t_s
        weight = np.exp((t_s - dt_s) / lag_s) / lag_s
        assert line_c[-1] == pytest.approx(36.0 + moved_k[-1], abs=1e-9)
        kept = np.trapezoid(weight * line_c, t_s)
        assert kept == pytest.approx(np.trapezoid(weight * (36.0 + moved_k), t_s), rel=1e-7)


@pytest.mark.parametrize("dt_s", [1e-9, 1e-6, 1e-3, 0.0119, 0.0121, 1.0, 300.0, 3600.0])
def test_the_line_is_sound_over_any_step(dt_s):
    site = site_of(LIQUID, np.float64)
    units, lag_s = site.unit, 12.0
    units.supply_c[:], units.lag_s[:] = 36.0, lag_s
    units.part_k_per_s[:] = 0.02, -0.05, 0.08
    units.part_per_s[:] = 1e-9, 1 / 50, 3.0
    inlet_c, inlet_k_per_s = np.empty(2), np.empty(2)
    coolant_line(units, dt_s, inlet_c, inlet_k_per_s)
    moved_k = foreseen_k(units, 0, dt_s)
    assert inlet_c[0] + inlet_k_per_s[0] * dt_s == pytest.approx(36.0 + moved_k, rel=1e-12)
    # Its slope is a mean of the coolant's, weighted as the plate remembers.
    t_s = dt_s * (1.0 - np.geomspace(1e-9, 1.0, 200_001)[::-1])
    slopes = units.part_k_per_s[0] @ np.exp(-np.outer(units.part_per_s[0], t_s))
    weight = -np.expm1(-t_s / lag_s) * np.exp((t_s - dt_s) / lag_s)
    mean = np.trapezoid(slopes * weight, t_s) / np.trapezoid(weight, t_s)
    assert inlet_k_per_s[0] == pytest.approx(mean, rel=1e-5 if dt_s > 0.012 else 0.02)


@pytest.mark.parametrize("apart_ns", [1, 1_000, 1_000_000])
def test_two_faults_close_to_each_other_leave_all_finite(apart_ns):
    site = site_of(LIQUID)
    rig = Rig(site, load=PRETRAIN)
    rig.at(600.0, "unit.capacity_frac", 0, 0.0)
    rig.at(600.0 + apart_ns * 1e-9, "unit.capacity_frac", 1, 0.5)
    rig.run_to(700)
    check_site(site)
