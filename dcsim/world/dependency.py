"""Who depends on whom, as a graph: what goes down with a CDU, a PDU, a feed, a leaf."""

import networkx as nx
import numpy as np

from dcsim.world.names import name_of
from dcsim.world.site import Site

ALL = frozenset({"power", "cooling", "network", "housing"})


def dependency_graph(site: Site) -> "nx.DiGraph[str]":
    """Return a directed graph of names: an edge leads from a thing to what depends on it.

    Edges carry `by`: power, cooling, network or housing. GPUs are left out: they depend on their
    node. A node depends on eight leaves and survives the loss of one.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()

    def link(above: str, rows_above: object, below: str, by: str) -> None:
        for row, parent in enumerate(np.asarray(rows_above).tolist()):
            graph.add_edge(name_of(site, above, parent), name_of(site, below, row), by=by)

    unit = site.unit_kind
    link("feed", site.ups.feed, "ups", "power")
    link("ups", site.pdu.ups, "pdu", "power")
    link("pdu", site.rack.pdu, "rack", "power")
    link("ups", site.wiring.unit_ups, unit, "power")
    link("feed", site.wiring.pump_feed, "pump", "power")
    link(unit, site.rack.unit, "rack", "cooling")
    link("rack", site.node.rack, "node", "housing")
    for node, leaves in enumerate(site.clos.leaf_of_nic.tolist()):
        for leaf in leaves:
            graph.add_edge(name_of(site, "leaf", leaf), name_of(site, "node", node), by="network")
    return graph


def takes_down(graph: "nx.DiGraph[str]", thing: str, by: frozenset[str] = ALL) -> set[str]:
    """Return all that depends on *thing*, directly or not, by the kinds of edges in *by*."""
    edges = ((a, b) for a, b, kind in graph.edges(data="by") if kind in by)
    kept: nx.DiGraph[str] = nx.DiGraph(edges)
    return set(nx.descendants(kept, thing)) if thing in kept else set()
