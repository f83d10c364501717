"""Softened answers, and the loss taken apart, in a real page: a hand moves the temperature, and the pictures follow."""

import json
import re

import pytest
from playwright.sync_api import FloatRect, Locator

from tests.browser.driver import NotebookPage
from tests.browser.test_bench import HANDLE, SENTENCE, open_notebook

pytestmark = pytest.mark.browser

SOFTENED = """
from efflab import Lab
from efflab.widgets import Softened
panel = Softened(Lab.open("mlp-digits"), start={{"temperature": 4.0}})
panel
"""
LOSS = """
from efflab import Lab, start_student, step
from efflab.widgets import LossLab
panel = LossLab(Lab.open("mlp-digits"), (step(start_student, kind="mlp", width=8),))
panel
"""
ASKED = """
from efflab import Lab
from efflab.journal import Journal
from efflab.questions.kinds import Number, Prediction
from efflab.widgets import Softened
from efflab.widgets.asking import Gate
number = Number(0, 100, 1, "%", 5, "more: {{measured}}", "close: {{measured}}", "less: {{measured}}")
question = Prediction("doubt", "How likely is the answer at temperature 4?", "What did you see?", number)
gate = Gate(question, Journal({journal!r}), chapter="08")
Softened(Lab.open("mlp-digits"), gate=gate, at={{"temperature": 1.5}},
         answer=lambda panel: 100 * float(panel.shown.probabilities.max()))
"""
BARS = (
    "[...document.querySelectorAll('.efflab-main figure .barlayer .point path')].map((p) => p.getAttribute('d')).join()"
)
"""The outlines of all bars."""
PIXELS = "document.querySelector('.efflab-main figure .heatmaplayer image').getAttribute('href')"
"""The pixels of the map."""
READOUT = ".efflab-controls .widget-readout"


@pytest.fixture(scope="module")
def softened_tab(tmp_path_factory, browser, lab):
    """One panel for all tests that leave it as they found it."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("softened"), SOFTENED)
    yield tab
    tab.close()


@pytest.fixture
def softened(softened_tab):
    """At temperature 4, drawn; in the end the page must have no error and have asked for nothing elsewhere."""
    softened_tab.page.wait_for_selector(f"{SENTENCE}:has-text('At temperature 4 ')")
    softened_tab.page.wait_for_selector(".efflab-main figure[data-drawn][aria-label*='at temperature 4:']")
    yield softened_tab
    softened_tab.check()


@pytest.fixture(scope="module")
def loss_tab(tmp_path_factory, browser, lab):
    """One panel for all tests that leave it as they found it."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("loss"), LOSS)
    yield tab
    tab.close()


@pytest.fixture
def loss(loss_tab):
    """As techniques train, drawn; in the end the page must have no error and have asked for nothing elsewhere."""
    loss_tab.page.wait_for_selector(f"{SENTENCE}:has-text('The loss is written right.')")
    loss_tab.page.wait_for_selector(".efflab-main figure[data-drawn][aria-label*='the hard term']")
    yield loss_tab
    loss_tab.check()


def figure(tab: NotebookPage, number: int) -> Locator:
    return tab.page.locator(".efflab-main figure").nth(number)


def boxes(picture: Locator, parts: str) -> list[FloatRect]:
    """Where these parts of a picture stand on the page, in pixels."""
    return [box for part in picture.locator(parts).all() if (box := part.bounding_box()) is not None]


def painted(tab: NotebookPage, what: str) -> str:
    """What the page has painted: BARS or PIXELS."""
    return tab.page.evaluate(f"() => {what}")


def wait_until(tab: NotebookPage, what: str, is_or_is_not: str, earlier: str) -> None:
    """Wait until what is painted is, or is not any more, what it was earlier."""
    tab.page.wait_for_function(f"earlier => {what} {is_or_is_not} earlier", arg=earlier)


def say(tab: NotebookPage) -> str:
    return tab.page.locator(SENTENCE).last.inner_text()  # a gate has one of its own


def keys(tab: NotebookPage, number: int, key: str, times: int) -> None:
    """Press a key on the slider with this number, so many times."""
    tab.show(tab.page.locator(HANDLE).nth(number)).focus()
    for _ in range(times):
        tab.page.keyboard.press(key)


def test_a_drag_of_the_temperature_repaints_bars_and_map_and_says_the_new_doubt(softened):
    bars, map_, sentence = painted(softened, BARS), painted(softened, PIXELS), say(softened)
    softened.drag(softened.page.locator(HANDLE).first, 40)
    temperature = float(softened.page.locator(READOUT).first.inner_text())
    assert temperature > 4
    softened.page.wait_for_selector(f"{SENTENCE}:has-text('At temperature {temperature:g} ')")
    softened.page.wait_for_selector(f".efflab-main figure[aria-label*='at temperature {temperature:g}:']")
    wait_until(softened, PIXELS, "!==", map_)
    assert painted(softened, BARS) != bars
    doubts = [float(re.search(r"doubt is ([\d.]+) bits", text).group(1)) for text in (sentence, say(softened))]
    assert doubts[1] > doubts[0]
    steps = round((temperature - 4) / 0.5)
    keys(softened, 0, "ArrowLeft", steps)


def test_the_keyboard_moves_the_temperature_and_back_it_is_as_before(softened):
    bars = painted(softened, BARS)
    keys(softened, 0, "ArrowRight", 1)
    softened.page.wait_for_selector(f"{SENTENCE}:has-text('At temperature 4.5 ')")
    wait_until(softened, BARS, "!==", bars)
    keys(softened, 0, "ArrowLeft", 1)
    softened.page.wait_for_selector(f"{SENTENCE}:has-text('At temperature 4 ')")
    wait_until(softened, BARS, "===", bars)


