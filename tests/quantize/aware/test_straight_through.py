"""Rounding straight through: the values are those of the grid, and the gradients those of torch's fake quantization."""

import pytest
import torch
from torch import Tensor

from efflab.quantize import Grid, fake_quantize, integer_range, scale_and_zero_point, straight_through

GRIDS = [Grid(bits, is_symmetric, True) for bits in (2, 3, 4, 8) for is_symmetric in (True, False)]
UNSIGNED = [Grid(bits, is_symmetric=False, is_signed=False) for bits in (2, 8)]


def weights(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def gradient_of(y: Tensor, x: Tensor) -> Tensor:
    """The gradient of a sum in which each value of y has a weight of its own."""
    generator = torch.Generator().manual_seed(1)
    (gradient,) = torch.autograd.grad((y * torch.randn(y.shape, generator=generator)).sum(), x)
    return gradient


@pytest.mark.parametrize("grid", [*GRIDS, *UNSIGNED])
def test_values_and_gradients_are_those_of_torch_for_a_scale_for_all(grid):
    x = weights(400)
    scale, zero_point = scale_and_zero_point(-1.2, 0.9, grid) if grid.is_signed else scale_and_zero_point(0.0, 1, grid)
    ours = straight_through(x, scale, zero_point, grid)
    theirs = torch.fake_quantize_per_tensor_affine(x, scale, zero_point, *integer_range(grid))
    assert torch.equal(ours, theirs)
    gradient = gradient_of(ours, x)
    assert torch.equal(gradient, gradient_of(theirs, x))
    assert 0 < int((gradient == 0).sum()) < 400


@pytest.mark.parametrize("grid", GRIDS)
def test_values_and_gradients_are_those_of_torch_for_a_scale_of_each_channel(grid):
    x = weights(5, 4, 3, 3)
    reach = torch.linspace(0.3, 2.0, 5).reshape(5, 1, 1, 1)
    scale, zero_point = scale_and_zero_point(-reach, reach / 2, grid)
    ours = straight_through(x, scale, zero_point, grid)
    theirs = torch.fake_quantize_per_channel_affine(x, scale.flatten(), zero_point.flatten(), 0, *integer_range(grid))
    assert torch.equal(ours, theirs)
    assert torch.equal(gradient_of(ours, x), gradient_of(theirs, x))


def test_what_is_rounded_onto_the_last_integer_is_not_clipped_and_what_lies_further_out_is():
    x = torch.tensor([0.0, 1.4, 1.6, -1.4, -1.6, 100.0], requires_grad=True)  # the grid is -1, 0, 1
    y = straight_through(x, torch.tensor(1.0), torch.tensor(0), Grid(bits=2))
    assert y.tolist() == [0, 1, 1, -1, -1, 1]
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == [1, 1, 0, 1, 0, 0]


def test_a_sign_clips_nothing():
    x = torch.tensor([-3.0, -0.1, 0.0, 7.0], requires_grad=True)
    y = straight_through(x, torch.tensor(0.5), torch.tensor(0), Grid(bits=1))
    assert y.tolist() == [-0.5, -0.5, 0.5, 0.5]
    assert torch.autograd.grad((y * torch.tensor([1.0, 2, 3, 4])).sum(), x)[0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_the_values_are_bit_for_bit_those_without_a_gradient(bits):
    x, grid = weights(6, 50), Grid(bits)
    scale, zero_point = scale_and_zero_point(torch.full((6, 1), -1.7), torch.full((6, 1), 1.7), grid)
    assert torch.equal(straight_through(x, scale, zero_point, grid), fake_quantize(x.detach(), scale, zero_point, grid))


def test_a_float_behind_the_grid_moves_until_its_rounded_value_does():
    """A weight at 0.1 that should be 0.9: each step is too small to be seen, and after enough of them it is 1."""
    weight, seen = torch.tensor([0.1], requires_grad=True), []
    optimizer = torch.optim.SGD([weight], lr=0.05)
    for _ in range(6):
        rounded = straight_through(weight, torch.tensor(1.0), torch.tensor(0), Grid(bits=4))
        seen.append(rounded.item())
        optimizer.zero_grad()
        ((rounded - 0.9) ** 2).sum().backward()
        optimizer.step()
    assert seen == [0, 0, 0, 0, 0, 1]  # 0.1 + 5 * 0.05 * 1.8 = 0.55


def test_a_value_that_is_no_number_gets_the_sentence_of_the_grid():
    with pytest.raises(ValueError, match=r"^x holds nan at position \(1,\)"):
        straight_through(torch.tensor([0.0, float("nan")]), torch.tensor(1.0), torch.tensor(0), Grid())
