"""Instants and lengths of time as stories write and read them, and lines that are folded."""

import pytest

from dcsim.errors import InputError
from dcsim.report.stories.phrases import counted, folded, gpu_hours, instant, lasted, read_instant
from tests.report.stories.lab import MIN_NS


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("20 min", 20 * MIN_NS),
        ("12 d 3 h", (12 * 24 + 3) * 60 * MIN_NS),
        ("12d3h", (12 * 24 + 3) * 60 * MIN_NS),
        ("1.5 h", 90 * MIN_NS),
        ("12 d 03:14:07", (12 * 1440 + 194) * MIN_NS + 7 * 10**9),
        ("00:20:39.2", 20 * MIN_NS + 39_200_000_000),
        ("0 s", 0),
        ("99999999999999 d 00:00:01", (99_999_999_999_999 * 86_400 + 1) * 10**9),
    ],
)
def test_instants_are_read_as_they_are_written(text, at_ns):
    assert read_instant(text) == at_ns
    assert read_instant(instant(at_ns)) == at_ns


@pytest.mark.parametrize(
    "text", ["", "soon", "3", "3 parsec", "-5 min", "1 h 3", "25:99:00", "nan s", "1..2 s"]
)
def test_no_instants(text):
    with pytest.raises(InputError, match="--at "):
        read_instant(text)


def test_lengths_of_time():
    said = [lasted(s * 10**9) for s in (0, 12, 59.94, 60, 280, 3600, 90_000, 9 * 86_400 + 4 * 3600)]
    assert said == ["0 s", "12 s", "59.9 s", "1 min", "4 min 40 s", "1 h", "1 d 1 h", "9 d 4 h"]


def test_a_number_is_not_parted_from_its_unit():
    assert folded("it waited for 12 min 40 s then", 22) == ["it waited for", "12 min 40 s then"]


def test_a_page_of_marks_is_not_printed():
    assert folded("a\x1b[31m b\x00", 40) == [
        "a\N{REPLACEMENT CHARACTER}[31m b\N{REPLACEMENT CHARACTER}"
    ]


def test_counts_and_amounts():
    assert [counted(n, "gpu") for n in (1, 2)] == ["1 GPU", "2 GPUs"]
    assert [counted(n, "leaf") for n in (1, 2)] == ["1 leaf", "2 leaves"]
    assert [counted(n, "ups") for n in (1, 1200)] == ["1 UPS", "1,200 UPSs"]
    assert [gpu_hours(h * 3600) for h in (0.5, 99, 6.6e7)] == [
        "0.5 GPU-hours",
        "99 GPU-hours",
        "66,000,000 GPU-hours",
    ]
