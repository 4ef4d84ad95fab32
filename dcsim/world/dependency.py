"""Who depends on whom, as a graph: what goes down with a CDU, a PDU, a feed, a leaf."""

from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from dcsim.world.names import name_of
from dcsim.world.site import Site
from dcsim.world.tables import I32, I64

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


def nodes_below(site: Site, nodes: I32 | None = None) -> dict[str, I64]:
    """Return by kind how many of *nodes*, or of all, depend on each thing; shape (things,).

    Says what `takes_down` says, from the arrays that the graph is made of.
    """
    member = np.arange(site.counts["node"]) if nodes is None else np.asarray(nodes)
    size = np.bincount(site.node.rack[member], minlength=site.counts["rack"])
    racks = np.arange(len(size))
    ups = np.concatenate((site.pdu.ups[site.rack.pdu], site.wiring.unit_ups[site.rack.unit]))
    above: dict[str, NDArray[np.integer[Any]]] = {
        "feed": site.ups.feed[ups],
        "ups": ups,
        "pdu": site.rack.pdu,
        site.unit_kind: site.rack.unit,
        "rack": racks,
    }
    below = {}
    for kind, thing in above.items():
        pairs = np.unique(np.stack((thing, np.resize(racks, len(thing)))), axis=1)
        below[kind] = np.bincount(pairs[0], size[pairs[1]], site.counts[kind]).astype(np.int64)
    leaves = np.sort(site.clos.leaf_of_nic[member], axis=1)
    again = np.diff(leaves, axis=1, prepend=-1) == 0
    below["leaf"] = np.bincount(leaves[~again], minlength=site.counts["leaf"])
    return below
