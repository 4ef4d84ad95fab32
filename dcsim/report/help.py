"""Pages of the reference, in a terminal and as Markdown."""

from collections.abc import Iterator

from rich.console import Console

from dcsim.report.lines import say
from dcsim.report.reference import Entry, Page

_INDENT = "  "


def show_page(page: Page, console: Console) -> None:
    """Print *page*: a line for each entry, what there is to say about it below."""
    say(console, page.title)
    say(console, "", page.about, indent="")
    for entry in page.entries:
        say(console, entry.name, f"  {entry.head}".rstrip())
        for line in entry.lines:
            say(console, "", line, first=_INDENT)


def markdown(page: Page) -> str:
    """Return *page* as a section of Markdown with a table."""
    lines = [f"## {page.title}", "", page.about, "", "| | | |", "|---|---|---|"]
    return "\n".join([*lines, *(_row(entry) for entry in page.entries)]) + "\n"


def _row(entry: Entry) -> str:
    return "| " + " | ".join(_cells(entry)) + " |"


def _cells(entry: Entry) -> Iterator[str]:
    yield f"`{entry.name}`"
    yield _escaped(entry.head)
    yield _escaped("; ".join(entry.lines))


def _escaped(text: str) -> str:
    """Spell out what Markdown would take for a table, a tag or emphasis, outside of code."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        for sign in "\\|*_<>":
            parts[place] = parts[place].replace(sign, f"\\{sign}")
    return "`".join(parts)
