"""Closed forms of two queues: M/M/c (jobs that wait for servers) and M/G/inf (things in repair).

Valid in steady state unless a time is given; M/M/c needs rate x service < servers. Accuracy: exact.
Source: L. Kleinrock, "Queueing Systems", volume 1, 1975; derived here from the balance equations.
"""

from math import exp, factorial, log
from typing import NamedTuple

from scipy.special import ndtr


class Queue(NamedTuple):
    """Means of M/M/c in steady state."""

    waiting_frac: float
    """Share of arrivals that must wait (Erlang's C)."""
    wait_s: float
    """Mean time in the queue, service not counted."""
    in_queue_count: float
    in_system_count: float


def mmc(rate_per_s: float, service_s: float, servers_count: int) -> Queue:
    """Poisson arrivals, exponential service of mean *service_s*, first come first served."""
    load = rate_per_s * service_s
    spare_frac = 1 - load / servers_count
    if spare_frac <= 0:
        raise ValueError(f"no steady state: {load} erlang on {servers_count} servers")
    # Weights of 0, 1 ... c-1 in the system, and of c or more, from the balance equations.
    free = sum(load**n / factorial(n) for n in range(servers_count))
    full = load**servers_count / factorial(servers_count) / spare_frac
    waiting_frac = full / (free + full)
    wait_s = waiting_frac * service_s / (servers_count * spare_frac)
    in_queue_count = rate_per_s * wait_s
    return Queue(waiting_frac, wait_s, in_queue_count, in_queue_count + load)


def mg_inf_count(rate_per_s: float, mean_service_s: float) -> float:
    """Mean, and variance, of the Poisson number in service, whatever the law of service."""
    return rate_per_s * mean_service_s


def mg_inf_lognormal_count(rate_per_s: float, median_s: float, sigma: float, t_s: float) -> float:
    """Mean, and variance, of the Poisson number in lognormal service at *t_s*, none at 0."""
    return rate_per_s * limited_lognormal_s(median_s, sigma, t_s)


def limited_lognormal_s(median_s: float, sigma: float, limit_s: float) -> float:
    """Mean of min(S, limit) for S lognormal; the integral of P(S > u) from 0 to limit."""
    z = log(limit_s / median_s) / sigma
    below_s = median_s * exp(sigma**2 / 2) * float(ndtr(z - sigma))
    return below_s + limit_s * float(ndtr(-z))
