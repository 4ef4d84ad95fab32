"""What a run assumed, and the scenario, commands and versions that make it again."""

import shlex
from typing import Any

import yaml

from dcsim.errors import ScenarioError
from dcsim.report.page.reading import Reading
from dcsim.report.page.section import Section, Table, data_table, escaped, number
from dcsim.scenario import loads

_BASES = ("assumption", "judgement", "fitted", "published", "measured")
_ACTS_ON = {
    "node": "power, temperature, network",
    "gpu": "speed, power, temperature",
    "switch": "network, power",
    "link": "network, power",
    "cooling_unit": "temperature, cooling power",
    "dry_cooler": "temperature, cooling power, water",
    "chiller": "temperature, cooling power",
    "pdu": "losses, failures of power",
    "ups": "losses, failures of power",
    "feed": "losses, failures of power",
    "climate": "temperature, cooling power",
    "failures": "interruptions, goodput",
    "recovery": "downtime, goodput",
    "storage": "checkpoints, restarts",
    "software": "step time, MFU",
    "model": "step time, memory",
}
_ABOUT = (
    "Every number of the catalogue that this run used. Judgement and assumptions come first, then "
    "what was fitted, published and measured."
)
_COMMAND_FILE = "scenario.yaml"
_LISTED_MAX, _TEXT_MAX, _VALUE_MAX = 400, 100_000, 40


def sources(reading: Reading) -> Section:
    """Every number with its source, the least certain first."""
    items = [item for item in reading.run.record.get("sources", []) if isinstance(item, dict)]
    question = "What did the run assume, and from which source?"
    if not items:
        return Section(
            "sources",
            question,
            "Nothing from the catalogue.",
            _ABOUT,
            None,
            empty="The run used no number of the catalogue.",
        )
    items.sort(key=lambda item: (_rank(item), str(item.get("path"))))
    uncertain = sum(1 for item in items if _rank(item) < 2)
    answer = f"{uncertain:,} of {len(items):,} numbers are judgement or assumptions"
    if reading.summary.metrics["goodput_frac"].basis.startswith("extrapolated"):
        answer += "; the job is larger than any that is published, so all that follows from its "
        answer += "failures is extrapolated"
    head = ("number", "value", "unit", "basis", "source", "year", "acts on")
    rows = [_row(item) for item in items[:_LISTED_MAX]]
    return Section(
        "sources",
        question,
        answer + ".",
        _ABOUT,
        None,
        body=data_table(Table("Every number with its source", head, rows), is_open=True),
    )


def _rank(item: dict[str, Any]) -> int:
    basis = item.get("basis")
    return _BASES.index(basis) if basis in _BASES else 0


def _row(item: dict[str, Any]) -> tuple[Any, ...]:
    value, path = item.get("value"), str(item.get("path", ""))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    shown = f"{value:.6g}" if is_number else _short(str(value))
    year = item.get("year")
    return (
        path,
        number(float(value) if isinstance(value, int | float) else 0.0, shown),
        str(item.get("unit", "")),
        str(item.get("basis", "")),
        str(item.get("source", "")),
        str(year) if year is not None else "",
        _ACTS_ON.get(path.split("/")[0], ""),
    )


def _short(text: str) -> str:
    return text if len(text) <= _VALUE_MAX else f"{text[:_VALUE_MAX]}…"


def scenario(reading: Reading) -> Section:
    """The scenario as it was run, and with every default spelled out."""
    text = str(reading.run.record.get("scenario", ""))
    about = "The scenario after extends and --set, as the run read it."
    question = "What was simulated?"
    if not text.strip():
        return Section(
            "scenario",
            question,
            "Not recorded.",
            about,
            None,
            empty="The run folder holds no scenario.",
        )
    rows = _defaults(text)[:_LISTED_MAX]
    given = len([row for row in rows if row[2] == "given"])
    answer = (
        f"{given} values are given, {len(rows) - given} are defaults."
        if rows
        else ("As written; this version of dcsim cannot read it again to spell out its defaults.")
    )
    head = ("key", "value", "from")
    note = "In SI units, as the simulation used them."
    shown = text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}\n... and more in run.json"
    whole = data_table(Table("Every value, defaults too", head, rows, note)) if rows else ""
    written = f"<details open><summary>As written</summary><pre>{escaped(shown)}</pre></details>"
    return Section("scenario", question, answer, about, None, body=written + whole)


def _defaults(text: str) -> list[tuple[str, str, str]]:
    """Key, value and whether it was given, of each value; empty where it cannot be read."""
    try:
        read = loads(text, "scenario")
        written = yaml.load(text, yaml.CSafeLoader)
    except (ScenarioError, yaml.YAMLError):
        return []
    given = {_bare(key) for key, _ in _leaves(written)}
    return [
        (key, str(value), "given" if _is_given(_bare(key), given) else "default")
        for key, value in _leaves(read.model_dump(mode="json", by_alias=True))
    ]


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        pairs = [(f"{path}.{key}" if path else str(key), part) for key, part in value.items()]
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        pairs = [(f"{path}.{index}", part) for index, part in enumerate(value)]
    else:
        return [(path, "none" if value in (None, [], {}) else value)]
    return [leaf for key, part in pairs for leaf in _leaves(part, key)]


def _bare(key: str) -> str:
    return key.lower()


def _is_given(key: str, given: set[str]) -> bool:
    """Whether a key, or what a short form of it stands for, was written."""
    return key in given or any(key.startswith(f"{one}.") for one in given)


def again(reading: Reading) -> Section:
    """How to make the run and this page again, and from what they were made."""
    record, folder = reading.run.record, shlex.quote(str(reading.run.folder))
    versions = record.get("versions", {})
    commands = "\n".join(
        (
            f"pip install dcsim=={versions.get('dcsim', '')}",
            f"dcsim run {_COMMAND_FILE} --seed {record.get('seed', 0)}"
            f" --inputs {folder}/inputs.arrow",
            f"dcsim report {folder}",
        )
    )
    facts = {
        "name": record.get("name", ""),
        "seed": record.get("seed", ""),
        "status": record.get("status", ""),
        "schema of the trace": record.get("schema_version", ""),
        **{f"version of {name}": version for name, version in versions.items()},
        **{name.replace("_", " "): value for name, value in record.items() if "digest" in name},
    }
    rows = [(str(name), str(value)) for name, value in facts.items()]
    table = data_table(Table("Versions, seed and digests", ("what", "value"), rows), is_open=True)
    answer = f"Save the scenario above as {_COMMAND_FILE}; the last command only writes this page "
    answer += "again from the trace."
    return Section(
        "again",
        "How is this page made again?",
        answer,
        "Same scenario, seed and versions give the same trace, byte for byte; compare the digests.",
        None,
        body=f"<pre>{escaped(commands)}</pre>{table}",
    )
