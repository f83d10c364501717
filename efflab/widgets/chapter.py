"""A chapter's questions, its journal and its benches, for the cells of a notebook."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.display import Code

from efflab import papers, questions
from efflab.budget import Budget
from efflab.journal import Journal, JournalError
from efflab.lab import Lab
from efflab.questions import Verdict
from efflab.recipe import AnyTechnique, Recipe
from efflab.widgets.asking import Checked, Gate, QuizView
from efflab.widgets.bench import Bench
from efflab.widgets.break_even import BreakEvenExplorer
from efflab.widgets.judging import Judging
from efflab.widgets.live_figure import preload
from efflab.widgets.machine import MachineCard

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler


class Chapter:
    """What a notebook asks and keeps: predictions, quizzes, checks, budgets and benches of one chapter.

    Example:
        chapter = Chapter("03")
        chapter.bench(Lab.open("cnn-scattered"), prune_weights, controls=("sparsity",))

    Raises:
        QuestionsError: the chapter has no questions file, or a faulty one.
    """

    def __init__(self, chapter: str, *, journal: Journal | None = None) -> None:
        self.chapter = chapter
        self.questions = questions.load(chapter)
        self.journal = journal or Journal()
        preload()  # while the first lab opens

    def predict(self, id: str) -> Gate:
        """The prediction gate for a question."""
        return Gate(self.questions.prediction(id), self.journal, chapter=self.chapter)

    def quiz(self, id: str) -> QuizView:
        """The quiz widget for a question."""
        return QuizView(self.questions.quiz(id), self.journal, chapter=self.chapter)

    def bench(
        self, lab: Lab, technique: AnyTechnique | None = None, *, prediction: str | None = None, **options: Any
    ) -> Bench:
        """A bench whose runs go into this chapter's journal. `prediction` is asked for first; options: as for `Bench`.

        Raises:
            TypeError: `Bench` has no such option.
        """
        gate = self.predict(prediction) if prediction else None
        return Bench(lab, technique, gate=gate, journal=self.journal, chapter=self.chapter, **options)

    def break_even(self, *, prediction: str | None = None, **options: Any) -> BreakEvenExplorer:
        """Sparse against dense on this machine. `prediction` is asked for first; options: as for `BreakEvenExplorer`.

        Raises:
            TypeError: `BreakEvenExplorer` has no such option.
        """
        return BreakEvenExplorer(gate=self.predict(prediction) if prediction else None, **options)

    def check(self, id: str, function: Callable[..., object]) -> Checked:
        """Run the learner's function on the cases of an exercise."""
        return self._checked(id, self.questions.check(id, function), None)

    def judge(self, lab: Lab, recipe: Recipe, budget: Budget) -> Judging:
        """Run a recipe, training included, and say whether it meets a budget on validation data."""
        return Judging(lab, recipe, budget, self._checked)

    def machine(self) -> MachineCard:
        """The machine on which this chapter's numbers are measured."""
        return MachineCard()

    def source(self, function: Callable[..., object] | AnyTechnique) -> Code:
        """The source of a function of the package, as it runs."""
        return Code(inspect.getsource(inspect.unwrap(function)), language="python")  # type: ignore[no-untyped-call]  # IPython's

    def paper(self, name: str, bench: Bench | None = None) -> "Styler":
        """A paper's published table, and in the same columns what a bench shows; `kind` says cited or measured.

        Written for reading, with thousands apart; the numbers themselves are in its attribute `data`.

        Raises:
            FileNotFoundError: there is no table of this name.
        """
        table = papers.table(name).assign(kind="cited")
        if bench is not None and bench.preview is not None and bench.preview.recipe:
            table = papers.beside(table, bench.preview, bench.lab)
        return table.style.format(precision=2, thousands=",").format_index(_heading, axis="columns").hide(axis="index")

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


def _heading(column: object) -> str:
    """The name of a column as a heading: `pruned_error_percent` -> "pruned error (%)"."""
    return str(column).replace("_percent", " (%)").replace("_", " ")
