"""Observers: the ranges of torch and NumPy, the least error of all candidates, and streams as all at once."""

import math

import numpy as np
import pytest
import torch

from efflab.quantize import Grid, fake_quantize, mean_squared_error, observe, observe_batches, scale_and_zero_point
from efflab.quantize.entropy import entropy
from efflab.quantize.histograms import count_values
from efflab.quantize.observers import least_squares

AFFINE = Grid(8, is_symmetric=False, is_signed=False)
GRIDS = [Grid(8), Grid(2), Grid(4, is_symmetric=False), AFFINE]
OBSERVERS = ["min-max", "percentile", "MSE", "entropy"]


def name(grid: Grid) -> str:
    return f"{grid.bits}{'s' if grid.is_symmetric else 'a'}{'i' if grid.is_signed else 'u'}"


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def heavy(seed: int, *shape: int) -> torch.Tensor:
    return rand(seed, *shape) ** 3


def error(x: torch.Tensor, ends: tuple[torch.Tensor, torch.Tensor], grid: Grid) -> float:
    return mean_squared_error(x, fake_quantize(x, *scale_and_zero_point(*ends, grid), grid))


def clipped(x: torch.Tensor, grid: Grid) -> dict[int, float]:
    """The error of each clipping to so many hundredths of the range."""
    hundredths = ((n, (x.min() * (n / 100), x.max() * (n / 100))) for n in range(1, 101))
    return {n: error(x, ends, grid) for n, ends in hundredths}


# Weights


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (4, 3, 1, 3)])
def test_min_max_holds_all_values(shape):
    x = rand(0, *shape)
    low, high = observe(x, Grid())
    assert (low.item(), high.item()) == (x.min().item(), x.max().item())
    low, high = observe(x, Grid(), granularity="per channel")
    flat = x.reshape(shape[0], -1)
    assert torch.equal(low.flatten(), flat.amin(dim=1))
    assert torch.equal(high.flatten(), flat.amax(dim=1))


@pytest.mark.parametrize("kept", [1.0, 0.999, 0.99, 0.9])
@pytest.mark.parametrize("n", [1, 2, 37, 5000])
def test_a_percentile_is_that_of_torch_and_numpy(kept, n):
    x = heavy(n, 3, n)
    cut = (1 - kept) / 2
    low, high = observe(x, Grid(), "percentile", granularity="per channel", kept=kept)
    for found, fraction in ((low, cut), (high, 1 - cut)):
        theirs = torch.quantile(x.double(), fraction, dim=1)
        np.testing.assert_allclose(found.flatten(), theirs, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.flatten(), np.percentile(x, 100 * fraction, axis=1), rtol=1e-5, atol=1e-6)


