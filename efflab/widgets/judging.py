"""A budget's verdict: the recipe runs on the worker, so that the cell returns at once, and can be stopped."""

from collections.abc import Callable, Iterator

import ipywidgets

from efflab.budget import Budget
from efflab.lab import Lab, Preview
from efflab.questions import Verdict
from efflab.recipe import Recipe, to_json
from efflab.training import Progress
from efflab.widgets.asking import Checked, Panel, verdict_html
from efflab.widgets.turns import in_turns
from efflab.widgets.worker import worker

Keep = Callable[[str, Verdict, str], Checked]


class Judging(Panel):
    """Runs a recipe and shows whether it meets the budget; `verdict` is None until it is known.

    keep: writes the verdict down: name, verdict, recipe as JSON.
    """

    def __init__(self, lab: Lab, recipe: Recipe, budget: Budget, keep: Keep) -> None:
        self.verdict: Verdict | None = None
        self._lab, self._recipe, self._budget, self._keep = lab, recipe, budget, keep
        self._progress = Progress()
        self._text = ipywidgets.HTML("<div class='efflab-verdict'>Working ...</div>")
        self._bar = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0)
        self._stop = ipywidgets.Button(description="Stop")
        self._stop.on_click(lambda _: self.stop())
        label = ipywidgets.HTML("<span class='efflab-label'>Running the recipe</span>")
        self._running = ipywidgets.VBox([label, self._bar, self._stop])
        self._running.add_class("efflab-control")
        super().__init__([self._running, self._text])
        worker().submit((id(self), "judge"), lambda stale: self._judge(), on_error=self.show_error)

    def stop(self) -> None:
        """End a training after its batch; the network so far is judged."""
        self._progress.stop()

    def _judge(self) -> Iterator[None]:
        previews: list[Preview] = []

        def work(progress: Progress) -> None:
            self._lab.build(self._recipe, progress=progress)
            previews.append(self._lab.preview(self._recipe))

        try:
            for done in in_turns(work, self._progress):
                self._bar.value = done
                yield
        finally:
            self._running.layout.display = "none"
        self.verdict = self._budget.judge(previews[0])
        checked = self._keep("budget", self.verdict, to_json(self._recipe))
        self._text.value = verdict_html(self.verdict)
        self.readout.error = checked.note
