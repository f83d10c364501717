"""A budget of packed bytes and score: how few bytes a network must need, and how much it may lose."""

from dataclasses import dataclass

from efflab.budget.parts import is_lost_at_most, verdict
from efflab.lab import Lab, Preview
from efflab.questions import Verdict
from efflab.recipe import Recipe
from efflab.training import Progress


@dataclass(frozen=True)
class PackedBudget:
    """At most `n_bytes` packed, computed with scales and biases, and at most `lost` of the base's score, a fraction.

    Raises:
        ValueError: a limit that nothing could meet or miss.
    """

    n_bytes: int
    lost: float

    def __post_init__(self) -> None:
        if self.n_bytes < 1 or not 0 <= self.lost <= 1:
            raise ValueError(f"n_bytes must be 1 or more and lost a fraction from 0 to 1, not {self}")

    def judge(self, preview: Preview) -> Verdict:
        """Whether a complete preview meets both parts, said with its numbers."""
        n = preview.size.packed_bytes
        text = f"{n:,} bytes packed, computed (at most {self.n_bytes:,} allowed)"
        return verdict({text: n <= self.n_bytes} | is_lost_at_most(self.lost, preview))

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Run a recipe and judge what it makes.

        Raises:
            ValueError: as `Lab.preview`.
        """
        lab.build(recipe, progress=progress)
        return self.judge(lab.preview(recipe))
