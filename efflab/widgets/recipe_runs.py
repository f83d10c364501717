"""The worker's part of a recipe bench: steps are shown as far as nothing must be trained, run, and written down."""

from collections.abc import Iterator

import ipywidgets

from efflab.journal import Journal
from efflab.journal.journal import Kind
from efflab.knobs import Range
from efflab.lab import Lab
from efflab.lab.prefixes import Prefix, StepError
from efflab.lab.seeds import SeedRun, over_seeds
from efflab.recipe import Recipe
from efflab.scoreboard import judged_entry, opened_entry, run_entry
from efflab.training import Epoch, Progress
from efflab.training.turns import one_thread
from efflab.widgets.asking import Gate, Panel
from efflab.widgets.bench import STILL_SECONDS
from efflab.widgets.recipe_desk import RecipeDesk
from efflab.widgets.recipe_stage import NO_FILE, RecipeStage
from efflab.widgets.running import Running
from efflab.widgets.tiles import sentence, test_sentence
from efflab.widgets.worker import Job, Stale, Turns, worker

SEEDS = Range(2, 10, 1, "how often the recipe runs, from a seed of its own each time")
EMPTY = "The recipe is empty: this is the base."
TRAINING = "Training: the curve grows under the picture of the steps."
AFTER_ALL = "not measured yet: first all steps run"
NOT_MEASURED = "not measured: a step cannot act, see its card"
NOTHING_OPENED = "Nothing was opened: press Run first, and let the recipe run to its end."


