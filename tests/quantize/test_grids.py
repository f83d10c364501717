"""Grids: the integers of torch and the scales of ONNX Runtime, bit for bit, and the laws of rounding."""

import math

import numpy as np
import pytest
import torch

from efflab.quantize import Grid, dequantize, fake_quantize, integer_range, quantize, scale_and_zero_point
from efflab.runtime.session import load

SYMMETRIC = [Grid(bits) for bits in range(2, 9)]
AFFINE = [Grid(bits, is_symmetric=False, is_signed=sign) for bits in range(1, 9) for sign in (True, False)]
UNSIGNED = [Grid(bits, is_symmetric=True, is_signed=False) for bits in range(1, 9)]
BINARY = Grid(1)
WITH_ZERO = [*SYMMETRIC, *AFFINE]
SHAPES = [(), (1,), (7,), (3, 5), (5, 3, 1, 3)]

deprecated = pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor, torch.quantize_per_channel")


def name(grid: Grid) -> str:
    return f"{grid.bits}{'s' if grid.is_symmetric else 'a'}{'i' if grid.is_signed else 'u'}"


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rough(seed: int, *shape: int) -> torch.Tensor:
    """Values of which many lie just halfway between two integers, and some far outside, for a scale of 0.25."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-400, 400, shape, generator=generator) / 8


def halfway(scale: torch.Tensor) -> torch.Tensor:
    """The numbers between two integers of a grid, and their next neighbours. scale: (n, 1) -> (n, 840)."""
    between = (torch.arange(-140, 140) + 0.5) * scale
    return torch.cat([between, *(torch.nextafter(between, torch.tensor(end)) for end in (-1e9, 1e9))], dim=1)


def kinds(seed: int) -> dict[str, torch.Tensor]:
    x = rand(seed, 6, 11)
    return {
        "both signs": x,
        "positive": x.abs() + 0.5,
        "negative": -x.abs() - 0.5,
        "lopsided": x.exp() - 0.2,
        "constant": torch.full((3, 3), -0.7),
        "zeros": torch.zeros(2, 3),
        "tiny": x * 1e-30,
        "huge": x * 1e30,
    }


def fitted(x: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    return scale_and_zero_point(x.min(), x.max(), grid)


# The integers, and which of them stands for what


@pytest.mark.parametrize(
    ("grid", "ends"),
    [
        (Grid(8), (-127, 127)),
        (Grid(4), (-7, 7)),
        (Grid(2), (-1, 1)),
        (Grid(1), (-1, 1)),
        (Grid(8, is_symmetric=False), (-128, 127)),
        (Grid(2, is_symmetric=False), (-2, 1)),
        (Grid(1, is_symmetric=False), (-1, 0)),
        (Grid(8, is_symmetric=False, is_signed=False), (0, 255)),
        (Grid(3, is_symmetric=True, is_signed=False), (0, 7)),
    ],
    ids=str,
)
def test_the_integers_of_a_grid(grid, ends):
    assert integer_range(grid) == ends


@pytest.mark.parametrize("grid", WITH_ZERO, ids=name)
def test_scale_and_zero_point_are_those_of_onnx_runtime(grid):
    load()
    from onnxruntime.quantization.quant_utils import compute_scale_zp

    ends = rand(grid.bits, 200, 2).sort(dim=1).values * torch.logspace(-6, 6, 200)[:, None]
    scale, zero_point = scale_and_zero_point(ends[:, 0], ends[:, 1], grid)
    first, last = map(np.array, integer_range(grid))
    for i, (low, high) in enumerate(ends.numpy()):
        their_zero, their_scale = compute_scale_zp(low, high, first, last, symmetric=grid.is_symmetric)
        assert (scale[i].item(), zero_point[i].item()) == (their_scale.item(), their_zero.item())


def test_a_range_without_zero_is_widened_to_zero():
    grid = Grid(8, is_symmetric=False, is_signed=False)
    assert scale_and_zero_point(2.0, 5.1, grid) == scale_and_zero_point(0.0, 5.1, grid)
    assert scale_and_zero_point(-5.1, -2.0, grid) == scale_and_zero_point(-5.1, 0.0, grid)


def test_a_symmetric_grid_without_sign_ends_at_the_highest_value():
    scale, zero_point = scale_and_zero_point(0.0, 6.0, Grid(2, is_symmetric=True, is_signed=False))
    assert (scale.item(), zero_point.item()) == (2.0, 0)


def test_zeros_alone_get_a_scale_that_can_be_divided_by():
    for grid in (*WITH_ZERO, *UNSIGNED, BINARY):
        scale, _ = scale_and_zero_point(torch.zeros(2, 1), torch.tensor([[0.0], [3.0]]), grid)
        assert scale[0].item() == 1
        assert 0 < scale[1].item() < math.inf


def test_half_precision_gets_a_scale_in_single_precision():
    for kind, wanted in ((torch.bfloat16, torch.float32), (torch.float16, torch.float32), (torch.float64,) * 2):
        x = rand(0, 5).to(kind)
        scale, zero_point = fitted(x, Grid())
        assert (scale.dtype, zero_point.dtype) == (wanted, torch.int32)
        assert fake_quantize(x, scale, zero_point, Grid()).dtype == kind


# As torch does it


@pytest.mark.parametrize("grid", [*SYMMETRIC, *AFFINE, *UNSIGNED], ids=name)
def test_fake_quantize_is_that_of_torch_per_tensor(grid):
    first, last = integer_range(grid)
    for seed, shape in enumerate(SHAPES * 2):
        x = rough(seed, *shape) if seed < 5 else rand(seed, *shape) * 20
        for step in (0.25, 0.1, 1 / 3):
            zero = 0 if grid.is_symmetric else first + seed % (last - first + 1)
            theirs = torch.fake_quantize_per_tensor_affine(x, step, zero, first, last)
            ours = fake_quantize(x, torch.tensor(step), torch.tensor(zero), grid)
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("grid", [*SYMMETRIC, *AFFINE], ids=name)
def test_fake_quantize_is_that_of_torch_per_channel(grid):
    first, last = integer_range(grid)
    for seed, shape in enumerate(SHAPES[1:]):
        x = torch.cat([rand(seed, *shape) * 20, rough(seed, *shape)])
        one_a_channel = (len(x), *[1] * (x.ndim - 1))
        scale = rand(seed + 50, len(x)).abs() + 0.01
        zero = torch.zeros(len(x), dtype=torch.int32) if grid.is_symmetric else torch.arange(len(x)) % (last + 1)
        zero = zero.to(torch.int32)
        theirs = torch.fake_quantize_per_channel_affine(x, scale, zero, 0, first, last)
        ours = fake_quantize(x, scale.reshape(one_a_channel), zero.reshape(one_a_channel), grid)
        assert torch.equal(ours, theirs)


def test_halfway_between_two_integers_the_choice_is_that_of_torch():
    scale, grid = rand(0, 50, 1).abs() + 0.001, Grid(8, is_symmetric=False)
    x, zero = halfway(scale), torch.full((50, 1), 3, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(x, scale[:, 0], zero[:, 0], 0, -128, 127)
    assert torch.equal(fake_quantize(x, scale, zero, grid), theirs)


@deprecated
@pytest.mark.parametrize("is_signed", [True, False])
def test_the_integers_are_those_of_torch_per_channel(is_signed):
    grid = Grid(8, is_symmetric=False, is_signed=is_signed)
    for seed, shape in enumerate(SHAPES[1:]):
        x = torch.cat([rand(seed, *shape) * 20, rough(seed, *shape)])
        scale = rand(seed + 50, len(x)).abs() + 0.01
        zero = torch.zeros(len(x), dtype=torch.int32)
        kind = torch.qint8 if is_signed else torch.quint8
        theirs = torch.quantize_per_channel(x, scale.double(), zero, 0, kind).int_repr()
        wide = (len(x), *[1] * (x.ndim - 1))
        ours = quantize(x, scale.reshape(wide), zero.reshape(wide), grid)
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


@deprecated
def test_with_a_zero_point_the_integers_differ_from_those_of_torch_halfway_between_two_alone():
    x, scale, zero = rand(0, 1, 20_000) * 20, torch.tensor([[0.37]]), torch.tensor([[3]])
    theirs = torch.quantize_per_channel(x, scale[0].double(), zero[0], 0, torch.qint8).int_repr()
    steps = x / scale
    is_halfway = ((steps - steps.floor()) - 0.5).abs() < 1e-4  # torch adds the zero point before it rounds
    assert is_halfway.sum() < 20
    assert torch.equal(quantize(x, scale, zero, Grid(8, is_symmetric=False))[~is_halfway], theirs[~is_halfway])


# Laws


@pytest.mark.parametrize("grid", WITH_ZERO, ids=name)
def test_no_value_of_the_range_moves_by_more_than_half_a_step(grid):
    for kind, x in kinds(grid.bits).items():
        scale, zero_point = fitted(x, grid)
        moved = (fake_quantize(x, scale, zero_point, grid) - x).abs().max() / scale
        assert moved <= 0.5 + 1e-4, kind


@pytest.mark.parametrize("grid", [*WITH_ZERO, BINARY], ids=name)
def test_what_lies_on_the_grid_stays_there(grid):
    for kind, x in kinds(grid.bits).items():
        scale, zero_point = fitted(x, grid)
        once = fake_quantize(x, scale, zero_point, grid)
        assert torch.equal(fake_quantize(once, scale, zero_point, grid), once), kind


@pytest.mark.parametrize("grid", WITH_ZERO, ids=name)
def test_zero_stays_zero(grid):
    for kind, x in kinds(grid.bits).items():
        assert fake_quantize(torch.zeros(()), *fitted(x, grid), grid).item() == 0, kind


@pytest.mark.parametrize("grid", [*WITH_ZERO, BINARY], ids=name)
def test_order_is_kept(grid):
    for kind, x in kinds(grid.bits).items():
        in_order = (x.flatten() * 1.5).sort().values  # a third lies beyond the range
        integers = quantize(in_order, *fitted(x, grid), grid).int()
        assert bool((integers.diff() >= 0).all()), kind


@pytest.mark.parametrize("grid", [*WITH_ZERO, *UNSIGNED, BINARY], ids=name)
def test_a_dense_range_meets_every_integer_of_the_grid_and_no_other(grid):
    first, last = integer_range(grid)
    x = torch.linspace(0 if grid in UNSIGNED else -2 if grid.is_symmetric else -1, 2, 4001)
    found = quantize(x, *fitted(x, grid), grid).unique().tolist()
    assert found == ([-1, 1] if grid.is_binary else list(range(first, last + 1)))
    assert len(found) <= 2**grid.bits


@pytest.mark.parametrize("is_symmetric", [True, False])
def test_with_more_bits_the_largest_error_over_a_range_is_never_larger(is_symmetric):
    x = torch.linspace(-1, 1.5, 10_001)
    grids = [Grid(bits, is_symmetric=is_symmetric) for bits in range(1, 9)]
    errors = [(fake_quantize(x, *fitted(x, grid), grid) - x).abs().max().item() for grid in grids]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 100


def test_minus_x_goes_to_minus_the_integer_on_a_symmetric_grid():
    x, scale, zero = rough(0, 500), torch.tensor(0.25), torch.tensor(0)
    for grid in SYMMETRIC:
        assert torch.equal(quantize(-x, scale, zero, grid), -quantize(x, scale, zero, grid))


# At the ends


def test_a_constant_is_kept():
    for grid in (*SYMMETRIC, *AFFINE):
        for value in (-0.7, 1e-20, 123.0):
            x = torch.full((4,), value)
            assert fake_quantize(x, *fitted(x, grid), grid).tolist() == pytest.approx([x[0].item()] * 4, rel=1e-6)


def test_a_binary_grid_keeps_the_sign_alone_and_takes_zero_for_positive():
    x, scale, zero = torch.tensor([-5.0, -0.1, -0.0, 0.0, 0.1]), torch.tensor(2.0), torch.tensor(0)
    assert quantize(x, scale, zero, BINARY).tolist() == [-1, -1, 1, 1, 1]
    assert fake_quantize(x, scale, zero, BINARY).tolist() == [-2, -2, 2, 2, 2]


def test_nothing_stays_nothing():
    for shape in ((0,), (3, 0)):
        found = quantize(torch.zeros(shape), torch.tensor(1.0), torch.tensor(0), Grid())
        assert (found.shape, found.dtype) == (shape, torch.int8)


def test_a_scale_of_each_input_broadcasts():
    x = torch.tensor([[1.0, 2.0, 3.0]])
    scale = torch.tensor([[1.0, 2.0, 0.5]])
    integers = quantize(x, scale, torch.zeros(1, 3, dtype=torch.int32), Grid())
    assert integers.tolist() == [[1, 1, 6]]
    assert dequantize(integers, scale, torch.zeros(1, 3)).tolist() == x.tolist()


def test_the_input_stays_as_it_is():
    x = rand(0, 50)
    before = x.clone()
    fake_quantize(x, torch.tensor(0.1), torch.tensor(0), Grid())
    assert torch.equal(x, before)


# What is refused


@pytest.mark.parametrize("bits", [0, 9, -1, 8.0, True, "8", None])
def test_other_bits_are_refused(bits):
    with pytest.raises((TypeError, ValueError), match=r"bits .* must be a whole number from 1 to 8, not"):
        Grid(bits)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_place(value):
    x = torch.zeros(2, 3)
    x[1, 2] = value
    with pytest.raises(ValueError, match=rf"x holds {value} at position \(1, 2\).*must be a finite number"):
        quantize(x, torch.tensor(1.0), torch.tensor(0), Grid())


@pytest.mark.parametrize("ends", [(math.nan, 1.0), (0.0, math.inf)])
def test_a_range_that_is_not_finite_is_refused(ends):
    with pytest.raises(ValueError, match=r"(low holds nan|high holds inf), .*must be a finite number"):
        scale_and_zero_point(*ends, Grid())


def test_a_range_upside_down_is_refused():
    with pytest.raises(ValueError, match=r"low must not lie above high, not low 4 and high 3"):
        scale_and_zero_point(torch.tensor([0.0, 4.0]), torch.tensor([1.0, 3.0]), Grid())


def test_a_negative_range_is_refused_by_a_symmetric_grid_without_sign():
    with pytest.raises(ValueError, match=r"low must be 0 or more .*not -2"):
        scale_and_zero_point(-2.0, 1.0, Grid(is_symmetric=True, is_signed=False))


@pytest.mark.parametrize("shape", [(3,), (1, 4), (3, 3), (1, 1, 1)])
def test_a_scale_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"scale and zero_point must both have the shape \(\), .* such as \(3, 1\)"):
        quantize(torch.zeros(3, 3 if shape == (1, 4) else 4), torch.ones(shape), torch.zeros(shape), Grid())


def test_a_zero_point_of_another_shape_than_the_scale_is_refused():
    with pytest.raises(ValueError, match=r"must both have the shape .*not \(3, 1\) and \(\)"):
        quantize(torch.zeros(3, 4), torch.ones(3, 1), torch.tensor(0), Grid())


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan])
def test_a_scale_that_is_not_above_zero_is_refused(scale):
    with pytest.raises(ValueError, match=rf"scale must be above 0, not {scale:g}"):
        quantize(torch.zeros(3), torch.tensor(scale), torch.tensor(0), Grid())
