"""Two panels in a real page: the ways to run a network, with a batch by keyboard, and the file of Deep Compression."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator

from efflab.lab.kernels import WAYS
from tests.browser.driver import NotebookPage
from tests.browser.test_bench import SENTENCE, open_notebook
from tests.browser.test_structure import OUTSIDE, assert_below_the_controls_and_whole, words_outside

pytestmark = pytest.mark.browser

KERNELS = """
from efflab import Lab
from efflab.journal import Journal
from efflab.widgets import Chapter
from efflab.widgets.answers_in_bits import faster_in_integers
chapter = Chapter("05", journal=Journal({{journal!r}}))
chapter.kernels(Lab.open("{checkpoint}"){asked})
"""
ASKED = ", prediction='faster_in_integers', answer=faster_in_integers"
MLP, GATED_MLP = (KERNELS.format(checkpoint="mlp-digits", asked=asked) for asked in ("", ASKED))
CNN = KERNELS.format(checkpoint="cnn-digits", asked="")
FILE = """
from efflab import Lab, prune_weights, share_weights, step
from efflab.journal import Journal
from efflab.widgets import Chapter
from efflab.widgets.answers_of_codes import saved_by_huffman
chapter = Chapter("07", journal=Journal({{journal!r}}))
recipe = (step(prune_weights, sparsity=0.8), step(share_weights, bits=3))
chapter.encoded(Lab.open("cnn-digits"), recipe{asked})
"""
GATED_FILE = FILE.format(asked=", prediction='saved_by_huffman', answer=saved_by_huffman")
FREE_FILE = FILE.format(asked="")
FIGURES = ".efflab-panel figure[data-drawn]"
LABELS_FROM_NOW = """() => {
  const figures = [...document.querySelectorAll(".efflab-main figure")];
  window.__labels = [];
  const note = (changes) => changes.forEach(({target}) => window.__labels.push(target.getAttribute("aria-label")));
  window.__watcher = new MutationObserver(note);
  const options = {attributes: true, attributeFilter: ["aria-label"]};
  for (const figure of figures) window.__watcher.observe(figure, options);
}"""
"""Remember every sentence that a picture says from now on."""


@pytest.fixture(scope="module")
def kernels_tab(tmp_path_factory, browser, lab) -> Iterator[NotebookPage]:
    """One panel for all tests that leave it as they found it."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("kernels"), CNN)
    yield tab
    tab.close()


@pytest.fixture
def kernels(kernels_tab) -> Iterator[NotebookPage]:
    """All ways measured; in the end the page must have no error and have asked for nothing elsewhere."""
    wait_until_measured(kernels_tab, batch(kernels_tab))
    yield kernels_tab
    kernels_tab.check()


