"""Layers of a scenario: extends, --set and --seed, and where each value was given."""

from pathlib import Path

import pytest

from dcsim.errors import ScenarioError
from dcsim.scenario import document
from dcsim.scenario.document import Document

BASE = "name: base\nsites:\n  a: {x: 1, y: 2}\nfaults:\n  - {at: 1 d}\n  - {at: 2 d}\n"


def of_files(folder: Path, files: dict[str, str], *overrides: str, seed: int | None = None):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return document.from_file(folder / next(iter(files)), overrides, seed)


def of_text(*overrides: str, text: str = BASE) -> Document:
    return document.from_text(text, "base.yaml", overrides, None)


def problems(folder: Path, files: dict[str, str], *overrides: str) -> list[str]:
    with pytest.raises(ScenarioError) as refusal:
        of_files(folder, files, *overrides)
    return [message.replace(f"{folder}/", "") for message in refusal.value.messages]


def test_a_file_is_laid_over_what_it_extends(tmp_path):
    child = "extends: lib/base.yaml\nname: child\nsites:\n  a: {y: 3}\n  b: {z: 4}\n"
    asked = of_files(tmp_path, {"child.yaml": child, "lib/base.yaml": BASE})
    assert asked.values == {
        "name": "child",
        "sites": {"a": {"x": 1, "y": 3}, "b": {"z": 4}},
        "faults": [{"at": "1 d"}, {"at": "2 d"}],
    }
    assert asked.files == ("child.yaml", "base.yaml")
    assert asked.where("sites.a.x") == "base.yaml:3"
    assert asked.where("sites.a.y") == "child.yaml:4"
    assert asked.where("faults.1.at") == "base.yaml:6"


def test_extends_is_relative_to_the_file_that_says_so(tmp_path):
    files = {
        "deep/top.yaml": "extends: ../mid/mid.yaml\n",
        "mid/mid.yaml": "extends: low.yaml\na: 1\n",
        "mid/low.yaml": "b: 2\n",
    }
    assert of_files(tmp_path, files).values == {"b": 2, "a": 1}


def test_a_list_replaces_a_list_and_forgets_its_places(tmp_path):
    child = "extends: base.yaml\nfaults:\n  - {for: 3 d}\n"
    asked = of_files(tmp_path, {"child.yaml": child, "base.yaml": BASE})
    assert asked.values["faults"] == [{"for": "3 d"}]
    assert asked.where("faults.0.at") == "child.yaml:3"
    assert asked.where("faults.1.at") == "child.yaml:2"


def test_null_removes_what_was_inherited_and_nothing_else(tmp_path):
    child = "extends: base.yaml\nsites:\n  a: {x: null, w: null}\n"
    asked = of_files(tmp_path, {"child.yaml": child, "base.yaml": BASE})
    assert asked.values["sites"]["a"] == {"y": 2, "w": None}


def test_the_command_line_comes_last_in_its_order():
    asked = of_text("sites.a.x=5", "sites.a.x=6", "faults.0.at=9 d", "new.deep=1e9", "name=null")
    assert asked.values == {
        "sites": {"a": {"x": 6, "y": 2}},
        "faults": [{"at": "9 d"}, {"at": "2 d"}],
        "new": {"deep": 1e9},
    }
    assert asked.where("sites.a.x") == "--set sites.a.x=6"
    assert asked.where("faults.0.at") == "--set faults.0.at=9 d"
    assert asked.where("faults.1.at") == "base.yaml:6"


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("v=no", "no"),
        ("v=true", True),
        ("v='5'", "5"),
        ('v="> 0.9"', "> 0.9"),
        ("v=> 0.9", "> 0.9"),
        ("v=a=b", "a=b"),
        ("v={tp: 8, pp: [1, 2]}", {"tp": 8, "pp": [1, 2]}),
        ("v=dallas/cdu/*", "dallas/cdu/*"),
        ("v=", None),
    ],
)
def test_a_set_value_is_a_word_or_flow_yaml(override, value):
    assert of_text(override).values["v"] == value


def test_an_index_one_past_the_end_appends():
    asked = of_text("faults.2={at: 3 d}", "faults.3.at=4 d")
    assert [fault["at"] for fault in asked.values["faults"]] == ["1 d", "2 d", "3 d", "4 d"]
    assert asked.where("faults.2.at") == "--set faults.2={at: 3 d}"


def test_item_0_of_what_is_missing_makes_a_list():
    assert of_text("jobs.0.train.tp=8").values["jobs"] == [{"train": {"tp": 8}}]


