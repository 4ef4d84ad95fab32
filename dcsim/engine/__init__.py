"""The loop that drives processes and models; it knows no physics.

Processes (SimPy generators) decide *when*; models compute *what follows*. Models that read one
another's columns form an island, with its own clock and its own stops.
"""

from dcsim.engine.activity import Activity
from dcsim.engine.contract import NEVER_NS, Fact, Holds, Model
from dcsim.engine.digest import array_digest
from dcsim.engine.gate import Edit
from dcsim.engine.inbox import Inbox, Timer
from dcsim.engine.island import Island
from dcsim.engine.loop import Sim

__all__ = [
    "NEVER_NS",
    "Activity",
    "Edit",
    "Fact",
    "Holds",
    "Inbox",
    "Island",
    "Model",
    "Sim",
    "Timer",
    "array_digest",
]
