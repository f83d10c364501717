"""The missing digit without a browser: what waits for the button, what follows the bias, and what goes wrong."""

import html
import re
from collections.abc import Iterator

import pytest
import support

from efflab import distill_predictions, start_student, step
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.lab.missing import MissingClass, train_without
from efflab.questions.kinds import Number, Prediction
from efflab.training import train
from efflab.widgets import Chapter, Missing
from efflab.widgets import missing as panel_module
from efflab.widgets.asking import PREDICT_FIRST, Gate
from efflab.widgets.missing import NOT_TRAINED, TRAINING
from efflab.widgets.worker import worker

SECONDS = 60
STUDENT = step(start_student, kind="mlp", width=6)


@pytest.fixture(scope="module")
def lab() -> Lab:
    teacher, data = support.tiny_cnn(), support.tiny_data(n=400)
    for _ in train(teacher, data, epochs=5):
        pass
    return Lab(teacher, data)


@pytest.fixture
def panel(lab) -> Iterator[Missing]:
    made = Missing(lab, 1, student=STUDENT, epochs=2)
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


@pytest.fixture
def trained(panel) -> Missing:
    panel.train()
    worker().wait(SECONDS)
    return panel


@pytest.fixture
def gate(tmp_path) -> Gate:
    number = Number(0, 100, 1, "%", 5, "low {measured}", "close {measured}", "high {measured}")
    question = Prediction("recall", "How many threes?", "What did you see?", number)
    return Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="08")


def test_nothing_is_trained_before_the_button_is_pressed(panel):
    assert panel.found is None
    assert (panel.recalls.shown, panel.curve.shown) == (None, None)
    assert panel.readout.sentence == NOT_TRAINED
    assert panel.bias.control._whole.disabled


def test_the_button_trains_both_students_and_shows_them(trained, lab):
    expected = train_without(lab, STUDENT, 1, temperature=4.0, epochs=2)
    assert trained.found.taught.logits.tolist() == expected.taught.logits.tolist()
    assert trained.found.alone.logits.tolist() == expected.alone.logits.tolist()
    assert trained.readout.sentence == trained.recalls.shown.sentence
    assert trained.readout.sentence.startswith("grey was never shown.")
    n = int((lab.data.train.labels != 1).sum())
    assert f"learned from {n} images without grey" in trained.note.value
    assert "measured" in trained.note.value
    assert not trained.bias.control._whole.disabled
    assert trained.desk.running.layout.display == "none"
    assert trained.last_error is None


def test_the_bias_is_followed_without_a_training(trained, monkeypatch):
    monkeypatch.setattr(panel_module, "train_without", lambda *_, **__: pytest.fail("trained"))
    trained.set(bias=2.5)
    worker().wait(SECONDS)
    recall = trained.found.taught.recall(2.5)
    assert f"the student with teacher recognises {100 * recall:.1f} %" in trained.readout.sentence
    assert "With +2.5 in its bias" in trained.recalls.shown.sentence
    assert trained.last_error is None


def test_the_best_bias_moves_the_slider_there(trained):
    trained.set(bias=-3.0)
    trained.find_best()
    worker().wait(SECONDS)
    best = trained.found.taught.curve.best
    assert trained.bias.by == best
    assert "The best bias is chosen on these same images, which flatters it a little." in trained.note.value
    assert ("With its bias as it was learned" if best == 0 else f"With {best:+.1f}") in trained.readout.sentence


def test_a_new_training_begins_with_the_bias_that_it_learned(trained):
    trained.set(bias=-3.0)
    trained.train()
    worker().wait(SECONDS)
    assert trained.bias.by == 0.0
    assert "With its bias as it was learned" in trained.readout.sentence


def test_while_it_trains_again_it_says_so_wherever_the_bias_was(trained):
    trained.set(bias=-3.0)
    worker().wait(SECONDS)
    said = []
    trained.readout.observe(lambda change: said.append(change["new"]), "sentence")
    trained.train()
    worker().wait(SECONDS)
    assert said == [TRAINING, trained.recalls.shown.sentence]


def test_settings_without_a_training_show_no_number_and_back_they_are_there_at_once(trained):
    sentence = trained.readout.sentence
    trained.set(label=2)
    worker().wait(SECONDS)
    assert trained.readout.sentence == NOT_TRAINED
    assert (trained.recalls.layout.display, trained.curve.layout.display) == ("none", "none")
    assert trained.code.value == ""
    assert trained.bias.control._whole.disabled
    trained.set(label=1)
    worker().wait(SECONDS)
    assert trained.readout.sentence == sentence
    assert trained.recalls.layout.display == ""


