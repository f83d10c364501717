"""Outliers: integer products against exact arithmetic, and what one large channel does to each way to multiply."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from efflab import models
from efflab.quantize import integer_product, mixed_product, plant_outlier, scan_outliers
from efflab.quantize.outliers import FACTORS, WAYS, outlier_columns


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_numpy(x: np.ndarray, weight: np.ndarray, last: int, axis: int | None) -> np.ndarray:
    """Rounded to integers with numpy, multiplied in int64, and scaled in float64."""
    sx, sw = (np.abs(one).max(axis=axis, keepdims=True) / last for one in (x, weight))
    integers = np.rint(x / sx).astype(np.int64) @ np.rint(weight / sw).astype(np.int64).T
    return integers * (sx * sw.T)


def relative(answers: torch.Tensor, expected: torch.Tensor) -> float:
    return float((answers.double() - expected).norm() / expected.norm())


# Integers


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize(("granularity", "axis"), [("per tensor", None), ("per channel", 1)])
def test_the_product_is_that_of_integers_made_by_numpy(granularity, axis, bits):
    x, weight = numbers(20, 64).double(), numbers(10, 64, seed=1).double()
    expected = by_numpy(x.numpy(), weight.numpy(), 2 ** (bits - 1) - 1, axis)
    np.testing.assert_allclose(integer_product(x, weight, bits, granularity).numpy(), expected, rtol=1e-12)


def test_sums_beyond_24_bits_are_exact():
    """Floats of 32 bits hold whole numbers up to 16,777,216, and this sum is larger, and odd."""
    x, weight = torch.full((1, 2001), 127.0), torch.full((1, 2001), 127.0)
    x[0, 0], weight[0, 1] = 126.0, 126.0
    product = integer_product(x.double(), weight.double())
    assert product.item() == 2001 * 127 * 127 - 127 - 127
    assert product.item() > 2**24


def test_the_error_at_eight_bits_is_a_percent():
    x, weight = numbers(50, 128), numbers(32, 128, seed=1)
    expected = x.double() @ weight.double().T
    assert relative(integer_product(x, weight), expected) < 0.015
    assert relative(integer_product(x, weight), expected) < relative(
        integer_product(x, weight, granularity="per tensor"), expected
    )


def test_axes_before_the_last_stay():
    x, weight = numbers(2, 3, 8), numbers(5, 8, seed=1)
    product = integer_product(x, weight)
    assert product.shape == (2, 3, 5)
    assert torch.equal(product[1, 2], integer_product(x[1, 2:], weight)[0])
    assert mixed_product(x, weight).shape == (2, 3, 5)


# Mixed


def test_without_an_outlier_the_mixed_product_is_that_of_integers():
    x, weight = numbers(20, 64), numbers(10, 64, seed=1)
    assert torch.equal(mixed_product(x, weight, threshold=100.0), integer_product(x, weight))


def test_with_outliers_alone_it_is_that_of_floats():
    x, weight = numbers(20, 64) + 10, numbers(10, 64, seed=1)
    assert torch.equal(mixed_product(x, weight, threshold=1.0), F.linear(x, weight))


def test_the_columns_with_an_outlier_are_exact_and_the_others_are_integers():
    x, weight = numbers(20, 8).double(), numbers(10, 8, seed=1).double()
    x[3, 5], x[7, 2] = 7.0, -6.5
    assert outlier_columns(x).nonzero().flatten().tolist() == [2, 5]
    rest = [0, 1, 3, 4, 6, 7]
    exact = x[:, [2, 5]] @ weight[:, [2, 5]].T
    expected = exact.numpy() + by_numpy(x[:, rest].numpy(), weight[:, rest].numpy(), 127, 1)
    np.testing.assert_allclose(mixed_product(x, weight).numpy(), expected, rtol=1e-10)


def test_what_lies_on_the_threshold_is_no_outlier():
    assert outlier_columns(torch.tensor([[6.0, -6.0, 6.1, -6.1]])).tolist() == [False, False, True, True]


# Planted


@pytest.fixture(scope="module")
def feed_forward() -> tuple[torch.Tensor, nn.Linear, nn.Linear]:
    """What a block of a vit reads after its second norm, and the two layers behind."""
    model = models.build("vit", shape=(1, 28, 28), n_classes=10)
    images = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    block = model.block1
    with torch.no_grad():
        tokens = model.positions(model.tokens(model.patches(images)))
        x = block.norm2(tokens + block.attention(block.norm1(tokens)))
    return x, block.hidden, block.output


def test_a_planted_outlier_changes_no_answer_of_the_float_layer(feed_forward):
    x, hidden, _ = feed_forward
    large, small = plant_outlier(x, hidden.weight, 5, 64.0)
    torch.testing.assert_close(large[..., 5], x[..., 5] * 64)
    assert torch.equal(large[..., :5], x[..., :5])
    torch.testing.assert_close(F.linear(large, small), F.linear(x, hidden.weight), rtol=0, atol=1e-5)


def test_an_outlier_ruins_integers_with_one_scale_a_row_and_not_the_mixed_product(feed_forward):
    found = scan_outliers(*feed_forward)
    assert found.factors == FACTORS
    assert tuple(found.errors) == WAYS
    tensor, row, mixed = (found.errors[way] for way in WAYS)
    assert max(tensor[0], row[0], mixed[0]) < 0.03
    assert row == tuple(sorted(row))
    assert min(tensor[-1], row[-1]) > 0.3
    assert max(mixed) < 0.03
    assert found.n_float == (0, 0, *[1] * 5)
    assert found.n_columns == 64 + 256


def test_the_errors_are_those_against_float64(feed_forward):
    x, hidden, output = feed_forward
    with torch.no_grad():
        wanted = F.gelu(x.double() @ hidden.weight.double().T + hidden.bias) @ output.weight.double().T + output.bias
        large, small = plant_outlier(x, hidden.weight, 0, 10.0)
        between = F.gelu(integer_product(large, small, 4) + hidden.bias)
        answers = integer_product(between, output.weight, 4) + output.bias
    found = scan_outliers(x, hidden, output, factors=(10.0,), bits=4)
    assert found.errors["per row"] == (pytest.approx(relative(answers, wanted)),)


def test_layers_without_a_bias_are_scanned_too():
    layers = nn.Linear(4, 8, bias=False), nn.Linear(8, 2, bias=False)
    found = scan_outliers(numbers(10, 4), *layers, factors=(1.0,))
    assert all(0 < some[0] < 0.1 for some in found.errors.values())


# Refused


def test_shapes_that_do_not_fit_get_a_sentence():
    for product in (integer_product, mixed_product):
        with pytest.raises(ValueError, match=r"^x must be .* not \(2, 3\) and \(5, 4\)$"):
            product(numbers(2, 3), numbers(5, 4))


@pytest.mark.parametrize("threshold", [-1.0, math.nan])
def test_a_threshold_below_zero_gets_a_sentence(threshold):
    with pytest.raises(ValueError, match=r"^threshold must be 0 or more"):
        mixed_product(numbers(2, 3), numbers(5, 3), threshold=threshold)


def test_a_channel_or_factor_that_makes_no_sense_gets_a_sentence():
    with pytest.raises(ValueError, match=r"^channel must be one of 0 to 2, not 3$"):
        plant_outlier(numbers(2, 3), numbers(5, 3), 3, 10.0)
    with pytest.raises(ValueError, match=r"^factor must be above 0, not 0"):
        plant_outlier(numbers(2, 3), numbers(5, 3), 0, 0.0)


def test_values_that_are_not_finite_get_a_sentence():
    with pytest.raises(ValueError, match=r"^x holds inf at position \(0, 0\)"):
        mixed_product(torch.full((1, 3), math.inf), numbers(5, 3))


def test_bits_out_of_range_get_a_sentence():
    with pytest.raises(ValueError, match=r"^bits \(bits of each number\) must be a whole number from 1 to 8, not 16"):
        integer_product(numbers(2, 3), numbers(5, 3), bits=16)
