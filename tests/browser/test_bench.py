"""The bench in a real page: a hand moves a slider, and what is painted is what was measured."""

import re
from pathlib import Path

import pytest

from tests.browser.driver import Lab, NotebookPage, write_notebook

pytestmark = pytest.mark.browser

BENCH = """
from efflab import Lab, prune_weights
from efflab.journal import Journal
from efflab.widgets import Bench
lab = Lab.open("mlp-digits")
bench = Bench(lab, prune_weights, controls=("sparsity", "scope"), journal=Journal({journal!r}))
bench
"""
GATE = """
from efflab import Lab, prune_weights
from efflab.journal import Journal
from efflab.widgets import Chapter
chapter = Chapter("03", journal=Journal({journal!r}))
chapter.bench(Lab.open("mlp-digits"), prune_weights, controls=("sparsity",),
              prediction="accuracy_at_80", at={{"sparsity": 0.8}})
"""
WRONG = """
import torch
def magnitude_mask(weight, sparsity):
    return weight > weight.flatten().sort().values[round(sparsity * weight.numel()) - 1]
chapter.check("magnitude_mask", magnitude_mask)
"""
HANDLE = ".efflab-controls .noUi-handle"
SENTENCE = ".efflab-sentence"
MEASURED = ".efflab-tile:has-text('middle half of the runs')"


def open_notebook(lab: Lab, page: NotebookPage, folder: Path, *sources: str) -> NotebookPage:
    """A notebook of its own with these cells, run to the end."""
    name = f"{folder.name}.ipynb"
    journal = str(folder / "journal.sqlite")
    write_notebook(lab.root / name, *(source.format(journal=journal) for source in sources))
    page.open(name)
    page.run_all()
    return page


