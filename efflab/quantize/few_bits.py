"""One bit and three values: so few that the scale comes from the mean of the magnitudes, not from their maximum.

A binary weight is its sign times alpha, and no alpha is closer to the weights, in squares, than their mean magnitude. A
ternary weight may be 0 too: weights below a threshold become 0, the others their sign times their mean magnitude.

References: Rastegari et al., XNOR-Net: ImageNet classification using binary convolutional neural networks, 2016, arXiv
1603.05279; Li et al., Ternary weight networks, 2016, arXiv 1605.04711.

Where we simplify: only the weights, once; the papers train with them. The threshold is 0.7 of the mean magnitude, as
in the first version of the paper; a later one has 2/3 for uniform and 3/4 for normal weights. At work: few runtimes
have kernels for so few bits, so the gain is in the bytes alone.
"""

import torch
from torch import Tensor

from efflab.quantize.sharing import Granularity, shared

THRESHOLD = 0.7
"""Weights below this fraction of the mean magnitude become zero."""


def mean_magnitude(values: Tensor) -> tuple[Tensor, Tensor]:
    """The range of a binary grid: minus and plus the mean magnitude. values: (rows, n) -> (rows,), (rows,).

    Example:
        >>> mean_magnitude(torch.tensor([[1.0, -2.0], [0.0, 3.0]]))
        (tensor([-1.5000, -1.5000]), tensor([1.5000, 1.5000]))

    Reference: Rastegari et al., 2016, arXiv 1603.05279, section 3.1.
    """
    alpha = values.abs().mean(dim=1)
    return -alpha, alpha


def ternarize(weight: Tensor, granularity: Granularity = "per tensor", group_size: int = 32) -> tuple[Tensor, Tensor]:
    """Weights of -1, 0 and 1, and their scale; `integers * scale` are the new weights.

    weight: (any shape) -> same shape, int8; the scale in a shape that broadcasts against it. The scale of zeros alone
    is 1.

    Example:
        >>> ternarize(torch.tensor([2.0, -0.1, 0.5, -3.0]))
        (tensor([ 1,  0,  0, -1], dtype=torch.int8), tensor(2.5000))

    Raises:
        TypeError, ValueError: as `shared` does.

    Reference: Li et al., 2016, arXiv 1605.04711, section 2.
    """
    threshold, scale = shared(_threshold_and_scale, weight, granularity, group_size)
    integers = weight.detach().sign() * (weight.detach().abs() > threshold)
    return integers.to(torch.int8), scale


def _threshold_and_scale(values: Tensor) -> tuple[Tensor, Tensor]:
    """Where zero ends, and the mean magnitude beyond. values: (rows, n) -> (rows,), (rows,)."""
    magnitude = values.abs()
    threshold = THRESHOLD * magnitude.mean(dim=1)
    kept = magnitude > threshold[:, None]
    scale = (magnitude * kept).sum(dim=1) / kept.sum(dim=1)  # 0 / 0 where all are zero
    return threshold, scale.where(kept.any(dim=1), 1.0)
