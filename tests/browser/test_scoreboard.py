"""The scoreboard in a real page: a run is chosen by hand and by keyboard, and a name of a network stays text."""

import json

import pytest

from efflab import Lab, prune_weights, step
from efflab.journal import Journal
from efflab.scoreboard import COSTS, judged_entry, run_entry
from tests.browser.driver import NotebookPage
from tests.browser.test_bench import MEASURED, SENTENCE, open_notebook
from tests.browser.test_recipe_bench import press

pytestmark = pytest.mark.browser

BOARD = """
from efflab.journal import Journal
from efflab.widgets import Chapter
board = Chapter("03", journal=Journal({journal!r})).scoreboard()
board
"""
EVIL = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>'
SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TIMED = SPARSITIES[-2:]
POINT = ".efflab-main figure .scatterlayer .point"
FRONT = ".efflab-main figure .scatterlayer .trace:has(.lines > path)"
LIST = ".efflab-main select"
WORDS = ".efflab-main .efflab-verdict"


def fill(journal: Journal) -> None:
    """A dozen runs of a network that comes along, two of them timed, and two of one's own, with names that are HTML."""
    lab = Lab.open("mlp-digits")
    own = Lab(lab.build(()), lab.data, name=EVIL)
    for sparsity in SPARSITIES:
        recipe = (step(prune_weights, sparsity=sparsity),)
        value = run_entry(lab.measure(recipe), lab) if sparsity in TIMED else judged_entry(lab.preview(recipe), lab)
        journal.record("run", "prune_weights", value, chapter="03")
    for data in (lab.data.name, EVIL):
        value = judged_entry(own.preview((step(prune_weights, sparsity=0.99),)), own) | {"data": data}
        journal.record("run", "prune_weights", value, chapter="03")


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    made = Journal(tmp_path_factory.mktemp("scoreboard") / "journal.sqlite")
    fill(made)
    return made


@pytest.fixture(scope="module")
def board_tab(journal, browser, lab):
    """One scoreboard for all tests: each chooses for itself what it needs."""
    tab = open_notebook(lab, NotebookPage(browser, lab), journal.path.parent, BOARD)
    yield tab
    tab.close()


@pytest.fixture
def board(board_tab):
    """The runs on digits by packed size; in the end no error, no request elsewhere, and no script that has run."""
    for name in ("digits", "all networks", COSTS["packed_bytes"].text):
        choose(board_tab, name)
    says(board_tab, "Of 11 runs")
    yield board_tab
    assert board_tab.page.evaluate("() => window.ran === undefined")
    board_tab.check()


def choose(tab: NotebookPage, name: str) -> None:
    tab.show(tab.page.get_by_role("radio", name=name, exact=True).first).check()


def says(tab: NotebookPage, words: str) -> None:
    tab.page.wait_for_selector(f"{SENTENCE}:has-text({json.dumps(words)})")


def test_a_click_on_a_point_shows_recipe_seed_and_code(board):
    board.page.wait_for_function(f"() => document.querySelectorAll({json.dumps(POINT)}).length === 11")
    cheapest = board.show(board.page.locator(f"{FRONT} .point").first)  # of one's own network
    box = cheapest.bounding_box()
    board.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    board.page.wait_for_selector(f"{WORDS}:has-text('prune_weights(sparsity=0.99) on <img')")
    assert "seed 0, chapter 03" in board.page.locator(WORDS).inner_text()
    assert "step(prune_weights, sparsity=0.99" in board.page.get_by_role("region", name="the recipe").inner_text()
    assert "seed=0" in board.page.get_by_role("region", name="the calls").inner_text()
    title = board.page.locator(LIST).evaluate("list => list.selectedOptions[0].text")
    assert " ".join(title.split()).endswith(f"{EVIL}, seed 0")
    press(board, "Open in the recipe bench")
    board.page.wait_for_selector(".efflab-error:has-text('is a network of your own: paste the line above')")


def test_the_keyboard_chooses_a_run_and_opens_its_bench(board, axe):
    board.show(board.page.locator(LIST)).focus()
    board.page.keyboard.press("Home")  # none
    board.page.wait_for_selector(WORDS, state="detached")
    for chosen in ("sparsity=0.99) on <img", "sparsity=0.95) on mlp-digits"):  # the cheapest first
        board.page.keyboard.press("ArrowDown")
        board.page.wait_for_selector(f"{WORDS}:has-text({json.dumps(chosen)})")
    assert board.page.evaluate("() => document.activeElement.tagName") == "SELECT"  # the keyboard stays where it was
    assert " Chosen: " in board.page.locator(SENTENCE).first.inner_text()
    assert board.serious_faults() == []

    press(board, "Open in the recipe bench")
    board.page.wait_for_selector(f"{SENTENCE}:has-text('95 % of the weights removed')")
    board.page.wait_for_selector(MEASURED)
    assert board.page.locator(".efflab-recipe label:has-text('1. prune weights')").count() == 1
    assert board.serious_faults() == []


def test_data_network_and_cost_are_chosen_and_a_name_of_html_is_text(board):
    choose(board, COSTS["ms"].text)
    says(board, f"Of {len(TIMED)} runs")
    choose(board, COSTS["packed_bytes"].text)
    choose(board, "mlp-digits")
    says(board, "Of 10 runs")
    board.show(board.page.get_by_role("radio", name=EVIL, exact=True).nth(1)).check()  # the network
    says(board, "Of 1 run, ")
    choose(board, "all networks")
    choose(board, EVIL)  # the data
    board.page.wait_for_selector(".efflab-line:has-text('shown are 1 on <img src=x onerror')")
    table = board.page.locator(".efflab-main .efflab-table").first
    table.locator("summary").click()
    assert EVIL in table.locator("tbody tr").first.inner_text()
    table.locator("summary").click()


def test_what_comes_later_can_be_chosen_once_it_is_read_again(board, journal):
    (newest, *_) = reversed(journal.entries(kind="run"))
    journal.record("run", "prune_weights", newest.value | {"data": "later", "network": "later"}, chapter="04")
    press(board, "Read again")
    board.page.get_by_role("radio", name="later", exact=True).first.wait_for(state="attached")
    assert board.page.evaluate("() => document.activeElement.innerText") == "Read again"  # the keyboard stays there
    choose(board, "later")
    says(board, "Of 1 run, ")
