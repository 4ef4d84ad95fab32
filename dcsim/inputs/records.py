"""Records of what comes from outside, what their payloads hold, and the file they live in."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dcsim.errors import InputError

VERSION = "1"
NS_PER_S = 1_000_000_000
_LOCATED_AT_MOST = 3  # in one message: the rest is counted

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Celsius = Annotated[float, Field(ge=-100, le=100)]

PHASE_DRAWS_COUNT = 6  # of a recovery: detect, diagnose, replace, init, load, warm up
PhaseDraws = Annotated[
    tuple[Fraction, ...], Field(min_length=PHASE_DRAWS_COUNT, max_length=PHASE_DRAWS_COUNT)
]


class Record(NamedTuple):
    """One cause from outside; records are ordered by their fields, from left to right."""

    t_ns: int  # since the start of the run
    kind: str  # one of KINDS
    target: str  # a thing, a selector, a site or a job
    payload: str  # JSON object with sorted keys


class Payload(BaseModel):
    """What a record of one kind says besides when and where."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    kind: ClassVar[str]

    def at(self, t_ns: int, target: str) -> Record:
        """Make the record of this for *target* at *t_ns*."""
        text = json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))
        return Record(t_ns, self.kind, target, text)

    @classmethod
    def of(cls, record: Record) -> Self:
        """Read the payload of *record*, whose kind must be this one."""
        return cls.model_validate_json(record.payload)


class Fail(Payload):
    """A candidate of a failure: it fails when its mark is below the hazard at that time."""

    kind = "fail"
    cause: str
    action: Annotated[str, Field(pattern="^(restart|replace)$")]
    mark_per_s: Annotated[float, Field(ge=0)]
    repair_s: Annotated[float, Field(ge=0)]
    u: PhaseDraws


class Weather(Payload):
    """The air outside at that instant; linear up to the next record, constant after the last."""

    kind = "weather"
    dry_bulb_c: Celsius
    wet_bulb_c: Celsius


class Fault(Payload):
    """A scripted fault: the share *frac* of the capacity of what matches the target remains.

    *origin* is its path in the scenario, such as `faults.0`; no *until_ns* is until the end.
    """

    kind = "fault"
    effect: Annotated[str, Field(pattern="^(down|degrade)$")]
    frac: Fraction
    until_ns: Count | None
    origin: str


class Job(Payload):
    """A job of the scenario, named by the target, is handed in."""

    kind = "job"


class Maintenance(Payload):
    """Planned work on the nodes that match the target.

    With *frac* it is for that share of them, the next at each turn, counted from 0.
    """

    kind = "maintenance"
    for_s: Positive
    frac: Fraction | None
    turn: Count
    origin: str


KINDS: dict[str, type[Payload]] = {
    payload.kind: payload for payload in (Fail, Weather, Fault, Job, Maintenance)
}

SCHEMA = pa.schema(
    [
        pa.field("t_ns", pa.int64(), False, {"unit": "ns", "meaning": "since the start"}),
        pa.field("kind", pa.string(), False, {"meaning": ", ".join(KINDS)}),
        pa.field("target", pa.string(), False, {"meaning": "thing, selector, site or job"}),
        pa.field("payload", pa.string(), False, {"meaning": "JSON, sorted keys"}),
    ]
)


def ns(time_s: float) -> int:
    """Return whole nanoseconds since the start, the nearest."""
    return round(time_s * NS_PER_S)


def digest(records: Iterable[Record]) -> str:
    """Return the sha256 of the records in their order, as hex digits."""
    total = hashlib.sha256()
    for record in records:
        total.update(json.dumps(record).encode() + b"\n")
    return total.hexdigest()


def write(path: Path, records: Sequence[Record], about: Mapping[str, str]) -> None:
    """Write the records to *path*, whole or not at all, with *about* in the schema's metadata.

    The format is an Arrow IPC file with LZ4. Raises OSError where it cannot be written.
    """
    columns = zip(*records, strict=True) if records else [()] * len(SCHEMA)
    schema = SCHEMA.with_metadata({"dcsim_inputs": VERSION, **about})
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    draft = path.with_name(path.name + ".part")
    lz4 = pa.ipc.IpcWriteOptions(compression="lz4")
    table = pa.table(arrays, schema=schema)
    try:
        with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, schema, options=lz4) as out:
            out.write_table(table)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read(path: Path) -> list[Record]:
    """Read records, ordered, from a file of `write` or one of the same columns.

    Raises InputError, naming the file, when it is missing, broken, foreign or empty, and naming
    the row when a record is not one.
    """
    table = _table(path)
    columns = [table.column(name).to_pylist() for name in SCHEMA.names]
    records = [Record(*row) for row in zip(*columns, strict=True)]
    wrong = [
        f"row {row}: {message}"
        for row, record in enumerate(records)
        if (message := fault_in(record)) is not None
    ]
    if wrong:
        more = len(wrong) - _LOCATED_AT_MOST
        rest = [f"and {more} more rows"] if more > 0 else []
        raise InputError(f"{path}: " + "; ".join(wrong[:_LOCATED_AT_MOST] + rest))
    return sorted(records)


def _table(path: Path) -> Any:
    """Read the Arrow table in *path*, with the columns of SCHEMA and at least one row."""
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
        table.validate(full=True)
        columns = [(field.name, field.type) for field in table.schema]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable Arrow IPC file") from error
    for field in SCHEMA:
        found = [str(dtype) for name, dtype in columns if name == field.name]
        if found != [str(field.type)]:
            has = " and ".join(found) or "nothing"
            raise InputError(f"{path}: column {field.name} of {field.type} is needed, found {has}")
        if table.column(field.name).null_count:
            raise InputError(f"{path}: column {field.name} has empty cells")
    if not table.num_rows:
        raise InputError(f"{path}: no rows")
    return table


def fault_in(record: Record) -> str | None:
    """Say what is wrong with *record*, None if nothing is."""
    if record.t_ns < 0:
        return f"t_ns = {record.t_ns}: before the start"
    if record.kind not in KINDS:
        return f"kind '{record.kind}': known are {', '.join(KINDS)}"
    if not record.target:
        return "target is empty"
    try:
        payload = KINDS[record.kind].of(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f".{part}" for part in first["loc"])
        return f"{record.kind} payload{where}: {first['msg'].lower()}"
    if isinstance(payload, Fault) and (payload.until_ns or record.t_ns) < record.t_ns:
        return f"fault payload.until_ns = {payload.until_ns}: before it begins"
    return None
