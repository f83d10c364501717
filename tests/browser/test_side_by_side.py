"""Two trainings in a real page: controls by keyboard, curves that grow, Stop, and the prediction."""

import re

import pytest

from tests.browser.driver import NotebookPage
from tests.browser.test_bench import SENTENCE, open_notebook

pytestmark = pytest.mark.browser

PANEL = """
from efflab import Lab, distill_predictions, start_student, step
from efflab.journal import Journal
from efflab.questions.kinds import Option, Prediction
from efflab.widgets import SideBySide
from efflab.widgets.answers_of_distillation import verdict_of_teacher
from efflab.widgets.asking import Gate
options = tuple(Option(key, key, f"It {{key}}.") for key in ("helps", "same", "hurts"))
journal = Journal({journal!r})
gate = Gate(Prediction("teacher", "Does it help?", "What did you see?", None, options), journal, chapter="08")
SideBySide(Lab.open("mlp-scattered"), distill_predictions, student=step(start_student, kind="mlp", width=4),
           start={{"epochs": 2}}, gate=gate, answer=verdict_of_teacher, journal=journal)
"""
EPOCHS = ".efflab-controls .noUi-handle >> nth=2"
WATCH = """() => {
  window.__seen = [];
  const note = () => {
    const label = document.querySelector(".efflab-main figure")?.getAttribute("aria-label") ?? "";
    if (label.startsWith("Seed") && window.__seen.at(-1) !== label) window.__seen.push(label);
  };
  new MutationObserver(note).observe(document.body, {subtree: true, attributes: true, attributeFilter: ["aria-label"]});
}"""


def press(tab: NotebookPage, name: str) -> None:
    tab.show(tab.page.get_by_role("button", name=name)).focus()
    tab.page.keyboard.press("Enter")


def test_a_learner_predicts_trains_moves_stops_and_trains_more(tmp_path, lab, page, axe):
    tab = open_notebook(lab, page, tmp_path, PANEL)
    tab.page.wait_for_selector(".efflab-controls .noUi-target[disabled]")
    tab.page.get_by_role("radio", name="helps").check()
    press(tab, "Lock in")
    tab.page.wait_for_selector(".efflab-controls .noUi-target:not([disabled])")
    press(tab, "Train both")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('Press 3 more seeds: your prediction is answered then.')")
    assert (
        "Locked in. Press Train both, then 3 more seeds."
        in tab.page.locator(".efflab-question .efflab-verdict").inner_text()
    )
    press(tab, "3 more seeds")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('of the mean over 4 seeds. Your prediction has its answer now')")
    assert re.search(r"It (helps|same|hurts)\.", tab.page.locator(".efflab-question .efflab-verdict").inner_text())
    tab.page.wait_for_selector(".efflab-tile:has-text('ms an image') >> nth=2")
    assert tab.serious_faults() == []

    tab.show(tab.page.locator(EPOCHS)).focus()
    tab.page.keyboard.press("End")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('The pictures show temperature 4, soft 0.9, epochs 2')")
    tab.page.evaluate(WATCH)
    press(tab, "Train both")
    tab.page.wait_for_function("() => window.__seen.length > 5")  # the records of both arms come in turns
    press(tab, "Stop")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('stopped early')")
    seen = tab.page.evaluate("() => window.__seen")
    epochs = [int(found[1]) for label in seen if (found := re.search(r"with teacher .*? after epoch (\d+)", label))]
    assert epochs == sorted(epochs)
    assert epochs[0] < epochs[-1] < 30
    assert tab.serious_faults() == []
