"""What was asked for: a scenario file, read strictly and validated whole.

`load(path)` gives a frozen `Scenario` in SI units, or one ScenarioError with all that is wrong
with how it is written, or with its values, or with what they contradict.
"""

from dcsim.scenario.failures import Effect, Failures, Fault, Maintenance
from dcsim.scenario.job import Checkpoint, Evaluation, Job, Parallel, Recovery, Shape
from dcsim.scenario.levels import Levels
from dcsim.scenario.loading import load, loads, varied
from dcsim.scenario.record import Bound, Record
from dcsim.scenario.schema import Scenario
from dcsim.scenario.site import Site

__all__ = [
    "Bound",
    "Checkpoint",
    "Effect",
    "Evaluation",
    "Failures",
    "Fault",
    "Job",
    "Levels",
    "Maintenance",
    "Parallel",
    "Record",
    "Recovery",
    "Scenario",
    "Shape",
    "Site",
    "load",
    "loads",
    "varied",
]
