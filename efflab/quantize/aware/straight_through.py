"""The straight-through estimator: a gradient for rounding, which has none.

Rounding is a staircase: flat almost everywhere, so its gradient is 0 and nothing would ever be learned through it. The
estimator rounds on the way forward, and on the way back pretends that it had not:

    forward     y = (clamp(round(x / scale) + zero_point) - zero_point) * scale
    backward    dy/dx = 1 where nothing was clipped, 0 where it was

The weight that is trained stays a float and gathers steps that are too small to be seen on the grid; once they add up
to half a step of the grid, the rounded weight moves.

Reference: Bengio et al., Estimating or propagating gradients through stochastic neurons for conditional computation,
2013, arXiv 1308.3432.

Where we simplify: scales are given, and get no gradient; `learned_steps.py` is where they learn. On the grid of 1 bit
the gradient passes everywhere, as in BinaryConnect (Courbariaux et al., 2015, arXiv 1511.00363), for a sign clips
nothing. At work: `torch.fake_quantize_per_channel_affine`, which our tests compare with.
"""

from typing import Any

import torch
from torch import Tensor

from efflab.quantize.grids import Grid, fake_quantize, integer_range, real_type


def straight_through(x: Tensor, scale: Tensor, zero_point: Tensor, grid: Grid) -> Tensor:
    """The values moved onto the grid, as `fake_quantize` does, with a gradient that passes where nothing is clipped.

    x: (any shape) -> same shape; the scale and the zero point as for `fake_quantize`.

    Example:
        >>> x = torch.tensor([0.2, 0.3, 9.0], requires_grad=True)
        >>> y = straight_through(x, torch.tensor(0.5), torch.tensor(0), Grid(bits=2))
        >>> y.sum().backward()
        >>> y.detach(), x.grad
        (tensor([0.0000, 0.5000, 0.5000]), tensor([1., 1., 0.]))

    Raises:
        ValueError: as `fake_quantize` does.

    Reference: Bengio et al., 2013, arXiv 1308.3432.
    """
    y: Tensor = StraightThrough.apply(x, scale, zero_point, grid)  # type: ignore[no-untyped-call]
    return y


class StraightThrough(torch.autograd.Function):
    """What `straight_through` does on the way forward, and what it pretends on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor, grid: Grid) -> Tensor:
        """The values on the grid; remembered is where nothing was clipped."""
        ctx.save_for_backward(_is_inside(x, scale, zero_point, grid))
        return fake_quantize(x, scale, zero_point, grid)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient that came from the loss, where nothing was clipped; scales and grids get none."""
        (is_inside,) = ctx.saved_tensors
        return gradient * is_inside, None, None, None


def _is_inside(x: Tensor, scale: Tensor, zero_point: Tensor, grid: Grid) -> Tensor:
    """Where the nearest integer is one of the grid's. (any shape) -> same shape, bool."""
    if grid.is_binary:
        return torch.ones_like(x, dtype=torch.bool)
    first, last = integer_range(grid)
    integers = (x.to(real_type(scale)) * scale.reciprocal()).round() + zero_point
    return (integers >= first) & (integers <= last)
