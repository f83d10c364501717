"""A budget's verdict: the recipe runs on the worker, so that the cell returns at once, and can be stopped."""

from collections.abc import Callable

import ipywidgets

from efflab.budget import RecipeBudget, StoppedError
from efflab.lab import Lab
from efflab.questions import Verdict
from efflab.recipe import Recipe, to_json
from efflab.training import Progress
from efflab.widgets.asking import Checked, Panel, verdict_html
from efflab.widgets.running import Running
from efflab.widgets.worker import Turns, worker

Keep = Callable[[str, Verdict, str], Checked]


class Judging(Panel):
    """Runs a recipe and shows whether it meets the budget; `verdict` is None until it is known.

    keep: writes the verdict down: name, verdict, recipe as JSON.
    """

    def __init__(self, lab: Lab, recipe: Recipe, budget: RecipeBudget, keep: Keep) -> None:
        self.verdict: Verdict | None = None
        self._lab, self._recipe, self._budget, self._keep = lab, recipe, budget, keep
        self._text = ipywidgets.HTML("<div class='efflab-verdict'>Working ...</div>")
        self._running = Running("Running the recipe", "end the training; nothing is judged")
        self._progress = self._running.start()
        super().__init__([self._running, self._text])
        worker().submit((id(self), "judge"), lambda stale: self._judge(), on_error=self._fail)

    def stop(self) -> None:
        """End a training after its batch; nothing is judged, for the recipe would make another network."""
        self._running.stop()

    def _give_up(self) -> None:
        self._lab.forget_stopped(self._recipe)
        text = "<b>Stopped.</b> Nothing was judged: run the cell again to train to the end."
        self._text.value = f"<div class='efflab-verdict'>{text}</div>"

    def _fail(self, error: BaseException) -> None:
        self._text.value = "<div class='efflab-verdict efflab-failed'><b>Not yet.</b> This recipe did not run:</div>"
        self.show_error(error)

    def _judge(self) -> Turns:
        verdicts: list[Verdict] = []

        def work(progress: Progress) -> None:
            self._lab.forget_stopped(self._recipe)  # another panel may have stopped it
            try:
                verdict = self._budget.judge_recipe(self._lab, self._recipe, progress)
            except StoppedError:
                return
            if not self._lab.is_partial(self._recipe):  # Stop may also come after the training: it counts then
                verdicts.append(verdict)

        yield from self._running.follow(work, self._progress)
        if not verdicts:
            self._give_up()
            return
        self.verdict = verdicts[0]
        checked = self._keep("budget", self.verdict, to_json(self._recipe))
        self._text.value = verdict_html(self.verdict)
        self.readout.error = checked.note
