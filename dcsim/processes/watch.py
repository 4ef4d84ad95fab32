"""Watches a site: GPUs that throttle, invariants, the ranges in which its models are valid."""

import numpy as np

from dcsim.physics.gpu import GpuModel
from dcsim.physics.sampling import throttled
from dcsim.processes.causes import Causes
from dcsim.processes.log import EventLog
from dcsim.world import Site
from dcsim.world.check import VALID_C, beyond, check_site

INVARIANTS_NS = 21_600_000_000_000
"""How often all invariants are checked: often enough, and less than 1% of a run."""


class Watch:
    """Observes one site: what throttles at each stop, the rest at points of the report grid."""

    def __init__(self, site: Site, gpu_model: GpuModel, log: EventLog, causes: Causes) -> None:
        self._site = site
        self._gpu_model = gpu_model
        self._log = log
        self._causes = causes
        first_node = site.rack.first_node[site.unit.first_rack[:-1]]
        self._first_gpu = first_node * site.gpus_per_node
        self._most = np.zeros(len(first_node), np.int64)
        states = site.columns("state")
        self._columns = {name: states[name] for name in VALID_C}

    def observe(self, now_ns: int, on_grid: bool) -> None:
        """Write an event where GPUs begin or end to throttle, by cooling unit, and where a state
        leaves its range for the first time.

        Raises InvariantError for what can never be.
        """
        if self._gpu_model.hot or self._most.any():
            self._watch_throttling()
        if not on_grid:
            return
        if now_ns % INVARIANTS_NS == 0:
            check_site(self._site, now_ns)
        for name, row, value in list(beyond(self._columns)):
            del self._columns[name]
            self._leaves(name, row, value)

    def _watch_throttling(self) -> None:
        """Write an event for each cooling unit under which GPUs begin or end to throttle."""
        site = self._site
        slow = throttled(site.gpu, self._gpu_model.law, len(site.node.up))
        count = np.add.reduceat(slow, self._first_gpu, dtype=np.int64)
        for unit in np.flatnonzero((count > 0) != (self._most > 0)).tolist():
            kind, value = ("throttled", count) if count[unit] else ("throttle_ended", self._most)
            cause = self._causes.of(site, "gpu", int(self._first_gpu[unit]))
            self._log.add(kind, site, site.unit_kind, unit, because=cause, value=float(value[unit]))
        self._most = np.where(count > 0, np.maximum(count, self._most), 0)

    def _leaves(self, name: str, row: int, value: float) -> None:
        low, high = VALID_C[name]
        table = name.partition(".")[0]
        thing = {"gpu": "gpu", "unit": self._site.unit_kind}.get(table, "site")
        row = row if thing != "site" else -1
        self._log.add(
            "out_of_range", self._site, thing, row, value=value, state=name, low=low, high=high
        )
