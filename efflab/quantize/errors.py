"""Errors: how far a tensor moved when it was put onto a grid, in the four ways that people report it.

    max error            the worst value; at most half a step where nothing was clipped
    mean squared error   what least-squares observers make small
    signal to noise      the power of the signal over that of the error, in decibels: each bit more brings 6.02 dB
    cosine               whether the direction is still the same; blind to a wrong scale

Reference: Bennett, Spectra of quantized signals, 1948 (an error spread evenly over a step has the variance step^2 / 12,
from which the 6.02 dB follow).

Where we simplify: the error of a tensor is not the loss of accuracy; layers differ in how much they mind. At work:
compare the outputs of layers as well, with `onnxruntime.quantization.qdq_loss_debug`.
"""

import math

from torch import Tensor

from efflab.quantize.grids import check_finite


def max_error(x: Tensor, quantized: Tensor) -> float:
    """The largest distance of a value from its quantized self, in the units of x. Both: (any one shape).

    Raises:
        ValueError: the shapes differ, or there are no values, or one is NaN or infinite; so for all measures here.
    """
    _check(x, quantized)
    return float((x.double() - quantized.double()).abs().max())


def mean_squared_error(x: Tensor, quantized: Tensor) -> float:
    """The mean of the squared distances, in the squared units of x. Both: (any one shape)."""
    _check(x, quantized)
    return float((x.double() - quantized.double()).square().mean())


def signal_to_noise_db(x: Tensor, quantized: Tensor) -> float:
    """10 log10 of the power of x over the power of the error, in decibels. Both: (any one shape).

    Infinite where there is no error; minus infinite where x is zero and its quantized self is not.

    Example:
        >>> import torch
        >>> round(signal_to_noise_db(torch.tensor([1.0, -1.0]), torch.tensor([0.9, -0.9])), 3)
        20.0

    Reference: Bennett, 1948.
    """
    noise = mean_squared_error(x, quantized)
    signal = float(x.double().square().mean())
    if not noise:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def cosine(x: Tensor, quantized: Tensor) -> float:
    """The cosine of the angle between the two, 1 where they point the same way. Both: (any one shape).

    1 where both are zero, 0 where only one is.

    Example:
        >>> import torch
        >>> cosine(torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0]))
        1.0
    """
    _check(x, quantized)
    one, other = x.double().flatten(), quantized.double().flatten()
    lengths = float(one.norm() * other.norm())
    if not lengths:
        return float(not one.any() and not other.any())
    return max(-1.0, min(1.0, float(one @ other) / lengths))  # rounding may lead beyond


def _check(x: Tensor, quantized: Tensor) -> None:
    if x.shape != quantized.shape:
        raise ValueError(f"quantized must have the shape of x, {tuple(x.shape)}, not {tuple(quantized.shape)}")
    if x.numel() == 0:
        raise ValueError(f"x must hold at least one value, not none: its shape is {tuple(x.shape)}")
    check_finite("x", x)
    check_finite("quantized", quantized)
