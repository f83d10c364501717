"""What a teacher answers to the validation images, softened: an image's doubt, and which classes look alike to it.

The teacher is that of a lab: its base, unless it has another. It looks at each image once; softening its logits
afterwards costs next to nothing, so that a temperature can follow a hand.

Reference: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015, arXiv 1503.02531, section 2.

Where we simplify: the images are those for validation, which the teacher has not learned; a student learns from its
answers to the training images, of which it is surer. At work: look at the logits that your training really uses.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from efflab.distill import dark_knowledge, entropy_bits, soften
from efflab.measure import Evaluation
from efflab.measure.accuracy import CHUNK

if TYPE_CHECKING:  # a lab holds the teacher
    from efflab.lab.lab import Lab


@dataclass(frozen=True, eq=False)
class SoftAnswer:
    """The answer to one image.

    image: (c, h, w). label: its class number. place: in the order of doubt, 1 for the surest of `n_images`.
    probabilities: (classes,) at the temperature; plain: (classes,) at the temperature 1.
    """

    image: Tensor
    label: int
    place: int
    n_images: int
    temperature: float
    probabilities: Tensor
    plain: Tensor

    @property
    def answer(self) -> int:
        """The class with the largest probability, which is the same at each temperature."""
        return int(self.plain.argmax())

    @property
    def bits(self) -> float:
        """The doubt at this temperature: the entropy of the answer, in bits."""
        return float(entropy_bits(self.probabilities))

    @property
    def plain_bits(self) -> float:
        """The doubt at the temperature 1, in bits."""
        return float(entropy_bits(self.plain))


@dataclass(frozen=True, eq=False)
class SoftAnswers:
    """The logits of all images, from which each answer is softened. Make one with `soft_answers`.

    logits: (n, classes) float64; images: (n, c, h, w); labels: (n,); classes: their names. teaching: how often the
    teacher is right.
    """

    logits: Tensor
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    teaching: Evaluation

    @cached_property
    def order(self) -> Tensor:
        """The positions of the images, from the surest to the most doubtful at the temperature 1. (n,)."""
        return entropy_bits(soften(self.logits, 1.0)).argsort(stable=True)

    @cached_property
    def wrong(self) -> tuple[int, ...]:
        """The places, in the order of doubt, of the images that the teacher answers wrongly."""
        is_wrong = (self.logits.argmax(dim=1) != self.labels)[self.order]
        return tuple(place + 1 for place in is_wrong.nonzero().flatten().tolist())

    def at(self, place: int, temperature: float) -> SoftAnswer:
        """The softened answer to the image at a place in the order of doubt: 1 is the surest.

        Raises:
            ValueError: there is no such place, or temperature is not above 0.
        """
        n = len(self.labels)
        if not 1 <= place <= n:
            raise ValueError(f"place must lie between 1 (the surest image) and {n} (the most doubtful), not {place}")
        position = int(self.order[place - 1])
        logits, label = self.logits[position], int(self.labels[position])
        soft, plain = soften(logits, temperature), soften(logits, 1.0)
        return SoftAnswer(self.images[position], label, place, n, temperature, soft, plain)

    def alike(self, temperature: float) -> Tensor:
        """What the teacher answers on average to the images of each class; NaN where there are none.

        -> (classes, classes), a row for each true class; each row adds up to 1.
        """
        return dark_knowledge(self.logits, self.labels, temperature, len(self.classes))


def soft_answers(lab: "Lab") -> SoftAnswers:
    """Ask the teacher of a lab for all validation images, once.

    Example:
        >>> from efflab import Lab
        >>> answers = soft_answers(Lab.open("mlp-digits"))
        >>> surest = answers.at(1, temperature=4.0)
        >>> surest.plain_bits < surest.bits
        True

    Raises:
        ValueError: the model cannot read the images, or does not give a number for each class.
    """
    split, n_classes = lab.data.validation, lab.data.n_classes
    teaching = lab.teaching  # first, for it says in words why a model cannot answer
    logits = logits_of(lab.teacher, split.images)
    if logits.shape[1] != n_classes:
        raise ValueError(f"the teacher must give a number for each of {n_classes} classes, not {logits.shape[1]}")
    return SoftAnswers(logits.double(), split.images, split.labels, tuple(lab.data.classes), teaching)


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """What a network gives for images, without gradients. images: (n, c, h, w) -> (n, classes)."""
    with torch.no_grad():
        return torch.cat([model(chunk) for chunk in images.split(CHUNK)])
