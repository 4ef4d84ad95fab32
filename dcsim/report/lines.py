"""Lines for a terminal: a head that stands out, a text behind it, wrapped to the width there is."""

from textwrap import wrap

from rich.console import Console
from rich.text import Text

WIDTH_MAX = 100


def say(
    console: Console,
    head: str,
    text: str = "",
    *,
    head_style: str = "bold",
    style: str = "",
    first: str = "",
    indent: str = "  ",
) -> None:
    """Print *head* and *text*; *first* goes before them, *indent* before each further line."""
    whole = first + printable(head) + printable(text)
    width = min(console.width, WIDTH_MAX)
    lines = wrap(whole, width, subsequent_indent=indent, break_on_hyphens=False)
    for number, line in enumerate(lines):
        shown = Text(line, style)
        if not number:
            shown.stylize(head_style, len(first), min(len(first) + len(head), len(line)))
        console.print(shown, soft_wrap=True)


def printable(text: str) -> str:
    """Return *text* with what a terminal would obey spelled out."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()
