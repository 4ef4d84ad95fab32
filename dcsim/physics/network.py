"""The fabric: which share of its bandwidth each node still has.

A rail of a node is worth the product of its cable's, its leaf's and its leaf's uplinks' share. The
traffic of a dead rail takes NVLink to the node's other rails, so a node is worth the mean of its
rails. With two rails dead or more the node is lost to its job.

Valid: traffic spread evenly over rails and uplinks (ECMP without collisions, part of the nominal
efficiency). Not modelled: congestion between jobs, per-flow paths, the time of rerouting.
Accuracy: a closed form; no measurement of degraded fabrics was used.
Source: arithmetic of the cabling in `world.network`; the limit of one dead rail is a judgement.
"""

from typing import Any

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.world.site import Site

DEAD_RAILS_MAX = 1


class NetworkModel:
    """Bandwidth of nodes; evaluated only when a share of capacity has changed.

    Facts: `rails_lost` and `rails_back` (node).
    """

    reads = ()
    writes = ("node.rails_frac",)

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen = -1
        self._reach = site.node.reachable.copy()

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        """Write the share of bandwidth of every node."""
        site = self._site
        if site.net.version[0] != self._seen:
            self._seen = int(site.net.version[0])
            clos = site.clos
            uplinks = clos.uplink_frac(site.net.spine_frac, np.ones(clos.cores_count))
            leaf = site.net.leaf_frac * uplinks
            rails = site.net.link_frac.reshape(clos.leaf_of_nic.shape) * leaf[clos.leaf_of_nic]
            site.node.rails_frac[:] = rails.mean(axis=1)
            self._reach = (rails <= 0.0).sum(axis=1) <= DEAD_RAILS_MAX
        return Holds(NEVER_NS, np.inf)

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
