"""Layers of teacher and student without a browser: what is compared, what waits for training, what goes wrong."""

import html
import re
from collections.abc import Iterator

import pytest
import support
import torch

from efflab import distill_predictions, fine_tune, start_student, step
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.lab.representations import compare_layers
from efflab.questions.kinds import Number, Prediction
from efflab.widgets import Chapter, Representations
from efflab.widgets.asking import PREDICT_FIRST, Gate
from efflab.widgets.live_figure import Clicked
from efflab.widgets.worker import worker

SECONDS = 60
START = (step(start_student, kind="cnn", width=3),)
VECTORS = (step(start_student, kind="mlp", width=9),)
TAUGHT = (*START, step(distill_predictions, epochs=2))
STUDENTS = {"before training": START, "with teacher": TAUGHT, "vectors": VECTORS}


@pytest.fixture
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data(n=800))


@pytest.fixture
def panel(lab) -> Iterator[Representations]:
    made = Representations(lab, STUDENTS, images=100)
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


def settle(panel: Representations, **settings: object) -> Representations:
    panel.set(**settings)
    worker().wait(SECONDS)
    return panel


def test_a_student_without_a_training_is_compared_at_once_with_the_deepest_pair(panel, lab):
    expected = compare_layers(lab.build(()), lab.build(START), lab.data.validation, 100)
    assert panel.compared.cka.equals(expected.cka)
    assert panel.layers.chosen == ("relu3", "relu3")
    assert panel.readout.sentence == panel.map.shown.sentence
    assert f"{expected.cka['relu3'].max():.2f}" in panel.readout.sentence
    assert "100 images" in panel.points.shown.sentence
    assert "measured" in panel.note.value
    assert panel.train_button.disabled
    assert panel.last_error is None
    assert repr(panel).startswith("Representations(")  # which ipywidgets makes, with methods of its own


def test_another_pair_is_drawn_and_named_as_a_hint(panel):
    settle(panel, teacher_layer="relu3", student_layer="relu2")
    assert "distill_hints(hint=3, guided=2)" in panel.hint.value
    assert "the teacher's relu3" in panel.points.shown.sentence
    assert "the student's relu2" in panel.points.shown.sentence.replace("\n", " ")
    value = panel.compared.cka.loc["relu3", "relu2"]
    texts = [text for trace in panel.map.shown.figure.data if trace.type == "scatter" for text in trace.text]
    assert f"<b>[{value:.2f}]</b>" in texts


def test_a_click_on_a_cell_chooses_both_layers(panel):
    panel.choose_cell(Clicked(x=0, y=1, curve=0, index=0))
    worker().wait(SECONDS)
    assert panel.layers.chosen == ("relu2", "relu1")
    assert "hint=2, guided=1" in panel.hint.value


def test_a_map_and_a_vector_are_no_hint_and_the_panel_says_why(panel):
    settle(panel, student="vectors")
    assert "No hint can be made of this pair" in panel.hint.value
    assert "which no regressor joins" in html.unescape(panel.hint.value)
    assert list(panel.compared.cka.columns) == ["relu1", "relu2"]
    assert panel.layers.chosen[1] in ("relu1", "relu2")


def test_a_student_that_trains_waits_for_its_button_and_shows_no_number_of_another(panel):
    settle(panel, student="with teacher")
    assert panel.readout.sentence == "The student “with teacher” is not trained yet: press Train."
    assert (panel.map.layout.display, panel.points.layout.display) == ("none", "none")
    assert (panel.hint.value, panel.code.value, panel.compared) == ("", "", None)
    assert not panel.train_button.disabled


def test_the_button_trains_it_and_it_stays_trained(panel, lab):
    settle(panel, student="with teacher").train()
    worker().wait(SECONDS)
    expected = compare_layers(lab.build(()), lab.build(TAUGHT), lab.data.validation, 100)
    assert panel.compared.cka.equals(expected.cka)
    assert panel.desk.running.layout.display == "none"
    settle(panel, student="before training")
    untrained = panel.readout.sentence
    settle(panel, student="with teacher")
    assert panel.readout.sentence != untrained
    assert panel.compared.cka.equals(expected.cka)


