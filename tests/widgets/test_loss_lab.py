"""The loss taken apart without a browser: what a move draws, how the student is made, and what goes wrong."""

import html
import re
from collections.abc import Iterator

import pytest
import support

from efflab import fine_tune, start_student, step
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.lab.loss_terms import RIGHT, LossTerms, Variant, loss_terms
from efflab.questions.kinds import Number, Prediction
from efflab.widgets import Chapter, LossLab
from efflab.widgets.asking import PREDICT_FIRST, Gate
from efflab.widgets.worker import worker

SECONDS = 60
STUDENT = (step(start_student, kind="mlp", width=5),)


class WatchedLab(Lab):
    """A lab that remembers which trainings were watched."""

    def __init__(self) -> None:
        taught = Lab(support.tiny_mlp(), support.tiny_data()).after((step(fine_tune, epochs=2),))
        super().__init__(taught.build(()), taught.data, name="a teacher")
        self.watched: list[object] = []

    def build(self, recipe, *, progress=None):
        if recipe:
            self.watched.append(progress)
        return super().build(recipe, progress=progress)


@pytest.fixture(scope="module")
def lab() -> WatchedLab:
    return WatchedLab()


@pytest.fixture(scope="module")
def terms(lab) -> LossTerms:
    return loss_terms(lab, STUDENT)


@pytest.fixture
def panel(lab) -> Iterator[LossLab]:
    made = LossLab(lab, STUDENT)
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


@pytest.fixture
def gate(tmp_path) -> Gate:
    number = Number(0, 100, 1, "%", 5, "low {measured}", "close {measured}", "high {measured}")
    question = Prediction("got", "How much of 90 % is got, in percent?", "What did you see?", number)
    return Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="08")


def move(panel: LossLab, **settings: object) -> None:
    panel.set(**settings)
    worker().wait(SECONDS)


def percent_got(panel: LossLab) -> float:
    return 100 * panel.weighed.at_weights


def test_it_begins_with_the_loss_that_techniques_train_with(panel, terms):
    assert panel.weighed == terms.at(4.0, 0.9, RIGHT)
    assert panel.readout.sentence == panel.weights.shown.sentence
    assert panel.readout.sentence.startswith("At temperature 4, asked for 90 % soft, got ")
    assert (
        "Teacher: a teacher. Student: start student. A pull is the length of a gradient, on 128 training images."
        in panel.note.value
    )
    assert "measured" in panel.note.value
    assert "computed" in panel.formulas.value


def test_each_control_moves_all_pictures(panel, terms):
    move(panel, temperature=6.0, soft=0.5, reduction="mean", squared="without")
    variant = Variant("mean", is_squared=False)
    assert panel.weighed == terms.at(6.0, 0.5, variant)
    got = 100 * panel.weighed.at_weights
    assert panel.weights.shown.figure.data[0].x[2] == pytest.approx(got)
    assert (panel.sweep.shown.figure.data[-1].x, panel.sweep.shown.figure.data[-1].y) == ((6.0,), pytest.approx((got,)))
    assert "the mixture (50 % soft)" in panel.landscape.shown.sentence
    assert panel.landscape.shown.sentence in html.unescape(panel.formulas.value)
    assert 'reduction="mean" also divides by the 3 classes and T² = 36 is missing' in panel.readout.sentence


def test_the_student_is_made_once_and_watched(panel, lab):
    made = panel.terms
    lab.watched.clear()
    for temperature in (1.0, 2.0, 3.0):
        move(panel, temperature=temperature)
    assert panel.terms is made
    assert lab.watched == []
    LossLab(lab, (*STUDENT, step(fine_tune, epochs=1)))
    worker().wait(SECONDS)
    assert lab.watched[0] is not None  # the bar is told, and Stop is heard


def test_another_image_can_be_looked_at(lab):
    panel = LossLab(lab, STUDENT, image=5)
    worker().wait(SECONDS)
    assert panel.landscape.shown.sentence.startswith("The loss of training image 5,")


def test_running_the_code_that_is_shown_gives_what_is_drawn(panel, lab, capsys):
    move(panel, temperature=3.5, soft=0.65, squared="without")
    shown = html.unescape(re.search("<pre>(.*)</pre>", panel.code.value, re.DOTALL).group(1))
    scope = {"lab": lab}
    exec(shown, scope)
    assert scope["weighed"] == panel.weighed
    assert str(panel.weighed.at_weights) in capsys.readouterr().out


def test_the_code_of_the_teacher_as_its_own_student_runs(lab):
    panel = LossLab(lab, ())
    worker().wait(SECONDS)
    shown = html.unescape(re.search("<pre>(.*)</pre>", panel.code.value, re.DOTALL).group(1))
    scope = {"lab": lab}
    exec(shown, scope)
    assert scope["weighed"] == panel.weighed
    assert "Student: the base itself." in panel.note.value


def test_no_student_is_made_before_the_prediction_which_gets_its_answer_where_it_was_asked(lab, gate):
    at = {"temperature": 8.0, "squared": "without"}
    panel = LossLab(lab, STUDENT, gate=gate, at=at, answer=percent_got)
    worker().wait(SECONDS)
    assert (panel.terms, panel.weighed, panel.weights.shown) == (None, None, None)
    assert PREDICT_FIRST in panel.note.value
    gate.lock_in(50)
    worker().wait(SECONDS)
    move(panel, squared="without")
    assert gate.measured is None
    move(panel, temperature=8.0)
    assert gate.measured == pytest.approx(percent_got(panel))
    assert panel.readout.sentence.endswith("Your prediction has its answer now, above.")


def test_what_cannot_be_done_is_a_sentence_and_the_panel_can_try_again(lab):
    panel = LossLab(lab, STUDENT, image=1000)
    worker().wait(SECONDS)
    assert "image must lie between 0 and 127, the last of the batch, not 1000" in panel.readout.error
    assert "not drawn: see the message below" in panel.note.value
    panel.image = 3
    move(panel, temperature=2.0)
    assert panel.last_error is None
    assert panel.readout.error == ""


def test_what_is_no_recipe_and_no_setting_is_refused(lab):
    with pytest.raises(TypeError, match="a recipe is a tuple of steps"):
        LossLab(lab, step(start_student))
    with pytest.raises(
        ValueError, match="there is no control 'alpha'; there are: temperature, soft, reduction, squared"
    ):
        LossLab(lab, STUDENT, start={"alpha": 0.9})
    with pytest.raises(ValueError, match=r"reduction .* must be one of 'batchmean', 'mean', not 'sum'"):
        LossLab(lab, STUDENT, at={"reduction": "sum"})


def test_a_projector_makes_all_pictures_larger(panel):
    panel.project(True)
    assert (panel.weights.projector, panel.sweep.projector, panel.landscape.projector) == (True, True, True)


def test_a_chapter_makes_one(lab, tmp_path):
    panel = Chapter("07", journal=Journal(tmp_path / "journal.sqlite")).loss_lab(lab, STUDENT, start={"soft": 0.5})
    worker().wait(SECONDS)
    assert panel.weighed.soft == 0.5
