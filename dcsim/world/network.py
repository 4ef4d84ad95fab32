"""The rail-optimised Clos fabric between nodes: how many switches, and what is cabled to what.

Nodes stand in scalable units of k/2 nodes, k being the radix of the switches. Each unit has one
leaf per rail: NIC r of each of its nodes goes to the unit's leaf r. Up to k leaves hang below
two tiers, with half as many spines as leaves. Above that, pods of up to k/2 leaves with as many
spines stand below half as many cores as leaves, for at most k pods. Cables to the tier above
are dealt in turn, so that they spread evenly; parallel cables are one bundle with a count.

Every leaf has the uplinks of a full unit, also where the last unit is partly filled.
Oversubscription thins the cables of the highest tier.

Source of the counts: NVIDIA DGX SuperPOD B200 reference architecture, which they equal for all
six sizes in it. The dealing of cables is ours: no source prints it.
"""

from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import networkx as nx

I32 = npt.NDArray[np.int32]
F64 = npt.NDArray[np.float64]

SAME_LEAF_HOPS, SAME_POD_HOPS, ACROSS_HOPS = 1, 3, 5


class Bundles(NamedTuple):
    """Cables between two tiers, int32[bundle] each: lower and upper end, cables in the bundle."""

    lower: I32
    upper: I32
    cables: I32


class RailClos(NamedTuple):
    """A fabric as index arrays; leaves, spines and cores are numbered from 0 in their tier."""

    radix_count: int
    unit_nodes_count: int  # nodes of a full scalable unit
    unit_of_node: I32  # [node]
    leaf_of_nic: I32  # [node, nic]
    pod_of_leaf: I32  # [leaf]
    pod_of_spine: I32  # [spine]
    cores_count: int  # 0 with two tiers
    leaf_spine: Bundles
    spine_core: Bundles  # empty with two tiers

    @property
    def nodes_count(self) -> int:
        """Nodes on the fabric."""
        return len(self.unit_of_node)

    @property
    def nics_count(self) -> int:
        """NICs of each node, one a rail."""
        return int(self.leaf_of_nic.shape[1])

    @property
    def leaves_count(self) -> int:
        """Switches that nodes are cabled to."""
        return len(self.pod_of_leaf)

    @property
    def spines_count(self) -> int:
        """Switches above the leaves."""
        return len(self.pod_of_spine)

    @property
    def tiers_count(self) -> int:
        """Tiers of switches, 2 or 3."""
        return 3 if self.cores_count else 2

    @property
    def cables_count(self) -> tuple[int, int, int]:
        """Cables node to leaf, leaf to spine, spine to core."""
        up, top = self.leaf_spine.cables, self.spine_core.cables
        return self.leaf_of_nic.size, int(up.sum()), int(top.sum())

    def hops(self, node: npt.ArrayLike, other: npt.ArrayLike) -> I32:
        """Return how many switches lie between two nodes, on one rail.

        0 between a node and itself, 1 in one unit, 3 in one pod, 5 across pods. *node* and
        *other* are indices of any shapes that broadcast.
        """
        a, b = np.asarray(node), np.asarray(other)
        pod = self.pod_of_leaf[self.leaf_of_nic[:, 0]]
        unit = self.unit_of_node
        far = np.where(pod[a] == pod[b], SAME_POD_HOPS, ACROSS_HOPS)
        near = np.where(a == b, 0, SAME_LEAF_HOPS)
        return np.where(unit[a] == unit[b], near, far).astype(np.int32)

    @property
    def domain_of_node(self) -> I32:
        """The domain of each node, [node]: its unit with two tiers, its pod with three.

        Oversubscription thins only what leaves a domain.
        """
        return self.pod_of_leaf[self.leaf_of_nic[:, 0]] if self.cores_count else self.unit_of_node

    def uplink_frac(self, spine_frac: F64, core_frac: F64) -> F64:
        """Return the share of each leaf's uplinks that still works, [leaf].

        *spine_frac* [spine] and *core_frac* [core] are the share of each switch that works. A
        spine is worth no more than its working cables to cores, so a leaf's share is what it
        can send out of its pod (with two tiers, out of its unit).
        """
        spine_frac = spine_frac.copy()
        if self.cores_count:
            spine_frac *= _share_up(self.spine_core, core_frac, self.spines_count)
        return _share_up(self.leaf_spine, spine_frac, self.leaves_count)

    def graph(self) -> "nx.Graph[int]":
        """Return the fabric as a networkx graph; 0.4 kB a bundle, so built only on request.

        Vertices are integers: nodes, leaves, spines, cores, in this order, each with its `tier`
        0 to 3; edges carry the `count` of their cables.
        """
        import networkx as nx

        sizes = (self.nodes_count, self.leaves_count, self.spines_count, self.cores_count)
        first = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        graph: nx.Graph[int] = nx.Graph()
        for tier, size in enumerate(sizes):
            graph.add_nodes_from(range(first[tier], first[tier] + size), tier=tier)
        nodes = np.repeat(np.arange(self.nodes_count, dtype=np.int32), self.nics_count)
        node_leaf = Bundles(nodes, self.leaf_of_nic.ravel(), np.ones(nodes.size, np.int32))
        for tier, bundles in enumerate((node_leaf, self.leaf_spine, self.spine_core)):
            lower = (bundles.lower + first[tier]).tolist()
            upper = (bundles.upper + first[tier + 1]).tolist()
            for a, b, count in zip(lower, upper, bundles.cables.tolist(), strict=True):
                graph.add_edge(a, b, count=count)
        return graph


