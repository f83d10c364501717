"""Teacher mode: nothing is asked and nothing written down, what to say is on a button, and a panel fills the window."""

from collections.abc import Iterator

import ipywidgets
import pytest
import support

from efflab import Lab, fine_tune, prune_weights, step
from efflab.journal import Journal
from efflab.widgets import Chapter
from efflab.widgets.asking import Gate
from efflab.widgets.quiz import QuizView
from efflab.widgets.teaching import NOT_ASKED, OpenGate, OpenQuiz, fill_window, is_teacher
from efflab.widgets.worker import worker

SECONDS = 120


@pytest.fixture
def lab(stopwatch) -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


@pytest.fixture
def chapter(tmp_path) -> Iterator[Chapter]:
    yield Chapter("03", journal=Journal(tmp_path / "journal.sqlite"), teacher=True)
    worker().wait(SECONDS)


@pytest.mark.parametrize(("value", "is_on"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_environment_turns_it_on_and_the_chapter_has_the_last_word(monkeypatch, tmp_path, value, is_on):
    monkeypatch.setenv("EFFLAB_TEACHER", value)
    journal = Journal(tmp_path / "journal.sqlite")
    assert is_teacher() == Chapter("03", journal=journal).teacher == is_on
    assert type(Chapter("03", journal=journal).predict("accuracy_at_80")) is (OpenGate if is_on else Gate)
    assert type(Chapter("03", journal=journal, teacher=not is_on).predict("accuracy_at_80")) is (
        Gate if is_on else OpenGate
    )


def test_a_bench_is_open_its_curve_is_whole_and_nothing_is_written_of_the_prediction(chapter, lab):
    bench = chapter.bench(lab, prune_weights, prediction="accuracy_at_80", at={"sparsity": 0.8}, recover=None)
    worker().wait(SECONDS)
    assert not bench.controls["sparsity"]._whole.disabled
    assert len(bench.stage.curve) > 10
    assert "Seed 0: every run on this machine gives these networks and scores again" in bench.children[-1].value
    assert NOT_ASKED in bench.gate._feedback.value
    bench.set(sparsity=0.8)
    worker().wait(SECONDS)
    assert bench.gate.measured == 100 * bench.preview.evaluation.value
    assert "found here" in bench.gate._feedback.value
    kinds = {entry.kind for entry in chapter.journal.entries()}
    assert kinds <= {"run"}


def test_what_a_learner_has_predicted_on_this_machine_is_not_shown(chapter):
    chapter.journal.record("prediction", "accuracy_at_80", 13.0, chapter="03")
    gate = chapter.predict("accuracy_at_80")
    assert gate.answer is None
    assert "13" not in gate._feedback.value


def test_what_a_learner_has_answered_on_this_machine_is_not_shown(chapter):
    chapter.journal.record("answer", "file_size", "zeros_are_numbers", chapter="03")
    quiz = chapter.quiz("file_size")
    assert (quiz._choice.value, quiz._feedback.value) == (None, "")


def test_a_technique_that_trains_draws_no_curve_of_twenty_trainings(chapter, lab):
    bench = chapter.bench(lab, fine_tune, controls=("epochs",), recover=None)
    worker().wait(SECONDS)
    assert bench.stage.curve == []


def test_what_each_prediction_is_answered_with_is_shown_on_a_button(chapter):
    gate = chapter.predict("accuracy_at_80")
    assert gate._key.value == ""
    gate.reveal_key()
    number = gate.question.number
    for sentence in (number.too_low, number.close, number.too_high):
        assert sentence[:20] in gate._key.value


def test_a_quiz_shows_the_right_option_on_a_button_and_writes_nothing(chapter):
    quiz = chapter.quiz(chapter.questions.quizzes[0].id)
    assert isinstance(quiz, OpenQuiz)
    assert isinstance(quiz, QuizView)
    quiz.reveal_key()
    assert quiz._key.value.count("right: ") == 1
    assert quiz.choose(quiz.quiz.options[0].key).message == quiz.quiz.options[0].feedback
    assert chapter.journal.entries() == ()


def test_a_panel_that_fills_the_window_is_in_large_type_and_its_switch_is_on(chapter, lab):
    bench = chapter.bench(lab, prune_weights, recover=None)
    assert fill_window(bench) is bench
    worker().wait(SECONDS)
    assert bench.readout.fills_window
    assert "efflab-projector" in bench._dom_classes
    (switch,) = [
        one for one in bench.desk.children if isinstance(one, ipywidgets.Checkbox) and one.description == "projector"
    ]
    assert switch.value


def test_two_runs_of_a_training_in_teacher_mode_give_the_same_bits(lab, tmp_path):
    scores = []
    for name in ("first", "second"):
        own = Lab(support.tiny_cnn(), support.tiny_data())
        chapter = Chapter("03", journal=Journal(tmp_path / f"{name}.sqlite"), teacher=True)
        bench = chapter.recipe_bench(own, (step(prune_weights, sparsity=0.5), step(fine_tune, epochs=2)))
        bench.run()
        worker().wait(SECONDS)
        scores.append(bench.prefixes[-1].preview.evaluation.scores.tolist())
        assert bench.lab.seed == 0
    assert scores[0] == scores[1]
