"""A budget of a written file and score: how many times smaller it must be, and how much it may lose."""

from dataclasses import dataclass

from efflab.budget.parts import is_lost_at_most, verdict
from efflab.costs.texts import three
from efflab.lab import Lab
from efflab.lab.encoding import EncodedNetwork
from efflab.questions import Verdict
from efflab.recipe import Recipe
from efflab.training import Progress


@dataclass(frozen=True)
class EncodedBudget:
    """A file of Deep Compression at least `times_smaller` than the base's floats, and at most `lost` of its score.

    The file is written, weighed and read back; the score is that of the network that was read. `lost` is a fraction.

    Raises:
        ValueError: a limit that nothing could meet or miss.
    """

    times_smaller: float
    lost: float

    def __post_init__(self) -> None:
        if not self.times_smaller > 0 or not 0 <= self.lost <= 1:
            raise ValueError(f"times_smaller must be above 0 and lost a fraction from 0 to 1, not {self}")

    def judge(self, encoded: EncodedNetwork) -> Verdict:
        """Whether a file meets both parts, said with its numbers."""
        text = (
            f"{encoded.n_bytes:,} bytes in the file, measured, {encoded.times_smaller:.1f} times smaller than "
            f"{encoded.base_bytes:,} (at least {three(self.times_smaller)} asked)"
        )
        if not encoded.layers:
            text += "; no layer shares values, and only those that do are written in codes"
        return verdict({text: encoded.times_smaller >= self.times_smaller} | is_lost_at_most(self.lost, encoded))

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Run a recipe, write what it makes to a file, and judge that.

        Raises:
            CheckpointError: the network cannot be written, as `Lab.encode`.
            ValueError: as `Lab.build`.
        """
        lab.build(recipe, progress=progress)
        return self.judge(lab.encode(recipe))
