"""Every kind of node in the catalogue becomes a site, those of four GPUs too, and runs."""

import numpy as np
import pytest

from dcsim import catalog
from dcsim.accounting import summarise
from dcsim.scenario import loads
from dcsim.simulation import run
from dcsim.trace import Run
from dcsim.world.check import check_site
from dcsim.world.machines import node_design_w
from tests.physics.rig import AIR, LIQUID, site_of

ODD = 37
NODES = catalog.names("node")


def parts(name: str) -> dict[str, str]:
    """Parts of a site whose last rack is not full."""
    around = AIR if catalog.sheet("node", name).text("cooling") == "air" else LIQUID
    power = "{feeds: 2, feed: mv-10mw, ups: ups-1500kw, racks_per_ups: 4, pdu: pdu-750kva}"
    own = {"nodes": f"{{type: {name}, count: {ODD}}}", "racks": "{nodes_per_rack: 2}"}
    return around | own | {"power": power[:-1] + ", racks_per_pdu: 2}"}


@pytest.mark.parametrize("name", NODES)
def test_a_site_of_it(name: str) -> None:
    site = site_of(parts(name))
    node = catalog.sheet("node", name)
    width = int(node["gpus_count"])
    assert site.gpus_per_node == width
    assert site.counts["gpu"] == site.counts["link"] == width * ODD
    assert len(site.hazard_x["gpu"]) == width * ODD
    np.testing.assert_array_equal(site.hazard_x["gpu"][::width], site.hazard_x["node"])
    check_site(site)


@pytest.mark.parametrize("name", NODES)
def test_it_draws_about_its_nameplate_at_most(name: str) -> None:
    """GPUs at their cap, host and fans at full load, before the losses of the supplies."""
    site = site_of(parts(name))
    node = site.sheets["node"]
    output_w = node_design_w(site.ask, site.sheets) * min(node.list("psu_efficiency_frac")[2:])
    assert 0.65 < output_w / node["nameplate_w"] < 1.0
    assert output_w < node["psu_rated_w"]


@pytest.mark.parametrize("name", ["gb200-nvl72", "tpu-v5p-host", "hgx-b200-air"])
def test_it_runs(name: str, tmp_path) -> None:
    text = "name: systems\nduration: 1 h\nsites:\n  a:\n"
    around = parts(name) | {"weather": "{climate: dallas}"}
    text += "".join(f"    {key}: {value}\n" for key, value in around.items())
    batch = ODD * int(catalog.sheet("node", name)["gpus_count"]) // 4
    text += (
        "jobs:\n  - train: {name: a, model: llama3-8b, parallel: {tp: 4, pp: 1}, "
        f"batch: {batch}, sequence: 8192, recovery: warm-spare}}\n"
    )
    folder, end = run(loads(text), out=tmp_path / "run")
    assert end == "done"
    metrics = summarise(Run(folder)).metrics
    gpu = catalog.sheet("gpu", catalog.sheet("node", name).text("gpu"))
    assert 0.1 < metrics["mfu_frac"].value < 0.6
    assert 30 < metrics["gpu_temp_c_max"].value < gpu["throttle_c"] + 1
