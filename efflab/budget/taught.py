"""A budget of bytes and of what a teacher adds: how small a student must be, and how much better than alone."""

from dataclasses import dataclass

from efflab.budget.parts import verdict
from efflab.costs.texts import three
from efflab.lab import Lab, Preview
from efflab.lab.side_by_side import Pair, side_by_side, without_teacher
from efflab.lab.side_by_side import verdict as verdict_of
from efflab.questions import Verdict
from efflab.recipe import Recipe
from efflab.training import Progress


@dataclass(frozen=True)
class TaughtBudget:
    """A student of at most `n_bytes` packed that is better by at least `gained`, a fraction, than the same one alone.

    The student alone is the same recipe, with plain training of as many epochs in place of each step that learns from
    the teacher. Both are trained with `n_seeds` seeds; what counts is the mean of the differences.

    Raises:
        ValueError: a limit that nothing could meet or miss.
    """

    n_bytes: int
    gained: float
    n_seeds: int = 3

    def __post_init__(self) -> None:
        if self.n_bytes < 1 or not 0 < self.gained <= 1 or self.n_seeds < 1:
            raise ValueError(f"n_bytes and n_seeds must be 1 or more and gained a fraction above 0, not {self}")

    def judge(self, preview: Preview, pairs: list[Pair]) -> Verdict:
        """Whether a preview of the student, and its trainings beside those alone, meet both parts."""
        n = preview.size.packed_bytes
        size = f"{n:,} bytes packed, computed (at most {self.n_bytes:,} allowed)"
        return verdict({size: n <= self.n_bytes} | self._gained(pairs))

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Train a recipe and the same without a teacher, with each seed, and judge what comes out.

        Raises:
            ValueError: as `Lab.build`; no step of the recipe learns from a teacher; it was stopped early.
        """
        whole, alone = progress or Progress(), without_teacher(recipe)
        pairs: list[Pair] = []
        for i in range(self.n_seeds):
            part = whole.part(i, self.n_seeds)
            for pair in side_by_side(lab, alone, recipe, seed=lab.seed + i, progress=part):
                if part.on_batch:
                    part.on_batch(pair.done)
            if whole.is_stopped:
                raise ValueError(f"stopped after {len(pairs)} of {self.n_seeds} seeds: a mean of them all is needed")
            pairs.append(pair)
        return self.judge(lab.preview(recipe), pairs)

    def _gained(self, pairs: list[Pair]) -> dict[str, bool]:
        found, task = verdict_of(pairs), pairs[0].taught.evaluation.task  # type: ignore[union-attr]  # they are over
        sign = 1 if task.higher_is_better else -1
        unit = "points" if task.unit == "%" else task.unit
        mean, low, high, asked = (
            sign * one * task.per_unit for one in (found.value, found.low, found.high, self.gained)
        )
        each = ", ".join(f"{sign * pair.difference.value * task.per_unit:+.1f}" for pair in pairs if pair.difference)
        text = (
            f"the teacher adds {mean:.2f} {unit} of {task.score_name} on average ({each}), 95 % interval of the seeds "
            f"{min(low, high):.1f} to {max(low, high):.1f} (at least {three(abs(asked))} asked)"
        )
        return {text: sign * found.value >= self.gained}
