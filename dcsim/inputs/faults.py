"""Scripted faults of the scenario, one record each; what a selector matches the world knows."""

from dcsim.inputs.records import Fault, Record, ns
from dcsim.scenario import Scenario


def scripted_faults(scenario: Scenario) -> list[Record]:
    """Return the faults of *scenario* in the order of the file."""
    records = []
    for i, asked in enumerate(scenario.faults):
        until_s = None if asked.for_s is None else asked.at_s + asked.for_s
        fault = Fault(
            effect=asked.effect.kind,
            frac=asked.effect.remaining_frac,
            until_ns=None if until_s is None else ns(until_s),
            origin=f"faults.{i}",
        )
        records.append(fault.at(ns(asked.at_s), asked.hit))
    return records
