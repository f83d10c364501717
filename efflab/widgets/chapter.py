"""A chapter's questions, its journal and its benches, for the cells of a notebook."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from IPython.display import Code
from torch import nn

from efflab import questions
from efflab.budget import RecipeBudget, Serving, ServingBudget
from efflab.costs import published_trainings, training_cost
from efflab.journal import Journal, JournalError
from efflab.knobs import Value, defaults_of
from efflab.lab import Lab
from efflab.questions import Verdict
from efflab.recipe import AnyTechnique, Recipe
from efflab.widgets.asking import Answer, Checked, Gate
from efflab.widgets.bench import Bench
from efflab.widgets.break_even import BreakEvenExplorer
from efflab.widgets.calculator import Calculator
from efflab.widgets.diagnosis import DiagnosisView
from efflab.widgets.encoded import EncodedView
from efflab.widgets.hand_in import HandIn
from efflab.widgets.judging import Judging
from efflab.widgets.kernels import Kernels
from efflab.widgets.live_figure import preload
from efflab.widgets.loss_lab import LossLab
from efflab.widgets.machine import MachineCard
from efflab.widgets.missing import Missing
from efflab.widgets.paper_tables import Yours, styled_paper
from efflab.widgets.quiz import QuizView
from efflab.widgets.recipe_bench import RecipeBench
from efflab.widgets.representations import Representations
from efflab.widgets.scoreboard import Scoreboard
from efflab.widgets.side_by_side import SideBySide
from efflab.widgets.softened import Softened
from efflab.widgets.states import FourStates
from efflab.widgets.teaching import AnyPanel, OpenGate, OpenQuiz, is_teacher, prepare
from efflab.widgets.trainings import styled_trainings

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler


class Chapter:
    """What a notebook asks and keeps: predictions, quizzes, checks, budgets and benches of one chapter.

    Example:
        chapter = Chapter("03")
        chapter.bench(Lab.open("cnn-scattered"), prune_weights, controls=("sparsity",))

    teacher: nothing is asked, answers are shown on a button, and curves are drawn whole; see `widgets/teaching.py`. By
        default as EFFLAB_TEACHER says.

    Raises:
        QuestionsError: the chapter has no questions file, or a faulty one.
    """

    def __init__(self, chapter: str, *, journal: Journal | None = None, teacher: bool | None = None) -> None:
        self.chapter, self.teacher = chapter, is_teacher() if teacher is None else teacher
        self.questions = questions.load(chapter)
        self.journal = journal or Journal()
        preload()  # while the first lab opens

    def predict(self, id: str) -> Gate:
        """The prediction gate for a question."""
        kind = OpenGate if self.teacher else Gate
        return kind(self.questions.prediction(id), self.journal, chapter=self.chapter)

    def quiz(self, id: str) -> QuizView:
        """The quiz widget for a question."""
        kind = OpenQuiz if self.teacher else QuizView
        return kind(self.questions.quiz(id), self.journal, chapter=self.chapter)

    def bench(
        self, lab: Lab, technique: AnyTechnique | None = None, *, prediction: str | None = None, **options: Any
    ) -> Bench:
        """A bench whose runs go into this chapter's journal. `prediction` is asked for first; options: as for `Bench`.

        Raises:
            TypeError: `Bench` has no such option.
        """
        gate = self._gate(prediction)
        return self._shown(Bench(lab, technique, gate=gate, journal=self.journal, chapter=self.chapter, **options), lab)

    def recipe_bench(
        self, lab: Lab, recipe: Recipe = (), *, prediction: str | None = None, at: Recipe = ()
    ) -> RecipeBench:
        """Recipes step by step, whose runs go into this chapter's journal. recipe: the steps to begin with.

        `prediction` is asked for first, and the score of the recipe `at` answers it.

        Raises:
            TypeError: `recipe` or `at` is no recipe.
        """
        gate = self._gate(prediction)
        return self._shown(RecipeBench(lab, recipe, gate=gate, at=at, journal=self.journal, chapter=self.chapter), lab)

    def scoreboard(self) -> Scoreboard:
        """The runs of all chapters in this journal.

        Raises:
            JournalError: the journal cannot be read.
        """
        return Scoreboard(self.journal, chapter=self.chapter)

    def states(self, lab: Lab, *, prediction: str | None = None, **options: Any) -> FourStates:
        """One pruned network in four states. `prediction` is asked for first; options: as for `FourStates`.

        Raises:
            TypeError: `FourStates` has no such option.
        """
        return self._shown(FourStates(lab, gate=self._gate(prediction), **options), lab)

    def kernels(self, lab: Lab, *, prediction: str | None = None, **options: Any) -> Kernels:
        """One network in floats and in integers. `prediction` is asked for first; options: as for `Kernels`.

        Raises:
            TypeError: `Kernels` has no such option.
        """
        return self._shown(Kernels(lab, gate=self._gate(prediction), **options), lab)

    def encoded(self, lab: Lab, recipe: Recipe, *, prediction: str | None = None, **options: Any) -> EncodedView:
        """The file of Deep Compression, by layer and part. `prediction` is asked for first; options: `EncodedView`.

        Raises:
            TypeError: `EncodedView` has no such option.
        """
        return self._shown(EncodedView(lab, recipe, gate=self._gate(prediction), **options), lab)

    def side_by_side(self, lab: Lab, *, prediction: str | None = None, **options: Any) -> SideBySide:
        """A student alone and with its teacher, the lab's base. `prediction` is asked for first; options: `SideBySide`.

        Raises:
            TypeError: `SideBySide` has no such option.
        """
        gate = self._gate(prediction)
        return self._shown(SideBySide(lab, gate=gate, journal=self.journal, chapter=self.chapter, **options), lab)

    def softened(self, lab: Lab, *, prediction: str | None = None, **options: Any) -> Softened:
        """What the teacher of a lab answers, softened. `prediction` is asked for first; options: as for `Softened`.

        Raises:
            TypeError: `Softened` has no such option.
        """
        return self._shown(Softened(lab, gate=self._gate(prediction), **options), lab)

    def loss_lab(self, lab: Lab, student: Recipe, *, prediction: str | None = None, **options: Any) -> LossLab:
        """The distillation loss of a student, taken apart. `prediction` is asked for first; options: `LossLab`.

        Raises:
            TypeError: `LossLab` has no such option.
        """
        return self._shown(LossLab(lab, student, gate=self._gate(prediction), **options), lab)

    def missing(self, lab: Lab, *, prediction: str | None = None, **options: Any) -> Missing:
        """Two students that never saw one class. `prediction` is asked for first; options: as for `Missing`.

        Raises:
            TypeError: `Missing` has no such option.
        """
        return self._shown(Missing(lab, gate=self._gate(prediction), **options), lab)

    def representations(
        self, lab: Lab, student: Recipe | Mapping[str, Recipe], *, prediction: str | None = None, **options: Any
    ) -> Representations:
        """Layers of teacher and student. `prediction` is asked for first; options: as for `Representations`.

        Raises:
            TypeError: `Representations` has no such option.
        """
        return self._shown(Representations(lab, student, gate=self._gate(prediction), **options), lab)

    def diagnosis(
        self,
        model: nn.Module,
        base: nn.Module,
        *,
        shape: tuple[int, int, int],
        prediction: str | None = None,
        **options: Any,
    ) -> DiagnosisView:
        """Where the time of a network goes, beside another. `prediction` is asked for first; options: `DiagnosisView`.

        Raises:
            TypeError: `DiagnosisView` has no such option.
        """
        gate = self._gate(prediction)
        return self._shown(DiagnosisView(model, base, shape=shape, gate=gate, **options))

    def break_even(self, *, prediction: str | None = None, **options: Any) -> BreakEvenExplorer:
        """Sparse against dense on this machine. `prediction` is asked for first; options: as for `BreakEvenExplorer`.

        Raises:
            TypeError: `BreakEvenExplorer` has no such option.
        """
        return self._shown(BreakEvenExplorer(gate=self._gate(prediction), **options))

    def calculator(
        self,
        calculator: Calculator,
        *,
        prediction: str,
        at: Mapping[str, Value],
        answer: Callable[[Any], Answer | None],
    ) -> Calculator:
        """A calculator behind a prediction; `answer` takes its result once the settings are those of `at`.

        Raises:
            ValueError, TypeError: `at` names no control of the calculator, or no value for it.
        """
        calculator.ask(self.predict(prediction), at, answer)
        return self._shown(calculator)

    def check(self, id: str, function: Callable[..., object]) -> Checked:
        """Run the learner's function on the cases of an exercise."""
        return self._checked(id, self.questions.check(id, function), None)

    def judge(self, lab: Lab, recipe: Recipe, budget: RecipeBudget) -> Judging:
        """Run a recipe, training included, and say whether it meets a budget, measured here on validation data."""
        return Judging(lab, recipe, budget, self._checked)

    def hand_in(self, id: str, lab: Lab, budget: RecipeBudget) -> HandIn:
        """Runs of the journal for a budget: the one that is handed in runs again from the start, and is judged."""

        def keep(verdict: Verdict, recipe: str) -> Checked:
            return self._checked(id, verdict, recipe)

        return HandIn(id, lab, budget, self.journal, keep, chapter=self.chapter)

    def judge_serving(self, serving: Serving, budget: ServingBudget) -> Checked:
        """Say whether a language model, served like this, meets a budget; all of it is computed.

        Raises:
            ValueError, TypeError: there is no such model, or a number is out of its range.
        """
        return self._checked("budget", budget.judge(serving), json.dumps(asdict(serving)))

    def machine(self) -> MachineCard:
        """The machine on which this chapter's numbers are measured."""
        return MachineCard()

    def source(self, function: Callable[..., object] | AnyTechnique) -> Code:
        """The source of a function of the package, as it runs."""
        return Code(inspect.getsource(inspect.unwrap(function)), language="python")  # type: ignore[no-untyped-call]  # IPython's

    def paper(self, name: str, yours: Yours | None = None) -> "Styler":
        """A paper's published table, and in the same columns what was measured here; `kind` says cited or measured.

        While there is nothing of yours to show, a line above the table says so.

        Written for reading, with thousands apart; the numbers themselves are in its attribute `data`.

        Args:
            name: of the table, as in `data/papers`.
            yours: a bench for a table of pruned networks, an explorer for one of sparse products, a written file for
                one of files, two trainings for one of students, a recipe bench for one of files that are shipped.

        Raises:
            FileNotFoundError: there is no table of this name.
        """
        return styled_paper(name, yours)

    def trainings(self, calculator: Calculator | None = None) -> "Styler":
        """Published trainings, cited, beside the formulas with the assumptions of a training calculator."""
        settings = calculator.settings if calculator else defaults_of(training_cost)
        own = {name: settings[name] for name in ("utilisation", "pue", "grams_per_kwh")}
        table = published_trainings(**own)  # type: ignore[arg-type]  # the knobs of the call check them
        return styled_trainings(table, own)

    def _gate(self, prediction: str | None) -> Gate | None:
        return self.predict(prediction) if prediction else None

    def _shown(self, panel: AnyPanel, lab: Lab | None = None) -> AnyPanel:
        return prepare(panel, lab) if self.teacher else panel

    def _checked(self, id: str, verdict: Verdict, recipe: str | None) -> Checked:
        """Write a verdict down; a journal that cannot be written becomes a note beside it."""
        value: dict[str, object] = {"passed": verdict.passed, "n_passed": verdict.n_passed, "n_cases": verdict.n_cases}
        if recipe is not None:
            value["recipe"] = recipe
        try:
            self.journal.record("check", id, value, chapter=self.chapter)
        except JournalError as error:
            return Checked(verdict, str(error))
        return Checked(verdict)
