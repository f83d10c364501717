"""What is predicted, which loss trains it and which score measures it.

The task belongs to the data: a lab, a figure or a tile asks it for the name, the unit and the direction of the score
and never says "accuracy" by itself. Classification is the only task now.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Z_95 = 1.959963984540054
"""The 97.5 % point of the normal distribution: 95 % lie between -Z_95 and Z_95."""


@dataclass(frozen=True)
class Classification:
    """One label out of several; trained by cross-entropy, measured by the share of right answers."""

    score_name: str = "accuracy"
    unit: str = "%"
    per_unit: float = 100.0
    """A score of 1 is shown as this many units."""
    higher_is_better: bool = True

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy in nats. outputs: (n, classes) logits; labels: (n,) -> ()."""
        return F.cross_entropy(outputs, labels)

    def answers(self, outputs: Tensor) -> Tensor:
        """The predicted class of each example. outputs: (n, classes) -> (n,) int64."""
        return outputs.argmax(dim=1)

    def scores(self, answers: Tensor, labels: Tensor) -> Tensor:
        """1 where the answer is right, else 0. answers, labels: (n,) -> (n,) float32."""
        return (answers == labels).to(torch.float32)

    def interval(self, scores: Tensor) -> tuple[float, float]:
        """The 95 % interval of the mean score. scores: (n,) of zeros and ones."""
        return wilson(int(scores.sum().item()), len(scores))

    def interval_of_difference(self, base: Tensor, now: Tensor) -> tuple[float, float]:
        """The 95 % interval of the mean of `now - base` on the same examples. base, now: (n,) of zeros and ones."""
        n_gained, n_lost = int((now > base).sum().item()), int((now < base).sum().item())
        return matched_difference(n_gained, n_lost, len(base))


def wilson(n_right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share, by Wilson's score method: honest near 0 and 1, where the plain one is not.

    Example:
        >>> low, high = wilson(95, 100)
        >>> round(low, 3), round(high, 3)
        (0.888, 0.978)

    Raises:
        ValueError: n is not positive, or n_right is not between 0 and n.

    Reference:
        E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22, 1927.
    """
    if n <= 0 or not 0 <= n_right <= n:
        raise ValueError(f"n_right must lie between 0 and n, and n be positive, not n_right={n_right}, n={n}")
    share, z2 = n_right / n, Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return (middle - half if n_right else 0.0), (middle + half if n_right < n else 1.0)


def matched_difference(n_gained: int, n_lost: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a difference between two shares counted on the same n examples.

    `n_gained` examples went from wrong to right, `n_lost` from right to wrong; the others cancel out, which makes this
    interval several times narrower than one from two separate samples. Half an example is added to each of the four
    cells, so that it is honest when nothing changed.

    Raises:
        ValueError: n is not positive, or the counts do not fit into it.

    Reference:
        A. Agresti and Y. Min, Simple improved confidence intervals for comparing matched proportions, Statistics in
        Medicine 24, 2005.
    """
    if n <= 0 or min(n_gained, n_lost) < 0 or n_gained + n_lost > n:
        raise ValueError(f"n_gained and n_lost must fit into n, not n_gained={n_gained}, n_lost={n_lost}, n={n}")
    total, gained, lost = n + 2, n_gained + 0.5, n_lost + 0.5
    middle = (gained - lost) / total
    half = Z_95 * math.sqrt((gained + lost) - (gained - lost) ** 2 / total) / total
    return max(-1.0, middle - half), min(1.0, middle + half)