def test_controls_are_locked_while_it_trains_and_stop_keeps_the_best_so_far(panel, monkeypatch):
    seen = []

    def stopped(lab, student, label, **asked):
        seen.append(panel.desk.controls["label"]._whole.disabled)
        panel.stop()
        return train_without(lab, student, label, **asked)

    monkeypatch.setattr(panel_module, "train_without", stopped)
    panel.train()
    worker().wait(SECONDS)
    assert seen == [True]
    assert panel.found.taught.is_partial
    assert "Training was stopped early." in panel.note.value
    assert not panel.desk.controls["label"]._whole.disabled


def test_an_error_is_a_sentence_and_the_controls_are_free_again(panel, monkeypatch):
    def fails(*_, **__):
        raise ValueError("the loss became NaN")

    monkeypatch.setattr(panel_module, "train_without", fails)
    panel.train()
    worker().wait(SECONDS)
    assert str(panel.last_error) == "the loss became NaN"
    assert panel.readout.error == "the loss became NaN"
    assert panel.readout.sentence == NOT_TRAINED
    assert not panel.desk.controls["label"]._whole.disabled
    assert panel.bias.control._whole.disabled


def test_running_the_code_that_is_shown_gives_the_numbers_that_are_shown(trained, lab, capsys):
    trained.set(bias=1.5)
    worker().wait(SECONDS)
    exec(html.unescape(re.search("<pre>(.*)</pre>", trained.code.value, re.DOTALL).group(1)), {"lab": lab})
    said = [[float(number) for number in line.split()] for line in capsys.readouterr().out.splitlines()]
    students = (trained.found.alone, trained.found.taught)
    assert said == [[student.recall(1.5), student.evaluation(1.5).value] for student in students]


def test_the_prediction_comes_first_and_gets_its_answer_with_the_settings_that_it_is_about(lab, gate):
    def recall(found: MissingClass) -> float:
        return 100 * found.taught.recall()

    panel = Missing(lab, 1, student=STUDENT, epochs=2, gate=gate, answer=recall)
    worker().wait(SECONDS)
    assert PREDICT_FIRST in panel.note.value
    assert panel.desk.buttons[0].disabled
    gate.lock_in(50)
    worker().wait(SECONDS)
    assert panel.readout.sentence == NOT_TRAINED
    assert panel.bias.control._whole.disabled
    panel.set(epochs=1)
    panel.train()
    worker().wait(SECONDS)
    assert gate.measured is None
    panel.set(epochs=2)
    panel.train()
    worker().wait(SECONDS)
    assert gate.measured == recall(panel.found)
    assert panel.readout.sentence.endswith("Your prediction has its answer now, above.")


def test_a_training_that_was_stopped_early_answers_no_prediction(lab, gate, monkeypatch):
    panel = Missing(lab, 1, student=STUDENT, epochs=2, gate=gate, answer=lambda found: 100 * found.taught.recall())
    gate.lock_in(50)
    worker().wait(SECONDS)

    def stopped(*arguments, progress, **asked):
        progress.stop()
        return train_without(*arguments, progress=progress, **asked)

    monkeypatch.setattr(panel_module, "train_without", stopped)
    panel.train()
    worker().wait(SECONDS)
    assert panel.found.is_partial
    assert gate.measured is None


def test_the_figures_of_the_paper_are_cited_beside(panel):
    paper = panel.children[-2].children[-1].children[-1].value
    assert "cited" in paper
    assert "<td>206</td><td>2.06</td><td>1,010</td><td>133</td>" in paper
    assert "<td>109</td><td>1.09</td><td>1,010</td><td>14</td>" in paper
    assert paper.count("Hinton 2015, arXiv 1503.02531, section 3") == 1
    assert "nan" not in paper


def test_bad_input_is_named(lab, panel):
    with pytest.raises(TypeError, match=r"student must be the step that starts it.* not tuple"):
        Missing(lab, 1, student=(STUDENT,))
    with pytest.raises(ValueError, match=r"number of the class that is left out of training\) .* 0 to 2, not 3"):
        Missing(lab, 3)
    with pytest.raises(ValueError, match=r"epochs .* must be a whole number from 1 to 30, not 0"):
        Missing(lab, 1, epochs=0)
    with pytest.raises(ValueError, match="no control 'digit'; it has: label, temperature, epochs, bias"):
        panel.set(digit=3)
    with pytest.raises(ValueError, match=r"bias .* must be a number from -10.0 to 10.0, not 11"):
        panel.set(bias=11)


def test_a_chapter_makes_one_and_a_projector_makes_both_pictures_larger(lab, tmp_path):
    panel = Chapter("07", journal=Journal(tmp_path / "journal.sqlite")).missing(lab, label=2, student=STUDENT)
    worker().wait(SECONDS)
    assert isinstance(panel, Missing)
    assert panel.asked == (2, distill_predictions.defaults["temperature"], 30)
    panel.project(True)
    assert (panel.recalls.projector, panel.curve.projector) == (True, True)
