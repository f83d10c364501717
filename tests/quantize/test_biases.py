"""Bias correction: means that rounding moved are where they were, whatever was folded and equalised before."""

import dataclasses

import pytest
import support
import torch
from torch import nn

from efflab import data as datasets
from efflab import models
from efflab.data import Data, Split
from efflab.prune import prune_filters, prune_weights
from efflab.quantize import correct_biases, equalize, fold_batch_norms, quantize_weights
from efflab.quantize.biases import channel_means, float_network
from efflab.runtime import quantized_layers
from efflab.training import validation_score

LAYERS = ("conv1", "conv2", "conv3", "output")


@pytest.fixture(scope="module")
def scattered() -> Data:
    return datasets.load("scattered")


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


def of_pixels(*pixels: list[float]) -> Data:
    """Calibration images of two pixels."""
    images = torch.tensor(pixels).reshape(-1, 1, 1, 2)
    split = Split(images, torch.zeros(len(pixels), dtype=torch.int64))
    return Data("pixels", split, split, split, split, ("one", "other"))


# The numbers


def test_a_bias_takes_over_the_mean_of_what_rounding_took_away():
    layer = nn.Linear(2, 2)
    layer.weight.data, layer.bias.data = torch.tensor([[1.0, 0.3], [-1.0, 0.2]]), torch.tensor([0.5, 0.0])
    model = nn.Sequential(nn.Flatten(), layer)
    quantized = quantize_weights(model, bits=2)
    assert quantized[1].weight.tolist() == [[1.0, 0.0], [-1.0, 0.0]]
    corrected = correct_biases(quantized, data=of_pixels([5.0, 1.0], [7.0, 3.0]), teacher=model)
    # The second pixel is 2 on average, so 0.3 * 2 and 0.2 * 2 were lost.
    torch.testing.assert_close(corrected[1].bias, torch.tensor([1.1, 0.4]))
    assert torch.equal(corrected[1].weight, quantized[1].weight)


