"""What two recipes have come to over some seeds, and what their networks are beside their teacher.

Averages are taken only over pairs of the same two recipes that were trained to their end: a pair of other settings, or
one that was stopped, would be another experiment.

Agreement asks what accuracy hides: two networks that are right equally often may be right about different images. A
student that copied its teacher gives its answers, the wrong ones too.

Reference: Stanton et al., Does knowledge distillation really work?, 2021, arXiv 2106.05945, which calls agreement with
the teacher fidelity, and finds less of it than expected.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from efflab.lab.answers import Report
from efflab.lab.side_by_side import ALONE, TAUGHT, Pair
from efflab.measure import Evaluation, Size, compute_size
from efflab.measure.speed import Timing
from efflab.recipe import Recipe

if TYPE_CHECKING:  # a lab makes the networks
    from efflab.lab.lab import Lab

TEACHER = "teacher"


@dataclass(frozen=True, eq=False)
class Comparison:
    """The pairs of two recipes, one a seed, in the order of their training.

    reports: of the student alone and of the one with its teacher, of the lab's own seed; where both run the same
    layers, only of the second. None while nothing is timed.
    """

    alone: Recipe
    taught: Recipe
    pairs: tuple[Pair, ...] = ()
    reports: tuple[Report, ...] | None = None

    @property
    def whole(self) -> tuple[Pair, ...]:
        """The pairs that were trained to their end: only these may be averaged."""
        return tuple(pair for pair in self.pairs if pair.is_whole)

    def of_seed(self, seed: int) -> Pair | None:
        """The pair of a seed, if there is one."""
        return next((pair for pair in self.pairs if pair.seed == seed), None)

    def with_pair(self, pair: Pair) -> "Comparison":
        """The same with one more pair, in place of an earlier one of its seed; what was timed of that one goes, too.

        Raises:
            ValueError: the pair is of other recipes.
        """
        if (pair.alone.recipe, pair.taught.recipe) != (self.alone, self.taught):
            raise ValueError(
                f"pair must be of {self.taught!r} and {self.alone!r}, as the others are, not of {pair.taught.recipe!r} "
                f"and {pair.alone.recipe!r}: differences of other settings are not averaged"
            )
        others = tuple(one for one in self.pairs if one.seed != pair.seed)
        is_timed = self.reports is not None and len(others) == len(self.pairs)
        return replace(self, pairs=(*others, pair), reports=self.reports if is_timed else None)

    def seeds_to_come(self, first: int, n: int) -> tuple[int, ...]:
        """The next `n` seeds from `first` on that were not trained to their end yet."""
        done = {pair.seed for pair in self.whole}
        free = (seed for seed in count(first) if seed not in done)
        return tuple(next(free) for _ in range(n))


@dataclass(frozen=True, eq=False)
class Agreement:
    """How often two networks answer the same, on the same `n` images; a fraction, with its 95 % interval.

    gained: (k,) int64, the positions of the images that the first gets wrong and the second right; lost: the reverse.
    changed: all whose answers differ, in the order of the split.
    """

    share: float
    low: float
    high: float
    n: int
    gained: Tensor
    lost: Tensor
    changed: Tensor


def agreement(one: Evaluation, other: Evaluation) -> Agreement:
    """How often two networks give the same answer, and which images the second gains and loses.

    Raises:
        ValueError: they were judged on another number of images.
    """
    if one.n != other.n:
        raise ValueError(f"both networks must be judged on the same images, not on {one.n} and on {other.n}")
    is_same = one.answers == other.answers
    low, high = one.task.interval(is_same.float())
    gained, lost, changed = (
        found.nonzero().flatten() for found in (other.scores > one.scores, other.scores < one.scores, ~is_same)
    )
    return Agreement(int(is_same.sum()) / one.n, low, high, one.n, gained, lost, changed)


@dataclass(frozen=True, eq=False)
class Row:
    """One of the three networks: its score, its computed size and its measured time; None where it is not known yet.

    is_partial: its training was stopped early. is_time_of_both: the time is that of both students.
    """

    name: str
    evaluation: Evaluation | None = None
    size: Size | None = None
    time: Timing | None = None
    is_partial: bool = False
    is_time_of_both: bool = False


def three_rows(lab: "Lab", comparison: Comparison | None) -> tuple[Row, Row, Row]:
    """Teacher, student alone, student with teacher; the students are those of the lab's own seed.

    Students are timed in turns with the base of the lab. If that is the teacher, its time is that beside the taught
    one; otherwise the teacher is not timed.
    """
    pair = comparison.of_seed(lab.seed) if comparison else None
    reports = comparison.reports if comparison else None
    is_base = lab.teacher is lab.build(())
    size, time = (lab.base_size, reports[-1].speed.base if reports else None) if is_base else (None, None)
    teacher = Row(TEACHER, lab.teaching, size or compute_size(lab.teacher), time)
    if pair is None or pair.difference is None:
        return teacher, Row(ALONE), Row(TAUGHT)
    times = [reports[0].speed.now, reports[-1].speed.now] if reports else [None, None]
    is_one = reports is not None and len(reports) == 1
    alone, taught = (
        Row(arm.name, arm.evaluation, lab.preview(arm.recipe).size, time_of_it, arm.is_partial, is_one)
        for arm, time_of_it in zip((pair.alone, pair.taught), times, strict=True)
    )
    return teacher, alone, taught


def _layers(model: nn.Module) -> tuple[str, dict[str, torch.Size]]:
    """What a network runs, whatever its weights are."""
    return repr(model), {name: tensor.shape for name, tensor in model.state_dict().items()}


def measure_students(
    lab: "Lab", comparison: Comparison, *, stale: Callable[[], bool] | None = None
) -> Iterator[Report | None]:
    """Yield the report of the student alone and that of the one with its teacher, at batch 1; None when `stale`.

    Students of the same layers run the same kernels, and what two measurements of them differ by is noise: then only
    the one with its teacher is measured.

    Raises:
        ExportError, SpeedError, ValueError: as `Lab.measure`.
    """
    alone, taught = comparison.alone, comparison.taught
    for recipe in (taught,) if _layers(lab.build(alone)) == _layers(lab.build(taught)) else (alone, taught):
        yield lab.measure(recipe, stale=stale)