def build_clos(
    nodes_count: int, nics_count: int, radix_count: int, oversubscription: float = 1.0
) -> RailClos:
    """Return the fabric of *nodes_count* nodes with *nics_count* NICs, one a rail.

    *radix_count* is the ports of every switch at the NICs' rate, *oversubscription* (>= 1) the
    bandwidth of the nodes over that of the cables into the highest tier. Raises ValueError where a
    number is impossible or the fabric would need a fourth tier.
    """
    _check(nodes_count, nics_count, radix_count, oversubscription)
    unit_nodes = radix_count // 2
    units = ceil(nodes_count / unit_nodes)
    unit_of_node = np.arange(nodes_count, dtype=np.int32) // unit_nodes
    rails = np.arange(nics_count, dtype=np.int32)
    two_tiers = units * nics_count <= radix_count
    pod_units = units if two_tiers else radix_count // 2 // nics_count
    thinned = ceil(radix_count / 2 / oversubscription)
    pod_of_leaf = np.repeat(np.arange(units, dtype=np.int32) // pod_units, nics_count)
    if two_tiers:
        spines = ceil(pod_of_leaf.size * thinned / radix_count)
        pod_of_spine, cores = np.zeros(spines, np.int32), 0
        spine_core = Bundles(*np.zeros((3, 0), np.int32))
    else:
        pod_of_spine = pod_of_leaf
        cores = ceil(pod_of_spine.size * thinned / radix_count)
        spine_core = _deal(np.arange(pod_of_spine.size), np.arange(cores), thinned)
    return RailClos(
        radix_count=radix_count,
        unit_nodes_count=unit_nodes,
        unit_of_node=unit_of_node,
        leaf_of_nic=unit_of_node[:, None] * np.int32(nics_count) + rails,
        pod_of_leaf=pod_of_leaf,
        pod_of_spine=pod_of_spine,
        cores_count=cores,
        leaf_spine=_join(_pods(pod_of_leaf, pod_of_spine, thinned if two_tiers else unit_nodes)),
        spine_core=spine_core,
    )


def _check(nodes: int, nics: int, radix: int, oversubscription: float) -> None:
    if nodes < 1:
        raise ValueError(f"{nodes} nodes: at least 1 is needed")
    if radix < 2 or radix % 2:
        raise ValueError(f"{radix}-port switches: an even number of ports is needed")
    if not 1 <= nics <= radix // 2:
        raise ValueError(f"{nics} NICs a node: 1 to {radix // 2} with {radix}-port switches")
    if not 1 <= oversubscription <= radix // 2:
        raise ValueError(f"oversubscription {oversubscription}: allowed 1 to {radix // 2}")
    most = radix * (radix // 2 // nics) * (radix // 2)
    if nodes > most:
        raise ValueError(
            f"{nodes} nodes with {nics} NICs: three tiers of {radix}-port switches reach {most}"
        )


def _pods(pod_of_leaf: I32, pod_of_spine: I32, uplinks: int) -> Iterator[Bundles]:
    """Yield the cables of each pod, *uplinks* from each leaf dealt to the spines of its pod."""
    for pod in range(int(pod_of_leaf[-1]) + 1):
        leaves = np.flatnonzero(pod_of_leaf == pod)
        spines = np.flatnonzero(pod_of_spine == pod)
        yield _deal(leaves, spines, uplinks)


def _deal(lower: npt.NDArray[np.int64], upper: npt.NDArray[np.int64], cables: int) -> Bundles:
    """Give each of *lower* so many *cables*, dealt in turn to *upper*."""
    ends = np.repeat(lower, cables) * (int(upper[-1]) + 1)
    ends += np.resize(upper, ends.size)
    pairs, count = np.unique(ends, return_counts=True)
    low, up = np.divmod(pairs, int(upper[-1]) + 1)
    return Bundles(low.astype(np.int32), up.astype(np.int32), count.astype(np.int32))


def _join(parts: Iterator[Bundles]) -> Bundles:
    return Bundles(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _share_up(bundles: Bundles, upper_frac: F64, lower_count: int) -> F64:
    """Return for each lower switch the mean of *upper_frac* over its cables, [lower]."""
    cables = bundles.cables.astype(np.float64)
    working = np.bincount(bundles.lower, cables * upper_frac[bundles.upper], lower_count)
    return np.divide(working, np.bincount(bundles.lower, cables, lower_count))
