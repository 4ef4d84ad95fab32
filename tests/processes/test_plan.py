"""What is fixed of a job beforehand: its step, its seats, and what its place leaves of its NICs."""

from typing import Any

import numpy as np
import pytest

from dcsim import world
from dcsim.processes.plan import plan_jobs
from dcsim.processes.seats import placed_shares, seats_of
from dcsim.workload.contention import WHOLE, ecmp_share
from dcsim.workload.estimate import estimate
from dcsim.workload.layout import Layout, Recompute
from dcsim.workload.machine import capped_clock_frac
from dcsim.workload.rate import uniform_step_s
from tests.processes.stage import HOUR, Stage, job, scenario, site


def planned(nodes: int = 64, network: dict[str, Any] | None = None, **other: Any) -> Any:
    """The plan of a job on all nodes of a site, and the site."""
    switch = {"switch": "qm9700", "link": "400 Gbit/s"} | (network or {})
    lab = site(nodes, network=switch)
    lab["power"] |= {"ups": "ups-1500kw", "feeds": 2}
    asked = scenario([job(nodes, **other)], sites={"lab": lab})
    built = world.build(asked)
    return plan_jobs(asked, built)[0]["lab"], built.sites["lab"]


DENSE = {"model": "llama3-70b", "tp": 8, "pp": 4, "vpp": 5, "gbs": 256, "recompute": "full"}
EXPERTS = {"model": "mixtral-8x7b", "tp": 2, "pp": 2, "ep": 8, "gbs": 512}
LONG = {"model": "llama3-8b", "tp": 4, "cp": 4, "gbs": 64, "precision": "fp8"}
PARALLEL = ("tp", "pp", "cp", "ep")
KEYS = {"vpp": "interleave", "gbs": "batch"}


@pytest.mark.parametrize(
    "asked",
    [
        DENSE,
        EXPERTS,
        LONG,
        EXPERTS | {"schedule": "dualpipe"},
        {"model": "deepseek-v3", "tp": 1, "ep": 256, "gbs": 4096, "sharding": "zero3"},
    ],
)
def test_a_job_has_the_step_of_its_estimate(asked: dict[str, Any]) -> None:
    parallel = {"pp": 1} | {name: asked[name] for name in PARALLEL if name in asked}
    words = {KEYS.get(name, name): v for name, v in asked.items() if name not in PARALLEL}
    plan, lab = planned(parallel=parallel, **words)
    layout, found = estimate(**asked, gpus=512, seq=8192)
    step = plan.step_with(WHOLE)
    slowdown = 1 / capped_clock_frac(lab.sheets["gpu"])
    alike_s = uniform_step_s(step, slowdown) + step.jitter_s
    assert alike_s == pytest.approx(float(found.step_s), rel=1e-6)
    assert plan.layout._replace(recompute=0) == layout._replace(recompute=0)
    assert int(plan.layout.recompute) == int(found.recompute)


@pytest.mark.parametrize("level", ["low", "high"])
@pytest.mark.parametrize("asked", [EXPERTS, DENSE | {"precision": "fp8"}])
def test_ends_of_the_interval_are_those_of_the_estimate(asked: dict[str, Any], level: str) -> None:
    thin = {"oversubscription": 4, "routing": "ecmp"}
    switch = {"switch": "qm9700", "link": "400 Gbit/s"} | thin
    parallel = {"pp": 1} | {name: asked[name] for name in PARALLEL if name in asked}
    words = {KEYS.get(name, name): v for name, v in asked.items() if name not in PARALLEL}
    lab = site(64, network=switch)
    lab["power"] |= {"ups": "ups-1500kw", "feeds": 2}
    jobs = [job(64, parallel=parallel, **words)]
    given = scenario(jobs, sites={"lab": lab}, levels={"step_time": level})
    built = world.build(given)
    step = plan_jobs(given, built)[0]["lab"].placed(built.sites["lab"], np.arange(64)).step
    slowdown = 1 / capped_clock_frac(built.sites["lab"].sheets["gpu"])
    _, found = estimate(**asked, **thin, gpus=512, seq=8192)
    wanted = found.low_s if level == "low" else found.high_s
    assert uniform_step_s(step, slowdown) + step.jitter_s == pytest.approx(float(wanted), rel=1e-5)


