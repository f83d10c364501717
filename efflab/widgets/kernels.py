"""The ways to run one network on the screen: floats and five kinds of integers, with their times, bytes and scores.

Files are written, judged and timed one after the other; a batch that was measured is there at once when the hand comes
back to it.
"""

from collections.abc import Callable, Sequence

import ipywidgets

from efflab.figures.kernels import AnyKernel, kernel_sizes, kernel_times
from efflab.lab import Lab
from efflab.lab.kernels import WAYS, Kernel, NoKernel
from efflab.recipe import Recipe, check_recipe
from efflab.training.turns import one_thread
from efflab.widgets.answers import UNSURE
from efflab.widgets.asking import Answer, Gate
from efflab.widgets.bench import STILL_SECONDS
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.live_panel import LivePanel
from efflab.widgets.parts import button, code_html
from efflab.widgets.states import BATCHES
from efflab.widgets.states_stage import BUSY, lab_line, recipe_lines
from efflab.widgets.tiles import badge
from efflab.widgets.view import PictureView
from efflab.widgets.worker import Stale, Turns

Answered = Callable[[Sequence[AnyKernel]], Answer | None]
MEASURED = (
    "Files that were really written, weighed, and run by ONNX Runtime: timed in turns with the float file, and judged "
    "on validation data by what they answer. Thin lines are quartiles."
)


class Kernels(LivePanel):
    """One network in floats and in five kinds of integers. Make one with `chapter.kernels(lab)`.

    recipe: what is done to the base of the lab before; nothing if not given.
    batch: images in a run to begin with, "1", "8" or "64".
    gate: a prediction that must be made before the controls unlock; it is about the batch to begin with.
    answer: a function of the rows that gives the answer, or None while it is not known.

    Raises:
        TypeError: `recipe` is no recipe.
        ValueError: there is no such batch.
    """

    FAILED = "not measured: see the message below"

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
        self.lab, self.recipe, self._at = lab, recipe, batch
        self._answer: Answered = answer or (lambda kernels: None)
        self._measured: dict[str, tuple[AnyKernel, ...]] = {}
        again = button("Measure again", self.measure, "writes, judges and times all files once more")
        desk = Desk({"batch": Control("batch", BATCHES, batch)}, [], [again], self.project)
        self.times, self.sizes, self.code = PictureView(height=360), PictureView(height=320), ipywidgets.HTML()
        super().__init__(gate, desk, [self.times, self.sizes, self.code])

    @property
    def batch(self) -> str:
        """The batch that the control asks for."""
        return str(self.desk.settings["batch"])

    @property
    def kernels(self) -> tuple[AnyKernel, ...]:
        """What was measured with this batch, so far."""
        return self._measured.get(self.batch, ())

    def refresh(self) -> None:
        """Show the batch of the control, and measure what is missing of it once the hand is still."""
        self.clear_error()
        batch = self.batch
        self._submit("kernels", lambda stale: self._follow(batch, stale))

    def measure(self) -> None:
        """Measure this batch once more."""
        self._measured.pop(self.batch, None)
        self.refresh()

    # What the worker does.

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
            if any(isinstance(one, Kernel) and one.speed.noise_floor > UNSURE for one in kernels):
                self.ask_to_repeat(self.gate, "press Measure again")


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
