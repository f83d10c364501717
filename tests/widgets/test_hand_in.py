"""Handing in without a browser: what is offered, what is judged and written down, and what a stop leaves."""

from collections.abc import Iterator

import pytest
import support

from efflab import Lab, fine_tune, prune_weights, step, to_json
from efflab.budget import PackedBudget
from efflab.journal import Journal, day_text
from efflab.scoreboard import judged_entry
from efflab.widgets import Chapter
from efflab.widgets.hand_in import CHOOSE, HandIn
from efflab.widgets.worker import worker

SECONDS = 120
CUT, TUNE = step(prune_weights, sparsity=0.5), step(fine_tune, epochs=1)
ALL = PackedBudget(10**6, lost=1.0)


@pytest.fixture
def lab(stopwatch) -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data(), name="tiny-cnn")


@pytest.fixture
def chapter(tmp_path) -> Iterator[Chapter]:
    yield Chapter("03", journal=Journal(tmp_path / "journal.sqlite"))
    worker().wait(SECONDS)


def write(chapter: Chapter, lab: Lab, *recipe, **changes) -> None:
    entry = judged_entry(lab.preview(recipe), lab) | changes
    chapter.journal.record("run", "recipe", entry, chapter="03")


def after(act, *arguments) -> None:
    act(*arguments)
    worker().wait(SECONDS)


def test_without_a_run_the_panel_says_where_one_comes_from(chapter, lab):
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    assert panel.runs == ()
    assert panel._button.disabled
    assert "No run of tiny-cnn on tiny is in the journal yet" in panel._text.value
    after(panel.hand_in)
    assert panel.handed_in is None


def test_runs_are_offered_with_what_the_journal_says_the_best_first(chapter, lab):
    write(chapter, lab, CUT, score=0.5)
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    write(chapter, lab, TUNE, score=0.9)  # offered at once
    assert [run.score for run in panel.runs] == [0.9, 0.5]
    words = panel.choice.options[1][0]
    assert words.startswith("50.0 %")
    assert words.endswith("prune_weights(sparsity=0.5)")
    assert CHOOSE in panel._text.value
    assert panel.choice.value.score == 0.5  # what was chosen stays chosen


def test_runs_whose_bytes_keep_to_the_budget_are_offered_first_and_the_label_says_so(chapter, lab):
    write(chapter, lab, CUT, score=0.5, packed_bytes=20_000)
    write(chapter, lab, TUNE, score=0.9, packed_bytes=61_748)
    panel = chapter.hand_in("under_20_kb", lab, PackedBudget(20_000, lost=0.01))
    assert [run.packed_bytes for run in panel.runs] == [20_000, 61_748]
    assert panel.choice.value.packed_bytes == 20_000
    assert "first those whose bytes keep to the budget" in panel.children[0].children[0].value


def test_the_whole_recipe_of_the_chosen_run_stands_below_the_list(chapter, lab):
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    assert "recipe" not in panel._recipe.value
    write(chapter, lab, CUT, score=0.5)
    write(chapter, lab, CUT, TUNE, score=0.9)
    told = "The recipe of the chosen run: prune_weights(sparsity=0.5)"
    assert f"{told}<" in panel._recipe.value
    panel.choice.value = panel.runs[0]
    assert f"{told}, then fine_tune(epochs=1)<" in panel._recipe.value
    box = panel.children[0].children
    assert box.index(panel._recipe) == box.index(panel.choice) + 1


def test_a_run_of_another_notebook_is_offered_once_the_journal_is_read_again(chapter, lab):
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    other = Journal(chapter.journal.path)
    other.record("run", "recipe", judged_entry(lab.preview((CUT,)), lab), chapter="05")
    assert panel.runs == ()
    panel.read_again()
    assert len(panel.runs) == 1


def test_a_new_run_leaves_the_last_verdict_where_it_is(chapter, lab):
    write(chapter, lab, CUT)
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    after(panel.hand_in)
    write(chapter, lab, TUNE)
    assert len(panel.runs) == 2
    assert "Right." in panel._text.value
    chapter.journal.record("skip", "a", 1, chapter="03")  # no run
    assert len(panel.runs) == 2


def test_what_is_handed_in_runs_again_and_its_verdict_is_written_down(chapter, lab):
    write(chapter, lab, CUT, TUNE)
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    after(panel.hand_in)
    assert panel.handed_in.verdict.passed
    assert "Right." in panel._text.value
    assert "as the journal says" in panel._text.value
    assert panel.readout.sentence == "The budget is met."
    kept = chapter.journal.latest("check", "under_20_kb", chapter="03").value
    assert (kept["passed"], kept["recipe"]) == (True, to_json((CUT, TUNE)))


