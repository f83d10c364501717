"""Handing in, in a real page: a run is chosen and handed in by keyboard alone, and the verdict is said."""

import pytest

from efflab.widgets.hand_in import LABEL
from tests.browser.driver import NotebookPage
from tests.browser.test_bench import SENTENCE, open_notebook
from tests.browser.test_recipe_bench import press

pytestmark = pytest.mark.browser

CELL = """
from efflab import Lab, prune_weights, step
from efflab.budget import PackedBudget
from efflab.journal import Journal
from efflab.scoreboard import judged_entry
from efflab.widgets import Chapter
chapter = Chapter("18", journal=Journal({journal!r}))
lab = Lab.open("mlp-digits")
for sparsity in (0.5, 0.99):
    run = judged_entry(lab.preview((step(prune_weights, sparsity=sparsity),)), lab)
    chapter.journal.record("run", "recipe", run, chapter="18")
chapter.hand_in("under_20_kb", lab, PackedBudget(100_000, lost=0.05))
"""


def verdict(tab: NotebookPage) -> str:
    return tab.page.locator(".efflab-verdict").first.inner_text()


def test_a_run_is_chosen_and_handed_in_by_keyboard_and_what_is_missing_is_said(tmp_path, lab, page, axe):
    tab = open_notebook(lab, page, tmp_path, CELL)
    tab.page.wait_for_selector(".efflab-verdict:has-text('Choose a run')")
    assert tab.serious_faults() == []
    menu = tab.page.get_by_label(LABEL)
    assert menu.locator("option").count() == 2
    assert menu.locator("option").first.inner_text().endswith("prune_weights(sparsity=0.99)")

    press(tab, "Hand in")  # few bytes, which is why it stands first, and too much is lost
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('The budget is not met yet.')")
    assert "Met: " in verdict(tab)
    tab.page.wait_for_selector(".efflab-verdict li:has-text('points of accuracy lost'):has-text('Not met')")

    tab.show(menu).focus()
    tab.page.keyboard.press("ArrowDown")
    tab.page.wait_for_selector("text='The recipe of the chosen run: prune_weights(sparsity=0.5)'")
    press(tab, "Hand in")  # the better score, and too many bytes
    tab.page.wait_for_selector(".efflab-verdict li:has-text('(at most 100,000 allowed)'):has-text('Not met')")
    assert tab.serious_faults() == []

    again = tab.page.locator(".efflab-verdict").first
    press(tab, "Read the journal again")
    again.filter(has_text="Tried before, on").wait_for()
    assert "not met yet.\nChoose a run" in again.inner_text()
    assert tab.serious_faults() == []
    tab.check()
