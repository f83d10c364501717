"""How hard the two terms of the distillation loss really pull at a student, and four ways to write the soft one.

A fraction such as "90 % soft" weighs two numbers, but it is their gradients that train. Two slips make the soft term
fade while the training looks healthy:

    reduction="mean"     torch's `kl_div` then divides by the number of classes, too; "batchmean" does not
    no T squared         softened answers have a gradient about T^2 times smaller, and nothing makes up for it

So what was asked for is compared with what is got: the share of the soft term in the sum of both gradients' lengths.

References: Hinton et al., 2015, arXiv 1503.02531, sections 2 and 2.1; for "mean": the warning that torch gives
in `kl_div`, which announces another meaning for a later release.

Where we simplify: the student is in evaluation mode, and gradients that point in different directions are compared by
their lengths. At work: print the norms of both gradients of your own loss once, before a long training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from efflab.distill import distill_predictions, hard_loss, soft_loss
from efflab.distill.teachers import check_pair
from efflab.knobs import Choice
from efflab.lab.soft_answers import logits_of
from efflab.recipe import Recipe
from efflab.runtime import evaluating
from efflab.training import Progress, copy_model

if TYPE_CHECKING:  # a lab makes the networks
    from efflab.lab.lab import Lab

REDUCTIONS = Choice(("batchmean", "mean"), "how torch's kl_div averages")
SQUARED = Choice(("with T squared", "without"), "what the soft term is multiplied by")
SOFT = distill_predictions.knobs["soft"]
SWEPT = tuple(float(temperature) for temperature in range(1, 21))
"""Temperatures at which all variants are compared."""
N_IMAGES = 128
"""Training images in the batch: enough for a mean, few enough to follow a hand."""


@dataclass(frozen=True)
class Variant:
    """A way to write the soft term."""

    reduction: str = "batchmean"
    is_squared: bool = True

    def __post_init__(self) -> None:
        REDUCTIONS.check("reduction", self.reduction)

    @property
    def name(self) -> str:
        """In words: "batchmean, with T²"."""
        return f"{self.reduction}, {'with' if self.is_squared else 'without'} T²"

    def factor(self, temperature: float, n_classes: int) -> float:
        """What this variant is, as a multiple of the right soft term."""
        return (1 if self.is_squared else temperature**-2) / (1 if self.reduction == "batchmean" else n_classes)

    def soft_loss(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """The soft term as it is with this variant. Both: (n, classes) -> ().

        Raises:
            ValueError: what `efflab.distill.soft_loss` refuses.
        """
        right = soft_loss(student_logits, teacher_logits, temperature)
        return right * self.factor(temperature, student_logits.shape[1])


RIGHT = Variant()
VARIANTS = tuple(Variant(reduction, squared) for squared in (True, False) for reduction in REDUCTIONS.options)
"""The right one, and the slips: one, the other, both."""


@dataclass(frozen=True)
class Term:
    """A loss and how hard it pulls, both means over the batch.

    value: nats. at_logits: the mean over the images of the length of the gradient with respect to their logits.
    at_weights: the length of the gradient with respect to all weights of the student together.
    """

    value: float
    at_logits: float
    at_weights: float

    def times(self, factor: float) -> "Term":
        """The same with a factor in front of the loss, which stands in front of its gradient, too."""
        return Term(*(factor * number for number in (self.value, self.at_logits, self.at_weights)))


@dataclass(frozen=True)
class Weighed:
    """Both terms at one temperature, before they are weighed, and the fraction `soft` that was asked for."""

    temperature: float
    soft: float
    variant: Variant
    hard_term: Term
    soft_term: Term

    @property
    def value(self) -> float:
        """The loss of the batch: the weighed sum of both, in nats."""
        return self.soft * self.soft_term.value + (1 - self.soft) * self.hard_term.value

    @property
    def at_logits(self) -> float:
        """The share that the soft term has in the pull at the logits, a fraction."""
        return _share(self.soft, self.soft_term.at_logits, self.hard_term.at_logits)

    @property
    def at_weights(self) -> float:
        """The share that the soft term has in the pull at the weights, a fraction: what is got of `soft`."""
        return _share(self.soft, self.soft_term.at_weights, self.hard_term.at_weights)


class LossTerms:
    """The terms of a batch, each gradient measured once by autograd. Make one with `loss_terms`.

    images: (n, c, h, w); labels: (n,); classes: their names.

    Raises:
        ValueError: student and teacher do not fit together, or the student has no weights that can learn.
    """

    def __init__(
        self, student: nn.Module, teacher: nn.Module, images: Tensor, labels: Tensor, classes: Sequence[str]
    ) -> None:
        check_pair(student, teacher, images)
        self.images, self.labels, self.classes = images, labels, tuple(classes)
        self._student = copy_model(student)
        self._weights = [weight for weight in self._student.parameters() if weight.requires_grad]
        if not self._weights:
            raise ValueError(f"the student ({type(student).__name__}) has no weights that can learn")
        self.teacher_logits = logits_of(teacher, images)
        with evaluating(self._student):
            self._logits: Tensor = self._student(images)  # its graph stays: each term goes back through it
        self._soft: dict[float, Term] = {}

    @property
    def student_logits(self) -> Tensor:
        """What the student gives for the images. (n, classes)."""
        return self._logits.detach()

    @cached_property
    def hard(self) -> Term:
        """The hard term."""
        return self._measure(hard_loss(self._logits, self.labels))

    def soft(self, temperature: float, variant: Variant = RIGHT) -> Term:
        """The soft term at a temperature.

        Raises:
            ValueError: temperature is not above 0.
        """
        if temperature not in self._soft:
            self._soft[temperature] = self._measure(soft_loss(self._logits, self.teacher_logits, temperature))
        return self._soft[temperature].times(variant.factor(temperature, self._logits.shape[1]))

    def at(self, temperature: float, soft: float, variant: Variant = RIGHT) -> Weighed:
        """Both terms, and how much of the fraction `soft` that is asked for is got.

        Raises:
            ValueError, TypeError: temperature is not above 0, or soft is no fraction.
        """
        SOFT.check("soft", soft)
        return Weighed(temperature, soft, variant, self.hard, self.soft(temperature, variant))

    def sweep(self, soft: float) -> dict[Variant, tuple[Weighed, ...]]:
        """All variants at each of the temperatures `SWEPT`."""
        return {variant: tuple(self.at(one, soft, variant) for one in SWEPT) for variant in VARIANTS}

    def _measure(self, loss: Tensor) -> Term:
        wanted = [self._logits, *self._weights]
        at_logits, *at_weights = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
        squares = sum(float(grad.square().sum(dtype=torch.float64)) for grad in at_weights if grad is not None)
        a_row = len(at_logits) * at_logits.norm(dim=1)  # n times: the loss is a mean over n images
        return Term(float(loss.detach()), float(a_row.mean()), squares**0.5)


def loss_terms(lab: "Lab", student: Recipe, *, n_images: int = N_IMAGES, progress: Progress | None = None) -> LossTerms:
    """The terms of a recipe's network, with the teacher of the lab, on the first training images.

    Example:
        >>> from efflab import Lab, start_student, step
        >>> terms = loss_terms(Lab.open("mlp-digits"), (step(start_student, kind="mlp", width=8),))
        >>> right, wrong = (terms.at(4.0, 0.9, Variant(reduction)) for reduction in ("batchmean", "mean"))
        >>> wrong.at_weights < right.at_weights
        True

    Raises:
        ValueError: as `Lab.build`; student and teacher do not fit together; the student has no weights that can learn.
    """
    train = lab.data.train
    made = lab.build(student, progress=progress)
    return LossTerms(made, lab.teacher, train.images[:n_images], train.labels[:n_images], lab.data.classes)


def _share(soft: float, soft_pull: float, hard_pull: float) -> float:
    pull = soft * soft_pull
    return pull / (pull + (1 - soft) * hard_pull) if pull else 0.0
