"""YAML, strictly: what plain words mean, what is refused, and the line of every key."""

import string
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dcsim.scenario import reader


def value_of(text: str) -> Any:
    reading = reader.read(text)
    assert reading.problems == []
    return reading.value


def problems_of(text: str) -> list[tuple[int, str]]:
    return reader.read(text).problems


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e9", 1e9),
        ("-2.5E-3", -2.5e-3),
        (".5", 0.5),
        ("54", 54),
        ("+7", 7),
        ("1234567890123456789012", 1234567890123456789012.0),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12:30", "12:30"),
        ("2024-07-01", "2024-07-01"),
        ("0x10", "0x10"),
        ("010", "010"),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        ("1.2.3", "1.2.3"),
        ("54 d", "54 d"),
        ("'54'", "54"),
        ('"true"', "true"),
    ],
)
def test_words(word: str, value: object) -> None:
    read = value_of(f"key: {word}")["key"]
    assert read == value
    assert type(read) is type(value)


def test_every_key_and_item_knows_its_line() -> None:
    text = "a:\n  b: 1\n  c:\n    - x\n    - d: {e: 2}\n# comment\nf: |\n  long\n  text\ng: end\n"
    lines = reader.read(text).lines
    assert lines == {
        "a": 1, "a.b": 2, "a.c": 3, "a.c.0": 4, "a.c.1": 5, "a.c.1.d": 5, "a.c.1.d.e": 5,
        "f": 7, "g": 10,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\nb: 2\na: 3\n", [(3, "a is given twice, first on line 1")]),
        ("s:\n  x: 1\n  x: 2\n", [(3, "s.x is given twice, first on line 2")]),
        ("a: &x 1\n", [(1, "anchors and aliases (& and *) are not read, use extends")]),
        ("a: !!python/object:os.system {}\n",
         [(1, "tags are not read: tag:yaml.org,2002:python/object:os.system")]),
        ("a: 1\n<<: {b: 2}\n", [(2, "merge keys (<<) are not read, use extends")]),
        ("a: 1\n---\nb: 2\n", [(2, "a second document; one file holds one scenario")]),
        ("? [a, b]\n: 1\n", [(1, "a key must be a plain word")]),
        ('"a\\nb": 1\n', [(1, "a key must be a plain word")]),
        ("a: [1, 2\nb: 3\n", [(2, "not valid YAML: did not find expected ',' or ']' "
                                   "(while parsing a flow sequence from line 1)")]),
        ("a: 1\n\tb: 2\n",
         [(2, "not valid YAML: found a tab character that violates indentation "
              "(while scanning a plain scalar from line 1)")]),
        ("a: \x07\n", [(1, "not valid YAML: control characters are not allowed")]),
        ("[" * 40, [(1, "nested deeper than 32 levels")]),
        ("a: 1\na: 2\nb: *c\na: 3\n",
         [(2, "a is given twice, first on line 1"),
          (3, "anchors and aliases (& and *) are not read, use extends"),
          (4, "a is given twice, first on line 2")]),
    ],
)  # fmt: skip
def test_refusals(text: str, problems: list[tuple[int, str]]) -> None:
    assert problems_of(text) == problems


def test_a_billion_laughs_costs_nothing() -> None:
    rows = ["a0: &a0 [lol]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20)]
    reading = reader.read("\n".join(rows))
    assert {line for line, _ in reading.problems} == set(range(1, 21))


def test_an_empty_text_is_none() -> None:
    assert value_of("") is None
    assert value_of("# only a comment\n") is None


KEYS = st.text(string.ascii_letters, min_size=1, max_size=6)
PLAIN = (
    st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(string.ascii_letters + " ", max_size=8)
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(PLAIN, lambda t: st.lists(t, max_size=3) | st.dictionaries(KEYS, t, max_size=3)),
    max_size=4,
)


@given(TREES)
def test_what_a_safe_dump_writes_is_read_back(tree: dict[str, Any]) -> None:
    assert value_of(yaml.safe_dump(tree)) == tree


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    reader.read(text)


@given(TREES)
def test_each_path_has_a_line(tree: dict[str, Any]) -> None:
    def paths(value: Any, path: str) -> set[str]:
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        members = {reader.join(path, key): member for key, member in inner}
        return set(members).union(
            *(paths(m, p) for p, m in members.items() if isinstance(m, dict | list))
        )

    text = yaml.safe_dump(tree)
    lines = reader.read(text).lines
    assert set(lines) == paths(tree, "")
    for path, line in lines.items():
        last = path.rpartition(".")[2]
        assert last.isdecimal() or last in text.splitlines()[line - 1]
