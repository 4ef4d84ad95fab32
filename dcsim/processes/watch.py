"""Watches a site: invariants, and the ranges in which its models are valid."""

from dcsim.processes.log import EventLog
from dcsim.world import Site
from dcsim.world.check import VALID_C, beyond, check_site

INVARIANTS_NS = 3_600_000_000_000
"""How often all invariants are checked: often enough, and no more than 3% of a run."""


class Watch:
    """Observes one site at the points of the report grid."""

    def __init__(self, site: Site, log: EventLog) -> None:
        self._site = site
        self._log = log
        states = site.columns("state")
        self._columns = {name: states[name] for name in VALID_C}

    def observe(self, now_ns: int, on_grid: bool) -> None:
        """Write an event where a state leaves its range for the first time.

        Raises InvariantError for what can never be.
        """
        if not on_grid:
            return
        if now_ns % INVARIANTS_NS == 0:
            check_site(self._site, now_ns)
        for name, row, value in list(beyond(self._columns)):
            del self._columns[name]
            self._leaves(name, row, value)

    def _leaves(self, name: str, row: int, value: float) -> None:
        low, high = VALID_C[name]
        table = name.partition(".")[0]
        thing = {"gpu": "gpu", "unit": self._site.unit_kind}.get(table, "site")
        row = row if thing != "site" else -1
        self._log.add(
            "out_of_range", self._site, thing, row, value=value, state=name, low=low, high=high
        )
