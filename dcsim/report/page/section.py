"""What a page is made of: a question, its answer in a sentence, plots, and the same as a table."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

NOT_KNOWN = "not known"
_CONTROL = {code: 0x2400 + code for code in range(32) if code not in (9, 10, 13)} | {127: 0x2421}
_TEX = ("$$", "\\(", "\\[")


class Cell(NamedTuple):
    """A number in a table: how it reads, and what it sorts by."""

    text: str
    number: float


class Table(NamedTuple):
    """Rows of text and numbers; `note` says what is not among them."""

    caption: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[str | Cell]]
    note: str = ""


class Section(NamedTuple):
    """One question of a reader.

    `about` defines what is shown; `body` is HTML that stands above the plots; where there is
    neither a plot nor a body, `empty` says why. A plot narrower than `width_px` scrolls.
    """

    key: str
    question: str
    answer: str
    about: str
    table: Table | None
    figures: tuple[Any, ...] = ()
    body: str = ""
    empty: str = ""
    width_px: int = 0


def escaped(text: object) -> str:
    """Any text as HTML: markup and control characters are shown, not obeyed."""
    visible = str(text).translate(_CONTROL).encode("utf-8", "replace").decode("utf-8")
    return html.escape(visible)


def plain(text: object) -> str:
    """Any text as it may be drawn into a plot, which would take some of it for formulas."""
    drawn = str(text).translate(_CONTROL)
    for begin in _TEX:
        drawn = drawn.replace(begin, " ".join(begin))
    return drawn


def number(value: float | None, text: str) -> Cell:
    """A cell of a number that reads as *text*, or that is not known and sorts last."""
    if value is None or not math.isfinite(value):
        return Cell(NOT_KNOWN, -math.inf)
    return Cell(text, float(value))


def count(value: float) -> Cell:
    """A cell of a whole number."""
    return Cell(f"{value:,.0f}", float(value))


def defined(text: str, about: str) -> str:
    """A word with its definition on hover and on focus."""
    return f'<abbr tabindex="0" title="{escaped(about)}">{escaped(text)}</abbr>'


def as_html(section: Section) -> str:
    """The section as HTML, with an empty place for each plot."""
    title = f"{section.question} {section.answer}"
    places = "".join(
        f'<div class="plot" id="{section.key}-{index}" role="img" aria-label="{escaped(title)}">'
        "</div>"
        for index in range(len(section.figures))
    )
    if section.width_px and places:
        wide = f'<div style="min-width:{section.width_px}px">{places}</div>'
        places = f'<div class="scroll" tabindex="0">{wide}</div>'
    if not places and not section.body:
        places = f'<p class="empty">{escaped(section.empty)}</p>'
    table = "" if section.table is None else data_table(section.table)
    return (
        f'<section class="card" id="{section.key}"><h2>{defined(section.question, section.about)}'
        f'</h2><p class="answer">{escaped(section.answer)}</p>{section.body}{places}{table}'
        "</section>"
    )


def data_table(table: Table, *, is_open: bool = False) -> str:
    """A table that opens on demand, sorts by a click on its head and can be copied."""
    if not table.rows:
        return f'<p class="note">{escaped(table.caption)}: none.</p>'
    note = f'<p class="note">{escaped(table.note)}</p>' if table.note else ""
    size = f"{len(table.rows):,} row{'s' * (len(table.rows) > 1)}"
    return (
        f"<details{' open' if is_open else ''}><summary>{escaped(table.caption)}"
        f' <span class="size">{size}</span></summary>{note}'
        f'<div class="scroll"><table><thead><tr>{_head(table)}</tr></thead>'
        f"<tbody>{''.join(map(_row, table.rows))}</tbody></table></div>"
        '<button type="button" class="copy">Copy table</button></details>'
    )


def _head(table: Table) -> str:
    cells = table.rows[0]
    return "".join(
        f'<th scope="col"{_kind(cell)}><button type="button">{escaped(name)}</button></th>'
        for name, cell in zip(table.head, cells, strict=True)
    )


def _kind(cell: str | Cell) -> str:
    return ' class="n"' if isinstance(cell, Cell) else ""


def _row(cells: Iterable[str | Cell]) -> str:
    return f"<tr>{''.join(map(_cell, cells))}</tr>"


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{escaped(cell)}</td>"
    value = f"{cell.number:.10g}" if math.isfinite(cell.number) else ""
    return f'<td class="n" data-v="{value}">{escaped(cell.text)}</td>'
