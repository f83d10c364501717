"""The softened answers without a browser: what a move draws, which images the buttons find, and what goes wrong."""

import html
import re
from collections.abc import Iterator

import pytest
import support
import torch

from efflab import fine_tune, step
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.lab.soft_answers import soft_answers
from efflab.questions.kinds import Number, Prediction
from efflab.widgets import Chapter, Softened
from efflab.widgets import softened as module
from efflab.widgets.asking import PREDICT_FIRST, Gate
from efflab.widgets.worker import worker

SECONDS = 60
N_IMAGES = 50


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_mlp(), support.tiny_data()).after((step(fine_tune, epochs=2),))


@pytest.fixture
def panel(lab) -> Iterator[Softened]:
    made = Softened(lab)
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


@pytest.fixture
def gate(tmp_path) -> Gate:
    number = Number(0, 100, 1, "%", 5, "low {measured}", "close {measured}", "high {measured}")
    question = Prediction("doubt", "How likely is the answer now, in percent?", "What did you see?", number)
    return Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="08")


def move(panel: Softened, **settings: object) -> None:
    panel.set(**settings)
    worker().wait(SECONDS)


def percent_of_answer(panel: Softened) -> float:
    return 100 * float(panel.shown.probabilities.max())


def test_it_begins_with_the_most_doubtful_image_as_the_teacher_itself_answers(panel, lab):
    assert panel.settings == {"temperature": 1.0, "image": N_IMAGES, "scale": "linear"}
    assert panel.readout.sentence == panel.bars.shown.sentence
    assert f"Image {N_IMAGES} of {N_IMAGES} in the order of doubt. At temperature 1 " in panel.readout.sentence
    assert "measured" in panel.note.value
    assert f"{100 * lab.baseline.value:.1f} % accuracy on 50 validation images" in panel.note.value


def test_a_move_of_the_temperature_redraws_bars_and_map(panel, lab):
    move(panel, temperature=8.0)
    expected = soft_answers(lab).at(N_IMAGES, 8.0)
    assert torch.equal(panel.shown.probabilities, expected.probabilities)
    assert list(panel.bars.shown.figure.data[1].x) == pytest.approx((100 * expected.probabilities).tolist())
    assert "at temperature 8:" in panel.map.shown.sentence
    assert panel.map.shown.sentence in html.unescape(panel.said.value)


def test_the_teacher_is_asked_once_however_often_the_hand_moves(lab, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "soft_answers", lambda lab: asked.append(lab) or soft_answers(lab))
    panel = Softened(lab)
    for temperature in (2.0, 4.0, 6.0):
        move(panel, temperature=temperature)
    assert asked == [lab]


def test_a_logarithmic_scale_is_drawn_when_it_is_chosen(panel):
    move(panel, scale="logarithmic")
    assert panel.bars.shown.figure.layout.xaxis.type == "log"


def test_the_buttons_find_a_sure_a_doubtful_and_the_next_wrong_image(panel):
    wrong = panel.answers.wrong
    assert len(wrong) > 1
    panel.show_surest()
    worker().wait(SECONDS)
    assert panel.shown.place == 1
    panel.show_doubtful()
    worker().wait(SECONDS)
    assert panel.shown.place == N_IMAGES
    for place in (*range(N_IMAGES - 1, N_IMAGES - 10, -1), N_IMAGES):
        panel.show_doubtful()  # each press another one, and after the tenth the first again
        assert panel.settings["image"] == place
    for place in (*wrong, wrong[0]):
        panel.show_wrong()
        worker().wait(SECONDS)
        assert panel.settings["image"] == place
        assert "(wrong, for it is" in panel.readout.sentence


def test_a_teacher_without_a_wrong_answer_says_so(lab):
    clean = support.tiny_data(noise=0.05)
    panel = Softened(Lab(support.tiny_mlp(), clean).after((step(fine_tune, epochs=30, learning_rate=0.01),)))
    worker().wait(SECONDS)
    assert panel.answers.wrong == ()
    panel.show_wrong()
    assert panel.readout.error == "The teacher gets all validation images right: there is no wrong one."
    assert panel.settings["image"] == N_IMAGES
    move(panel, temperature=2.0)
    assert panel.last_error is None


def test_running_the_code_that_is_shown_gives_what_is_drawn(panel, lab, capsys):
    move(panel, temperature=4.5, image=7)
    shown = html.unescape(re.search("<pre>(.*)</pre>", panel.code.value, re.DOTALL).group(1))
    scope = {"lab": lab}
    exec(shown, scope)
    assert torch.equal(scope["one"].probabilities, panel.shown.probabilities)
    assert str(panel.shown.bits) in capsys.readouterr().out


def test_nothing_is_asked_before_the_prediction_which_gets_its_answer_where_it_was_asked(lab, gate):
    panel = Softened(lab, gate=gate, at={"temperature": 4.0}, answer=percent_of_answer)
    worker().wait(SECONDS)
    assert (panel.answers, panel.shown, panel.bars.shown) == (None, None, None)
    assert PREDICT_FIRST in panel.note.value
    gate.lock_in(50)
    worker().wait(SECONDS)
    assert gate.measured is None
    move(panel, temperature=4.0)
    assert gate.measured == pytest.approx(percent_of_answer(panel))
    assert panel.readout.sentence.endswith("Your prediction has its answer now, above.")


def test_what_the_teacher_cannot_do_is_a_sentence():
    wide = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5))
    panel = Softened(Lab(wide, support.tiny_data()))
    worker().wait(SECONDS)
    assert "the teacher must give a number for each of 3 classes, not 5" in panel.readout.error
    assert "not drawn: see the message below" in panel.note.value


@pytest.mark.parametrize("where", ["start", "at"])
def test_a_control_or_value_that_there_is_not_is_named(lab, where):
    with pytest.raises(ValueError, match="there is no control 'soft'; there are: temperature, image, scale"):
        Softened(lab, **{where: {"soft": 0.9}})
    with pytest.raises(ValueError, match=r"image .* must be a whole number from 1 to 50, not 51"):
        Softened(lab, **{where: {"image": 51}})


def test_a_teacher_that_is_not_the_base_is_named_as_such(lab):
    panel = Softened(Lab(support.tiny_mlp(3), lab.data, name="small", teacher=lab.build(())))
    worker().wait(SECONDS)
    assert f"The teacher is the one of small: {100 * lab.baseline.value:.1f} % accuracy" in panel.note.value
    assert "# lab: small" in panel.code.value


def test_a_projector_makes_both_pictures_larger(panel):
    panel.project(True)
    assert (panel.bars.projector, panel.map.projector) == (True, True)


def test_a_chapter_makes_one(lab, tmp_path):
    panel = Chapter("07", journal=Journal(tmp_path / "journal.sqlite")).softened(lab, start={"temperature": 2.0})
    worker().wait(SECONDS)
    assert panel.shown.temperature == 2.0
