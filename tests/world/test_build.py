"""The world that a scenario becomes: counts, wiring, spread, what does not fit, invariants."""

from collections.abc import Callable

import numpy as np
import pytest

from dcsim import world
from dcsim.errors import InvariantError, ScenarioError
from dcsim.physics.plant import loop_law
from dcsim.scenario import loads
from dcsim.world import Placement, Site, sources_of, state_columns
from dcsim.world.check import check_site
from dcsim.world.columns import aligned
from dcsim.world.tables import columns_of
from tests.physics.rig import AIR, LIQUID, Rig, site_of, text_of

LIQUID_16K = LIQUID | {
    "nodes": "{type: hgx-h100-liquid, count: 2048}",
    "racks": "{nodes_per_rack: 8}",
    "network": "{switch: sn5600}",
    "power": "{feeds: 2, feed: mv-40mw, ups: ups-1500kw, racks_per_ups: 16, pdu: pdu-750kva, "
    "racks_per_pdu: 8}",
    "cooling": "{unit: xdu1350, racks_per_unit: 16, supply: 30 degC}",
}
AIR_16K = LIQUID_16K | {
    "nodes": "{type: hgx-h100-air, count: 2048}",
    "racks": "{nodes_per_rack: 2}",
    "power": "{feeds: 3, feed: mv-10mw, ups: ups-500kw, racks_per_ups: 24, pdu: pdu-225kva, "
    "racks_per_pdu: 8}",
    "cooling": "{unit: crah-150, racks_per_unit: 8, supply: 20 degC}",
}


@pytest.fixture(scope="module")
def liquid() -> Site:
    """16,384 liquid-cooled GPUs."""
    return site_of(LIQUID_16K)


@pytest.fixture(scope="module")
def air() -> Site:
    """16,384 air-cooled GPUs."""
    return site_of(AIR_16K)


# --- counts and wiring


def test_counts_of_a_liquid_site(liquid):
    counts = liquid.counts
    assert counts["gpu"] == counts["link"] == 16_384
    assert (counts["node"], counts["rack"], counts["cdu"]) == (2048, 256, 16)
    assert (counts["pdu"], counts["ups"], counts["feed"], counts["pump"]) == (32, 16, 2, 4)
    # 200 W a node beside GPUs of 700 W: 2,048 of 8.0 kW for chillers of 1.5 MW.
    assert counts["chiller"] == pytest.approx(2048 * 8e3 / 1.5e6, abs=1)
    assert counts["cooler"] == 4
    assert "crah" not in counts


@pytest.mark.parametrize("nodes", [8, 16, 2048])
def test_chillers_and_dry_coolers_are_as_large_as_their_site(nodes):
    site = site_of(LIQUID_16K | {"nodes": f"{{type: hgx-h100-liquid, count: {nodes}}}"})
    law = loop_law(site)
    assert law.chiller_w == pytest.approx(site.design_w)
    assert law.chiller_w == pytest.approx(nodes * 8.3e3, rel=0.05)


def test_counts_of_an_air_site(air):
    counts = air.counts
    assert counts["gpu"] == 16_384
    assert (counts["rack"], counts["crah"], counts["pdu"]) == (1024, 128, 128)
    assert (counts["ups"], counts["feed"]) == (43, 3)
    assert "cdu" not in counts


