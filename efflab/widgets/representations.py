"""Layers of teacher and student on the screen: how alike each pair is, and a pair as points.

A student that has to be trained waits for its button. Layers and images may be chosen at any time; a cell of the heat
map chooses both layers at once.
"""

from collections.abc import Callable, Mapping

import ipywidgets
from torch import nn

from efflab.figures import aligned_points, cka_map
from efflab.knobs import Choice, Range, Setting
from efflab.lab import Lab
from efflab.lab.representations import Compared, Layers, as_hint, compare_layers
from efflab.recipe import Recipe, check_recipe
from efflab.training import Progress
from efflab.widgets.asking import Answer, Gate
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.layer_desk import LayerDesk, hint_html
from efflab.widgets.live_figure import Clicked
from efflab.widgets.live_panel import LivePanel
from efflab.widgets.parts import button, code_html
from efflab.widgets.states_stage import recipe_lines
from efflab.widgets.tiles import badge
from efflab.widgets.view import PictureView
from efflab.widgets.worker import Turns

Answered = Callable[[str, Compared], Answer | None]
MEASURED = (
    "Computed from what both networks really gave for these validation images. With fewer images than units CKA comes "
    "out too high, and networks that were never trained are alike, too: compare before and after training."
)
TRAINING = "The student is being trained ..."
LOOKING = "Both networks look at the images ..."
MOST_IMAGES, USUAL_IMAGES = 1000, 500


class Representations(LivePanel):
    """What the layers of a teacher and a student hold. Make one with `chapter.representations(lab, recipe)`.

    student: the recipe that makes the student of the base of the lab, the teacher; or several by name, such as
        {"before training": ..., "alone": ..., "with teacher": ...}.
    images: how many validation images, to begin with; 500, or all that there are.
    gate: a prediction that must be made before the controls unlock.
    answer: a function of the name of a student and its `Compared` that gives the answer, or None while it is not known.

    Raises:
        TypeError: a student is no recipe.
        ValueError: there is no student, or no such number of images.
    """

    FAILED = "not shown: see the message below"

    def __init__(
        self,
        lab: Lab,
        student: Recipe | Mapping[str, Recipe],
        *,
        images: int | None = None,
        gate: Gate | None = None,
        answer: Answered | None = None,
    ) -> None:
        self.lab, self.students = lab, _named(student)
        self._answer: Answered = answer or (lambda name, compared: None)
        self._trained: dict[str, tuple[nn.Module, bool]] = {}
        self._compared: tuple[str, int, Compared] | None = None
        self._quiet = False
        shown = _controls(lab, self.students, images)
        self.train_button = button("Train", self.train, "trains the student that is chosen")
        self.pair = {name: ipywidgets.Dropdown() for name in ("teacher_layer", "student_layer")}
        self.layers = LayerDesk(self.pair)
        desk = Desk(shown, [self.train_button], [], self.project, more=[self.layers])
        self.map, self.points = PictureView(height=320), PictureView(height=400)
        self.hint, self.code = ipywidgets.HTML(), ipywidgets.HTML()
        for choice in self.pair.values():
            choice.observe(lambda _: self.choose(), "value")
        self.map.on_clicked(self.choose_cell)
        super().__init__(gate, desk, [self.map, self.points, self.hint, self.code])

    @property
    def name(self) -> str:
        """Which student is chosen."""
        return str(self.desk.settings.get("student", next(iter(self.students))))

    @property
    def recipe(self) -> Recipe:
        """What makes it."""
        return self.students[self.name]

    @property
    def images(self) -> int:
        """How many images the control asks for."""
        return int(str(self.desk.settings["images"]))

    @property
    def compared(self) -> Compared | None:
        """What is shown, or None while nothing is."""
        known = self._compared
        return known[2] if known and known[:2] == (self.name, self.images) else None

    @property
    def is_trained(self) -> bool:
        """Whether the student is there: it needs no training, or had it."""
        return not self._trains(self.name) or self.name in self._trained

    def set(self, **settings: Setting) -> None:
        """Move controls as a hand would: `panel.set(images=200, student_layer="relu2")`.

        Raises:
            ValueError, TypeError: no such control, or no value for it.
        """
        for name, setting in settings.items():
            if name in self.pair:
                self.layers.set(name, setting)
            elif name in self.desk.controls:
                self.desk.controls[name].set(setting)
            else:
                known = ", ".join([*self.desk.controls, *self.pair])
                raise ValueError(f"this panel has no control {name!r}; it has: {known}")

    def refresh(self) -> None:
        """Show the chosen student on so many images, or that it waits for its training."""
        self.clear_error()
        name, n = self.name, self.images
        self._submit("show", lambda stale: self._follow(name, n))

    def choose(self) -> None:
        """Show the pair of layers that is chosen."""
        if not self._quiet and self.compared is not None:
            self.clear_error()
            self._submit("pair", lambda stale: self._show())

    def choose_cell(self, cell: Clicked) -> None:
        """Choose both layers of a cell of the heat map."""
        if self.compared is not None and not self.layers.is_locked:
            rows, columns = list(self.compared.teacher), list(self.compared.student)
            self.set(teacher_layer=rows[round(float(cell.y))], student_layer=columns[round(float(cell.x))])

    def train(self) -> None:
        """Train the chosen student, again if it was trained before."""
        self.clear_error()
        name, progress = self.name, self.desk.running.start()
        self._submit("train", lambda stale: self._train(name, progress))

    def _lock(self, is_locked: bool) -> None:
        self.desk.lock(is_locked)
        self.train_button.disabled = is_locked or not self._trains(self.name)

    def _trains(self, name: str) -> bool:
        return any(one.technique.is_slow for one in self.students[name])

    # What the worker does.

    def _fail(self, error: BaseException) -> None:
        self.show_error(error)
        self._wait(self.FAILED)

    def _wait(self, text: str) -> None:
        """No number of another student stays."""
        self._hide()
        self.hint.value = self.code.value = ""
        self._tell(text)
        self.readout.sentence = text

    def _train(self, name: str, progress: Progress) -> Turns:
        recipe = self.students[name]
        self._lock(True)  # what is shown in the end belongs to the student that was trained
        self._wait(TRAINING)
        if self._trained.pop(name, None) is not None:
            self.lab.forget(recipe)
        self._compared = None
        try:
            yield from self.desk.running.follow(lambda progress: self.lab.build(recipe, progress=progress), progress)
            self._trained[name] = self.lab.build(recipe), self.lab.preview(recipe).is_partial
        finally:
            self._lock(False)
        self.refresh()

    def _follow(self, name: str, n: int) -> None:
        self.train_button.disabled = not self._trains(name)
        if self.compared is None and not self.is_trained:
            self._wait(f"The student “{name}” is not trained yet: press Train.")
            return
        if self.compared is None:
            self._wait(LOOKING)
            student = self._trained[name][0] if name in self._trained else self.lab.build(self.students[name])
            compared = compare_layers(self.lab.build(()), student, self.lab.data.validation, n)
            self._quiet = True  # a new student has other layers; one picture is enough
            self.layers.offer(compared)
            self._quiet, self._compared = False, (name, n, compared)
        self._show()

    def _show(self) -> None:
        compared, (teacher, student) = self.compared, self.layers.chosen
        if compared is None:
            return
        cka = cka_map(compared.cka, teacher, student)
        points = compared.points(teacher, student)
        self.map.show_picture(cka)
        self.points.show_picture(aligned_points(points, compared.labels, self.lab.data.classes, teacher, student))
        self.hint.value = hint_html(as_hint(compared, teacher, student))
        self.code.value = code_html(script(self.recipe, self.images, teacher, student), "the same in Python")
        self._tell(_about(compared, self._trained.get(self.name, (None, False))[1]), badge("measured", MEASURED))
        self.readout.sentence = cka.sentence
        self.tell_answer(self.gate, self._answer(self.name, compared))


