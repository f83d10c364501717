"""The calculators in a real page: published numbers survive being shown, and every control has a name."""

import nbformat
import pytest

from tests.browser.driver import NotebookPage, write_notebook

pytestmark = pytest.mark.browser

CELL = "from efflab.widgets.calculators import training_calculator\ntraining_calculator()"
SERVING = """
from efflab import Lab
from efflab.widgets import ServingCalculator
ServingCalculator(lab=Lab.open('mlp-digits'))
"""
SENTENCE = ".efflab-sentence"


@pytest.fixture
def calculator(tmp_path, lab, page) -> NotebookPage:
    name = f"{tmp_path.name}.ipynb"
    write_notebook(lab.root / name, CELL)
    page.open(name)
    page.run_all()
    page.page.wait_for_selector(".efflab-figure[data-drawn]")
    return page


def chosen(page):
    return [box.input_value() for box in page.page.locator(".efflab-controls select").all()]


def test_published_numbers_survive_being_shown_and_the_keyboard_moves_from_them(calculator):
    assert chosen(calculator) == ["Llama 2 7B", "A100 80GB", "World"]
    assert "8.09 x 10^22 operations" in calculator.page.locator(SENTENCE).inner_text()
    handle = calculator.page.get_by_role("slider", name="Billion parameters")
    calculator.show(handle.first).focus()
    calculator.page.keyboard.press("ArrowRight")
    calculator.page.wait_for_selector(f"{SENTENCE}:has-text('9.48 x 10^22 operations')")  # 7.9 billion
    assert chosen(calculator) == ["your own numbers", "A100 80GB", "World"]


def test_the_working_stays_open_while_its_numbers_change(calculator):
    calculator.page.get_by_text("How it is computed").click()
    calculator.page.locator(".efflab-controls select").first.select_option("Llama 2 70B")
    calculator.page.wait_for_selector(".efflab-fold[open]:has-text('6 x 69 x 10^9 parameters')")


def test_a_long_line_of_python_wraps(calculator):
    calculator.page.get_by_text("How it is computed").click()
    line = calculator.page.locator(".efflab-fold pre")
    assert line.inner_text().startswith("training_cost(")
    assert line.evaluate("one => [one, one.parentElement].every(box => box.scrollWidth <= box.clientWidth)")


def test_the_arrow_of_a_chooser_is_light_on_dark(calculator):
    arrow = "box => getComputedStyle(box).backgroundImage"
    chooser = calculator.page.locator(".efflab-controls select").first
    light = chooser.evaluate(arrow)
    with calculator.dark_theme():
        dark = chooser.evaluate(arrow)
    assert light != dark
    assert "%23e0e0e0" in dark


@pytest.mark.parametrize("key", ["ArrowLeft", "ArrowUp"])
def test_the_arrow_keys_move_the_slider_and_leave_the_section_of_the_notebook_alone(tmp_path, lab, page, key):
    path = write_notebook(lab.root / f"{tmp_path.name}.ipynb", CELL)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# A section"))
    nbformat.write(notebook, path)
    page.open(path.name)
    page.run_all()
    page.page.wait_for_selector(".efflab-figure[data-drawn]")
    handle = page.show(page.page.get_by_role("slider", name="Utilisation").first)
    handle.focus()
    page.page.keyboard.press(key)
    percent = {"ArrowLeft": 39, "ArrowUp": 41}[key]
    page.page.wait_for_selector(f".widget-readout:has-text('{percent}%')")
    page.next_frame()
    assert handle.evaluate("element => element === document.activeElement")
    assert page.page.locator(".efflab-panel").is_visible()


def test_a_measured_latency_comes_from_the_button(tmp_path, lab, page):
    write_notebook(lab.root / f"{tmp_path.name}.ipynb", SERVING)
    page.open(f"{tmp_path.name}.ipynb")
    page.run_all()
    page.page.wait_for_selector(f"{SENTENCE}:has-text('Not measured yet')")
    assert chosen(page) == ["your own numbers", "World"]
    page.page.get_by_role("button", name="Measure here").click()
    page.page.wait_for_selector(f"{SENTENCE}:has-text('A million requests')")
    assert chosen(page) == ["as measured", "World"]


def test_axe_finds_nothing_serious(calculator, axe):
    calculator.page.get_by_text("How it is computed").click()
    calculator.page.get_by_text("Device and electricity").click()
    assert calculator.serious_faults() == []
