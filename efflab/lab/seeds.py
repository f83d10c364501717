"""One recipe over several seeds: how far its score moves by chance alone.

Two trainings that differ in nothing but the order of the images, or in the first weights, end in different networks. A
difference between two recipes says something only beside that spread.

Reference: Bouthillier et al., Accounting for variance in machine learning benchmarks, 2021, arXiv 2103.03098.

Where we simplify: the base, the data and its splits are the same for all seeds, so the spread is that of the recipe's
random acts alone. At work: draw the splits anew as well, and take more seeds than five.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from efflab.lab.answers import Preview
from efflab.lab.networks import hold_the_same
from efflab.recipe import Recipe, check_recipe
from efflab.training import Progress

if TYPE_CHECKING:  # a lab makes the networks
    from efflab.lab.lab import Lab

MOST_SEED = 2**63
"""Seeds are below it: neither torch nor SQLite takes larger ones."""


@dataclass(frozen=True)
class SeedRun:
    """A recipe run with one seed, judged. is_same: its network holds the numbers of the first seed's.

    lab: has this seed, and knows the networks.
    """

    lab: "Lab"
    preview: Preview
    is_same: bool

    @property
    def seed(self) -> int:
        """The seed of the random acts."""
        return self.lab.seed

    @property
    def is_whole(self) -> bool:
        """Whether its trainings ran to their end: only such runs may be averaged."""
        return not self.preview.is_partial


@dataclass(frozen=True)
class Spread:
    """The scores of one recipe, one a seed, as fractions.

    is_same_everywhere: several seeds gave the same network, number for number, so chance has no part in the recipe.
    """

    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    is_same_everywhere: bool

    @property
    def mean(self) -> float:
        """The mean score."""
        return sum(self.scores) / len(self.scores)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean over seeds; None for one seed, of which nobody knows how far another lies."""
        return student_interval(self.scores) if len(self.scores) > 1 else None


def over_seeds(
    lab: "Lab", recipe: Recipe, seeds: Sequence[int], *, progress: Progress | None = None
) -> Iterator[SeedRun]:
    """Yield the recipe's run with each seed, on the base and the data of a lab.

    Stopped, the run whose training was cut short is yielded as far as it came, and none follows.

    Raises:
        ValueError: no seed, one twice, one below 0, or one too large; or a technique cannot act on this model.
        TypeError: a seed is no whole number, or `seeds` no list.
    """
    check_recipe(recipe)
    check_seeds(seeds)
    whole, first = progress or Progress(), None
    for i, seed in enumerate(seeds):
        if whole.is_stopped:
            return
        own = lab if seed == lab.seed else lab.with_seed(seed)
        network = _trained(own, recipe, whole.part(i, len(seeds)))
        first = network if first is None else first
        yield SeedRun(own, own.preview(recipe), hold_the_same(network, first))


def spread_of(runs: Sequence[SeedRun]) -> Spread:
    """What the runs that were trained to their end say together.

    Raises:
        ValueError: there is none, or they are of several recipes.
    """
    whole = [run for run in runs if run.is_whole]
    if not whole:
        raise ValueError("runs must hold one whose trainings ran to their end: there is no score yet")
    if len({run.preview.recipe for run in whole}) > 1:
        raise ValueError("runs must be of one recipe: scores of different recipes are not averaged")
    scores = tuple(run.preview.evaluation.value for run in whole)
    is_same = len(whole) > 1 and all(run.is_same for run in whole)
    return Spread(tuple(run.seed for run in whole), scores, is_same)


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of k values, one a seed: that of Student's t with k - 1 degrees of freedom.

    Example:
        >>> low, high = student_interval([0.90, 0.92, 0.94])
        >>> round(low, 3), round(high, 3)
        (0.87, 0.97)

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"an interval over seeds needs at least two values, not {len(values)}")
    from scipy.special import stdtrit  # only who trains several seeds waits for it

    n, mean = len(values), sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(stdtrit(n - 1, 0.975)) * deviation / math.sqrt(n)
    return mean - half, mean + half


def _trained(lab: "Lab", recipe: Recipe, progress: Progress) -> nn.Module:
    """The recipe's network; a training that somebody stopped earlier is run anew."""
    network = lab.build(recipe, progress=progress)
    if progress.is_stopped or not lab.is_partial(recipe):
        return network
    for n in range(1, len(recipe) + 1):
        lab.forget(recipe[:n])
    return lab.build(recipe, progress=progress)


def check_seeds(seeds: object) -> None:
    """Raise TypeError unless it lists whole numbers, ValueError unless they are different, from 0 on, and some."""
    if isinstance(seeds, str) or not isinstance(seeds, Sequence):
        raise TypeError(f"seeds must be a list of whole numbers, such as range(3), not {seeds!r}")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"seeds must be whole numbers, not {seed!r}")
    if not seeds or min(seeds) < 0 or max(seeds) >= MOST_SEED or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be different whole numbers from 0 on, at least one, not {list(seeds)}")
