"""Run folders that are broken: what is done to a whole one, and what is said of it then.

`READS` says which parts a command opens; each case is played with every command that opens the
part that is broken in it.
"""

import os
import shutil
from typing import NamedTuple

import pyarrow as pa

from dcsim import __version__
from dcsim.trace.run_record import MOST_BYTE
from dcsim.trace.schema import SCHEMA_VERSION, TABLES
from tests.bad_input.breaks import (
    RECORD,
    Break,
    as_folder,
    cell,
    cut,
    edited,
    gone,
    link,
    record,
    retyped,
    scrambled,
    summary,
    table,
    text,
)

DIMENSIONS = ("dim_site", "dim_job", "dim_event_kind", "dim_thing_kind", "dim_job_state")
PLACES = ("dim_rack", "dim_node")
READS = {
    "export bad --to csv --out made": (RECORD, *TABLES),
    "export bad --to perfetto --out made": ("site", "job", "events", *DIMENSIONS),
    "export bad --to parquet --out made --table inputs": ("inputs",),
    "runs --remove bad --yes": (RECORD,),
    "report bad": (RECORD, "site", "rack", "job", "events", *DIMENSIONS, *PLACES),
    "why bad dallas/node/0": (RECORD, "rack", "job", "events", *DIMENSIONS, *PLACES),
    "compare good bad": (RECORD, "site", "job", "events", *DIMENSIONS),
}
"""Commands on the run folder `bad`, beside which lies a whole one, `good`, and what they open."""


class Broken(NamedTuple):
    """A whole run folder, with one thing done to it."""

    title: str
    part: str  # that is wrong then: run.json, a table, summary.json
    break_: Break
    says: list[str]


def of_table(name: str, title: str, break_: Break, what: str) -> Broken:
    return Broken(title, name, break_, [f"bad/traces/{name}.arrow: {what}"])


def of_record(title: str, break_: Break, *what: str) -> Broken:
    return Broken(title, RECORD, break_, [f"bad/run.json: {one}" for one in what])


DURATION_NS = 7_200_000_000_000
NEWER = SCHEMA_VERSION + 1
DAMAGED = "cannot be read: not an Arrow IPC file, damaged, or cut short"
UP_TO = f"allowed 0..{DURATION_NS}"
STATUSES = "allowed running, done, interrupted, failed"
SEED = "allowed a whole number 0..9223372036854775807"
LENGTH = "allowed a whole number 1..316224000000000000"
I64 = "allowed a whole number -9223372036854775808..9223372036854775807"
SOURCES = "allowed a list of mappings with path, unit and source"

OF_RECORD = [
    Broken("no folder", RECORD, shutil.rmtree, ["bad: no such folder"]),
    Broken(
        "a file",
        RECORD,
        lambda folder: (shutil.rmtree(folder), folder.write_text("")),
        ["bad: is a file, not a run folder"],
    ),
    Broken(
        "an empty folder",
        RECORD,
        lambda folder: (shutil.rmtree(folder), folder.mkdir()),
        ["bad: no run folder: it holds no run.json"],
    ),
    of_record(
        "an empty record", text(RECORD, ""), "no JSON: Expecting value: line 1 column 1 (char 0)"
    ),
    of_record(
        "half a record",
        text(RECORD, '{"status": "do'),
        "no JSON: Unterminated string starting at: line 1 column 12 (char 11)",
    ),
    of_record("a list", text(RECORD, "[1, 2]"), "a mapping is needed, found [1, 2]"),
    of_record("bytes", text(RECORD, b'{"\xff'), "no UTF-8 text, from byte 2 on"),
    of_record(
        "NaN", edited(RECORD, '"seed": 7', '"seed": NaN'), "no JSON: NaN is no number of JSON"
    ),
    of_record(
        "infinity",
        edited(RECORD, '"seed": 7', '"seed": -Infinity'),
        "no JSON: -Infinity is no number of JSON",
    ),
    of_record(
        "a number that is none",
        edited(RECORD, '"seed": 7', '"seed": 1e999'),
        "no JSON: 1e999 is too large",
    ),
    of_record("brackets", text(RECORD, "[" * 100_000), "nested too deeply"),
    of_record(
        "a huge record",
        lambda folder: os.truncate(folder / RECORD, MOST_BYTE + 1),
        f"{MOST_BYTE + 1:,} bytes: allowed {MOST_BYTE:,}",
    ),
    of_record("a folder as record", as_folder(RECORD), "not a file"),
    of_record(
        "a newer schema",
        record(schema_version=NEWER),
        f"schema_version {NEWER} is newer than {SCHEMA_VERSION}, "
        f"the newest that dcsim {__version__} reads",
    ),
    of_record(
        "a schema of the far future",
        record(schema_version=10**60),
        f"schema_version 1{'0' * 39}... is newer than {SCHEMA_VERSION}, "
        f"the newest that dcsim {__version__} reads",
    ),
    of_record(
        "a schema in words",
        record(schema_version="one"),
        'schema_version = "one": allowed a whole number 1..1000000',
    ),
    of_record("no status", record(status=...), f"status is missing: {STATUSES}"),
    of_record("another status", record(status="finished"), f'status = "finished": {STATUSES}'),
    of_record("a status as list", record(status=["done"]), f'status = ["done"]: {STATUSES}'),
    of_record(
        "control characters",
        record(status="do\x1b[31mne"),
        f'status = "do\\u001b[31mne": {STATUSES}',
    ),
    of_record("a nameless run", record(name=None), "name = null: allowed text"),
    of_record("a negative seed", record(seed=-1), f"seed = -1: {SEED}"),
    of_record("a seed that is true", record(seed=True), f"seed = true: {SEED}"),
    of_record("no length", record(duration_ns=0), f"duration_ns = 0: {LENGTH}"),
    of_record(
        "a length beyond all bounds",
        record(duration_ns=10**60),
        f"duration_ns = 1{'0' * 39}...: {LENGTH}",
    ),
    of_record("half a nanosecond", record(duration_ns=0.5), f"duration_ns = 0.5: {LENGTH}"),
    of_record("a date", record(epoch_ns="2024-07-01"), f'epoch_ns = "2024-07-01": {I64}'),
    of_record("a scenario as mapping", record(scenario={}), "scenario = {}: allowed text"),
    of_record("versions as list", record(versions=[]), "versions = []: allowed a mapping of texts"),
    of_record(
        "a line as number",
        record(where={"jobs.0": 23}),
        'where = {"jobs.0": 23}: allowed a mapping of texts',
    ),
    of_record("counts as text", record(counts="many"), 'counts = "many": allowed a mapping'),
    of_record("a digest as number", record(trace_digest=5), "trace_digest = 5: allowed text"),
    of_record("sources as text", record(sources="books"), f'sources = "books": {SOURCES}'),
    of_record(
        "a source of nothing",
        record(sources=[{"value": 1}]),
        f'sources = [{{"value": 1}}]: {SOURCES}',
    ),
    of_record(
        "done, but when?", record(end_ns=...), "end_ns is missing: a run that is done has it"
    ),
    of_record(
        "an end after the end",
        record(end_ns=DURATION_NS + 1),
        f"end_ns = {DURATION_NS + 1}: {UP_TO}, up to duration_ns",
    ),
    of_record(
        "three things at once",
        record(name=5, seed=..., status="over"),
        f'status = "over": {STATUSES}',
        "name = 5: allowed text",
        f"seed is missing: {SEED}",
    ),
]

