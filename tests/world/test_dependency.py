"""What goes down with what."""

import networkx as nx
import pytest

from dcsim.world.dependency import dependency_graph, takes_down
from tests.physics.rig import AIR, LIQUID, Rig, site_of

SITE = site_of(LIQUID)
GRAPH = dependency_graph(SITE)
POWER = frozenset({"power", "housing"})
COOLING = frozenset({"cooling", "housing"})


def named(kind: str, *rows: int) -> set[str]:
    return {f"lab/{kind}/{row}" for row in rows}


def test_a_pdu_takes_its_rack_and_the_nodes_in_it():
    assert takes_down(GRAPH, "lab/pdu/1") == named("rack", 1) | named("node", 4, 5, 6, 7)


def test_a_cdu_takes_the_racks_that_it_cools():
    expected = named("rack", 2, 3) | named("node", *range(8, 16))
    assert takes_down(GRAPH, "lab/cdu/1") == expected
    assert takes_down(GRAPH, "lab/cdu/1", POWER) == set()


def test_a_feed_takes_half_the_site_and_half_the_pumps():
    down = takes_down(GRAPH, "lab/feed/0")
    below = named("ups", 0) | named("pdu", 0, 1) | named("rack", 0, 1) | named("node", *range(8))
    assert down == below | named("cdu", 0) | named("pump", 0, 2)


def test_a_leaf_reaches_its_nodes_through_the_network_only():
    nodes = (SITE.clos.leaf_of_nic == 2).any(axis=1).nonzero()[0].tolist()
    assert takes_down(GRAPH, "lab/leaf/2") == named("node", *nodes)
    assert takes_down(GRAPH, "lab/leaf/2", POWER | COOLING) == set()


def test_a_rack_takes_its_nodes_and_a_node_nothing():
    assert takes_down(GRAPH, "lab/rack/3") == named("node", 12, 13, 14, 15)
    assert takes_down(GRAPH, "lab/node/3") == set()
    assert takes_down(GRAPH, "lab/cdu/77") == set()


def test_the_graph_has_no_cycle_and_every_node_has_all_it_needs():
    assert nx.is_directed_acyclic_graph(GRAPH)
    for row in range(16):
        above = nx.ancestors(GRAPH, f"lab/node/{row}")
        kinds = {name.split("/")[1] for name in above}
        assert kinds == {"feed", "ups", "pdu", "cdu", "rack", "leaf"}
    assert sum(kind == "network" for *_, kind in GRAPH.edges(data="by")) == 16 * 8


def test_halls_hang_on_their_air_handlers():
    graph = dependency_graph(site_of(AIR))
    down = takes_down(graph, "lab/crah/1")
    assert named("rack", 4, 5, 6, 7) <= down
    assert not named("rack", 3) & down


@pytest.mark.parametrize("kind", ["pdu", "ups", "feed"])
def test_physics_darkens_what_the_graph_says(kind):
    site = site_of(LIQUID | {"power": LIQUID["power"].replace("}", ", battery: 1 s}")})
    rig = Rig(site, load=0.5)
    rig.at(10, f"{kind}.capacity_frac", 1, 0.0)
    rig.run_to(60)
    down = takes_down(dependency_graph(site), f"lab/{kind}/1", frozenset({"power"}))
    dark = {f"lab/rack/{row}" for row, powered in enumerate(site.rack.powered) if not powered}
    assert dark == {name for name in down if "/rack/" in name}
    assert dark
    stopped = {f"lab/cdu/{row}" for row, flow in enumerate(site.unit.flow_frac) if flow == 0}
    assert stopped == {name for name in down if "/cdu/" in name}
