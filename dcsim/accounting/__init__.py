"""What a run came to, from its trace alone: `summarise(Run(folder))`.

Further accounts are each a function of a run in a module of its name: `losses.losses(run)`,
`interruptions.interruptions`, `reliability.reliability`, `energy.energy`, `waits.waits`, and
`parts.waterfall_by`.
"""

from dcsim.accounting.causes import Cause, Events, interruption_causes, read_events
from dcsim.accounting.energy import Energy, Flows, daily, hourly
from dcsim.accounting.interruptions import Interruption
from dcsim.accounting.losses import Largest, Loss, largest
from dcsim.accounting.metrics import DEFINITIONS, Definition
from dcsim.accounting.parts import waterfall_by
from dcsim.accounting.reliability import FailureClass, between_s
from dcsim.accounting.summary import (
    PUBLISHED_GPUS_COUNT,
    Metric,
    Summary,
    summarise,
    write_summary,
)
from dcsim.accounting.things import Names
from dcsim.accounting.waits import Wait
from dcsim.accounting.waterfall import WATERFALL, Share

__all__ = [
    "DEFINITIONS",
    "PUBLISHED_GPUS_COUNT",
    "WATERFALL",
    "Cause",
    "Definition",
    "Energy",
    "Events",
    "FailureClass",
    "Flows",
    "Interruption",
    "Largest",
    "Loss",
    "Metric",
    "Names",
    "Share",
    "Summary",
    "Wait",
    "between_s",
    "daily",
    "hourly",
    "interruption_causes",
    "largest",
    "read_events",
    "summarise",
    "waterfall_by",
    "write_summary",
]
