"""The missing digit on the screen: two students that never saw one class, and one bias that a hand moves.

Training waits for its button. After it the logits are kept, so the bias follows the hand: it is added to one column.
"""

from collections.abc import Callable
from dataclasses import replace
from html import escape

import ipywidgets

from efflab import papers
from efflab.distill import distill_predictions, start_student
from efflab.figures import bias_curve, missing_recalls
from efflab.knobs import Knob, Range, Setting
from efflab.lab import Lab
from efflab.lab.missing import BIAS, MissingClass, recipes, train_without
from efflab.recipe import Step, step
from efflab.training import Progress
from efflab.widgets.asking import Answer, Gate
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.live_panel import LivePanel
from efflab.widgets.parts import button, code_html, scrolling
from efflab.widgets.states_stage import recipe_lines
from efflab.widgets.tiles import badge
from efflab.widgets.view import PictureView
from efflab.widgets.worker import Turns, worker

Answered = Callable[[MissingClass], Answer | None]
Settings = tuple[int, float, int]
"""Label, temperature and epochs: what two trainings depend on."""

MEASURED = (
    "What both students answer to the validation images, which do hold the class that they were never shown. The paper "
    "chose its bias on its test images."
)
NOT_TRAINED = "Not trained with these settings yet: press Train on the others."
TRAINING = "Two students are being trained, in turns ..."


class Missing(LivePanel):
    """Two students that never saw one class. Make one with `chapter.missing(lab)`.

    label: the class that is left out to begin with.
    student: the step that starts both; an mlp with two layers of 30 units if not given.
    gate: a prediction that must be made before the controls unlock; it is about the settings to begin with.
    answer: a function of both students that gives the answer, or None while it is not known.

    Raises:
        TypeError: `student` is no step.
        ValueError: there is no such class, temperature or number of epochs.
    """

    def __init__(
        self,
        lab: Lab,
        label: int = 3,
        *,
        student: Step | None = None,
        temperature: float = 4.0,
        epochs: int = 30,
        gate: Gate | None = None,
        answer: Answered | None = None,
    ) -> None:
        self.lab = lab
        self.student = student if student is not None else step(start_student, kind="mlp", width=30)
        recipes(self.student, temperature=temperature, epochs=epochs)
        self._at: Settings = (label, temperature, epochs)
        self._answer: Answered = answer or (lambda found: None)
        self._found: dict[Settings, MissingClass] = {}
        knobs = distill_predictions.knobs
        shown = {
            "label": Control("label", _labels(lab), label),
            "temperature": Control("temperature", knobs["temperature"], temperature),
            "epochs": Control("epochs", knobs["epochs"], epochs),
        }
        self.bias = BiasDesk(self.find_best)
        train = button("Train on the others", self.train, "trains both students without any image of this class")
        desk = Desk(shown, [train], [], self.project, more=[self.bias])
        self.recalls, self.curve = PictureView(height=340), PictureView(height=360)
        self.code = ipywidgets.HTML()
        self.bias.control.on_change(self.follow)
        super().__init__(gate, desk, [self.recalls, self.curve, self.code, ipywidgets.HTML(_paper())])

    @property
    def asked(self) -> Settings:
        """Label, temperature and epochs of the controls."""
        label, temperature, epochs = (self.settings[name] for name in ("label", "temperature", "epochs"))
        return int(str(label)), float(str(temperature)), int(str(epochs))

    @property
    def found(self) -> MissingClass | None:
        """The students of these settings, or None while they are not trained."""
        return self._found.get(self.asked)

    def set(self, **settings: Setting) -> None:
        """Move controls as a hand would: `panel.set(label=8, bias=3.5)`.

        Raises:
            ValueError, TypeError: no such control, or no value for it.
        """
        controls = {**self.desk.controls, "bias": self.bias.control}
        for name, setting in settings.items():
            if name not in controls:
                raise ValueError(f"this panel has no control {name!r}; it has: {', '.join(controls)}")
            controls[name].set(setting)

    def refresh(self) -> None:
        """Show the students of these settings, or that they wait for the button."""
        self.clear_error()
        self.bias.lock(self.found is None)
        self._submit("show", lambda stale: self._show())

    def follow(self) -> None:
        """Show what the bias of the slider does; nothing while nothing is trained."""
        self._submit("show", lambda stale: self._show())

    def train(self) -> None:
        """Train both students with these settings; those of an earlier training are forgotten."""
        self.clear_error()
        settings, progress = self.asked, self.desk.running.start()
        self._found.pop(settings, None)
        self._submit("train", lambda stale: self._train(settings, progress))

    def find_best(self) -> None:
        """Move the slider to the bias with which the student with teacher is most often right, on the images shown."""
        if self.found is not None:
            self.bias.control.set(self.found.taught.curve.best)

    # What the worker does.

    def _train(self, settings: Settings, progress: Progress) -> Turns:
        label, temperature, epochs = settings
        made: list[MissingClass] = []

        def work(progress: Progress) -> None:
            found = train_without(
                self.lab, self.student, label, temperature=temperature, epochs=epochs, progress=progress
            )
            made.append(found)

        self.desk.lock(True)  # what is shown in the end belongs to the setting that was trained
        self.bias.control.set(0.0)  # a bias was found for other students
        worker().cancel((id(self), "show"))  # or that move would say, while it trains, that nothing is trained
        self._wait(TRAINING)
        try:
            yield from self.desk.running.follow(work, progress)
            self._found[settings] = made[0]
        finally:
            self.desk.lock(False)
            self.bias.lock(self.found is None)
            self._show()

    def _wait(self, text: str) -> None:
        """No number of other students stays."""
        self._hide()
        self.code.value = ""
        self._tell(text)
        self.readout.sentence = text

    def _show(self) -> None:
        settings, found, by = self.asked, self.found, self.bias.by
        if found is None:
            self._wait(NOT_TRAINED)
            return
        recalls = missing_recalls(found, by)
        self.recalls.show_picture(recalls)
        self.curve.show_picture(bias_curve(found, by))
        self.code.value = code_html(script(self.student, settings, by), "the same in Python")
        self._tell(_about(found), badge("measured", MEASURED))
        self.readout.sentence = recalls.sentence
        if settings == self._at and not found.is_partial:  # half a training answers nothing
            self.tell_answer(self.gate, self._answer(found))


