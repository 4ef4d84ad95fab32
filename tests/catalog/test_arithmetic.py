"""Numbers of different sheets, and of one, that must agree with each other."""

import math

import pytest

from dcsim import catalog
from dcsim.workload.hf_config import SHAPE
from tests.reference.transformers import parameters

PRECISIONS = ("bf16", "fp16", "fp8", "nvfp4")
REFERENCES = {
    "a100-40-sxm": (8, 8, 8 * 200),
    "a100-80-sxm": (8, 8, 8 * 200),
    "h100-sxm": (8, 8, 8 * 400),
    "h200-sxm": (8, 8, 8 * 400),
    "h800-sxm": (8, 8, 8 * 400),
    "b200-sxm": (8, 8, 8 * 400),
    "gb200": (4, 72, 4 * 400),
    "b300-sxm": (8, 8, 8 * 800),
    "gb300": (4, 72, 4 * 800),
    "mi300x": (8, 8, 8 * 400),
    "tpu-v5p": (4, 6144, 4 * 50),
}
"""By GPU, of its reference system: GPUs of a node and of a domain, Gbit/s of a node's NICs."""
GPUS = pytest.mark.parametrize("name", catalog.names("gpu"))
NODES = pytest.mark.parametrize("name", catalog.names("node"))


def _gpu(name: str) -> catalog.Sheet:
    return catalog.sheet("gpu", name)


@GPUS
def test_peak_is_reached_at_the_rated_clock(name: str) -> None:
    gpu = catalog.sheet("gpu", name)
    peak = gpu["sm_count"] * gpu["bf16_per_sm_clock_flop"] * gpu["rated_clock_hz"]
    assert peak == pytest.approx(gpu["peak_bf16_flop_per_s"], rel=0.001)
    assert gpu["min_clock_hz"] < gpu["rated_clock_hz"] <= gpu["max_clock_hz"]


@GPUS
def test_rated_power_holds_the_rated_clock_at_60_degc(name: str) -> None:
    gpu = catalog.sheet("gpu", name)
    clock = gpu["rated_clock_hz"] / gpu["max_clock_hz"]
    dynamic = gpu["dynamic_w"] * clock ** gpu["clock_exponent_frac"]
    assert gpu["static_w"] + gpu["leak_w"] + dynamic == pytest.approx(gpu["tdp_w"], rel=0.002)
    assert gpu["leak_w"] == pytest.approx(0.12 * gpu["tdp_w"], rel=0.01)


@GPUS
def test_peaks_rise_as_precision_falls(name: str) -> None:
    gpu = catalog.sheet("gpu", name)
    known = [p for p in PRECISIONS if f"peak_{p}_flop_per_s" in gpu]
    peaks = {p: gpu[f"peak_{p}_flop_per_s"] for p in known}
    assert peaks.get("fp16", peaks["bf16"]) == peaks["bf16"]
    doubled = 1.0 if name == "tpu-v5p" else 2.0
    if "fp8" in peaks:
        assert peaks["fp8"] == pytest.approx(doubled * peaks["bf16"], rel=0.001)
    if "nvfp4" in peaks:
        assert 2.0 <= peaks["nvfp4"] / peaks["fp8"] <= 3.0
    ceilings = [gpu[f"gemm_{p}_frac"] for p in known]
    assert 0.4 < min(ceilings) <= max(ceilings) < 0.95
    rates = [peaks[p] * gpu[f"gemm_{p}_frac"] for p in known]
    assert rates == sorted(rates)
    assert {key for key in gpu if key.startswith("gemm_")} == {f"gemm_{p}_frac" for p in known}


def test_only_blackwell_has_nvfp4() -> None:
    having = {name for name in catalog.names("gpu") if "peak_nvfp4_flop_per_s" in _gpu(name)}
    assert having == {"b200-sxm", "gb200", "b300-sxm", "gb300"}


@pytest.mark.parametrize(
    ("name", "precision", "tflops"),
    [
        ("a100-80-sxm", "bf16", 271.2),
        ("h100-sxm", "bf16", 794.5),
        ("h100-sxm", "fp8", 1402.6),
        ("h200-sxm", "fp8", 1453.4),
        ("b200-sxm", "bf16", 1745.0),
        ("b200-sxm", "fp8", 3432.5),
        ("b300-sxm", "bf16", 1769.0),
        ("gb200", "bf16", 1822.0),
        ("gb200", "fp8", 3615.6),
        ("mi300x", "bf16", 668.4),
    ],
)
def test_matmul_ceilings_are_the_measured_ones(name: str, precision: str, tflops: float) -> None:
    gpu = _gpu(name)
    rate = gpu[f"peak_{precision}_flop_per_s"] * gpu[f"gemm_{precision}_frac"]
    assert rate == pytest.approx(tflops * 1e12, rel=0.001)
    assert gpu.number(f"gemm_{precision}_frac").basis == "measured"


