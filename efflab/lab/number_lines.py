"""Numbers beside the grid that they went onto: counted before in narrow bins, and after on the values of the grid.

Each number has a place in steps, number / scale + zero point; rounded, it is the integer that is stored. So one picture
takes numbers with different scales: those of many channels lie on the same integers. Where all share one scale, the
places are told in the units of the numbers.

    numbers     . .:|||:. .  .      counted in bins
    grid        |  |  |  |  |       how many sit on each of its values
    clipped                  ^      so far beyond the grid that the nearest integer is not on it

Where we simplify: a clipped number is one that rounding alone would bring beyond the last integer; one less than half
a step beyond it counts as rounded. At work: `onnxruntime.quantization.qdq_loss_debug` gives the errors as numbers.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efflab.quantize import Grid, integer_range, signal_to_noise_db
from efflab.quantize.grids import real_type

FEW_BINS, MANY_BINS = 15, 121
"""Bins of a histogram, odd: of few numbers so few that some have a height, of many no more than are seen."""


@dataclass(frozen=True, eq=False)
class NumberLine:
    """Numbers before and after they went onto a grid.

    edges: (bins + 1,) and counts: (bins,), the numbers before; values: (levels,) and held: (levels,), the grid and how
    many numbers sit on each of its values; edges and values in one unit: steps, or that of the numbers.

    clipped: fraction of the numbers that were clipped. clipped_share: fraction of the squared error that these make.
    signal_to_noise_db: infinite where there is no error. max_error_steps: the largest distance, in steps of its scale.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    values: NDArray[np.float64]
    held: NDArray[np.int64]
    clipped: float
    clipped_share: float
    signal_to_noise_db: float
    max_error_steps: float

    @property
    def n(self) -> int:
        """How many numbers there are."""
        return int(self.counts.sum())

    @property
    def n_dead(self) -> int:
        """Values of the grid on which no number sits."""
        return int((self.held == 0).sum())


def number_line(before: Tensor, after: Tensor, scale: Tensor, zero_point: Tensor, grid: Grid) -> NumberLine:
    """Count numbers before and after; in their own unit where the scale is one number, else in steps.

    before, after: (any one shape); after lies on the grid. scale, zero_point: (), or what broadcasts against them.

    Raises:
        ValueError: there are no numbers, or one is NaN or infinite.
    """
    kind = real_type(before, after, scale)
    x, on_grid = before.detach().to(kind), after.detach().to(kind)
    steps, integers = (one / scale + zero_point for one in (x, on_grid))
    levels = levels_of(grid)
    squares, clipped = (x - on_grid).double().square(), is_clipped(steps, zero_point, grid)
    values = levels.double() if scale.numel() > 1 else (levels - zero_point).double().flatten() * scale.double()
    edges, counts = _histogram(steps if scale.numel() > 1 else x, values)
    return NumberLine(
        edges,
        counts,
        values.numpy(),
        _held(integers.round().long(), levels),
        float(clipped.double().mean()),
        float(squares[clipped].sum() / squares.sum()) if bool(squares.any()) else 0.0,
        signal_to_noise_db(x, on_grid),
        float(((x - on_grid).abs() / scale).max()),
    )


def levels_of(grid: Grid) -> Tensor:
    """The integers of a grid, ascending: (levels,) int64.

    Example:
        >>> levels_of(Grid(bits=2)), levels_of(Grid(bits=1))
        (tensor([-1,  0,  1]), tensor([-1,  1]))
    """
    first, last = integer_range(grid)
    return torch.arange(first, last + 1, 2 if grid.is_binary else 1)


def is_clipped(steps: Tensor, zero_point: Tensor, grid: Grid) -> Tensor:
    """Which numbers have their nearest integer beyond the grid. steps: (any shape), number / scale + zero point."""
    first, last = integer_range(grid)
    if grid.is_binary:  # its two values lie two steps apart
        return steps.abs() > 2
    nearest = (steps - zero_point).round() + zero_point
    return (nearest < first) | (nearest > last)


def _held(integers: Tensor, levels: Tensor) -> NDArray[np.int64]:
    first, last = int(levels[0]), int(levels[-1])
    counts = torch.bincount((integers.flatten() - first).clamp(0, last - first), minlength=last - first + 1)
    return counts[levels - first].numpy()


def _histogram(numbers: Tensor, values: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Bins from end to end of the numbers and of the grid."""
    flat = numbers.flatten().double().numpy()
    low, high = min(flat.min(), float(values[0])), max(flat.max(), float(values[-1]))
    n_bins = min(MANY_BINS, max(FEW_BINS, 2 * math.isqrt(flat.size) | 1))
    counts, edges = np.histogram(flat, bins=n_bins, range=(low, high))
    return edges, counts.astype(np.int64)