@pytest.fixture(scope="module")
def file_tab(tmp_path_factory, browser, lab) -> Iterator[NotebookPage]:
    """One written file for the tests that only look."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("file"), FREE_FILE)
    yield tab
    tab.close()


@pytest.fixture
def file(file_tab) -> Iterator[NotebookPage]:
    """Written and drawn; in the end the page must have no error and have asked for nothing elsewhere."""
    file_tab.page.wait_for_selector(f"{FIGURES}[aria-label*='in the file (measured)']")
    yield file_tab
    file_tab.check()


def figures(tab: NotebookPage) -> Locator:
    return tab.page.locator(FIGURES)


def seen(tab: NotebookPage) -> Locator:
    """The pictures that take room: one that has nothing to show yet takes none."""
    return figures(tab).locator("visible=true")


def labels(tab: NotebookPage) -> list[str]:
    """What the pictures say."""
    return figures(tab).evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")


def batch(tab: NotebookPage) -> str:
    """The batch that is chosen."""
    return tab.page.locator("[role=radiogroup][aria-label^=Batch] input:checked").evaluate(
        "input => input.parentElement.textContent.trim()"
    )


def radio(tab: NotebookPage, name: str) -> Locator:
    return tab.page.get_by_role("radiogroup", name="Batch").get_by_role("radio", name=name, exact=True)


def wait_until_measured(tab: NotebookPage, batch: str) -> None:
    """The sentence and both pictures speak of all ways at this batch."""
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('batch {batch}: ')")
    tab.page.wait_for_selector(f"{FIGURES}[aria-label^='Batches of {batch} on']:not([aria-label*='not measured'])")
    tab.page.wait_for_selector(f"{FIGURES}[aria-label^='Files, and how often']:not([aria-label*='not measured'])")


def number_before(unit: str, text: str) -> list[float]:
    return [float(number) for number in re.findall(rf"([\d.]+) {unit}", text)]


def test_both_pictures_and_their_sentences_give_all_ways_with_their_numbers(kernels):
    times, sizes = labels(kernels)
    for way in WAYS:
        assert re.search(rf"{way} [\d.]+ m?s\b", times), way
        assert re.search(rf"{way} [\d.]+ [kM]?B, [\d.]+ %", sizes), way
    for figure in figures(kernels).all():
        assert figure.locator(".yaxislayer-above .ytick text").all_text_contents() == list(WAYS)
        assert figure.locator(".legendtext").all_text_contents() == [
            "floats are multiplied",
            "integers, in some layers or in all",
        ]
    assert figures(kernels).first.locator(".textpoint text").count() == len(WAYS)
    drawn = " ".join(figures(kernels).last.locator(".bartext").all_text_contents())
    assert sorted(number_before("%", drawn)) == sorted(number_before("%", sizes))
    assert "measured" in kernels.page.locator(".efflab-main .efflab-line").first.inner_text()


def test_the_arrow_keys_choose_a_batch_that_is_measured_without_an_old_number_in_sight(kernels):
    first = labels(kernels)
    kernels.page.evaluate(LABELS_FROM_NOW)
    kernels.show(radio(kernels, batch(kernels))).focus()
    kernels.page.keyboard.press("ArrowDown")
    wait_until_measured(kernels, "8")
    said = kernels.page.evaluate("() => { window.__watcher.disconnect(); return window.__labels; }")
    assert [one.count("not measured yet") for one in said[:2]] == [len(WAYS)] * 2  # both pictures, before any number
    assert not any("Batches of 1 on" in one for one in said)
    axes = figures(kernels).first.locator(".xtitle")
    assert axes.text_content() == "one run, batch of 8 (ms)"
    kernels.page.keyboard.press("ArrowUp")
    wait_until_measured(kernels, "1")
    assert labels(kernels) == first


def test_a_button_measures_the_batch_again(kernels):
    kernels.page.evaluate(LABELS_FROM_NOW)
    kernels.show(kernels.page.get_by_role("button", name="Measure again")).focus()
    kernels.page.keyboard.press("Enter")
    kernels.page.wait_for_function("() => window.__labels.length > 0")
    wait_until_measured(kernels, batch(kernels))
    assert kernels.page.evaluate("() => window.__labels")[0].count("not measured yet") == len(WAYS)


def test_the_table_holds_a_row_for_each_way(kernels):
    kernels.show(figures(kernels).first.locator("summary")).click()
    rows = figures(kernels).first.locator("tbody tr")
    assert [row.locator("th").inner_text() for row in rows.all()] == list(WAYS)
    assert "of 4" in rows.last.inner_text()
    figures(kernels).first.locator("summary").click()


def test_the_ways_are_drawn_without_a_serious_fault(kernels, axe):
    assert kernels.serious_faults() == []


def test_the_control_of_the_ways_is_locked_until_a_prediction_which_gets_its_answer(tmp_path, lab, page):
    opened = open_notebook(lab, page, tmp_path, GATED_MLP)
    opened.page.wait_for_selector(f"{SENTENCE}:has-text('Predict first')")
    assert radio(opened, "8").is_disabled()
    assert opened.page.get_by_role("button", name="Measure again").is_disabled()
    assert seen(opened).count() == 0
    opened.page.get_by_role("button", name="Lock in").click()
    wait_until_measured(opened, "1")
    assert radio(opened, "8").is_enabled()
    assert opened.page.locator(".efflab-verdict").first.is_visible()


def test_the_bars_of_the_file_add_up_to_what_was_written_and_read_back(file):
    (said,) = labels(file)
    picture = figures(file)
    assert picture.locator(".yaxislayer-above .ytick").count() == 5
    assert picture.locator(".legendtext").all_text_contents()[-1] == "without Huffman's code (computed)"
    written = file.page.locator(".efflab-panel .efflab-line").first.inner_text()
    n_bytes = int(re.match(r"([\d,]+) bytes", written).group(1).replace(",", ""))
    picture.locator("summary").click()
    rows = [row.split("\t") for row in picture.locator("tbody").inner_text().splitlines()]
    assert sum(int(row[-2].replace(",", "")) for row in rows) == n_bytes
    assert re.search(r"read back, it has [\d.]+ % accuracy", written)
    assert written.endswith("measured")
    assert said == file.page.locator(SENTENCE).inner_text()
    picture.locator("summary").click()


def test_the_file_is_drawn_without_a_serious_fault(file, axe):
    assert file.serious_faults() == []


def test_on_a_narrow_page_the_bars_get_shorter_until_every_word_is_on_it_and_then_long_again(file):
    figure = figures(file).element_handle()
    end = "figure.querySelector('.js-plotly-plot').layout.xaxis.range[1]"
    before = file.page.evaluate(f"figure => {end}", figure)
    with file.narrow(460):
        is_whole = f"([figure, before]) => {end} > before && ({OUTSIDE})(figure).length === 0"
        file.page.wait_for_function(is_whole, arg=[figure, before])
    file.page.wait_for_function(f"([figure, before]) => {end} === before", arg=[figure, before])


def test_nothing_is_written_before_the_prediction_and_the_answer_stands_beside_it(tmp_path, lab, page):
    opened = open_notebook(lab, page, tmp_path, GATED_FILE)
    opened.page.wait_for_selector(f"{SENTENCE}:has-text('Predict first')")
    assert seen(opened).count() == 0
    opened.page.get_by_role("button", name="Lock in").click()
    opened.page.wait_for_selector(".efflab-verdict:has-text('measured is')")
    assert seen(opened).count() == 1


@pytest.mark.parametrize(("source", "measured"), [(MLP, "batch 1: "), (FREE_FILE, "in the file (measured)")])
def test_a_saved_panel_opened_without_its_kernel_says_what_to_do(tmp_path, browser, lab, page, source, measured):
    first = open_notebook(lab, NotebookPage(browser, lab), tmp_path, source)
    first.page.wait_for_selector(f"{SENTENCE}:has-text('{measured}')")
    first.save()
    first.close()
    page.open(f"{tmp_path.name}.ipynb")
    output = page.page.locator(".jp-OutputArea-output").last
    output.get_by_text("model not found").wait_for(state="attached")
    page.expect_error("widget model not found")
    assert "Run this cell" in output.evaluate("node => getComputedStyle(node, '::after').content")


def test_dark_and_projected_every_word_of_the_ways_stays_on_the_page(kernels):
    kernels.show(kernels.page.get_by_role("checkbox", name="projector")).check()
    with kernels.dark_theme():
        for figure in figures(kernels).all():
            figure.and_(kernels.page.locator("[data-template=projector_dark]")).wait_for()
            assert words_outside(kernels, figure) == []
    kernels.page.get_by_role("checkbox", name="projector").uncheck()


def test_projected_on_a_narrow_page_the_ways_stand_below_the_control_with_every_word(kernels):
    with kernels.narrow():
        kernels.show(kernels.page.get_by_role("checkbox", name="projector")).check()
        for figure in figures(kernels).all():
            assert_below_the_controls_and_whole(kernels, figure)
        kernels.page.get_by_role("checkbox", name="projector").uncheck()
