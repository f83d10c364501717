"""LiveFigure in a real page: one plotly.js, pictures that change in place, and words for each of them."""

import math
import re
import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator

from tests.browser.driver import Chromium, Lab, NotebookPage, write_notebook

pytestmark = pytest.mark.browser

LAST = 7
COMMON = """
import ipywidgets as W
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from efflab.widgets.live_figure import LiveFigure

LOOKS = {
    name: {"layout": {"paper_bgcolor": colour, "plot_bgcolor": colour, "font": {"color": ink}}}
    for name, colour, ink in [
        ("light", "rgb(250, 250, 250)", "black"),
        ("dark", "rgb(10, 10, 10)", "white"),
        ("projector", "rgb(255, 255, 240)", "black"),
        ("projector_dark", "rgb(0, 0, 20)", "white"),
    ]
}

def picture(value, name="picture"):
    x = np.linspace(0, 1, 200)
    figure = go.Figure(go.Scatter(x=x, y=np.sin(6 * x + value / 10)))
    return figure.update_layout(title=f"{name} at {value}", xaxis_title="time in s", margin={"t": 50, "b": 50})

def words(value):
    return f"A wave, moved by {value}."

def numbers(value):
    return pd.DataFrame({"time": ["start", "end"], "height": [np.sin(value / 10), np.sin(6 + value / 10)]})
"""
EIGHT = """
views = [
    LiveFigure(picture(0, name), alt=words(0), table=numbers(0), height=240, templates=LOOKS) for name in "abcdefgh"
]
slider = W.IntSlider(max=1000, description="moved by")
slider.observe(lambda change: views[0].show(
    picture(change["new"], "a"), alt=words(change["new"]), table=numbers(change["new"])), "value")
projector = W.ToggleButton(description="projector")
W.jslink((projector, "value"), (views[0], "projector"))
hidden = LiveFigure(picture(0, "hidden"), alt=words(0))
tabs = W.Tab([W.HTML("nothing here"), hidden], titles=["first", "second"])
W.VBox([W.HBox([slider, projector]), *views, tabs])
"""
ALONE = "view = LiveFigure(picture(0), alt=words(0), table=numbers(0))\nview"


@pytest.fixture(scope="module")
def eight_tab(browser: Chromium, lab: Lab) -> Iterator[NotebookPage]:
    write_notebook(lab.root / "eight.ipynb", COMMON, EIGHT)
    tab = NotebookPage(browser, lab)
    tab.open("eight.ipynb")
    tab.page.evaluate("() => { window.Plotly = 'of someone else'; }")
    tab.start_all()
    tab.page.locator(f".efflab-figure[data-drawn] >> nth={LAST}").wait_for(state="attached")
    yield tab
    tab.close()


@pytest.fixture
def eight(eight_tab: NotebookPage) -> Iterator[NotebookPage]:
    """A page with eight figures; the slider moves the first."""
    yield eight_tab
    eight_tab.check()


def first_figure(tab: NotebookPage):
    return tab.page.locator(".efflab-figure").first


def background(tab: NotebookPage) -> str:
    return tab.page.locator(".efflab-plot .main-svg").first.evaluate("svg => getComputedStyle(svg).backgroundColor")


def press_right(tab: NotebookPage) -> int:
    """Press the slider's right arrow once; returns the value that is then drawn."""
    handle = tab.show(tab.page.locator(".noUi-handle").first)
    handle.focus()
    value = round(float(handle.get_attribute("aria-valuenow") or "nan")) + 1
    tab.press("ArrowRight", marker=".efflab-plot .gtitle", value=f"a at {value}")
    return value


def test_eight_figures_load_plotly_once(eight: NotebookPage) -> None:
    marks = eight.page.evaluate("() => performance.getEntriesByName('efflab.plotly').length")
    assert eight.page.locator(".efflab-figure[data-drawn='1'] .main-svg .gtitle").count() == LAST + 1
    assert marks == 1


def test_loading_plotly_leaves_the_page_its_own_global(eight: NotebookPage) -> None:
    assert eight.page.evaluate("() => window.Plotly") == "of someone else"


def test_a_key_press_changes_the_picture_in_place(eight: NotebookPage) -> None:
    before = first_figure(eight).element_handle()
    curve = eight.page.locator(".efflab-plot .js-line").first
    old = curve.get_attribute("d")
    value = press_right(eight)
    assert first_figure(eight).locator(".gtitle").text_content() == f"a at {value}"
    assert curve.get_attribute("d") != old
    assert first_figure(eight).evaluate("(now, before) => now === before", before)


