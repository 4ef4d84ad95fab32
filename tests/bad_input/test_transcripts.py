"""Broken scenarios and arguments: each says exactly what is wrong, exits 2 and writes nothing."""

import re
from itertools import chain

import pytest

from tests.bad_input.transcript import FOLDER, Case, cases, play

TRANSCRIPTS = sorted(path.name for path in FOLDER.glob("*.txt"))
CASES = [
    pytest.param(case, id=f"{name.removesuffix('.txt')}: {case.title}")
    for name in TRANSCRIPTS
    for case in cases(name)
]


def kind_of(message: str) -> str:
    """The message without its place, path, value and numbers."""
    what = re.sub(r"^\S+ is ", "it is ", message.rpartition(": ")[2])
    return re.sub(r"\d+|'.*?'", "_", what)


@pytest.mark.parametrize("case", CASES)
def test_case(case: Case, tmp_path):
    code, out, err = play(case, tmp_path)
    assert err == [f"error: {line}" for line in case.says]
    assert (code, out) == (2, "")


def test_the_corpus_is_large_and_varied():
    everything = list(chain.from_iterable(map(cases, TRANSCRIPTS)))
    titles = [case.title for case in everything]
    assert len(titles) == len(set(titles)) >= 60
    assert len({kind_of(line) for case in everything for line in case.says}) >= 40