def test_stopped_early_it_says_so_and_the_button_trains_it_again(panel):
    settle(panel, student="with teacher")
    follow = panel.desk.running.follow

    def stopped(work, progress):
        progress.stop()
        return follow(work, progress)

    panel.desk.running.follow = stopped
    panel.train()
    worker().wait(SECONDS)
    assert "Its training was stopped early." in panel.note.value
    panel.desk.running.follow = follow
    panel.train()
    worker().wait(SECONDS)
    assert "stopped" not in panel.note.value


def test_controls_are_locked_while_it_trains(panel, lab):
    seen, build = [], lab.build

    def watched(recipe, **options):
        seen.append((panel.desk.controls["student"]._whole.disabled, panel.layers.is_locked))
        return build(recipe, **options)

    settle(panel, student="with teacher")
    lab.build = watched
    panel.train()
    worker().wait(SECONDS)
    assert seen[0] == (True, True)
    assert not panel.layers.is_locked


def test_fewer_images_are_those_of_the_split_from_the_front(panel, lab):
    settle(panel, images=50)
    assert torch.equal(panel.compared.labels, lab.data.validation.labels[:50])
    assert "CKA on 50 validation images" in panel.note.value


def test_running_the_code_that_is_shown_prints_the_number_of_the_pair(panel, lab, capsys):
    settle(panel, teacher_layer="relu1", student_layer="relu2")
    exec(html.unescape(re.search("<pre>(.*)</pre>", panel.code.value, re.DOTALL).group(1)), {"lab": lab})
    assert float(capsys.readouterr().out) == panel.compared.cka.loc["relu1", "relu2"]


def test_an_error_is_a_sentence_and_no_number_stays(panel, lab):
    build = lab.build

    def fails(recipe, **options):
        raise ValueError("no such layer")

    lab.build = fails
    settle(panel, images=60)
    assert panel.readout.error == "no such layer"
    assert panel.map.layout.display == "none"
    assert "see the message below" in panel.note.value
    lab.build = build
    settle(panel, images=70)
    assert panel.last_error is None
    assert panel.map.layout.display == ""


def test_the_prediction_comes_first_and_gets_its_answer(lab, tmp_path):
    number = Number(0, 1, 0.01, "", 0.1, "low {measured}", "close {measured}", "high {measured}")
    question = Prediction("cka", "How alike?", "What did you see?", number)
    gate = Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="09")

    def answer(name, compared):
        return float(compared.cka.loc["relu3", "relu3"]) if name == "with teacher" else None

    panel = Representations(lab, STUDENTS, images=100, gate=gate, answer=answer)
    worker().wait(SECONDS)
    assert PREDICT_FIRST in panel.note.value
    assert panel.compared is None
    assert panel.train_button.disabled
    gate.lock_in(0.5)
    worker().wait(SECONDS)
    assert panel.compared is not None
    assert gate.measured is None
    settle(panel, student="with teacher").train()
    worker().wait(SECONDS)
    assert gate.measured == panel.compared.cka.loc["relu3", "relu3"]
    assert panel.readout.sentence.endswith("Your prediction has its answer now, above.")


def test_bad_input_is_named(lab, panel):
    with pytest.raises(TypeError, match="a recipe is a tuple of steps"):
        Representations(lab, {"alone": step(fine_tune)})
    with pytest.raises(ValueError, match="at least one by name"):
        Representations(lab, {})
    with pytest.raises(ValueError, match="from 10 to 200, not 5000"):
        Representations(lab, START, images=5000)
    with pytest.raises(ValueError, match="no control 'layer'; it has: student, images, teacher_layer, student_layer"):
        panel.set(layer="relu1")
    with pytest.raises(ValueError, match="student_layer must be one of relu1, relu2, relu3, not 'relu9'"):
        panel.set(student_layer="relu9")


def test_a_chapter_makes_one_of_a_single_recipe_and_a_projector_makes_both_pictures_larger(lab, tmp_path):
    panel = Chapter("07", journal=Journal(tmp_path / "journal.sqlite")).representations(lab, START)
    worker().wait(SECONDS)
    assert isinstance(panel, Representations)
    assert list(panel.desk.controls) == ["images"]
    assert panel.images == 200
    panel.project(True)
    assert (panel.map.projector, panel.points.projector) == (True, True)
