"""The examples in the docstrings are run as they stand."""

import doctest
import shutil
from pathlib import Path

import pytest

from dcsim import api
from tests.tidy import ROOT


def test_what_the_docstrings_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(api)
    assert found.attempted > 15
    assert found.failed == 0
