"""The missing digit, and the layers of teacher and student, in a real page: by keyboard, mouse, and behind the gate."""

from collections.abc import Iterator

import pytest

from tests.browser.driver import NotebookPage
from tests.browser.test_bench import SENTENCE, open_notebook
from tests.browser.test_structure import words_outside

pytestmark = pytest.mark.browser

MISSING = """
from efflab import Lab
from efflab.journal import Journal
from efflab.questions.kinds import Number, Prediction
from efflab.widgets import Missing
from efflab.widgets.asking import Gate
number = Number(0, 100, 1, "%", 5, "Lower: {{measured}}.", "Close: {{measured}}.", "Higher: {{measured}}.")
question = Prediction("recall", "How many of the threes will it recognise?", "What did you see?", number)
gate = Gate(question, Journal({journal!r}), chapter="08")
Missing(Lab.open("mlp-digits"), 3, epochs=20, gate=gate, answer=lambda found: 100 * found.taught.recall())
"""
LAYERS = """
from efflab import Lab, distill_predictions, start_student, step
from efflab.widgets import Representations
start = step(start_student, kind="cnn", width=4)
students = {{"before training": (start,), "with teacher": (start, step(distill_predictions, epochs=3)),
            "vectors": (step(start_student, kind="mlp", width=12),)}}
Representations(Lab.open("cnn-digits"), students)
"""
FIGURES = ".efflab-main figure:visible"
DRAWN = ".efflab-main figure[data-drawn]"


