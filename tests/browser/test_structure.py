"""The bench of filters in a real page: a cut moves blocks, promise and clock, and pointing shows what is tied."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator

from tests.browser.driver import NotebookPage
from tests.browser.test_bench import HANDLE, MEASURED, SENTENCE, open_notebook

pytestmark = pytest.mark.browser

BENCH = """
from efflab import Lab, prune_filters
from efflab.journal import Journal
from efflab.widgets import Bench
lab = Lab.open("resnet8-scattered")
bench = Bench(lab, prune_filters, controls=("ratio", "form"), journal=Journal({journal!r}))
bench
"""
HALF = "178 of 346 channels are left"
PANE = ".efflab-main .widget-tab-contents > :not(.lm-mod-hidden)"
GROUPS = ["conv1", "block1.conv1", "conv1", "block2.conv1", "block2.conv2", "block2.conv2"]
"""Those of the first six blocks, from the top: a sum ties the third to the first."""
TABS = ("network", "filters", "journal")


@pytest.fixture(scope="module")
def bench_tab(tmp_path_factory, browser, lab) -> Iterator[NotebookPage]:
    """One bench for all tests that leave it as they found it."""
    tab = open_notebook(lab, NotebookPage(browser, lab), tmp_path_factory.mktemp("structure"), BENCH)
    tab.page.wait_for_selector(MEASURED)
    yield tab
    tab.close()


@pytest.fixture
def bench(bench_tab) -> Iterator[NotebookPage]:
    """At 50 %, its network in sight; in the end the page must have no error and have asked for nothing elsewhere."""
    open_tab(bench_tab, "network")
    bench_tab.page.wait_for_selector(f"{PANE} figure[data-drawn][aria-label^='{HALF}']")
    bench_tab.page.wait_for_selector(MEASURED)  # until then the tiles grow, and move what is below them
    yield bench_tab
    bench_tab.page.mouse.move(5, 5)
    bench_tab.check()


def open_tab(bench: NotebookPage, name: str) -> Locator:
    """Click on the tab; what stands in it."""
    bench.show(bench.page.get_by_role("tab", name=name, exact=True)).click()
    bench.page.locator(f"{PANE} figure[data-drawn]").first.wait_for()
    return bench.page.locator(PANE)


def step_to(bench: NotebookPage, key: str, percent: int) -> None:
    """Press a key on the slider of the ratio, until it stands there."""
    bench.show(bench.page.locator(HANDLE).first).focus()
    bench.page.keyboard.press(key)
    bench.page.wait_for_selector(f".efflab-controls .widget-readout:has-text('{percent}%')")


def say(bench: NotebookPage) -> str:
    return bench.page.locator(SENTENCE).inner_text()


def tiles(bench: NotebookPage) -> str:
    return bench.page.locator(".efflab-tiles").inner_text()


def opacities(bench: NotebookPage) -> list[float]:
    """How strong the first six blocks are painted."""
    blocks = bench.page.locator(f"{PANE} figure").first.locator(".barlayer .trace").first.locator(".point path")
    return blocks.evaluate_all("paths => paths.slice(0, 6).map(path => parseFloat(getComputedStyle(path).opacity))")


def wait_until_strong(bench: NotebookPage, strong: set[str]) -> None:
    """Wait until the blocks of these groups are strong, and the others pale."""
    wanted = [group in strong for group in GROUPS]
    bench.page.wait_for_function(
        """([pane, wanted]) => {
          const trace = document.querySelector(`${pane} figure .barlayer .trace`);
          const paths = [...trace.querySelectorAll(".point path")].slice(0, wanted.length);
          return paths.every((path, i) => (getComputedStyle(path).opacity === "1") === wanted[i]);
        }""",
        arg=[PANE, wanted],
    )


def point_at_block(bench: NotebookPage, number: int) -> None:
    figure = bench.page.locator(f"{PANE} figure").first
    box = bench.show(figure.locator(".barlayer .trace").first.locator(".point path").nth(number)).bounding_box()
    assert box is not None
    bench.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_an_arrow_key_moves_the_sentence_the_tiles_and_the_blocks_together(bench):
    before = say(bench), tiles(bench)
    step_to(bench, "ArrowRight", 51)
    bench.page.wait_for_selector(f"{PANE} figure[aria-label*='channels are left']:not([aria-label^='{HALF}'])")
    bench.page.wait_for_selector(MEASURED)
    assert (say(bench), tiles(bench)) != before
    blocks = bench.page.locator(f"{PANE} figure").first.get_attribute("aria-label")
    fewer, base, now = re.search(r"([\d.]+)x fewer multiplications\s*\(([\d,]+) → ([\d,]+)\)", tiles(bench)).groups()
    base, now = int(base.replace(",", "")), int(now.replace(",", ""))
    assert float(fewer) == pytest.approx(base / now, abs=0.05)
    assert f"{now / base:.0%}".replace("%", " %") + " of the multiplications" in blocks
    assert re.search(r"[\d.]+x (faster|slower)|no measurable difference", tiles(bench))
    step_to(bench, "ArrowLeft", 50)


def test_pointing_at_a_block_makes_other_groups_pale_and_leaving_restores_them(bench):
    assert opacities(bench) == [1] * 6
    point_at_block(bench, 0)
    wait_until_strong(bench, {"conv1"})
    assert opacities(bench) == [1, 0.25, 1, 0.25, 0.25, 0.25]
    point_at_block(bench, 1)
    wait_until_strong(bench, {"block1.conv1"})
    bench.page.mouse.move(5, 5)
    wait_until_strong(bench, set(GROUPS))


def test_a_chosen_group_stays_picked_out_after_pointing_at_another(bench):
    choice = bench.show(bench.page.get_by_role("combobox", name="Group"))
    choice.select_option("B: block1.conv1")
    wait_until_strong(bench, {"block1.conv1"})
    point_at_block(bench, 4)
    wait_until_strong(bench, {"block2.conv2"})
    bench.page.mouse.move(5, 5)
    wait_until_strong(bench, {"block1.conv1"})
    choice.select_option("all")
    wait_until_strong(bench, set(GROUPS))


def test_a_button_cuts_each_group_alone_and_says_what_was_promised_and_what_was_measured(bench):
    figure = bench.page.locator(f"{PANE} figure").nth(1)
    assert not figure.is_visible()
    bench.show(bench.page.get_by_role("button", name="Cut each group alone")).click()
    bench.page.wait_for_function(
        "pane => document.querySelectorAll(`${pane} figure`)[1].querySelectorAll('.ytick').length === 6", arg=PANE
    )
    said = figure.get_attribute("aria-label")
    assert said.startswith("Of groups that lose 50 % of their channels alone, conv1 + block1.conv2 costs most")
    assert "The base has 97.8 % accuracy." in said
    assert figure.locator(".legendtext").all_text_contents() == ["MACs saved (computed)", "time saved (measured)"]
    assert figure.locator(".textpoint text").count() == 7  # the head of the column, and a score for each group


def test_the_filters_of_a_chosen_layer_are_drawn_and_told(bench):
    pane = open_tab(bench, "filters")
    pane.get_by_role("combobox", name="Layer").select_option("block1.conv1")
    figure = bench.page.locator(f"{PANE} figure[aria-label*='8 of 16 filters of block1.conv1 stay']")
    figure.wait_for()
    assert figure.locator(".heatmaplayer image").count() == 1
    assert figure.get_attribute("aria-label") in pane.inner_text()
    captions = [float(text) for text in figure.locator(".textpoint text").all_text_contents()]
    assert len(captions) == 16
    assert captions == sorted(captions, reverse=True)
    crosses = figure.locator(".scatterlayer .points path").evaluate_all("all => all.map(one => +one.style.opacity)")
    assert crosses == [0] * 8 + [1] * 8


def test_zeros_instead_of_a_cut_keep_the_accuracy_and_every_multiplication(bench):
    score = re.search(r"accuracy ([\d.]+) %", say(bench)).group(1)
    bench.show(bench.page.get_by_role("radio", name="zeroed")).check()
    bench.page.wait_for_selector(f"{PANE} figure[aria-label^='346 of 346 channels are left, and 100 %']")
    bench.page.wait_for_selector(f"{MEASURED}:has-text('as many multiplications as before (9,345,920)')")
    assert re.search(r"accuracy ([\d.]+) %", say(bench)).group(1) == score
    bench.show(bench.page.get_by_role("radio", name="removed")).check()
    bench.page.wait_for_selector(f"{PANE} figure[aria-label^='{HALF}']")
    bench.page.wait_for_selector(f"{MEASURED}:has-text('fewer multiplications')")


def test_the_journal_shows_the_front_of_the_runs_with_the_base(bench):
    pane = open_tab(bench, "journal")
    figure = pane.locator("figure").first
    assert re.match(
        r"Of \d+ runs?, .*(not beaten in both \(measured\): |none is faster)", figure.get_attribute("aria-label")
    )
    names = figure.locator(".legendtext").all_text_contents()
    assert names == ["front: none is faster and better", "your runs", "the newest", "base"]
    assert figure.locator(".xtitle").text_content() == "time of one run (ms, measured), batch 1"
    rows = pane.locator("table.efflab-journal tbody tr")
    assert rows.first.inner_text().startswith("prune_filters(ratio=0.5)")
    assert rows.first.inner_text().endswith("resnet8-scattered")


LEGEND = """pane => {
  const figure = document.querySelector(`${pane} figure`);
  const box = (selector) => figure.querySelector(selector).getBoundingClientRect();
  const lines = [...figure.querySelectorAll(".legendtext")].map((text) => text.getBoundingClientRect().y);
  return {n_lines: new Set(lines).size, gap: box(".nsewdrag").top - box(".legend").bottom};
}"""
"""How many lines a legend has, and the pixels between it and its picture."""


def test_a_legend_that_needs_fewer_lines_once_the_page_has_grown_stays_above_its_picture(bench):
    open_tab(bench, "journal")
    wide, n_lines = bench.page.viewport_size, bench.page.evaluate(LEGEND, PANE)["n_lines"]
    bench.page.set_viewport_size({"width": 1000, "height": 900})
    bench.page.wait_for_function(f"([pane, n]) => ({LEGEND})(pane).n_lines > n", arg=[PANE, n_lines])
    bench.page.set_viewport_size(wide)
    is_back = f"([pane, n]) => {{ const now = ({LEGEND})(pane); return now.n_lines === n && now.gap > 0; }}"
    bench.page.wait_for_function(is_back, arg=[PANE, n_lines])


@pytest.mark.parametrize("name", TABS)
def test_axe_finds_nothing_serious(bench, axe, name):
    open_tab(bench, name)
    assert bench.serious_faults() == []


@pytest.mark.parametrize("name", TABS)
def test_no_tab_makes_the_bench_wider_than_its_cell(bench, name):
    open_tab(bench, name)
    too_wide = "() => { const e = document.querySelector('.efflab-bench'); return e.scrollWidth - e.clientWidth; }"
    assert bench.page.evaluate(too_wide) <= 1


def test_the_projector_and_the_dark_theme_keep_every_word_on_the_page(bench):
    bench.show(bench.page.get_by_role("checkbox", name="projector")).check()
    with bench.dark_theme():
        for name in TABS:
            for figure in open_tab(bench, name).locator("figure:visible").all():
                figure.and_(bench.page.locator("[data-template=projector_dark]")).wait_for()
                assert words_outside(bench, figure) == [], name
    bench.page.get_by_role("checkbox", name="projector").uncheck()


OUTSIDE = """figure => {
  const {left, right} = figure.getBoundingClientRect();
  const texts = [...figure.querySelectorAll("svg text")].map((text) => [text, text.getBoundingClientRect()]);
  return texts.filter(([_, box]) => box.left < left - 1 || box.right > right + 1).map(([text]) => text.textContent);
}"""


def words_outside(bench: NotebookPage, figure: Locator) -> list[str]:
    """The words of a picture that stand beyond its edges, where they are cut off."""
    bench.next_frame()
    assert figure.locator("svg text").count() > 0
    return figure.evaluate(OUTSIDE)


def assert_below_the_controls_and_whole(bench: NotebookPage, figure: Locator) -> None:
    """Wait until a picture has the width of its panel, the controls above it, and all of its words on the page."""
    whole = f"""figure => {{
      const controls = document.querySelector(".efflab-controls").getBoundingClientRect();
      const panel = document.querySelector(".efflab-panel").clientWidth;
      const {{top, width}} = figure.getBoundingClientRect();
      const is_drawn = figure.dataset.template === "projector" && figure.querySelector("svg text") !== null;
      return is_drawn && width > 0.98 * panel && top >= controls.bottom && ({OUTSIDE})(figure).length === 0;
    }}"""
    bench.page.wait_for_function(whole, arg=figure.element_handle())
