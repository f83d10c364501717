"""Saturation in exact integers: what a pair of products becomes in 16 bits, and what a layer loses by it."""

import dataclasses

import pytest
import support
import torch
from torch import Tensor, nn

from efflab import data as datasets
from efflab import models
from efflab.data import Data, Split
from efflab.measure.machine import Machine, describe_machine
from efflab.quantize import (
    exact_product,
    fold_batch_norms,
    may_saturate,
    quantize_activations,
    quantize_weights,
    saturating_product,
    simulate_saturation,
)
from efflab.quantize.saturation import multiplied_integers
from efflab.runtime.quantized import OnGrid


def integers(*shape: int, low: int, high: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randint(low, high + 1, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def by_hand(x: list[int], weight: list[int]) -> int:
    """One sum in Python's integers: pairs, each of them clipped, the last one alone if their number is odd."""
    total = 0
    for i in range(0, len(x), 2):
        pair = sum(a * b for a, b in zip(x[i : i + 2], weight[i : i + 2], strict=True))
        total += min(max(pair, -32768), 32767)
    return total


@pytest.mark.parametrize("k", [1, 2, 7, 64])
def test_each_sum_is_the_one_by_hand(k):
    x = integers(60, k, low=0, high=255, dtype=torch.uint8)
    weight = integers(9, k, low=-128, high=127, dtype=torch.int8, seed=1)
    expected = [[by_hand(row, kernel) for kernel in weight.tolist()] for row in x.tolist()]
    assert saturating_product(x, weight).tolist() == expected
    whole = [[sum(a * b for a, b in zip(row, one, strict=True)) for one in weight.tolist()] for row in x.tolist()]
    assert exact_product(x, weight).tolist() == whole
    assert (expected == whole) == (k == 1)


@pytest.mark.parametrize(("weight", "expected"), [(127, 32767), (-128, -32768), (64, 32640), (-63, -32130)])
def test_both_ends_of_sixteen_bits(weight, expected):
    x = torch.full((1, 2), 255, dtype=torch.uint8)
    assert saturating_product(x, torch.full((1, 2), weight, dtype=torch.int8)).item() == expected


def test_seven_bits_never_saturate():
    x = torch.tensor([[255, 255], [255, 0], [0, 255], [1, 255]], dtype=torch.uint8)
    weight = torch.cartesian_prod(torch.arange(-64, 64), torch.arange(-64, 64)).to(torch.int8)
    assert torch.equal(saturating_product(x, weight).long(), exact_product(x, weight))


def test_integers_of_other_types_are_refused():
    x, weight = torch.zeros(1, 2, dtype=torch.uint8), torch.zeros(1, 2, dtype=torch.int8)
    for wrong in ((x.int(), weight), (x, weight.int())):
        with pytest.raises(TypeError, match=r"^x must be uint8 and weight int8, not torch"):
            saturating_product(*wrong)


# Layers


def quantized(layer: nn.Module, images: Tensor, **settings: object) -> OnGrid:
    split = Split(images, torch.arange(len(images)) % 3)
    data = Data("noise", split, split, split, split, ("a", "b", "c"))
    return quantize_activations(quantize_weights(layer, **settings), data=data)


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"stride": 2, "padding": 1}, {"padding": "same"}, {"groups": 2, "padding": 1}, {"dilation": 2}],
    ids=["plain", "stride", "same", "groups", "dilation"],
)
def test_the_integers_of_a_convolution_give_what_it_gives(settings, scheme):
    images = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    layer = quantized(nn.Conv2d(4, 6, 3, **settings), images, scheme=scheme)
    parts = []
    for rows, weight, zeros in multiplied_integers(layer, images):
        centred = weight.double() - zeros[:, None]
        parts.append((rows.double() - int(layer.reads.zero_point)) @ centred.T)  # (places, out of the group)
    sums = torch.cat(parts, dim=1).T * layer.scale.flatten()[:, None] * layer.reads.scale
    with torch.inference_mode():
        expected = nn.functional.conv2d(
            layer.reads(images), layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups
        )
    torch.testing.assert_close(sums.float(), expected[0].flatten(1), rtol=1e-4, atol=1e-5)


