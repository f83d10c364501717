"""The bench of grids in a real page: bits move by keyboard, and tiles, number line and bytes follow."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator

from tests.browser.driver import NotebookPage
from tests.browser.test_bench import HANDLE, MEASURED, SENTENCE, open_notebook
from tests.browser.test_structure import PANE, assert_below_the_controls_and_whole, words_outside

pytestmark = pytest.mark.browser

BENCH = """
from efflab import Lab, fold_batch_norms, quantize_activations, quantize_weights, step
from efflab.journal import Journal
from efflab.widgets import Bench
lab = Lab.open("{checkpoint}"){after}
bench = Bench(lab, quantize_weights, controls=("bits", "granularity"), then={then}, recover=None,
              journal=Journal({{journal!r}}))
bench
"""
MLP = BENCH.format(checkpoint="mlp-digits", after="", then="()")
CNN = BENCH.format(
    checkpoint="cnn-scattered", after=".after((step(fold_batch_norms),))", then="(step(quantize_activations),)"
)
TABS = ("grid", "layers", "bytes")
SWITCH = "one for each layer"


@pytest.fixture(scope="module")
def bench_tab(tmp_path_factory, browser, lab) -> Iterator[NotebookPage]:
    """One bench of an MLP for all tests that leave it as they found it."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("grids"), MLP)
    tab.page.wait_for_selector(MEASURED)
    yield tab
    tab.close()


@pytest.fixture
def bench(bench_tab) -> Iterator[NotebookPage]:
    """At 8 bits, its number line in sight; in the end the page must have no error and have asked for nothing."""
    bench_tab.page.get_by_role("checkbox", name=SWITCH).uncheck()  # a test that failed may have left it so
    step_to(bench_tab, "ArrowRight", 8)
    open_tab(bench_tab, "grid")
    bench_tab.page.wait_for_selector(figure_of("of 8 bits"))
    bench_tab.page.wait_for_selector(MEASURED)
    yield bench_tab
    bench_tab.check()


def figure_of(words: str) -> str:
    """The picture in the open tab whose sentence has these words."""
    return f"{PANE} figure[data-drawn][aria-label*='{words}']"


def open_tab(bench: NotebookPage, name: str) -> Locator:
    """Click on the tab; what stands in it."""
    bench.show(bench.page.get_by_role("tab", name=name, exact=True)).click()
    bench.page.locator(f"{PANE} .efflab-line").first.wait_for()
    return bench.page.locator(PANE)


def step_to(bench: NotebookPage, key: str, bits: int) -> None:
    """Press a key on the slider of the bits, until it stands there."""
    bench.show(bench.page.locator(HANDLE).first).focus()
    for _ in range(8):
        if bench.page.locator(".efflab-controls .widget-readout").first.inner_text() == str(bits):
            return
        bench.page.keyboard.press(key)
    raise AssertionError(f"the slider did not come to {bits}")


def size_tile(bench: NotebookPage) -> str:
    return bench.page.locator(".efflab-tile").first.inner_text()


def test_an_arrow_key_moves_the_tile_the_sentence_and_the_number_line(bench):
    before = size_tile(bench)
    step_to(bench, "ArrowLeft", 3)
    bench.page.wait_for_selector(f"{SENTENCE}:has-text('3 bits')")
    figure = bench.page.locator(figure_of("on 7 values of 3 bits"))
    figure.wait_for()
    assert size_tile(bench) != before
    assert "packed" in size_tile(bench)
    assert figure.locator(".legendtext").all_text_contents() == ["float weights", "on the grid of 3 bits"]
    assert figure.locator(".points .point, .points path").count() >= 7
    assert figure.get_attribute("aria-label") in bench.page.locator(PANE).inner_text()
    step_to(bench, "ArrowRight", 8)


def test_a_channel_is_chosen_by_keyboard_and_drawn_in_the_unit_of_its_weights(bench):
    pane = bench.page.locator(PANE)
    pane.get_by_role("combobox", name="Layer").select_option("output")
    bench.page.wait_for_selector(figure_of("output: 1,000 weights"))
    channel = pane.get_by_role("combobox", name="Channel")
    assert channel.locator("option:checked").text_content() == "all"
    channel.focus()
    bench.page.keyboard.press("ArrowDown")
    figure = bench.page.locator(figure_of("channel 0 of output: 100 weights"))
    figure.wait_for()
    assert figure.locator(".xtitle").text_content() == "weight of channel 0 of output"
    channel.select_option("all")
    pane.get_by_role("combobox", name="Layer").select_option("hidden1")
    bench.page.wait_for_selector(figure_of("hidden1: "))


def test_bits_are_typed_for_one_layer_and_the_bytes_follow(bench):
    open_tab(bench, "bytes")
    bench.page.wait_for_selector(figure_of("packed (computed)"))
    whole = size_tile(bench)
    bench.show(bench.page.get_by_role("checkbox", name=SWITCH)).check()
    handle = bench.show(bench.page.get_by_role("slider", name="hidden2, Bits: bits of each number"))
    bench.show(handle.locator("xpath=ancestor::*[contains(@class, 'widget-slider')]//*[@contenteditable]")).click()
    bench.page.keyboard.press("ControlOrMeta+A")
    bench.page.keyboard.type("2")
    bench.page.keyboard.press("Enter")
    texts = bench.page.locator(f"{PANE} figure .textpoint text")
    texts.filter(has_text="2 bits").wait_for()
    bits = [re.match(r"\s*(\d) bits", text).group(1) for text in texts.all_text_contents()]
    assert bits == ["8", "2", "8"]
    assert size_tile(bench) != whole
    bench.page.wait_for_selector(f"{SENTENCE}:has-text('bits on average over the weights')")
    bench.page.get_by_role("checkbox", name=SWITCH).uncheck()
    bench.page.wait_for_selector(f"{SENTENCE}:not(:has-text('on average'))")
    bench.page.wait_for_selector(MEASURED)


