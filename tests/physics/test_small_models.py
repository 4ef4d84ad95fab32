"""Nodes, fabric, weather and training, each against what it stands for, by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dcsim import catalog, world
from dcsim.engine.island import in_order
from dcsim.physics.gpu import GpuModel
from dcsim.physics.network import NetworkModel
from dcsim.physics.node import NodeModel
from dcsim.physics.plant import PlantModel
from dcsim.physics.rails import whole_delays
from dcsim.physics.site import default_models
from dcsim.physics.training import TrainingModel
from dcsim.physics.weather import WeatherModel
from dcsim.processes.plan import plan_jobs
from dcsim.scenario import loads
from dcsim.workload.rate import PARTS, step_now
from dcsim.world import Placement, Site
from tests.physics.rig import LIQUID, site_of, text_of

NODE = catalog.sheet("node", "hgx-h100-liquid")


# --- nodes


def node_w(gpu_w: float, busy: float, up: bool = True) -> float:
    """What a rack of four such nodes draws for each, by hand."""
    idle_w = NODE["host_idle_w"] + NODE["nvswitch_w"] + 8 * NODE["nic_w"] + NODE["fan_idle_w"]
    more_w = NODE["host_busy_w"] - NODE["host_idle_w"] + NODE["fan_nominal_w"] - NODE["fan_idle_w"]
    out_w = gpu_w + up * (idle_w + busy * more_w)
    curve = NODE.list("psu_load_frac"), NODE.list("psu_efficiency_frac")
    return out_w / float(np.interp(out_w / NODE["psu_rated_w"], *curve))


@pytest.mark.parametrize("gpu_w", [0.0, 547.0, 5000.0, 5600.0, 16_000.0])
@pytest.mark.parametrize("busy", [0.0, 1.0])
def test_the_power_of_a_rack_by_hand(gpu_w, busy):
    site = site_of(LIQUID)
    site.rack.gpu_w[:] = 4 * gpu_w
    site.node.busy_frac[:] = busy
    NodeModel(site).evaluate(None, 0)
    np.testing.assert_allclose(site.rack.power_w, 4 * node_w(gpu_w, busy))
    around_w = np.bincount(site.rack.unit, site.rack.power_w - site.rack.gpu_w)
    np.testing.assert_allclose(site.unit.around_w, around_w)


def test_a_node_that_is_down_draws_nothing_and_an_idle_one_its_floor():
    site = site_of(LIQUID)
    site.node.up[:4] = False
    site.rack.gpu_w[1:] = 4 * 547.0
    NodeModel(site).evaluate(None, 0)
    assert site.rack.power_w[0] == 0
    # Measured floor of such nodes without fans: 2.1 to 2.3 kW.
    assert site.rack.power_w[1] / 4 == pytest.approx(2250, rel=0.05)


def test_racks_count_their_energy():
    site = site_of(LIQUID)
    model = NodeModel(site)
    site.rack.gpu_w[:], site.rack.efficiency_frac[:] = 15e3, 0.9
    site.rack.power_w[:] = 20e3
    for dt_s, gpu_w in ((10.0, 15e3), (2.5, 12e3)):
        site.rack.step_j[:] = gpu_w * dt_s
        model.advance(None, dt_s)
    less_j = (15e3 - 12e3) * 2.5
    assert site.rack.energy_j == pytest.approx(np.full(4, 250e3 - less_j / 0.9))
    assert site.rack.gpu_j == pytest.approx(np.full(4, 15e3 * 12.5 - less_j))


# --- the air


def test_the_air_of_a_step_is_its_end_whatever_the_order_of_the_models():
    site = site_of(LIQUID)
    ordered = in_order(default_models(site)[::-1])
    kinds = [type(model) for model in ordered]
    assert kinds.index(WeatherModel) < kinds.index(PlantModel)


# --- the fabric


def degraded(site: Site, **shares: Any) -> list[tuple[str, int]]:
    """What the model reports once these shares of capacity are written."""
    for column, (rows, share) in shares.items():
        getattr(site.net, column)[rows] = share
    site.net.version[0] += 1
    model = NetworkModel(site)
    model.evaluate(None, 0)
    return [(fact.kind, fact.row) for fact in model.switch(None, 0)]


def test_a_whole_fabric_gives_every_node_all_rails():
    site = site_of(LIQUID)
    assert degraded(site) == []
    assert (site.node.rails_frac == 1).all()


def test_one_dead_rail_costs_an_eighth_and_two_the_node():
    site = site_of(LIQUID)
    assert degraded(site, link_frac=(slice(8, 9), 0.0)) == []
    np.testing.assert_allclose(site.node.rails_frac[:3].T, [[1, 7 / 8, 1]] * 8)
    assert degraded(site, link_frac=(slice(8, 10), 0.0)) == [("rails_lost", 1)]
    assert not site.node.reachable[1]
    assert degraded(site, link_frac=(slice(8, 10), 1.0)) == [("rails_back", 1)]
    assert site.node.reachable.all()


def test_a_dead_leaf_costs_each_of_its_nodes_one_rail():
    site = site_of(LIQUID)
    assert degraded(site, leaf_frac=(3, 0.0)) == []
    below = (site.clos.leaf_of_nic == 3).any(axis=1)
    assert below.any()
    np.testing.assert_allclose(site.node.rails_frac.T, [np.where(below, 7 / 8, 1.0)] * 8)


def test_lost_spines_thin_every_rail():
    site = site_of(LIQUID)
    assert degraded(site, spine_frac=(slice(0, None, 2), 0.0)) == []
    np.testing.assert_allclose(site.node.rails_frac, 0.5, rtol=0.05)


def test_a_job_inside_one_unit_needs_no_spines():
    site = site_of(LIQUID | {"nodes": "{type: hgx-h100-liquid, count: 40}"})
    site.net.spine_frac[:] = 0.0
    site.net.link_frac[8] = 0.5
    model = NetworkModel(site)
    for nodes, lost in ((np.arange(4), range(4, 40)), (np.arange(30, 34), range(40))):
        site.placement[0] = Placement(None, nodes[:, None], nodes[:, None] * 0, 8, nodes)
        model.evaluate(None, 0)
        model.switch(None, 0)
        assert np.flatnonzero(~site.node.reachable).tolist() == list(lost)
        expected = np.where(np.isin(np.arange(40), lost), 0.0, 1.0)[:, None] * np.ones(8)
        expected[1, 0] *= 0.5
        np.testing.assert_allclose(site.node.rails_frac, expected, atol=1e-6)


def test_without_a_new_version_nothing_is_looked_at():
    site = site_of(LIQUID)
    model = NetworkModel(site)
    model.evaluate(None, 0)
    site.net.link_frac[:] = 0.0
    model.evaluate(None, 0)
    assert model.switch(None, 0) == []


# --- the air outside


def test_the_air_follows_both_slopes():
    site = site_of(LIQUID)
    air = site.weather
    air.dry_bulb_c[0], air.wet_bulb_c[0] = 20.0, 15.0
    air.dry_bulb_k_per_s[0], air.wet_bulb_k_per_s[0] = 1 / 3600, -2 / 3600
    model = WeatherModel(site)
    for _ in range(4):
        model.advance(None, 900.0)
    assert (air.dry_bulb_c[0], air.wet_bulb_c[0]) == pytest.approx((21.0, 13.0))


# --- training

JOB = """jobs:
  - train: {model: llama3-8b, parallel: {tp: 8, pp: 2, dp: 8}, batch: 128, sequence: 8192,
      recovery: warm-spare}
