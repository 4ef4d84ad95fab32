"""The loop that drives processes and models; it knows no physics.

Processes (SimPy generators) decide *when*; models compute *what follows*. Models that read one
another's columns form an island, with its own clock and its own stops.
"""

from dcsim.contract import NEVER_NS, Fact, Holds, Model
from dcsim.engine.activity import Activity
from dcsim.engine.digest import array_digest
from dcsim.engine.gate import Edit
from dcsim.engine.inbox import Inbox, Timer
from dcsim.engine.island import Island
from dcsim.engine.loop import INPUT, Sim

__all__ = [
    "INPUT",
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
