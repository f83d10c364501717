"""Learned step size: the grid trains together with the weights that lie on it.

How a rounded value answers to its step s follows from rounding straight through (v is the weight, -Q_N and Q_P the
first and the last integer of the grid):

                 round(v / s) - v / s     where -Q_N < v / s < Q_P
    d v^ / d s = -Q_N                     where v / s <= -Q_N
                 Q_P                      where v / s >= Q_P

A step is shared by many weights, whose answers add up to a gradient far larger than that of one weight, for its size.
So it is multiplied by 1 / sqrt(N Q_P), with N the number of weights that share the step.

References: Esser et al., Learned step size quantization, 2020, arXiv 1902.08153, equations 3 and 5 and section 2.2.

Where we simplify: steps of weights are learned, those of activations stay as they were calibrated; grids are symmetric.
At work: `torch._fake_quantize_learnable_per_channel_affine`, which differs in the outer half step: it asks whether the
rounded value is clipped, the paper whether the value itself is.
"""

from typing import Any

import torch
from torch import Tensor

from efflab.quantize.grids import Grid, fake_quantize, integer_range
from efflab.quantize.sharing import Granularity, shared


def learned_step(v: Tensor, step: Tensor, grid: Grid) -> Tensor:
    """The weights moved onto the grid of this step, with the gradients of the paper for both.

    v: (any shape) -> same shape; step: () or (out, 1, ...). The gradient of the step is scaled as in the paper.

    Example:
        >>> step = torch.tensor(0.5, requires_grad=True)
        >>> y = learned_step(torch.tensor([0.2, 0.7, -9.0]), step, Grid(bits=3))
        >>> y.sum().backward()
        >>> y.detach(), step.grad  # (-0.4 - 0.4 - 3) / sqrt(3 * 3)
        (tensor([ 0.0000,  0.5000, -1.5000]), tensor(-1.2667))

    Raises:
        ValueError: the grid is not symmetric or has 1 bit, for which the paper has no rule; or as `fake_quantize` does.

    Reference: Esser et al., 2020, arXiv 1902.08153, equations 1 to 5.
    """
    if not grid.is_symmetric or grid.is_binary:
        raise ValueError(f"a learned step needs a symmetric grid of 2 bits or more, not {grid}")
    y: Tensor = _LearnedStep.apply(v, step, grid)  # type: ignore[no-untyped-call]
    return y


def gradient_scale(n: int, grid: Grid) -> float:
    """What the gradient of a step is multiplied by; n is the number of weights that share it.

    Example:
        >>> gradient_scale(100, Grid(bits=2))
        0.1

    Reference: Esser et al., 2020, arXiv 1902.08153, section 2.2.
    """
    _, last = integer_range(grid)
    return float((n * last) ** -0.5)


def initial_step(v: Tensor, grid: Grid, granularity: Granularity = "per tensor") -> Tensor:
    """The step to start with, 2 <|v|> / sqrt(Q_P); 1 where all weights are zero.

    v: (any shape) -> a shape that broadcasts against it, as in `sharing.py`.

    Example:
        >>> initial_step(torch.tensor([1.0, -3.0]), Grid(bits=2))
        tensor(4.)

    Reference: Esser et al., 2020, arXiv 1902.08153, section 2.1.
    """
    _, last = integer_range(grid)
    (mean,) = shared(lambda rows: (rows.abs().mean(dim=1),), v, granularity)
    return torch.where(mean > 0, 2 * mean / last**0.5, 1.0)


class _LearnedStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, step: Tensor, grid: Grid) -> Tensor:
        ctx.save_for_backward(v, step)
        ctx.grid = grid
        return fake_quantize(v, step, torch.zeros_like(step, dtype=torch.int32), grid)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        v, step = ctx.saved_tensors
        first, last = integer_range(ctx.grid)
        steps = v / step
        is_inside = (first < steps) & (steps < last)
        of_step = torch.where(is_inside, steps.round() - steps, steps.clamp(first, last))  # equation 3
        scale = gradient_scale(v.numel() // step.numel(), ctx.grid)
        return gradient * is_inside, (gradient * of_step).sum_to_size(step.shape) * scale, None