class BiasDesk(ipywidgets.VBox):
    """The bias of the missing class: a slider, and a button that finds the best one."""

    def __init__(self, find: Callable[[], object]) -> None:
        assert isinstance(BIAS, Range)
        knob = replace(BIAS, label="what is added to that of the missing class")
        self.control = Control("bias", knob, 0.0)
        self._button = button("Find the best bias", find, "the one with most right answers on these same images")
        super().__init__([self.control, self._button])

    @property
    def by(self) -> float:
        """Where the slider is."""
        return float(str(self.control.setting))

    def lock(self, is_locked: bool) -> None:
        """Let nobody move it, or let them again."""
        self.control.lock(is_locked)
        self._button.disabled = is_locked


def script(student: Step, settings: Settings, by: float) -> str:
    """Both trainings and the bias in Python."""
    label, temperature, epochs = settings
    lines = [
        "from efflab.lab.missing import train_without",
        *recipe_lines((student,)),
        f"found = train_without(lab, recipe[0], {label}, temperature={temperature}, epochs={epochs})",
        "for student in (found.alone, found.taught):",
        f"    print(student.recall({by}), student.evaluation({by}).value)",
    ]
    return "\n".join(lines)


def _labels(lab: Lab) -> Knob:
    return Range(0, lab.data.n_classes - 1, 1, "number of the class that is left out of training")


def _about(found: MissingClass) -> str:
    data = found.taught.data
    stopped = " Training was stopped early." if found.is_partial else ""
    return (
        f"Both students learned from {len(data.train):,} images without {data.classes[found.label]}, and are judged on "
        f"{len(data.validation):,} validation images of all classes. The best bias is chosen on these same images, "
        f"which flatters it a little.{stopped}"
    )


def _paper() -> str:
    """Hinton's figures, to be opened."""
    whole = papers.table("hinton2015")
    sources, table = ", ".join(dict.fromkeys(whole["source"])), whole.drop(columns="source")
    head = "".join(f"<th scope='col'>{escape(str(name).replace('_', ' '))}</th>" for name in table.columns)
    rows = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in table.itertuples(index=False))
    shown = f"<table class='efflab-machine'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return (
        f"<details class='efflab-fold'><summary>The same on MNIST {badge('cited')}</summary>"
        f"<p>{escape(sources)}</p>{scrolling(shown, 'the figures of the paper')}</details>"
    )


def _cell(value: object) -> str:
    is_empty = value != value  # NaN
    text = "–" if is_empty else f"{value:,g}" if isinstance(value, (int, float)) else str(value)
    return f"<td>{escape(text)}</td>"
