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
panel = chapter.hand_in("under_20_kb", lab, PackedBudget(100_000, lost=0.05))
for sparsity in (0.5, 0.99):
    run = judged_entry(lab.preview((step(prune_weights, sparsity=sparsity),)), lab)
    chapter.journal.record("run", "recipe", run, chapter="18")
panel
"""


def verdict(tab: NotebookPage) -> str:
    return tab.page.locator(".efflab-verdict").first.inner_text()


def test_a_run_is_chosen_and_handed_in_by_keyboard_and_what_is_missing_is_said(tmp_path, lab, page, axe):
    tab = open_notebook(lab, page, tmp_path, CELL)
    tab.page.wait_for_selector(".efflab-verdict:has-text('is in the journal yet')")
    assert tab.serious_faults() == []
    press(tab, "Read the journal again")
    menu = tab.page.get_by_label(LABEL)
    tab.page.wait_for_function("() => document.querySelectorAll('.efflab-panel select option').length === 2")
    assert menu.locator("option").first.inner_text().endswith("prune_weights(sparsity=0.5)")

    press(tab, "Hand in")  # the better score, and too many bytes
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('The budget is not met yet.')")
    assert "Not met" in verdict(tab)
    assert "(at most 100,000 allowed)" in verdict(tab)

    tab.show(menu).focus()
    tab.page.keyboard.press("ArrowDown")
    press(tab, "Hand in")  # few bytes, and too much is lost
    tab.page.wait_for_selector(".efflab-verdict li:has-text('points of accuracy lost'):has-text('Not met')")
    assert "Met: " in verdict(tab)
    assert tab.serious_faults() == []
    tab.check()
