"""Predictions, quizzes and verdicts: what a learner answers is kept, judged and said back."""

import ipywidgets
import pytest

from efflab import questions
from efflab.journal import Journal, day_text
from efflab.questions import Verdict
from efflab.widgets.asking import Checked, Gate, verdict_html
from efflab.widgets.quiz import QuizView


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.sqlite")


@pytest.fixture
def gate(journal):
    return Gate(questions.load("03").prediction("accuracy_at_80"), journal, chapter="03")


def test_a_gate_is_closed_until_the_prediction_is_made_and_then_tells_whoever_waits(gate):
    opened = []
    gate.on_open(lambda: opened.append(gate.answer))
    assert (gate.is_open, opened) == (False, [])
    gate.lock_in(71.0)
    assert (gate.is_open, opened) == (True, [71.0])


def test_the_button_does_what_the_method_does(gate):
    gate._input.value = 64.0
    gate._lock.click()
    assert gate.answer == 64.0


def test_no_option_is_chosen_beforehand_and_locking_nothing_in_is_refused(journal):
    gate = Gate(questions.load("03").prediction("faster_at_90"), journal, chapter="03")
    gate._lock.click()
    assert (gate.is_open, gate.readout.error) == (False, "Choose one of the answers first, or skip.")
    gate._input.value = "same"
    gate._lock.click()
    assert (gate.answer, gate.readout.error) == ("same", "")


def test_a_verdict_says_its_word_once_and_shows_code_as_code():
    assert verdict_html(Verdict(True, "Right. It is so.", 1, 1)).count("Right.") == 1
    html = verdict_html(Verdict(False, "replace `raise <Error>` first", 0, 1))
    assert "<code>raise &lt;Error&gt;</code>" in html


def test_a_question_and_what_is_said_to_a_prediction_show_code_as_code(journal):
    gate = Gate(questions.load("08").prediction("effective_weight"), journal, chapter="08")
    asked = gate._question.children[0].children[0].value
    assert "<code>F.kl_div(..., reduction=&quot;mean&quot;)</code>" in asked
    quiz = QuizView(questions.load("06").quiz("nothing_moves"), journal, chapter="06")
    assert "<code>torch.round</code>" in quiz.children[0].children[0].children[0].value


def test_skipping_opens_too_and_is_recorded(gate, journal):
    gate._skip.click()
    assert gate.is_open
    assert gate.answer is None
    assert journal.latest("skip", "accuracy_at_80", chapter="03") is not None


def test_a_prediction_survives_a_restart(gate, journal):
    gate.lock_in(71.0)
    again = Gate(gate.question, Journal(journal.path), chapter="03")
    assert (again.is_open, again.answer) == (True, 71.0)


def test_the_prediction_is_compared_with_the_measurement_once(gate, journal):
    gate.lock_in(71.0)
    gate.reveal(93.2)
    assert "You predicted 71 %, measured is 93.2 %" in gate._feedback.value
    gate.reveal(10.0)
    assert "93.2" in gate._feedback.value
    assert [e.value for e in journal.entries(chapter="03", kind="measured", name="accuracy_at_80")] == [93.2]
    gate.write_down("flat, then a cliff")
    assert journal.latest("answer", "accuracy_at_80", chapter="03").value == "flat, then a cliff"


def test_a_measured_answer_is_beside_its_prediction_again_after_a_restart(gate, journal):
    gate.lock_in(71.0)
    gate.reveal(93.2)
    kept = journal.latest("measured", "accuracy_at_80")
    again = Gate(gate.question, Journal(journal.path), chapter="03")
    assert again.measured == 93.2
    assert "You predicted 71 %, measured is 93.2 %" in again._feedback.value
    assert f"The answer is that of {day_text(kept.at)}; a new one takes its place." in again._feedback.value
    assert again._seen_box in again._question.children
    again.say_next("Now set the bits to 16.")
    assert "93.2" in again._feedback.value
    assert journal.entries(kind="measured") == (kept,)  # nothing was written for that


def test_a_gate_stands_in_a_box_as_every_widget_does(gate):
    assert "Gate(" in repr(ipywidgets.VBox([gate]))  # a method of ours that hides one of a widget would raise here


def test_a_new_measurement_takes_the_place_of_a_kept_one_once(gate, journal):
    gate.lock_in(71.0)
    gate.reveal(93.2)
    again = Gate(gate.question, Journal(journal.path), chapter="03")
    assert again.reveal(72.5)
    assert not again.reveal(10.0)
    assert "measured is 72.5 %" in again._feedback.value
    assert "The answer is that of" not in again._feedback.value
    assert [e.value for e in journal.entries(kind="measured")] == [93.2, 72.5]


