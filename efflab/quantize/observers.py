"""Observers: from which value to which the grid should reach.

A wide range clips nothing and has large steps; a narrow one has small steps and clips the few values beyond.

    min-max      all values: nothing is clipped, and one outlier stretches every step
    percentile   all but the outermost few
    MSE          of a hundred clippings, the one with the smallest mean squared error
    entropy      the clipping after which the histogram tells most of what it told before

`observe` looks at weights, all at once; `observe_batches` at activations, which come in batches and are only counted.

References: min-max, percentile, entropy: Wu et al., Integer quantization for deep learning inference, 2020, arXiv
2004.09602, section 3.4. MSE: Nagel et al., A white paper on neural network quantization, 2021, arXiv 2106.08295,
section 3.1. Entropy: Migacz, 8-bit inference with TensorRT, GTC 2017; see `entropy.py`.

Where we simplify: clipping moves both ends by one factor. At work: the calibrators of your runtime, such as
`onnxruntime.quantization.calibrate`.
"""

from collections.abc import Iterable
from functools import partial
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from efflab.knobs import Choice, Range
from efflab.quantize.entropy import entropy
from efflab.quantize.few_bits import mean_magnitude
from efflab.quantize.grids import Grid, fake_quantize, scale_and_zero_point
from efflab.quantize.histograms import Histogram, count_values, quantile
from efflab.quantize.sharing import Granularity, Statistic, shared

OBSERVERS = Choice(("min-max", "percentile", "MSE", "entropy"), "how the range of the grid is found")
Observer = Annotated[str, OBSERVERS]
KEPT = Range(0.9, 1.0, 0.001, "fraction of values that a percentile keeps in the range")
Kept = Annotated[float, KEPT]

CLIPPINGS = tuple(n / 100 for n in range(100, 0, -1))
"""The fractions of the whole range that the MSE observer tries, the widest first."""

Ends = tuple[Tensor, Tensor]
"""The lowest and the highest value of a range."""


def observe(
    weight: Tensor,
    grid: Grid,
    observer: Observer = "min-max",
    *,
    granularity: Granularity = "per tensor",
    group_size: int = 32,
    kept: Kept = 0.999,
) -> Ends:
    """The range of a weight, for `scale_and_zero_point`: low and high, in a shape that broadcasts against the weight.

    weight: (any shape), or (out, in) "per group". `kept` is used by "percentile" only. A binary grid has the range of
    XNOR-Net, whatever the observer. "entropy" takes about 0.1 s a row, and needs thousands of values in it.

    Example:
        >>> observe(torch.tensor([[1.0, -2.0], [0.5, 4.0]]), Grid(), granularity="per channel")
        (tensor([[-2.0000],
                [ 0.5000]]), tensor([[1.],
                [4.]]))

    Raises:
        TypeError, ValueError: another observer, `kept` out of range, or as `shared` does.

    References: as at the top of this module.
    """
    _check(observer, kept)
    methods: dict[str, Statistic] = {
        "min-max": min_max,
        "percentile": partial(percentile, kept=kept),
        "MSE": partial(least_squares, grid=grid),
        "entropy": partial(_entropy_of_rows, grid=grid),
    }
    statistic = mean_magnitude if grid.is_binary else methods[observer]
    low, high = shared(statistic, weight, granularity, group_size)
    return low, high


def observe_batches(
    batches: Iterable[Tensor], grid: Grid, observer: Observer = "min-max", *, kept: Kept = 0.999
) -> Ends:
    """The range of a stream of activations: low and high, (). batches: each of any shape, looked at once.

    "min-max" is exact, "percentile" half a bin from exact at most, and the others see each value as the middle of its
    bin. A bin is at most 1/1024 of the largest magnitude. `kept` is used by "percentile" only.

    Example:
        >>> observe_batches([torch.tensor([0.0, 2.0]), torch.tensor([5.0])], Grid(is_symmetric=False))
        (tensor(0.), tensor(5.))

    Raises:
        TypeError, ValueError: another observer, `kept` out of range, or as `count_values` does.

    References: as at the top of this module.
    """
    _check(observer, kept)
    histogram = count_values(batches)
    if observer == "min-max":
        return histogram.low, histogram.high
    if observer == "percentile":
        cut = (1 - kept) / 2
        low, high = (quantile(histogram, fraction) for fraction in (cut, 1 - cut))
        return histogram.low.new_tensor(low), histogram.high.new_tensor(high)
    return entropy(histogram, grid) if observer == "entropy" else _least_squares_of(histogram, grid)


def min_max(values: Tensor) -> Ends:
    """The smallest and the largest of each row. values: (rows, n) -> (rows,), (rows,)."""
    low, high = values.aminmax(dim=1)
    return low, high


def percentile(values: Tensor, kept: float) -> Ends:
    """The range that holds the fraction `kept` of each row; of the rest, half lies below and half above.

    values: (rows, n) -> (rows,), (rows,). A place between two values is interpolated, as in `torch.quantile`.
    """
    cut = (1 - kept) / 2
    low, high = np.quantile(values.numpy(force=True), (cut, 1 - cut), axis=1)
    return values.new_tensor(low), values.new_tensor(high)


def least_squares(values: Tensor, grid: Grid, *, ends: Ends | None = None, counts: Tensor | None = None) -> Ends:
    """Of the clippings of each row, the one after which the grid has the smallest mean squared error.

    values: (rows, n) -> (rows,), (rows,). `ends`, each (rows,), are the range that is clipped, unless the values' own;
    counts: (n,) says how often each value is there, once unless given. Of equal clippings the widest wins.

    Reference: Nagel et al., 2021, arXiv 2106.08295, section 3.1.
    """
    low, high = min_max(values) if ends is None else ends
    least, best = torch.full_like(low, torch.inf, dtype=torch.float64), torch.ones_like(low)
    for clipping in CLIPPINGS:
        scale, zero_point = scale_and_zero_point(low[:, None] * clipping, high[:, None] * clipping, grid)
        squares = (fake_quantize(values, scale, zero_point, grid).double() - values.double()).square()
        error = squares.mean(dim=1) if counts is None else squares @ counts.double()
        best, least = best.where(error >= least, clipping), least.minimum(error)
    return low * best, high * best


def _least_squares_of(histogram: Histogram, grid: Grid) -> Ends:
    filled = histogram.counts > 0
    values = histogram.centres[filled][None].to(histogram.low.dtype)
    ends = (histogram.low[None], histogram.high[None])
    low, high = least_squares(values, grid, ends=ends, counts=histogram.counts[filled])
    return low[0], high[0]


def _entropy_of_rows(values: Tensor, grid: Grid) -> Ends:
    low, high = zip(*(entropy(count_values([row]), grid) for row in values), strict=True)
    return torch.stack(low), torch.stack(high)


def _check(observer: str, kept: float) -> None:
    OBSERVERS.check("observer", observer)
    KEPT.check("kept", kept)
