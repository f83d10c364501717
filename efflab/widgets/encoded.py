"""Deep Compression's file on the screen: written on the worker, its bytes by layer and part, and what was read back."""

from collections.abc import Callable
from html import escape

import ipywidgets

from efflab.figures import encoded as drawn
from efflab.figures.text import difference_text, score_text
from efflab.lab import Lab
from efflab.lab.encoding import EncodedNetwork
from efflab.recipe import Recipe, check_recipe
from efflab.training import Progress
from efflab.widgets.asking import Answer, Gate, Panel
from efflab.widgets.parts import line_text
from efflab.widgets.running import Running
from efflab.widgets.tiles import badge
from efflab.widgets.view import PictureView
from efflab.widgets.worker import Turns, worker

Answered = Callable[[EncodedNetwork], Answer | None]
WRITING = "The file is being written, and read back ..."
STOPPED = "Stopped: nothing was written. Run the cell again to train to the end."


class EncodedView(Panel):
    """The file of one recipe's network. Make one with `chapter.encoded(lab, recipe)`.

    recipe: its network is written; a recipe that trains, trains first.
    gate: a prediction that must be made before anything is written.
    answer: a function of the file that gives the answer, or None while it is not known.

    Raises:
        TypeError: `recipe` is no recipe.
    """

    def __init__(self, lab: Lab, recipe: Recipe, *, gate: Gate | None = None, answer: Answered | None = None) -> None:
        check_recipe(recipe)
        self.lab, self.recipe, self.gate = lab, recipe, gate
        self.encoded: EncodedNetwork | None = None
        self._answer: Answered = answer or (lambda encoded: None)
        self.note, self.picture = ipywidgets.HTML(), PictureView(height=360)
        self.running = Running("Writing the file", "end the training; nothing is written")
        super().__init__([*([gate] if gate else []), self.note, self.running, self.picture])
        self.begin(gate, self.write, self._tell)

    def write(self) -> None:
        """Write the file and show what is in it."""
        self.clear_error()
        self._tell(WRITING)
        worker().submit((id(self), "encoded"), lambda stale: self._write(), on_error=self._fail)

    def stop(self) -> None:
        """End a training after its batch; nothing is written, for the recipe would make another network."""
        self.running.stop()

    def _write(self) -> Turns:
        made: list[EncodedNetwork] = []

        def work(progress: Progress) -> None:
            self.lab.forget_stopped(self.recipe)  # another panel may have stopped it
            self.lab.build(self.recipe, progress=progress)
            if not self.lab.is_partial(self.recipe):  # Stop may also come while the file is written: it is whole then
                made.append(self.lab.encode(self.recipe))

        yield from self.running.follow(work, self.running.start())
        if made:
            self._show(made[0])
        else:
            self._give_up()

    def _give_up(self) -> None:
        self.lab.forget_stopped(self.recipe)
        self._tell(STOPPED)

    def _show(self, encoded: EncodedNetwork) -> None:
        self.encoded = encoded
        if encoded.layers:
            picture = drawn(encoded)
            self.picture.show_picture(picture)
            self.readout.sentence = picture.sentence
        task = encoded.evaluation.task
        score, change = score_text(encoded.evaluation.value, task), difference_text(encoded.difference.value, task)
        self._tell(
            f"{encoded.n_bytes:,} bytes, {encoded.times_smaller:.1f} times smaller than {encoded.base_bytes:,}; read "
            f"back, it has {score} {task.score_name} ({change}).",
            badge("measured"),
        )
        self.tell_answer(self.gate, self._answer(encoded))

    def _fail(self, error: BaseException) -> None:
        self.show_error(error)
        self._tell("not written: see the message below")

    def _tell(self, text: str, label: str = "") -> None:
        self.note.value = line_text(text) if not label else f"<div class='efflab-line'>{escape(text)} {label}</div>"
