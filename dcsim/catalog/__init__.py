"""Data sheets of real things: what they are rated at, who says so, and how sure that is.

`sheet("gpu", "h100-sxm")` reads one, `names("gpu")` lists a kind; numbers come out in SI. A sheet
is a YAML file `data/<kind>/<name>.yaml`, its form is in `dcsim.catalog.sheets`. A GPU names the
node and the switch of its reference system: `sheet("node", gpu.text("reference_node"))`.
Some numbers no model of dcsim reads (capacities of storage, other precisions, extremes of a
climate): they say what the thing is, to tests, readers and models of your own.
"""

from dcsim.catalog.failures import YEAR_S, FailureClass, FailurePreset, failure_preset
from dcsim.catalog.sheets import KINDS, LEVELS, Number, Sheet, names, sheet

__all__ = [
    "KINDS",
    "LEVELS",
    "YEAR_S",
    "FailureClass",
    "FailurePreset",
    "Number",
    "Sheet",
    "failure_preset",
    "names",
    "sheet",
]