@pytest.mark.parametrize("value", ["a word", None, [1], True])
def test_a_kept_answer_that_fits_no_longer_is_left_out(gate, journal, value):
    gate.lock_in(71.0)
    journal.record("measured", "accuracy_at_80", value, chapter="03")
    again = Gate(gate.question, Journal(journal.path), chapter="03")
    assert (again.is_open, again.measured) == (True, None)
    assert "Locked in. Now look below." in again._feedback.value


def test_a_skipped_prediction_is_asked_again_after_a_restart(gate, journal):
    gate.skip()
    gate.reveal(93.2)
    again = Gate(gate.question, Journal(journal.path), chapter="03")
    assert (again.is_open, again.measured, again._feedback.value) == (False, None, "")


def test_nothing_written_is_said_and_a_sentence_survives_a_restart(gate, journal):
    gate.lock_in(71.0)
    gate.reveal(93.2)
    gate._keep.click()
    assert "nothing to write down yet" in gate.readout.error
    gate._seen.value = "flat, then a cliff"
    gate._keep.click()
    assert (gate.readout.error, gate._keep.description) == ("", "Written down")
    again = Gate(gate.question, Journal(journal.path), chapter="03")
    assert (again._seen.value, again._keep.description) == ("flat, then a cliff", "Written down")
    assert again._seen_box in again._question.children
    again.reveal(93.2)
    assert again._question.children.count(again._seen_box) == 1


def test_a_panel_may_say_what_comes_after_the_prediction(gate):
    gate.lock_in(71.0)
    assert "Locked in. Now look below." in gate._feedback.value
    gate.say_next("Now set the bits to 16.")
    assert "Locked in. Now set the bits to 16." in gate._feedback.value
    gate.reveal(93.2)
    gate.say_next("Now wait.")
    assert "Now wait" not in gate._feedback.value


def test_nothing_is_revealed_before_the_prediction(gate):
    gate.reveal(93.2)
    assert gate.measured is None
    assert gate._feedback.value == ""


def test_a_journal_that_cannot_be_written_is_said_and_the_answer_counts(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    gate = Gate(questions.load("03").prediction("accuracy_at_80"), Journal(blocked / "j.sqlite"), chapter="03")
    gate.lock_in(71.0)
    assert gate.answer == 71.0
    assert "not saved" in gate.readout.error


def test_a_wrong_option_gets_its_own_sentence_and_a_right_one_is_called_right(journal):
    quiz = QuizView(questions.load("03").quiz("file_size"), journal, chapter="03")
    quiz.choose("too_few")
    assert "Not yet." in quiz._feedback.value
    assert "With 99 % zeros the file would be as large" in quiz._feedback.value
    quiz._choice.value = "zeros_are_numbers"
    assert "Right." in quiz._feedback.value
    assert [e.value for e in journal.entries(kind="answer", name="file_size")] == ["too_few", "zeros_are_numbers"]


def test_a_quiz_that_was_answered_shows_its_last_answer_again_and_writes_nothing_for_it(journal):
    quiz = QuizView(questions.load("03").quiz("file_size"), journal, chapter="03")
    quiz.choose("too_few")
    quiz.choose("zeros_are_numbers")
    again = QuizView(quiz.quiz, Journal(journal.path), chapter="03")
    assert again._choice.value == "zeros_are_numbers"
    assert again._feedback.value == quiz._feedback.value != ""
    assert len(journal.entries(kind="answer")) == 2
    again._choice.value = "too_few"  # may be answered again
    assert "Not yet." in again._feedback.value
    assert [e.value for e in journal.entries(kind="answer")] == ["too_few", "zeros_are_numbers", "too_few"]


@pytest.mark.parametrize("value", ["an option that is gone", 3, None, ["too_few"], {"a": 1}])
def test_an_answer_that_the_quiz_does_not_have_is_not_shown(journal, value):
    journal.record("answer", "file_size", value, chapter="03")
    quiz = QuizView(questions.load("03").quiz("file_size"), journal, chapter="03")
    assert (quiz._choice.value, quiz._feedback.value) == (None, "")


def test_a_quiz_whose_journal_cannot_be_read_says_so_and_can_be_answered(tmp_path):
    quiz = QuizView(questions.load("03").quiz("file_size"), Journal(tmp_path), chapter="03")  # a folder
    assert "The journal was not read" in quiz.readout.error
    assert quiz.choose("zeros_are_numbers").passed


def test_a_verdict_of_several_lines_is_a_list():
    html = verdict_html(Verdict(False, "Met: 5 bits.\nNot met: <3> tokens.", 1, 2))
    assert "<ul><li>Met: 5 bits.</li><li>Not met: &lt;3&gt; tokens.</li></ul>" in html


def test_a_verdict_is_shown_with_a_word_and_its_text_is_escaped():
    html = verdict_html(Verdict(False, "<b>no</b>", 0, 1))
    assert "Not yet." in html
    assert "&lt;b&gt;no" in html
    assert repr(Checked(Verdict(True, "All 7 cases pass.", 7, 7), "disk full")) == "All 7 cases pass. disk full"