@pytest.mark.parametrize("parts", [LIQUID_16K, AIR_16K], ids=["liquid", "air"])
def test_everything_hangs_on_what_the_scenario_says(parts):
    site = site_of(parts)
    ask = site.ask
    racks = np.arange(len(site.rack.pdu))
    np.testing.assert_array_equal(site.rack.pdu, racks // ask.power.racks_per_pdu)
    np.testing.assert_array_equal(site.rack.unit, racks // ask.cooling.racks_per_unit)
    np.testing.assert_array_equal(site.pdu.ups[site.rack.pdu], racks // ask.power.racks_per_ups)
    nodes = np.arange(len(site.node.rack))
    np.testing.assert_array_equal(site.node.rack, nodes // ask.racks.nodes_per_rack)
    np.testing.assert_array_equal(np.bincount(site.node.rack), np.diff(site.rack.first_node))
    np.testing.assert_array_equal(np.bincount(site.rack.unit), np.diff(site.unit.first_rack))
    loads_of_feeds = np.bincount(site.ups.feed)
    assert len(loads_of_feeds) == ask.power.feeds
    assert np.ptp(loads_of_feeds) <= 1
    first_ups = site.pdu.ups[site.rack.pdu[site.unit.first_rack[:-1]]]
    np.testing.assert_array_equal(site.wiring.unit_ups, first_ups)
    check_site(site)


def test_the_last_rack_unit_pdu_and_ups_may_be_partly_filled():
    site = site_of(LIQUID | {"nodes": "{type: hgx-h100-liquid, count: 19}"})
    assert list(np.diff(site.rack.first_node)) == [4, 4, 4, 4, 3]
    assert list(np.diff(site.unit.first_rack)) == [2, 2, 1]
    assert (len(site.pdu.ups), len(site.ups.feed)) == (5, 3)
    check_site(site)
    rig = Rig(site, load=1.0)
    rig.run_to(600)
    check_site(site)


@pytest.mark.parametrize(("pumps", "feeds"), [(4, 2), (3, 2), (1, 2)])
def test_facility_pumps_are_dealt_to_the_feeds(pumps, feeds):
    site = site_of(LIQUID | {"cooling": LIQUID["cooling"].replace("}", f", pumps: {pumps}}}")})
    assert list(site.wiring.pump_feed) == [k % feeds for k in range(pumps)]


def test_auto_and_asked_counts_of_the_plant():
    asked = LIQUID["cooling"].replace("}", ", dry_coolers: 7, chillers: 0}")
    site = site_of(LIQUID | {"cooling": asked})
    assert (site.counts["cooler"], site.counts["chiller"]) == (7, 0)
    assert site.cooler_size_frac == 1
    # 0.13 MW need a small part of one cooler of 2.9 MW.
    site = site_of(LIQUID)
    assert site.counts["cooler"] == 1
    assert site.cooler_size_frac == pytest.approx(0.13 / 2.9, rel=0.5)


def test_batteries_hold_their_time_at_full_load():
    # 300 s in the sheet.
    assert site_of(LIQUID).battery_j == 300 * 500e3
    asked = LIQUID["power"].replace("}", ", battery: 90 s}")
    assert site_of(LIQUID | {"power": asked}).battery_j == 90 * 500e3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_that_of_the_world(dtype):
    site = site_of(LIQUID, dtype)
    assert {column.dtype for column in site.gpu} == {np.dtype(dtype)}
    assert site.rack.energy_j.dtype == site.meter.site_j.dtype == np.float64


def test_columns_of_gpus_start_on_lines_of_the_cache():
    site = site_of(LIQUID)
    starts = [column.ctypes.data for column in site.gpu]
    assert {start % 64 for start in starts} == {0}
    assert len({start % 4096 for start in starts}) > 1
    assert len(aligned(13, np.float64, 3)) == 13


# --- the spread between GPUs


def test_spreads_are_those_of_the_sheet(liquid):
    gpu = liquid.gpu
    for column, sigma in ((gpu.conductance_x, 0.08), (gpu.leak_w / 84.0, 0.25)):
        logs = np.log(column.astype(np.float64))
        assert logs.std() == pytest.approx(sigma, rel=0.05)
        assert logs.mean() == pytest.approx(0.0, abs=5 * sigma / np.sqrt(16_384))
    correlation = np.corrcoef(gpu.conductance_x, gpu.leak_w)[0, 1]
    assert abs(correlation) < 0.04


def test_no_gpu_is_slower_than_acceptance_allows(liquid):
    gpu = liquid.gpu
    clock = ((700.0 - 66.0 - gpu.leak_w) / gpu.dynamic_w) ** 0.4
    slowest = clock.min() / np.median(clock)
    assert slowest == pytest.approx(0.95, abs=0.002)
    # Sinha et al., SC22: 8% between whiskers of a normal, sigma 1.5%.
    assert np.std(clock / np.median(clock)) == pytest.approx(0.015, abs=0.004)


def test_without_spread_all_gpus_are_alike():
    site = site_of(LIQUID | {"gpu_spread": "0"})
    for column in columns_of(site.gpu, "fixed").values():
        assert np.ptp(column) == 0


def test_adding_nodes_moves_no_gpu(liquid):
    small = site_of(LIQUID_16K | {"nodes": "{type: hgx-h100-liquid, count: 100}"})
    np.testing.assert_array_equal(small.gpu.leak_w, liquid.gpu.leak_w[:800])
    np.testing.assert_array_equal(small.gpu.conductance_x, liquid.gpu.conductance_x[:800])
    np.testing.assert_array_equal(small.hazard_x["node"], liquid.hazard_x["node"][:100])


def test_another_seed_is_another_draw():
    assert not np.array_equal(
        site_of(LIQUID, seed=1).gpu.leak_w, site_of(LIQUID, seed=2).gpu.leak_w
    )


def test_lemons_are_nodes_with_all_that_is_in_them():
    asked = loads(text_of(LIQUID_16K, more="failures: llama3-h100\n"))
    hazard_x = world.build(asked).sites["lab"].hazard_x
    np.testing.assert_array_equal(hazard_x["gpu"], np.repeat(hazard_x["node"], 8))
    assert hazard_x["node"].mean() == pytest.approx(1.0, abs=0.2)
    assert (hazard_x["node"] > 0).all()
    assert site_of(LIQUID).hazard_x["gpu"].std() == 0


# --- several sites


def test_sites_are_drawn_apart():
    parts = "\n".join(f"    {key}: {value}" for key, value in LIQUID.items())
    built = world.build(loads(text_of(LIQUID) + f"  other:\n{parts}\n"))
    assert [site.index for site in built.sites.values()] == [0, 1]
    one, other = built.sites.values()
    assert not np.array_equal(one.gpu.leak_w, other.gpu.leak_w)
    np.testing.assert_array_equal(one.gpu.leak_w, site_of(LIQUID).gpu.leak_w)
    built.check()
    names = {name for site in built.sites.values() for name in state_columns(site)}
    assert {"lab/gpu.temp_c", "other/loop.supply_c", "lab/meter.site_j"} <= names
    assert not any(name.endswith("gpu.leak_w") for name in names)


def test_sources_name_each_sheet_once():
    asked = loads(text_of(LIQUID, more="failures: llama3-h100\n"))
    numbers = sources_of(asked)
    assert len(numbers) > 100
    assert all(number["source"] for number in numbers)
    paths = [number["path"] for number in numbers]
    assert len(paths) == len(set(paths))


# --- what does not fit


@pytest.mark.parametrize(
    ("part", "old", "new", "line", "says"),
    [
        ("power", "racks_per_pdu: 1", "racks_per_pdu: 6", "power.racks_per_pdu", "allowed at most"),
        ("power", "racks_per_ups: 2", "racks_per_ups: 60", "power.racks_per_ups", "allowed at mos"),
        ("power", "racks_per_pdu: 1", "racks_per_pdu: 3", "power.racks_per_ups", "a multiple of"),
        ("power", "feeds: 2", "feeds: 1, feed_capacity: 100 kW", "power.feeds", "at least"),
        ("cooling", "racks_per_unit: 2", "racks_per_unit: 99", "racks_per_unit", "allowed at mos"),
        ("network", "qm9700", "qm9700, oversubscription: 3000", "network", ""),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(part, old, new, line, says):
    parts = LIQUID | {"nodes": "{type: hgx-h100-liquid, count: 400}"}
    parts[part] = parts[part].replace(old, new)
    with pytest.raises(ScenarioError) as caught:
        world.build(loads(text_of(parts)))
    [message] = [text for text in caught.value.messages if line in text and says in text]
    assert message.startswith("<text>:")
    assert "sites.lab" in message


def test_all_that_does_not_fit_is_told_at_once():
    parts = LIQUID | {"nodes": "{type: hgx-h100-liquid, count: 400}"}
    parts["power"] = parts["power"].replace("racks_per_ups: 2", "racks_per_ups: 60")
    parts["cooling"] = parts["cooling"].replace("racks_per_unit: 2", "racks_per_unit: 99")
    with pytest.raises(ScenarioError) as caught:
        world.build(loads(text_of(parts)))
    assert len(caught.value.messages) >= 2


@pytest.mark.parametrize("hit", ["lab/cdu/2-9", "lab/crah/0", "reno/node/0", "lab/rack/9/node/0"])
def test_a_fault_that_hits_nothing_is_refused_with_its_line(hit):
    more = f"faults:\n  - {{at: 1 h, hit: {hit}, effect: down}}\n"
    with pytest.raises(ScenarioError) as caught:
        world.build(loads(text_of(LIQUID, more=more)))
    [message] = caught.value.messages
    assert message.startswith("<text>:13: faults.0.hit")


def test_maintenance_is_for_nodes():
    more = "maintenance:\n  - {every: 8 h, for: 1 h, hit: lab/cdu/0}\n"
    with pytest.raises(ScenarioError, match="allowed nodes only"):
        world.build(loads(text_of(LIQUID, more=more)))


# --- invariants


def placed_on_a_dead_node(site: Site) -> None:
    seats = np.zeros((1, 1, 1), np.int32)
    site.placement[0] = Placement(None, seats, seats, 8, np.arange(3, dtype=np.int32))
    site.job.running[0] = True
    site.node.up[1] = False
    site.gpu.on_frac[8:16] = 0


def write(table: str, column: str, row: int, value: float) -> Callable[[Site], None]:
    def corrupt(site: Site) -> None:
        getattr(getattr(site, table), column)[row] = value

    return corrupt


def truncate_gpus(site: Site) -> None:
    object.__setattr__(site, "gpu", site.gpu._replace(leak_w=site.gpu.leak_w[:-8]))


CORRUPTIONS: dict[str, tuple[Callable[[Site], None], str, int]] = {
    "nan temperature": (write("gpu", "temp_c", 7, np.nan), "gpu.temp_c", 7),
    "infinite power": (write("rack", "power_w", 2, np.inf), "rack.power_w", 2),
    "nan of a job": (write("job", "step_s", 0, np.nan), "job.step_s", 0),
    "nan share of a job": (write("job", "part_frac", 0, np.nan), "job.part_frac", 0),
    "hot package": (write("gpu", "temp_c", 3, 151.0), "gpu.temp_c", 3),
    "cold plate": (write("gpu", "plate_c", 3, -61.0), "gpu.plate_c", 3),
    "hot coolant": (write("unit", "supply_c", 1, 151.0), "unit.supply_c", 1),
    "hot loop": (write("loop", "supply_c", 0, 151.0), "loop.supply_c", 0),
    "share above one": (write("pdu", "capacity_frac", 1, 1.1), "pdu.capacity_frac", 1),
    "negative share": (write("unit", "capacity_frac", 0, -0.1), "unit.capacity_frac", 0),
    "overclocked": (write("gpu", "clock_frac", 9, 1.01), "gpu.clock_frac", 9),
    "negative power": (write("gpu", "power_w", 9, -1.0), "gpu.power_w", 9),
    "overfull battery": (write("ups", "charge_j", 1, 2e8), "ups.charge_j", 1),
    "no such rack": (write("node", "rack", 5, 4), "node.rack", 5),
    "no such PDU": (write("rack", "pdu", 3, -1), "rack.pdu", 3),
    "no such unit": (write("rack", "unit", 3, 2), "rack.unit", 3),
    "no such UPS": (write("pdu", "ups", 3, 2), "pdu.ups", 3),
    "no such feed": (write("ups", "feed", 1, 2), "ups.feed", 1),
    "empty rack": (write("rack", "first_node", 1, 8), "rack.first_node", 1),
    "nodes left over": (write("rack", "first_node", 4, 15), "rack.first_node", 0),
    "empty unit": (write("unit", "first_rack", 1, 4), "unit.first_rack", 1),
    "racks left over": (write("unit", "first_rack", 2, 3), "unit.first_rack", 0),
    "lit without power": (write("rack", "powered", 2, False), "node.up", 8),
    "on in a node that is down": (write("node", "up", 4, False), "gpu.on_frac", 32),
    "working on a dead node": (placed_on_a_dead_node, "job.running", 0),
    "missing rows": (truncate_gpus, "gpu.leak_w", 0),
}


@pytest.mark.parametrize(("corrupt", "column", "row"), CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_each_invariant_catches_its_corruption(corrupt, column, row):
    more = "jobs:\n  - train: {model: llama3-8b, parallel: {tp: 8, pp: 1}, batch: 128, "
    more += "sequence: 8192, recovery: warm-spare}\n"
    built = world.build(loads(text_of(LIQUID, more=more)))
    built.check()
    corrupt(built.sites["lab"])
    with pytest.raises(InvariantError) as caught:
        built.check()
    _time_ns, where, found, what = caught.value.args
    assert (where, found) == (f"lab/{column}", row)
    assert what


def test_a_gpu_without_power_is_off_even_when_its_node_counts_as_up():
    site = site_of(LIQUID)
    site.rack.powered[2] = False
    site.node.up[8:12] = False
    with pytest.raises(InvariantError, match=r"gpu\.on_frac"):
        check_site(site)
    site.gpu.on_frac[64:96] = 0
    check_site(site)


def test_a_node_that_is_cut_off_keeps_its_gpus_on():
    site = site_of(LIQUID)
    site.node.up[3] = site.node.reachable[3] = False
    check_site(site)


def test_a_site_without_jobs_can_be_checked():
    assert site_of(AIR).job.part_frac.shape == (0, 9)
    check_site(site_of(AIR))
