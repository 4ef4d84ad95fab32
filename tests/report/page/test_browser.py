"""The page in a real browser, where Chromium is installed."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.page.conftest import page_of
from tests.report.page.test_page import hostile_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
DRIVER = shutil.which("chromedriver") or ""
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium is not installed")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
NOT_BLANK = """
const canvases = []
const walk = node => {
  if (node.tagName == "CANVAS") canvases.push(node)
  for (const child of node.children ?? []) walk(child)
  if (node.shadowRoot) walk(node.shadowRoot)
}
walk(document.body)
const place = arguments[0]
const inside = canvas => {
  let node = canvas
  while (node) { if (node.id == place) return true; node = node.parentNode ?? node.host }
  return false
}
return canvases.filter(inside).some(canvas => {
  if (!canvas.width || !canvas.height) return false
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
  return pixels.some((value, index) => index % 4 == 3 && value > 0)
})
"""


WALK = """
const found = []
const walk = node => {
  if (wanted(node)) found.push(node)
  for (const child of node.children ?? []) walk(child)
  if (node.shadowRoot) walk(node.shadowRoot)
}
walk(document.body)
"""
SHOWN = f"""
const wanted = node => node.classList?.contains("bk-tooltip-content") || node.tagName == "TD"
  || node.classList?.contains("bk-tooltip-row-value")
{WALK}
return found.filter(node => node.getRootNode() != document).map(node => node.textContent).join(" ")
"""
IMAGES = f"const wanted = node => node.tagName == 'IMG'\n{WALK}\nreturn found.length"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in OPTIONS:
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def show(browser, folder: Path, width: int = 1400, scheme: str = "light") -> float:
    """Open the page of a run; returns how long it took until all was drawn [s]."""
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get_log("browser")
    begin = time.monotonic()
    browser.get((folder / "report.html").resolve().as_uri())
    for _ in range(400):
        if browser.execute_script("return document.documentElement.dataset.drawn") == "yes":
            break
        time.sleep(0.02)
    took_s = time.monotonic() - begin
    time.sleep(0.3)
    return took_s


def complaints(browser) -> list[str]:
    return [line["message"] for line in browser.get_log("browser") if line["level"] != "INFO"]


def test_all_plots_are_drawn_without_a_complaint(browser, dead):
    print(f"drawn after {show(browser, dead):.2f} s")
    assert complaints(browser) == []
    places = browser.execute_script(
        "return [...document.querySelectorAll('.plot')].map(place => place.id)"
    )
    assert {"down-0", "down-1", "power-0", "heat-0", "floor-0", "energy-0"} <= set(places)
    assert [place for place in places if not browser.execute_script(NOT_BLANK, place)] == []


@pytest.mark.parametrize("width", [360, 800, 2560])
def test_a_page_is_as_wide_as_its_window(browser, dead, width):
    show(browser, dead, width)
    measured = "return [document.documentElement.scrollWidth, innerWidth]"
    scroll, inner = browser.execute_script(measured)
    assert inner == width
    assert scroll <= width
    plot = browser.execute_script("return document.querySelector('#power .plot').clientWidth")
    assert 250 < plot <= width


def test_plots_follow_the_readers_colours(browser, first):
    colours = {}
    axis = (
        "return [...Bokeh.documents[0].all_models].find(m => m.type == 'LinearAxis')"
        ".major_label_text_color"
    )
    for scheme in ("light", "dark"):
        show(browser, first, scheme=scheme)
        body = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        colours[scheme] = body, browser.execute_script(axis)
    assert colours["light"][0] != colours["dark"][0]
    assert colours["light"][1] != colours["dark"][1]


def test_tables_sort_by_their_numbers(browser, first):
    show(browser, first)
    browser.execute_script("document.querySelector('#waterfall details').open = true")
    cells = "return [...document.querySelectorAll('#waterfall details td:nth-child(3)')]"
    head = browser.execute_script("return document.querySelector('#waterfall th:nth-child(3)')")
    head.find_element("tag name", "button").click()
    shown = browser.execute_script(f"{cells}.map(cell => Number(cell.dataset.v))")[:15]
    assert shown == sorted(shown)
    head.find_element("tag name", "button").click()
    shown = browser.execute_script(f"{cells}.map(cell => Number(cell.dataset.v))")[:15]
    assert shown == sorted(shown, reverse=True)


def test_the_slider_moves_the_floor(browser, dead):
    show(browser, dead)
    move = (
        "const slider = document.querySelector('#floor-controls input[type=range]')\n"
        "slider.value = arguments[0]\n"
        "slider.dispatchEvent(new Event('input', {bubbles: true}))\n"
        "return [document.querySelector('#floor-controls output').textContent,"
        " Bokeh.documents[0].get_model_by_name('floor').data.temp[0]]"
    )
    begin, end = (browser.execute_script(move, at) for at in (0, 1000))
    assert begin[0].startswith("00:00:00 to")
    assert begin != end
    assert begin[1].endswith("°C")


def test_zooming_one_plot_zooms_all_plots_over_time(browser, dead):
    show(browser, dead)
    ends = (
        "const over_time = root => root.toolbar.tools.some(tool => tool.type == 'CrosshairTool')\n"
        "const plots = Bokeh.documents[0].roots().filter(over_time)\n"
        "plots[0].x_range.setv({start: 1e6, end: 2e6})\n"
        "return plots.map(plot => [plot.x_range.start, plot.x_range.end])"
    )
    shown = browser.execute_script(ends)
    assert len(shown) >= 4
    assert {tuple(pair) for pair in shown} == {(1e6, 2e6)}


def tooltips(browser, place: str) -> str:
    """What the cursor shows as it moves over the middle of a plot."""
    from selenium.webdriver.common.action_chains import ActionChains

    plot = browser.find_element("id", place)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    for offset_px in range(40, 53, 4):
        ActionChains(browser).move_to_element_with_offset(plot, offset_px, -8).perform()
        time.sleep(0.1)
    return browser.execute_script(SHOWN)


def test_the_cursor_tells_what_an_interruption_was_and_cost(browser, dead):
    show(browser, dead)
    for place in ("down-0", "down-1", "power-0"):
        shown = tooltips(browser, place)
        assert "lab/feed/0" in shown, place
        assert "GPU-hours" in shown, place


def test_tooltips_are_as_dark_as_the_page(browser, dead):
    colours = (
        "const tip = document.querySelector('.bk-Tooltip'), style = getComputedStyle(tip)\n"
        "return [style.backgroundColor, style.color,"
        " getComputedStyle(document.querySelector('.card')).backgroundColor]"
    )
    shown = {}
    for scheme in ("light", "dark"):
        show(browser, dead, scheme=scheme)
        assert tooltips(browser, "power-0")
        shown[scheme] = browser.execute_script(colours)
        assert shown[scheme][0] == shown[scheme][2]
    assert shown["light"][0] != shown["dark"][0]
    assert shown["light"][1] != shown["dark"][1]


@pytest.mark.parametrize("width", [800, 1400, 1920])
def test_text_in_plots_can_be_read_on_paper(browser, dead, width):
    show(browser, dead, width)
    sizes = browser.execute_script(
        "const paper = getComputedStyle(document.documentElement).getPropertyValue('--paper')\n"
        "return [...Bokeh.documents[0].all_models].filter(m => m.type.endsWith('Axis'))"
        ".map(m => parseFloat(m.major_label_text_font_size) * paper)"
    )
    assert len(sizes) > 10
    assert min(sizes) * 0.75 >= 8  # pt


def test_hostile_text_runs_nothing(browser, tmp_path):
    folder = hostile_run(tmp_path / "run")
    page_of(folder)
    show(browser, folder)
    assert "<img" in tooltips(browser, "down-1")
    assert complaints(browser) == []
    assert browser.execute_script(IMAGES) == 0
