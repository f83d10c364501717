"""All questions of one chapter, each found by its id."""

from collections.abc import Callable
from dataclasses import dataclass

from efflab.questions.checking import run_check
from efflab.questions.kinds import Check, Prediction, Quiz, Verdict, find


@dataclass(frozen=True, eq=False)
class Questions:
    """What one chapter asks."""

    chapter: str
    predictions: tuple[Prediction, ...] = ()
    quizzes: tuple[Quiz, ...] = ()
    checks: tuple[Check, ...] = ()

    def prediction(self, id: str) -> Prediction:
        """The prediction with this id; ValueError names the ones that exist."""
        return find(self.predictions, id, f"prediction of chapter {self.chapter}")

    def quiz(self, id: str) -> Quiz:
        """The quiz with this id; ValueError names the ones that exist."""
        return find(self.quizzes, id, f"quiz of chapter {self.chapter}")

    def check(self, id: str, function: Callable[..., object]) -> Verdict:
        """Run a learner's function on the cases of one check.

        Raises:
            ValueError: there is no such check. What the function does wrong is never raised, but told.
        """
        return run_check(find(self.checks, id, f"check of chapter {self.chapter}"), function)
