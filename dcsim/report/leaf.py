"""One small page of text and tables: offline, escaped, readable in print, dark and on a phone."""

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from dcsim.errors import InputError
from dcsim.trace import write_atomically

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; line-height: 1.3; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { text-align: left; padding: .15rem 1rem .15rem 0; border-bottom: 1px solid #8884; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
ul { list-style: none; margin: 0; padding: 0; }
li { border-left: 2px solid #0072b2; padding: .1rem 0 .1rem .6rem; }
time { font-variant-numeric: tabular-nums; opacity: .75; margin-right: .6rem; }
footer { margin-top: 2rem; font-size: .85rem; opacity: .75; }
@media print { body { max-width: none; margin: 0; } li { break-inside: avoid; } }
"""
_INDENT_REM = 1.5
_BEGIN = "<!doctype html>"


def write_page(path: Path, title: str, parts: Iterable[str], foot: str) -> None:
    """Write a page with this title and these parts, all or nothing.

    Raises:
        InputError: something else lies there.
        OSError: it cannot be written.
    """
    if os.path.lexists(path) and not _is_page(path):
        raise InputError(f"{path}: is there already, and no page of dcsim")
    write_atomically(
        path,
        f"{_BEGIN}\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escaped(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>{escaped(title)}</h1>\n"
        + "\n".join(parts)
        + f"\n<footer>{escaped(foot)}</footer>\n</body></html>\n",
    )


def _is_page(path: Path) -> bool:
    """Whether a file begins as our pages do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_BEGIN)) == _BEGIN.encode()


def heading(text: str) -> str:
    """A heading within the page."""
    return f"<h2>{escaped(text)}</h2>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escaped(text)}</p>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns of numbers are set to the right."""
    kinds = [' class="number"' if are_numbers(rows, place) else "" for place in range(len(head))]
    lines = [_row("th", head, kinds), *(_row("td", row, kinds) for row in rows)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def chain(steps: Iterable[tuple[str, int, str]]) -> str:
    """A list of what happened: time, depth below its first cause, text."""
    items = (
        f'<li style="margin-left:{_INDENT_REM * depth:g}rem"><time>{escaped(time)}</time>'
        f"{escaped(text)}</li>"
        for time, depth, text in steps
    )
    return "<ul>\n" + "\n".join(items) + "\n</ul>"


def escaped(text: str) -> str:
    """Text that is only text in HTML, without control characters."""
    return escape(printable(text))


def printable(text: str) -> str:
    """Text in which a mark stands for each character that is not printed."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def are_numbers(rows: Sequence[Sequence[str]], place: int) -> bool:
    """Whether most of what a column holds is numbers."""
    cells = [row[place] for row in rows if row[place]]
    return 2 * sum(cell.lstrip("+-<")[:1].isdigit() for cell in cells) > len(cells)


def _row(tag: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    pairs = zip(cells, kinds, strict=True)
    return "<tr>" + "".join(f"<{tag}{kind}>{escaped(c)}</{tag}>" for c, kind in pairs) + "</tr>"
