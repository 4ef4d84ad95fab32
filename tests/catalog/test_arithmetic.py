"""Numbers of different sheets, and of one, that must agree with each other."""

import math

import pytest

from dcsim import catalog

GPUS = pytest.mark.parametrize("name", catalog.names("gpu"))
NODES = pytest.mark.parametrize("name", catalog.names("node"))


@GPUS
def test_peak_is_reached_at_the_rated_clock(name: str) -> None:
    gpu = catalog.sheet("gpu", name)
    peak = gpu["bf16_per_clock_flop"] * gpu["rated_clock_hz"]
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
    gpu = catalog.sheet("gpu", "h100")
    held = gpu["static_w"] + gpu["leak_w"]
    ratio = ((cap_w - held) / (gpu["tdp_w"] - held)) ** (1 / gpu["clock_exponent_frac"])
    assert ratio == pytest.approx(clock, abs=0.006)


def test_spread_of_the_clock_at_the_cap() -> None:
    """Sinha et al., SC22: 8% between whiskers of 5.4 sigma, 1.5%."""
    gpu = catalog.sheet("gpu", "h100")
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
    k_per_w = catalog.sheet("gpu", "h100")["r_package_plate_k_per_w"]
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
    ("name", "billion"),
    [
        ("llama3-8b", 8.03),
        ("llama3-70b", 70.55),
        ("llama3-405b", 405.9),
        ("gpt3-175b", 174.6),
        ("dense-1t", 1000),
    ],
)
def test_parameters_follow_from_the_shape(name: str, billion: float) -> None:
    model = catalog.sheet("model", name)
    hidden, layers = model["hidden"], model["layers"]
    keys = hidden / model["heads"] * model["kv_heads"]
    ffn = (3 if model["swiglu"] else 2) * hidden * model["ffn"]
    embeddings = (1 if model["tied"] else 2) * model["vocab"] * hidden
    params = layers * (2 * hidden**2 + 2 * hidden * keys + ffn) + embeddings
    assert params == pytest.approx(billion * 1e9, rel=0.01)
    assert params == pytest.approx(model["params_count"], rel=0.001)


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
    gpu = catalog.sheet("gpu", "a100")
    leak = gpu["leak_w"] * math.exp((31 - 60) / gpu["leak_efold_k"])
    power = gpu["static_w"] + leak + gpu["activity_wait_frac"] * gpu["dynamic_w"]
    assert power == pytest.approx(86, abs=1)
