"""Entropy: the clipping after which the histogram of a layer tells most of what it told before.

For each clipping, two distributions of the magnitudes are compared: what lies in each bin, with all that is clipped in
the last one; and what a grid with few levels leaves of it, each level spread evenly over the filled bins that fall into
it. The Kullback-Leibler divergence, sum of p log(p / q), is the information lost between the two. Clipping costs in its
last bin, and coarse levels cost in all of them.

Reference: Migacz, 8-bit inference with TensorRT, GTC 2017.

Where we deviate from the slides: the first bin holds the exact zeros that a ReLU makes, which no grid moves, so its
count is replaced by that of its neighbour, as NVIDIA's toolkit does. A clipping ends after any bin, and a level may
begin between two, so nothing is left over at the end; MXNet and ONNX Runtime merge whole bins, count what is left over
into the last level, and smooth the zeros away. At work: `modelopt.torch.quantization.calib`, or ONNX Runtime's
calibrator.
"""

import torch
from torch import Tensor

from efflab.quantize.grids import Grid, integer_range
from efflab.quantize.histograms import SIDE, Histogram

FIRST = 128
"""No clipping is tried that leaves fewer bins than this, a sixteenth of the reach; so NVIDIA's toolkit."""


def entropy(histogram: Histogram, grid: Grid) -> tuple[Tensor, Tensor]:
    """The range of the clipping that loses the least information: low and high, (), within those of the histogram.

    Of equal clippings the widest wins. Zeros alone have the range 0 to 0.

    Reference: Migacz, GTC 2017.
    """
    counts = (histogram.counts[SIDE:] + histogram.counts[:SIDE].flip(0)).double()  # (SIDE,), by magnitude
    counts[0] = counts[1]
    filled = counts.nonzero()
    if len(filled) == 0:
        return histogram.low, histogram.high
    n_levels = levels_of_magnitude(grid, is_one_sided=bool(histogram.low >= 0))
    n_bins = range(max(FIRST, n_levels), int(filled[-1]) + 2)
    lost = torch.stack([divergence(counts, n, n_levels) for n in n_bins])
    widest = len(lost) - 1 - int(lost.flip(0).argmin())
    clip = n_bins[widest] * histogram.width
    return histogram.low.clamp(min=-clip), histogram.high.clamp(max=clip)


def divergence(counts: Tensor, n_bins: int, n_levels: int) -> Tensor:
    """The information that is lost when only the first `n_bins` stay, on `n_levels` levels, in nats: ().

    counts: (bins,) float64, how many magnitudes lie in each bin. Infinite where a bin holds what is clipped alone.

    Example:
        >>> divergence(torch.tensor([4.0, 4.0, 1.0, 1.0], dtype=torch.float64), n_bins=4, n_levels=2)
        tensor(0., dtype=torch.float64)
    """
    inside = counts[:n_bins]
    is_filled = inside > 0
    level = torch.arange(n_bins) * n_levels // n_bins  # (n_bins,), into which level each bin falls
    in_level = torch.bincount(level, weights=inside) / torch.bincount(level, weights=is_filled.double())
    after = in_level[level].where(is_filled, 0.0)
    before = inside.clone()
    before[-1] += counts[n_bins:].sum()
    there = before > 0
    p, q = before[there] / before.sum(), after[there] / inside.sum().clamp(min=1)  # 1: where none is inside
    return torch.as_tensor((p * (p / q).log()).sum())


def levels_of_magnitude(grid: Grid, *, is_one_sided: bool) -> int:
    """How many levels the magnitudes get: those of a symmetric grid that are not negative; else half, or all.

    Example:
        >>> affine = Grid(is_symmetric=False, is_signed=False)
        >>> levels_of_magnitude(Grid(), is_one_sided=True), levels_of_magnitude(affine, is_one_sided=True)
        (128, 256)
    """
    first, last = integer_range(grid)
    if grid.is_symmetric:
        return last + 1
    n = last - first + 1
    return n if is_one_sided else n // 2
