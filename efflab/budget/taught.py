"""A budget of bytes and of what a teacher adds: how small a student must be, and how much better than alone."""

from dataclasses import dataclass

from efflab.budget.parts import StoppedError, verdict
from efflab.costs.texts import three
from efflab.data import Classification
from efflab.lab import Lab, Preview
from efflab.lab.side_by_side import verdict_of, without_teacher
from efflab.measure import Difference, compare
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

    def judge(self, preview: Preview, differences: list[Difference]) -> Verdict:
        """Whether a preview of the student, and what it has before the one alone, seed by seed, meet both parts."""
        n = preview.size.packed_bytes
        size = f"{n:,} bytes packed, computed (at most {self.n_bytes:,} allowed)"
        return verdict({size: n <= self.n_bytes} | self._gained(preview.evaluation.task, differences))

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Run a recipe and the same without a teacher, with each seed, and judge what comes out.

        Raises:
            ValueError: as `Lab.build`; or no step of the recipe learns from a teacher.
            StoppedError: a training was stopped early.
        """
        whole, both = progress or Progress(), (without_teacher(recipe), recipe)
        differences: list[Difference] = []
        for i in range(self.n_seeds):
            own = lab if i == 0 else lab.with_seed(lab.seed + i)
            for j, one in enumerate(both):
                own.forget_stopped(one)  # another panel may have stopped it
                own.build(one, progress=whole.part(len(both) * i + j, len(both) * self.n_seeds))
                if own.is_partial(one):
                    own.forget_stopped(one)
                    raise StoppedError(f"stopped after {i} of {self.n_seeds} seeds: a mean of them all is needed")
            alone, taught = (own.preview(one).evaluation for one in both)
            differences.append(compare(alone, taught))
        return self.judge(lab.preview(recipe), differences)

    def _gained(self, task: Classification, differences: list[Difference]) -> dict[str, bool]:
        found = verdict_of(differences)
        sign = 1 if task.higher_is_better else -1
        unit = "points" if task.unit == "%" else task.unit
        mean, low, high, asked = (
            sign * one * task.per_unit for one in (found.value, found.low, found.high, self.gained)
        )
        each = ", ".join(f"{sign * one.value * task.per_unit:+.1f}" for one in differences)
        chance = "seeds" if found.n_seeds > 1 else "images, one seed"
        text = (
            f"the teacher adds {mean:.2f} {unit} of {task.score_name} on average ({each}), 95 % interval "
            f"of the {chance} {min(low, high):.1f} to {max(low, high):.1f} (at least {three(abs(asked))} asked)"
        )
        if sign * found.value >= self.gained and min(low, high) <= 0:
            text += "; the mean counts, but with so few seeds the interval includes 0: it may be chance"
        return {text: sign * found.value >= self.gained}
