"""The tables of a trace: every column with its unit and meaning, as Arrow schemas.

Columns are only ever added; `SCHEMA_VERSION` counts the additions. Time is `t_ns` since the start
of the run, and `epoch_ns` is the instant `t_ns = 0` of the simulated calendar, in ns since
1970-01-01T00:00 local standard time. A value "since the previous row" covers the time since the
previous row of the same thing, or since the start of the run.
"""

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dcsim.units import unit_of

SCHEMA_VERSION = 2
HISTOGRAM_BINS = 128
ROWS_PER_BATCH_MAX = 65_536

EVENT_KINDS = {
    "fail": "a thing broke by itself; detail names the cause",
    "fault": "a scripted fault began; detail holds its effect",
    "fault_ended": "a scripted fault is over",
    "down": "a thing stopped working because of its cause",
    "degraded": "a thing works with a share of its capacity; value is that share",
    "up": "a thing works again",
    "masked": "a failure arrived while the thing was down already and changed nothing",
    "shutdown": "a GPU or node switched itself off because it was too hot",
    "throttled": "GPUs of a cooling unit lower their clocks to hold temperature; value counts them",
    "on_battery": "a UPS lost its feed and runs on its battery",
    "depleted": "a battery is empty",
    "throttle_ended": "no GPU of a cooling unit throttles any more; value is the most that did",
    "job_started": "a job got its nodes; value counts the GPUs",
    "job_interrupted": "a job stopped; value is 1 when unexpected, 0 when planned",
    "job_rollback": "a job lost work; value is the number of steps lost",
    "job_checkpoint": "a save is made, of the step in value; detail says when it is durable",
    "job_resumed": "a job makes progress again",
    "node_replaced": "a node took the seat of another in a job; detail names that one",
    "job_done": "a job reached its target",
    "maintenance": "planned work began on a thing",
    "weather": "the weather of a site was set",
    "out_of_range": "a state left the range in which its model is valid; detail names both",
}
THING_KINDS = (
    *("site", "gpu", "node", "rack", "cdu", "crah", "pump", "cooler", "chiller"),
    *("pdu", "ups", "feed", "leaf", "spine", "link", "job"),
)
JOB_STATES = (
    *("queued", "starting", "running", "evaluating", "checkpointing", "maintenance", "detecting"),
    *("diagnosing", "waiting_for_nodes", "replacing", "initialising", "restoring", "warming"),
    "done",
)

I16, I32, I64 = pa.int16(), pa.int32(), pa.int64()
F32, F64, TEXT = pa.float32(), pa.float64(), pa.utf8()
DTYPES = {I16: np.int16, I32: np.int32, I64: np.int64, F32: np.float32, F64: np.float64}
HISTOGRAM = pa.list_(pa.field("item", I32, nullable=False), HISTOGRAM_BINS)

KELVIN, WATT, CLOCK = 0.01, 1.0, 0.001


class Column(NamedTuple):
    """One column: its type, meaning, and the resolution of the sensor it stands for.

    Traces of a schema version before *since* do not have it.
    """

    name: str
    type: pa.DataType
    meaning: str
    resolution: float = 0.0
    nullable: bool = False
    since: int = 1

    @property
    def quantum(self) -> float:
        """What values are rounded to: the power of two no coarser than the resolution, or 0.

        Powers of two leave trailing zero bits and exact float32 values; measured, they compress
        better than multiples of the resolution itself.
        """
        return 2.0 ** math.floor(math.log2(self.resolution)) if self.resolution else 0.0

    @property
    def field(self) -> pa.Field:
        """The Arrow field, with unit and meaning as metadata."""
        facts = {"unit": unit_of(self.name) or "", "meaning": self.meaning}
        if self.resolution:
            facts["resolution"] = str(self.quantum)
        return pa.field(self.name, self.type, nullable=self.nullable, metadata=facts)


