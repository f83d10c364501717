"""The distillation loss taken apart: how soft it was asked for, how soft it gets, and what its landscape looks like."""

from collections.abc import Callable, Mapping
from html import escape

import ipywidgets

from efflab.distill.predictions import TEMPERATURES
from efflab.figures.loss_landscape import loss_landscapes
from efflab.figures.loss_terms import loss_sweep, loss_weights
from efflab.knobs import Knob, Setting, Value
from efflab.lab import Lab
from efflab.lab.loss_landscape import landscapes
from efflab.lab.loss_terms import REDUCTIONS, SOFT, SQUARED, LossTerms, Variant, Weighed, loss_terms
from efflab.recipe import Recipe, check_recipe
from efflab.training import Progress
from efflab.training.turns import one_thread
from efflab.widgets.asking import Answer, Gate
from efflab.widgets.bench import STILL_SECONDS
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.live_panel import LivePanel
from efflab.widgets.parts import code_html
from efflab.widgets.running import Running
from efflab.widgets.softened import check_settings, teacher_text
from efflab.widgets.states_stage import lab_line, recipe_lines
from efflab.widgets.tiles import badge
from efflab.widgets.view import PictureView
from efflab.widgets.worker import Turns

Answered = Callable[["LossLab"], Answer | None]
KNOBS: dict[str, Knob] = {"temperature": TEMPERATURES, "soft": SOFT, "reduction": REDUCTIONS, "squared": SQUARED}
START: dict[str, Value] = {"temperature": 4.0, "soft": 0.9, "reduction": "batchmean", "squared": SQUARED.options[0]}
MEASURED = (
    "The lengths of the gradients of both terms, by autograd: with respect to the logits of each image, as a mean, and "
    "with respect to all weights of the student; each times its weight in the loss before the share is taken."
)
COMPUTED = "The formulas of the losses, at 41 values of each of two logits; the other logits are those of the student."
BUILDING = "The student is being made ..."


class LossLab(LivePanel):
    """The loss of one student with the teacher of the lab. Make one with `chapter.loss_lab(lab, student)`.

    student: a recipe; one that trains, trains first.
    start: settings to begin with: temperature, soft, reduction, squared.
    gate: a prediction that must be made before the student is made and the controls unlock.
    at: the settings that the prediction is about; what is not named may stand anywhere.
    answer: a function of this panel that gives the answer, or None while it is not known.
    image: the number, in the batch, of the one whose landscape is drawn; the one that the teacher doubts most if not
    given.

    Raises:
        TypeError: `student` is no recipe.
        ValueError, TypeError: there is no such control, or no such value for it.
    """

    def __init__(
        self,
        lab: Lab,
        student: Recipe,
        *,
        start: Mapping[str, Value] | None = None,
        gate: Gate | None = None,
        at: Mapping[str, Value] | None = None,
        answer: Answered | None = None,
        image: int | None = None,
    ) -> None:
        check_recipe(student)
        self.lab, self.student, self.at, self.image = lab, student, dict(at or {}), image
        begin = {**START, **(start or {})}
        for settings in (begin, self.at):
            check_settings(KNOBS, settings)
        self.terms: LossTerms | None = None
        self._answer: Answered = answer or (lambda panel: None)
        shown = {name: Control(name, knob, begin[name]) for name, knob in KNOBS.items()}
        desk = Desk(shown, [], [], self.project, Running("Training the student"))
        self.weights, self.sweep, self.landscape = (PictureView(height=height) for height in (230, 360, 400))
        self.formulas, self.code = ipywidgets.HTML(), ipywidgets.HTML()
        stage = [self.weights, self.sweep, self.formulas, self.landscape, self.code]
        super().__init__(gate, desk, stage, begins=BUILDING)

    @property
    def weighed(self) -> Weighed | None:
        """Both terms as the controls ask for them; None until the student is there."""
        return _asked_for(self.terms, self.settings) if self.terms else None

    def refresh(self) -> None:
        """Draw what the controls ask for; the first time, make the student."""
        self.clear_error()
        self._submit("loss", lambda stale: self._follow())

    # What the worker does.

    def _follow(self) -> Turns:
        if self.terms is None:
            yield from self.desk.running.follow(self._make, self.desk.running.start())
        if self.terms is None:
            return
        weighed = self._draw(self.terms)
        yield STILL_SECONDS
        self._draw_landscape(self.terms, weighed)

    def _make(self, progress: Progress) -> None:
        self.terms = loss_terms(self.lab, self.student, progress=progress)

    def _draw(self, terms: LossTerms) -> Weighed:
        """What follows a hand that moves."""
        settings = self.settings
        with one_thread():
            weighed = _asked_for(terms, settings)
            swept = terms.sweep(weighed.soft)
        weights = loss_weights(weighed, len(terms.classes))
        self.weights.show_picture(weights)
        self.sweep.show_picture(loss_sweep(swept, weighed))
        self.readout.sentence = weights.sentence
        if all(settings[name] == value for name, value in self.at.items()):
            self.tell_answer(self.gate, self._answer(self))
        return weighed

    def _draw_landscape(self, terms: LossTerms, weighed: Weighed) -> None:
        """What takes a page longer to draw, and waits for the hand to be still."""
        with one_thread():
            found = landscapes(terms, weighed.temperature, weighed.soft, weighed.variant, self.image)
        landscape = loss_landscapes(found, terms.classes, weighed.soft, weighed.temperature)
        self.landscape.show_picture(landscape)
        self.formulas.value = _line(landscape.sentence, badge("computed", COMPUTED))
        self._tell(_about(self.lab, self.student, terms), badge("measured", MEASURED))
        self.code.value = code_html(script(self.student, weighed, self.lab.name), "the same in Python")


def script(student: Recipe, weighed: Weighed, name: str) -> str:
    """The terms in Python. name: of the lab."""
    variant = f"Variant({weighed.variant.reduction!r}, is_squared={weighed.variant.is_squared})"
    return "\n".join(
        [
            lab_line(name),
            *(recipe_lines(student) if student else ["recipe = ()"]),
            "from efflab.lab.loss_terms import Variant, loss_terms",
            "terms = loss_terms(lab, recipe)",
            f"weighed = terms.at({weighed.temperature}, {weighed.soft}, {variant})",
            "print(weighed.value, weighed.at_weights, weighed.at_logits)",
        ]
    )


def _asked_for(terms: LossTerms, settings: Mapping[str, Setting]) -> Weighed:
    variant = Variant(str(settings["reduction"]), settings["squared"] == SQUARED.options[0])
    return terms.at(float(str(settings["temperature"])), float(str(settings["soft"])), variant)


def _about(lab: Lab, student: Recipe, terms: LossTerms) -> str:
    made = ", then ".join(one.technique.label for one in student) or "the base itself"
    batch = f"{len(terms.labels)} training images"
    return f"Teacher: {teacher_text(lab)}. Student: {made}. A pull is the length of a gradient, on {batch}."


def _line(text: str, label: str) -> str:
    return f"<div class='efflab-line'>{escape(text)} {label}</div>"
