"""What each number of a summary means: unit, definition and convention, a line each."""

from collections.abc import Mapping
from typing import NamedTuple

from dcsim.units import unit_of


class Definition(NamedTuple):
    """One number: its unit, what it is, and how it is counted where that can be done otherwise."""

    unit: str
    meaning: str
    convention: str = ""


_UNITS = {"days_to_target": "d", "pue": "1", "usd_per_mtoken": "USD per 1e6 tokens"}
_UP = "of GPUs that are up, in GPU-time over the rows of the site table"
_MEANS_OF_ROWS = "the highest of the means of the sampling interval, all sites at the same instant"
_METER = "what the sites take from the grid: IT, cooling and losses, less what batteries give"

_OF_RUN = {
    "goodput_frac": (
        "useful training time over wall time from the job's first start",
        "the ETTR of a job whose queue does not count; steps that were made again, restarts and "
        "checkpoint stalls are not useful, slow steps are; jobs weigh by GPU-time",
    ),
    "ettr_frac": (
        "effective training time ratio: useful training time over wall time since it arrived",
        "as Kokolis et al. 2024, arXiv 2410.21680: goodput with the time in the queue",
    ),
    "mfu_frac": (
        "model FLOPs of the steps that count over the peak of the GPUs held",
        "full attention, no recomputation, over the BF16 dense peak times the wall time in which "
        "the job held its GPUs, interruptions included",
    ),
    "hfu_frac": (
        "FLOPs that GPUs execute for the steps that count over the peak of the GPUs held",
        "as mfu_frac, with what is computed again for want of memory",
    ),
    "step_time_s": (
        "wall time of a step while the job runs",
        "short checkpoint stalls included, interruptions not; null for several jobs",
    ),
    "tokens_count": ("tokens of all whole steps that count", "work that was lost is not in it"),
    "tokens_per_day": (
        "tokens that count a day, from the first start of each job to its end",
        "the sum of all jobs",
    ),
    "days_to_target": (
        "days from the first start to the job's token target at the mean rate of this run",
        "null for several jobs or without a target",
    ),
    "interruption_count": ("unexpected stops of jobs", "planned work is not in it"),
    "mtbf_s": (
        "mean time between failures of the jobs: wall time over unexpected interruptions",
        "wall time from the first start; a job that waits for repair counts",
    ),
    "gpu_temp_c_p50": ("median temperature of the GPU package", _UP),
    "gpu_temp_c_p99": ("temperature of the GPU package that 1% of GPU-time exceeds", _UP),
    "gpu_temp_c_max": ("highest temperature of any GPU package", "at any stop, also between rows"),
    "throttled_frac": (
        "share of GPU-time at a clock lowered to hold a temperature",
        "of GPUs that are up; a power cap is no throttling",
    ),
    "it_power_w_mean": ("mean power at the inlets of the nodes", "all sites together"),
    "it_power_w_max": ("highest power at the inlets of the nodes", _MEANS_OF_ROWS),
    "site_power_w_mean": ("mean power at the meter", _METER),
    "site_power_w_max": ("highest power at the meter", _MEANS_OF_ROWS),
    "pue": (
        "power usage effectiveness: energy that the sites use over energy of their IT",
        "IT at the inlets of the nodes, their supplies and fans included; IT, cooling and losses "
        "count when they are used, wherever the energy comes from",
    ),
    "wue_l_per_kwh": (
        "water usage effectiveness: water evaporated or drained over energy of the IT",
        "at the site; the water of power stations is not in it",
    ),
    "energy_j": ("energy at the meter", _METER),
    "co2_g": (
        "carbon of the energy at the meter",
        "by the scenario's intensity of electricity; building and machines are not in it",
    ),
    "cost_usd": (
        "price of the energy at the meter",
        "by the scenario's price of electricity; nothing else is paid for",
    ),
    "usd_per_mtoken": ("price of the energy of a million tokens that count", "as cost_usd"),
    "duration_s": ("simulated time", "as far as the run came"),
    "gpus_count": ("GPUs that exist", "all sites, down or not"),
}
_OF_WATERFALL = {
    "not_allocated": ("GPUs that no job held", "queued jobs hold none; spares are among them"),
    "waiting_for_nodes": ("jobs that stood until there were nodes for those that they lost", ""),
    "detection": ("from a failure until its place was found", "detecting and diagnosing"),
    "restart": (
        "starts and restarts",
        "replacing, initialising, restoring and warming up, the first start too",
    ),
    "lost_work": (
        "steps that were lost",
        "with all that they took, stalls and slowness too; the step that the end cut off too",
    ),
    "checkpoint_stall": ("training that stood for a checkpoint", ""),
    "maintenance": ("planned work and evaluation", "also the move to other nodes for it"),
    "kernel_efficiency": ("kernels below the peak, at the maximum clock", ""),
    "exposed_communication": ("communication that no computation hides", ""),
    "pipeline_bubble": ("pipeline stages without a micro-batch", ""),
    "slow_gpus": ("waiting for the slowest GPU", "its own spread and jitter"),
    "throttling": ("clocks lowered to hold a temperature", "of the slowest GPU of each step"),
    "power_cap": ("clocks lowered to hold a power", "of the slowest GPU of each step"),
    "degraded_network": ("links and switches below their capacity", ""),
    "useful": ("model FLOPs of the steps that count", "as mfu_frac"),
}
_OF_SHARE = "share of the peak FLOPs of all GPUs over the run: "

METRICS: Mapping[str, Definition] = {
    name: Definition(_UNITS.get(name) or unit_of(name) or "", *words)
    for name, words in _OF_RUN.items()
}
"""Of all numbers of a summary, in its order."""
PLACES: Mapping[str, Definition] = {
    name: Definition("1", _OF_SHARE + meaning, convention)
    for name, (meaning, convention) in _OF_WATERFALL.items()
}
"""Of all places of the waterfall, in its order."""
DEFINITIONS: Mapping[str, Definition] = {**METRICS, **PLACES}
