"""Learned steps: the gradients of the paper by hand, by torch's own kernel, and by finite differences."""

import math

import pytest
import torch
from torch import Tensor

from efflab.quantize import Grid, fake_quantize, gradient_scale, initial_step, integer_range, learned_step

BITS = [2, 3, 4, 8]


def weights(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)


def step_of_each_channel(n: int) -> Tensor:
    return torch.linspace(0.2, 0.9, n, dtype=torch.float64).reshape(n, 1).requires_grad_()


def factors(y: Tensor) -> Tensor:
    return torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)


def gradients(y: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad((y * factors(y)).sum(), inputs)


# By hand


@pytest.mark.parametrize(
    ("v", "of_v", "of_step"),
    [
        (0.0, 1, 0.0),
        (0.2, 1, -0.4),  # v / s = 0.4, rounded 0
        (0.3, 1, 0.4),  # 0.6, rounded 1
        (-0.7, 1, 0.4),  # -1.4, rounded -1
        (1.4, 1, 0.2),  # 2.8, rounded 3
        (1.5, 0, 3.0),  # at the end of the grid: equation 3 clips there
        (1.6, 0, 3.0),
        (-99.0, 0, -3.0),
    ],
)
def test_equations_3_and_5_by_hand(v, of_v, of_step):
    x = torch.tensor([v], requires_grad=True)
    step = torch.tensor(0.5, requires_grad=True)
    y = learned_step(x, step, Grid(bits=3))  # -3 ... 3
    got_v, got_step = torch.autograd.grad(y.sum(), (x, step))
    assert got_v.item() == of_v
    assert got_step.item() == pytest.approx(of_step / math.sqrt(3), abs=1e-6)  # N = 1, Q_P = 3


@pytest.mark.parametrize(("n", "bits", "scale"), [(1, 2, 1.0), (100, 2, 0.1), (400, 3, 1 / math.sqrt(1200))])
def test_the_scale_of_the_gradient(n, bits, scale):
    assert gradient_scale(n, Grid(bits)) == pytest.approx(scale)


def test_n_counts_the_weights_that_share_a_step():
    v = torch.full((2, 8), 100.0)
    for_all = torch.tensor(1.0, requires_grad=True)
    learned_step(v, for_all, Grid(bits=2)).sum().backward()
    assert for_all.grad.item() == pytest.approx(16 / math.sqrt(16))
    of_rows = torch.ones(2, 1, requires_grad=True)
    learned_step(v, of_rows, Grid(bits=2)).sum().backward()
    assert of_rows.grad.flatten().tolist() == pytest.approx([8 / math.sqrt(8)] * 2)


@pytest.mark.parametrize(("bits", "step"), [(2, 4.0), (3, 4 / math.sqrt(3)), (4, 4 / math.sqrt(7))])
def test_the_step_to_start_with(bits, step):
    assert initial_step(torch.tensor([[1.0, -3.0], [2.0, -2.0]]), Grid(bits)).item() == pytest.approx(step)


def test_the_steps_of_channels_to_start_with_and_that_of_zeros():
    steps = initial_step(torch.tensor([[1.0, -3.0], [0.0, 0.0], [0.5, 0.5]]), Grid(bits=2), "per channel")
    assert steps.tolist() == [[4.0], [1.0], [1.0]]


# By others


@pytest.mark.parametrize("bits", BITS)
def test_values_are_those_of_the_grid(bits):
    v, step, grid = weights(5, 40), step_of_each_channel(5), Grid(bits)
    expected = fake_quantize(v.detach(), step.detach(), torch.zeros(5, 1, dtype=torch.int32), grid)
    assert torch.equal(learned_step(v, step, grid), expected)


@pytest.mark.parametrize("bits", BITS)
def test_within_the_grid_gradients_are_those_of_torchs_learnable_kernel(bits):
    """At the ends torch asks whether the rounded value is clipped, the paper whether the value is: left out here."""
    grid = Grid(bits)
    first, last = integer_range(grid)
    step = step_of_each_channel(5).detach().float().requires_grad_()
    v = weights(5, 400).detach().float() * 3
    at_the_end = (v / step).abs().sub(last).abs() <= 0.51
    v = v.masked_fill(at_the_end, 0.1).requires_grad_()
    scale = gradient_scale(400, grid)
    theirs = torch._fake_quantize_learnable_per_channel_affine(v, step.flatten(), torch.zeros(5), 0, first, last, scale)
    ours = learned_step(v, step, grid)
    torch.testing.assert_close(ours, theirs)
    for got, expected in zip(gradients(ours, v, step), gradients(theirs, v, step), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    clipped = int((v / step).abs().gt(last).sum())
    assert (clipped > 50) == (bits < 8)


@pytest.mark.parametrize("bits", BITS)
def test_the_gradient_of_a_step_is_that_of_rounding_written_with_a_detached_difference(bits):
    """The paper's appendix writes rounding as x + (round(x) - x).detach() and leaves the rest to autograd."""
    v, step, grid = weights(5, 60), step_of_each_channel(5), Grid(bits)
    steps = (v / step).clamp(*integer_range(grid))
    written = (steps + (steps.round() - steps).detach()) * step
    scale = gradient_scale(60, grid)
    of_v, of_step = gradients(learned_step(v, step, grid), v, step)
    expected_v, expected_step = gradients(written, v, step)
    torch.testing.assert_close(of_v, expected_v)
    torch.testing.assert_close(of_step, expected_step * scale)


def test_where_everything_is_clipped_the_gradient_of_the_step_is_that_of_finite_differences():
    v, grid, width = weights(5, 60).detach() + 100, Grid(bits=3), 1e-3
    v[:, ::2] *= -1
    step = step_of_each_channel(5)

    def value(at: Tensor) -> Tensor:
        y = learned_step(v, at, grid)
        return (y * factors(y)).sum(dim=1, keepdim=True)

    with torch.no_grad():
        slope = (value(step + width) - value(step - width)) / (2 * width)
    (of_step,) = gradients(learned_step(v, step, grid), step)
    torch.testing.assert_close(of_step, slope * gradient_scale(60, grid))


# What it refuses


@pytest.mark.parametrize("grid", [Grid(bits=1), Grid(bits=4, is_symmetric=False)])
def test_a_grid_that_the_paper_has_no_rule_for_gets_a_sentence(grid):
    with pytest.raises(ValueError, match="a learned step needs a symmetric grid of 2 bits or more, not Grid"):
        learned_step(torch.ones(3), torch.tensor(1.0), grid)


def test_a_step_below_zero_gets_the_sentence_of_the_grid():
    with pytest.raises(ValueError, match="scale must be above 0, not -1"):
        learned_step(torch.ones(3), torch.tensor(-1.0), Grid(bits=2))
