"""Pages of the reference: all of the code is in them, and they are found by what one calls it."""

import io

import pytest
from rich.console import Console

from dcsim.accounting.metrics import METRICS, PLACES
from dcsim.errors import EXITS, InputError
from dcsim.report import reference
from dcsim.report.help import markdown, show_page
from dcsim.report.lines import say
from dcsim.scenario import Scenario
from dcsim.scenario.record import METRICS as EXPECTED
from dcsim.trace.schema import EVENT_KINDS, TABLES
from dcsim.units import DIMENSIONS


def shown(page: reference.Page, width: int = 80) -> str:
    out = io.StringIO()
    show_page(page, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize(
    "topic",
    [
        "scenario.sites.cooling.supply",
        "scenario.cooling.supply",
        "sites.cooling.supply",
        "sites.dallas.cooling.supply",
        "cooling.supply",
        "scenario.supply",
        "supply",
    ],
)
def test_a_key_is_found_by_its_path_or_its_end(topic):
    page = reference.page([topic])
    assert page.title == "sites.cooling.supply"
    assert shown(page) == (
        "sites.cooling.supply\n"
        "supply  needed\n"
        "  set point of the facility water to the cooling units\n"
        "  allowed 5..60 degC (units degC)\n"
    )


def test_indices_of_lists_may_stand_in_a_path():
    assert reference.page(["jobs.0.train.parallel.tp"]).title == "jobs.train.parallel.tp"
    assert reference.page(["faults.3.at"]).title == "faults.at"


def test_an_end_that_several_keys_have_lists_them():
    names = [entry.name for entry in reference.page(["preset"]).entries]
    assert names == ["jobs.train.recovery.preset", "failures.preset"]


def test_a_part_lists_the_keys_directly_in_it():
    page = reference.page(["sites.cooling"])
    assert [entry.name for entry in page.entries] == [
        *("unit", "racks_per_unit", "supply", "dry_coolers", "dry_cooler"),
        *("chillers", "chiller", "pumps", "loop_volume"),
    ]
    heads = {entry.name: entry.head for entry in page.entries}
    assert heads["unit"] == "needed"
    assert heads["pumps"] == "default 4"
    assert heads["chillers"] == "default auto"


def test_a_metric_has_unit_and_definition():
    text = shown(reference.page(["metric", "pue"]))
    assert text.startswith("pue\npue  a number\n  power usage effectiveness: energy")
    assert [entry.name for entry in reference.page(["metric"]).entries] == [*METRICS, *PLACES]
    assert set(EXPECTED) <= set(METRICS)


def test_a_table_has_its_columns():
    page = reference.page(["trace", "site"])
    assert [entry.name for entry in page.entries] == [c.name for c in TABLES["site"].columns]
    power = next(entry for entry in page.entries if entry.name == "it_power_w")
    assert power.head == "W, double"
    kinds = [entry.name for entry in reference.page(["trace", "dim_event_kind"]).entries]
    assert set(EVENT_KINDS) <= set(kinds)
    assert [entry.name for entry in reference.page(["trace"]).entries] == list(TABLES)


def test_a_column_is_found_without_its_table_and_a_place_in_words():
    (entry,) = reference.page(["trace", "it_power_w"]).entries
    assert entry.name == "site it_power_w"
    (entry,) = reference.page(["trace", "rack", "power_w"]).entries
    assert entry.lines == ("mean since the previous row",)
    assert len(reference.page(["trace", "t_ns"]).entries) > 4
    assert reference.page(["metric", "lost", "work"]).title == "lost_work"


def test_errors_and_units():
    codes = [entry.name for entry in reference.page(["errors"]).entries]
    assert codes[: len(EXITS)] == [str(code) for code in EXITS]
    assert len(reference.page(["units"]).entries) == len(DIMENSIONS)
    assert reference.page(["units", "time"]).entries[0].lines == (
        "units s, ns, us, ms, min, h, d, y",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["metrik"], "help metrik: no such topic, did you mean 'metric'? allowed scenario, "),
        (["scenario.coling"], "help scenario.coling: no such key, did you mean 'cooling'? "),
        (["metric", "puu"], "help metric puu: not known, did you mean 'pue'? "),
        (["trace", "sites"], "help trace sites: not known, did you mean 'site'? "),
        (["trace", "gpu", "x"], "help trace gpu x: not known, did you mean 'gpu'? "),
        (["units", "tame"], "help units tame: not known, did you mean 'time'? "),
        (["errors", "2"], "help errors 2: not known, dcsim help errors lists all"),
        (["metric", "pue", "x"], "help metric pue x: not known, did you mean 'pue'? "),
        (["supply", "x"], "help supply x: allowed one word, or one of scenario, metric, "),
    ],
)
def test_an_unknown_topic_names_the_nearest(words, message):
    with pytest.raises(InputError) as raised:
        reference.page(words)
    assert str(raised.value).startswith(message)


def test_all_pages_hold_all_there_is():
    pages = {page.topic: page for page in reference.pages()}
    names = {entry.name for page in pages.values() for entry in page.entries}
    columns = {column.name for table in TABLES.values() for column in table.columns}
    keys = {path.rpartition(".")[2] for path in reference.KEYS}
    assert columns | keys | set(METRICS) | set(DIMENSIONS) <= names
    assert len(pages) == len(list(reference.pages()))
    assert {"extends", *(str(f.alias) for f in Scenario.model_fields.values())} <= names


def test_markdown_is_a_table_with_its_signs_spelled_out():
    page = reference.Page("x", "X", "About.", (reference.Entry("a_b", "1|2", ("a*b `c_d`",)),))
    assert markdown(page) == (
        "## X\n\nAbout.\n\n| | | |\n|---|---|---|\n| `a_b` | 1\\|2 | a\\*b `c_d` |\n"
    )
    for page in reference.pages():
        rows = [line for line in markdown(page).splitlines() if line.startswith("|")]
        assert {line.replace("\\|", "").count("|") for line in rows} == {4}


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_page_is_wider_than_the_terminal(width):
    for page in reference.pages():
        assert max(map(len, shown(page, width).splitlines())) <= min(width, 100)


def test_a_pipe_gets_no_colour_and_a_terminal_no_controls():
    out = io.StringIO()
    say(Console(file=out, width=40), "head", " text\x1b[31m red")
    assert out.getvalue() == "head text\\x1b[31m red\n"


def test_a_metric_and_a_table_are_found_without_their_topic():
    assert reference.page(["pue"]) == reference.page(["metric", "pue"])
    assert reference.page(["events"]) == reference.page(["trace", "events"])