def test_a_button_finds_an_image_that_the_teacher_gets_wrong(softened):
    before = say(softened)
    softened.show(softened.page.get_by_role("button", name="A sure one")).click()
    softened.page.wait_for_selector(f"{SENTENCE}:has-text('Image 1 of 360')")
    softened.show(softened.page.get_by_role("button", name="A wrong one")).click()
    softened.page.wait_for_selector(f"{SENTENCE}:has-text('(wrong, for it is')")
    softened.show(softened.page.get_by_role("button", name="A doubtful one")).click()
    softened.page.wait_for_selector(f"{SENTENCE}:has-text({json.dumps(before)})")


def test_the_tools_of_a_picture_lie_beside_its_colour_bar(softened, loss):
    for tab, number in ((softened, 1), (loss, 2)):
        picture = tab.show(figure(tab, number))
        tools = [box["x"] for box in boxes(picture, ".modebar-btn")]
        bar = [box["x"] + box["width"] for box in boxes(picture, ".colorbar text, .colorbar .cbfills")]
        assert max(bar) <= min(tools)


def test_the_tables_hold_what_the_pictures_show(softened):
    softened.show(softened.page.locator(".efflab-main summary").filter(has_text="Table").first).click()
    rows = figure(softened, 0).locator("table tbody tr")
    rows.nth(9).wait_for()  # filled when it opens
    assert rows.count() == 10
    assert rows.filter(has_text="(label)").count() == 1


def test_axe_finds_nothing_serious_in_the_answers(softened, axe):
    assert softened.serious_faults() == []


def test_the_answers_wait_for_the_prediction_and_put_the_measured_number_beside_it(page, lab, tmp_path):
    open_notebook(lab, page, tmp_path, ASKED)
    page.page.wait_for_selector(f"{SENTENCE}:has-text('Predict first')")
    assert page.page.locator(".efflab-main figure[data-drawn]").count() == 0
    page.show(page.page.get_by_role("button", name="Lock in")).click()
    page.page.wait_for_selector(f"{SENTENCE}:has-text('At temperature 1 ')")
    page.page.wait_for_selector(".efflab-main figure[data-drawn]")
    page.page.locator(".efflab-controls .noUi-handle").first.focus()
    page.page.keyboard.press("ArrowRight")
    page.page.wait_for_selector(f"{SENTENCE}:has-text('Your prediction has its answer now')")
    measured = re.search(r"(?:more|close|less): ([\d.]+) %", page.page.locator(".efflab-question").inner_text()).group(
        1
    )
    said = re.search(r"the teacher says \S+ with ([\d.]+) %", say(page)).group(1)
    assert float(said) == pytest.approx(float(measured), abs=0.051)


# The loss


def test_a_slip_is_painted_and_said_and_taken_back(loss):
    bars, right, maps = painted(loss, BARS), say(loss), figure(loss, 2).get_attribute("aria-label")
    loss.show(loss.page.get_by_role("radio", name="without")).check()
    loss.page.wait_for_selector(f"{SENTENCE}:has-text('T² = 16 is missing: the soft term pulls 16x less')")
    wait_until(loss, BARS, "!==", bars)
    asked, got = re.search(r"asked for (\d+) % soft, got (\d+) % at the weights", say(loss)).groups()
    assert int(got) < int(asked) == 90
    loss.show(loss.page.get_by_role("radio", name="with T squared")).check()
    loss.page.wait_for_selector(f"{SENTENCE}:has-text({json.dumps(right)})")
    loss.page.wait_for_selector(f".efflab-main figure[aria-label={json.dumps(maps)}]")  # once the hand is still


def test_the_temperature_moves_the_ring_and_the_maps(loss):
    ring = figure(loss, 1).locator(".scatterlayer .trace").last.locator(".point")
    before = ring.bounding_box()["x"]
    sentence = figure(loss, 2).get_attribute("aria-label")
    loss.drag(loss.page.locator(HANDLE).first, 40)
    temperature = float(loss.page.locator(READOUT).first.inner_text())
    assert temperature > 4
    loss.page.wait_for_function(
        "old => document.querySelectorAll('.efflab-main figure')[2].getAttribute('aria-label') !== old", arg=sentence
    )
    assert ring.bounding_box()["x"] > before
    keys(loss, 0, "ArrowLeft", round((temperature - 4) / 0.5))
    loss.page.wait_for_selector(f".efflab-main figure[aria-label={json.dumps(sentence)}]")


def test_axe_finds_nothing_serious_in_the_loss(loss, axe):
    assert loss.serious_faults() == []


@pytest.mark.parametrize("name", ["softened", "loss"])
def test_the_projector_and_the_dark_theme_keep_every_word_on_the_page(name, request):
    tab = request.getfixturevalue(name)
    box = tab.show(tab.page.get_by_role("checkbox", name="projector"))
    box.check()
    with tab.dark_theme():
        tab.page.wait_for_selector(".efflab-projector .efflab-main figure[data-template=projector_dark]")
        assert outside(tab) == []
    box.uncheck()


def outside(tab: NotebookPage) -> list[str]:
    """Words of the pictures that reach beyond their picture."""
    return tab.page.evaluate(
        """() => [...document.querySelectorAll(".efflab-main figure")].flatMap((figure) => {
          const {left, right} = figure.getBoundingClientRect();
          const texts = [...figure.querySelectorAll("svg text")].filter((text) => text.textContent);
          const beyond = (box) => box.left < left - 1 || box.right > right + 1;
          return texts.filter((text) => beyond(text.getBoundingClientRect())).map((text) => text.textContent);
        })"""
    )
