"""A run as a notebook shows it: a sentence, four numbers and the waterfall, as plain HTML."""

from html import escape

from dcsim.accounting import Summary
from dcsim.report.words import COLOURS, percent, sentence, value_of, words_of
from dcsim.trace import Run

_NUMBERS = {
    "goodput": "goodput_frac",
    "MFU": "mfu_frac",
    "power": "site_power_w_mean",
    "PUE": "pue",
}
_STYLE = "font-family:system-ui,sans-serif;max-width:44em;line-height:1.4"
_CELL = "padding:.1em .6em .1em 0;text-align:left;border:0;background:none"


def html(run: Run, summary: Summary) -> str:
    """Text takes the notebook's colours, light or dark; there is no script."""
    numbers = "".join(
        f'<div style="min-width:7em"><div style="opacity:.7">{label}</div>'
        f'<div style="font-size:1.4em">{escape(value_of(name, summary.metrics[name]))}</div></div>'
        for label, name in _NUMBERS.items()
    )
    longest = max(share.value for share in summary.waterfall)
    bars = "".join(_bar(name, value, longest) for name, value in summary.waterfall)
    return (
        f'<div style="{_STYLE}"><p style="font-weight:600">{escape(sentence(run, summary))}</p>'
        f'<div style="display:flex;flex-wrap:wrap;gap:1.5em;margin:.8em 0">{numbers}</div>'
        '<table style="border-collapse:collapse;width:100%;border:0">'
        '<caption style="text-align:left;opacity:.7">Where the peak FLOPs went</caption>'
        f"{bars}</table>"
        f'<p style="opacity:.7">{escape(str(run.folder))}</p></div>'
    )


def _bar(name: str, value: float, longest: float) -> str:
    width = 100 * value / longest
    bar = f"height:.8em;width:{width:.2f}%;background:{COLOURS[name]}"
    return (
        f'<tr style="background:none"><th scope="row" style="{_CELL};font-weight:400;'
        f'white-space:nowrap">{escape(words_of(name))}</th>'
        f'<td style="{_CELL};text-align:right">{escape(percent(value))}</td>'
        f'<td style="{_CELL};width:60%"><div style="{bar}"></div></td></tr>'
    )
