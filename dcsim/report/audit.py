"""An audit on one screen, and as plain values."""

from typing import Any

from rich.console import Console

from dcsim.audit import NOTE, OK, SEVERITIES, WARNING, Audit, as_mapping
from dcsim.report.lines import say
from dcsim.report.words import length
from dcsim.units import show

_STYLES = {WARNING: "bold yellow", NOTE: "cyan", OK: "green"}
_INDENT = max(map(len, SEVERITIES)) + 2


def as_values(audit: Audit) -> dict[str, Any]:
    """Return all of an audit for `--json`."""
    scenario = audit.subject.scenario
    counts = dict.fromkeys(SEVERITIES, 0)
    for finding in audit.findings:
        counts[finding.severity] += 1
    return {
        "scenario": scenario.name,
        "digest": scenario.digest,
        "sites": {name: site.counts for name, site in audit.subject.world.sites.items()},
        "counts": counts,
        "findings": [as_mapping(finding, scenario) for finding in audit.findings],
    }


def show_audit(audit: Audit, console: Console) -> None:
    """Print what there is, then every finding with its line, then how many of each."""
    scenario, sites = audit.subject.scenario, audit.subject.world.sites
    lasts = length(round(scenario.duration_s * 1e9))
    say(console, f"{scenario.name}: {lasts}, seed {scenario.seed}")
    for name, site in sites.items():
        counts = ", ".join(f"{count:,} {kind}" for kind, count in site.counts.items())
        say(console, f"{name}:", f" {counts}", head_style="")
    for seat in audit.subject.seats:
        layout, plan = seat.plan.layout, seat.plan
        text = f"{plan.name}: {layout.gpus_count:,} GPUs, tp {layout.tp} x pp {layout.pp} x "
        text += f"dp {layout.dp}, {show(audit.step_s[plan.name], 's')} a step, at {seat.site.name}"
        say(console, text, head_style="")
    for finding in audit.findings:
        text = f"{finding.text} ({scenario.where(finding.path)})"
        head, style = finding.severity.ljust(_INDENT), _STYLES[finding.severity]
        say(console, head, text, head_style=style, indent=" " * _INDENT)
    say(console, _tally(audit))


def _tally(audit: Audit) -> str:
    counts = as_values(audit)["counts"]
    words = [
        f"{counts[each] or 'no'} {each}{'s' * (counts[each] != 1)}" for each in (WARNING, NOTE)
    ]
    return f"{', '.join(words)}, {counts[OK]} ok"
