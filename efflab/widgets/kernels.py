"""The ways to run one network on the screen: floats and five kinds of integers, with their times, bytes and scores.

Files are written, judged and timed one after the other; a batch that was measured is there at once when the hand comes
back to it.
"""

from collections.abc import Callable, Sequence
from html import escape

import ipywidgets

from efflab.figures.kernels import AnyKernel, kernel_sizes, kernel_times
from efflab.knobs import Setting
from efflab.lab import Lab
from efflab.lab.kernels import WAYS, Kernel, NoKernel
from efflab.recipe import Recipe, check_recipe
from efflab.training.turns import one_thread
from efflab.widgets.asking import Answer, Gate, Panel
from efflab.widgets.bench import STILL_SECONDS
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.parts import button, code_html, side_by_side
from efflab.widgets.states import BATCHES
from efflab.widgets.states_stage import BUSY, lab_line, recipe_lines
from efflab.widgets.tiles import badge
from efflab.widgets.view import PictureView
from efflab.widgets.worker import Stale, Turns, worker

Answered = Callable[[Sequence[AnyKernel]], Answer | None]
MEASURED = (
    "Files that were really written, weighed, and run by ONNX Runtime: timed in turns with the float file, and judged "
    "on validation data by what they answer. Thin lines are quartiles."
)


class Kernels(Panel):
    """One network in floats and in five kinds of integers. Make one with `chapter.kernels(lab)`.

    recipe: what is done to the base of the lab before; nothing if not given.
    batch: images in a run to begin with, "1", "8" or "64".
    gate: a prediction that must be made before the controls unlock; it is about the batch to begin with.
    answer: a function of the rows that gives the answer, or None while it is not known.

    Raises:
        TypeError: `recipe` is no recipe.
        ValueError: there is no such batch.
    """

    def __init__(
        self,
        lab: Lab,
        recipe: Recipe = (),
        *,
        batch: str = "1",
        gate: Gate | None = None,
        answer: Answered | None = None,
    ) -> None:
        check_recipe(recipe)
        BATCHES.check("batch", batch)
        self.lab, self.recipe, self.gate, self._at = lab, recipe, gate, batch
        self._answer: Answered = answer or (lambda kernels: None)
        self._measured: dict[str, tuple[AnyKernel, ...]] = {}
        again = button("Measure again", self.measure, "writes, judges and times all files once more")
        self.desk = Desk({"batch": Control("batch", BATCHES, batch)}, [], [again], self.project)
        self.times, self.sizes = PictureView(height=360), PictureView(height=320)
        self.note, self.code = ipywidgets.HTML(), ipywidgets.HTML()
        stage = ipywidgets.VBox([self.note, self.times, self.sizes, self.code])
        stage.add_class("efflab-main")
        super().__init__([*([gate] if gate else []), side_by_side(self.desk, stage)])
        self.desk.controls["batch"].on_change(self.refresh)
        self.begin(gate, self.unlock, self._pause)

    @property
    def batch(self) -> str:
        """The batch that the control asks for."""
        return str(self.desk.settings["batch"])

    @property
    def kernels(self) -> tuple[AnyKernel, ...]:
        """What was measured with this batch, so far."""
        return self._measured.get(self.batch, ())

    def set(self, **settings: Setting) -> None:
        """Move the control as a hand would: `panel.set(batch="64")`.

        Raises:
            ValueError, TypeError: no such control, or no value for it.
        """
        self.desk.set(settings)

    def refresh(self) -> None:
        """Show the batch of the control, and measure what is missing of it once the hand is still."""
        self.clear_error()
        batch = self.batch
        worker().submit((id(self), "kernels"), lambda stale: self._follow(batch, stale), on_error=self._fail)

    def measure(self) -> None:
        """Measure this batch once more."""
        self._measured.pop(self.batch, None)
        self.refresh()

    def unlock(self) -> None:
        """Give the control free: there is no prediction to make, or it was made or skipped."""
        self.desk.lock(False)
        self.refresh()

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        for view in (self.times, self.sizes):
            view.project(is_on)

    def _pause(self, text: str) -> None:
        self.desk.lock(True)
        self._tell(text)

    def _tell(self, text: str, label: str = "") -> None:
        self.note.value = f"<div class='efflab-line'>{escape(text)} {label}</div>"

    # What the worker does.

    def _fail(self, error: BaseException) -> None:
        self.show_error(error)
        self._tell("not measured: see the message below")

    def _follow(self, batch: str, stale: Stale) -> Turns:
        self._take(batch, self._measured.get(batch, ()))  # first, for old numbers must go
        yield STILL_SECONDS
        if len(self._measured[batch]) < len(WAYS):
            yield from self._measure(batch, stale)

    def _measure(self, batch: str, stale: Stale) -> Turns:
        kernels: tuple[AnyKernel, ...] = ()
        self._take(batch, kernels)
        rows = self.lab.kernels(self.recipe, batch=int(batch), stale=stale)
        while True:
            with one_thread():
                row = next(rows, None)
            if row is None or stale():
                return
            kernels = (*kernels, row)
            self._take(batch, kernels)
            yield None

    def _take(self, batch: str, kernels: tuple[AnyKernel, ...]) -> None:
        """Show the rows so far."""
        self._measured[batch] = kernels
        self.times.show_picture(kernel_times(kernels))
        self.sizes.show_picture(kernel_sizes(kernels))
        self.code.value = code_html(script(self.recipe, batch, self.lab.name), "the same in Python")
        doing = _doing(kernels)
        self._tell(doing or _about(kernels), badge("measured", MEASURED) if kernels else "")
        if doing:
            self.readout.sentence = f"{doing[:1].upper()}{doing[1:]}."
            return
        self.readout.sentence = sentence(batch, kernels)
        if batch == self._at:
            self.tell_answer(self.gate, self._answer(kernels))


def script(recipe: Recipe, batch: str, name: str) -> str:
    """The ways as a loop in Python. name: of the lab."""
    given = f"recipe, batch={batch}" if recipe else f"batch={batch}"
    lines = [
        lab_line(name),
        *(recipe_lines(recipe) if recipe else []),
        f"for kernel in lab.kernels({given}):",
        "    print(kernel.way, kernel.n_bytes, kernel.evaluation.value, kernel.speed.verdict)",
    ]
    return "\n".join(lines)


def sentence(batch: str, kernels: Sequence[AnyKernel]) -> str:
    """What the pictures say, in one sentence."""
    said = [f"{row.way} {row.speed.verdict}" for row in kernels[1:] if isinstance(row, Kernel)]
    return f"batch {batch}: {'; '.join(said)}."


def _doing(kernels: Sequence[AnyKernel]) -> str:
    n = len(kernels)
    return "" if n == len(WAYS) else f"measuring {n + 1} of {len(WAYS)}: {WAYS[n]}"


def _about(kernels: Sequence[AnyKernel]) -> str:
    """On which machine, and why ways are missing."""
    machines = dict.fromkeys(row.speed.machine for row in kernels if isinstance(row, Kernel))
    missing = [f"{row.way}: {row.reason}" for row in kernels if isinstance(row, NoKernel)]
    busy = [BUSY] if any(row.speed.busy for row in kernels if isinstance(row, Kernel)) else []
    return f"{'. '.join([*machines, *busy, *missing])}."
