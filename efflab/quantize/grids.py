"""Grids: the few numbers that a quantized tensor may hold, how real numbers get onto them, and how they come back.

A scale is the step from one number of the grid to the next, and the zero point is the integer that stands for 0.0:

    integer = clamp(round(x / scale) + zero_point)      a few bits are stored
    value   = (integer - zero_point) * scale            what the network then computes with

A symmetric grid has its zero point at 0 and as many steps below zero as above; weights are about symmetric. An affine
grid shifts the zero point, so that a lopsided range wastes no integers; activations are lopsided. Either way 0.0 is on
the grid without error, because padding, ReLU and pruning make many zeros. The grid of 1 bit, -scale and +scale, is the
exception: it has none.

References: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
2018, arXiv 1712.05877 (scale and zero point); Nagel et al., A white paper on neural network quantization, 2021, arXiv
2106.08295 (the kinds of grids).

Where we simplify: the result of `fake_quantize` is made of floats, and nothing here gets faster or smaller; an integer
kernel does that. x / scale is x * (1 / scale), as in torch; ONNX Runtime divides, and where x lies just halfway between
two integers, the two may differ by one step. At work: the quantizer of the runtime that executes your model.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from efflab.knobs import Range
from efflab.runtime.quantized import signed_ends

BITS = Range(1, 8, 1, "bits of each number")
Bits = Annotated[int, BITS]


@dataclass(frozen=True)
class Grid:
    """Which integers a grid has.

        bits   symmetric       affine, signed   affine, unsigned
        8      -127 ... 127    -128 ... 127     0 ... 255
        4      -7 ... 7        -8 ... 7         0 ... 15
        2      -1, 0, 1        -2 ... 1         0 ... 3
        1      -1, 1           -1, 0            0, 1

    Symmetric grids leave one integer out, so that -x is on the grid when x is. A symmetric grid without sign has the
    integers of the last column and its zero point at 0; it is for what is never negative, such as what a ReLU gives.

    Raises:
        TypeError, ValueError: bits is no whole number from 1 to 8.
    """

    bits: Bits = 8
    is_symmetric: bool = True
    is_signed: bool = True

    def __post_init__(self) -> None:
        BITS.check("bits", self.bits)

    @property
    def is_binary(self) -> bool:
        """Whether it is the grid of two values, -scale and +scale, without a zero."""
        return self.bits == 1 and self.is_symmetric and self.is_signed


def integer_range(grid: Grid) -> tuple[int, int]:
    """The smallest and the largest integer of a grid.

    Example:
        >>> integer_range(Grid(bits=4)), integer_range(Grid(bits=4, is_symmetric=False))
        ((-7, 7), (-8, 7))
    """
    if not grid.is_signed:
        return 0, 2**grid.bits - 1
    return signed_ends(grid.bits, is_symmetric=grid.is_symmetric)


def scale_and_zero_point(low: Tensor | float, high: Tensor | float, grid: Grid) -> tuple[Tensor, Tensor]:
    """The step and the integer of zero with which the grid just reaches from `low` to `high`.

    low, high: any shape, such as () for a whole tensor or (out, 1) for its channels -> two tensors of that shape,
    floating point and int32. A range without zero is widened to zero. A range of zeros alone gets the scale 1, for a
    scale of 0 could not be divided by. The range of a binary grid ends at its two values.

    Example:
        >>> scale_and_zero_point(-1.0, 3.0, Grid(bits=2, is_symmetric=False, is_signed=False))
        (tensor(1.3333), tensor(1, dtype=torch.int32))

    Raises:
        ValueError: an end is NaN or infinite, `low` lies above `high`, or the grid is symmetric without sign and `low`
        is negative.

    Reference: Jacob et al., 2018, arXiv 1712.05877, section 2.1.
    """
    lows, highs = torch.broadcast_tensors(torch.as_tensor(low), torch.as_tensor(high))
    _check_ends(lows, highs, grid)
    kind, (first, last) = real_type(lows, highs), integer_range(grid)
    below, above = -lows.double().clamp(max=0), highs.double().clamp(min=0)
    span, n_steps = (torch.maximum(below, above), last) if grid.is_symmetric else (below + above, last - first)
    scale = span / n_steps
    scale = scale.where(scale >= torch.finfo(kind).tiny, 1.0)
    zero_point = torch.zeros_like(scale) if grid.is_symmetric else (first + below / scale).round()
    return scale.to(kind), zero_point.to(torch.int32)


def quantize(x: Tensor, scale: Tensor, zero_point: Tensor, grid: Grid) -> Tensor:
    """The integers that stand for x. x: (any shape) -> same shape, int8 or uint8.

    scale, zero_point: () for the whole tensor, (out, 1, ...) for one of each channel, or anything else that has as many
    axes as x and broadcasts against it. Halves go to the even integer; what lies beyond the grid goes to its end. On a
    binary grid there is nothing but the sign, and 0 counts as positive.

    Example:
        >>> quantize(torch.tensor([-9.0, -0.5, 0.0, 0.5, 1.5]), torch.tensor(1.0), torch.tensor(0), Grid(bits=4))
        tensor([-7,  0,  0,  0,  2], dtype=torch.int8)

    Raises:
        ValueError: x holds NaN or infinity, a scale is not above 0, or the shapes do not fit.

    Reference: Nagel et al., 2021, arXiv 2106.08295, section 2.2; binary: Rastegari et al., XNOR-Net, 2016, arXiv
    1603.05279.
    """
    check_finite("x", x)
    _check_scale(x, scale, zero_point)
    steps = x.to(real_type(scale)) * scale.reciprocal()
    if grid.is_binary:
        integers = torch.where(steps < 0, -1, 1)
    else:
        integers = (steps.round() + zero_point).clamp(*integer_range(grid))
    return integers.to(torch.int8 if grid.is_signed else torch.uint8)


def dequantize(integers: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """The real numbers that the integers stand for. integers: (any shape) -> same shape, float32 or float64.

    Example:
        >>> dequantize(torch.tensor([0, 1, 3], dtype=torch.uint8), torch.tensor(0.5), torch.tensor(1))
        tensor([-0.5000,  0.0000,  1.0000])
    """
    return (integers.to(real_type(scale)) - zero_point) * scale


def fake_quantize(x: Tensor, scale: Tensor, zero_point: Tensor, grid: Grid) -> Tensor:
    """The values moved onto the grid and kept as floats: as coarse as integers, as slow and as large as before.

    x: (any shape) -> same shape and type; the scale and the zero point as for `quantize`.

    Example:
        >>> fake_quantize(torch.tensor([0.2, 0.3, 9.0]), torch.tensor(0.5), torch.tensor(0), Grid(bits=2))
        tensor([0.0000, 0.5000, 0.5000])

    Raises:
        ValueError: as `quantize` does.
    """
    return dequantize(quantize(x, scale, zero_point, grid), scale, zero_point).to(x.dtype)


def real_type(*tensors: Tensor) -> torch.dtype:
    """The type to compute in: float64 where a tensor has it, else float32; half precision is too coarse for a grid."""
    kind = torch.float32
    for tensor in tensors:
        kind = torch.promote_types(kind, tensor.dtype)
    return kind


def check_finite(name: str, x: Tensor) -> None:
    """Raise ValueError, with the first value and its position, if x holds NaN or infinity."""
    finite = x.isfinite()
    if bool(finite.all()):
        return
    position = tuple((~finite).nonzero()[0].tolist())
    place = f" at position {position}" if position else ""
    raise ValueError(
        f"{name} holds {x[position].item()}{place}, which has no place on a grid: every value must be a finite number; "
        "look for a division by zero, or training that diverged"
    )


def _check_ends(low: Tensor, high: Tensor, grid: Grid) -> None:
    check_finite("low", low)
    check_finite("high", high)
    wrong = low > high
    if bool(wrong.any()):
        raise ValueError(f"low must not lie above high, not low {low[wrong][0]:.6g} and high {high[wrong][0]:.6g}")
    if grid.is_symmetric and not grid.is_signed and bool((low < 0).any()):
        raise ValueError(f"low must be 0 or more on a symmetric grid without sign, not {low.min():.6g}: give it a sign")


def _check_scale(x: Tensor, scale: Tensor, zero_point: Tensor) -> None:
    fits = scale.ndim in (0, x.ndim) and all(one in (1, n) for one, n in zip(scale.shape, x.shape, strict=False))
    if not fits or zero_point.shape != scale.shape:
        raise ValueError(
            f"scale and zero_point must both have the shape (), or one with {x.ndim} axes that broadcasts against "
            f"{tuple(x.shape)}, such as ({', '.join(map(str, (*x.shape[:1], *[1] * (x.ndim - 1))))}), "
            f"not {tuple(scale.shape)} and {tuple(zero_point.shape)}"
        )
    if not bool((scale > 0).all()):
        raise ValueError(f"scale must be above 0, not {scale.min():.6g}: it is the step from one number to the next")
