"""The missing digit: what a student knows of a class that it was never shown, and what keeps it from saying so.

    1. two students are trained without any image of one class, one on labels alone, one on a teacher's soft answers
    2. both are judged on all classes: the share of the images of a class that is recognised is its *recall*
    3. a number is added to the logit of the missing class, as a larger bias would; which is best, validation data say

The logits are computed once. After that, a bias is an addition to one column, so all of them are tried in milliseconds.

Reference: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015, arXiv 1503.02531, section 3.

Where we simplify: the bias is chosen and judged on the same validation images, which flatters it a little; the paper
does so on its test images. At work: choose on one part, judge on another.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from efflab.data import Data, without_class
from efflab.distill import distill_predictions, shift_bias
from efflab.knobs import Range
from efflab.lab.lab import Lab
from efflab.lab.side_by_side import side_by_side
from efflab.measure import Evaluation
from efflab.measure.accuracy import by_class
from efflab.prune import fine_tune
from efflab.recipe import Recipe, Step, step
from efflab.training import Progress, predict

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd

BIAS = shift_bias.knobs["by"]
"""The knob of `shift_bias`: the numbers that are tried, too."""
LEARNING_RATE = 0.005
"""Of both students: with less, 30 epochs on the small digits are too few."""


@dataclass(frozen=True)
class BiasCurve:
    """What each bias would make of a student, on validation data; scores are fractions.

    by: what is added, rising; overall: the score on all images; recall: that on the images of the missing class.
    """

    by: tuple[float, ...]
    overall: tuple[float, ...]
    recall: tuple[float, ...]

    @property
    def best(self) -> float:
        """The bias with the best overall score; of several, the one that changes least."""
        score, nearest = max((score, -abs(by)) for by, score in zip(self.by, self.overall, strict=True))
        return next(by for by, one in zip(self.by, self.overall, strict=True) if one == score and abs(by) == -nearest)


@dataclass(frozen=True, eq=False)
class Unshown:
    """What a student that was never shown class `label` says of all validation images.

    logits: (n, classes), as it gives them, with no bias moved. data: its `validation` has the labels.
    """

    logits: Tensor
    data: Data
    label: int
    is_partial: bool = False

    def evaluation(self, by: float = 0.0) -> Evaluation:
        """How often it is right with `by` more in the bias of the missing class."""
        shifted = self.logits.clone()
        shifted[:, self.label] += by
        task, labels = self.data.task, self.data.validation.labels
        answers = task.answers(shifted)
        return Evaluation(answers, task.scores(answers, labels), len(labels), task)

    def recalls(self, by: float = 0.0) -> "pd.DataFrame":
        """The recall of each class: columns class, n, score, low, high (fractions); NaN for a class without images."""
        return by_class(self.evaluation(by), self.data)

    def recall(self, by: float = 0.0) -> float:
        """The share of the images of the missing class that it recognises; NaN where validation has none."""
        return _recall(self.evaluation(by), self)

    @cached_property
    def curve(self) -> BiasCurve:
        """Score and recall at every step of the knob."""
        steps = _steps()
        judged = [self.evaluation(by) for by in steps]
        return BiasCurve(steps, tuple(one.value for one in judged), tuple(_recall(one, self) for one in judged))


@dataclass(frozen=True, eq=False)
class MissingClass:
    """Two students that were never shown class `label`: trained on labels alone, and on the teacher's soft answers."""

    label: int
    alone: Unshown
    taught: Unshown

    @property
    def is_partial(self) -> bool:
        """Whether a training was stopped early."""
        return self.alone.is_partial or self.taught.is_partial


def train_without(
    lab: Lab, student: Step, label: int, *, temperature: float, epochs: int, progress: Progress | None = None
) -> MissingClass:
    """Train two students of the base of a lab in turns, without any image of class `label`, and ask both.

    student: the step that starts it, such as step(start_student, width=30). One learns the labels and the other the
    soft answers alone, with the same first weights, batches, epochs and learning rate. Stopped early, each keeps the
    best of what it has so far.

    Raises:
        TypeError: `student` is no step.
        ValueError: there is no such class, or a technique cannot act on this model.
    """
    others = Lab(lab.build(()), without_class(lab.data, label), seed=lab.seed, name=lab.name)
    alone, taught = recipes(student, temperature=temperature, epochs=epochs)
    for pair in side_by_side(others, alone, taught, progress=progress):
        if progress is not None and progress.on_batch is not None:
            progress.on_batch(pair.done)
    arms = (pair.alone, pair.taught)
    asked = (ask(others.build(arm.recipe), others.data, label, is_partial=arm.is_partial) for arm in arms)
    return MissingClass(label, *asked)


def recipes(student: Step, *, temperature: float, epochs: int) -> tuple[Recipe, Recipe]:
    """What makes the two students of a teacher: alone, and with its soft answers at a temperature.

    Raises:
        TypeError: `student` is no step.
    """
    if not isinstance(student, Step):
        wanted = "the step that starts it, such as step(start_student, width=30)"
        raise TypeError(f"student must be {wanted}, not {type(student).__name__} {student!r}")
    alone = step(fine_tune, epochs=epochs, learning_rate=LEARNING_RATE)
    taught = step(distill_predictions, temperature=temperature, soft=1.0, epochs=epochs, learning_rate=LEARNING_RATE)
    return (student, alone), (student, taught)


def ask(model: nn.Module, data: Data, label: int, *, is_partial: bool = False) -> Unshown:
    """What `model` says of the validation images of `data`; it was trained without class `label`.

    Raises:
        ValueError: there is no such class.
    """
    logits = predict(model, data.validation.images)
    if not 0 <= label < logits.shape[1]:
        raise ValueError(f"label must be a class of this network, from 0 to {logits.shape[1] - 1}, not {label}")
    return Unshown(logits, data, label, is_partial)


def _recall(evaluation: Evaluation, student: Unshown) -> float:
    return float(evaluation.scores[student.data.validation.labels == student.label].double().mean())


def _steps() -> tuple[float, ...]:
    assert isinstance(BIAS, Range)
    n = round((BIAS.high - BIAS.low) / BIAS.step)
    return tuple(round(float(by), 6) for by in np.linspace(BIAS.low, BIAS.high, n + 1))