class Table(NamedTuple):
    """One file of the trace; a batch is written each time `batch_rows` rows are there."""

    name: str
    meaning: str
    batch_rows: int
    columns: tuple[Column, ...]

    def schema(self, epoch_ns: int) -> pa.Schema:
        """The Arrow schema, with version and epoch as metadata."""
        facts = {
            "schema_version": str(SCHEMA_VERSION),
            "epoch_ns": str(epoch_ns),
            "meaning": self.meaning,
        }
        return pa.schema([column.field for column in self.columns], metadata=facts)

    @property
    def row_byte(self) -> int:
        """Size of one row on disk at most, without the time columns, which compress to nothing."""
        wide = {TEXT: 64, HISTOGRAM: HISTOGRAM_BINS * 4}
        return sum(
            wide[column.type] if column.type in wide else column.type.bit_width // 8
            for column in self.columns
            if column.name not in ("t_ns", "epoch_ns")
        )


T = Column("t_ns", I64, "time since the start of the run")
EPOCH = Column("epoch_ns", I64, "the calendar's instant t_ns = 0, since 1970-01-01 local")
SITE_ID = Column("site_id", I16, "row of dim_site")
RACK_ID = Column("rack_id", I32, "row of dim_rack")
GPU_ID = Column("gpu_id", I32, "index of a GPU in the whole run; see dim_node.first_gpu_id")
JOB_ID = Column("job_id", I32, "row of dim_job, -1 for none")
ROW = Column("row", I32, "index of the thing in its site, as in its name")
THING_KIND_ID = Column("thing_kind_id", I16, "row of dim_thing_kind")
CAUSE_ID = Column("cause_id", I64, "event_id of the cause, -1 for none")
NAME = Column("name", TEXT, "the name it has everywhere")


def _temp(name: str, meaning: str) -> Column:
    return Column(name, F32, meaning, KELVIN)


def _power(name: str, meaning: str, kind: pa.DataType = F32) -> Column:
    return Column(name, kind, meaning, WATT)


def _clock(name: str, meaning: str) -> Column:
    return Column(name, F32, meaning, CLOCK)


def _of_up(column: Column) -> Column:
    return column._replace(nullable=True, meaning=f"{column.meaning}; null: none is up")


def _count(name: str, meaning: str) -> Column:
    return Column(name, I32, meaning)


def _wall(name: str, meaning: str) -> Column:
    return Column(name, F64, "wall time of the segment spent on " + meaning)


FACTORS = (
    _wall("useful_s", "model FLOPs at the GPUs' peak"),
    _wall("kernel_efficiency_s", "kernels below peak, at the maximum clock"),
    _wall("exposed_communication_s", "communication that no computation hides"),
    _wall("pipeline_bubble_s", "pipeline stages without a micro-batch"),
    _wall("slow_gpus_s", "the slowest GPU's own spread and jitter"),
    _wall("throttling_s", "clocks lowered to hold a temperature"),
    _wall("power_cap_s", "clocks lowered to hold a power"),
    _wall("degraded_network_s", "links below their nominal capacity"),
    _wall("checkpoint_stall_s", "short checkpoint stalls"),
)

EVENTS = Table(
    "events",
    "what happened, each with its cause",
    1024,
    (
        Column("event_id", I64, "counts up from 0"),
        *(T, EPOCH, CAUSE_ID),
        Column("event_kind_id", I16, "row of dim_event_kind"),
        Column("site_id", I16, "row of dim_site, -1 for none"),
        Column("thing_kind_id", I16, "row of dim_thing_kind, -1 for none"),
        Column("row", I32, "index of the thing in its site, -1 for none"),
        JOB_ID,
        Column("value", F64, "what its kind says, 0 if nothing"),
        Column("detail", TEXT, "JSON with sorted keys, or empty"),
    ),
)
PARTS = {
    "gpu_power_w": "GPUs; part of it_power_w",
    "host_power_w": "hosts, NICs, switches and fans in nodes; part of it_power_w",
    "supply_loss_power_w": "lost in the nodes' supplies; part of it_power_w",
    "unit_power_w": "pumps or fans of cooling units; part of cooling_power_w",
    "pump_power_w": "pumps of the facility loop; part of cooling_power_w",
    "cooler_power_w": "fans of dry coolers; part of cooling_power_w",
    "chiller_power_w": "chillers; part of cooling_power_w",
    "hall_fan_power_w": "fans of the halls of liquid-cooled nodes; part of cooling_power_w",
    "pdu_loss_power_w": "lost in PDUs; part of loss_power_w",
    "ups_loss_power_w": "lost in UPSs; part of loss_power_w",
    "feed_loss_power_w": "lost in transformers of feeds; part of loss_power_w",
    "battery_power_w": "out of batteries; charging is negative",
    "unit_heat_w": "heat from cooling units into the facility loop",
    "other_heat_w": "heat of hall air and pumps into the facility loop",
    "dry_heat_w": "heat to the outside through dry coolers",
    "chilled_heat_w": "heat to the outside through chillers",
}
"""What a site's power is made of, and where heat goes: parts sum to their whole."""

