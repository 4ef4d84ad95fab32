"""Packaging: what is installed, what an import costs, and that all runners run the same."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, version

import pytest
import yaml

import dcsim
from tests import tidy
from tests.tidy import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = {"numba", "pydantic", "pyarrow", "numpy", "networkx", "simpy", "scipy"}
IMPORT_NAMES = {"pyyaml": "yaml"}
RUN_AND_LIST = """
import json, sys
try:
    {code}
except SystemExit as stop:
    assert not stop.code, stop.code
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(code: str) -> set[str]:
    command = [sys.executable, "-c", RUN_AND_LIST.format(code=code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_version_is_the_same_everywhere():
    assert dcsim.__version__ == PROJECT["project"]["version"] == version("dcsim")


def test_the_changelog_knows_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text or f"## [{dcsim.__version__}]" in text


def test_the_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="dcsim")
    assert command.value == PROJECT["project"]["scripts"]["dcsim"]
    assert callable(command.load())


def test_import_is_light():
    assert not loaded_by("import dcsim") & HEAVY


def test_help_is_light():
    assert not loaded_by("sys.argv[1:] = ['--help']; from dcsim.cli import main; main()") & HEAVY


def test_loading_a_scenario_compiles_nothing():
    loaded = loaded_by(f"from dcsim import load; load({str(ROOT / 'scenarios/first.yaml')!r})")
    assert "pydantic" in loaded
    assert "numba" not in loaded


@pytest.mark.parametrize("name", dcsim.__all__)
def test_what_is_promised_can_be_imported(name):
    assert getattr(dcsim, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = dcsim.lode


def test_dependencies_are_what_is_imported():
    declared = {re.split("[<>=]", text)[0].lower() for text in PROJECT["project"]["dependencies"]}
    declared = {IMPORT_NAMES.get(name, name) for name in declared}
    targets = [target for module in tidy.modules("dcsim") for _, target in tidy.imports(module)]
    imported = {target.split(".")[0] for target in targets} - sys.stdlib_module_names - {"dcsim"}
    assert imported == declared


def test_data_files_are_packaged():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["dcsim"]
    packaged = {path for pattern in patterns for path in (ROOT / "dcsim").glob(pattern)}
    data = {
        p for p in (ROOT / "dcsim").rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc"}
    }
    assert data <= packaged
    assert ROOT / "dcsim" / "py.typed" in packaged


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for path in (ROOT / "dcsim").rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_make_alone_lists_the_targets():
    targets = [line.split()[1] for line in make().splitlines()]
    assert targets == [
        *("help", "setup", "run", "test", "lint", "bench", "validate", "reference", "picture")
    ]


def test_make_test_runs_lint_types_and_tests():
    commands = make("-n", "test")
    for tool in ("ruff check", "ruff format --check", "mypy", "pytest"):
        assert f".venv/bin/{tool}" in commands


def test_make_run_simulates_the_main_scenario():
    assert ".venv/bin/dcsim run scenarios/h100-200k.yaml" in make("-n", "run")


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o100
    assert "make test" in script.read_text(encoding="utf-8").splitlines()
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["test"]["steps"]
    assert {"run": ".ci/run"} in steps
    assert "3.11" in [step.get("with", {}).get("python-version") for step in steps]