def script(recipe: Recipe, images: int, teacher_layer: str, student_layer: str) -> str:
    """The comparison in Python."""
    lines = [
        "from efflab.lab.representations import compare_layers",
        *recipe_lines(recipe),
        f"compared = compare_layers(lab.build(()), lab.build(recipe), lab.data.validation, {images})",
        f"print(compared.cka.loc[{teacher_layer!r}, {student_layer!r}])",
    ]
    return "\n".join(lines)


def _named(student: Recipe | Mapping[str, Recipe]) -> dict[str, Recipe]:
    students = dict(student) if isinstance(student, Mapping) else {"student": student}
    if not students:
        raise ValueError("student must be a recipe, or at least one by name, not {}")
    for recipe in students.values():
        check_recipe(recipe)
    return students


def _controls(lab: Lab, students: Mapping[str, Recipe], images: int | None) -> dict[str, Control]:
    knob = _images(len(lab.data.validation))
    usual = int(min(USUAL_IMAGES, knob.high))
    made = {"images": Control("images", knob, usual if images is None else images)}
    if len(students) == 1:
        return made
    names = Choice(tuple(students), "which student")
    return {"student": Control("student", names, next(iter(students))), **made}


def _images(n: int) -> Range:
    """The knob of the images where there are `n`: in tens, where that leaves a choice."""
    step = 10 if n >= 20 else 1
    most = min(MOST_IMAGES, n - n % step)
    return Range(min(2 if step == 1 else step, most - 1), most, step, "of the validation data, that both look at")


def _about(compared: Compared, is_partial: bool) -> str:
    """On how many images, how maps became vectors, and whether the training was whole."""
    layers: dict[str, Layers] = {"teacher": compared.teacher, "student": compared.student}
    averaged = [f"the {whose}'s {name}" for whose, side in layers.items() for name in side if side[name].is_averaged]
    maps = f"; averaged over places: {', '.join(averaged)}" if averaged else ""
    stopped = " Its training was stopped early." if is_partial else ""
    return f"CKA on {len(compared.labels):,} validation images. Maps are laid flat{maps}.{stopped}"