TRAFFIC = {
    "tp": "tensor parallelism",
    "cp": "context parallelism",
    "ep": "expert parallelism",
    "pp": "pipeline",
    "dp": "gradients and weights",
}

SITE = Table(
    "site",
    "one row a site and sampling instant; all sites at the same instants, and at the end",
    256,
    (
        *(T, EPOCH, SITE_ID),
        _power("it_power_w", "mean since the previous row, at the nodes' inlets", F64),
        _power("cooling_power_w", "mean since the previous row, pumps, fans, chillers", F64),
        _power("loss_power_w", "mean since the previous row, in conversion and wiring", F64),
        _power("site_power_w", "mean since the previous row, at the meter", F64),
        *(
            _power(name, f"mean since the previous row, {of}", F64)._replace(since=2)
            for name, of in PARTS.items()
        ),
        _temp("facility_supply_c", "facility water, supply"),
        _temp("dry_bulb_c", "outside air, dry bulb"),
        _temp("wet_bulb_c", "outside air, wet bulb"),
        _count("gpus_up_count", "GPUs that work"),
        _count("gpus_allocated_count", "GPUs that a job holds"),
        _of_up(_temp("gpu_temp_c_mean", "mean over GPUs that are up")),
        _of_up(_temp("gpu_temp_c_p50", "median over GPUs that are up")),
        _of_up(_temp("gpu_temp_c_p99", "99th percentile over GPUs that are up")),
        _of_up(_temp("gpu_temp_c_max", "highest since the previous row")),
        _of_up(_clock("clock_frac_mean", "clock over maximum clock, mean over GPUs that are up")),
        _of_up(_clock("clock_frac_min", "clock over maximum clock, lowest of GPUs that are up")),
        _count("throttled_count", "GPUs whose clock is lowered to hold their temperature"),
        Column("water_l", F64, "water evaporated or drained since the previous row"),
        Column("temp_histogram", HISTOGRAM, "GPUs up by 1 K bin of temperature from 0 degC"),
        Column(
            "clock_histogram",
            HISTOGRAM,
            "GPUs up by hundredth of the maximum clock; on the full hour, else 0",
            since=2,
        ),
    ),
)
RACK = Table(
    "rack",
    "one row a rack and sampling instant",
    ROWS_PER_BATCH_MAX,
    (
        *(T, EPOCH, RACK_ID),
        _temp("temp_c_min", "coolest GPU"),
        _temp("temp_c_mean", "mean of its GPUs"),
        _temp("temp_c_max", "hottest GPU, since the previous row where any GPU throttled"),
        _power("power_w", "mean since the previous row"),
        _clock(
            "clock_frac_mean",
            "clock over maximum clock, mean of its GPUs, 0 for those that are down",
        ),
    ),
)
GPU = Table(
    "gpu",
    "snapshots of single GPUs, by default around faults",
    ROWS_PER_BATCH_MAX,
    (
        *(T, EPOCH, GPU_ID),
        _temp("temp_c", "package"),
        _temp("plate_c", "cold plate or heat sink"),
        _power("power_w", "at this instant"),
        _clock("clock_frac", "clock over maximum clock"),
    ),
)
LINK = Table(
    "link",
    "changes of the capacity of links and switches",
    1024,
    (
        *(T, EPOCH, SITE_ID, THING_KIND_ID, ROW),
        Column("capacity_frac", F32, "share of nominal capacity from now on", CLOCK),
    ),
)
JOB = Table(
    "job",
    "segments of jobs at constant state and rate; the factors of a running one sum to its length",
    1024,
    (
        JOB_ID,
        Column("t_start_ns", I64, "begin of the segment since the start of the run"),
        Column("t_ns", I64, "end of the segment since the start of the run"),
        EPOCH,
        Column("job_state_id", I16, "row of dim_job_state"),
        CAUSE_ID,
        _count("gpus_allocated_count", "GPUs that the job holds to compute on, without spares"),
        Column("steps", F64, "steps done in the segment, lost ones included"),
        *FACTORS,
    ),
)
DIM_SITE = Table(
    "dim_site",
    "sites",
    64,
    (
        *(SITE_ID, NAME),
        Column("gpu", TEXT, "catalogue name of its GPU"),
        _count("gpus_count", "GPUs that exist"),
        _count("nodes_count", "nodes that exist"),
        _count("racks_count", "racks that exist"),
        Column("gpu_peak_flop_per_s", F64, "BF16 dense peak of one GPU"),
        Column("price_usd_per_kwh", F64, "price of electricity, null: none", nullable=True),
        Column("co2_g_per_kwh", F64, "carbon of electricity, null: none", nullable=True),
    ),
)
DIM_RACK = Table(
    "dim_rack",
    "racks, and what they hang on",
    4096,
    (
        *(RACK_ID, SITE_ID, ROW, NAME),
        Column("pdu", TEXT, "name of its PDU"),
        Column("ups", TEXT, "name of its UPS"),
        Column("cooling_unit", TEXT, "name of its CDU or CRAH"),
    ),
)
DIM_NODE = Table(
    "dim_node",
    "nodes, and the GPUs in them",
    4096,
    (
        Column("node_id", I32, "index in the whole run"),
        *(SITE_ID, ROW, NAME, RACK_ID),
        Column("first_gpu_id", I32, "gpu_id of its first GPU"),
        _count("gpus_count", "GPUs in the node"),
    ),
)
DIM_JOB = Table(
    "dim_job",
    "jobs, each written when it is placed, or at the end",
    1024,
    (
        *(JOB_ID, NAME),
        Column("site_id", I16, "row of dim_site where it runs, -1 if never placed"),
        Column("model", TEXT, "catalogue name or description"),
        _count("gpus_count", "GPUs that it computes on"),
        *(_count(f"{axis}_count", f"{axis} ranks") for axis in ("tp", "pp", "dp")),
        Column("arrive_ns", I64, "when it was submitted"),
        Column("tokens_per_step", F64, "tokens of one global batch"),
        Column("flop_per_step", F64, "model FLOPs of one step, full attention"),
        Column("gpu_peak_flop_per_s", F64, "BF16 dense peak of one of its GPUs"),
        Column("target_tokens_count", F64, "tokens to train on, null: none", nullable=True),
        *(
            Column(f"{axis}_byte_per_step", F64, f"sent by one GPU in a step, {of}", since=2)
            for axis, of in TRAFFIC.items()
        ),
        Column(
            "executed_flop_per_step",
            F64,
            "FLOPs of one step with what is computed again, full attention",
            since=2,
        ),
        Column("checkpoint_byte", F64, "one checkpoint of the whole job", since=2),
        *(
            Column(f"{tier}_interval_s", F64, f"between saves to {to}, null: none", 0.0, True, 2)
            for tier, to in (("local", "hosts"), ("remote", "storage"))
        ),
    ),
)
DIM_EVENT_KIND = Table(
    "dim_event_kind",
    "kinds of events",
    256,
    (
        Column("event_kind_id", I16, "its row"),
        NAME,
        Column("meaning", TEXT, "what happened, and what value and detail hold"),
    ),
)
DIM_THING_KIND = Table(
    "dim_thing_kind", "kinds of things", 64, (Column("thing_kind_id", I16, "its row"), NAME)
)
DIM_JOB_STATE = Table(
    "dim_job_state", "states of jobs", 64, (Column("job_state_id", I16, "its row"), NAME)
)

TABLES = {
    table.name: table
    for table in (
        *(EVENTS, SITE, RACK, GPU, LINK, JOB),
        *(DIM_SITE, DIM_RACK, DIM_NODE, DIM_JOB, DIM_EVENT_KIND, DIM_THING_KIND, DIM_JOB_STATE),
    )
}
EVENT_KIND_ID_OF = {name: index for index, name in enumerate(EVENT_KINDS)}
THING_KIND_ID_OF = {name: index for index, name in enumerate(THING_KINDS)}
JOB_STATE_ID_OF = {name: index for index, name in enumerate(JOB_STATES)}
