"""The step at the ends of its interval: by the factor of the estimate, in all of its parts."""

import numpy as np
import pytest

from dcsim import catalog
from dcsim.workload.estimate import estimate
from dcsim.workload.fabric import network_of
from dcsim.workload.levels import TUNED, scaled, step_factor
from dcsim.workload.machine import law_of, machine_of, software_of
from dcsim.workload.model import shape_of
from dcsim.workload.rate import decompose, gradients_s, step_now, uniform_step_s, waits_s
from dcsim.workload.step import step_time

GPU = catalog.sheet("gpu", "h100-sxm")
NODE = catalog.sheet("node", "hgx-h100-air")
LAW = law_of(catalog.sheet("step", "law"))
MACHINE = machine_of(GPU, NODE, "bf16", LAW, network_of(NODE))
SOFTWARE = software_of(catalog.sheet("software", TUNED), GPU, LAW)
CASES = [
    {"model": "llama3-8b", "gpus": 64, "tp": 2, "gbs": 512, "seq": 8192},
    {"model": "llama3-70b", "gpus": 512, "tp": 8, "pp": 4, "gbs": 512, "seq": 8192},
    {
        "model": "llama3-405b",
        "gpus": 32_768,
        "tp": 8,
        "pp": 16,
        "vpp": 8,
        "gbs": 4096,
        "seq": 8192,
    },
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["model"])
def test_the_ends_are_those_of_the_estimate(case):
    layout, found = estimate(**case, recompute="selective")
    shape = shape_of(catalog.sheet("model", case["model"]))
    typical = step_time(shape, layout, MACHINE, SOFTWARE, LAW)
    low, same, high = (
        scaled(
            typical,
            step_factor(level, shape, layout, MACHINE, SOFTWARE, LAW, GPU, "bf16"),
        )
        for level in catalog.LEVELS
    )
    assert same == typical
    for step, end_s in ((low, found.low_s), (high, found.high_s)):
        factor = float(end_s / found.step_s)
        for slowdown in (1.0, 1.3):
            wanted = factor * uniform_step_s(typical, slowdown)
            assert uniform_step_s(step, slowdown) == pytest.approx(wanted, rel=1e-12)
        assert step.ideal_s == typical.ideal_s
    assert found.low_s < found.step_s < found.high_s


def test_a_longer_step_is_longer_whatever_the_clocks_and_links_are():
    shape = shape_of(catalog.sheet("model", "llama3-70b"))
    layout, _ = estimate(**CASES[1])
    step = step_time(shape, layout, MACHINE, SOFTWARE, LAW)
    rng = np.random.default_rng(1)
    for factor in (0.9, 1.5):
        slowdown = 1 + rng.random((int(layout.dp), int(layout.pp)))
        hop, ring = rng.uniform(0.3, 1.0, slowdown.shape), rng.uniform(0.3, 1.0, step.stages)
        longer = scaled(step, factor)

        def step_s(t, slowdown=slowdown, hop=hop, ring=ring):
            whole = np.ones(slowdown.shape)
            return step_now(t, slowdown, waits_s(t, hop, whole), gradients_s(t, ring))

        now_s = step_s(longer)
        assert now_s == pytest.approx(factor * step_s(step), 1e-12)
        parts = decompose(longer, 1.2, 0.8 * now_s, 0.9 * now_s, now_s)
        assert parts.sum() == pytest.approx(now_s, rel=1e-12)
        assert parts.min() >= 0
        assert parts[0] == pytest.approx(step.ideal_s)
