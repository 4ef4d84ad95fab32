"""The whole of what was asked for: `Scenario`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, PrivateAttr

from dcsim.scenario.document import Document, laid_over
from dcsim.scenario.failures import Failures, Fault, Maintenance, none_or_preset
from dcsim.scenario.fields import Leaf, Part, name, quantity, sheet, whole
from dcsim.scenario.job import Entry, Job
from dcsim.scenario.keys import described
from dcsim.scenario.levels import Levels
from dcsim.scenario.problems import message
from dcsim.scenario.record import Expectation, Metric, Record
from dcsim.scenario.site import Site

_SEED_MAX = 2**63 - 1
FIRST_YEAR, END_YEAR = 1700, 2200
"""Nanoseconds since 1970 reach from 1678 to 2262."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _start(value: Any) -> datetime:
    """Read a local time without a zone."""
    try:
        start = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        start = None
    if start is None or start.tzinfo is not None:
        raise ValueError("allowed a local standard time without zone, such as 2024-07-01T00:00")
    if not FIRST_YEAR <= start.year < END_YEAR:
        raise ValueError(f"allowed a year of {FIRST_YEAR}..{END_YEAR - 1}")
    return start


_Preset = Annotated[str, sheet("failures")] | Literal["none"]


def _named(value: Any) -> Any:
    """Give `job-<i>` to a job without a name."""
    if not isinstance(value, list):
        return value
    items = []
    for index, given in enumerate(value):
        item = given
        train = item.get("train") if isinstance(item, dict) else None
        if isinstance(train, dict):
            item = {**item, "train": {"name": f"job-{index}", **train}}
        items.append(item)
    return items


class Scenario(Part):
    """What to simulate, in SI units; made from a document and never changed."""

    name: Annotated[str, name(), "names the run folder"]
    seed: Annotated[
        int, whole(0, _SEED_MAX), "seed of all draws: failures, spread between GPUs"
    ] = 0
    duration_s: Annotated[float, quantity("time", "1 s", "10 y"), "how long is simulated"]
    start: Annotated[
        datetime,
        Leaf(
            _start,
            {"type": "string", "examples": ["2024-07-01T00:00"]},
            f"a local time without zone, of {FIRST_YEAR}..{END_YEAR - 1}",
            lambda start: start.isoformat(timespec="minutes"),
        ),
        "local standard time at the start, for weather and calendar",
    ] = datetime.fromisoformat("2024-07-01T00:00")
    sites: dict[Annotated[str, name()], Site] = Field(min_length=1)
    entries: Annotated[tuple[Entry, ...], BeforeValidator(_named)] = Field((), alias="jobs")
    failures: Annotated[
        Failures | None, BeforeValidator(none_or_preset, json_schema_input_type=_Preset | Failures)
    ] = None
    faults: tuple[Fault, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    levels: Levels = Levels()
    record: Record = Record()
    expect: Annotated[
        dict[Metric, Expectation],
        "what must come out, by metric; if it does not, the exit code is 1",
    ] = {}
    _document: Document = PrivateAttr(Document({}, {}, (), "<scenario>"))

    @classmethod
    def of(cls, asked: Document) -> "Scenario":
        """Validate what was asked; raises pydantic's ValidationError."""
        scenario = cls.model_validate(asked.values)
        scenario._document = asked
        return scenario

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Training jobs in the order of the file."""
        return tuple(entry.train for entry in self.entries)

    @property
    def text(self) -> str:
        """The scenario after `extends` and `--set`, as YAML that `loads` reads again."""
        return yaml.safe_dump(self._document.values, sort_keys=False, allow_unicode=True)

    def laid_over(self, overrides: Sequence[str]) -> Document:
        """What was asked with *overrides* (`path.to.key=value`) laid over it, for `Scenario.of`.

        Raises ScenarioError for an override that does not fit.
        """
        return laid_over(self._document, overrides)

    @property
    def sources_files(self) -> tuple[str, ...]:
        """Names of the scenario files that were read."""
        return self._document.files

    @cached_property
    def digest(self) -> str:
        """Sha256 of the resolved SI values in canonical JSON, apart from the seed.

        The way in which a value was written, and the folder of an EPW file, change nothing.
        """
        values = self.model_dump(mode="json", by_alias=True, exclude={"seed"})
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def where(self, path: str) -> str:
        """`file.yaml:41` where *path* (`sites.dallas.cooling.supply`) was written.

        Where it was not, the place of the nearest thing around it.
        """
        return self._document.where(path)

    def problem(self, path: str, what: str) -> str:
        """Place, *path*, its value if one was written, and *what* is wrong with it."""
        return message(self._document, path, self._document.value(path), what)

    def unmet(self, summary: Mapping[str, Any]) -> list[str]:
        """Say which expectations *summary* (name -> {value, ...}) does not meet."""
        messages = []
        for metric, bound in self.expect.items():
            value = summary.get(metric, {}).get("value")
            if value is None or not bound.holds(value):
                shown = "is not known" if value is None else f"came out as {value:.6g}"
                place = f"{self.where(f'expect.{metric}')}: expect.{metric}"
                messages.append(f"{place} = {bound.sign} {bound.value:g}: {shown}")
        return messages

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of a scenario file, for editors.

        It requires no key, since a file that extends another may leave out any; and any may be
        null, which removes what was there.
        """
        schema = cls.model_json_schema(by_alias=True)
        described(schema, cls)
        schema["properties"]["extends"] = {
            "type": "string",
            "description": "path of a file that this one is laid over",
        }
        return {"$schema": DIALECT, **schema}
