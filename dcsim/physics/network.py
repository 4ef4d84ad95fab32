"""The fabric: which share of its bandwidth each rail of each node still has.

A rail of a node is worth the product of its cable's, its leaf's and its leaf's uplinks' share. The
traffic of a job that lies in one scalable unit never leaves the leaves: its nodes' rails are worth
the first two. The traffic of a dead rail takes NVLink to the node's other rails: each of them is
then worth the mean of all. With two rails dead or more the node is lost to its job.

Valid: traffic spread evenly over rails and uplinks (ECMP without collisions, part of the nominal
efficiency). Not modelled: congestion between jobs, per-flow paths, the time of rerouting.
Accuracy: a closed form; no measurement of degraded fabrics was used.
Source: arithmetic of the cabling in `world.network`; the limit of one dead rail is a judgement.
"""

from typing import Any

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.world.site import Site
from dcsim.world.tables import Bool

DEAD_RAILS_MAX = 1
_LEAST_FRAC = 1e-6  # of a node that no rail is left to: its job is about to lose it


class NetworkModel:
    """Bandwidth of nodes; evaluated only when a share of capacity has changed, or a job's place
    while uplinks are missing.

    Facts: `rails_lost` and `rails_back` (node).
    """

    reads = ()
    writes = ("node.rails_frac",)

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen = -1
        self._reach = site.node.reachable.copy()
        self._thinned = False
        self._rails, self._near_rails = np.ones((2, *site.clos.leaf_of_nic.shape))

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        """Write the share of bandwidth of every rail."""
        changed = self._site.net.version[0] != self._seen
        if changed:
            self._look()
        if changed or self._thinned:
            inside = self._inside()[:, None]
            rails = np.where(inside, self._near_rails, self._rails)
            dead_count = (rails <= 0.0).sum(axis=1)
            shared = np.maximum(rails.mean(axis=1), _LEAST_FRAC)[:, None]
            self._site.node.rails_frac[:] = np.where(dead_count[:, None] > 0, shared, rails)
            self._reach = dead_count <= DEAD_RAILS_MAX
        return Holds(NEVER_NS, np.inf)

    def _look(self) -> None:
        """Take what every rail is worth, within its unit and out of it."""
        net, clos = self._site.net, self._site.clos
        self._seen = int(net.version[0])
        uplinks = clos.uplink_frac(net.spine_frac, np.ones(clos.cores_count))
        self._thinned = bool((uplinks < 1.0).any())
        link = net.link_frac.reshape(clos.leaf_of_nic.shape)
        self._near_rails = link * net.leaf_frac[clos.leaf_of_nic]
        self._rails = self._near_rails * uplinks[clos.leaf_of_nic]

    def _inside(self) -> Bool:
        """Return which nodes serve a job that lies in one unit."""
        unit = self._site.clos.unit_of_node
        inside = np.zeros(len(unit), np.bool_)
        for placement in self._site.placement.values():
            own = unit[placement.nodes]
            inside[placement.nodes] |= own.min() == own.max()
        return inside

    def switch(self, _world: Any, _now_ns: int) -> list[Fact]:
        """Flip the nodes whose count of dead rails crossed the limit."""
        reachable = self._site.node.reachable
        if self._reach is reachable or np.array_equal(reachable, self._reach):
            return []
        rows = np.flatnonzero(reachable != self._reach)
        reachable[:] = self._reach
        kinds = ("rails_lost", "rails_back")
        return [Fact(kinds[int(reachable[row])], "node", int(row)) for row in rows]

    def advance(self, _world: Any, _dt_s: float) -> None:
        """Nothing moves by itself."""

    def modes(self, _world: Any) -> dict[str, Any]:
        """Which nodes can be reached."""
        return {"node.reachable": self._site.node.reachable}
