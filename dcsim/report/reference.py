"""The reference, read off the code: keys of a scenario, metrics, columns of a trace, errors, units.

`page(words)` gives one page; `pages()` gives all of them, for a site.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from dcsim import units
from dcsim.accounting.metrics import DEFINITIONS, Definition
from dcsim.errors import EXITS, InputError
from dcsim.scenario import Scenario
from dcsim.scenario.fields import nearest
from dcsim.scenario.keys import Key, keys_of
from dcsim.trace.schema import EVENT_KINDS, JOB_STATES, TABLES, THING_KINDS, Column, Table


class Entry(NamedTuple):
    """One thing that a page explains: its name, what it is in a few words, and sentences."""

    name: str
    head: str
    lines: tuple[str, ...]


class Page(NamedTuple):
    """*topic* is how `dcsim help` is asked for it."""

    topic: str
    title: str
    about: str
    entries: tuple[Entry, ...]


KEYS = {key.path: key for key in keys_of(Scenario)}


def page(words: Sequence[str]) -> Page:
    """Return the page that *words* ask for; raises InputError with the nearest topic."""
    topic, *rest = words
    if topic in _TOPICS:
        return _TOPICS[topic](" ".join(rest))
    if rest:
        raise InputError(f"help {' '.join(words)}: allowed one word, or one of {_NAMES} before it")
    if topic.startswith("scenario."):
        return scenario_page(topic.removeprefix("scenario."))
    if _found_keys(topic):
        return scenario_page(topic)
    if topic in DEFINITIONS:
        return metric_page(topic)
    if topic in TABLES:
        return trace_page(topic)
    hint = nearest(topic, [*_TOPICS, *DEFINITIONS, *TABLES])
    raise InputError(f"help {topic}: no such topic, {hint}allowed {_NAMES}")


def pages() -> Iterator[Page]:
    """Yield every page, each thing in one of them."""
    yield contents_page()
    yield scenario_page("")
    for key in KEYS.values():
        if key.holds:
            yield _part_page(key)
    yield metric_page("")
    yield trace_page("")
    for table in TABLES.values():
        yield _table_page(table)
    yield errors_page("")
    yield units_page("")


def contents_page() -> Page:
    """Return the list of topics."""
    entries = (
        Entry("scenario", "keys of a scenario file", ("dcsim help scenario.cooling",)),
        Entry("metric", "numbers of a summary", ("dcsim help metric pue",)),
        Entry("trace", "tables of a run and their columns", ("dcsim help trace site",)),
        Entry("errors", "exit codes, and how messages read", ("dcsim help errors",)),
        Entry("units", "how quantities are written", ("dcsim help units time",)),
    )
    about = "What the code says of itself; of a command, `dcsim COMMAND --help` tells more."
    return Page("", "Topics", about, entries)


# Scenario


def scenario_page(path: str) -> Page:
    """Return the page of a key by its path or the end of it; of the whole scenario for ''."""
    if not path:
        entries = tuple(_entry(key) for key in KEYS.values() if "." not in key.path)
        about = "One YAML file, read strictly. dcsim help scenario.cooling shows what one of them "
        about += "holds; names and numbers in a path may be left out."
        extends = Entry("extends", "text", ("path of a file that this one is laid over",))
        return Page("scenario", "Keys of a scenario file", about, (*entries, extends))
    found = _found_keys(path)
    if not found:
        hint = nearest(path, [*KEYS, *(_last(name) for name in KEYS)])
        raise InputError(f"help scenario.{path}: no such key, {hint}dcsim help scenario lists all")
    if len(found) > 1:
        about = "Keys of a scenario file whose path ends so."
        entries = tuple(_entry(key)._replace(name=key.path) for key in found)
        return Page(f"scenario.{path}", path, about, entries)
    (key,) = found
    return _part_page(key) if key.holds else _key_page(key)


def _found_keys(path: str) -> list[Key]:
    """Return the key of this path, with names and indices in it or not, or those ending so."""
    steps = [step for step in path.split(".") if not step.isdecimal()]
    if steps[0] == "sites" and f"sites.{'.'.join(steps[1:2])}" not in KEYS:
        del steps[1:2]
    exact = KEYS.get(".".join(steps))
    return [exact] if exact else [key for name, key in KEYS.items() if name.endswith(f".{path}")]


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _part_page(key: Key) -> Page:
    inside = [other for name, other in KEYS.items() if name.rpartition(".")[0] == key.path]
    about = f"{_capital(key.meaning)}; {key.allowed}."
    return Page(f"scenario.{key.path}", key.path, about, tuple(map(_entry, inside)))


def _key_page(key: Key) -> Page:
    return Page(f"scenario.{key.path}", key.path, "", (_entry(key),))


def _entry(key: Key) -> Entry:
    if key.needed:
        standing = "needed"
    elif key.default is None:
        standing = "may be left out"
    else:
        shown = ", ".join(key.default) if isinstance(key.default, list) else key.default
        standing = f"default {str(shown).lower() if isinstance(shown, bool) else shown}"
    allowed = () if key.holds else (f"allowed {key.allowed}",)
    lines = (key.meaning, *allowed) if key.meaning else allowed
    return Entry(_last(key.path), standing, lines)


# Metrics, traces, errors, units


def metric_page(asked: str) -> Page:
    """Return the page of one number of a summary, or of all for ''."""
    name = asked.replace(" ", "_")
    if not name:
        about = "In `summary.json`, each with unit, low, high and basis; then the waterfall, whose "
        about += "places add up to 1."
        return Page(
            "metric", "Numbers of a summary", about, tuple(map(_metric, DEFINITIONS.items()))
        )
    if name not in DEFINITIONS:
        raise _unknown("metric", asked, list(DEFINITIONS))
    return Page(f"metric {name}", name, "", (_metric((name, DEFINITIONS[name])),))


def _metric(named: tuple[str, Definition]) -> Entry:
    name, definition = named
    lines = (definition.meaning, *filter(None, [definition.convention]))
    unit = "a share" if definition.unit == "1" and name.endswith("_frac") else definition.unit
    return Entry(name, "a number" if unit == "1" else unit, lines)


def trace_page(asked: str) -> Page:
    """Return the page of one table of a trace, or of the columns of a name, or the list for ''."""
    if not asked:
        entries = tuple(Entry(t.name, "", (t.meaning,)) for t in TABLES.values())
        about = "Arrow files in the folder `traces` of a run; unit and meaning of each column are "
        about += "in the metadata of its schema, too."
        return Page("trace", "Tables of a trace", about, entries)
    if asked in TABLES:
        return _table_page(TABLES[asked])
    columns = {
        f"{table.name} {column.name}": _column(column)
        for table in TABLES.values()
        for column in table.columns
    }
    found = [e._replace(name=name) for name, e in columns.items() if asked in (name, e.name)]
    if not found:
        raise _unknown("trace", asked, [*TABLES, *(entry.name for entry in columns.values())])
    return Page(f"trace {asked}", asked, "", tuple(found))


def _table_page(table: Table) -> Page:
    entries = (*map(_column, table.columns), *_DIMENSIONS.get(table.name, ()))
    return Page(f"trace {table.name}", table.name, f"{_capital(table.meaning)}.", entries)


def _column(column: Column) -> Entry:
    unit = units.unit_of(column.name) or ""
    head = ", ".join(filter(None, [unit, _type(str(column.type))]))
    return Entry(column.name, head, (column.meaning,))


def _type(arrow: str) -> str:
    return "list" if arrow.startswith("fixed_size_list") else arrow.replace("string", "text")


_DIMENSIONS = {
    "dim_event_kind": tuple(Entry(k, "event", (meaning,)) for k, meaning in EVENT_KINDS.items()),
    "dim_thing_kind": (Entry("kinds", "", (", ".join(THING_KINDS),)),),
    "dim_job_state": (Entry("states", "", (", ".join(JOB_STATES),)),),
}

_MESSAGES = (
    Entry(
        "of a scenario",
        "",
        (
            "h100.yaml:41: sites.dallas.cooling.supply = 95 degC: allowed 5..60 degC",
            "file and line, path, value and what is allowed; all that is wrong of a kind at once: "
            "how it is written, values, contradictions, what does not fit into the world",
        ),
    ),
    Entry("of a value of --set", "", ("--set seed=x: seed = x: allowed a whole number ...",)),
    Entry("of a data file", "", ("d.epw:9: field 7 (dry bulb) = 99.9 degC: allowed -70..70 degC",)),
)


def errors_page(asked: str) -> Page:
    """Return exit codes, and how messages read."""
    if asked:
        raise _unknown("errors", asked, [])
    codes = tuple(Entry(str(code), "exit code", (meaning,)) for code, meaning in EXITS.items())
    about = "Messages go to stderr, a line each, behind `error: `. Nothing is written before all "
    about += "that was given is found to be right."
    return Page("errors", "Errors", about, (*codes, *_MESSAGES))


def units_page(asked: str) -> Page:
    """Return how a quantity of one dimension is written, or of all for ''."""
    if asked and asked not in units.DIMENSIONS:
        raise _unknown("units", asked, list(units.DIMENSIONS))
    chosen = [asked] if asked else list(units.DIMENSIONS)
    entries = tuple(Entry(each, "", (units.allowed(each),)) for each in chosen)
    about = "A number and a unit, such as `30 min` or `400 Gbit/s`; inside, and in what comes out, "
    about += "all is SI with bytes and degC."
    return Page(f"units {asked}".strip(), "Units", about, entries)


_TOPICS: dict[str, Callable[[str], Page]] = {
    "scenario": scenario_page,
    "metric": metric_page,
    "trace": trace_page,
    "errors": errors_page,
    "units": units_page,
}


_NAMES = ", ".join(_TOPICS)


def _unknown(topic: str, asked: str, known: Sequence[str]) -> InputError:
    hint = nearest(asked, known)
    return InputError(f"help {topic} {asked}: not known, {hint}dcsim help {topic} lists all")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
