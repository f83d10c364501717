"""A budget of weights and score: how small a network must become, and how much it may lose."""

from dataclasses import dataclass

from efflab.budget.parts import is_lost_at_most, verdict
from efflab.lab import Lab, Preview
from efflab.questions import Verdict
from efflab.recipe import Recipe
from efflab.training import Progress


@dataclass(frozen=True)
class Budget:
    """At most the fraction `kept` of the base's weights, and at most `lost` of its score, both fractions.

    Raises:
        ValueError: one of them is not between 0 and 1.
    """

    kept: float
    lost: float

    def __post_init__(self) -> None:
        if not (0 <= self.kept <= 1 and 0 <= self.lost <= 1):
            raise ValueError(f"kept and lost must be fractions from 0 to 1, not kept={self.kept}, lost={self.lost}")

    def judge(self, preview: Preview) -> Verdict:
        """Whether a complete preview meets both parts, said with its numbers.

        The score is the measured one, not the end of its interval: the sentence gives the interval of the loss.
        """
        kept = preview.size.n_kept / preview.base_size.n_kept
        text = f"{kept * 100:.1f} % of the weights are left (at most {self.kept * 100:.1f} % allowed)"
        return verdict({text: kept <= self.kept} | is_lost_at_most(self.lost, preview))

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Run a recipe and judge what it makes.

        Raises:
            ValueError: as `Lab.preview`.
        """
        lab.build(recipe, progress=progress)
        return self.judge(lab.preview(recipe))
