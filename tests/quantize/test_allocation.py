"""Bits within a budget of bytes: what one layer alone does to the answers, and a choice close to the best of all."""

import itertools

import pytest
import support
import torch
from torch import nn

from efflab import data as datasets
from efflab import models
from efflab.data import Data
from efflab.measure import compute_size
from efflab.quantize import (
    TRIED,
    BitPoint,
    allocate_bits,
    fold_batch_norms,
    quantize_weights,
    scan_bit_sensitivity,
    signal_to_noise_db,
)
from efflab.quantize.allocation import noise
from efflab.training import predict, validation_score


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


def uniform_bytes(points: list[BitPoint], bits: int) -> int:
    return sum(point.n_bytes for point in points if point.bits == bits)


# Sensitivity


def test_a_point_is_the_network_with_one_layer_quantized(data):
    model, images = support.tiny_mlp(), data.calibration.images
    points = list(scan_bit_sensitivity(model, data, bits=(2, 8), granularity="per tensor", observer="MSE"))
    assert [(point.layer, point.bits) for point in points] == list(itertools.product(model_layers(model), (2, 8)))
    for point in points:
        one = quantize_weights(model, bits={point.layer: point.bits}, granularity="per tensor", observer="MSE")
        db = signal_to_noise_db(predict(model, images), predict(one, images))
        assert point.noise == pytest.approx(10 ** (-db / 10))
        (size,) = (tensor for tensor in compute_size(one).tensors if tensor.name == f"{point.layer}.weight")
        assert point.n_bytes == size.packed_bytes


def model_layers(model: nn.Module) -> list[str]:
    return [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def test_the_noise_of_all_layers_together_is_about_the_sum():
    scattered = datasets.load("scattered")
    model, images = models.load("lenet5-scattered"), scattered.calibration.images
    points = list(scan_bit_sensitivity(model, scattered, bits=(3, 5)))
    for bits in (3, 5):
        together = noise(predict(model, images), predict(quantize_weights(model, bits=bits), images))
        assert together == pytest.approx(sum(point.noise for point in points if point.bits == bits), rel=0.3)


def test_the_model_stays_as_it_was(data):
    model = support.tiny_cnn()
    before = support.bits(model)
    list(scan_bit_sensitivity(model, data, bits=(3,)))
    assert support.bits(model) == before


def test_outputs_of_zero_have_a_noise_too():
    assert noise(torch.zeros(2, 2), torch.zeros(2, 2)) == 0
    assert noise(torch.zeros(2, 2), torch.ones(2, 2)) > 1e9


# Allocation


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95])
@pytest.mark.parametrize("build", [support.tiny_mlp, support.tiny_cnn], ids=["mlp", "cnn"])
def test_of_all_assignments_the_greedy_one_never_has_twice_the_noise_of_the_best(build, share, data):
    model = build()
    points = list(scan_bit_sensitivity(model, data))
    n_bytes = round(uniform_bytes(points, 2) * (1 - share) + uniform_bytes(points, 8) * share)
    sums = []
    layers, of = model_layers(model), {(point.layer, point.bits): point for point in points}
    for some in itertools.product(TRIED, repeat=len(layers)):
        chosen = [of[one] for one in zip(layers, some, strict=True)]
        if sum(point.n_bytes for point in chosen) <= n_bytes:
            sums.append(sum(point.noise for point in chosen))
    greedy = [of[one] for one in allocate_bits(points, n_bytes).items()]
    assert sum(point.n_bytes for point in greedy) <= n_bytes
    assert sum(point.noise for point in greedy) < 2 * min(sums)


@pytest.mark.parametrize("name", ["cnn-scattered", "lenet5-scattered"])
def test_at_equal_bytes_the_answers_have_less_than_half_of_the_noise_of_uniform_bits(name):
    scattered = datasets.load("scattered")
    model = models.load(name)
    if name.startswith("cnn"):
        model = fold_batch_norms(model, data=scattered)
    images = scattered.calibration.images
    points = list(scan_bit_sensitivity(model, scattered))
    mixed = quantize_weights(model, bits=allocate_bits(points, uniform_bytes(points, 4)))
    uniform = quantize_weights(model, bits=4)
    assert compute_size(mixed).packed_bytes <= compute_size(uniform).packed_bytes
    outputs = predict(model, images)
    assert noise(outputs, predict(mixed, images)) < noise(outputs, predict(uniform, images)) / 2
    assert validation_score(mixed, scattered) >= validation_score(uniform, scattered)


def test_more_than_enough_bytes_give_every_layer_the_most_bits(data):
    points = list(scan_bit_sensitivity(support.tiny_mlp(), data))
    assert allocate_bits(points, 10**9) == {"hidden1": 8, "hidden2": 8, "output": 8}
    assert allocate_bits(points, uniform_bytes(points, 2)) == {"hidden1": 2, "hidden2": 2, "output": 2}


def test_a_step_that_saves_many_bytes_may_cost_more_noise():
    points = [BitPoint("large", 8, 0.0, 800), BitPoint("large", 4, 0.2, 400)]
    points += [BitPoint(f"small{i}", *one) for i in range(10) for one in ((8, 0.0, 80), (4, 0.1, 40))]
    assert allocate_bits(points, 1200) == {"large": 4, **{f"small{i}": 8 for i in range(10)}}


def test_what_is_left_over_is_spent():
    """The large layer must go down for the budget, and then the small one has room again."""
    points = [BitPoint("small", 8, 0.0, 20), BitPoint("small", 4, 0.001, 10)]
    points += [BitPoint("large", 8, 0.0, 1000), BitPoint("large", 4, 1.0, 500)]
    assert allocate_bits(points, 1015) == {"small": 4, "large": 8}
    assert allocate_bits(points, 600) == {"small": 8, "large": 4}
    assert allocate_bits(points, 515) == {"small": 4, "large": 4}


def test_a_budget_that_nothing_meets_hears_the_least_that_does():
    points = [BitPoint("a", 8, 0.0, 80), BitPoint("a", 4, 0.1, 40)]
    with pytest.raises(ValueError, match=r"^n_bytes must be 40 or more, which the fewest bits need, not 39$"):
        allocate_bits(points, 39)
    with pytest.raises(ValueError, match=r"^points must hold at least one for each layer"):
        allocate_bits([], 39)


def test_bits_out_of_range_are_refused_before_anything_is_quantized(data):
    with pytest.raises(ValueError, match=r"^bits \(bits of each number\) must be a whole number from 1 to 8, not 9"):
        next(scan_bit_sensitivity(support.tiny_mlp(), data, bits=(4, 9)))