"""


@pytest.fixture
def placed() -> SimpleNamespace:
    """A job on all nodes of a site at its highest clock, running."""
    asked = loads(text_of(LIQUID, more=JOB))
    built = world.build(asked)
    site = built.sites["lab"]
    plan = plan_jobs(asked, built)[0]["lab"]
    nodes = np.arange(len(site.node.up), dtype=np.int32)
    site.placement[0] = plan.placed(site, nodes)
    site.job.running[0] = True
    site.node.clock_frac[:] = site.node.mean_clock_frac[:] = 1.0
    gpus = GpuModel(site)
    return SimpleNamespace(site=site, plan=plan, gpus=gpus, model=TrainingModel(site, gpus))


def test_a_job_runs_at_the_step_of_its_slowest_node(placed):
    site, model = placed.site, placed.model
    model.evaluate(None, 0)
    at_best_s = site.job.step_s[0]
    step, seat_node = site.placement[0].step, site.placement[0].seat_node[:, 0]
    whole, slowdown = whole_delays(site.placement[0]), np.ones(seat_node.shape)
    assert at_best_s == pytest.approx(step_now(step, slowdown, *whole))
    site.node.clock_frac[5] = 0.5
    model.evaluate(None, 0)
    slowdown[seat_node == 5] = 2.0
    assert site.job.step_s[0] == pytest.approx(step_now(step, slowdown, *whole))
    assert at_best_s < site.job.step_s[0] < 2 * at_best_s
    assert site.job.part_frac[0].sum() == pytest.approx(1.0)
    assert site.job.part_frac[0, PARTS.index("slow_gpus")] > 0.1


def test_a_thin_fabric_slows_by_its_own_part(placed):
    site, model = placed.site, placed.model
    site.node.rails_frac[3] = 0.25
    model.evaluate(None, 0)
    assert site.job.part_frac[0, PARTS.index("degraded_network")] > 0
    assert site.job.part_frac[0].sum() == pytest.approx(1.0)


def test_throttling_is_told_apart_from_the_power_cap(placed):
    site, model = placed.site, placed.model
    site.gpu.load_frac[:] = 1.0
    site.gpu.temp_c[:], site.gpu.plate_c[:] = 87.0, 82.0
    placed.gpus.evaluate(None, 0)
    model.evaluate(None, 0)
    shares = dict(zip((*PARTS, "checkpoint_stall"), site.job.part_frac[0], strict=True))
    assert shares["throttling"] > 0.05
    assert shares["power_cap"] > 0.01
    assert sum(shares.values()) == pytest.approx(1.0)


def test_steps_and_time_by_part_add_up(placed):
    site, model = placed.site, placed.model
    site.job.stall_s[0] = 0.2
    model.evaluate(None, 0)
    for dt_s in (100.0, 50.0):
        model.advance(None, dt_s)
    assert site.job.steps_count[0] == pytest.approx(150.0 / site.job.step_s[0])
    assert site.job.spent_s[0].sum() == pytest.approx(150.0)
    stalled_s = site.job.spent_s[0, -1]
    assert stalled_s == pytest.approx(150.0 * 0.2 / site.job.step_s[0])
    site.job.running[0] = False
    model.evaluate(None, 0)
    model.advance(None, 100.0)
    assert site.job.spent_s[0].sum() == pytest.approx(150.0)
    assert site.job.step_per_s[0] == 0
