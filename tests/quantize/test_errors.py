"""Errors: values worked by hand, those of torch and scikit-learn, and 6.02 dB for each bit."""

import math

import pytest
import torch
from sklearn.metrics import max_error as their_max
from sklearn.metrics import mean_squared_error as their_mean

from efflab.quantize import Grid, cosine, fake_quantize, max_error, mean_squared_error, scale_and_zero_point
from efflab.quantize import signal_to_noise_db as decibels

MEASURES = (max_error, mean_squared_error, decibels, cosine)


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def quantized(x: torch.Tensor, grid: Grid) -> torch.Tensor:
    return fake_quantize(x, *scale_and_zero_point(x.min(), x.max(), grid), grid)


@pytest.mark.parametrize("seed", range(5))
def test_they_are_those_of_others(seed):
    x, other = rand(seed, 7, 5), rand(seed + 100, 7, 5)
    flat, other_flat = x.double().flatten(), other.double().flatten()
    assert max_error(x, other) == pytest.approx(their_max(flat, other_flat), rel=1e-12)
    assert mean_squared_error(x, other) == pytest.approx(their_mean(flat, other_flat), rel=1e-12)
    assert cosine(x, other) == pytest.approx(torch.cosine_similarity(flat, other_flat, dim=0).item(), rel=1e-12)


def test_the_signal_to_noise_ratio_worked_by_hand():
    x = torch.tensor([3.0, -4.0], dtype=torch.float64)
    other = torch.tensor([3.0, -4.05], dtype=torch.float64)
    assert decibels(x, other) == pytest.approx(40.0)  # 25 / 0.0025 is ten thousand
    assert decibels(x, 2 * x) == pytest.approx(0.0)


@pytest.mark.parametrize("bits", range(3, 9))
def test_a_grid_over_uniform_data_has_six_decibels_a_bit(bits):
    x = torch.rand(200_000, generator=torch.Generator().manual_seed(bits), dtype=torch.float64) * 2 - 1
    affine = Grid(bits, is_symmetric=False)
    assert decibels(x, quantized(x, affine)) == pytest.approx(20 * math.log10(2**bits - 1), abs=0.1)
    assert decibels(x, quantized(x, Grid(bits))) == pytest.approx(20 * math.log10(2**bits - 2), abs=0.1)


def test_one_bit_more_brings_about_six_decibels():
    x = torch.rand(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    found = [decibels(x, quantized(x, Grid(bits, is_symmetric=False))) for bits in (6, 7, 8)]
    assert [found[1] - found[0], found[2] - found[1]] == pytest.approx([6.02, 6.02], abs=0.15)


def test_the_cosine_does_not_see_the_scale_and_the_others_do():
    x = rand(0, 50)
    assert cosine(x, 3 * x) == pytest.approx(1)
    assert cosine(x, -x) == pytest.approx(-1)
    assert mean_squared_error(x, 3 * x) == pytest.approx(4 * x.square().mean().item(), rel=1e-5)


def test_without_an_error_the_ratio_is_infinite():
    x = rand(0, 5)
    assert [measure(x, x) for measure in MEASURES] == [0, 0, math.inf, pytest.approx(1)]


def test_zeros_have_their_own_answers():
    zeros, ones = torch.zeros(3), torch.ones(3)
    assert [measure(zeros, zeros) for measure in MEASURES] == [0, 0, math.inf, 1]
    assert [measure(zeros, ones) for measure in MEASURES] == [1, 1, -math.inf, 0]
    assert [measure(ones, zeros) for measure in MEASURES] == [1, 1, 0, 0]


def test_numbers_beyond_the_square_root_of_the_largest_float_are_measured():
    x = torch.tensor([1e30, -1e30])
    assert mean_squared_error(x, 0 * x) == pytest.approx(1e60)
    assert cosine(x * 1e-50, x) == 0  # in float32 they are zeros
    assert cosine(x, x / 2) == pytest.approx(1)


@pytest.mark.parametrize("measure", MEASURES)
def test_another_shape_is_refused_though_it_would_broadcast(measure):
    with pytest.raises(ValueError, match=r"quantized must have the shape of x, \(2, 3\), not \(1, 3\)"):
        measure(torch.zeros(2, 3), torch.zeros(1, 3))


@pytest.mark.parametrize("measure", MEASURES)
def test_no_values_are_refused(measure):
    with pytest.raises(ValueError, match="x must hold at least one value, not none"):
        measure(torch.zeros(0), torch.zeros(0))


@pytest.mark.parametrize("measure", MEASURES)
def test_values_that_are_not_finite_are_refused(measure):
    with pytest.raises(ValueError, match=r"quantized holds inf at position \(1,\)"):
        measure(torch.zeros(2), torch.tensor([0.0, math.inf]))
    with pytest.raises(ValueError, match=r"x holds nan at position \(0,\)"):
        measure(torch.tensor([math.nan, 0.0]), torch.zeros(2))