def test_neighbours_in_a_convolution_are_channels():
    layer = nn.Conv2d(2, 1, 2, bias=False)
    layer.weight.data = torch.arange(1.0, 9.0).reshape(1, 2, 2, 2)
    made = quantized(layer, torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(0)))
    ((_, weight, _),) = multiplied_integers(made, torch.rand(1, 2, 3, 3))
    assert weight.tolist() == [[16, 79, 32, 95, 48, 111, 64, 127]]


def test_what_is_lost_is_counted_by_pair_and_by_sum():
    """Weights of 127: in the first image both pairs saturate, in the second one, in the third none."""
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data.fill_(1.0)
    images = torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]).reshape(3, 1, 1, 4)
    (found,) = simulate_saturation(quantized(layer, images), images)
    assert (found.layer, found.bits) == ("model", 8)
    assert found.pairs == pytest.approx(3 / 6)
    assert found.sums == pytest.approx(2 / 3)
    loss = 2 * 255 * 127 - 32767
    root = (127 * 255) * ((16 + 4 + 1) / 3) ** 0.5
    assert found.largest == pytest.approx(2 * loss / root)
    assert found.error == pytest.approx(((4 + 1) / 3) ** 0.5 * loss / root)


def test_the_unit_of_the_loss_knows_no_zero_points():
    layer = nn.Linear(6, 5, bias=False)
    images = torch.randn(40, 1, 1, 6, generator=torch.Generator().manual_seed(0))
    made = quantized(layer, images, scheme="affine")
    (found,) = simulate_saturation(made, images)
    with torch.inference_mode():
        sums = made.reads(images) @ made.weight.T / made.reads.scale / made.scale.flatten()
    ((rows, weight, _),) = multiplied_integers(made, images)
    lost = (exact_product(rows, weight) - saturating_product(rows, weight)).double()
    expected = lost.square().mean().sqrt() / sums.double().square().mean().sqrt()
    assert found.error == pytest.approx(float(expected), rel=1e-4)


@pytest.fixture(scope="module")
def digits() -> Data:
    return datasets.load("digits")


@pytest.mark.parametrize("granularity", ["per tensor", "per channel"])
def test_a_trained_network_saturates_with_eight_bits_and_not_with_seven(granularity, digits):
    folded = fold_batch_norms(models.load("cnn-digits"), data=digits)
    images = digits.validation.images[:50]
    found = {}
    for bits in (8, 7):
        weighted = quantize_weights(folded, bits=bits, granularity=granularity)
        found[bits] = simulate_saturation(quantize_activations(weighted, data=digits), images)
    assert [one.layer for one in found[8]] == ["conv1", "conv2", "conv3", "output"]
    assert max(one.sums for one in found[8]) > 0.001
    assert all((one.pairs, one.sums, one.error, one.largest) == (0, 0, 0, 0) for one in found[7])


def test_looking_changes_no_answer_and_leaves_no_hook(digits):
    data = support.tiny_data()
    made = quantize_activations(quantize_weights(support.tiny_mlp()), data=data)
    before = support.bits(made)
    simulate_saturation(made, data.test.images)
    assert support.bits(made) == before
    assert not any(module._forward_hooks for module in made.modules())


@pytest.mark.parametrize("without", ["activations", "weights", "a scale per channel"])
def test_a_network_without_both_grids_gets_a_sentence(without):
    data, model = support.tiny_data(), support.tiny_mlp()
    made = {
        "activations": lambda: quantize_weights(model),
        "weights": lambda: quantize_activations(model, data=data),
        "a scale per channel": lambda: quantize_activations(
            quantize_weights(model, granularity="per group"), data=data
        ),
    }[without]()
    with pytest.raises(ValueError, match=r"^no layer has weights and activations on grids: quantize_weights, then"):
        simulate_saturation(made, data.test.images)


# Which machine


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (("AVX2",), True),
        (("AVX2", "AVX-512"), True),
        (("AVX2", "AVX-512", "VNNI"), False),
        (("AVX2", "VNNI"), False),
        ((), False),
        (("NEON", "dot product"), False),
        (None, None),
    ],
)
def test_only_avx2_without_vnni_saturates(sets, expected):
    machine: Machine = dataclasses.replace(describe_machine(), instruction_sets=sets)
    assert may_saturate(machine) is expected
