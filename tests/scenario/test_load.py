"""A scenario file becomes SI attributes, and keeps its digest however it was written."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dcsim import catalog
from dcsim.errors import ScenarioError
from dcsim.scenario import Bound, Effect, Shape, load, loads
from dcsim.scenario.fields import Part, written_key

SMALL = Path(__file__).parent / "small.yaml"
LLAMA_8B = "{layers: 32, hidden: 4096, heads: 32, kv_heads: 8, ffn: 14336, vocab: 128256}"


def small(*overrides: str, seed: int | None = None):
    return load(SMALL, overrides, seed)


def messages(*overrides: str) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as refusal:
        small(*overrides)
    return refusal.value.messages


def test_written_values_become_si_attributes():
    scenario = small("sites.dallas.power_cap=600 W", "sites.dallas.price={usd_per_kwh: 0.06}")
    site, job, fault = scenario.sites["dallas"], scenario.jobs[0], scenario.faults[0]
    assert (scenario.name, scenario.seed, scenario.duration_s) == ("small", 7, 7200.0)
    assert (site.nodes.type, site.nodes.count) == ("hgx-h100-liquid", 8)
    assert site.network.link_byte_per_s == 50e9
    assert site.cooling.supply_c == 30.0
    assert site.power_cap_w == 600.0
    assert (site.price.usd_per_kwh, site.price.co2_g_per_kwh) == (0.06, None)
    assert (job.name, job.model, job.spares) == ("pretrain", "llama3-8b", 1)
    assert (job.parallel.tp, job.parallel.pp, job.parallel.dp) == (8, 1, 7)
    assert (job.recovery.preset, job.recovery.level) == ("warm-spare", "typical")
    assert (scenario.failures.preset, scenario.failures.scale) == ("llama3-h100", 1.0)
    assert (fault.at_s, fault.for_s, fault.effect) == (3600.0, 600.0, Effect("down", 0.0))
    assert scenario.expect == {"goodput_frac": Bound(">", 0.1)}


def test_defaults():
    scenario = loads(
        "name: bare\nduration: 1 h\nsites:\n  a:\n"
        "    nodes: {type: hgx-h100-air, count: 2}\n"
        "    power: {racks_per_ups: 1, racks_per_pdu: 1}\n"
        "    cooling: {unit: crah-150, racks_per_unit: 1, supply: 20 degC}\n"
        "    weather: {constant: 25 degC}\n"
    )
    site, record = scenario.sites["a"], scenario.record
    assert (scenario.seed, scenario.jobs, scenario.faults, scenario.expect) == (0, (), (), {})
    assert scenario.failures is None
    assert scenario.start == datetime.fromisoformat("2024-07-01T00:00")
    assert site.network.fabric == "rail-clos"
    assert site.racks.nodes_per_rack == 8
    assert (site.power.battery_s, site.power.feed_capacity_w) == (None, None)
    assert site.power.protected_cooling == ("cdu_pumps", "facility_pumps")
    assert (site.cooling.dry_coolers, site.cooling.chillers) == (None, None)
    assert site.cooling.loop_m3_per_w == pytest.approx(10 / 1e6)
    assert (site.weather.climate, site.weather.epw, site.weather.constant_c) == (None, None, 25)
    assert (record.site_every_s, record.rack_every_s, record.gpus) == (300, 900, "around-faults")
    assert record.max_trace_byte == 2e9


def test_a_job_has_defaults_and_a_name():
    scenario = small("jobs.0.train.name=null", "jobs.0.train.checkpoint={remote_every: 30 min}")
    (job,) = scenario.jobs
    assert job.name == "job-0"
    assert (job.arrive_s, job.site, job.target, job.evaluation) == (0.0, None, None, None)
    assert (job.micro_batch, job.interleave, job.activity) == (1, 1, "pretrain")
    assert (job.checkpoint.every_s, job.checkpoint.remote_every_s) == (None, 1800.0)
    assert job.checkpoint.local is True


def test_short_and_long_forms_say_the_same():
    long = small(
        "jobs.0.train.recovery={preset: warm-spare}",
        "sites.dallas.cooling.chillers=auto",
        "jobs.0.train.checkpoint={every: auto}",
    )
    assert long.digest == small().digest
    assert small("failures=llama3-h100").digest == small().digest
    assert small("failures=none").failures is None


def test_other_forms_of_values():
    scenario = small(
        "jobs.0.train.recovery={preset: as-2024, level: high, detect: 5 min}",
        "jobs.0.train.target={tokens: 15.6e12}",
        "faults.0.effect={degrade: 0.5}",
        "maintenance.0={every: 7 d, for: 1 h, rolling: 0.05}",
        "maintenance.1={every: 7 d, for: 1 h, hit: dallas/node/0-3}",
        "start=2025-02-28T12:00",
        "sites.dallas.power.protected_cooling=[facility_pumps]",
    )
    job = scenario.jobs[0]
    assert (job.recovery.level, job.recovery.detect_s, job.recovery.load_s) == ("high", 300.0, None)
    assert job.target.tokens == 15_600_000_000_000
    assert scenario.faults[0].effect == Effect("degrade", 0.5)
    assert [work.rolling_frac for work in scenario.maintenance] == [0.05, None]
    assert [work.hit for work in scenario.maintenance] == [None, "dallas/node/0-3"]
    assert scenario.start == datetime.fromisoformat("2025-02-28T12:00")
    assert scenario.sites["dallas"].power.protected_cooling == ("facility_pumps",)


def test_a_model_is_named_or_given():
    given_inline = small(f"jobs.0.train.model={LLAMA_8B}").jobs[0]
    assert isinstance(given_inline.model, Shape)
    assert given_inline.model == (32, 4096, 32, 8, 14336, 128256, True, False)
    for name in catalog.names("model"):
        assert small(f"jobs.0.train.model={name}").jobs[0].model == name


def test_nothing_can_be_changed():
    scenario = small()
    with pytest.raises(ValueError, match="frozen"):
        scenario.seed = 8
    with pytest.raises(ValueError, match="frozen"):
        scenario.sites["dallas"].cooling.supply_c = 5.0


@pytest.mark.parametrize(
    "override",
    [
        "duration=120 min",
        "duration=7.2e3 s",
        "sites.dallas.network.link=50 GB/s",
        "record={site_every: 5 min}",
        "start=2024-07-01",
        "sites.dallas.gpu_spread=1.0",
        "jobs.0.train.batch=7e1",
        "expect.goodput_frac=>0.10",
    ],
)
def test_the_digest_does_not_see_how_a_value_is_written(override):
    assert small(override).digest == small().digest


@pytest.mark.parametrize(
    "override",
    ["duration=121 min", "sites.dallas.nodes.count=9", "name=other", "faults=[]", "expect=null"],
)
def test_the_digest_sees_what_differs(override):
    assert small(override).digest != small().digest


def test_the_digest_does_not_see_the_seed():
    assert small(seed=8).seed == 8
    assert small(seed=8).digest == small().digest


def test_the_digest_does_not_see_where_a_weather_file_lies(tmp_path):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.epw").touch()
    change = "sites.dallas.weather={{climate: null, epw: {}/a.epw}}"
    here, there = (small(change.format(tmp_path / folder)) for folder in ("here", "there"))
    assert here.digest == there.digest
    assert there.sites["dallas"].weather.epw == tmp_path / "there" / "a.epw"


def test_the_text_is_the_whole_scenario(tmp_path):
    (tmp_path / "child.yaml").write_text(f"extends: {SMALL}\nname: child\nfaults: []\n")
    child = load(tmp_path / "child.yaml", ["duration=3 h"])
    again = loads(child.text)
    assert again.digest == child.digest
    assert again.seed == 7
    assert "extends" not in yaml.safe_load(child.text)
    assert child.sources_files == ("child.yaml", "small.yaml")


def test_where():
    scenario = small("faults.0.at=10 min")
    assert scenario.where("sites.dallas.cooling.supply") == "small.yaml:17"
    assert scenario.where("faults.0.at") == "--set faults.0.at=10 min"
    assert scenario.where("faults.0.hit") == "small.yaml:30"
    assert scenario.where("sites.dallas.cooling.pumps") == "small.yaml:14"
    assert scenario.where("record.gpus") == "small.yaml"


def test_all_errors_come_at_once_each_with_its_place():
    assert messages(
        "duration=54", "sites.dallas.cooling.supply=95 degC", "jobs.0.train.precision=fp9", "sed=1"
    ) == (
        "--set duration=54: duration = 54: a unit is needed, "
        "allowed units s, ns, us, ms, min, h, d, y",
        "--set sites.dallas.cooling.supply=95 degC: sites.dallas.cooling.supply = 95 degC: "
        "allowed 5..60 degC",
        "--set jobs.0.train.precision=fp9: jobs.0.train.precision = fp9: "
        "did you mean 'fp8'? allowed bf16, fp16, fp8, nvfp4",
        "--set sed=1: sed: unknown key, did you mean 'seed'? allowed name, seed, duration, start, "
        "sites, jobs, failures, faults, maintenance, levels, record, expect",
    )


def test_contradictions_come_at_once_too():
    found = messages("duration=30 min", "jobs.0.train.site=dalas")
    assert [message.split(": ")[1].split(" = ")[0] for message in found] == [
        "jobs.0.train.site",
        "faults.0.at",
    ]


def test_a_job_must_fit_on_one_of_the_sites_at_least():
    site = "{nodes: {type: hgx-h100-air, count: 64}, power: {racks_per_ups: 8, racks_per_pdu: 2}, "
    site += "cooling: {unit: crah-150, racks_per_unit: 1, supply: 20 degC}, "
    site += "weather: {climate: phoenix}}"
    larger = ("jobs.0.train.parallel.dp=35", f"sites.phoenix={site}")
    assert len(small(*larger).sites) == 2
    (message,) = messages(*larger, "jobs.0.train.site=dallas")
    assert message.endswith("GPUs and 1 spare node need 36 nodes, dallas has 8")


@pytest.mark.parametrize(
    ("sign", "value", "meets", "fails"),
    [(">", 1.0, 1.1, 1.0), (">=", 1.0, 1.0, 0.9), ("<", 1.0, 0.9, 1.0), ("<=", 1.0, 1.0, 1.1)],
)
def test_bounds(sign, value, meets, fails):
    assert Bound(sign, value).holds(meets)
    assert not Bound(sign, value).holds(fails)


def test_unmet_expectations_are_named_with_their_place():
    scenario = small("expect.mfu_frac=>= 0.3", "expect.pue=< 1.2")
    summary = {"goodput_frac": {"value": 0.05}, "mfu_frac": {"value": None}, "pue": {"value": 1.1}}
    assert scenario.unmet(summary) == [
        "small.yaml:31: expect.goodput_frac = > 0.1: came out as 0.05",
        "--set expect.mfu_frac=>= 0.3: expect.mfu_frac = >= 0.3: is not known",
    ]


def test_the_json_schema_describes_the_keys_of_the_file():
    schema = small().json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert set(yaml.safe_load(SMALL.read_text())) <= set(schema["properties"])
    cooling = schema["$defs"]["Cooling"]
    assert cooling["additionalProperties"] is False
    assert cooling["properties"]["supply"]["description"].endswith("5..60 degC (units degC)")
    assert "required" not in cooling
    short, _long = schema["$defs"]["Job"]["properties"]["recovery"]["anyOf"]
    assert "warm-spare" in short["enum"]


def parts(of: type[Part] = Part) -> list[type[Part]]:
    return [part for child in of.__subclasses__() for part in (child, *parts(child))]


def test_every_part_says_what_it_is_and_no_two_attributes_share_a_key():
    for part in parts():
        keys = [field.alias for field in part.model_fields.values()]
        assert part.__doc__
        assert len(set(keys)) == len(keys)


def test_the_key_is_the_attribute_without_its_unit():
    assert written_key("supply_c") == "supply"
    assert written_key("link_byte_per_s") == "link"
    assert written_key("rolling_frac") == "rolling"
    assert written_key("micro_batch") == "micro_batch"


@given(st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=8)))
def test_any_mapping_is_a_scenario_error_or_a_scenario(values):
    with pytest.raises(ScenarioError):
        loads(yaml.safe_dump(values))


LEAVES = [
    "duration", "seed", "start", "sites", "jobs", "failures", "faults", "record", "expect",
    "sites.dallas", "sites.dallas.nodes.count", "sites.dallas.network.link",
    "sites.dallas.cooling", "sites.dallas.cooling.chillers", "sites.dallas.weather",
    "sites.dallas.power.protected_cooling", "sites.dallas.gpu_spread", "jobs.0", "jobs.0.train",
    "jobs.0.train.model", "jobs.0.train.parallel", "jobs.0.train.recovery", "jobs.0.train.name",
    "faults.0", "faults.0.effect", "faults.0.hit", "maintenance.0", "expect.goodput_frac",
]  # fmt: skip
ODD = ["[]", "{}", "{a: 1}", "[1]", "-1", "0", "1e400", ".nan", "true", "x", "5 %", "''", "[[]]"]


@pytest.mark.parametrize("path", LEAVES)
def test_odd_values_anywhere_are_refused_in_words(path):
    for value in ODD:
        try:
            small(f"{path}={value}")
        except ScenarioError as refusal:
            for message in refusal.messages:
                assert message.startswith((f"--set {path}={value}", "small.yaml:"))
                assert "Input should" not in message


def test_import_and_load_are_light():
    code = (
        "import sys\n"
        "from dcsim.scenario import load\n"
        f"load({str(SMALL)!r})\n"
        "assert not {'numba', 'numpy', 'pyarrow', 'networkx'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
