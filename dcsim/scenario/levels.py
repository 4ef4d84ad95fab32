"""Where the numbers of data sheets are taken within their ranges, as asked for."""

from typing import Annotated

from dcsim import catalog
from dcsim.scenario.fields import Part, choice

_GROUPS = {
    "gpu": "gpu",
    "node": "node",
    "cooling_unit": "cooling",
    "dry_cooler": "cooling",
    "chiller": "cooling",
    "pdu": "power",
    "ups": "power",
    "feed": "power",
}
"""Kinds of sheets, each with the group whose level it has."""
_LEVEL = choice(*catalog.LEVELS)


class Levels(Part):
    """Where the numbers of a group of data sheets are taken within their ranges.

    All numbers of the group that have a range go there at once. Low is the lower number, not the
    better one. The plant is designed by typical numbers whatever the levels are. What a job's
    recovery takes is `jobs.0.train.recovery.level`.
    """

    step_time: Annotated[
        str, _LEVEL, "end of the interval of each job's step, as `dcsim estimate` gives it"
    ] = "typical"
    gpu: Annotated[str, _LEVEL, "power, leakage and heat paths of GPUs"] = "typical"
    node: Annotated[str, _LEVEL, "power and heat paths of nodes"] = "typical"
    cooling: Annotated[str, _LEVEL, "cooling units, dry coolers, chillers"] = "typical"
    power: Annotated[str, _LEVEL, "PDUs, UPSs, feeds"] = "typical"

    def of(self, kind: str) -> str:
        """The level of sheets of a kind of the catalogue."""
        return str(getattr(self, _GROUPS[kind])) if kind in _GROUPS else "typical"