@GPUS
def test_reference_system(name: str) -> None:
    gpus, domain, nics_gbit = REFERENCES[name]
    gpu = _gpu(name)
    node = catalog.sheet("node", gpu.text("reference_node"))
    assert node.text("gpu") == name
    assert (node["gpus_count"], node["nvlink_domain_count"]) == (gpus, domain)
    assert node["nics_count"] * node["nic_byte_per_s"] == pytest.approx(nics_gbit * 1e9 / 8)
    switch = catalog.sheet("switch", gpu.text("reference_switch"))
    assert switch["port_byte_per_s"] >= node["nic_byte_per_s"]


def test_names_are_those_that_users_know() -> None:
    assert catalog.names("gpu") == sorted(REFERENCES)


@GPUS
def test_order_of_limits(name: str) -> None:
    gpu = catalog.sheet("gpu", name)
    assert gpu["throttle_c"] < gpu["slowdown_c"] < gpu["shutdown_c"]
    assert gpu["idle_w"] < gpu["cap_min_w"] < gpu["tdp_w"] <= gpu["cap_max_w"]
    waiting, tuning, training = (
        gpu[f"activity_{what}_frac"] for what in ("wait", "finetune", "pretrain")
    )
    assert 0 < waiting < tuning < training < 1


@pytest.mark.parametrize(("cap_w", "clock"), [(600, 0.92), (500, 0.83), (400, 0.73)])
def test_clock_of_an_h100_under_a_cap(cap_w: float, clock: float) -> None:
    gpu = catalog.sheet("gpu", "h100-sxm")
    held = gpu["static_w"] + gpu["leak_w"]
    ratio = ((cap_w - held) / (gpu["tdp_w"] - held)) ** (1 / gpu["clock_exponent_frac"])
    assert ratio == pytest.approx(clock, abs=0.006)


def test_spread_of_the_clock_at_the_cap() -> None:
    """Sinha et al., SC22: 8% between whiskers of 5.4 sigma, 1.5%."""
    gpu = catalog.sheet("gpu", "h100-sxm")
    leak = gpu["leak_w"] * math.exp((52 - 60) / gpu["leak_efold_k"])
    room = gpu["tdp_w"] - gpu["static_w"] - leak
    spread = math.hypot(leak * gpu["sigma_leak_frac"] / room, gpu["sigma_dynamic_frac"])
    assert spread / gpu["clock_exponent_frac"] == pytest.approx(0.015, abs=0.002)


@NODES
def test_a_node_has_what_its_cooling_needs(name: str) -> None:
    node = catalog.sheet("node", name)
    catalog.sheet("gpu", node.text("gpu"))
    is_air = node.text("cooling") == "air"
    assert ("r_air_k_per_w" in node) == is_air
    assert ("r_conduction_k_per_w" in node) != is_air
    assert (node["liquid_capture_frac"] == 0) == is_air
    assert len(node.list("psu_load_frac")) == len(node.list("psu_efficiency_frac"))
    assert node["host_idle_w"] <= node["host_busy_w"]
    assert node["fan_idle_w"] <= node["fan_nominal_w"]


@pytest.mark.parametrize(
    ("name", "inlet_c", "low_c", "high_c"),
    [("hgx-h100-liquid", 30, 45, 60), ("hgx-h100-air", 25, 54, 72)],
)
def test_h100_sits_where_it_was_seen(
    name: str, inlet_c: float, low_c: float, high_c: float
) -> None:
    node = catalog.sheet("node", name)
    k_per_w = catalog.sheet("gpu", "h100-sxm")["r_package_plate_k_per_w"]
    if "r_air_k_per_w" in node:
        k_per_w += node["r_air_k_per_w"]
    else:
        film = node["r_film_k_per_w"] * node["film_flow_m3_per_s"] / node["flow_per_gpu_m3_per_s"]
        k_per_w += node["r_conduction_k_per_w"] + film
    for power_w in (640, 690):
        assert low_c < inlet_c + k_per_w * power_w < high_c


@pytest.mark.parametrize("litre_per_min", [0.4, 1.0, 2.0, 2.4])
def test_cold_plate_as_measured(litre_per_min: float) -> None:
    node = catalog.sheet("node", "hgx-h100-liquid")
    flow = litre_per_min * 1e-3 / 60
    k_per_w = (
        node["r_conduction_k_per_w"] + node["r_film_k_per_w"] * node["film_flow_m3_per_s"] / flow
    )
    measured = {0.4: 0.0389, 1.0: 0.0245, 2.0: 0.0204, 2.4: 0.0197}
    assert k_per_w == pytest.approx(measured[litre_per_min], rel=0.05)


@pytest.mark.parametrize("name", catalog.names("cooling_unit"))
def test_cooling_unit_meets_its_rating(name: str) -> None:
    """At its approach the unit moves its rating: heat = effectiveness x least flow x difference."""
    unit = catalog.sheet("cooling_unit", name)
    coolant = unit["coolant_kg_per_s"] * unit["coolant_cp_j_per_kg_k"]
    facility = unit["facility_kg_per_s"] * unit["facility_cp_j_per_kg_k"]
    across = unit["rated_w"] / coolant + unit["approach_k"]
    moved = unit["effectiveness_frac"] * min(coolant, facility) * across
    assert moved == pytest.approx(unit["rated_w"], rel=0.01)


