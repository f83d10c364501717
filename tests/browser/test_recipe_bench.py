"""The recipe bench in a real page: a recipe built by keyboard alone, from nothing to a measured network."""

import pytest

from tests.browser.driver import NotebookPage
from tests.browser.test_bench import MEASURED, SENTENCE, open_notebook

pytestmark = pytest.mark.browser

EMPTY = """
from efflab import Lab
from efflab.journal import Journal
from efflab.widgets import RecipeBench
RecipeBench(Lab.open("mlp-digits"), journal=Journal({journal!r}))
"""


def focus(tab: NotebookPage, name: str, nth: int = 0) -> None:
    tab.show(tab.page.get_by_role("button", name=name, exact=True).nth(nth)).focus()


def press(tab: NotebookPage, name: str, nth: int = 0) -> None:
    focus(tab, name, nth)
    tab.page.keyboard.press("Enter")


def add(tab: NotebookPage, letters: str, topic: str = "") -> None:
    """Choose a topic and a technique by their first letters, as a keyboard does, and press Add."""
    for nth, typed in enumerate((topic, letters)):
        tab.show(tab.page.locator(".efflab-recipe select").nth(nth)).focus()
        tab.page.keyboard.type(typed)
        if nth == 0:  # the kernel answers with the techniques of the topic
            tab.page.wait_for_function(
                "letters => [...document.querySelectorAll('.efflab-recipe select')[1].options]"
                ".some((option) => option.text.startsWith(letters))",
                arg=letters.split()[0],  # ipywidgets write spaces as such that do not break
            )
    press(tab, "Add")


def assert_old_numbers_turn_pale(tab: NotebookPage) -> None:
    """What a slow computation looks like; the class comes and goes in tests without a browser."""
    look = """() => {
      const stage = document.querySelector(".efflab-recipe .efflab-main");
      const tiles = stage.querySelector(".efflab-tiles");
      return [getComputedStyle(tiles).opacity, getComputedStyle(stage, "::after").visibility];
    }"""
    assert tab.page.evaluate(look)[0] == "1"
    tab.page.evaluate("document.querySelector('.efflab-recipe .efflab-main').classList.add('efflab-stale')")
    tab.page.wait_for_function(f"() => {{ const [pale, said] = ({look})(); return pale < 0.5 && said === 'visible'; }}")
    tab.page.evaluate("document.querySelector('.efflab-recipe .efflab-main').classList.remove('efflab-stale')")
    tab.page.wait_for_function(f"() => ({look})()[0] === '1'")


def test_a_recipe_is_built_ordered_run_and_pasted_by_keyboard_alone(tmp_path, lab, page, axe):
    tab = open_notebook(lab, page, tmp_path, EMPTY)
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('The recipe is empty')")
    add(tab, "fine")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('Step 1, fine tune, trains: press Run')")
    add(tab, "prune w")
    tab.page.wait_for_selector(".efflab-step >> nth=1")
    tab.page.wait_for_selector("label:has-text('2. prune weights')")

    focus(tab, "Up", 1)  # move the second step to the front; the keyboard stays at its button
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('Step 2, fine tune, trains: press Run')")
    tab.page.wait_for_selector("label:has-text('1. prune weights')")
    tab.page.wait_for_function("() => document.activeElement.innerText === 'Down'")  # Up is dead at the top
    press(tab, "Run")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('50 % of the weights removed, then fine tune')")
    tab.page.wait_for_selector(MEASURED)
    rows = tab.page.locator(".efflab-main figure").first
    assert "1 prune weights" in rows.get_attribute("aria-label")
    assert "2 fine tune" in rows.get_attribute("aria-label")
    assert tab.serious_faults() == []

    add(tab, "share", topic="quant")  # integers cannot be trained further, so the order matters
    add(tab, "fine", topic="prun")
    press(tab, "Run")
    refused = tab.page.locator(".efflab-step.efflab-refused")
    refused.wait_for()
    assert "4. fine tune" in refused.inner_text()
    assert "train first" in refused.inner_text()
    assert tab.serious_faults() == []
    press(tab, "Remove", 3)
    press(tab, "Remove", 2)
    tab.page.wait_for_selector(".efflab-step >> nth=2", state="detached")

    tab.show(tab.page.locator(".efflab-step input[type=checkbox]").nth(1)).focus()
    tab.page.keyboard.press("Space")  # the training is switched off
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('50 % of the weights removed: ')")

    tab.show(tab.page.locator(".efflab-recipe textarea").first).focus()
    tab.page.keyboard.type("(step(prune_weights, sparsity=0.9),)")
    press(tab, "Take what is pasted")
    tab.page.wait_for_selector(f"{SENTENCE}:has-text('90 % of the weights removed: ')")
    assert_old_numbers_turn_pale(tab)
    tab.check()