def test_keeping_all_values_is_min_max():
    x = heavy(0, 4, 50)
    found = observe(x, Grid(), "percentile", granularity="per channel", kept=1.0)
    for one, other in zip(found, observe(x, Grid(), granularity="per channel"), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("grid", GRIDS, ids=name)
def test_least_squares_is_the_best_of_its_hundred_clippings(grid):
    for seed in range(2):
        x = heavy(seed, 40)
        errors = clipped(x, grid)
        best = max(n for n in errors if errors[n] == min(errors.values()))  # of equal ones the widest
        low, high = observe(x, grid, "MSE")
        assert (low.item(), high.item()) == (pytest.approx(x.min().item() * best / 100), x.max() * (best / 100))


@pytest.mark.parametrize("granularity", ["per tensor", "per channel", "per group"])
@pytest.mark.parametrize("grid", GRIDS, ids=name)
def test_least_squares_never_has_a_larger_error_than_min_max(grid, granularity):
    for x in (heavy(0, 5, 23), heavy(1, 5, 23).abs(), torch.full((2, 3), -0.7), torch.zeros(2, 3)):
        how = {"granularity": granularity, "group_size": 12}
        assert error(x, observe(x, grid, "MSE", **how), grid) <= error(x, observe(x, grid, **how), grid)


def test_of_equal_clippings_the_widest_wins():
    ends = (torch.tensor([-1.0]), torch.tensor([2.0]))
    assert least_squares(torch.zeros(1, 3), Grid(), ends=ends) == ends


def test_each_channel_is_clipped_by_itself():
    x = torch.cat([heavy(0, 1, 300), rand(1, 1, 300)])
    low, high = observe(x, Grid(3), "MSE", granularity="per channel")
    for row, ends in zip(x, zip(low[:, 0], high[:, 0], strict=True), strict=True):
        assert ends == observe(row, Grid(3), "MSE")


def test_the_fewer_bits_the_more_is_clipped():
    x = rand(0, 20_000)
    reach = [observe(x, Grid(bits), "MSE")[1].item() for bits in (8, 6, 4, 3, 2)]
    assert reach == sorted(reach, reverse=True)
    assert reach[0] > 2 * reach[-1]


def test_the_range_of_least_squares_for_normal_weights_is_that_of_the_literature():
    x = rand(0, 50_000)
    _, high = observe(x, Grid(4, is_symmetric=False), "MSE")
    assert high.item() == pytest.approx(2.55, abs=0.15)  # Banner et al., 2019, arXiv 1810.05723: 2.55 sigma for 4 bits


def test_entropy_of_weights_is_that_of_their_histogram():
    x = heavy(0, 2, 3000)
    low, high = observe(x, Grid(4), "entropy", granularity="per channel")
    for row, ends in zip(x, zip(low[:, 0], high[:, 0], strict=True), strict=True):
        assert ends == entropy(count_values([row]), Grid(4))


def test_a_channel_of_zeros_has_the_range_of_zeros():
    x = torch.stack([torch.zeros(300), rand(0, 300)])
    for observer in OBSERVERS:
        low, high = observe(x, Grid(), observer, granularity="per channel")
        assert (low[0].item(), high[0].item()) == (0, 0)
        assert low[1] < 0 < high[1]


# Streams


def batches(seed: int) -> list[torch.Tensor]:
    return [heavy(seed + i, *shape) for i, shape in enumerate([(50, 4, 3, 3), (50, 4, 3, 3), (13, 4, 3, 3)])]


def together(seed: int) -> torch.Tensor:
    return torch.cat(batches(seed)).flatten()


@pytest.mark.parametrize("seed", range(3))
def test_min_max_of_a_stream_is_that_of_all_at_once(seed):
    assert observe_batches(batches(seed), AFFINE) == observe(together(seed), AFFINE)


@pytest.mark.parametrize("kept", [1.0, 0.999, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_a_percentile_of_a_stream_is_half_a_bin_from_that_of_all_at_once_at_most(seed, kept):
    half_a_bin = together(seed).abs().max().item() / 1024 / 2
    found = observe_batches(batches(seed), AFFINE, "percentile", kept=kept)
    exact = observe(together(seed), AFFINE, "percentile", kept=kept)
    for one, other in zip(found, exact, strict=True):
        assert abs(one.item() - other.item()) <= half_a_bin * (1 + 1e-5)


@pytest.mark.parametrize("grid", GRIDS, ids=name)
def test_least_squares_of_a_stream_is_almost_as_good_as_that_of_all_at_once(grid):
    x = together(0)
    found = error(x, observe_batches(batches(0), grid, "MSE"), grid)
    assert found <= 1.01 * error(x, observe(x, grid, "MSE"), grid)


def test_least_squares_of_a_stream_weighs_each_bin_by_its_count():
    bulk, tail = torch.full((10_000,), 3.0), torch.tensor([100.0])
    few = observe_batches([bulk[:1], tail], Grid(4), "MSE")
    many = observe_batches([bulk, tail], Grid(4), "MSE")
    assert many[1].item() < 50 < few[1].item()


def test_entropy_of_a_stream_is_that_of_all_at_once():
    assert observe_batches(batches(0), AFFINE, "entropy") == observe(together(0), AFFINE, "entropy")


@pytest.mark.parametrize("observer", OBSERVERS)
def test_the_order_of_the_batches_does_not_matter(observer):
    assert observe_batches(batches(0), AFFINE, observer) == observe_batches(reversed(batches(0)), AFFINE, observer)


@pytest.mark.parametrize("observer", OBSERVERS)
def test_a_stream_of_zeros_can_be_quantized(observer):
    ends = observe_batches([torch.zeros(3), torch.zeros(2)], AFFINE, observer)
    zeros = fake_quantize(torch.zeros(3), *scale_and_zero_point(*ends, AFFINE), AFFINE)
    assert zeros.tolist() == [0, 0, 0]


@pytest.mark.parametrize("observer", OBSERVERS)
def test_a_constant_is_kept(observer):
    ends = observe_batches([torch.full((3,), 0.7)], AFFINE, observer)
    kept = fake_quantize(torch.full((3,), 0.7), *scale_and_zero_point(*ends, AFFINE), AFFINE)
    assert kept.tolist() == pytest.approx([0.7] * 3, abs=0.7 / 1024)


# What is refused


@pytest.mark.parametrize("observer", ["max", None])
def test_another_observer_is_refused(observer):
    with pytest.raises(ValueError, match=r"observer .*must be one of 'min-max', 'percentile', 'MSE', 'entropy', not"):
        observe(rand(0, 3), Grid(), observer)
    with pytest.raises(ValueError, match=r"observer .*must be one of"):
        observe_batches([rand(0, 3)], Grid(), observer)


@pytest.mark.parametrize("kept", [0.0, 99.9, math.nan, "most"])
def test_keeping_another_fraction_is_refused(kept):
    with pytest.raises((TypeError, ValueError), match=r"kept .*must be a number from 0.9 to 1.0, not"):
        observe(rand(0, 3), Grid(), "percentile", kept=kept)
    with pytest.raises((TypeError, ValueError), match=r"kept .*must be a number from 0.9 to 1.0, not"):
        observe_batches([rand(0, 3)], Grid(), "percentile", kept=kept)


@pytest.mark.parametrize("observer", OBSERVERS)
def test_bad_data_are_refused(observer):
    for bad, sentence in (
        (torch.zeros(0), "at least one value"),
        (torch.tensor([math.nan]), "must be a finite number"),
    ):
        with pytest.raises(ValueError, match=f"weight .*{sentence}"):
            observe(bad, Grid(), observer)
        with pytest.raises(ValueError, match=rf"batches\[0\] .*{sentence}"):
            observe_batches([bad], Grid(), observer)
    with pytest.raises(ValueError, match="at least one batch"):
        observe_batches([], Grid(), observer)
