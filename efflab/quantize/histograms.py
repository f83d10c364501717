"""Histograms: what stays of a stream of activations when nobody keeps the activations.

Calibration shows a network a few hundred examples and asks which values each layer makes. They come batch by batch, and
there are too many to keep, so they are counted in bins. When a value lies beyond the last bin, bins are merged in pairs
until it fits.

    |----|----|----|----0----|----|----|----|     the bins, and zero between the two in the middle
  -reach                                  reach   a power of two, above every magnitude

As the reach is a power of two, values are assigned and bins are merged without rounding, and the histogram of a stream
is, bin for bin, that of all values at once, in whatever order they came.

Reference: Wu et al., Integer quantization for deep learning inference, 2020, arXiv 2004.09602, section 3.4 (calibration
by histograms).

Where we simplify: up to half of the bins are empty, for the reach may be twice the largest magnitude. At work:
`onnxruntime.quantization.calibrate`, which keeps the width of its first batch and adds bins.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from efflab.quantize.grids import check_finite, real_type

SIDE = 2048
"""Bins on either side of zero. One is at most 1/1024 of the largest magnitude, an eighth of a step of 8 bits."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many values of a stream lie in each bin, and its two exact ends.

    counts: (2 * SIDE,) int64, of equal bins from -reach to reach, each with its left edge; low, high: (), in the units
    and the type of the values.
    """

    counts: Tensor
    reach: float
    low: Tensor
    high: Tensor

    @property
    def width(self) -> float:
        """The width of a bin, in the units of the values."""
        return self.reach / SIDE

    @property
    def centres(self) -> Tensor:
        """The middle of each bin, in the units of the values: (2 * SIDE,) float64."""
        return (torch.arange(-SIDE, SIDE, dtype=torch.float64) + 0.5) * self.width


def count_values(batches: Iterable[Tensor]) -> Histogram:
    """The histogram of all values of the batches, of which one at a time is looked at. batches: each of any shape.

    Example:
        >>> histogram = count_values([torch.tensor([0.5, -1.0]), torch.tensor([[3.0], [0.0]])])
        >>> histogram.counts.sum(), histogram.reach, histogram.low, histogram.high
        (tensor(4), 4.0, tensor(-1.), tensor(3.))

    Raises:
        ValueError: there is no batch, or one is empty or holds NaN or infinity; the sentence gives its place.
    """
    total = None
    for place, batch in enumerate(batches):
        one = _count_one(f"batches[{place}]", batch)
        total = one if total is None else _add(total, one)
    if total is None:
        raise ValueError("batches must hold at least one batch to calibrate on, not none")
    return total


def quantile(histogram: Histogram, fraction: float) -> float:
    """The value below which the given fraction of all values lies, at most half a bin from the exact one.

    As with `torch.quantile`, a place between two values is interpolated; each is taken to lie in the middle of its bin.
    """
    n_up_to = histogram.counts.cumsum(dim=0)  # (bins,)
    place = fraction * (int(n_up_to[-1]) - 1)
    neighbours = torch.tensor([math.floor(place), math.ceil(place)])
    below, above = histogram.centres[torch.searchsorted(n_up_to, neighbours, right=True)].tolist()
    value: float = below + (above - below) * (place - math.floor(place))
    return min(max(value, float(histogram.low)), float(histogram.high))


def _count_one(name: str, batch: Tensor) -> Histogram:
    if batch.numel() == 0:
        raise ValueError(f"{name} must hold at least one value, not none: its shape is {tuple(batch.shape)}")
    check_finite(name, batch)
    values = batch.detach().to(real_type(batch)).flatten()
    low, high = values.aminmax()
    reach = _reach(max(-low.item(), high.item()))
    bins = (values.double() * (SIDE / reach)).floor().long() + SIDE
    return Histogram(torch.bincount(bins, minlength=2 * SIDE), reach, low, high)


def _reach(magnitude: float) -> float:
    """The smallest power of two above a magnitude; of nothing but zeros, one below any that will come."""
    return math.ldexp(1.0, max(math.frexp(magnitude)[1], -1000) if magnitude else -1000)


def _add(one: Histogram, other: Histogram) -> Histogram:
    """Both in the bins of the wider one."""
    reach = max(one.reach, other.reach)
    counts = _widen(one, reach) + _widen(other, reach)
    return Histogram(counts, reach, torch.minimum(one.low, other.low), torch.maximum(one.high, other.high))


def _widen(histogram: Histogram, reach: float) -> Tensor:
    """The counts in bins up to a larger reach: bin k, counted from zero, becomes bin floor(k / factor)."""
    bins = torch.arange(-SIDE, SIDE, dtype=torch.float64) * (histogram.reach / reach)
    return torch.zeros_like(histogram.counts).index_add(0, bins.floor().long() + SIDE, histogram.counts)
