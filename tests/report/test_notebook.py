"""A run in a notebook: the summary as HTML that carries no script and no markup of others."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

import dcsim
from dcsim.accounting import summarise
from dcsim.report import notebook, sentence
from dcsim.report.words import COLOURS, words_of
from tests.accounting.handmade import Job, Site, running, write_run

VOID = {"br", "hr", "img"}
NASTY = "<script>alert(1)</script>&\"'"


class Page(HTMLParser):
    """Collects tags and texts, and sees that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.styles: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.styles += [value for name, value in attrs if name == "style"]
        assert {name for name, _ in attrs} <= {"style", "scope"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def one_job(folder: Path, gpu: str = "h100"):
    run = write_run(
        folder,
        end_h=1,
        sites=[Site(16, gpu=gpu)],
        jobs=[Job(16)],
        segments=[running(0, 1, 16, 10, throttling=0.25)],
        site_rows=[{"at_h": 1, "it_power_w": 10e3, "site_power_w": 12e3}],
    )
    return run, summarise(run)


def test_it_says_what_the_terminal_says(tmp_path):
    run, summary = one_job(tmp_path / "run")
    page = Page(notebook.html(run, summary))
    assert sentence(run, summary) in page.texts
    assert {"goodput", "100.0%", "power", "12 kW", "PUE", "1.00"} <= set(page.texts)
    assert {words_of(share.name) for share in summary.waterfall} <= set(page.texts)


def test_bars_are_as_long_as_their_shares(tmp_path):
    page = Page(notebook.html(*one_job(tmp_path / "run")))
    assert any(f"width:100.00%;background:{COLOURS['useful']}" in style for style in page.styles)
    assert any(f"width:33.33%;background:{COLOURS['throttling']}" in style for style in page.styles)


def test_markup_of_others_stays_text(tmp_path):
    folder = tmp_path / "<b>run"
    page = Page(notebook.html(*one_job(folder, gpu=NASTY)))
    assert page.tags == {"div", "p", "table", "caption", "tr", "th", "td"}
    assert str(folder) in page.texts
    assert any(NASTY.upper() in text for text in page.texts)


def test_colours_of_text_are_those_of_the_notebook(tmp_path):
    page = Page(notebook.html(*one_job(tmp_path / "run")))
    for style in page.styles:
        names = [part.split(":")[0] for part in style.split(";")]
        assert "color" not in names
    grounds = {part for style in page.styles for part in style.split(";") if "background" in part}
    assert grounds <= {"background:none", *(f"background:{colour}" for colour in COLOURS.values())}


def test_a_run_shows_itself(tmp_path):
    run, summary = one_job(tmp_path / "run")
    shown = dcsim.Run(run.folder)
    assert shown._repr_html_() == notebook.html(run, summary)
    assert repr(shown) == f"<dcsim.Run {run.folder} done>"


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_run_that_did_not_end_shows_itself_too(tmp_path, status):
    run = write_run(tmp_path / "run", end_h=1, status=status)
    assert Page(dcsim.Run(run.folder)._repr_html_()).texts
