"""Sharing: which values of a tensor share one scale. The fewer share, the closer the grid fits, and the more is stored.

    granularity    who shares                         weight (out, in)    scales stored
    per tensor     all                                ()                  1
    per channel    what makes one output              (out, 1)            out
    per group      g inputs in a row of one output    (out, in)           out * ceil(in / g)

The middle column is the shape in which a scale broadcasts against the weight. That of a group is repeated for each of
its inputs; `scale[:, ::g]` are those that are stored.

References: per channel: Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, 2018, arXiv
1806.08342; per group: Shen et al., Q-BERT, 2019, arXiv 1909.05840.

Where we simplify: groups need a matrix, and lie side by side in it. At work: `torchao.quantization.granularity`, or the
block size of ONNX Runtime's MatMulNBits.
"""

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor

from efflab.knobs import Choice
from efflab.quantize.grids import check_finite, real_type

GRANULARITIES = Choice(("per tensor", "per channel", "per group"), "which values share a scale")
Granularity = Annotated[str, GRANULARITIES]
Statistic = Callable[[Tensor], tuple[Tensor, ...]]
"""What is computed of the values that share a scale: (rows, values) -> tensors of (rows,), one number a row."""


def shared(
    statistic: Statistic, weight: Tensor, granularity: Granularity = "per tensor", group_size: int = 32
) -> tuple[Tensor, ...]:
    """A statistic of the weights that share a scale, each number in a shape that broadcasts against it.

    weight: (any shape); "per channel" needs at least one axis, "per group" (out, in) and a `group_size`, the number of
    inputs in a group; the last group of a row may be shorter. Computed in float32, or float64 where the weight has it.

    Example:
        >>> weight = torch.tensor([[1.0, 2.0, 5.0], [4.0, 8.0, 0.0]])
        >>> shared(lambda rows: (rows.amax(dim=1),), weight, "per channel")
        (tensor([[5.],
                [8.]]),)
        >>> shared(lambda rows: (rows.amax(dim=1),), weight, "per group", group_size=2)
        (tensor([[2., 2., 5.],
                [8., 8., 0.]]),)

    Raises:
        TypeError: `group_size` is no whole number.
        ValueError: the weight is empty, holds NaN or infinity, or has the wrong number of axes; another granularity; a
        `group_size` below 1.
    """
    _check(weight, granularity, group_size)
    values = weight.detach().to(real_type(weight))
    if granularity == "per tensor":
        return tuple(one.reshape(()) for one in statistic(values.reshape(1, -1)))
    if granularity == "per channel":
        shape = (len(weight), *[1] * (weight.ndim - 1))
        return tuple(one.reshape(shape) for one in statistic(values.reshape(len(weight), -1)))
    by_group = [statistic(group) for group in values.split(group_size, dim=1)]
    stored = [torch.stack(numbers, dim=1) for numbers in zip(*by_group, strict=True)]  # each (out, groups)
    return tuple(one.repeat_interleave(group_size, dim=1)[:, : weight.shape[1]] for one in stored)


def _check(weight: Tensor, granularity: str, group_size: object) -> None:
    GRANULARITIES.check("granularity", granularity)
    shape = f"its shape is {tuple(weight.shape)}"
    if weight.numel() == 0:
        raise ValueError(f"weight must hold at least one value, not none: {shape}")
    if granularity == "per channel" and weight.ndim == 0:
        raise ValueError(f"weight must have an axis of channels for a scale per channel; {shape}")
    if granularity == "per group":
        _check_groups(weight, group_size)
    check_finite("weight", weight)


def _check_groups(weight: Tensor, group_size: object) -> None:
    wanted = f"group_size must be a positive whole number, such as 32, not {group_size!r}"
    if isinstance(group_size, bool) or not isinstance(group_size, int):
        raise TypeError(wanted)
    if group_size < 1:
        raise ValueError(wanted)
    if weight.ndim != 2:
        raise ValueError(
            f"weight must be a matrix (out, in) for a scale per group, not of shape {tuple(weight.shape)}; "
            "weight.flatten(1) makes one of a kernel"
        )
