"""A budget of time: how many times faster a network must become, measured here, and how much it may lose.

Beside `ShippedBudget`, which asks for a small file at batch 1 as well, this one takes any recipe whose network can be
exported, and any batch: smaller layers pay at a large one, where the call of the network is shared.
"""

from dataclasses import dataclass

from efflab.budget.parts import check_batch, is_faster, is_lost_at_most, measured, verdict
from efflab.lab import Lab, Report
from efflab.questions import Verdict
from efflab.recipe import Recipe
from efflab.training import Progress


@dataclass(frozen=True)
class FasterBudget:
    """At least `times_faster` than the base in ONNX Runtime, on this machine, and at most `lost` of its score.

    times_faster: 1.8 means 1.8 times as many images a second. lost: a fraction of the score. batch: images in a run.

    Raises:
        ValueError: a limit that nothing could meet or miss, or a batch that is no count.
    """

    times_faster: float
    lost: float
    batch: int = 64

    def __post_init__(self) -> None:
        if not self.times_faster > 0 or not 0 <= self.lost <= 1 or self.batch < 1:
            raise ValueError(
                f"times_faster must be more than 0, lost a fraction from 0 to 1 and batch at least 1, not {self}"
            )

    def judge(self, report: Report) -> Verdict:
        """Whether a network meets both parts, said with its numbers; within the noise it is not faster.

        The speed is the measured one, not the end of its interval: the sentence gives the interval.

        Raises:
            ValueError: the report was timed at another batch.
        """
        check_batch(report, self.batch)
        return verdict(is_faster(self.times_faster, report.speed) | is_lost_at_most(self.lost, report.preview))

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Run a recipe, time what it makes beside the base, and judge that.

        Raises:
            ValueError, ExportError, SpeedError: as `measured`.
        """
        return self.judge(measured(lab, recipe, self.batch, progress))