def test_dry_cooler_meets_its_rating() -> None:
    cooler = catalog.sheet("dry_cooler", "bac-tdfs1238n")
    cooled_k = cooler["design_water_in_c"] - cooler["design_water_out_c"]
    heat = cooler["water_kg_per_s"] * 4180 * cooled_k
    assert heat == pytest.approx(cooler["rated_w"], rel=0.001)
    assert cooler["fan_w"] / cooler["rated_w"] == pytest.approx(0.04, abs=0.001)


@pytest.mark.parametrize(
    ("leaving_c", "entering_c", "cop"), [(18, 24, 8.5), (22, 28, 8.5), (26, 28, 9.4), (18, 32, 7.1)]
)
def test_chiller_line_gives_the_water_cooled_examples(
    leaving_c: float, entering_c: float, cop: float
) -> None:
    chiller = catalog.sheet("chiller", "air-cooled-trim")
    lift = max(
        entering_c + 7 - (leaving_c - chiller["evaporator_k"]),
        chiller["lift_min_k"],
    )
    power = chiller["fixed_power_frac"]
    power += chiller["lift_power_frac"] * lift / chiller["lift_reference_k"]
    assert 1 / power == pytest.approx(cop, abs=0.06)


@pytest.mark.parametrize("name", catalog.names("ups"))
def test_ups_efficiency(name: str) -> None:
    ups = catalog.sheet("ups", name)
    for load, efficiency in ((0.1, 0.918), (0.25, 0.959), (0.5, 0.971), (1.0, 0.973)):
        loss = ups["loss_fixed_frac"] + ups["loss_linear_frac"] * load
        loss += ups["loss_square_frac"] * load**2
        assert load / (load + loss) == pytest.approx(efficiency, abs=0.001)


@pytest.mark.parametrize("name", catalog.names("feed"))
def test_feed_is_99_5_percent_efficient_at_half_load(name: str) -> None:
    feed = catalog.sheet("feed", name)
    loss = feed["no_load_loss_frac"] + feed["load_loss_frac"] * 0.25
    assert 0.5 / (0.5 + loss) == pytest.approx(0.995, abs=0.0002)


@pytest.mark.parametrize(
    ("name", "billion", "active_billion"),
    [
        ("llama3-8b", 8.03, 8.03),
        ("llama3-70b", 70.55, 70.55),
        ("llama3-405b", 405.9, 405.9),
        ("gpt3-175b", 174.6, 174.6),
        ("dense-1t", 1000, 1000),
        ("mixtral-8x7b", 46.7, 12.9),
        ("deepseek-v3", 671, 37),
    ],
)
def test_parameters_follow_from_the_shape(name: str, billion: float, active_billion: float) -> None:
    model = catalog.sheet("model", name)
    shape = {key: int(model[key]) if key in model else 0 for key in SHAPE}
    shape["gated"] = int(model["swiglu"])
    shape["head_dim"] = shape["head_dim"] or shape["hidden"] // shape["heads"]
    total, met = parameters(shape)
    assert total == pytest.approx(billion * 1e9, rel=0.01)
    assert total == pytest.approx(model["params_count"], rel=0.001)
    assert met == pytest.approx(active_billion * 1e9, rel=0.02)
    assert "active_params_count" not in model or met < total


@pytest.mark.parametrize("name", catalog.names("climate"))
def test_climates_are_plausible(name: str) -> None:
    climate = catalog.sheet("climate", name)
    dry, wet = climate.list("dry_bulb_c"), climate.list("wet_bulb_c")
    assert [len(month) for month in dry] == [len(month) for month in wet] == [24] * 12
    for dry_month, wet_month in zip(dry, wet, strict=True):
        assert all(w <= d for d, w in zip(dry_month, wet_month, strict=True))
        assert 4 <= dry_month.index(min(dry_month)) + 1 <= 9
        assert 14 <= dry_month.index(max(dry_month)) + 1 <= 18
    hot = climate.list("hot_day_dry_bulb_c")
    assert max(hot) == climate["design_dry_bulb_c"]
    assert max(max(month) for month in dry) < max(hot) < climate["annual_max_dry_bulb_c"]
    assert max(hot) < climate["extreme_dry_bulb_c"]
    assert climate.text("attribution")


def test_a100_that_spins_in_a_collective() -> None:
    """Seven of a hung job drew 84 to 87 W at 29 to 32 degC (HuggingFace m4, experiment 3.1)."""
    gpu = catalog.sheet("gpu", "a100-80-sxm")
    leak = gpu["leak_w"] * math.exp((31 - 60) / gpu["leak_efold_k"])
    power = gpu["static_w"] + leak + gpu["activity_wait_frac"] * gpu["dynamic_w"]
    assert power == pytest.approx(86, abs=1)
