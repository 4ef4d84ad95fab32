"""Scenarios for the audit: small.yaml and what is laid over it, and its findings by topic."""

from pathlib import Path

from dcsim.audit import Audit, Finding, audit
from dcsim.scenario import load

SMALL = Path(__file__).parents[1] / "scenario" / "small.yaml"


def audited(*overrides: str) -> Audit:
    """The audit of small.yaml with these laid over it."""
    return audit(load(SMALL, overrides))


def finding(topic: str, *overrides: str) -> Finding:
    """The only finding of a topic."""
    (found,) = (each for each in audited(*overrides).findings if each.topic == topic)
    return found
