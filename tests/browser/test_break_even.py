"""The break-even explorer in a real page: a hand moves a control, a point is measured, and the grid can be stopped."""

import re

import pytest

from tests.browser.driver import NotebookPage
from tests.browser.test_bench import HANDLE, MEASURED, SENTENCE, open_notebook

pytestmark = pytest.mark.browser

EXPLORER = """
import os
os.environ["EFFLAB_CACHE"] = {journal!r} + ".cache"
from efflab.measure.grid import Grid
from efflab.widgets import BreakEvenExplorer
explorer = BreakEvenExplorer(grid=Grid(sizes=((256, 256), (512, 512)), seconds=0.1), start={{"size": "256x256"}})
explorer
"""
READOUT = ".efflab-controls .widget-readout"
JUST_NOW = ".efflab-tile:has-text('measured just now')"
BAR = ".efflab-controls .progress"


@pytest.fixture(scope="module")
def explorer_tab(tmp_path_factory, browser, lab):
    """One explorer for all tests that leave it as they found it."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("explorer"), EXPLORER)
    yield tab
    tab.close()


@pytest.fixture
def explorer(explorer_tab):
    """Measured and drawn; in the end the page must have no error and have asked for nothing elsewhere."""
    explorer_tab.page.wait_for_selector(MEASURED)
    explorer_tab.page.wait_for_selector(".efflab-main figure[data-drawn]")
    yield explorer_tab
    explorer_tab.check()


def percent(page: NotebookPage) -> int:
    return int(page.page.locator(READOUT).first.inner_text().rstrip("%"))


def wait_until_measured(page: NotebookPage, what: str) -> None:
    """The sentence and the speed tile speak of it."""
    page.page.wait_for_selector(f"{SENTENCE}:has-text('{what}'):has-text(' ms, dense ')")
    page.page.wait_for_selector(JUST_NOW)


def test_a_drag_measures_the_point_where_it_ends(explorer):
    handle = explorer.page.locator(HANDLE).first
    explorer.drag(handle, -60)
    value = percent(explorer)
    assert value < 90
    wait_until_measured(explorer, f"{value} % zeros")
    assert handle.get_attribute("aria-valuetext") == f"{value}%"
    sentence = explorer.page.locator(SENTENCE).inner_text()
    now, dense = re.search(r"([\d.]+ ms), dense ([\d.]+ ms)", sentence).groups()
    tiles = explorer.page.locator(".efflab-tiles").inner_text()
    assert f"{dense} → {now}" in tiles
    assert "computed" in tiles
    picture = explorer.page.locator(".efflab-main figure").first
    assert f"{value} % zeros takes" in picture.get_attribute("aria-label")


def test_the_keyboard_moves_the_sparsity_by_one_step(explorer):
    explorer.show(explorer.page.locator(HANDLE).first).focus()
    before = percent(explorer)
    explorer.page.keyboard.press("ArrowRight")
    wait_until_measured(explorer, f"{before + 1} % zeros")
    explorer.page.keyboard.press("ArrowLeft")
    wait_until_measured(explorer, f"{before} % zeros")


def test_the_keyboard_chooses_the_layout(explorer):
    for layout, name in (("bsr", "BSR 4x4"), ("csr", "CSR")):
        explorer.show(explorer.page.get_by_role("radio", name=layout)).focus()
        explorer.page.keyboard.press("Space")
        wait_until_measured(explorer, name)


def test_the_grid_shows_how_far_it_is_and_stop_keeps_what_was_measured(explorer):
    marks = ".efflab-main figure >> nth=1"
    explorer.show(explorer.page.get_by_role("button", name="Measure this CPU")).click()
    explorer.page.wait_for_selector(f"{BAR}[role='progressbar'][aria-label='Measuring this CPU']")
    explorer.page.wait_for_selector(".efflab-controls .noUi-target[disabled]")
    explorer.page.get_by_text(re.compile(r"^\d+ s left$")).wait_for()
    explorer.page.wait_for_selector(f"{marks} >> visible=true")
    explorer.page.get_by_role("button", name="Stop").click()
    explorer.page.wait_for_selector(BAR, state="hidden")
    explorer.page.wait_for_selector(".efflab-controls .noUi-target:not([disabled])")
    note = explorer.page.get_by_text(re.compile(r"\d+ points of this machine")).inner_text()
    n_points = int(note.partition(" ")[0])
    assert n_points < 64


def test_the_formula_of_the_bytes_opens_by_keyboard(explorer):
    badge = explorer.page.locator(".efflab-tile summary:has-text('computed')").first
    explorer.show(badge).focus()
    explorer.page.keyboard.press("Enter")
    assert "4 bytes for each number that is kept" in explorer.page.locator(".efflab-why[open]").first.inner_text()


def test_controls_are_named_and_axe_finds_nothing_serious(explorer, axe):
    assert explorer.page.locator(HANDLE).first.get_attribute("aria-label").startswith("Sparsity")
    explorer.page.locator("summary:has-text('The same in Python')").click()
    explorer.page.locator("pre:has-text('kernel_stopwatch().compare(')").wait_for()
    assert explorer.serious_faults() == []


def test_nothing_is_wider_than_its_cell(explorer):
    too_wide = "() => { const e = document.querySelector('.efflab-bench'); return e.scrollWidth - e.clientWidth; }"
    assert explorer.page.evaluate(too_wide) <= 1


def test_the_projector_and_the_dark_theme_reach_the_pictures(explorer):
    font = "() => parseFloat(getComputedStyle(document.querySelector('.efflab-main .xtick text')).fontSize)"
    explorer.page.locator(".efflab-main .xtick text").first.wait_for()
    small = explorer.page.evaluate(font)
    explorer.page.get_by_role("checkbox", name="projector").check()
    explorer.page.wait_for_function(f"(small) => ({font})() > small", arg=small)
    ink = "() => getComputedStyle(document.querySelector('.efflab-main .xtick text')).fill"
    light = explorer.page.evaluate(ink)
    with explorer.dark_theme():
        explorer.page.wait_for_function(f"(light) => ({ink})() !== light", arg=light)
    explorer.page.get_by_role("checkbox", name="projector").uncheck()
