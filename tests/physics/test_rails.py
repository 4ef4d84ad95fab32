"""A degraded link costs the groups that cross it, and no others."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dcsim import world
from dcsim.physics.gpu import GpuModel
from dcsim.physics.network import NetworkModel
from dcsim.physics.rails import crossed, seat_frac
from dcsim.physics.training import TrainingModel
from dcsim.processes.plan import plan_jobs
from dcsim.scenario import loads
from tests.physics.rig import LIQUID, text_of

JOB = """jobs:
  - train: {{model: {model}, parallel: {parallel}, batch: {batch}, sequence: 8192,
      recovery: warm-spare}}
"""


def placed(parallel: str, batch: int = 128, model: str = "llama3-8b") -> SimpleNamespace:
    """A job on the 16 nodes of a site, at its highest clock."""
    more = JOB.format(model=model, parallel=parallel, batch=batch)
    asked = loads(text_of(LIQUID, more=more))
    built = world.build(asked)
    site = built.sites["lab"]
    nodes = np.arange(len(site.node.up), dtype=np.int32)
    site.placement[0] = plan_jobs(asked, built)[0]["lab"].placed(site, nodes)
    site.job.running[0] = True
    site.node.clock_frac[:] = site.node.mean_clock_frac[:] = 1.0
    return SimpleNamespace(
        site=site, network=NetworkModel(site), training=TrainingModel(site, GpuModel(site))
    )


def step_s(case: SimpleNamespace, links: dict[int, float]) -> float:
    """The step once these links (node x 8 + rail) have these shares."""
    case.site.net.link_frac[:] = 1.0
    for link, share in links.items():
        case.site.net.link_frac[link] = share
    case.site.net.version[0] += 1
    case.network.evaluate(None, 0)
    case.training.evaluate(None, 0)
    return float(case.site.job.step_s[0])


def shares(case: SimpleNamespace, links: dict[int, float]) -> Any:
    step_s(case, links)
    placement = case.site.placement[0]
    seats = seat_frac(
        placement.seat_node, placement.seat_gpu, placement.tp, case.site.node.rails_frac
    )
    found = crossed(seats, placement.seat_node)
    for kernel, python in zip(found, crossed.py_func(seats, placement.seat_node), strict=True):
        np.testing.assert_array_equal(kernel, python)
    return found


def test_a_tensor_group_in_a_node_feels_no_link():
    case = placed("{tp: 8, pp: 1, dp: 1}", batch=4)
    whole = step_s(case, {})
    assert step_s(case, {3: 0.1}) == whole
    assert step_s(case, {100: 0.1}) == whole  # nor that of a node of another job


def test_a_link_slows_the_hops_of_its_stage_and_the_ring_of_its_rail():
    case = placed("{tp: 8, pp: 4, dp: 4}")
    hop, within, ring = shares(case, {8 * 6 + 5: 0.5})  # replica 1, stage 2
    assert ring.tolist() == [1, 1, 0.5, 1]
    assert np.argwhere(hop < 1).tolist() == [[1, 1], [1, 2]]
    assert (within == 1).all()


def test_a_rail_is_felt_by_the_gpus_of_its_number():
    case = placed("{tp: 4, pp: 4, dp: 8}")
    seats = case.site.placement[0]
    _hop, _within, ring = shares(case, {5: 0.5})
    slow = {
        int(stage) for _g, _r, stage in np.argwhere((seats.seat_node == 0) & (seats.seat_gpu == 4))
    }
    assert np.flatnonzero(ring < 1).tolist() == sorted(slow)


def test_stages_in_one_node_hop_without_the_network():
    case = placed("{tp: 2, pp: 4, dp: 1}", batch=4)
    assert np.unique(case.site.placement[0].seat_node).tolist() == [0]
    whole = step_s(case, {})
    assert step_s(case, {0: 0.1}) == whole


def test_those_that_share_experts_or_a_sequence_wait_for_the_slowest_link():
    spread = placed("{tp: 4, pp: 2, dp: 16, ep: 8}", model="mixtral-8x7b", batch=64)
    _hop, within, _ring = shares(spread, {0: 0.5})
    assert within.shape == (2, 2)
    assert np.argwhere(within < 1).tolist() == [[0, 0]]
    near = placed("{tp: 4, pp: 2, cp: 2, dp: 8}")
    _hop, within, _ring = shares(near, {0: 0.5})
    assert (within == 1).all()


def test_a_dead_rail_is_shared_by_all_of_its_node():
    case = placed("{tp: 8, pp: 4, dp: 4}")
    _hop, _within, ring = shares(case, {8 * 6 + 5: 0.0})
    assert ring.tolist() == [1, 1, 7 / 8, 1]


def test_a_slower_link_costs_more_and_its_time_is_of_the_network():
    case = placed("{tp: 8, pp: 4, dp: 4}")
    steps = [step_s(case, {8 * 4: share}) for share in (1.0, 0.9, 0.5, 0.1)]
    assert steps == sorted(steps)
    assert steps[-1] > steps[0]
    network = case.site.job.part_frac[0, 7] * steps[-1]
    assert network == pytest.approx(steps[-1] - steps[0])
    assert step_s(case, {}) == steps[0]


@pytest.mark.parametrize(("ep", "is_shared"), [(8, True), (1, False)])
def test_slow_gpus_of_two_replicas_add_up_where_these_share_experts(ep: int, is_shared: bool):
    case = placed(f"{{tp: 4, pp: 2, dp: 16, ep: {ep}}}", model="mixtral-8x7b", batch=64)
    steps = []
    for slow in ([0], [3], [0, 3]):  # stage 0 of replicas 0 and 1, stage 1 of replicas 2 and 3
        case.site.node.clock_frac[:] = 1.0
        case.site.node.clock_frac[slow] = 0.5
        steps.append(step_s(case, {}))
    assert (max(steps[:2]) < steps[2]) == is_shared