def test_a_mixture_runs_and_recovers() -> None:
    parallel = {"tp": 8, "pp": 1, "dp": 4, "ep": 4}
    stage = Stage(scenario([job(4, model="mixtral-8x7b", parallel=parallel)])).run(HOUR)
    life = stage.life()
    step_s = stage.site.job.step_s[0]
    assert life.state == "running"
    assert stage.steps() == pytest.approx(3600 / step_s, rel=0.1)
    assert stage.site.placement[0].seat_node.shape == (1, 4, 1)


def test_the_least_recomputation_that_fits_is_taken() -> None:
    parallel = {"tp": 8, "pp": 1}
    small, _ = planned(parallel=parallel, batch=64)
    large, _ = planned(parallel=parallel, model="llama3-70b", batch=64)
    assert int(small.layout.recompute) == Recompute.NONE
    assert int(large.layout.recompute) == Recompute.SELECTIVE


def shares(network: dict[str, Any], nodes: np.ndarray | None = None) -> Any:
    plan, lab = planned(128, network, parallel={"tp": 8, "pp": 8}, batch=128)
    at = np.arange(128) if nodes is None else nodes
    return placed_shares(plan.layout, at[plan.seats.place], lab), plan, lab


def test_rings_share_what_an_oversubscribed_fabric_has_where_they_are() -> None:
    packed, plan, lab = shares({"oversubscription": 8})
    assert packed == (0.5, 1, 1, 1)  # 8 of the 32 nodes of a unit send on, over 4 cables
    stages = np.arange(128).reshape(4, 32).T.ravel()  # each stage in the next unit
    replicas = np.arange(128).reshape(4, 4, 8).swapaxes(0, 1).ravel()  # each replica
    assert shares({"oversubscription": 8}, stages)[0] == (1, 1, 1, 4 / 32)
    assert shares({"oversubscription": 8}, replicas)[0] == (4 / 32, 1, 1, 1)
    near, *apart = (plan.placed(lab, at).step for at in (np.arange(128), stages, replicas))
    assert plan.step_ns == uniform_step_s(near, 1.0) * 1e9
    assert apart[0].dp_s < near.dp_s < apart[1].dp_s
    assert apart[0].pp_s > near.pp_s == apart[1].pp_s


def test_a_job_in_one_unit_meets_no_oversubscription() -> None:
    plan, lab = planned(32, {"oversubscription": 8}, parallel={"tp": 8, "pp": 4}, batch=128)
    assert plan.placed(lab, np.arange(32)).step is plan.step_with(WHOLE)


def test_a_whole_fabric_takes_nothing_wherever_a_job_is() -> None:
    found, plan, lab = shares({}, np.random.Generator(np.random.Philox(1)).permutation(128))
    assert found == WHOLE
    assert plan.placed(lab, np.arange(128)).step is plan.step_with(WHOLE)


def test_hashed_flows_collide_on_the_cables_of_their_leaf() -> None:
    found, _, _ = shares({"routing": "ecmp"})
    assert found.gradients == pytest.approx(ecmp_share(8, 32))
    assert found.sends == 1


@pytest.mark.parametrize("cp", [1, 2, 16])
def test_seats_are_those_of_the_order_of_ranks(cp: int) -> None:
    layout = Layout(2, 4, 16 // cp, 1, 16, 8192, cp=cp)
    place, first_gpu = seats_of(layout, 8)
    assert place.shape == first_gpu.shape == (16 // cp, cp, 4)
    gpus = np.sort((place * 8 + first_gpu).ravel())
    np.testing.assert_array_equal(gpus, np.arange(0, 128, 2))
    assert place.ravel()[:4].tolist() == [0, 1, 2, 3]  # four replicas share a node