@pytest.fixture(scope="module")
def bench_tab(tmp_path_factory, browser, lab):
    """One bench for all tests that leave it as they found it: a kernel and its imports take longer than a test."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("bench"), BENCH)
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('50 % of the weights')")
    yield tab
    tab.close()


@pytest.fixture
def bench(bench_tab):
    """The bench at 50 %, measured; in the end the page must have no error and have asked for nothing elsewhere."""
    handle = bench_tab.show(bench_tab.page.locator(HANDLE).first)
    handle.focus()
    steps = 50 - int(bench_tab.page.locator(".efflab-controls .widget-readout").first.inner_text().rstrip("%"))
    for _ in range(abs(steps)):
        bench_tab.page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")
    wait_until_said(bench_tab, 50)
    bench_tab.page.wait_for_selector(MEASURED)
    yield bench_tab
    bench_tab.check()


def say(page: NotebookPage) -> str:
    return page.page.locator(SENTENCE).inner_text()


def wait_until_said(page: NotebookPage, percent: int) -> None:
    page.page.wait_for_selector(f"{SENTENCE}:has-text('{percent} % of the weights removed')")


def test_a_drag_moves_the_tiles_the_picture_and_the_sentence_together(bench):
    handle = bench.page.locator(HANDLE).first
    bench.drag(handle, 60)
    value = int(bench.page.locator(".efflab-controls .widget-readout").first.inner_text().rstrip("%"))
    assert value > 50
    wait_until_said(bench, value)
    bench.page.wait_for_selector(MEASURED)  # the hand has been still
    assert handle.get_attribute("aria-valuetext") == f"{value}%"
    tiles = bench.page.locator(".efflab-tiles").inner_text()
    score = re.search(r"accuracy ([\d.]+) %", say(bench)).group(1)
    assert f"→ {score} %" in tiles
    assert "measured" in tiles
    assert "computed" in tiles
    assert f"{score} %" in bench.page.locator(".efflab-main figure").first.get_attribute("aria-label")


def test_the_keyboard_moves_a_control_by_one_step(bench):
    bench.show(bench.page.locator(HANDLE).first).focus()
    bench.page.keyboard.press("ArrowRight")
    wait_until_said(bench, 51)
    bench.page.keyboard.press("ArrowLeft")
    wait_until_said(bench, 50)


def test_the_file_and_the_speed_follow_when_the_hand_is_still(bench):
    bench.page.wait_for_selector(MEASURED)
    bench.page.wait_for_selector(".efflab-tile:has-text('zipped')")
    badge = bench.page.locator(".efflab-tile summary:has-text('computed')").first
    bench.show(badge).focus()
    bench.page.keyboard.press("Enter")
    assert "4 bytes a value" in bench.page.locator(".efflab-why[open]").first.inner_text()


LOOK, REASONS = "Look where the time goes", ".efflab-reasons li"
TABS = {"weights": "Layer", "changed images": "", "code": "model = prune_weights(", "journal": "recipe", "speed": ""}


def open_tab(bench, name):
    bench.page.get_by_role("tab", name=name).click()
    visible = bench.page.locator(".widget-tab-contents > :not(.lm-mod-hidden)").last
    visible.wait_for(state="visible")
    found = "([e, text]) => e.textContent.includes(text)"
    bench.page.wait_for_function(found, arg=[visible.element_handle(), TABS[name]])


@pytest.mark.parametrize("name", TABS)
def test_every_tab_shows_something(bench, name):
    open_tab(bench, name)


@pytest.mark.parametrize("name", TABS)
def test_no_tab_makes_the_bench_wider_than_its_cell(bench, name):
    open_tab(bench, name)
    too_wide = "() => { const e = document.querySelector('.efflab-bench'); return e.scrollWidth - e.clientWidth; }"
    assert bench.page.evaluate(too_wide) <= 1


def test_the_training_streams_a_curve_and_can_be_stopped(bench):
    bench.page.get_by_role("button", name="Fine tune").click()
    bench.page.wait_for_selector(".efflab-main figure[aria-label*='epoch']")
    bench.page.wait_for_selector(".efflab-controls .progress", state="hidden")


def test_controls_are_named_and_axe_finds_nothing_serious(bench, axe):
    bench.page.wait_for_selector(MEASURED)
    assert bench.page.locator(HANDLE).first.get_attribute("aria-label").startswith("Sparsity")
    for tab in TABS:
        open_tab(bench, tab)
        assert bench.serious_faults() == [], tab


def look_where_the_time_goes(bench):
    """Press the button by keyboard and wait for the answer."""
    bench.show(bench.page.get_by_role("button", name=LOOK)).focus()
    bench.page.keyboard.press("Enter")
    bench.page.wait_for_selector(".progress[role='progressbar'][aria-label='Looking where the time goes']")
    bench.page.wait_for_selector(f"{REASONS}:has-text('zeros are not removed')")


def move_on(bench):
    """Move to another setting, with which what was found goes."""
    bench.show(bench.page.locator(HANDLE).first).focus()
    bench.page.keyboard.press("ArrowRight")
    bench.page.wait_for_selector(REASONS, state="detached")
    wait_until_said(bench, 51)


def test_where_the_time_goes_is_shown_on_a_button_and_goes_with_its_setting(bench):
    open_tab(bench, "speed")
    assert bench.page.locator(REASONS).count() == 0
    look_where_the_time_goes(bench)
    assert bench.page.locator(f"{REASONS}:has-text('does not hold')").count() > 0
    assert "reasons hold: zeros are not removed" in say(bench)
    assert bench.page.get_by_role("combobox", name="Electricity of").is_visible()
    too_wide = "() => { const e = document.querySelector('.efflab-bench'); return e.scrollWidth - e.clientWidth; }"
    assert bench.page.evaluate(too_wide) <= 1
    move_on(bench)


def test_axe_finds_nothing_serious_in_where_the_time_goes(bench, axe):
    open_tab(bench, "speed")
    look_where_the_time_goes(bench)
    faults = bench.serious_faults()
    move_on(bench)
    assert faults == []


def test_a_batch_that_is_chosen_is_timed_and_the_tile_says_it(bench):
    for batch in ("64", "1"):
        bench.show(bench.page.get_by_role("radiogroup", name="Batch").get_by_role("radio", name=batch)).check()
        bench.page.wait_for_selector(f".efflab-tile:has-text('Speed, batch {batch}'):has-text('images a second')")


def test_the_projector_and_the_dark_theme_reach_the_pictures(bench):
    font = "() => parseFloat(getComputedStyle(document.querySelector('.efflab-main .xtick text')).fontSize)"
    bench.page.locator(".efflab-main .xtick text").first.wait_for()
    small = bench.page.evaluate(font)
    bench.page.get_by_role("checkbox", name="projector").check()
    bench.page.wait_for_function(f"(small) => ({font})() > small", arg=small)
    ink = "() => getComputedStyle(document.querySelector('.efflab-main .xtick text')).fill"
    light = bench.page.evaluate(ink)
    with bench.dark_theme():
        bench.page.wait_for_function(f"(light) => ({ink})() !== light", arg=light)
    bench.page.get_by_role("checkbox", name="projector").uncheck()


def test_controls_are_locked_until_a_prediction_and_the_measurement_stands_beside_it(tmp_path, lab, page):
    opened = open_notebook(lab, page, tmp_path, GATE)
    handle = opened.page.locator(HANDLE).first
    opened.page.wait_for_selector(".efflab-controls .noUi-target[disabled]")
    opened.page.get_by_role("button", name="Lock in").click()
    opened.page.wait_for_selector(".efflab-controls .noUi-target:not([disabled])")
    opened.show(handle).focus()
    for _ in range(30):
        opened.page.keyboard.press("ArrowRight")
    opened.page.wait_for_selector(".efflab-verdict:has-text('measured is')", timeout=60_000)


def test_a_wrong_function_is_told_in_the_words_of_its_misconception(tmp_path, lab, page):
    opened = open_notebook(lab, page, tmp_path, GATE, WRONG)
    verdict = opened.page.locator(".efflab-verdict:has-text('Not yet.')").inner_text()
    assert "rank weight.abs()" in verdict


def test_a_saved_bench_opened_without_its_kernel_says_what_to_do(tmp_path, browser, lab, page):
    first = open_notebook(lab, NotebookPage(browser, lab), tmp_path, BENCH)
    first.page.wait_for_selector(f"{SENTENCE}:has-text('50 % of the weights')")
    first.save()
    first.close()
    page.open(f"{tmp_path.name}.ipynb")
    output = page.page.locator(".jp-OutputArea-output").last
    output.get_by_text("model not found").wait_for(state="attached")
    page.expect_error("widget model not found")
    assert "Run this cell" in output.evaluate("node => getComputedStyle(node, '::after').content")
