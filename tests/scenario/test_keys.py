"""Every key says what it means, its default reads back, and every scenario fits the schema."""

import copy
import json

import fastjsonschema
import pytest

from dcsim import catalog
from dcsim.scenario import Scenario, load
from dcsim.scenario.fields import Leaf, Part
from dcsim.scenario.keys import keys_of
from dcsim.scenario.reader import read
from tests.scenario.test_load import SMALL
from tests.tidy import ROOT

KEYS = {key.path: key for key in keys_of(Scenario)}
SCENARIOS = [*sorted((ROOT / "scenarios").glob("*.yaml")), SMALL]


@pytest.fixture(scope="module")
def schema():
    return Scenario.json_schema()


@pytest.fixture(scope="module")
def validate(schema):
    asked = copy.deepcopy(schema)
    asked["$schema"] = "http://json-schema.org/draft-07/schema#"
    text = json.dumps(asked).replace("#/$defs/", "#/definitions/")
    asked = json.loads(text)
    asked["definitions"] = asked.pop("$defs")
    return fastjsonschema.compile(asked)


def parts(part: type[Part] = Scenario):
    """A part and all that it holds."""
    yield part
    for key in keys_of(part):
        if key.holds:
            yield key.holds


def leaves():
    """Each field with a leaf, as (name, leaf, field)."""
    for part in parts():
        for name, field in part.model_fields.items():
            for leaf in field.metadata:
                if isinstance(leaf, Leaf):
                    yield f"{part.__name__}.{name}", leaf, field


@pytest.mark.parametrize("key", KEYS.values(), ids=list(KEYS))
def test_every_key_says_what_it_means_and_what_is_allowed(key):
    assert key.meaning
    assert not key.meaning.endswith(".")
    assert key.allowed
    assert "_s`" not in key.meaning
    assert "None" not in key.meaning


def test_defaults_read_back_as_what_they_are():
    given = [(name, leaf, field) for name, leaf, field in leaves() if not field.is_required()]
    assert len(given) > 30
    for name, leaf, field in given:
        written = leaf.write(field.default)
        if written is not None:
            read_back = leaf.read(written)
            if isinstance(read_back, float):
                read_back = pytest.approx(read_back, rel=1e-12)
            assert field.default == read_back, name


def test_keys_know_what_is_needed_and_what_stands_there_otherwise():
    assert KEYS["sites.cooling.supply"].needed
    assert KEYS["sites.cooling.supply"].default is None
    assert KEYS["sites.cooling.chillers"].default == "auto"
    assert KEYS["sites.network.link"].default == "400 Gbit/s"
    assert KEYS["sites.cooling.loop_volume"].default == "10 m3/MW"
    assert KEYS["record.max_trace"].default == "2 GB"
    assert not KEYS["jobs.train.name"].needed
    assert KEYS["jobs.train.parallel"].holds is not None
    assert "sites.power.battery_s" not in KEYS


def test_the_schema_describes_every_key(schema):
    for part in (schema, *schema["$defs"].values()):
        assert part["description"]
        for name, written in part["properties"].items():
            assert written["description"], name
    link = schema["$defs"]["Network"]["properties"]["link"]
    assert link["default"] == "400 Gbit/s"
    assert "1 Gbit/s..10 Tbit/s" in link["description"]


def test_the_schema_lists_names_of_the_catalogue(schema):
    site = schema["$defs"]["Cooling"]["properties"]
    assert site["unit"]["enum"] == catalog.names("cooling_unit")
    names, _shape = schema["$defs"]["Job"]["properties"]["model"]["anyOf"]
    assert "llama3-405b" in names["enum"]
    assert "deepseek-v3" not in names["enum"]
    assert {"const": "none", "type": "string"} in schema["properties"]["failures"]["anyOf"]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_scenario_fits_the_schema(path, validate):
    validate(read(path.read_text(encoding="utf-8")).value)
    assert load(path).name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("supply: 30 degC", "suply: 30 degC"),
        ("count: 8", "count: eight"),
        ("count: 8", "count: 0"),
        ("unit: xdu1350", "unit: xdu1351"),
        ("fabric: rail-clos", "fabric: dragonfly"),
        ("preset: llama3-h100", "preset: llama4"),
        ("effect: down", "effect: up"),
        ("effect: down", "effect: {degrade: 2}"),
        ("hit: dallas/cdu/0", "hit: dallas"),
        ('goodput_frac: "> 0.1"', "goodput_frac: 0.1"),
        ("model: llama3-8b", "model: {layers: 3, depth: 2}"),
    ],
)
def test_what_a_run_refuses_the_schema_refuses_too(old, new, validate):
    text = SMALL.read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate(read(text.replace(old, new)).value)
