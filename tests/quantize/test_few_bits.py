"""One bit and three values: the scales of XNOR-Net and of ternary weight networks."""

import pytest
import torch

from efflab.quantize import Grid, fake_quantize, observe, scale_and_zero_point, ternarize
from efflab.quantize.few_bits import mean_magnitude

BINARY = Grid(1)


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def best_ternary_error(weight: torch.Tensor) -> float:
    """The smallest mean squared error of -a, 0, a: every threshold is tried, with the best a for each."""
    magnitude = weight.abs().flatten().double().sort(descending=True).values
    explained = magnitude.cumsum(dim=0).square() / torch.arange(1, len(magnitude) + 1)
    return ((magnitude.square().sum() - explained.max()) / len(magnitude)).item()


@pytest.mark.parametrize("seed", range(5))
def test_the_binary_scale_is_the_one_of_least_squares(seed):
    rows = rand(seed, 4, 31)
    _, alpha = mean_magnitude(rows)
    for row, found in zip(rows, alpha, strict=True):
        best = torch.linalg.lstsq(row.sign()[:, None], row[:, None]).solution.item()
        assert found.item() == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("observer", ["min-max", "MSE"])
def test_one_bit_gives_each_channel_its_signs_times_its_mean_magnitude(observer):
    weight = rand(0, 3, 2, 3, 3)
    ends = observe(weight, BINARY, observer, granularity="per channel")
    found = fake_quantize(weight, *scale_and_zero_point(*ends, BINARY), BINARY)
    for channel, ours in zip(weight, found, strict=True):
        torch.testing.assert_close(ours, channel.sign() * channel.abs().mean())


def test_weights_of_three_values_worked_by_hand():
    weight = torch.tensor([[1.0, -2.0, 0.5, 0.0], [0.1, 0.1, -0.1, 0.1]])  # 0.7 of the mean magnitudes: 0.6125, 0.07
    integers, scale = ternarize(weight, "per channel")
    assert integers.tolist() == [[1, -1, 0, 0], [1, 1, -1, 1]]
    assert scale.flatten().tolist() == pytest.approx([1.5, 0.1])


@pytest.mark.parametrize(("kind", "excess"), [("normal", 1.01), ("uniform", 1.01)])
def test_the_threshold_is_almost_the_best(kind, excess):
    weight = rand(0, 100, 100) if kind == "normal" else torch.linspace(-1, 1, 10_000)
    integers, scale = ternarize(weight)
    error = (integers * scale - weight).square().mean().item()
    assert best_ternary_error(weight) <= error <= excess * best_ternary_error(weight)


def test_three_values_come_closer_than_two():
    weight = rand(0, 50, 50)
    integers, scale = ternarize(weight)
    two = weight.sign() * weight.abs().mean()
    assert (integers * scale - weight).square().mean() < 0.6 * (two - weight).square().mean()


@pytest.mark.parametrize("granularity", ["per tensor", "per channel", "per group"])
def test_the_scale_is_the_mean_magnitude_of_what_is_kept(granularity):
    weight = rand(0, 4, 6)
    integers, scale = ternarize(weight, granularity, group_size=6)
    for row in range(4):
        mine = weight if granularity == "per tensor" else weight[row : row + 1]
        kept = mine.abs()[mine.abs() > 0.7 * mine.abs().mean()]
        assert scale.expand(4, 6)[row, 0].item() == pytest.approx(kept.mean().item())
    assert integers.dtype == torch.int8


def test_zeros_stay_zeros_with_a_scale_that_can_be_divided_by():
    integers, scale = ternarize(torch.tensor([[0.0, 0.0], [1.0, -1.0]]), "per channel")
    assert integers.tolist() == [[0, 0], [1, -1]]
    assert scale.flatten().tolist() == [1, 1]


def test_a_constant_is_kept():
    integers, scale = ternarize(torch.full((3, 3), -0.4))
    assert (integers * scale).flatten().tolist() == pytest.approx([-0.4] * 9)