OF_TABLES = [
    Broken("no traces", "events", gone("traces"), ["bad/traces: no such folder"]),
    of_table("site", "a table is gone", gone("traces/site.arrow"), "no such file"),
    of_table("site", "an empty table", text("traces/site.arrow", ""), DAMAGED),
    of_table("job", "prose for a table", text("traces/job.arrow", "rows\n" * 999), DAMAGED),
    of_table("events", "a copy cut short", cut("traces/events.arrow", 0.9), DAMAGED),
    of_table("site", "bytes changed", scrambled("traces/site.arrow"), DAMAGED),
    of_table("rack", "a folder as table", as_folder("traces/rack.arrow"), "not a file"),
    of_table(
        "site",
        "columns of something else",
        table("site", lambda _: pa.table({"power": [1.0]})),
        "column t_ns of int64 is needed, found nothing",
    ),
    of_table(
        "job",
        "a column is gone",
        table("job", lambda found: found.drop_columns(["steps"])),
        "column steps of double is needed, found nothing",
    ),
    of_table(
        "site",
        "a column of another type",
        retyped("site", "it_power_w", pa.float32()),
        "column it_power_w of double is needed, found float",
    ),
    of_table(
        "events",
        "times as text",
        retyped("events", "t_ns", pa.utf8()),
        "column t_ns of int64 is needed, found string",
    ),
    of_table(
        "rack",
        "a column twice",
        table("rack", lambda found: found.append_column("t_ns", found["t_ns"])),
        "column t_ns of int64 is needed, found int64 and int64",
    ),
    of_table("site", "no time", cell("site", "t_ns", 2, None), "row 2: t_ns is empty"),
    of_table(
        "site",
        "power that is no number",
        cell("site", "it_power_w", 3, float("nan")),
        "row 3: it_power_w = nan: allowed finite numbers",
    ),
    of_table(
        "site",
        "infinite heat",
        cell("site", "gpu_temp_c_max", 4, float("inf")),
        "row 4: gpu_temp_c_max = inf: allowed finite numbers",
    ),
    of_table("rack", "before the start", cell("rack", "t_ns", 1, -5), f"row 1: t_ns = -5: {UP_TO}"),
    of_table(
        "events",
        "after the end",
        cell("events", "t_ns", 0, DURATION_NS + 1),
        f"row 0: t_ns = {DURATION_NS + 1}: {UP_TO}",
    ),
    of_table(
        "site", "no such site", cell("site", "site_id", 0, 7), "row 0: site_id = 7: not in dim_site"
    ),
    of_table(
        "rack",
        "no such rack",
        cell("rack", "rack_id", 5, 99),
        "row 5: rack_id = 99: not in dim_rack",
    ),
    of_table(
        "job", "no such job", cell("job", "job_id", 0, 3), "row 0: job_id = 3: not in dim_job"
    ),
    of_table(
        "job",
        "no such state",
        cell("job", "job_state_id", 1, 77),
        "row 1: job_state_id = 77: not in dim_job_state",
    ),
    of_table(
        "events",
        "no such kind of event",
        cell("events", "event_kind_id", 1, -1),
        "row 1: event_kind_id = -1: not in dim_event_kind",
    ),
    of_table(
        "events",
        "no such kind of thing",
        cell("events", "thing_kind_id", 1, 300),
        "row 1: thing_kind_id = 300: not in dim_thing_kind",
    ),
    of_table(
        "gpu", "no such GPU", cell("gpu", "gpu_id", 0, 64), "row 0: gpu_id = 64: allowed 0..63"
    ),
    Broken(
        "a site twice",
        "site",
        table("dim_site", lambda found: pa.concat_tables([found, found])),
        ["bad/traces/dim_site.arrow: site_id = 0: is there twice"],
    ),
    of_table(
        "dim_rack",
        "a rack nowhere",
        cell("dim_rack", "site_id", 1, 4),
        "row 1: site_id = 4: not in dim_site",
    ),
    of_table(
        "dim_node",
        "less than no GPU",
        cell("dim_node", "gpus_count", 3, -8),
        "row 3: gpus_count = -8: allowed 0 or more",
    ),
    of_table(
        "events",
        "an effect before its cause",
        cell("events", "cause_id", 1, 1),
        "row 1: cause_id = 1: allowed events before it",
    ),
    of_table(
        "events",
        "events out of order",
        cell("events", "event_id", 1, 5),
        "row 1: event_id = 5: allowed the row itself",
    ),
    of_table(
        "job",
        "a cause that never was",
        cell("job", "cause_id", 0, 10**6),
        "row 0: cause_id = 1000000: not in events",
    ),
    of_table(
        "job",
        "an end before the begin",
        cell("job", "t_start_ns", 0, DURATION_NS),
        f"row 0: t_start_ns = {DURATION_NS}: after t_ns",
    ),
    of_table(
        "events",
        "half a detail",
        cell("events", "detail", 1, '{"a":'),
        "row 1: detail is no JSON object",
    ),
    of_table(
        "events",
        "a list as detail",
        cell("events", "detail", 1, "[]"),
        "row 1: detail is no JSON object",
    ),
    of_table(
        "site",
        "a link to elsewhere",
        link("traces/site.arrow", "../../elsewhere"),
        "leads out of the run folder, to FOLDER/elsewhere",
    ),
    Broken(
        "all traces elsewhere",
        "events",
        link("traces", "../elsewhere"),
        ["bad/traces: leads out of the run folder, to FOLDER/elsewhere"],
    ),
    Broken("no inputs", "inputs", gone("inputs.arrow"), ["bad/inputs.arrow: no such file"]),
    Broken(
        "inputs cut short", "inputs", cut("inputs.arrow", 0.5), [f"bad/inputs.arrow: {DAMAGED}"]
    ),
    Broken(
        "a payload of no kind",
        "inputs",
        cell("inputs", "payload", 0, "hot"),
        ["bad/inputs.arrow: row 0: payload is no JSON object"],
    ),
]
LINKED = [
    of_record(
        "a record elsewhere",
        link(RECORD, "../elsewhere"),
        "leads out of the run folder, to FOLDER/elsewhere",
    ),
]

