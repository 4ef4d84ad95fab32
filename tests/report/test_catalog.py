"""The catalogue as it is shown: every sheet with all its numbers, or what a scenario uses."""

import io
import json

import pytest
from rich.console import Console

from dcsim import catalog, load
from dcsim.errors import ScenarioError
from dcsim.report import catalog as report
from dcsim.world import sources_of
from tests.tidy import ROOT

SHEETS = [(kind, name) for kind in catalog.KINDS for name in catalog.names(kind)]
FIRST = ROOT / "scenarios" / "first.yaml"


def shown(kind=None, name=None, width=80):
    out = io.StringIO()
    report.show_catalog(kind, name, Console(file=out, width=width))
    return out.getvalue()


def test_kinds_and_names():
    assert "climate: ashburn, dallas, phoenix, seattle\n" in shown()
    assert "h100-sxm  NVIDIA H100 SXM5 with 80 GB of HBM3\n" in shown("gpu")
    assert report.values_of(None, None)["climate"] == ["ashburn", "dallas", "phoenix", "seattle"]
    assert list(report.values_of("gpu", None)) == catalog.names("gpu")


@pytest.mark.parametrize(("kind", "name"), SHEETS)
def test_every_sheet_shows_every_number_with_its_source(kind, name):
    sheet = catalog.sheet(kind, name)
    text = shown(kind, name)
    assert max(map(len, text.splitlines())) <= 80
    numbers = dict(report.numbers_of(sheet))
    assert len(numbers) == len(sheet.sources())
    lines = text.splitlines()
    for path, number in numbers.items():
        assert any(line.startswith(f"{path}  ") or line == path for line in lines), path
        assert f"    {number.basis} {number.year}: {number.source[:20]}" in text
    assert json.dumps(report.values_of(kind, name), allow_nan=False)


def test_a_number_shows_unit_range_and_lists_what_they_span():
    text = shown("failures", "llama3-h100")
    assert "window_s  54 d\n" in text
    assert "frailty_sigma_frac  1.14 (1 .. 1.3)\n" in text
    assert "classes/gpu/events_count  148\n" in text
    assert "dry_bulb_c  12 x 24 values, 4.9 .. 36 degC\n" in shown("climate", "dallas")
    assert "psu_load_frac  0, 0.1, 0.2, 0.5, 1\n" in shown("node", "hgx-h100-liquid")


def test_what_a_scenario_uses_is_what_its_run_will_list():
    scenario = load(FIRST)
    sheets = report.sheets_used(scenario)
    paths = [source["path"] for sheet in sheets for source in sheet.sources()]
    assert paths == [source["path"] for source in sources_of(scenario)]
    out = io.StringIO()
    report.show_used(sheets, Console(file=out, width=80))
    assert f"{len(paths)} numbers, " in out.getvalue().splitlines()[-1]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("gpus", None, "the catalogue has no kind 'gpus'; did you mean 'gpu'?"),
        ("h100-sxm", None, "h100-sxm is a name, not a kind: dcsim catalog gpu h100-sxm"),
        ("gpu", "h100", "the catalogue has no gpu 'h100'; did you mean 'h100-sxm'?"),
        ("node", "h100-sxm", "h100-sxm is no node: dcsim catalog gpu h100-sxm"),
        ("gpus", "h100-sxm", "the catalogue has no kind 'gpus'; did you mean 'gpu'?"),
    ],
)
def test_what_is_not_there_names_what_is(kind, name, message):
    for ask in (shown, report.values_of):
        with pytest.raises(ScenarioError, match=f"^{message.replace('?', '[?]')}$"):
            ask(kind, name)
