"""The four states in a real page: a hand moves the ratio, four states are measured, and no old number stays."""

import json
import re

import pytest

from tests.browser.driver import NotebookPage
from tests.browser.test_bench import HANDLE, SENTENCE, open_notebook

pytestmark = pytest.mark.browser

PANEL = """
from efflab import Lab
from efflab.widgets import FourStates
panel = FourStates(Lab.open("mlp-digits"), start={{"ratio": 0.5}})
panel
"""
LAST = "removed in ONNX Runtime"
DONE = f"{SENTENCE}:has-text('{LAST}')"
READOUT = ".efflab-controls .widget-readout"


@pytest.fixture(scope="module")
def panel_tab(tmp_path_factory, browser, lab):
    """One panel for all tests that leave it as they found it."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("states"), PANEL)
    yield tab
    tab.close()


@pytest.fixture
def panel(panel_tab):
    """Measured and drawn; in the end the page must have no error and have asked for nothing elsewhere."""
    panel_tab.page.wait_for_selector(DONE)
    panel_tab.page.wait_for_selector(".efflab-main figure[data-drawn]")
    yield panel_tab
    panel_tab.check()


def speeds(page: NotebookPage) -> str:
    return page.page.locator(".efflab-main figure").first.get_attribute("aria-label")


def test_a_drag_clears_the_old_times_and_measures_all_states_of_the_new_setting(panel):
    panel.drag(panel.page.locator(HANDLE).first, 40)
    percent = int(panel.page.locator(READOUT).first.inner_text().rstrip("%"))
    assert percent > 50
    panel.page.wait_for_selector(".efflab-main figure[aria-label*='not measured yet']")
    panel.page.wait_for_selector(f"{SENTENCE}:has-text('ratio {percent / 100}'):has-text('{LAST}')")
    assert len(re.findall(r"[\d.]+ m?s, ", speeds(panel))) == 6
    sizes = panel.page.locator(".efflab-main figure").nth(1).get_attribute("aria-label")
    assert len(re.findall(r"[\d.]+ [kM]?B, zipped", sizes)) == 5


def test_the_keyboard_moves_the_ratio_and_back_the_numbers_are_there_at_once(panel):
    panel.show(panel.page.locator(HANDLE).first).focus()
    before = panel.page.locator(SENTENCE).inner_text()
    panel.page.keyboard.press("ArrowRight")
    panel.page.wait_for_selector(f"{SENTENCE}:has-text('Measuring 1 of 6'), {SENTENCE}:has-text('To be measured')")
    panel.page.keyboard.press("ArrowLeft")
    panel.page.wait_for_selector(f"{SENTENCE}:has-text({json.dumps(before)})")


def test_the_tables_hold_what_the_pictures_show(panel):
    panel.page.locator(".efflab-main summary").filter(has_text="Table").first.click()  # it stays open
    rows = panel.page.locator(".efflab-main figure table").first.locator("tbody tr")
    assert rows.count() == 6
    assert "encoded" in rows.nth(2).inner_text()


def test_the_keyboard_scrolls_an_open_table(panel):
    pane = panel.page.locator(".efflab-main .efflab-table[open] > div")
    assert pane.evaluate("pane => pane.scrollWidth > pane.clientWidth"), "a table that fits has nothing to scroll"
    panel.show(pane).focus()
    panel.page.keyboard.press("ArrowRight")
    panel.page.wait_for_function("() => document.activeElement.scrollLeft > 0")


def test_axe_finds_nothing_serious(panel, axe):
    assert panel.serious_faults() == []


def test_the_projector_and_the_dark_theme_keep_every_word_on_the_page(panel):
    panel.show(panel.page.get_by_role("checkbox", name="projector")).check()
    with panel.dark_theme():
        panel.page.wait_for_selector(".efflab-projector .efflab-main figure[data-template=projector_dark]")
        figure = panel.page.locator(".efflab-main figure").first.bounding_box()
        words = panel.page.locator(".efflab-main figure").first.locator(".textpoint text")
        assert words.count() == 6
        for i in range(6):
            box = words.nth(i).bounding_box()
            assert box["x"] + box["width"] <= figure["x"] + figure["width"] + 1
    panel.page.get_by_role("checkbox", name="projector").uncheck()
