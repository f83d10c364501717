"""Entropy: the clipping of NVIDIA's toolkit, written out with loops, and about that of ONNX Runtime."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch

from efflab.quantize import Grid
from efflab.quantize.entropy import divergence, entropy, levels_of_magnitude
from efflab.quantize.histograms import SIDE, count_values
from efflab.runtime.session import load

AFFINE = Grid(8, is_symmetric=False, is_signed=False)


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def heavy(seed: int, n: int = 20_000) -> torch.Tensor:
    """Values with long tails: a Laplace distribution."""
    uniform = torch.rand(n, generator=torch.Generator().manual_seed(seed)) - 0.5
    return -uniform.sign() * (1 - 2 * uniform.abs() + 1e-9).log()


def their_divergence(bins: np.ndarray, i: int, n_levels: int) -> float:
    """The loops of NVIDIA's pytorch-quantization 2.1, calib/histogram.py, for one clipping."""
    space = [k * i / n_levels for k in range(n_levels + 1)]
    level_of = np.digitize(range(i), space) - 1
    level_of[bins[:i] == 0] = -1
    sums, members = [0.0] * n_levels, [0] * n_levels
    for place, level in enumerate(level_of):
        if level != -1:
            sums[level] += bins[place]
            members[level] += 1
    new = np.array([sums[level] / members[level] if level != -1 else 0.0 for level in level_of])
    reference = bins[:i].astype(float)
    reference[-1] += bins[i:].sum()
    p, q = reference / reference.sum(), new / new.sum()
    if any(q[p > 0] == 0):
        return math.inf
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def by_magnitude(x: torch.Tensor) -> tuple[np.ndarray, float]:
    """The histogram of the magnitudes, the first bin as its neighbour; and the width of a bin."""
    width = 2.0 ** math.ceil(math.log2(x.abs().max().item())) / SIDE
    bins, _ = np.histogram(x.abs().double().numpy(), bins=SIDE, range=(0, SIDE * width))
    bins[0] = bins[1]
    return bins, width


@pytest.mark.parametrize("n_levels", [2, 8, 100, 128])
def test_the_divergence_is_that_of_the_loops(n_levels):
    for seed in range(2):
        bins, _ = by_magnitude(heavy(seed, 3000))
        counts = torch.tensor(bins, dtype=torch.float64)
        for n_bins in (128, 200, 257, 1024):
            theirs = their_divergence(bins, n_bins, n_levels)
            assert divergence(counts, n_bins, n_levels).item() == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("bits", [8, 5])
def test_the_clipping_is_the_one_that_the_loops_choose(bits):
    x, n_levels = heavy(0, 1000).abs(), 2 ** (bits - 1)
    bins, width = by_magnitude(x)
    last = int(bins.nonzero()[0][-1]) + 1
    lost = {i: their_divergence(bins, i, n_levels) for i in range(128, last + 1)}
    least = min(lost.values())
    theirs = max(i for i in lost if lost[i] <= least) * width
    low, high = entropy(count_values([x]), Grid(bits))
    assert (low.item(), high.item()) == (x.min().item(), pytest.approx(min(theirs, x.max().item())))


def test_of_normal_data_about_as_much_stays_as_with_onnx_runtime():
    load()
    from onnxruntime.quantization.calibrate import HistogramCollector

    x = rand(0, 50_000)
    collector = HistogramCollector("entropy", True, 1025, 255, 99.99, "same")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
        collector.collect({"x": x.numpy()})
        theirs = collector.compute_collection_result()["x"][:2]
    for ours, end in zip(entropy(count_values([x]), Grid()), theirs, strict=True):
        assert ours.item() == pytest.approx(float(end), rel=0.15)


def test_an_outlier_is_clipped_and_the_bulk_is_not():
    x = torch.cat([rand(0, 50_000), torch.tensor([40.0, -35.0])])
    low, high = entropy(count_values([x]), Grid())
    assert 2.5 < high.item() < 10
    assert -10 < low.item() < -2.5


def test_of_two_clippings_that_lose_nothing_the_wider_wins():
    _, high = entropy(count_values([torch.tensor([1.0, 1.0, 1.0, 1.9])]), Grid())
    assert high.item() == pytest.approx(1.9)


def test_uniform_data_are_hardly_clipped():
    x = torch.rand(100_000, generator=torch.Generator().manual_seed(0))
    _, high = entropy(count_values([x]), AFFINE)
    assert high.item() > 0.98


def test_the_zeros_of_a_relu_do_not_matter():
    x = heavy(0).abs()
    many = torch.cat([x, torch.zeros(5 * len(x))])
    assert entropy(count_values([x]), AFFINE)[1] == entropy(count_values([many]), AFFINE)[1]


def test_of_magnitudes_the_signs_do_not_matter():
    x = heavy(0)
    one, other = entropy(count_values([x]), Grid(4)), entropy(count_values([-x]), Grid(4))
    assert one[1].item() == pytest.approx(-other[0].item(), rel=0.02)  # a value on an edge may change its bin


def test_a_grid_of_each_kind_has_its_levels_of_magnitude():
    unsigned = Grid(4, is_symmetric=True, is_signed=False)
    for grid, one_sided, two_sided in ((Grid(8), 128, 128), (AFFINE, 256, 128), (Grid(2), 2, 2), (unsigned, 16, 16)):
        found = [levels_of_magnitude(grid, is_one_sided=side) for side in (True, False)]
        assert found == [one_sided, two_sided]


@pytest.mark.parametrize("bits", [1, 2])
def test_with_few_bits_too_the_range_is_positive_and_within_the_data(bits):
    x = heavy(bits)
    for grid in (Grid(bits), Grid(bits, is_symmetric=False)):
        low, high = entropy(count_values([x]), grid)
        assert x.min() <= low < 0 < high <= x.max()


def test_zeros_alone_have_the_range_of_zeros():
    low, high = entropy(count_values([torch.zeros(5)]), Grid())
    assert (low.item(), high.item()) == (0, 0)


def test_a_constant_is_kept():
    low, high = entropy(count_values([torch.full((5,), -3.0)]), Grid())
    assert (low.item(), high.item()) == (-3, -3)