def test_a_mapping_set_on_a_mapping_is_laid_over_it():
    assert of_text("sites.a={y: 7}").values["sites"]["a"] == {"x": 1, "y": 7}


def test_the_seed_of_the_command_line_wins(tmp_path):
    asked = of_files(tmp_path, {"a.yaml": "seed: 1\n"}, "seed=2", seed=3)
    assert asked.values == {"seed": 3}
    assert asked.where("seed") == "--seed 3"


def test_where_falls_back_to_what_is_around():
    asked = of_text()
    assert asked.where("sites.a.power.feed") == "base.yaml:3"
    assert asked.where("duration") == "base.yaml"
    assert asked.where("") == "base.yaml"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sites", "allowed path.to.key=value"),
        ("=5", "allowed path.to.key=value"),
        ("a..b=5", "allowed path.to.key=value"),
        ("extends=x.yaml", "allowed path.to.key=value"),
        ("faults.5.at=1 d", "'5' is no index of a list that holds 2, from 0"),
        ("faults.-1.at=1 d", "'-1' is no index of a list that holds 2, from 0"),
        ("faults.at=1 d", "'at' is no index of a list that holds 2, from 0"),
        ("name.first=x", "'first' lies inside a value that has no keys"),
        ("v={a: 1, a: 2}", "a is given twice, first on line 1"),
        ("v={a: 1", "not valid YAML: did not find expected ',' or '}' "
         "(while parsing a flow mapping from line 1)"),
        ("v=[*x]", "anchors and aliases (& and *) are not read, use extends"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_refused(override, message):
    with pytest.raises(ScenarioError) as refusal:
        of_text(override)
    assert refusal.value.messages == (f"--set {override}: {message}",)


@pytest.mark.parametrize(
    ("files", "messages"),
    [
        ({"a.yaml": "extends: a.yaml\n"},
         ["a.yaml:1: extends = a.yaml: extends goes in a circle: a.yaml extends a.yaml"]),
        ({"a.yaml": "extends: b.yaml\n", "b.yaml": "x: 1\nextends: c.yaml\n",
          "c.yaml": "extends: b.yaml\n"},
         ["c.yaml:1: extends = b.yaml: extends goes in a circle: "
          "b.yaml extends c.yaml extends b.yaml"]),
        ({"a.yaml": "x: 1\nextends: no.yaml\n"}, ["a.yaml:2: extends = no.yaml: no such file"]),
        ({"a.yaml": "extends: lib\n", "lib/b.yaml": ""},
         ["a.yaml:1: extends = lib: is a folder, not a file"]),
        ({"a.yaml": "extends: [b.yaml]\n"},
         ["a.yaml:1: extends: allowed the path of one file"]),
        ({"a.yaml": "x: 1\nx: 2\nextends: b.yaml\n"},
         ["a.yaml:2: x is given twice, first on line 1",
          "a.yaml:3: extends = b.yaml: no such file"]),
        ({"a.yaml": "extends: b.yaml\n", "b.yaml": "x: 1\nx: 2\nx: 3\n"},
         ["b.yaml:2: x is given twice, first on line 1",
          "b.yaml:3: x is given twice, first on line 2"]),
        ({"a.yaml": ""}, ["a.yaml:1: a scenario is a mapping of keys, such as `name: first`"]),
        ({"a.yaml": "- 1\n"}, ["a.yaml:1: a scenario is a mapping of keys, such as `name: first`"]),
        ({"a.yaml": f"x: {'y' * 1_000_001}\n"}, ["a.yaml: larger than 1,000,000 bytes"]),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(tmp_path, files, messages):
    assert problems(tmp_path, files) == messages


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("name: x\nsite: Z\xfcrich\n".encode("latin-1"))
    with pytest.raises(ScenarioError, match=r"^latin.yaml:2: not UTF-8 text$"):
        document.from_file(tmp_path / "latin.yaml", (), None)


def test_a_byte_order_mark_is_ignored(tmp_path):
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfname: x\n")
    assert document.from_file(tmp_path / "bom.yaml", (), None).values == {"name": "x"}


def test_paths_of_data_files_are_relative_to_the_file_that_names_them(tmp_path):
    base = "sites:\n  a: {weather: {epw: data/a.epw}}\n"
    asked = of_files(tmp_path, {"top.yaml": "extends: lib/base.yaml\n", "lib/base.yaml": base})
    assert asked.values["sites"]["a"]["weather"]["epw"] == str(tmp_path / "lib/data/a.epw")