def test_a_layer_is_corrected_behind_those_that_were_corrected_before():
    """Of errors that reach a layer through a ReLU, only those that are left after the correction before count."""
    first, second = nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)
    first.weight.data, second.weight.data = torch.tensor([[1.0, 0.3]]), torch.tensor([[1.0]])
    model = nn.Sequential(nn.Flatten(), first, nn.ReLU(), second)
    data = of_pixels([0.0, 10.0], [0.0, 10.0])
    corrected = correct_biases(quantize_weights(model, bits=2), data=data, teacher=model)
    torch.testing.assert_close(corrected[1].bias, torch.tensor([3.0]))
    torch.testing.assert_close(corrected[3].bias, torch.tensor([0.0]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["cnn-scattered", "lenet5-scattered", "resnet8-scattered"])
def test_afterwards_every_layer_has_the_means_of_the_float_network(name, scattered):
    model = models.load(name)
    if "lenet5" not in name:
        model = fold_batch_norms(model, data=scattered)
    quantized = quantize_weights(model, bits=3)
    corrected = correct_biases(quantized, data=scattered, teacher=models.load(name))
    layers = tuple(quantized_layers(corrected))
    images = scattered.calibration.images
    with torch.no_grad():
        wanted, before, after = (channel_means(one, images, layers) for one in (model, quantized, corrected))
    assert list(wanted) == list(layers)
    for layer, mean in wanted.items():
        torch.testing.assert_close(after[layer], mean, rtol=0, atol=1e-5 * float(mean.abs().max()))
        assert float((before[layer] - mean).abs().max()) > 100 * float((after[layer] - mean).abs().max())


def test_a_mean_is_that_of_torch_over_images_and_places(scattered):
    model, images = models.load("lenet5-scattered"), scattered.test.images[:50]
    with torch.no_grad():
        means = channel_means(model, images, ["output", "conv1"])
        torch.testing.assert_close(means["conv1"], model.conv1(images).mean(dim=(0, 2, 3), dtype=torch.float64))
        torch.testing.assert_close(means["output"], model(images).mean(dim=0, dtype=torch.float64))
    assert list(means) == ["conv1", "output"]


def test_only_the_first_images_asked_for_are_looked_at(data):
    model, images = support.tiny_mlp(), data.calibration.images
    quantized = quantize_weights(model, bits=2)
    eight = dataclasses.replace(data, calibration=Split(images[:8], data.calibration.labels[:8]))
    some, all_of_eight = (correct_biases(quantized, data=one, teacher=model, images=8) for one in (data, eight))
    assert support.bits(some) == support.bits(all_of_eight)
    assert support.bits(some) != support.bits(correct_biases(quantized, data=data, teacher=model))


def test_three_bits_become_nearly_as_good_as_the_float_network(scattered):
    base = models.load("cnn-scattered")
    quantized = quantize_weights(fold_batch_norms(base, data=scattered), bits=3)
    corrected = correct_biases(quantized, data=scattered, teacher=base)
    assert validation_score(base, scattered) == pytest.approx(0.957)
    assert validation_score(quantized, scattered) < 0.91
    assert validation_score(corrected, scattered) > 0.935


# The float network


@pytest.mark.parametrize("bits", [8, 3, 2])
def test_the_teacher_is_folded_and_equalised_as_the_network_was(bits, scattered):
    teacher = models.load("cnn-scattered")
    folded = fold_batch_norms(teacher, data=scattered)
    for before in (teacher, folded, equalize(folded, data=scattered)):
        found = float_network(quantize_weights(before, bits=bits), teacher, scattered)
        assert support.bits(found) == support.bits(before)
        assert found is not before


def test_a_teacher_without_batch_norms_is_equalised_if_the_network_was(scattered):
    teacher = models.load("lenet5-scattered")
    equal = equalize(teacher, data=scattered)
    assert support.bits(float_network(quantize_weights(equal, bits=4), teacher, scattered)) == support.bits(equal)


# What stays, and what is refused


def test_layers_that_lost_outputs_stay_and_the_others_are_corrected(data):
    teacher = support.tiny_cnn()
    quantized = quantize_weights(prune_filters(fold_batch_norms(teacher, data=data), data=data, ratio=0.5), bits=3)
    corrected = correct_biases(quantized, data=data, teacher=teacher)
    for name in LAYERS[:3]:
        assert torch.equal(corrected.get_submodule(name).bias, quantized.get_submodule(name).bias)
    with torch.no_grad():
        means = [channel_means(one, data.calibration.images, ["output"])["output"] for one in (corrected, teacher)]
    torch.testing.assert_close(*means, rtol=0, atol=1e-5)


def test_float_layers_of_a_partly_quantized_network_stay(data):
    model = support.tiny_mlp()
    corrected = correct_biases(quantize_weights(model, bits={"hidden2": 2}), data=data, teacher=model)
    assert torch.equal(corrected.hidden1.bias, model.hidden1.bias)
    assert torch.equal(corrected.output.bias, model.output.bias)
    assert not torch.equal(corrected.hidden2.bias, model.hidden2.bias)


def test_a_single_layer_is_a_network_too():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, 0.3]])
    corrected = correct_biases(quantize_weights(layer, bits=2), data=of_pixels([0.0, 1.0]), teacher=layer)
    torch.testing.assert_close(corrected.bias, torch.tensor([0.3]))


def test_a_float_network_hears_that_it_must_be_quantized_first(data):
    model = support.tiny_mlp()
    with pytest.raises(ValueError, match=r"^Network has no layer whose weights lie on a grid.*quantize it first"):
        correct_biases(model, data=data, teacher=model)


def test_a_teacher_of_another_kind_gets_a_sentence(data):
    quantized = quantize_weights(support.tiny_mlp())
    with pytest.raises(ValueError, match=r"^teacher has none .*: hidden1, hidden2, output; it must"):
        correct_biases(quantized, data=data, teacher=nn.Flatten())


def test_the_zeros_of_a_pruned_network_stay(data):
    pruned = prune_weights(support.tiny_mlp(), sparsity=0.5)
    corrected = correct_biases(quantize_weights(pruned, bits=4), data=data, teacher=pruned)
    assert support.count_zeros(corrected) == support.count_zeros(quantize_weights(pruned, bits=4))
