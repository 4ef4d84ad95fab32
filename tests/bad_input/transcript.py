"""Transcripts of broken scenarios: what is changed in the valid one, what is run, what is said.

Cases are parted by blank lines. The lines of a case begin with
`#` its title, `-` and `+` a text of `small.yaml` and what replaces it, `@` a further file (`\\n`
parts its lines), `$` arguments of dcsim (`run small.yaml` if there are none), `!` a line of
stderr, after `error: `. `python -m tests.bad_input.transcript FILE.txt` writes what is said now
into a transcript, for a change of words that was meant: read the difference.
"""

import contextlib
import io
import shlex
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from dcsim import cli

FOLDER = Path(__file__).parent
SMALL = (FOLDER.parent / "scenario" / "small.yaml").read_text(encoding="utf-8")


class Case(NamedTuple):
    title: str
    files: dict[str, str]
    arguments: list[str]
    says: list[str]


def cases(name: str) -> list[Case]:
    """All cases of a transcript; the valid scenario must contain each text that one replaces."""
    return [_case(lines) for lines in _blocks(name)]


def play(case: Case, folder: Path) -> tuple[object, str, list[str]]:
    """Exit code, stdout and lines of stderr of a case, run in *folder*, made and left as it was."""
    for name, text in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    before = sorted(folder.rglob("*"))
    out, err = io.StringIO(), io.StringIO()
    code = None
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(case.arguments)
        except SystemExit as stop:
            code = stop.code
    assert sorted(folder.rglob("*")) == before
    return code, out.getvalue(), err.getvalue().splitlines()


def _blocks(name: str) -> list[list[str]]:
    text = (FOLDER / name).read_text(encoding="utf-8")
    return [block.splitlines() for block in text.strip().split("\n\n")]


def _case(lines: list[str]) -> Case:
    marked: dict[str, list[str]] = {mark: [] for mark in "#-+@$!"}
    for line in lines:
        marked[line[0]].append(line[2:].replace("\\n", "\n").replace("\\t", "\t"))
    (title,) = marked["#"]
    text = SMALL
    for old, new in zip(marked["-"], marked["+"], strict=True):
        assert text.count(old) == 1, f"{title}: {old!r} is not once in small.yaml"
        text = text.replace(old, new)
    files = dict(line.split(" ", 1) for line in marked["@"])
    command = marked["$"] or ["run small.yaml"]
    return Case(title, {"small.yaml": text, **files}, shlex.split(command[0]), marked["!"])


def _rewrite(name: str) -> None:
    blocks = []
    for lines in _blocks(name):
        with tempfile.TemporaryDirectory() as folder:
            _, _, said = play(_case(lines), Path(folder))
        kept = [line for line in lines if not line.startswith("!")]
        blocks.append("\n".join([*kept, *(f"! {line.removeprefix('error: ')}" for line in said)]))
    (FOLDER / name).write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        _rewrite(argument)
