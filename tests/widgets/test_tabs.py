"""The journal tab: the runs of this network over their time, and all runs in a table."""

import re

import pytest
import support

from efflab import Lab, prune_filters, step
from efflab.journal import Journal
from efflab.recipe import to_json
from efflab.widgets.tabs import ABOUT_RUNS, JournalTab

CHAPTER = "04"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data(), name="mine")


@pytest.fixture
def journal(tmp_path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


@pytest.fixture
def show(lab, journal):
    """Draw the tab of the journal as it is now."""
    tab = JournalTab(lab, journal, CHAPTER)
    preview = lab.preview((step(prune_filters, ratio=0.5),))

    def draw() -> JournalTab:
        tab.show(preview)
        return tab

    return draw


@pytest.fixture
def ran(journal):
    """Write a run down."""

    def write(score: float, ms: float, *, network="mine", batch=1, base_ms=1.0, ratio=0.5, chapter=CHAPTER) -> None:
        recipe = to_json((step(prune_filters, ratio=ratio),))
        numbers = {"score": score, "low": score - 0.02, "high": score + 0.02, "packed_bytes": 80, "file_bytes": 90}
        times = {"batch": batch, "ms": ms, "base_ms": base_ms, "verdict": "faster"}
        value = {"network": network, "recipe": recipe, **numbers, **times}
        journal.record("run", "prune_filters", value, chapter=chapter)

    return write


def test_before_any_run_there_is_no_picture_and_the_table_says_what_to_do(show):
    tab = show()
    assert tab._front.shown is None
    assert "No run was measured yet: leave the controls alone for a second." in tab._table.value


def test_the_runs_of_this_network_stand_over_their_time_with_the_base(show, ran, lab):
    ran(0.8, 0.5)
    ran(0.9, 0.7, base_ms=2.0)
    front, runs, newest, base = show()._front.shown.figure.data
    assert list(runs.x) == [0.5, 0.7]
    assert list(newest.x) == [0.7]
    assert (list(base.x), list(base.y)) == ([2.0], [pytest.approx(lab.baseline.value * 100)])
    assert list(front.x)[:2] == [0.5, 0.7]


def test_another_network_is_in_the_table_and_not_in_the_picture(show, ran):
    ran(0.8, 0.5)
    ran(0.9, 0.3, network="another")
    tab = show()
    assert list(tab._front.shown.figure.data[1].x) == [0.5]
    assert "another" in tab._table.value


def test_of_another_network_alone_there_is_no_picture(show, ran):
    ran(0.9, 0.3, network="another")
    tab = show()
    assert tab._front.shown is None
    assert "another" in tab._table.value


def test_the_batch_of_the_last_run_is_the_one_in_the_picture(show, ran):
    ran(0.8, 0.5)
    ran(0.9, 20.0, batch=64)
    figure = show()._front.shown.figure
    assert list(figure.data[1].x) == [20.0]
    assert figure.layout.xaxis.title.text == "time of one run (ms, measured), batch 64"


def test_the_table_begins_with_the_newest_run_and_says_where_numbers_come_from(show, ran):
    for percent in range(35):
        ran(0.8, 0.5, ratio=percent / 100)
    value = show()._table.value
    assert re.findall(r"ratio=(0\.\d+)", value) == [str(percent / 100) for percent in range(34, 4, -1)]
    assert ABOUT_RUNS in value


def test_what_was_written_in_another_chapter_stays_there(show, ran):
    ran(0.8, 0.5, chapter="03")
    assert "No run was measured yet" in show()._table.value
