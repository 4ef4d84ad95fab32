"""The small page of a story or a comparison: what it may replace."""

from pathlib import Path

import pytest

from dcsim.errors import InputError
from dcsim.report.leaf import write_page


def test_a_page_replaces_only_a_page_and_whole(tmp_path, monkeypatch):
    page, record = tmp_path / "page.html", tmp_path / "run.json"
    record.write_text("{}")
    for path in (record, tmp_path, Path("/dev/null")):
        with pytest.raises(InputError, match="is there already, and no page of dcsim"):
            write_page(path, "title", [], "foot")
    assert record.read_text() == "{}"
    write_page(page, "title", [], "foot")
    write_page(page, "title", [], "foot")
    whole = page.read_text()

    def full(path, *_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_page(page, "title", [], "foot")
    assert raised.value.filename == str(page)
    assert page.read_text() == whole
