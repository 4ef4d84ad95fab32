"""What the run itself will take: time and disk, from costs that were measured.

A run stops at every report and some more times after each failure of a job, but not more often than
temperatures make it; a stop costs a fixed part and one for each GPU. Measured on two cores, with
200,000 and 17,408 GPUs for 54 days and 8,192 for one: 45, 14.6 and 1.0 s.
"""

from collections.abc import Iterator
from math import inf

from dcsim.audit.finding import Finding, Subject, severity_of
from dcsim.audit.jobs import recovered
from dcsim.processes.dimensions import trace_byte
from dcsim.scenario.record import REPORT_S
from dcsim.units import show

START_S = 0.8
"""Until the first step, with kernels that are compiled already."""
STOP_S = 0.55e-3
"""Of each stop, whatever there is at its site."""
GPU_STOP_S = 5.9e-9
"""Of each stop for each GPU, on two threads."""
STOPS_PER_FAILURE = 14.0
"""Beside those of the report, measured on 200,000 GPUs with a failure every quarter of an hour."""
LEAST_BETWEEN_S = 180.0
"""Mean simulated time between stops where failures follow one another."""
WRITTEN_FRAC = 0.33
"""Share of the most that a trace may take, measured on racks that run."""
SLOW_S, VERY_SLOW_S = 600.0, 7200.0
NEAR_BUDGET_FRAC = 0.9
"""From here on time is worth a note and a warning, and disk a note: judgements."""


def run_s(subject: Subject) -> float:
    """Return about how long the run takes [s]."""
    scenario, total_s = subject.scenario, START_S
    for site in subject.world.sites.values():
        stops = scenario.duration_s / REPORT_S
        for seat in subject.seats_at(site):
            after = recovered(scenario, seat.plan)
            if after.mtbf_s < inf:
                stops += STOPS_PER_FAILURE * scenario.duration_s / after.mtbf_s
        stops = min(stops, max(scenario.duration_s / LEAST_BETWEEN_S, 1.0))
        total_s += stops * (STOP_S + GPU_STOP_S * site.counts["gpu"])
    return total_s


def findings(subject: Subject) -> Iterator[Finding]:
    """Yield the time and the size of the run."""
    time_s = run_s(subject)
    shown = show(max(round(time_s), 1), "s")
    text = f"the run takes about {shown} (an estimate from runs on two cores)"
    severity = severity_of(time_s, SLOW_S, VERY_SLOW_S)
    yield Finding(severity, "time", "duration", text, {"run_s": time_s})
    scenario = subject.scenario
    most, budget = trace_byte(scenario, subject.world), scenario.record.max_trace_byte
    text = f"the trace may take {show(most, 'byte')} of {show(budget, 'byte')} that are allowed; "
    text += f"about {show(WRITTEN_FRAC * most, 'byte')} are likely"
    severity = severity_of(most / budget, NEAR_BUDGET_FRAC, inf)
    numbers = {"most_byte": most, "budget_byte": budget}
    yield Finding(severity, "trace", "record.max_trace", text, numbers)
