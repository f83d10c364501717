"""A student alone and the same student with its teacher, trained side by side while you watch.

Both begin with the same weights and see the same images in the same order; only the loss differs. Moving a control
trains nothing: what was trained with other settings stays, under their names, and is never averaged with new ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from efflab.distill import distill_predictions, start_student
from efflab.journal import Journal
from efflab.journal.journal import Kind
from efflab.knobs import Setting, Value
from efflab.lab import Lab, Report
from efflab.lab.comparison import Comparison, measure_students
from efflab.lab.side_by_side import n_epochs, side_by_side
from efflab.recipe import AnyTechnique, Recipe, Step, step
from efflab.scoreboard import judged_entry, opened_entry, run_entry
from efflab.training import Progress, warm_up
from efflab.widgets import parts
from efflab.widgets.asking import Answer, Gate, Panel
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.side_by_side_asked import Asked
from efflab.widgets.side_by_side_stage import N_MORE, SideBySideStage, next_text, test_html
from efflab.widgets.worker import Job, Stale, Turns, worker

STUDENT: Recipe = (step(start_student, kind="mlp", width=30),)
PRESS = "Press Train both."
TRAINING = "Training both: the curves grow below."


class SideBySide(Panel):
    """Two trainings of one student. Make one with `chapter.side_by_side(lab, ...)`; the lab's base is the teacher.

    taught: the technique that trains with the teacher; its knobs can be controls.
    controls: which of them to show; the others stay as in `start`.
    student: the step, or the recipe, that makes the student.
    student_controls: knobs of its steps to show as well.
    alone: the steps that train the student alone; plain training of as many epochs if not given.
    start: settings to begin with, of `taught`.
    gate: a prediction that must be made before the controls unlock.
    at: the settings that the prediction is about; those to begin with if not given.
    answer: a function of the panel that gives the answer, or None while it is not known.

    Raises:
        TypeError: `student` or `alone` is no recipe, or a setting is no knob.
        ValueError: there is no such control, or no such value for it; or `taught` asks for no teacher.
    """

    def __init__(
        self,
        lab: Lab,
        taught: AnyTechnique = distill_predictions,
        *,
        controls: Sequence[str] = ("temperature", "soft", "epochs"),
        student: Step | Recipe = STUDENT,
        student_controls: Sequence[str] = (),
        alone: Recipe | None = None,
        start: Mapping[str, Value] | None = None,
        gate: Gate | None = None,
        at: Mapping[str, Value] | None = None,
        answer: "Callable[[SideBySide], Answer | None] | None" = None,
        journal: Journal | None = None,
        chapter: str = "side by side",
    ) -> None:
        self.lab, self.gate, self._answer = lab, gate, answer or (lambda panel: None)
        recipe = (student,) if isinstance(student, Step) else student
        self._asked = Asked(taught, controls, recipe, student_controls, alone, start or {})
        self.journal, self.chapter = journal or Journal(), chapter
        self._trained: dict[tuple[Recipe, Recipe], Comparison] = {}
        self.shown: Comparison | None = None  # the pairs on the screen, and what was timed of them
        self._is_training = False
        self.desk = Desk(
            self._asked.make_controls(),
            [
                parts.button("Train both", self.train, "trains the student alone and with its teacher"),
                parts.button(f"{N_MORE} more seeds", self.more_seeds, "the same again, from other first weights"),
            ],
            [parts.button("Open the test set", self.open_test, "once, at the end: choose with validation data")],
            self.project,
        )
        self.at = {**self.desk.settings, **self._asked.checked(at or {})}
        self.stage = SideBySideStage(lab, self.journal, chapter, self.redraw_tab)
        super().__init__([*([gate] if gate else []), parts.side_by_side(self.desk, self.stage)])
        for control in self.controls.values():
            control.on_change(self.refresh)
        self._submit("warm-up", lambda stale: warm_up())
        self._submit("teacher", lambda stale: self.stage.draw_rows(self.shown))
        self.begin(gate, self.unlock, self._pause, then=f"Press Train both, then {N_MORE} more seeds.")

    @property
    def controls(self) -> dict[str, Control]:
        """What can be moved, by its name."""
        return self.desk.controls

    @property
    def recipes(self) -> tuple[Recipe, Recipe]:
        """What the controls ask for: of the student alone, and of the one with its teacher.

        Raises:
            ValueError: plain training cannot last as many epochs.
        """
        return self._asked.recipes(self.desk.settings)

    @property
    def asked(self) -> Comparison | None:
        """What was trained with the settings that the prediction is about."""
        return self._trained.get(self._asked.recipes(self.at))

    def set(self, **settings: Setting) -> None:
        """Move controls as a hand would: `panel.set(temperature=8.0)`.

        Raises:
            ValueError, TypeError: no such control, or no value for it.
        """
        self.desk.set(settings)

    def refresh(self) -> None:
        """Show what was trained with the settings of the controls; if nothing was, say what the pictures show."""
        self._submit("shown", lambda stale: self._show_settings())

    def train(self) -> None:
        """Train both students with the lab's own seed."""
        self._train(lambda comparison: (self.lab.seed,))

    def more_seeds(self) -> None:
        """Train both with the next seeds that were not trained to their end; first of all with the lab's own."""
        self._train(lambda comparison: comparison.seeds_to_come(self.lab.seed, N_MORE))

    def stop(self) -> None:
        """End both trainings after their batch; the best networks so far are shown, and do not count."""
        self.desk.running.stop()

    def open_test(self) -> None:
        """Evaluate both students on the test data, and write down that it was opened; none trained, none opened."""
        if (comparison := self.shown) is not None and comparison.of_seed(self.lab.seed) is not None:
            self._submit("test", lambda stale: self._open_test(comparison))

    def redraw_tab(self) -> None:
        """Draw the open tab again."""
        self._submit("tab", lambda stale: self.stage.draw_tab())

    def unlock(self) -> None:
        """Give the controls free: there is no prediction to make, or it was made or skipped."""
        self.desk.lock(False)
        self._tell(PRESS)

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        self.stage.project(is_on)

    def _pause(self, text: str) -> None:
        self.desk.lock(True)
        self.stage.tell(text)

    # What the worker does.

    def _submit(self, what: str, job: Job) -> None:
        self.clear_error()
        worker().submit((id(self), what), job, on_error=self.show_error)

    def _train(self, choose: Callable[[Comparison], Sequence[int]]) -> None:
        self.clear_error()
        progress = self.desk.running.start()
        worker().submit((id(self), "train"), lambda stale: self._work(choose, progress, stale), on_error=self._fail)

    def _work(self, choose: Callable[[Comparison], Sequence[int]], progress: Progress, stale: Stale) -> Turns:
        self.desk.lock(True)
        self._is_training = True
        try:
            recipes = self.recipes
            comparison = self._trained.get(recipes) or Comparison(*recipes)
            self._begin(comparison)
            seeds = choose(comparison)
            slow = 1 / (len(seeds) * max(1, *(n_epochs(recipe[-1]) for recipe in recipes)))  # the first epoch of both
            yield from self.desk.running.watch(self._train_pairs(comparison, seeds, progress), slow=slow)
            self.tell_answer(self.gate, self._answer(self))  # of all seeds that were asked for, and not of the third
        finally:
            self._is_training = False
            self.desk.lock(False)
        yield from self._measure(self._trained[recipes], stale)

    def _begin(self, comparison: Comparison) -> None:
        """Clear the place for a training; what came of other settings must not stand beside it."""
        self.desk.test_line.value = ""  # it was about other networks
        if comparison.pairs:
            self.shown = comparison
            self.stage.draw(comparison)
        else:
            self.stage.clear()
        self._tell(TRAINING)

    def _train_pairs(self, comparison: Comparison, seeds: Sequence[int], progress: Progress) -> Iterator[float]:
        """Train a pair of each seed, and yield the fraction of all that is done."""
        for i, seed in enumerate(seeds):
            own = self.lab if seed == self.lab.seed else self.lab.with_seed(seed)
            before, n_drawn = [one for one in comparison.pairs if one.seed != seed], 0
            with closing(side_by_side(own, comparison.alone, comparison.taught, progress=progress)) as pairs:
                for pair in pairs:
                    if (n_records := len(pair.alone.records) + len(pair.taught.records)) > n_drawn:
                        n_drawn = n_records
                        self.stage.draw_training(pair, before)
                    yield (i + pair.done) / len(seeds)
            comparison = comparison.with_pair(pair)
            self._take(comparison)
            if seed != self.lab.seed and pair.is_whole:  # that of the lab is written down once it is timed
                for recipe in (comparison.alone, comparison.taught):
                    self._write("run", recipe, judged_entry(own.preview(recipe), own))
            if progress.is_stopped:
                return

    def _measure(self, comparison: Comparison, stale: Stale) -> Turns:
        """Time the students of the lab's own seed, or one of them where their layers are the same; write both down."""
        pair, reports = comparison.of_seed(self.lab.seed), list[Report]()
        if pair is None or comparison.reports is not None:
            return
        for report in measure_students(self.lab, comparison, stale=stale):
            if report is None or stale():
                return
            reports.append(report)
            yield None
        timed = replace(comparison, reports=tuple(reports))
        self._keep(timed)
        if pair.is_whole:
            for recipe, report in zip((timed.alone, timed.taught), (reports[0], reports[-1]), strict=True):
                own = judged_entry(self.lab.preview(recipe), self.lab)
                self._write("run", recipe, run_entry(report, self.lab) | own)
        if self.shown is timed:
            self.stage.draw_rows(timed)
            self.stage.draw_tab()

    def _take(self, comparison: Comparison) -> None:
        """Show what came of a training."""
        self._keep(comparison)
        self.shown = comparison
        self._draw(comparison)

    def _keep(self, comparison: Comparison) -> None:
        key = (comparison.alone, comparison.taught)
        if self.shown is self._trained.get(key):
            self.shown = comparison
        self._trained[key] = comparison

    def _draw(self, comparison: Comparison) -> None:
        self.stage.draw(comparison)
        self.readout.sentence = f"{self.stage.verdict} {self._next(comparison)}".strip()
        self._tell_settings()

    def _show_settings(self) -> None:
        if self._is_training:
            return  # at its end, it is said whose settings the pictures show
        comparison = self._trained.get(self.recipes)
        if comparison is not None and comparison is not self.shown:
            self.shown = comparison
            self.desk.test_line.value = ""  # it was about other networks
            self._draw(comparison)
        else:
            self._tell_settings()

    def _tell_settings(self) -> None:
        """Say whose settings the pictures show, where the controls ask for others."""
        if self.shown is None:
            self._tell(PRESS)
        elif (self.shown.alone, self.shown.taught) != self.recipes:
            told = self._asked.told(self.shown.taught)
            self._tell(f"The pictures show {told}. {PRESS[:-1]} for the settings of the controls.")
        else:
            self.stage.tell(self._next(self.shown))

    def _next(self, comparison: Comparison) -> str:
        """What to press for a verdict, which may be the answer of a prediction."""
        is_predicted = self.gate is not None and self.gate.answer is not None and self._answer(self) is None
        return next_text(comparison, is_predicted and comparison is self.asked)

    def _tell(self, text: str) -> None:
        self.stage.tell(text)
        self.readout.sentence = text

    def _fail(self, error: BaseException) -> None:
        """Say what went wrong; what was there before stays, without the curves that were not finished."""
        self.show_error(error)
        if self.shown is not None:
            self._draw(self.shown)
        else:
            self.stage.curves.hide()
        self._tell("Not trained or not timed: see the message below.")

    def _open_test(self, comparison: Comparison) -> None:
        n_before, recipes = self.lab.n_test_openings, (comparison.alone, comparison.taught)
        alone, taught = ((self.lab.preview(one).evaluation, self.lab.open_test(one)) for one in recipes)
        self.desk.test_line.value = test_html(alone, taught, n_before)
        for recipe, (_, test) in zip(recipes, (alone, taught), strict=True):
            self._write("test_opened", recipe, opened_entry(recipe, test, self.lab))

    def _write(self, kind: Kind, recipe: Recipe, value: object) -> None:
        self.keep_in(self.journal, kind, recipe[-1].technique.name, value, chapter=self.chapter)
