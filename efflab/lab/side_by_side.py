"""Two networks trained side by side: the student alone and the student with its teacher.

Whether a teacher helps is a difference between two trainings, and a fair one has everything else in common: the first
weights, the order of the images, the epochs, the learning rate. So both arms get the same seed, and are trained in
turns: the one that is behind takes the next batch, so that both curves grow together, also while a teacher is asked for
its answers. One seed says little, for trainings differ by chance; several seeds give an interval that includes that
chance.

Reference: for why seeds matter more than is usual to report: Bouthillier et al., Accounting for variance in machine
learning benchmarks, 2021, arXiv 2103.03098.

Where we simplify: the best epoch of each arm is chosen on the validation images that then judge it; both gain alike.
At work: more seeds than three, and test data that is opened once.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from efflab.distill import distill_predictions
from efflab.lab.seeds import student_interval
from efflab.measure import Difference, Evaluation, compare
from efflab.prune import fine_tune
from efflab.quantize import (
    correct_biases,
    learn_rounding,
    quantize_activations,
    quantize_weights,
    share_weights,
    train_quantized,
)
from efflab.recipe import Recipe, Step, check_recipe, step
from efflab.training import Epoch, Progress
from efflab.training.turns import in_turns

if TYPE_CHECKING:  # a lab makes the networks
    from efflab.lab.lab import Lab

ALONE, TAUGHT = "alone", "with teacher"
CODING = (quantize_weights, quantize_activations, learn_rounding, correct_biases, train_quantized, share_weights)
"""What leaves weights or activations in a code."""
HELPS, SAME, HURTS = "helps", "makes no measurable difference", "hurts"
"""The verdicts."""
ENOUGH_SEEDS = 3
"""Fewer are no verdict: of one seed nobody knows how far another lies, and of two hardly."""


@dataclass(frozen=True, eq=False)
class Arm:
    """One of the two trainings as far as it has come.

    records: the first, number 0, is the network before the training, whose loss is not known (NaN). evaluation: of what
    is kept of the training, on validation data, once it is over.
    """

    name: str
    recipe: Recipe
    records: tuple[Epoch, ...] = ()
    evaluation: Evaluation | None = None
    is_partial: bool = False


@dataclass(frozen=True, eq=False)
class Pair:
    """Both arms of one seed, and how much of their training is done, 0 to 1."""

    seed: int
    alone: Arm
    taught: Arm
    done: float = 0.0

    @property
    def difference(self) -> Difference | None:
        """What the teacher adds, on the same images; None until both are over."""
        if self.alone.evaluation is None or self.taught.evaluation is None:
            return None
        return compare(self.alone.evaluation, self.taught.evaluation)

    @property
    def is_partial(self) -> bool:
        """Whether a training was stopped early."""
        return self.alone.is_partial or self.taught.is_partial

    @property
    def is_whole(self) -> bool:
        """Whether both were trained to their end: only such pairs may be averaged."""
        return self.difference is not None and not self.is_partial


@dataclass(frozen=True)
class Verdict:
    """What the teacher adds over some seeds: the mean difference with its 95 % interval, fractions.

    Of one seed the interval is that of the images, and no verdict; of several it is that of the seeds, which includes
    the images'. From `ENOUGH_SEEDS` on it `is_enough` to say of a teacher that it helps or hurts.
    """

    value: float
    low: float
    high: float
    n_seeds: int

    @property
    def is_enough(self) -> bool:
        """Whether the seeds are enough for a verdict."""
        return self.n_seeds >= ENOUGH_SEEDS

    @property
    def word(self) -> str:
        """What it says of the teacher: one of the three verdicts; no difference while the interval includes zero."""
        if self.low > 0:
            return HELPS
        return HURTS if self.high < 0 else SAME


def side_by_side(
    lab: "Lab", alone: Recipe, taught: Recipe, *, seed: int | None = None, progress: Progress | None = None
) -> Generator[Pair, None, None]:
    """Train two recipes on the base of a lab in turns; yield the pair after each batch of either, and at the end.

    alone, taught: recipes whose last step trains. seed: that of the lab if not given. Stopped, each keeps the best of
    what it has so far.

    Raises:
        ValueError: a technique cannot act on this model, or a loss became NaN; the last step of a recipe does not
        train.
    """
    for recipe in (alone, taught):
        check_recipe(recipe)
        if not recipe or not recipe[-1].technique.is_slow:
            raise ValueError(f"both recipes must end in a step that trains, such as fine_tune, not {recipe!r}")
    whole = progress or Progress()
    own = lab if seed is None or seed == lab.seed else lab.with_seed(seed)
    arms = [_Training(own, name, recipe, whole) for name, recipe in ((ALONE, alone), (TAUGHT, taught))]
    try:
        for one in arms:
            one.begin()
        while at_work := [one for one in arms if not one.is_over]:
            yield Pair(own.seed, arms[0].arm, arms[1].arm, sum(one.done for one in arms) / len(arms))
            min(at_work, key=lambda one: one.done).take_turn()
        yield Pair(own.seed, arms[0].arm, arms[1].arm, 1.0)
    finally:
        for one in arms:
            one.close()


def without_teacher(recipe: Recipe) -> Recipe:
    """The same recipe, with each step that asks for a teacher replaced by plain training of as many epochs.

    That is `fine_tune`, with the same learning rate where the step has one. Where an earlier step may have put weights
    into a code, which `fine_tune` would move them off, it is `distill_predictions` with nothing soft: the same
    training, which keeps the code.

    Example:
        >>> from efflab.distill import distill_hints
        >>> without_teacher((step(distill_hints, hint_epochs=2, epochs=6, learning_rate=0.005),))
        (fine_tune(epochs=8, learning_rate=0.005),)

    Raises:
        ValueError: no step asks for one, or plain training cannot last as long.
    """
    check_recipe(recipe)
    if not any("teacher" in one.technique.inputs for one in recipe):
        raise ValueError(f"one step must learn from a teacher, such as distill_predictions, but none does: {recipe!r}")
    return tuple(_alone(one, recipe[:i]) if "teacher" in one.technique.inputs else one for i, one in enumerate(recipe))


def n_epochs(one: Step) -> int:
    """The passes over the training data of a step, all of its stages together."""
    return sum(int(str(value)) for name, value in one.values.items() if name.endswith("epochs"))


def verdict(pairs: Sequence[Pair]) -> Verdict:
    """What the teacher adds over the pairs that are over; as `verdict_of` their differences.

    Raises:
        ValueError: no pair is over.
    """
    return verdict_of([pair.difference for pair in pairs if pair.difference is not None])


def verdict_of(differences: Sequence[Difference]) -> Verdict:
    """The mean of some differences, one a seed.

    The interval over k seeds is that of Student's t with k - 1 degrees of freedom, around the mean of k differences.

    Raises:
        ValueError: there is no difference.
    """
    if not differences:
        raise ValueError("pairs must hold one whose trainings are over: there is nothing to compare yet")
    if len(differences) == 1:
        (one,) = differences
        return Verdict(one.value, one.low, one.high, 1)
    values = [one.value for one in differences]
    return Verdict(sum(values) / len(values), *student_interval(values), len(values))


def _alone(one: Step, before: Recipe) -> Step:
    """Plain training in place of a step with a teacher."""
    keeps = any(earlier.technique in CODING for earlier in before)
    technique, settings = (distill_predictions, {"soft": 0.0}) if keeps else (fine_tune, {})
    epochs, most = n_epochs(one), int(str(technique.knobs["epochs"].ends[1]))
    if not 1 <= epochs <= most:
        raise ValueError(
            f"{one.technique.name} trains for {epochs} epochs by its knobs, and plain training takes 1 to {most}: name "
            "the knob of a technique of your own epochs, or say how the student is trained alone"
        )
    rate = one.values.get("learning_rate", technique.defaults["learning_rate"])
    return step(technique, **settings, epochs=epochs, learning_rate=rate)


class _Training:
    """One arm while it trains."""

    def __init__(self, lab: "Lab", name: str, recipe: Recipe, whole: Progress) -> None:
        self._lab, self._whole, self.done = lab, whole, 0.0
        self.arm, self.is_over = Arm(name, recipe), False
        self._progress = Progress(self._take)
        lab.forget(recipe)
        self._turns = in_turns(lambda progress: lab.build(recipe, progress=progress), self._progress)

    def begin(self) -> None:
        """Judge the network before the training."""
        *before, last = self.arm.recipe
        score = self._lab.preview(tuple(before)).evaluation.value
        self._take(Epoch(0, n_epochs(last), math.nan, score))

    def take_turn(self) -> None:
        """Train one batch more; after the last one, judge the network that is kept."""
        if self._whole.is_stopped:
            self._progress.stop()
        try:
            self.done = next(self._turns)
        except StopIteration:
            self._end()

    def close(self) -> None:
        """End the training, if it still runs."""
        getattr(self._turns, "close", lambda: None)()

    def _end(self) -> None:
        preview = self._lab.preview(self.arm.recipe)
        self.is_over, self.done = True, 1.0
        self.arm = replace(self.arm, evaluation=preview.evaluation, is_partial=preview.is_partial)

    def _take(self, record: Epoch) -> None:
        self.arm = replace(self.arm, records=(*self.arm.records, record))