@pytest.fixture(scope="module")
def missing_tab(tmp_path_factory, browser, lab) -> Iterator[NotebookPage]:
    """One panel for all tests: the prediction is made and the students are trained."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("missing"), MISSING)
    assert tab.page.get_by_role("button", name="Train on the others").is_disabled()  # the prediction comes first
    assert tab.page.locator(FIGURES).count() == 0
    tab.show(tab.page.get_by_role("button", name="Lock in")).press("Enter")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('Not trained with these settings yet')")
    tab.show(tab.page.get_by_role("button", name="Train on the others")).press("Enter")
    tab.page.wait_for_selector(".efflab-controls [role=progressbar]:visible")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('3 was never shown')")
    yield tab
    tab.close()


@pytest.fixture
def missing(missing_tab) -> Iterator[NotebookPage]:
    """Trained and drawn; in the end the page must have no error and have asked for nothing elsewhere."""
    missing_tab.page.wait_for_selector(DRAWN)
    yield missing_tab
    missing_tab.check()


@pytest.fixture(scope="module")
def layers_tab(tmp_path_factory, browser, lab) -> Iterator[NotebookPage]:
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("layers"), LAYERS)
    yield tab
    tab.close()


@pytest.fixture
def layers(layers_tab) -> Iterator[NotebookPage]:
    """The student before its training; in the end the page must have no error and have asked for nothing elsewhere."""
    layers_tab.show(layers_tab.page.get_by_role("radio", name="before training")).check()
    layers_tab.page.wait_for_selector(DRAWN)
    yield layers_tab
    layers_tab.check()


def handle(page: NotebookPage, name: str):
    """The handle of a slider by the first words of its label."""
    return page.show(page.page.locator(f".efflab-controls .noUi-handle[aria-label^='{name}']"))


def test_the_prediction_has_its_answer_once_both_are_trained(missing):
    verdict = missing.page.locator(".efflab-question .efflab-verdict").inner_text()
    assert any(verdict.startswith(word) for word in ("Lower", "Close", "Higher"))


def test_the_keyboard_moves_the_bias_and_both_pictures_follow(missing):
    handle(missing, "Bias").focus()
    missing.page.keyboard.press("ArrowRight")
    moved = f"{SENTENCE}:has-text('With +')"
    missing.page.wait_for_selector(moved)
    by = missing.page.locator(SENTENCE).last.inner_text().split("With ")[1].split(" ")[0]
    curve = missing.page.locator(".efflab-main figure").nth(1)
    curve.locator(".legendtext", has_text=f"bias now {by}").wait_for()
    missing.page.keyboard.press("ArrowLeft")
    missing.page.wait_for_selector(f"{SENTENCE}:has-text('With its bias as it was learned')")


def test_the_class_that_was_never_shown_is_named_on_the_axis_and_hatched(missing):
    recalls = missing.page.locator(".efflab-main figure").first
    assert recalls.locator(".xtick text", has_text="never shown").count() == 1
    assert recalls.locator(".barlayer pattern, defs pattern").count() >= 2


def test_the_best_bias_is_found_by_a_press_and_the_slider_stands_there(missing):
    missing.show(missing.page.get_by_role("button", name="Find the best bias")).press("Enter")
    legend = missing.page.locator(".efflab-main figure").nth(1).locator(".legendtext")
    best = legend.filter(has_text="best ").text_content().split()[1]
    legend.filter(has_text=f"bias now {best}").wait_for()
    slider = missing.page.locator(".efflab-control", has=missing.page.locator(".noUi-handle[aria-label^=Bias]"))
    assert float(slider.locator(".widget-readout").inner_text()) == float(best)


def test_settings_that_were_not_trained_show_no_picture_and_back_they_return(missing):
    handle(missing, "Label").focus()
    missing.page.keyboard.press("ArrowRight")
    missing.page.wait_for_selector(f"{SENTENCE}:has-text('Not trained with these settings yet')")
    assert missing.page.locator(FIGURES).count() == 0
    missing.page.keyboard.press("ArrowLeft")
    missing.page.wait_for_selector(f"{SENTENCE}:has-text('3 was never shown')")
    assert missing.page.locator(FIGURES).count() == 2


def test_the_figures_of_the_paper_open_by_keyboard_and_are_cited(missing):
    summary = missing.show(missing.page.locator(".efflab-fold > summary"))
    assert "cited" in summary.inner_text()
    summary.focus()
    missing.page.keyboard.press("Enter")
    assert "1,010" in missing.page.locator(".efflab-fold[open] table").inner_text()


def test_the_keyboard_chooses_a_pair_and_the_hint_says_its_numbers(layers):
    chosen = layers.show(layers.page.get_by_role("combobox", name="Layer of the student"))
    chosen.select_option("relu3")
    chosen.focus()
    layers.page.keyboard.press("ArrowUp")
    layers.page.wait_for_selector("code:has-text('distill_hints(hint=3, guided=2)')")
    layers.page.wait_for_selector(f'{SENTENCE}:has-text("The student\'s relu2 is most like")')
    texts = layers.page.locator(".efflab-main figure").first.locator(".textpoint text")
    assert sum(text.startswith("[") for text in texts.all_text_contents()) == 1


def test_a_click_on_a_cell_chooses_both_layers(layers):
    cells = layers.page.locator(".efflab-main figure").first.locator(".textpoint text")
    box = layers.show(cells.nth(3)).bounding_box()  # relu2 of the teacher, relu1 of the student
    layers.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    layers.page.wait_for_selector("code:has-text('distill_hints(hint=2, guided=1)')")
    names = [layers.page.get_by_role("combobox", name=f"Layer of the {whose}") for whose in ("teacher", "student")]
    assert [name.input_value() for name in names] == ["relu2", "relu1"]


def test_a_student_is_trained_by_its_button_and_nothing_of_another_stays_meanwhile(layers):
    layers.show(layers.page.get_by_role("radio", name="with teacher")).check()
    layers.page.wait_for_selector(f"{SENTENCE}:has-text('is not trained yet: press Train')")
    assert layers.page.locator(FIGURES).count() == 0
    layers.show(layers.page.get_by_role("button", name="Train")).press("Enter")
    layers.page.wait_for_selector(f"{SENTENCE}:has-text('most like the teacher')")
    assert layers.page.locator(FIGURES).count() == 2


def test_a_vector_beside_a_map_says_why_it_is_no_hint(layers):
    layers.show(layers.page.get_by_role("radio", name="vectors")).check()
    layers.page.locator(".efflab-main", has_text="No hint can be made of this pair").wait_for()


@pytest.mark.parametrize("panel", ["missing", "layers"])
def test_axe_finds_nothing_serious(request, axe, panel):
    assert request.getfixturevalue(panel).serious_faults() == []


@pytest.mark.parametrize("panel", ["missing", "layers"])
def test_the_projector_and_the_dark_theme_keep_every_word_on_the_page(request, panel):
    tab = request.getfixturevalue(panel)
    tab.show(tab.page.get_by_role("checkbox", name="projector")).check()
    with tab.dark_theme():
        for figure in tab.page.locator(FIGURES).all():
            figure.and_(tab.page.locator("[data-template=projector_dark]")).wait_for()
            assert words_outside(tab, figure) == []
    tab.page.get_by_role("checkbox", name="projector").uncheck()
