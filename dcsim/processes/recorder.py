"""Writes samples of a site to the trace: the site, its racks, GPUs around faults."""

from typing import Any, NamedTuple

import numpy as np

from dcsim.inputs.records import ns
from dcsim.physics.gpu import GpuModel
from dcsim.physics.sampling import (
    BINS_COUNT,
    sample_clocks,
    sample_gpus,
    sample_racks,
    throttled,
)
from dcsim.processes.outside import Outside
from dcsim.processes.scheduler import Scheduler
from dcsim.scenario import Record as RecordAsked
from dcsim.trace import TraceWriter
from dcsim.trace.schema import PARTS
from dcsim.world import Site
from dcsim.world.names import Match
from dcsim.world.tables import F64

AROUND_NS = 600_000_000_000
"""GPUs under a scripted fault are written at every stop for this long after it."""
SNAPSHOT_MAX = 2_048
"""More GPUs than this are thinned evenly."""
CLOCKS_NS = 3_600_000_000_000
"""How often all clocks are counted: they move slower than temperatures."""
METERED = ("it_power_w", "cooling_power_w", "loss_power_w", "site_power_w", *PARTS)


class RackSample(NamedTuple):
    """Of the GPUs of each rack: lowest, mean and highest temperature [degC], mean clock [-]."""

    low_c: F64
    mean_c: F64
    high_c: F64
    clock_frac: F64