def test_only_the_figure_that_was_shown_is_drawn_again(eight: NotebookPage) -> None:
    press_right(eight)
    drawn = [f.get_attribute("data-drawn") for f in eight.page.locator(".efflab-figure[data-drawn]").all()]
    assert drawn[0] != "1"
    assert drawn[1 : LAST + 1] == ["1"] * LAST


def test_after_a_drag_the_last_value_is_drawn(eight: NotebookPage) -> None:
    handle = eight.page.locator(".noUi-handle").first
    eight.drag(handle, 60)
    value = round(float(handle.get_attribute("aria-valuenow") or "nan"))
    assert value > 100
    first_figure(eight).locator(".gtitle", has_text=re.compile(f"^a at {value}$")).wait_for()


@pytest.fixture
def table(eight: NotebookPage) -> Iterator[Locator]:
    """The first figure's table, opened; it is written when it opens, and then with each picture."""
    summary = first_figure(eight).locator("summary")
    summary.click()
    table = first_figure(eight).locator("table")
    table.locator("tbody tr").first.wait_for()
    yield table
    summary.click()


def test_the_sentence_and_the_open_table_change_with_the_picture(eight: NotebookPage, table: Locator) -> None:
    value = press_right(eight)
    assert first_figure(eight).get_attribute("aria-label") == f"A wave, moved by {value}."
    cells = table.locator("tbody tr").first.locator("th, td").all_text_contents()
    assert cells[0] == "start"
    assert float(cells[1]) == pytest.approx(math.sin(value / 10), abs=1e-4)


def test_a_closed_table_shows_the_newest_picture_once_it_opens(eight: NotebookPage) -> None:
    figure = first_figure(eight)
    assert not figure.locator("table").is_visible()
    value = press_right(eight)
    figure.locator("summary").click()
    figure.locator("tbody td").first.wait_for()
    assert float(figure.locator("tbody td").first.inner_text()) == pytest.approx(math.sin(value / 10), abs=1e-4)
    figure.locator("summary").click()
    figure.locator("tbody tr").first.wait_for(state="detached", timeout=5_000)  # or it would open with old numbers


def test_the_headers_of_a_table_say_what_they_head(table: Locator) -> None:
    assert table.locator("th[scope=col]").all_text_contents() == ["time", "height"]
    assert table.locator("th[scope=row]").all_text_contents() == ["start", "end"]


def test_the_theme_of_jupyterlab_is_followed(eight: NotebookPage) -> None:
    assert background(eight) == "rgb(250, 250, 250)"
    with eight.dark_theme():
        eight.page.locator(f".efflab-figure[data-template=dark] >> nth={LAST}").wait_for(state="attached")
        eight.next_frame()
        assert background(eight) == "rgb(10, 10, 10)"
    eight.page.locator(f".efflab-figure[data-template=light] >> nth={LAST}").wait_for(state="attached")
    eight.next_frame()
    assert background(eight) == "rgb(250, 250, 250)"


def test_the_projector_has_a_look_of_its_own(eight: NotebookPage) -> None:
    button = eight.show(eight.page.get_by_role("button", name="projector"))
    button.click()
    first_figure(eight).and_(eight.page.locator("[data-template=projector]")).wait_for()
    assert background(eight) == "rgb(255, 255, 240)"
    button.click()
    first_figure(eight).and_(eight.page.locator("[data-template=light]")).wait_for()


def test_a_figure_in_a_closed_tab_is_drawn_when_the_tab_opens(eight: NotebookPage) -> None:
    hidden = eight.page.locator(".efflab-figure").nth(LAST + 1)
    assert hidden.get_attribute("data-drawn") is None
    eight.show(eight.page.get_by_role("tab", name="second")).click()
    hidden.and_(eight.page.locator("[data-drawn='1']")).wait_for()
    width = hidden.locator(".efflab-plot").evaluate("plot => plot.clientWidth")
    assert hidden.locator(".main-svg").first.evaluate("svg => svg.getBoundingClientRect().width") == width


def test_the_picture_becomes_as_wide_as_the_page_gives_room(eight: NotebookPage) -> None:
    svg = first_figure(eight).locator(".main-svg").first
    wide = svg.evaluate("svg => svg.getBoundingClientRect().width")
    eight.page.set_viewport_size({"width": 1000, "height": 900})
    eight.page.wait_for_function(
        "width => document.querySelector('.efflab-plot')._fullLayout.width < width - 300", arg=wide
    )
    eight.page.set_viewport_size({"width": 1400, "height": 900})
    eight.page.wait_for_function(
        "width => document.querySelector('.efflab-plot')._fullLayout.width === width", arg=wide
    )


