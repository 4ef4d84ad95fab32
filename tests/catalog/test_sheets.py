"""The form of data sheets: what is read from them, and what is refused."""

import re
from pathlib import Path

import pytest
import yaml

from dcsim import catalog
from dcsim.catalog import sheets
from dcsim.errors import ScenarioError
from dcsim.physics.gpu import EXPONENT
from dcsim.units import unit_of

FOLDER = Path(sheets.__file__).parent / "data"
FILES = sorted(FOLDER.glob("*/*.yaml"))
EVERY = [(path.parent.name, path.stem) for path in FILES]

NUMBER = "{value: 700, unit: W, source: data sheet, year: 2022, basis: published}"
BROKEN = {
    "about": (f"tdp_w: {NUMBER}", "a mapping that begins with `about:` is needed"),
    "yaml": ("about: x\ntdp_w: [700}", "gpu/x: line 2: did not find expected ',' or ']'"),
    "bare": ("about: x\ntdp_w: 700", "text, a number with its source, or rows are needed"),
    "source": (
        "about: x\ntdp_w: {value: 700, unit: W, year: 2022, basis: published}",
        "missing ['source'], unknown []",
    ),
    "typo": (f"about: x\ntdp_w: {NUMBER[:-1]}, hihg: 2}}", "missing [], unknown ['hihg']"),
    "unit": (
        f"about: x\ntdp_c: {NUMBER}",
        "unit 'W' does not fit a name that promises 'degC'",
    ),
    "count": (f"about: x\nlayers: {NUMBER}", "unit 'W' does not fit a name that promises '1'"),
    "year": (f"about: x\ntdp_w: {NUMBER.replace('2022', '22')}", "year must lie in 1950..2100"),
    "basis": (
        f"about: x\ntdp_w: {NUMBER.replace('published', 'guess')}",
        "basis must be one of published, measured, fitted, judgement, assumption",
    ),
    "nan": (f"about: x\ntdp_w: {NUMBER.replace('700', '.nan')}", "nan is not a finite number"),
    "word": (f"about: x\ntdp_w: {NUMBER.replace('700', 'hot')}", "'hot' is not a finite number"),
    "range": (f"about: x\ntdp_w: {NUMBER[:-1]}, low: 800}}", "800.0 <= 700.0 <= 700.0"),
}


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_sheet_loads(kind: str, name: str) -> None:
    sheet = catalog.sheet(kind, name)
    assert sheet.about
    assert sheet.sources() or kind == "rack"
    for source in sheet.sources():
        key = source["path"].rsplit("/", 1)[1]
        assert source["unit"] == (unit_of(key) or "1")
        assert {"path", "value", "unit", "source", "year", "basis"} == set(source)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_text_of_every_sheet(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/work|shared/|facts|\bAI assistant", text)
    for node in _mappings(yaml.compose(text, Loader=yaml.CSafeLoader)):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"duplicate keys among {keys}"


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_what_is_recalled_is_a_judgement(kind: str, name: str) -> None:
    sheet = catalog.sheet(kind, name)
    for key in sheet:
        number = sheet.number(key)
        if "recalled" in number.source + number.note:
            assert number.basis in ("judgement", "assumption"), key
        if "taken over from" in number.note:
            assert number.basis == "assumption", key


def _mappings(node: yaml.Node) -> list[yaml.MappingNode]:
    """All mappings of a document, the outer first."""
    if isinstance(node, yaml.MappingNode):
        return [node, *(found for _, value in node.value for found in _mappings(value))]
    children = node.value if isinstance(node, yaml.SequenceNode) else []
    return [found for child in children for found in _mappings(child)]


def test_numbers_come_out_in_si() -> None:
    node = catalog.sheet("node", "hgx-h100-liquid")
    assert node["nic_byte_per_s"] == 50e9
    assert node["flow_per_gpu_m3_per_s"] == pytest.approx(1.05e-3 / 60)
    assert node.text("gpu") == "h100-sxm"
    assert node.list("psu_load_frac")[:2] == [0.0, 0.1]
    assert catalog.sheet("failures", "llama3-h100")["window_s"] == 54 * 86400


def test_levels_are_low_typical_and_high() -> None:
    recovery = catalog.sheet("recovery", "warm-spare")
    assert [recovery.at(level)["detect_s"] for level in catalog.LEVELS] == [10, 30, 600]
    assert recovery.at("typical") is recovery
    gpu = catalog.sheet("gpu", "h100-sxm")
    assert gpu.low("tdp_w") == gpu["tdp_w"] == gpu.high("tdp_w") == gpu.at("high")["tdp_w"] == 700


@pytest.mark.parametrize("level", catalog.LEVELS)
@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_level_moves_what_has_a_range_and_nothing_else(kind: str, name: str, level: str) -> None:
    sheet = catalog.sheet(kind, name)
    moved = sheet.at(level)
    assert (moved.kind, moved.name, moved.about) == (kind, name, sheet.about)
    assert list(moved) == list(sheet)
    for key in sheet:
        number = sheet.number(key)
        wanted = {"low": number.low, "typical": number.value, "high": number.high}[level]
        assert moved.number(key) == number._replace(value=wanted)


def test_rows_of_a_table_take_the_level_too() -> None:
    repairs = catalog.sheet("failures", "llama3-h100").at("high").rows("repairs")
    assert max(row["median_s"] for row in repairs if row.high("median_s") == 240 * 60) == 240 * 60


@pytest.mark.parametrize("level", catalog.LEVELS)
@pytest.mark.parametrize("name", catalog.names("gpu"))
def test_a_gpu_holds_together_at_every_level(name: str, level: str) -> None:
    gpu = catalog.sheet("gpu", name).at(level)
    assert gpu["throttle_c"] < gpu["slowdown_c"] < gpu["shutdown_c"]
    assert gpu["min_clock_hz"] < gpu["rated_clock_hz"] <= gpu["max_clock_hz"]
    assert gpu["cap_min_w"] <= gpu["tdp_w"] <= gpu["cap_max_w"]
    assert gpu["static_w"] + gpu["leak_w"] < gpu["tdp_w"]
    assert 0 < gpu["activity_wait_frac"] < gpu["activity_finetune_frac"]
    assert gpu["clock_exponent_frac"] == EXPONENT
    assert all(0 < gpu[key] < 1 for key in gpu if key.startswith("gemm_"))


@pytest.mark.parametrize("level", catalog.LEVELS)
@pytest.mark.parametrize("name", catalog.names("node"))
def test_a_node_holds_together_at_every_level(name: str, level: str) -> None:
    node = catalog.sheet("node", name).at(level)
    assert node["host_idle_w"] <= node["host_busy_w"]
    assert node["fan_idle_w"] <= node["fan_nominal_w"]
    assert 0 <= node["liquid_capture_frac"] <= 1
    assert node["gpus_count"] == catalog.sheet("node", name)["gpus_count"]


@pytest.mark.parametrize("level", catalog.LEVELS)
@pytest.mark.parametrize("name", catalog.names("recovery"))
def test_a_save_costs_no_more_than_it_takes(name: str, level: str) -> None:
    """A stall that is longer than the time between saves would leave no time to train."""
    sheet = catalog.sheet("recovery", name).at(level)
    assert 0 < sheet["local_stall_s"] < 60
    assert 0 < sheet["remote_stall_s"] < 3600


def test_a_sheet_cannot_be_changed() -> None:
    sheet = catalog.sheet("climate", "dallas")
    sheet.list("dry_bulb_c")[0][0] = 99.0
    assert sheet.list("dry_bulb_c")[0][0] != 99.0
    assert catalog.sheet("climate", "dallas") is sheet
    with pytest.raises(TypeError):
        sheet["pressure_pa"] = 0.0  # type: ignore[index]


def test_rows_are_sheets_and_bring_their_sources() -> None:
    sheet = catalog.sheet("failures", "llama3-h100")
    hbm = next(row for row in sheet.rows("classes") if row.text("name") == "hbm")
    assert hbm["events_count"] == 72
    paths = [source["path"] for source in sheet.sources()]
    assert "failures/llama3-h100/hbm/events_count" in paths
    assert len(paths) == len(set(paths))


def test_what_a_sheet_leaves_out_is_assumed() -> None:
    own, other = catalog.sheet("gpu", "h800-sxm"), catalog.sheet("gpu", "h100-sxm")
    assert own["nvlink_byte_per_s"] == 200e9
    assert own.number("nvlink_byte_per_s").basis == "published"
    assert own.about != other.about
    assert set(own) == set(other)
    taken = own.number("tdp_w")
    assert taken == other.number("tdp_w")._replace(
        basis="assumption", note="taken over from h100-sxm"
    )
    assert own.text("links") == other.text("links")


def test_what_is_assumed_twice_says_where_it_began() -> None:
    note = catalog.sheet("gpu", "gb300").number("sigma_leak_frac").note
    assert note == "taken over from h100-sxm"


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("gpu", "h100", "the catalogue has no gpu 'h100'; did you mean 'h100-sxm'?"),
        ("gpu", "h200-sxn", "the catalogue has no gpu 'h200-sxn'; did you mean 'h200-sxm'?"),
        (
            "gpu",
            "a100",
            "the catalogue has no gpu 'a100'; did you mean 'a100-40-sxm' or 'a100-80-sxm'?",
        ),
        ("feed", "xyz", "the catalogue has no feed 'xyz'; it has mv-10mw, mv-40mw"),
        ("gpus", "h100", "the catalogue has no kind 'gpus'; did you mean 'gpu'?"),
    ],
)
def test_unknown_names_get_the_nearest(kind: str, name: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=f"^{re.escape(message)}$"):
        catalog.sheet(kind, name)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda sheet: sheet["tdp"], "gpu/h100-sxm has no number 'tdp'"),
        (lambda sheet: sheet.text("tdp_w"), "gpu/h100-sxm has no text 'tdp_w'"),
        (lambda sheet: sheet.rows("parts"), "gpu/h100-sxm has no table 'parts'"),
        (lambda sheet: sheet.list("tdp_w"), "gpu/h100-sxm: tdp_w is one number, not a list"),
    ],
)
def test_a_key_that_is_not_there(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(KeyError, match=re.escape(message)):
        call(catalog.sheet("gpu", "h100-sxm"))


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_broken_sheets_are_refused(case: str) -> None:
    text, message = BROKEN[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        sheets.parse("gpu", "x", text)
