"""What a run came to, from its trace alone: `summarise(Run(folder))`."""

from dcsim.accounting.summary import (
    PUBLISHED_GPUS_COUNT,
    Metric,
    Summary,
    summarise,
    write_summary,
)

__all__ = ["PUBLISHED_GPUS_COUNT", "Metric", "Summary", "summarise", "write_summary"]