def test_no_button_sends_the_figure_to_a_cloud(eight: NotebookPage) -> None:
    eight.show(first_figure(eight).locator(".efflab-plot")).hover()
    names = [button.get_attribute("data-title") for button in first_figure(eight).locator(".modebar-btn").all()]
    assert "Reset axes" in names
    assert not [name for name in names if re.search("share|cloud|chart studio", name or "", re.IGNORECASE)]


def test_a_picture_appears_while_the_kernel_is_still_busy(page: NotebookPage, lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gate:
        busy = f"import socket\nsocket.create_connection({gate.getsockname()!r}).recv(1)"
        write_notebook(lab.root / "busy.ipynb", COMMON, ALONE, busy)
        page.open("busy.ipynb")
        page.start_all()
        held, _ = gate.accept()
        with held:
            page.page.locator(".efflab-figure[data-drawn='1']").wait_for()


def test_a_worker_thread_may_show(page: NotebookPage, lab: Lab) -> None:
    job = (
        "from efflab.widgets.worker import worker\n"
        "worker().submit('preview', lambda stale: view.show(picture(5), alt=words(5)))"
    )
    write_notebook(lab.root / "thread.ipynb", COMMON, ALONE, job)
    page.open("thread.ipynb")
    page.run_all()
    page.page.locator(".efflab-figure[data-drawn='2'][aria-label='A wave, moved by 5.']").wait_for()


def test_a_clicked_point_reaches_python(page: NotebookPage, lab: Lab) -> None:
    dots = (
        "dots = go.Figure(go.Scatter(x=[1, 2, 3], y=[5, 5, 5], mode='markers', marker_size=40))\n"
        "view = LiveFigure(dots, alt='Dots.')\n"
        "view.on_clicked(lambda point: view.show(picture(point.x), alt=f'{point}'))\nview"
    )
    write_notebook(lab.root / "click.ipynb", COMMON, dots)
    page.open("click.ipynb")
    page.run_all()
    figure = page.page.locator(".efflab-figure[data-drawn='1']")
    figure.wait_for()
    box = page.show(figure.locator(".points path").nth(1)).bounding_box()
    assert box is not None
    page.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.page.locator(".efflab-figure[aria-label='Clicked(x=2, y=5, curve=0, index=1)']").wait_for()


def test_what_a_click_handler_raises_is_shown(page: NotebookPage, lab: Lab) -> None:
    write_notebook(lab.root / "raises.ipynb", COMMON, f"{ALONE[:-5]}\nview.on_clicked(lambda p: 1 / 0)\nview")
    page.open("raises.ipynb")
    page.run_all()
    plot = page.page.locator(".efflab-figure[data-drawn='1'] .nsewdrag")
    page.show(plot).click()
    page.page.get_by_text("ZeroDivisionError: division by zero").wait_for()


def test_a_cleared_output_gives_its_plot_back(page: NotebookPage, lab: Lab) -> None:
    write_notebook(lab.root / "cleared.ipynb", COMMON, ALONE)
    page.open("cleared.ipynb")
    page.run_all()
    page.page.locator(".efflab-figure[data-drawn='1']").wait_for()
    plot = page.page.locator(".efflab-plot").element_handle()
    page.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.page.wait_for_function("plot => plot._fullLayout === undefined", arg=plot)


@pytest.mark.parametrize("widgets_saved", [False, True])
def test_a_notebook_opened_again_says_run_this_cell(
    browser: Chromium, page: NotebookPage, lab: Lab, widgets_saved: bool
) -> None:
    name = f"again_{widgets_saved}.ipynb"
    write_notebook(lab.root / name, COMMON, ALONE)
    first = NotebookPage(browser, lab)
    first.open(name)
    first.run_all()
    first.page.locator(".efflab-figure[data-drawn='1']").wait_for()
    first.save_widgets() if widgets_saved else first.save()
    first.close()
    saved = (lab.root / name).read_text()
    assert ("application/vnd.jupyter.widget-state+json" in saved) == widgets_saved
    assert len(saved) < 200_000  # plotly.js is not in it
    page.open(name)
    output = page.page.locator(".jp-OutputArea-output").last
    if widgets_saved:
        output.get_by_text("Run this cell to see the picture.").wait_for()
    else:
        output.get_by_text("model not found").wait_for(state="attached")
        page.expect_error("widget model not found")
        said = output.evaluate("node => getComputedStyle(node, '::after').content")
        assert said == '"Run this cell to see the picture."'
        assert output.evaluate("node => getComputedStyle(node).fontSize") == "0px"