def test_the_layers_are_told_with_what_limits_and_each_can_be_tried_alone(bench):
    pane = open_tab(bench, "layers")
    figure = bench.page.locator(figure_of("What each layer gives was compared"))
    figure.wait_for()
    names = figure.locator(".legendtext").all_text_contents()
    assert names == ["6.02 dB a bit", "weights", "what the layer gives"]
    assert "loses most" in pane.inner_text()
    assert "Only simulated: no layer would run in integers" in pane.inner_text()
    bench.show(bench.page.get_by_role("button", name="Quantize each layer alone")).click()
    alone = bench.page.locator(figure_of("With the weights of one layer alone on a grid of 2 bits"))
    alone.locator(".legendtext", has_text="output").wait_for()  # the picture grows layer by layer
    assert {"hidden1", "hidden2", "output"} <= set(alone.locator(".legendtext").all_text_contents())


def test_where_activations_are_float_the_tab_says_so(bench):
    pane = open_tab(bench, "activations")
    assert "What the layers read is float here" in pane.inner_text()
    assert pane.locator("figure:visible").count() == 0


@pytest.mark.parametrize("name", TABS)
def test_axe_finds_nothing_serious(bench, axe, name):
    open_tab(bench, name)
    assert bench.serious_faults() == []


@pytest.mark.parametrize("name", TABS)
def test_no_tab_makes_the_bench_wider_than_its_cell(bench, name):
    open_tab(bench, name)
    too_wide = "() => { const e = document.querySelector('.efflab-bench'); return e.scrollWidth - e.clientWidth; }"
    assert bench.page.evaluate(too_wide) <= 1


def test_the_projector_and_the_dark_theme_keep_every_word_on_the_page(bench):
    bench.show(bench.page.get_by_role("checkbox", name="projector")).check()
    with bench.dark_theme():
        for name in TABS:
            open_tab(bench, name)
            bench.page.locator(f"{PANE} figure[data-drawn]").first.wait_for()
            for figure in bench.page.locator(f"{PANE} figure:visible").all():
                figure.and_(bench.page.locator("[data-template=projector_dark]")).wait_for()
                assert words_outside(bench, figure) == [], name
    bench.page.get_by_role("checkbox", name="projector").uncheck()


def test_projected_on_a_narrow_page_the_main_picture_stands_below_the_controls_with_every_word(bench):
    with bench.narrow():
        bench.show(bench.page.get_by_role("checkbox", name="projector")).check()
        assert_below_the_controls_and_whole(bench, bench.page.locator(".efflab-main figure").first)
        bench.page.get_by_role("checkbox", name="projector").uncheck()


RUNS = f"{PANE} [role=region][aria-label=runs]"


def test_the_journal_shows_all_columns_and_where_it_cannot_the_keyboard_scrolls_it(bench):
    open_tab(bench, "journal")
    runs = bench.show(bench.page.locator(RUNS))
    assert runs.evaluate("region => region.scrollWidth <= region.clientWidth"), "the last column is cut off"
    assert runs.locator("th").last.inner_text() == "network"
    with bench.narrow(460):
        bench.page.wait_for_function("region => region.scrollWidth > region.clientWidth", arg=runs.element_handle())
        bench.show(runs).focus()
        bench.page.keyboard.press("ArrowRight")
        bench.page.wait_for_function("() => document.activeElement.scrollLeft > 0")


def test_a_convolutional_network_with_quantized_activations_shows_what_its_layers_read(tmp_path_factory, lab, page):
    bench = open_notebook(lab, page, tmp_path_factory.mktemp("convolutions"), CNN)
    bench.page.wait_for_selector(figure_of("conv1: 800 weights on 255 values of 8 bits"))
    bench.page.wait_for_selector(MEASURED)
    before = size_tile(bench)
    step_to(bench, "ArrowLeft", 4)
    bench.page.wait_for_selector(figure_of("conv1: 800 weights on 15 values of 4 bits"))
    assert size_tile(bench) != before
    pane = open_tab(bench, "activations")
    bench.page.wait_for_selector(figure_of("On 100 calibration images conv1 reads"))
    pane.get_by_role("combobox", name="Layer").select_option("conv3")
    figure = bench.page.locator(figure_of("On 100 calibration images conv3 reads"))
    figure.wait_for()
    assert figure.locator(".legendtext").all_text_contents()[0] == "read (before the grid)"
    assert figure.get_attribute("aria-label") in pane.inner_text()
    pane = open_tab(bench, "layers")
    bench.page.wait_for_selector(figure_of("conv3 has the most error"))
    assert "Of 4 layers all ask for integer kernels" in pane.inner_text()
