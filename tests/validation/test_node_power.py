"""The power of the catalogue's H100 nodes against nodes that were measured.

Immersed node: MLPerf Training v4.0, Sustainable Metal Cloud, 2 s samples of AC power, cut to the
runs. Fitted there: the idle host and the two activities, so those three errors show only that the
fit was carried over; the ceiling is not fitted. Air-cooled node: published means of the MLPerf
v4.1 Dell submission and of Latif et al.; fitted: its fans; the ceiling is not.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from dcsim import catalog
from dcsim.physics.gpu import GpuLaw, evaluate_slice
from tests.validation.published import data

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.validate

F64 = NDArray[np.float64]

GPU = catalog.sheet("gpu", "h100-sxm")
IMMERSED = catalog.sheet("node", "hgx-h100-immersion")
AIR = catalog.sheet("node", "hgx-h100-air")
LIQUID = catalog.sheet("node", "hgx-h100-liquid")
IMMERSED_C = 55.0  # assumed, no temperature was published
TABLE = "training_v4.0_smc_ac_h100_{}.parquet"
DELL_BUSY_W = 7968.0  # MLPerf v4.1, 8xXE9680x8H100, llama2_70b_lora, samples above 75% of p90
DELL_FLOOR_W = 2502.0
BURN_W = 8480.0  # Latif et al., IEEE Access 13:61740, gpu_burn on an air-cooled node


def gpu_w(activity: float, temp_c: float, cap_w: float = GPU["tdp_w"]) -> float:
    """Mean power of a median GPU [W]: the cap acts on the dense phase, activity 1."""
    leak = GPU["leak_w"] * math.exp((temp_c - 60.0) / GPU["leak_efold_k"])
    held = GPU["static_w"] + leak
    return held + activity * min(GPU["dynamic_w"], cap_w - held)


def node_w(node: catalog.Sheet, gpu_power_w: float, is_busy: bool = True) -> float:
    """AC power of a node [W] around eight equal GPUs."""
    host = node["host_busy_w"] + node["fan_nominal_w"]
    if not is_busy:
        host = node["host_idle_w"] + node["fan_idle_w"]
    rest_w = host + node["nvswitch_w"] + node["nics_count"] * node["nic_w"]
    output_w = node["gpus_count"] * gpu_power_w + rest_w
    loads, efficiencies = node.list("psu_load_frac"), node.list("psu_efficiency_frac")
    return output_w / float(np.interp(output_w / node["psu_rated_w"], loads, efficiencies))


def settled_w(node: catalog.Sheet, k_per_w: float, inlet_c: float, activity: float) -> float:
    """AC power of a node [W] once its GPUs have settled above the inlet."""
    temp_c = 60.0
    for _ in range(50):
        k_total = k_per_w + GPU["r_package_plate_k_per_w"]
        temp_c = inlet_c + k_total * gpu_w(activity, temp_c)
    return node_w(node, gpu_w(activity, temp_c))


@pytest.fixture(scope="module")
def measured() -> "Mapping[str, Any]":
    """Samples of power [W], and for each its benchmark, system and whether it lies in its run."""
    samples = pq.read_table(data("mlperf_power", TABLE.format("power"))).to_pydict()
    runs = pq.read_table(data("mlperf_power", TABLE.format("runs"))).to_pydict()
    windows = zip(runs["run"], runs["run_start_ms"], runs["run_stop_ms"], strict=True)
    window = {run: (start, stop) for run, start, stop in windows}
    bounds = np.array([window[run] for run in samples["run"]])
    time_ms = np.array(samples["time_ms"])
    return {
        "power_w": np.array(samples["power_w"]),
        "system": np.array([system.split("x")[0] for system in samples["system"]]),
        "benchmark": np.array(samples["benchmark"]),
        "in_run": (bounds[:, 0] <= time_ms) & (time_ms <= bounds[:, 1]),
    }


def in_runs(measured: "Mapping[str, Any]", benchmark: str, nodes: str = "64") -> F64:
    """Samples of one benchmark on so many nodes, within its runs."""
    of_nodes = (measured["system"] == nodes) & (measured["benchmark"] == benchmark)
    picked: F64 = measured["power_w"][of_nodes & measured["in_run"]]
    return picked


@pytest.mark.parametrize(
    ("workload", "published_w", "activity"),
    [
        ("gpt3", 6850.0, GPU["activity_pretrain_frac"]),
        ("llama2_70b_lora", 5100.0, GPU["activity_finetune_frac"]),
    ],
)
def test_means_on_64_nodes(
    measured: "Mapping[str, Any]", workload: str, published_w: float, activity: float
) -> None:
    mean_w = in_runs(measured, workload).mean()
    assert mean_w == pytest.approx(published_w, rel=0.005)
    assert node_w(IMMERSED, gpu_w(activity, IMMERSED_C)) == pytest.approx(mean_w, rel=0.002)


def test_idle(measured: "Mapping[str, Any]") -> None:
    outside = measured["power_w"][~measured["in_run"]]
    idle_w = np.median(outside[(outside > 1500) & (outside < 2400)])
    assert 2100 < idle_w < 2300
    assert node_w(IMMERSED, GPU["idle_w"], is_busy=False) == pytest.approx(idle_w, rel=0.005)


def test_ceiling_is_the_largest_sample(measured: "Mapping[str, Any]") -> None:
    ceiling_w = node_w(IMMERSED, gpu_w(1.0, IMMERSED_C))
    assert ceiling_w == pytest.approx(in_runs(measured, "gpt3").max(), rel=0.02)
    busiest_w = np.median(in_runs(measured, "unet3d", nodes="1"))
    assert ceiling_w == pytest.approx(busiest_w, rel=0.04)
    assert ceiling_w > measured["power_w"].max()


def test_air_cooled_node() -> None:
    k_per_w = AIR["r_air_k_per_w"]
    busy_w = settled_w(AIR, k_per_w, 25.0, GPU["activity_pretrain_frac"])
    assert busy_w == pytest.approx(DELL_BUSY_W, rel=0.005)
    assert 0.12 < AIR["fan_nominal_w"] / busy_w < 0.15
    assert node_w(AIR, GPU["idle_w"], is_busy=False) == pytest.approx(DELL_FLOOR_W, rel=0.01)
    assert settled_w(AIR, k_per_w, 25.0, 1.0) == pytest.approx(BURN_W, rel=0.02)


def test_liquid_cooled_node_lies_between() -> None:
    plate = LIQUID["r_conduction_k_per_w"]
    film = LIQUID["r_film_k_per_w"] * LIQUID["film_flow_m3_per_s"]
    k_per_w = plate + film / LIQUID["flow_per_gpu_m3_per_s"]
    node = settled_w(LIQUID, k_per_w, 30.0, GPU["activity_pretrain_frac"])
    assert 6900 < node < 7400


@pytest.mark.parametrize("activity", ["pretrain", "finetune", "wait"])
@pytest.mark.parametrize("temp_c", [40.0, 55.0, 70.0])
def test_the_kernel_has_this_law(activity: str, temp_c: float) -> None:
    load = GPU[f"activity_{activity}_frac"]
    floor = GPU["min_clock_hz"] / GPU["max_clock_hz"]
    law = GpuLaw(
        static_w=GPU["static_w"],
        cap_w=GPU["tdp_w"],
        limit_c=GPU["throttle_c"],
        package_j_per_k=GPU["package_j_per_k"],
        plate_j_per_k=GPU["plate_j_per_k"],
        package_plate_k_per_w=GPU["r_package_plate_k_per_w"],
        leak_fold_per_k=1.0 / GPU["leak_efold_k"],
        control_s=2.0,
        floor_power_frac=floor ** GPU["clock_exponent_frac"],
        shutdown_c=GPU["shutdown_c"],
    )
    state = {
        "temp": temp_c,
        "plate": temp_c - 6.0,
        "leak": GPU["leak_w"],
        "dynamic": GPU["dynamic_w"],
        "load": load,
        "on": 1.0,
        "ceiling": 1.0,
        "conductance": 1.0,
        **dict.fromkeys(("clock", "power", "heat", "rise"), 0.0),
    }
    columns = {name: np.array([value]) for name, value in state.items()}
    evaluate_slice.py_func(**columns, law=law, inlet_c=30.0, film=40.0)
    assert columns["power"][0] == pytest.approx(gpu_w(load, temp_c), rel=1e-6)