AGAIN = "; without this file the run is accounted again"
METRIC = "allowed a mapping with value, unit and basis"
OF_SUMMARY = [
    Broken(title, "summary.json", break_, [f"bad/summary.json: {what}"])
    for title, break_, what in (
        (
            "an empty summary",
            text("summary.json", ""),
            "no JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            "a summary as list",
            text("summary.json", "[]"),
            "a mapping is needed, found []",
        ),
        (
            "goodput that is no number",
            summary(goodput_frac={"value": "high", "unit": "1", "basis": "simulated"}),
            f'goodput_frac.value = "high": allowed a number or null{AGAIN}',
        ),
        (
            "goodput without a value",
            summary(goodput_frac={"unit": "1", "basis": "simulated"}),
            f"goodput_frac.value is missing: allowed a number or null{AGAIN}",
        ),
        ("a number alone", summary(pue=1.2), f"pue = 1.2: {METRIC}{AGAIN}"),
        (
            "no waterfall",
            summary(waterfall=...),
            f"waterfall is missing: allowed a list of name and value{AGAIN}",
        ),
        (
            "a waterfall that runs dry",
            summary(waterfall=[{"name": "useful", "value": None}]),
            'waterfall = [{"name": "useful", "value": null}]: '
            f"allowed a list of name and value{AGAIN}",
        ),
        (
            "an empty waterfall",
            summary(waterfall=[]),
            f"waterfall = []: allowed a list of name and value{AGAIN}",
        ),
    )
]
CASES = [*OF_RECORD, *LINKED, *OF_TABLES]