def test_a_new_panel_says_that_the_budget_was_met_before_with_which_recipe_and_when(chapter, lab):
    write(chapter, lab, CUT, TUNE)
    first = chapter.hand_in("under_20_kb", lab, ALL)
    assert "before, on" not in first._text.value
    after(first.hand_in)
    assert "before, on" not in first._text.value  # what is said is of this try
    chapter.journal.record("check", "under_20_kb", {"passed": False}, chapter="03")
    chapter.journal.record("check", "of_another", {"passed": True, "recipe": "another"}, chapter="03")
    day = day_text(chapter.journal.latest("check", "under_20_kb").at)
    again = Chapter("03", journal=Journal(chapter.journal.path)).hand_in("under_20_kb", lab, ALL)
    told = f"Met before, on {day}, with: prune_weights(sparsity=0.5), then fine_tune(epochs=1).\n{CHOOSE}"
    assert told in again._text.value
    assert len(chapter.journal.entries(kind="check")) == 3  # nothing was written for that


def test_a_new_panel_says_that_the_budget_was_tried_before(chapter, lab):
    write(chapter, lab, CUT)
    entry = chapter.journal.record("check", "under_20_kb", {"passed": False}, chapter="03")
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    assert f"Tried before, on {day_text(entry.at)}: not met yet.\n{CHOOSE}" in panel._text.value


def test_a_typed_score_is_told_and_a_budget_that_is_missed_says_by_what(chapter, lab):
    write(chapter, lab, CUT, score=0.9999)
    panel = chapter.hand_in("under_20_kb", lab, PackedBudget(10, lost=1.0))
    after(panel.hand_in)
    assert not panel.handed_in.verdict.passed
    assert "Not met" in panel._text.value
    assert "The journal says 99.99 %" in panel._text.value
    assert chapter.journal.latest("check", "under_20_kb", chapter="03").value["passed"] is False


@pytest.mark.parametrize("act", ["hand_in", "run_and_hand_in"])
def test_the_sentence_on_the_last_one_goes_away_when_the_next_begins(chapter, lab, act):
    write(chapter, lab, CUT)
    panel = chapter.hand_in("under_20_kb", lab, PackedBudget(10, lost=1.0))
    after(panel.hand_in)
    assert panel.readout.sentence == "The budget is not met yet."
    said = []
    panel.readout.observe(lambda change: said.append(change["new"]), "sentence")
    getattr(panel, act)(*(((CUT,),) if act == "run_and_hand_in" else ()))
    assert said[0] == ""  # at once, before the worker has answered
    worker().wait(SECONDS)
    assert said == ["", "The budget is not met yet."]


def test_a_recipe_is_run_written_down_and_handed_in_by_one_call(chapter, lab):
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    after(panel.run_and_hand_in, (CUT, TUNE))
    (run,) = chapter.journal.entries(kind="run")
    assert run.value["recipe"] == to_json((CUT, TUNE))
    assert panel.handed_in.run.id == run.id
    assert panel.handed_in.is_same


@pytest.mark.parametrize("act", ["hand_in", "run_and_hand_in"])
def test_a_stop_judges_nothing_and_the_next_try_runs_to_its_end(chapter, lab, act):
    write(chapter, lab, CUT, TUNE)
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    arguments = ((CUT, TUNE),) if act == "run_and_hand_in" else ()
    getattr(panel, act)(*arguments)
    panel.stop()
    worker().wait(SECONDS)
    assert panel.handed_in is None
    assert "Nothing was judged" in panel._text.value
    assert chapter.journal.entries(kind="check") == ()
    after(getattr(panel, act), *arguments)
    assert panel.handed_in.verdict.passed


def test_a_recipe_that_cannot_run_is_told_in_the_words_of_its_technique(chapter, lab):
    write(chapter, lab, CUT, recipe=to_json((step(prune_weights, sparsity={"conv9": 0.5}),)))
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    after(panel.hand_in)
    assert "conv9" in panel.readout.error
    assert "did not run" in panel._text.value
    assert not panel._button.disabled


def test_a_journal_that_cannot_be_read_is_told_and_what_was_offered_stays(chapter, lab, tmp_path):
    write(chapter, lab, CUT)
    panel = chapter.hand_in("under_20_kb", lab, ALL)
    panel.journal = Journal(tmp_path)  # a folder
    panel.read_again()
    assert "The journal was not read" in panel.readout.error
    assert len(panel.runs) == 1


def test_names_with_html_in_them_are_text(chapter, lab):
    own = Lab(support.tiny_cnn(), support.tiny_data(), name="<b>mine</b>")
    panel: HandIn = chapter.hand_in("under_20_kb", own, ALL)
    assert "<b>mine" not in panel._text.value
    assert "&lt;b&gt;mine" in panel._text.value