class Recorder:
    """Observes one site; *first_rack* and *first_gpu* are its offsets in the whole run."""

    def __init__(
        self,
        site: Site,
        asked: RecordAsked,
        trace: TraceWriter,
        gpu_model: GpuModel,
        scheduler: Scheduler,
        outside: Outside,
        first_rack: int,
        first_gpu: int,
    ) -> None:
        self._site = site
        self._asked = asked
        self._trace = trace
        self._gpu_model = gpu_model
        self._scheduler = scheduler
        self._outside = outside
        self._rack_ids = np.arange(first_rack, first_rack + len(site.rack.pdu), dtype=np.int32)
        self._first_gpu = first_gpu
        self._gpu_of_rack = site.rack.first_node * site.gpus_per_node
        self._histogram = np.zeros(BINS_COUNT, np.int32)
        self._clocks = np.zeros(BINS_COUNT, np.int32)
        self._site_ns = self._rack_ns = 0
        self._meter_j = self._meters()
        self._rack_j = site.rack.energy_j.copy()
        self._hottest_c = 0.0
        self._rack_most_c = np.full(len(self._rack_ids), -np.inf)

    def observe(self, now_ns: int, _on_grid: bool) -> None:
        """Look at a stop: remember extremes, and write what is due."""
        self._hottest_c = max(self._hottest_c, self._gpu_model.hottest_c)
        if self._gpu_model.hot:
            np.maximum(self._rack_most_c, self._racks().high_c, out=self._rack_most_c)
        if now_ns % ns(self._asked.site_every_s) == 0:
            self.write_site(now_ns)
        if now_ns % ns(self._asked.rack_every_s) == 0:
            self.write_racks(now_ns)
        if self._asked.gpus == "around-faults":
            self._write_around(now_ns)
        elif self._asked.gpus == "always" and now_ns % ns(self._asked.gpu_every_s) == 0:
            self._write_gpus(now_ns, np.arange(len(self._site.gpu.temp_c)))

    def write_site(self, now_ns: int) -> None:
        """Write one row of the site table, unless it was just written."""
        if now_ns == self._site_ns and now_ns > 0:
            return
        site = self._site
        on, temp_c, clock = sample_gpus(site.gpu, self._histogram)
        clock_min = site.node.clock_frac[site.node.up].min(initial=1.0)
        meter_j = self._meters()
        span_s = max(now_ns - self._site_ns, 1) * 1e-9
        powers_w = dict(zip(METERED, (meter_j - self._meter_j) / span_s, strict=True))
        if now_ns % CLOCKS_NS == 0:
            sample_clocks(site.gpu, self._clocks)
        else:
            self._clocks[:] = 0
        hottest_c = max(self._hottest_c, self._gpu_model.hottest_c)
        p50_c, p99_c = (min(p, hottest_c) for p in _quantiles_c(self._histogram, on))
        up = {"gpu_temp_c_mean": temp_c, "gpu_temp_c_p50": p50_c, "gpu_temp_c_p99": p99_c}
        up |= {"gpu_temp_c_max": hottest_c}
        up |= {"clock_frac_mean": clock, "clock_frac_min": clock_min}
        self._trace.row(
            "site",
            {
                "t_ns": now_ns,
                "site_id": site.index,
                **powers_w,
                "facility_supply_c": site.loop.supply_c[0],
                "dry_bulb_c": site.weather.dry_bulb_c[0],
                "wet_bulb_c": site.weather.wet_bulb_c[0],
                "gpus_up_count": int(site.node.up.sum()) * site.gpus_per_node,
                "gpus_allocated_count": self._scheduler.allocated_count(site) * site.gpus_per_node,
                "throttled_count": self._throttled_count(),
                "water_l": 0.0,
                "temp_histogram": self._histogram,
                "clock_histogram": self._clocks,
                **{name: value if on else np.nan for name, value in up.items()},
            },
        )
        self._site_ns, self._meter_j, self._hottest_c = now_ns, meter_j, 0.0

    def write_racks(self, now_ns: int) -> None:
        """Write one row for each rack."""
        low_c, mean_c, high_c, clock = self._racks()
        np.maximum(high_c, self._rack_most_c, out=high_c)
        self._rack_most_c[:] = -np.inf
        energy_j = self._site.rack.energy_j.copy()
        span_s = max(now_ns - self._rack_ns, 1) * 1e-9
        self._trace.rows(
            "rack",
            {
                "t_ns": now_ns,
                "rack_id": self._rack_ids,
                "temp_c_min": low_c,
                "temp_c_mean": mean_c,
                "temp_c_max": high_c,
                "power_w": (energy_j - self._rack_j) / span_s,
                "clock_frac_mean": clock,
            },
        )
        self._rack_ns, self._rack_j = now_ns, energy_j

    def _racks(self) -> "RackSample":
        """Look at the GPUs of each rack."""
        sample = RackSample(*np.empty((4, len(self._rack_ids))))
        sample_racks(self._site.gpu, self._gpu_of_rack, *sample)
        return sample

    def _write_around(self, now_ns: int) -> None:
        for match, since_ns in self._outside.watched:
            if match.site is self._site and now_ns - since_ns <= AROUND_NS:
                rows = gpus_under(match)
                if len(rows):
                    self._write_gpus(now_ns, rows[:: -(-len(rows) // SNAPSHOT_MAX)])

    def _write_gpus(self, now_ns: int, rows: Any) -> None:
        gpu = self._site.gpu
        values = {
            name: getattr(gpu, name)[rows]
            for name in ("temp_c", "plate_c", "power_w", "clock_frac")
        }
        self._trace.rows("gpu", {"t_ns": now_ns, "gpu_id": self._first_gpu + rows, **values})

    def _meters(self) -> Any:
        """Return the energies so far, in the order of METERED [J]."""
        meter, loop = self._site.meter, self._site.loop
        unit_j, rejected_j, dry_j = self._site.unit.rejected_j.sum(), loop.rejected_j, loop.dry_j
        return np.concatenate(
            (
                *(meter.it_j, meter.cooling_j, meter.loss_j, meter.site_j),
                *(meter.it_part_j, meter.cooling_part_j, meter.loss_part_j, meter.battery_j),
                *((unit_j,), loop.heat_j - unit_j, dry_j, rejected_j - dry_j),
            )
        )

    def _throttled_count(self) -> int:
        """Count the GPUs whose clock is below what the power cap alone would allow."""
        if not self._gpu_model.hot:
            return 0
        nodes_count = len(self._site.node.up)
        return int(throttled(self._site.gpu, self._gpu_model.law, nodes_count).sum())


def gpus_under(match: Match) -> Any:
    """Return the GPUs that depend on what a fault hit, by cooling, power or housing."""
    site, rows = match.site, match.rows
    if match.kind == "gpu":
        return rows
    node = np.arange(len(site.node.rack))
    rack = site.node.rack
    below = {
        "node": node,
        "rack": rack,
        "cdu": site.rack.unit[rack],
        "crah": site.rack.unit[rack],
        "pdu": site.rack.pdu[rack],
        "ups": site.pdu.ups[site.rack.pdu[rack]],
        "feed": site.ups.feed[site.pdu.ups[site.rack.pdu[rack]]],
    }
    if match.kind not in below:
        return np.empty(0, np.int64)
    nodes = np.flatnonzero(np.isin(np.asarray(below[match.kind]), rows))
    width = site.gpus_per_node
    return (nodes[:, None] * width + np.arange(width)).ravel()


def _quantiles_c(histogram: Any, count: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of a histogram of 1 K bins [degC]."""
    if count == 0:
        return 0.0, 0.0
    cumulated = np.concatenate(([0], np.cumsum(histogram)))
    bins = np.arange(len(cumulated))
    p50, p99 = np.interp([0.5 * count, 0.99 * count], cumulated, bins)
    return float(p50), float(p99)
