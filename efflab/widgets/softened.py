"""A teacher's answers, softened as the hand moves: the bars of one image, and what the teacher thinks alike."""

from collections.abc import Callable, Mapping

import ipywidgets

from efflab.distill.predictions import TEMPERATURES
from efflab.figures.dark_knowledge import dark_knowledge
from efflab.figures.soft_answer import LOGARITHMIC, soft_answer
from efflab.figures.text import score_text
from efflab.knobs import Choice, Knob, Range, Setting, Value
from efflab.lab import Lab
from efflab.lab.soft_answers import SoftAnswer, SoftAnswers, soft_answers
from efflab.training.turns import one_thread
from efflab.widgets.asking import Answer, Gate
from efflab.widgets.bench import STILL_SECONDS
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.live_panel import LivePanel
from efflab.widgets.parts import button, code_html, line_text
from efflab.widgets.states_stage import lab_line
from efflab.widgets.tiles import badge
from efflab.widgets.view import PictureView
from efflab.widgets.worker import Turns

Answered = Callable[["Softened"], Answer | None]
SCALES = Choice(("linear", LOGARITHMIC), "how long a bar is for its probability")
MEASURED = (
    "What the teacher of the lab really gives for each validation image: its logits, divided by the "
    "temperature, then softmax."
)
N_DOUBTFUL = 10
"""How many images count as doubtful ones."""
ASKING = "Asking the teacher for all validation images ..."


class Softened(LivePanel):
    """What the teacher of a lab answers, softened. Make one with `chapter.softened(lab)`.

    start: settings to begin with: temperature, image (its place in the order of doubt), scale.
    gate: a prediction that must be made before the controls unlock.
    at: the settings that the prediction is about; what is not named may stand anywhere.
    answer: a function of this panel that gives the answer, or None while it is not known.

    Raises:
        ValueError, TypeError: there is no such control, or no such value for it.
    """

    def __init__(
        self,
        lab: Lab,
        *,
        start: Mapping[str, Value] | None = None,
        gate: Gate | None = None,
        at: Mapping[str, Value] | None = None,
        answer: Answered | None = None,
    ) -> None:
        knobs = _knobs(lab)
        self.lab, self.at = lab, dict(at or {})
        self.answers: SoftAnswers | None = None
        self._answer: Answered = answer or (lambda panel: None)
        begin: dict[str, Value] = {
            "temperature": 1.0,
            "image": len(lab.data.validation),
            "scale": "linear",
            **(start or {}),
        }
        check_settings(knobs, begin)
        check_settings(knobs, self.at)
        sure = button("A sure one", self.show_surest, "the image of which the teacher is surest")
        doubtful = button("A doubtful one", self.show_doubtful, "one of those that it doubts most; again for the next")
        wrong = button("A wrong one", self.show_wrong, "an image that the teacher gets wrong; again for the next")
        shown = {name: Control(name, knob, begin[name]) for name, knob in knobs.items()}
        desk = Desk(shown, [], [sure, doubtful, wrong], self.project)
        self.bars, self.map = PictureView(height=360), PictureView(height=420)
        self.said, self.code = ipywidgets.HTML(), ipywidgets.HTML()
        stage = [self.bars, self.said, self.map, self.code]
        super().__init__(gate, desk, stage, begins=ASKING, then="Then move the temperature up and down.")

    @property
    def shown(self) -> SoftAnswer | None:
        """The softened answer that the controls ask for; None until the teacher was asked."""
        return _asked_for(self.answers, self.settings) if self.answers else None

    def refresh(self) -> None:
        """Draw what the controls ask for; the first time, ask the teacher for all images."""
        self.clear_error()
        self._submit("softened", lambda stale: self._draw())

    def show_surest(self) -> None:
        """Choose the image of which the teacher is surest."""
        self.set(image=1)

    def show_doubtful(self) -> None:
        """Choose the image that it doubts most; from there the next most doubtful one, down to the tenth."""
        n, here = len(self.lab.data.validation), int(str(self.settings["image"]))
        is_among = n - N_DOUBTFUL + 1 < here <= n
        self.set(image=here - 1 if is_among else n)

    def show_wrong(self) -> None:
        """Choose the next image in the order of doubt that it gets wrong; after the last, the first."""
        wrong = self.answers.wrong if self.answers else ()
        if not wrong:
            self.show_error(ValueError("The teacher gets all validation images right: there is no wrong one."))
            return
        here = int(str(self.settings["image"]))
        self.set(image=next((place for place in wrong if place > here), wrong[0]))

    # What the worker does.

    def _draw(self) -> Turns:
        with one_thread():
            self.answers = answers = self.answers or soft_answers(self.lab)
        settings, classes = self.settings, answers.classes
        shown = _asked_for(answers, settings)
        picture = soft_answer(shown, classes, str(settings["scale"]))
        self.bars.show_picture(picture)
        self.readout.sentence = picture.sentence
        if all(settings[name] == value for name, value in self.at.items()):
            self.tell_answer(self.gate, self._answer(self))
        yield STILL_SECONDS  # a page draws one picture quickly, and two of them not
        alike = dark_knowledge(answers.alike(shown.temperature), classes, shown.temperature)
        self.map.show_picture(alike)
        self.said.value = line_text(alike.sentence)
        self._tell(_about(self.lab, answers), badge("measured", MEASURED))
        self.code.value = code_html(script(shown, self.lab.name), "the same in Python")


def check_settings(knobs: Mapping[str, Knob], settings: Mapping[str, Value]) -> None:
    """Raise ValueError or TypeError unless each setting is a control with a value in its range."""
    for name, value in settings.items():
        if name not in knobs:
            raise ValueError(f"there is no control {name!r}; there are: {', '.join(knobs)}")
        knobs[name].check(name, value)


def script(shown: SoftAnswer, name: str) -> str:
    """The answer to the image and the map in Python. name: of the lab."""
    return "\n".join(
        [
            lab_line(name),
            "from efflab.lab.soft_answers import soft_answers",
            "answers = soft_answers(lab)",
            f"one = answers.at({shown.place}, temperature={shown.temperature})",
            "print(one.probabilities, one.bits, one.label)",
            f"print(answers.alike(temperature={shown.temperature}))",
        ]
    )


def teacher_text(lab: Lab) -> str:
    """Who teaches, in words."""
    return lab.name if lab.teacher is lab.build(()) else f"the one of {lab.name}"


def _knobs(lab: Lab) -> dict[str, Knob]:
    n = len(lab.data.validation)
    image = Range(1, n, 1, f"by doubt, from 1, the surest, to {n:,}")
    return {"temperature": TEMPERATURES, "image": image, "scale": SCALES}


def _asked_for(answers: SoftAnswers, settings: Mapping[str, Setting]) -> SoftAnswer:
    return answers.at(int(str(settings["image"])), float(str(settings["temperature"])))


def _about(lab: Lab, answers: SoftAnswers) -> str:
    teaching = answers.teaching
    score = f"{score_text(teaching.value, teaching.task)} {teaching.task.score_name}"
    return f"The teacher is {teacher_text(lab)}: {score} on {teaching.n:,} validation images. Move the temperature."
