"""Softening: dividing the logits by a temperature, so that a teacher's doubt can be seen.

    temperature near 0    all the probability goes to the largest logit: a hard answer
    temperature 1         the network's own probabilities
    temperature high      all classes come near 1 / classes, and what differs is how far each logit lies from the mean

Which wrong answers a teacher thinks less wrong than others is what Hinton calls dark knowledge. A 7 that looks a little
like a 1 says so only when the answer is soft enough.

Reference: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015, arXiv 1503.02531, section 2.

At work: `torch.softmax(logits / temperature, dim=1)`, which is all that `soften` does after its checks.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from efflab.distill.checks import check_labels, check_temperature, check_tensor

ROUNDING = 1e-3
"""How far the sum of probabilities may lie from 1: half precision rounds them."""


def soften(logits: Tensor, temperature: float) -> Tensor:
    """The probabilities of the classes at a temperature. logits: (n, classes) or (classes,) -> the same shape.

    Example, whose ratios are 9 to 1, and 3 to 1 at the temperature 2:
        >>> logits = torch.tensor([9.0, 1.0]).log()
        >>> soften(logits, 1.0), soften(logits, 2.0)
        (tensor([0.9000, 0.1000]), tensor([0.7500, 0.2500]))

    Raises:
        ValueError: temperature is not above 0, or logits have another shape, or one is NaN or infinite.

    Reference: Hinton et al., 2015, arXiv 1503.02531, equation 1.
    """
    check_temperature(temperature)
    check_tensor("logits", logits, "(n, classes)", "(classes,)")
    return torch.softmax(logits / temperature, dim=-1)


def entropy_bits(probabilities: Tensor) -> Tensor:
    """How much doubt is in each answer, in bits: 0 where one class has it all, log2(classes) where all are equal.

    probabilities: (n, classes) -> (n,); or (classes,) -> ().

    Example:
        >>> entropy_bits(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
        tensor([0., 1.])

    Raises:
        ValueError: a probability is negative, NaN or infinite, or those of an answer do not add up to 1.

    Reference: Shannon, A mathematical theory of communication, 1948.
    """
    check_tensor("probabilities", probabilities, "(n, classes)", "(classes,)")
    sums = probabilities.sum(dim=-1)
    if bool((probabilities < 0).any()) or bool(((sums - 1).abs() > ROUNDING).any()):
        raise ValueError(
            "probabilities must be 0 or more and add up to 1 for each answer, but the smallest is "
            f"{float(probabilities.min()):.4g} and sums go from {float(sums.min()):.4g} to {float(sums.max()):.4g}: "
            "soften the logits first"
        )
    nats: Tensor = torch.special.entr(probabilities).sum(dim=-1)  # entr is -p ln p, and 0 at 0
    return nats / math.log(2)


def dark_knowledge(logits: Tensor, labels: Tensor, temperature: float, n_classes: int) -> Tensor:
    """What a network answers on average to the images of each class: (classes, classes), each row adds up to 1.

    Row i is the mean softened answer over the images whose label is i, and NaN where there is no such image. What lies
    beside the diagonal is which classes the network thinks alike. logits: (n, classes); labels: (n,).

    Example:
        >>> logits = torch.tensor([[9.0, 1.0], [1.0, 1.0]]).log()
        >>> dark_knowledge(logits, torch.tensor([0, 0]), 1.0, 2)
        tensor([[0.7000, 0.3000],
                [   nan,    nan]])

    Raises:
        ValueError: as in `soften`; or logits have no column for each class, or labels are none of the classes.

    Reference: Hinton et al., 2015, arXiv 1503.02531, section 1.
    """
    check_tensor("logits", logits, "(n, classes)")
    if logits.shape[1] != n_classes:
        raise ValueError(f"logits must have a column for each of {n_classes} classes, not {logits.shape[1]}")
    check_labels(labels, len(logits), n_classes)
    answers = soften(logits, temperature)
    has_label = F.one_hot(labels.long(), n_classes).to(answers.dtype)  # (n, classes), 1 at the label
    return has_label.T @ answers / has_label.sum(dim=0)[:, None]  # 0 / 0 is NaN: a class without images
