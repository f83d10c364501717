"""A budget of what is shipped: the bytes of a file and a speed, both measured, and how much may be lost."""

from dataclasses import dataclass

from efflab.budget.parts import is_faster, is_lost_at_most, verdict
from efflab.lab import Lab, Preview
from efflab.lab.states import NoState, State
from efflab.questions import Verdict
from efflab.recipe import Recipe
from efflab.training import Progress

SHIPPED = ("removed", "ONNX Runtime")
"""The state that is shipped, and what runs it."""


@dataclass(frozen=True)
class ShippedBudget:
    """The ONNX file of the network after its neurons were removed: bytes, speed at batch 1, and the score it loses.

    n_bytes: at most so many. times_faster: at least, beside the base. lost: at most, a fraction of the score.

    Raises:
        ValueError: a limit that nothing could meet or miss.
    """

    n_bytes: int
    times_faster: float
    lost: float

    def __post_init__(self) -> None:
        if self.n_bytes < 1 or self.times_faster <= 0 or not 0 <= self.lost <= 1:
            raise ValueError(
                f"n_bytes and times_faster must be more than 0 and lost a fraction from 0 to 1, not {self}"
            )

    def judge(self, preview: Preview, state: State) -> Verdict:
        """Whether a network meets all parts, said with its numbers; within the noise it is not faster."""
        is_small = {f"the file has {state.n_bytes:,} bytes (at most {self.n_bytes:,})": state.n_bytes <= self.n_bytes}
        return verdict(is_small | is_faster(self.times_faster, state.speed) | is_lost_at_most(self.lost, preview))

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Run a recipe, ship what it makes, and judge that.

        Raises:
            ValueError: its neurons cannot be removed, or as `Lab.states`.
            SpeedError: it could not be timed.
        """
        lab.build(recipe, progress=progress)
        (state,) = lab.states(recipe, rows=(SHIPPED,))
        if isinstance(state, NoState):
            raise ValueError(f"this network cannot be shipped so: {state.reason}")
        return self.judge(lab.preview(recipe), state)
