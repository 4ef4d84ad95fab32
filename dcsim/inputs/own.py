"""Causes from outside that a user's own object makes, beside those that are drawn."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from dcsim.errors import InputError
from dcsim.inputs.failures import Things
from dcsim.inputs.records import Fail, Fault, Maintenance, Record, fault_in
from dcsim.scenario import Scenario

OWN_KINDS = (Fail.kind, Fault.kind, Maintenance.kind)
"""Weather and jobs are those of the scenario."""


class FailureProcess(Protocol):
    """Makes failures, faults or maintenance of its own, before the run begins.

    What it makes is written to `inputs.arrow` with the rest, so that a run can be replayed
    without it. It is the same at each call if all its draws come from `dcsim.draws`.
    """

    def records(self, scenario: Scenario, things: Mapping[str, Things]) -> Iterable[Record]:
        """Make records such as `Fail(...).at(t_ns, "lab/node/3")`, in any order.

        *things* says how many of each kind there are at each site.
        """


def own_records(
    process: FailureProcess, scenario: Scenario, things: Mapping[str, Things]
) -> list[Record]:
    """Return what *process* makes; raises InputError, naming its class, for what is no record."""
    name = type(process).__name__
    made = list(process.records(scenario, things))
    for row, record in enumerate(made):
        fault = _fault(record)
        if fault is not None:
            raise InputError(f"{name}: record {row}: {fault}")
    return made


def _fault(record: object) -> str | None:
    if not isinstance(record, Record) or [type(part) for part in record] != [int, str, str, str]:
        return "allowed a Record, such as Fail(...).at(t_ns, target)"
    if record.kind not in OWN_KINDS:
        return f"kind '{record.kind}': allowed {', '.join(OWN_KINDS)}"
    return fault_in(record)
