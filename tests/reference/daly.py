"""Exact expected times of checkpointed work under a constant failure rate.

A segment is *segment_s* of work and checkpoint that must pass without a failure; a failure loses
what the segment had done and costs a restart. Failures are Poisson with *rate_per_s*.

Valid for a constant rate and a fixed segment. Accuracy: exact. Source: J. T. Daly, "A higher order
estimate of the optimum checkpoint interval for restart dumps", FGCS 22 (2006), equations for the
expected wall time; derived again in the comments.
"""

from math import exp, expm1

from scipy.special import lambertw


def segment_s(rate_per_s: float, length_s: float, restart_s: float, safe_restart: bool) -> float:
    """Expected wall time of one segment of *length_s*, with the restarts that it needed.

    With *safe_restart* no failure hits a restart; otherwise one starts the restart again.
    """
    failures_count = expm1(rate_per_s * length_s)
    # Without restarts a segment takes failures_count / rate; each failure then adds one restart,
    # which, when it can fail itself, is again such a segment.
    restart_each_s = restart_s if safe_restart else expm1(rate_per_s * restart_s) / rate_per_s
    return failures_count * (1 / rate_per_s + restart_each_s)


def optimum_work_s(rate_per_s: float, checkpoint_s: float) -> float:
    """Work between checkpoints that makes the wall time per unit of work least.

    The minimum of (e^(l (w + c)) - 1) / w over w: with y = l w - 1 its condition is
    y e^y = -e^(-1 - l c), so Lambert's function gives it exactly, for both kinds of restart.
    """
    argument = -exp(-1 - rate_per_s * checkpoint_s)
    return float(1 + lambertw(argument).real) / rate_per_s
