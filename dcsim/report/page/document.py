"""Puts a page together: text that stands at once, and plots that the browser draws from data."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.resources import Resources

from dcsim.accounting import Summary
from dcsim.report.page.distributions import distributions
from dcsim.report.page.energy import efficiency, flows
from dcsim.report.page.failures import failures, waiting
from dcsim.report.page.figures import TimeAxis
from dcsim.report.page.floor import floor
from dcsim.report.page.headline import all_numbers, headline, waterfall
from dcsim.report.page.network import network
from dcsim.report.page.reading import Reading, read, with_detail
from dcsim.report.page.section import Section, as_html, escaped
from dcsim.report.page.sensitivity import sensitivity
from dcsim.report.page.sources import again, scenario, sources
from dcsim.report.page.timeline import timeline
from dcsim.report.words import clock, sentence
from dcsim.trace import Run, write_atomically

NAME = "report.html"
BYTES_MAX = 3_000_000
"""A page is smaller than that: one that is not draws less."""
_DETAILS = (1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 64)
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=[TGMk]\b)")


def write_page(run: Run, summary: Summary) -> Path:
    """Write `report.html` into the folder of *run*; raises as `summarise`."""
    path = run.folder / NAME
    reading = read(run, summary)
    text = page(reading)
    for detail in _DETAILS:
        if len(text.encode("utf-8")) < BYTES_MAX:
            break
        text = page(with_detail(reading, detail))
    write_atomically(path, text)
    return path


def figures(run: Run, summary: Summary) -> dict[str, list[Any]]:
    """Return the plots of the page by the section that they stand in."""
    sections = _sections(read(run, summary))
    return {section.key: list(section.figures) for section in sections if section.figures}


def page(reading: Reading) -> str:
    """The whole page, with everything that it needs inside."""
    sections = _sections(reading)
    title = _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", sentence(reading.run, reading.summary))
    name = escaped(reading.run.record.get("name", reading.run.folder.name))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{name}: {escaped(title)}</title>"
        f'<link rel="icon" href="data:,"><style>{_own("style.css")}</style></head><body><main>'
        f'<header><p class="run">{name}</p><h1>{escaped(title)}</h1></header>'
        f"{headline(reading)}{waterfall(reading)}{_more(reading)}"
        f"{''.join(map(as_html, sections))}</main>"
        f"{_scripts(sections)}</body></html>"
    )


def _sections(reading: Reading) -> list[Section]:
    axis = TimeAxis(reading.run.end_ns)
    return [
        *timeline(reading, axis),
        floor(reading),
        *distributions(reading),
        *failures(reading),
        waiting(reading),
        flows(reading),
        efficiency(reading, axis),
        network(reading),
        sensitivity(reading),
        sources(reading),
        scenario(reading),
        again(reading),
    ]


def _more(reading: Reading) -> str:
    """Below the first screen: warnings and all numbers."""
    alarms = "".join(
        f"<li>{escaped(alarm.what)} <small>at {clock(alarm.first_ns)}"
        + (f", {alarm.times_count:,} times" if alarm.times_count > 1 else "")
        + "</small></li>"
        for alarm in reading.summary.warnings
    )
    warned = f'<ul class="warnings">{alarms}</ul>' if alarms else ""
    return f'<section class="card" id="numbers">{warned}{all_numbers(reading)}</section>'


def _scripts(sections: list[Section]) -> str:
    """Bokeh, the plots as data and what makes the page move; no text of a run is code."""
    document = Document(title="dcsim")
    roots = {}
    with document.models.freeze():
        for section in sections:
            for index, plot in enumerate(section.figures):
                document.add_root(plot)
                roots[plot.id] = f"{section.key}-{index}"
    plots = {"docs": {"page": document.to_json(deferred=False)}, "roots": roots}
    text = json.dumps(plots, separators=(",", ":"), allow_nan=True).replace("<", "\\u003c")
    library = Resources(mode="inline", components=["bokeh"], minified=True).js_raw[0]
    return (
        f'<script type="application/json" id="plots">{text}</script>'
        f"<script>{library}</script><script>{_own('page.js')}</script>"
    )


def _own(name: str) -> str:
    return files("dcsim.report.page").joinpath(name).read_text(encoding="utf-8")