class RecipeRuns(Panel):
    """The part of a recipe bench that runs on the worker."""

    lab: Lab
    journal: Journal
    chapter: str
    desk: RecipeDesk
    stage: RecipeStage
    gate: Gate | None
    at: Recipe
    running: Running
    test_line: ipywidgets.HTML
    paste_line: ipywidgets.HTML

    def _submit(self, what: str, job: Job) -> None:
        worker().submit((id(self), what), job, on_error=self._fail)

    def clear_error(self) -> None:
        """Empty the error lines, and take the mark from the step that they were about."""
        super().clear_error()
        self.paste_line.value = ""
        self.desk.clear_marks()

    def _fail(self, error: BaseException) -> None:
        self.show_error(error)
        self.desk.lock(False)
        self.stage.settle()
        told = "Not run to its end: see the message below."
        if isinstance(error, StepError) and self.desk.recipe[: error.number] == error.recipe:
            self.desk.mark(error.number, str(error))
            told = f"Step {error.number} cannot act there: its card says why, and so does the message below."
            if self.stage.prefixes:
                self.stage.draw(self.stage.prefixes, waits=NOT_MEASURED)
        self.stage.tell(told)
        self.readout.sentence = told

    def _focus(self, widget: ipywidgets.DOMWidget) -> None:
        """Give the keyboard to a widget once the page has laid the steps out anew."""

        def focus() -> Turns:
            yield 0.2
            widget.focus()

        self._submit("focus", lambda stale: focus())

    def _known(self, recipe: Recipe) -> int:
        """How many steps, from the first on, can be shown without a training."""
        for n, one in enumerate(recipe, start=1):
            if one.technique.is_slow and not self.lab.knows(recipe[:n]):
                return n - 1
        return len(recipe)

    def _follow(self, recipe: Recipe, n: int, stale: Stale) -> Turns:
        """Show the first `n` steps: all of them judged, and once the hand is still, weighed and timed."""
        found = self.lab.prefixes(recipe[:n], stale=stale)
        prefixes: list[Prefix] = []
        while (prefix := _next(found)) is not None:
            is_measured = prefix.report is not None or bool(prefix.reason)
            if is_measured:
                prefixes[len(prefix.recipe)] = prefix
            else:
                prefixes.append(prefix)
            if len(prefixes) == n + 1:
                self._draw(prefixes, recipe)
                yield None if is_measured else STILL_SECONDS
            else:
                yield None
        if len(prefixes) == n + 1 == len(recipe) + 1:
            self._write_run(prefixes[-1])

    def _draw(self, prefixes: list[Prefix], recipe: Recipe) -> None:
        """Show what is known of a recipe, and say what it waits for."""
        self.stage.recipe = recipe
        self.stage.draw(prefixes)
        self.stage.draw_tab()
        n, last = len(prefixes) - 1, prefixes[-1]
        if not recipe:
            told = EMPTY
        elif n < len(recipe):
            told = f"Step {n + 1}, {recipe[n].technique.label}, trains: press Run. Below is what stands before it."
        else:
            told = "Training was stopped early: press Run to train to the end." if last.preview.is_partial else ""
            told = told or (f"It counts as a run, but {NO_FILE}: {last.reason}" if last.reason else "")
        self.stage.tell(told)
        self.readout.sentence = told if n < len(recipe) or not recipe else sentence(last.preview, last.report)
        if last.recipe == self.at and not last.preview.is_partial:
            self.tell_answer(self.gate, last.preview.evaluation.value * self.lab.data.task.per_unit)

    def _train(self, recipe: Recipe, progress: Progress, stale: Stale) -> Turns:
        self.lab.forget_stopped(recipe)  # it runs to its end now
        yield from self._locked(self.running.follow(lambda one: self._run(recipe, one), progress), TRAINING)
        yield from self._follow(recipe, len(recipe), stale)

    def _run(self, recipe: Recipe, progress: Progress) -> None:
        """Run the steps one after the other, and draw each, and its training while it grows."""
        records: list[Epoch] = []
        judged: list[Prefix] = []

        def record(epoch: Epoch) -> None:
            if epoch.number == 1:
                records.clear()
            records.append(epoch)
            self.stage.draw_training(records, judged[-1].preview.evaluation.value)

        progress.on_record = record
        for prefix in self.lab.prefixes(recipe, progress=progress):
            judged.append(prefix)
            self.stage.draw(judged, waits=AFTER_ALL)
            if len(judged) == len(recipe) + 1:
                return

    def _locked(self, turns: Turns, text: str) -> Turns:
        """Take the turns while nobody can change the recipe: what is shown in the end belongs to it."""
        self.desk.lock(True)
        self.stage.tell(text)
        self.readout.sentence = text
        try:
            yield from turns
        finally:
            self.desk.lock(False)

    def _train_seeds(self, recipe: Recipe, n: int, progress: Progress, stale: Stale) -> Turns:
        """Run a recipe with `n` seeds, and write down all but the lab's own, which is weighed and timed after."""
        seeds = range(self.lab.seed, self.lab.seed + n)
        runs: list[SeedRun] = []

        def work(one: Progress) -> None:
            for run in over_seeds(self.lab, recipe, seeds, progress=one):
                runs.append(run)
                self.stage.draw_seeds(runs)
                if run.is_whole and not run.is_same:  # the first one is the same as itself
                    self._write("run", judged_entry(run.preview, run.lab))

        yield from self._locked(self.running.follow(work, progress), f"Running {n} seeds ...")
        yield from self._follow(recipe, len(recipe), stale)

    def _open_test(self, last: Prefix) -> None:
        evaluation = self.lab.open_test(last.recipe)
        self.test_line.value = test_sentence(last.preview.evaluation, evaluation, self.lab.n_test_openings)
        self._write("test_opened", opened_entry(last.recipe, evaluation, self.lab))

    def _write_run(self, last: Prefix) -> None:
        """Write a recipe down that ran to its end; one that cannot become a file has a score and bytes all the same."""
        if last.recipe and (last.report or last.reason) and not last.preview.is_partial:
            entry = run_entry(last.report, self.lab) if last.report else judged_entry(last.preview, self.lab)
            self._write("run", entry)
            self.stage.draw_tab()

    def _write(self, kind: Kind, value: object) -> None:
        self.keep_in(self.journal, kind, "recipe", value, chapter=self.chapter)


def _next(prefixes: Iterator[Prefix]) -> Prefix | None:
    """The next prefix, or None after the last; one thread works, and gives it back before others have their turn."""
    with one_thread():
        return next(prefixes, None)
