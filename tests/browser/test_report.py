"""A learner's report on paper: all columns of every table fit on A4, whatever was typed."""

import re

import pytest
from playwright.sync_api import Browser

from efflab import fine_tune, prune_weights, step, to_json
from efflab.scoreboard.report import RUN, report
from tests.scoreboard.entries import entry, run

pytestmark = pytest.mark.browser

MARGIN_CM = 1.2  # as the page has it
WIDTH, HEIGHT = (int((side_cm - 2 * MARGIN_CM) / 2.54 * 96) for side_cm in (29.7, 21.0))
WIDTHS = "one => [one.scrollWidth, one.clientWidth]"
TEXT_HEIGHT = """one => { const all = document.createRange(); all.selectNodeContents(one);
  return all.getBoundingClientRect().height; }"""
LONG = to_json((*(step(prune_weights, sparsity=s / 10) for s in range(1, 10)), step(fine_tune, epochs=10)))


@pytest.fixture
def paper(browser: Browser, tmp_path):
    """A report with a long recipe and long names, as it is printed."""
    path = tmp_path / "report.html"
    entries = [
        entry("answer", "fold_first", "other weights " * 30, chapter="18"),
        entry("check", "best_under_20_kb", {"passed": True, "n_passed": 2, "n_cases": 2, "recipe": LONG}),
        run(recipe=LONG, network="cnn-scattered", macs=1_234_567_890),
        run(network="resnet" * 10, teacher="Network" * 10),
    ]
    path.write_text(report(entries), encoding="utf-8")
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.emulate_media(media="print")
    page.goto(path.as_uri())
    yield page
    page.close()


def test_every_table_fits_on_the_paper(paper):
    tables = paper.locator(".wide")
    assert tables.count() == 3
    assert tables.last.locator("th[scope=col]").count() == len(RUN)
    for i in range(tables.count()):
        needed, there = tables.nth(i).evaluate(WIDTHS)
        assert needed <= there <= WIDTH
    needed, there = paper.locator("html").evaluate(WIDTHS)
    assert needed <= there == WIDTH


def test_the_heads_of_the_columns_and_long_numbers_are_not_broken(paper):
    table = paper.locator(".wide").last
    one_line = table.locator("th[scope=row]").first.evaluate("one => parseFloat(getComputedStyle(one).lineHeight)")
    for text, n_lines in (("chapter", 1), ("base takes (measured)", 2), ("1,234,567,890", 1)):
        height = table.get_by_text(text, exact=True).evaluate(TEXT_HEIGHT)
        assert height < (n_lines + 0.5) * one_line


def test_the_paper_lies_on_its_long_side(paper):
    pdf = paper.pdf(prefer_css_page_size=True).decode("latin-1")
    boxes = re.findall(r"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", pdf)
    assert boxes
    assert all(float(width) > float(height) for width, height in boxes)
