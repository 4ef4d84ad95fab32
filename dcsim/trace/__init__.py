"""What a run writes and how it is read: Arrow tables in a run folder.

folder = create_run_folder(name="first", seed=0, ...)
with TraceWriter(folder.traces, epoch_ns) as trace:
    trace.row("events", {...})
folder.mark("done", end_ns=..., trace_digest=trace_digest(folder.traces))
Run(folder.path).columns("events")["t_ns"]
"""

from dcsim.trace.digest import trace_digest
from dcsim.trace.reader import READABLE, Run
from dcsim.trace.run_folder import (
    RunFolder,
    create_run_folder,
    is_being_written,
    write_atomically,
)
from dcsim.trace.run_record import inside, read_json, shown
from dcsim.trace.writer import TraceWriter

__all__ = [
    "READABLE",
    "Run",
    "RunFolder",
    "TraceWriter",
    "create_run_folder",
    "inside",
    "is_being_written",
    "read_json",
    "shown",
    "trace_digest",
    "write_atomically",
]
