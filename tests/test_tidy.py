"""Each house rule holds in every file, and each can fail."""

import tomllib
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests import tidy
from tests.tidy import ROOT, Module, parse

Rule = Callable[[Module], Iterator[str]]


EVERYTHING = tidy.modules("dcsim", "bench", "tests")
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LONG_FUNCTION = "def long():\n" + "    x = 1\n" * 70
LONG_DOCSTRING = 'def short():\n    """' + "text\n" * 90 + '    """\n    return 1\n'
GATE = "    with lock, sim.change('pump', island) as edit:\n"
MODEL = "class GpuModel: ..."
VALID = '"""Valid: always.\n\nAccuracy: exact. Source: none.\n"""\n'

# Per rule: snippets (module name, source) that break it, then snippets that do not.
PLANTED: dict[Rule, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {
    tidy.layering: (
        [
            ("dcsim.engine.loop", "from dcsim.processes import node"),
            ("dcsim.engine.loop", "import dcsim.physics.gpu"),
            ("dcsim.physics.gpu", "def f():\n    from dcsim.report import page"),
            ("dcsim.scenario.site", "from ..world import tables"),
            ("dcsim.catalog", "from importlib import import_module\nimport_module('dcsim.cli')"),
            ("dcsim.world.network", "from dcsim import load"),
            ("dcsim.odds.ends", "import dcsim.units"),
            ("dcsim.world.network", "import dcsim"),
        ],
        [
            ("dcsim.world.network", "from dcsim.scenario import Scenario"),
            ("dcsim.world.network", "from . import tables\nfrom ..units import parse"),
            ("dcsim.simulation", "from dcsim import __version__"),
            ("dcsim.cli", "import dcsim"),
            ("dcsim.draws", "from dcsim.kernel import kernel"),
            ("tests.engine.test_loop", "import dcsim.cli"),
        ],
    ),
    tidy.fences: (
        [
            ("dcsim.world.cooling", "import numba"),
            ("dcsim.physics.gpu", "from simpy.events import Event"),
            ("dcsim.trace.reader", "def f():\n    import networkx as nx"),
        ],
        [("dcsim.physics.gpu", "import numba"), ("bench.run", "import simpy")],
    ),
    tidy.file_length: (
        [("dcsim.units", "x = 1\n" * 451)],
        [("dcsim.units", "x = 1\n" * 450)],
    ),
    tidy.function_length: (
        [("dcsim.units", LONG_FUNCTION), ("dcsim.units", "async " + LONG_FUNCTION)],
        [("dcsim.units", LONG_DOCSTRING)],
    ),
    tidy.complexity_waivers: (
        [("dcsim.units", "x = 1  # no" + "qa"), ("dcsim.units", "x = 1  # no" + "qa: E501, C901")],
        [("dcsim.units", "x = 1  # no" + "qa: E501")],
    ),
    tidy.module_names: (
        [
            ("dcsim.world.utils", ""),
            ("dcsim.helpers", ""),
            ("dcsim.trace", "from dcsim.trace.digest import digest"),
            ("dcsim.trace", "from .digest import digest"),
        ],
        [("dcsim.trace", "from dcsim.trace.digest import of_folder")],
    ),
    tidy.class_names: (
        [
            ("dcsim.engine.loop", "class LoopManager: ..."),
            ("dcsim.world.gpu", "class GpuEntity: ..."),
        ],
        [("dcsim.engine.loop", "class Sim: ...")],
    ),
    tidy.stubs: (
        [("dcsim.units", "x = 1  # TO" + "DO"), ("dcsim.units", "raise NotImplemented" + "Error")],
        [("dcsim.units", "todo = []")],
    ),
    tidy.private_names: (
        [
            ("dcsim.units", "def _f(): ..."),
            ("dcsim.units", "_X = 1"),
            ("dcsim.units", "_X: int = 1"),
        ],
        [("dcsim.units", "_X = 1\nY = _X"), ("dcsim.units", "@overload(f)\ndef _f(): ...")],
    ),
    tidy.wall_clock: (
        [
            ("dcsim.engine.loop", "import time"),
            ("dcsim.engine.loop", "from time import perf_counter"),
            ("dcsim.trace.run_folder", "import datetime\ndatetime.datetime.now()"),
            ("dcsim.trace.run_folder", "from datetime import date\ndate.today()"),
        ],
        [
            ("dcsim.report.progress", "import time"),
            ("dcsim.engine.loop", "sim.now()"),
            ("bench.run", "import time"),
        ],
    ),
    tidy.randomness: (
        [
            ("dcsim.inputs.failures", "import random"),
            ("dcsim.inputs.failures", "from uuid import uuid4"),
            ("dcsim.inputs.failures", "from numpy.random import default_rng"),
            ("dcsim.inputs.failures", "from numpy import random"),
            ("dcsim.inputs.failures", "import numpy as np\nnp.random.rand(3)"),
        ],
        [
            ("dcsim.inputs.failures", "from dcsim.draws import uniforms"),
            ("dcsim.campaign.design", "np.random.Generator(np.random.Philox(key=key))"),
        ],
    ),
    tidy.identity: (
        [("dcsim.engine.loop", "hash('x')"), ("dcsim.engine.loop", "names = {id(x): x}")],
        [("dcsim.engine.loop", "def __hash__(self): ...\nevent.id")],
    ),
    tidy.set_order: (
        [
            ("dcsim.engine.loop", "for x in set(names): ..."),
            ("dcsim.engine.loop", "[x for x in {1, 2} | other]"),
            ("dcsim.engine.loop", "for x in given.keys() - known: ..."),
            ("dcsim.engine.loop", "', '.join({'a', 'b'})"),
        ],
        [
            ("dcsim.engine.loop", "for x in sorted(set(names)): ..."),
            ("dcsim.engine.loop", "for x in given.keys(): ..."),
        ],
    ),
    tidy.yields_in_gate: (
        [
            ("dcsim.processes.node", f"def life(sim):\n{GATE}        fact = yield edit"),
            ("dcsim.processes.job", f"def f():\n{GATE}        if a:\n            yield from b"),
        ],
        [
            ("dcsim.processes.node", f"def f():\n{GATE}        g = lambda: (yield)\n    yield 2"),
            ("dcsim.processes.node", "def life():\n    with open('x'):\n        yield 1"),
        ],
    ),
    tidy.docstrings: (
        [
            ("dcsim.units", "x = 1"),
            ("dcsim.units", '"""Text."""\ndef parse(): ...'),
            ("dcsim.units", '"""Text."""\nclass Unit:\n    """Text."""\n    def show(self): ...'),
        ],
        [("dcsim.units", '"""Text."""\ndef _parse(): ...'), ("tests.test_units", "def f(): ...")],
    ),
    tidy.physics_docstrings: (
        [
            ("dcsim.physics.gpu", MODEL),
            ("dcsim.physics.gpu", "@kernel\ndef f(): ..."),
            ("dcsim.physics.gpu", "@kernel\ndef f(): ..."),
            ("dcsim.physics.gpu", VALID.replace("Accuracy", "Error") + MODEL),
            ("dcsim.physics.gpu", VALID.replace("Source", "From") + MODEL),
        ],
        [
            ("dcsim.physics.gpu", VALID + MODEL),
            ("dcsim.physics.site", "def models(): ..."),
            ("dcsim.world.gpu", MODEL),
        ],
    ),
    tidy.unit_suffixes: (
        [
            ("dcsim.world.gpu", "class Gpu(NamedTuple):\n    power: float"),
            ("dcsim.world.gpu", "class Gpu(NamedTuple):\n    temp: Annotated[F32, Col('degC')]"),
            ("dcsim.physics.gpu", "class Law:\n    heat: float | None = None"),
            ("dcsim.physics.gpu", "class Law:\n    clocks: NDArray[np.float32]"),
        ],
        [
            ("dcsim.world.gpu", "class Gpu(NamedTuple):\n    power_w: float\n    node: int"),
            ("dcsim.world.gpu", "class Gpu(NamedTuple):\n    temp_c_max: F32\n    hazard_x: Real"),
            ("dcsim.scenario.site", "class Site:\n    ratio: float"),
        ],
    ),
}
BREAKING = [(rule, *case) for rule, (bad, _) in PLANTED.items() for case in bad]
FITTING = [(rule, *case) for rule, (_, good) in PLANTED.items() for case in good]


def assert_none(messages: Iterable[str]) -> None:
    found = list(messages)
    assert not found, "\n" + "\n".join(found)


def module_of(name: str, text: str) -> Module:
    return parse(name, text, is_package=name == "dcsim.trace")


@pytest.mark.parametrize("rule", PLANTED, ids=lambda rule: rule.__name__)
def test_house_rule(rule):
    assert_none(message for module in EVERYTHING for message in rule(module))


@pytest.mark.parametrize(("rule", "name", "text"), BREAKING)
def test_a_rule_can_fail(rule, name, text):
    messages = list(rule(module_of(name, text)))
    assert messages
    assert all(message.startswith(f"{name}:") for message in messages)


@pytest.mark.parametrize(("rule", "name", "text"), FITTING)
def test_a_rule_lets_good_code_pass(rule, name, text):
    assert list(rule(module_of(name, text))) == []


def test_no_import_cycle():
    assert_none(tidy.cycles([m for m in EVERYTHING if m.name.startswith("dcsim")]))


def test_an_import_cycle_is_found_also_a_lazy_one():
    a = parse("dcsim.world.a", "from dcsim.world import b")
    b = parse("dcsim.world.b", "def f():\n    from dcsim.world.a import x")
    assert "dcsim.world.a" in " ".join(tidy.cycles([a, b]))
    assert list(tidy.cycles([a, parse("dcsim.world.b", "")])) == []


def test_every_public_name_is_used():
    pages = [ROOT / "pyproject.toml", ROOT / "README.md"]
    elsewhere = "\n".join(page.read_text(encoding="utf-8") for page in pages if page.exists())
    assert_none(tidy.public_names(EVERYTHING, elsewhere))


def test_an_unused_public_name_is_found():
    definition = parse("dcsim.units", "def parse(): ...")
    assert list(tidy.public_names([definition]))
    assert list(tidy.public_names([definition, parse("tests.test_units", "parse()")])) == []
    assert list(tidy.public_names([definition], "units.parse")) == []


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name)
def test_a_scenario_is_one_commented_page(path):
    assert_none(tidy.scenario_page(path.name, path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("text", ["# a\n# b\n# c\n" + "x: 1\n" * 58, "x: 1\n", "# a\nx: 1 # b\n"])
def test_a_scenario_page_can_fail(text):
    assert list(tidy.scenario_page("x.yaml", text))


def test_linters_are_strict():
    lint = CONFIG["tool"]["ruff"]["lint"]
    assert CONFIG["tool"]["ruff"]["line-length"] == 100
    assert lint["mccabe"]["max-complexity"] == tidy.MAX_COMPLEXITY
    assert "C90" in lint["select"]
    for waived in [lint["ignore"], *lint["per-file-ignores"].values()]:
        assert not [code for code in waived if code.startswith("C9")]
    assert CONFIG["tool"]["mypy"]["strict"] is True
    assert "dcsim" in CONFIG["tool"]["mypy"]["files"]


def test_the_top_level_is_fixed():
    visible = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    built = {"runs", "build", "dist", "__pycache__", "dcsim.egg-info"}
    allowed = {"pyproject.toml", "README.md", "Makefile", "LICENSE", "CHANGELOG.md"}
    assert visible - built <= allowed | {"dcsim", "scenarios", "tests", "bench"}
