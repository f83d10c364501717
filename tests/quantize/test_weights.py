"""Quantized weights: equal to those of torch's fake quantization, layer by layer, and a sentence for what cannot be."""

import copy

import pytest
import support
import torch
from torch import nn

from efflab import data as datasets
from efflab import models
from efflab.measure import compute_size
from efflab.prune import fine_tune, prune_weights, recalibrate
from efflab.quantize import Grid, dequantize, quantizable_layers, quantize_weights
from efflab.quantize.grids import integer_range
from efflab.quantize.weights import WEIGHT_OBSERVERS
from efflab.runtime import QuantizedConv2d, QuantizedLinear, quantized_layers
from efflab.training import predict

SCHEMES = ("symmetric", "affine")


class Tied(nn.Module):
    """An embedding and two layers that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.encode, self.decode = nn.Embedding(4, 4), nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.encode.weight = self.decode.weight = self.embedding.weight


def theirs(weight: torch.Tensor, layer: nn.Module, scheme: str) -> torch.Tensor:
    """What torch makes of a weight with the scales of a layer; a group is a channel of its own to torch."""
    first, last = integer_range(Grid(layer.bits, is_symmetric=scheme == "symmetric"))
    if layer.scale.ndim == 0:
        return torch.fake_quantize_per_tensor_affine(weight, layer.scale, layer.zero_point, first, last)
    rows = weight.flatten(1)
    parts = rows.split(layer.group_size or rows.shape[1], dim=1)
    made = [
        torch.fake_quantize_per_channel_affine(part, scale.flatten(), zero_point.flatten(), 0, first, last)
        for part, scale, zero_point in zip(
            parts, layer.scale.flatten(1).unbind(1), layer.zero_point.flatten(1).unbind(1), strict=True
        )
    ]
    return torch.cat(made, dim=1).reshape(weight.shape)


# The weights


@pytest.mark.parametrize("observer", WEIGHT_OBSERVERS.options)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("granularity", ["per tensor", "per channel", "per group"])
@pytest.mark.parametrize("bits", [8, 5, 2])
def test_every_weight_is_the_one_of_torch_with_the_same_scales(bits, granularity, scheme, observer):
    model = support.tiny_all()
    quantized = quantize_weights(
        model, bits=bits, granularity=granularity, scheme=scheme, observer=observer, group_size=8
    )
    layers = quantized_layers(quantized)
    assert len(layers) == 9
    for name, layer in layers.items():
        assert torch.equal(layer.weight, theirs(model.get_submodule(name).weight.detach(), layer, scheme)), name


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("granularity", ["per tensor", "per channel", "per group"])
@pytest.mark.parametrize("bits", [8, 4, 3, 2, 1])
def test_the_integers_stand_for_the_weights_and_fit_into_the_bits(bits, granularity, scheme):
    quantized = quantize_weights(support.tiny_all(), bits=bits, granularity=granularity, scheme=scheme, group_size=8)
    first, last = integer_range(Grid(bits, is_symmetric=scheme == "symmetric"))
    for layer in quantized_layers(quantized).values():
        integers = layer.integers()
        assert integers.dtype == torch.int8
        assert first <= int(integers.min()) <= int(integers.max()) <= last
        weight = dequantize(integers, layer.spread(layer.scale), layer.spread(layer.zero_point))
        assert torch.equal(weight, layer.weight)


def test_unclipped_weights_move_by_half_a_step_at_most():
    model = support.tiny_all()
    for name, layer in quantized_layers(quantize_weights(model, bits=4)).items():
        moved = (layer.weight - model.get_submodule(name).weight).abs()
        assert bool((moved <= layer.scale * 0.5001).all())
        assert moved.max() > 0


def test_one_bit_leaves_the_sign_times_the_mean_magnitude_of_the_channel():
    layer = nn.Linear(3, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0, -2.0, 3.0], [-0.5, -0.25, 0.75]])
    assert quantize_weights(layer, bits=1).weight.tolist() == [[2.0, -2.0, 2.0], [-0.5, -0.5, 0.5]]


def test_a_kernel_has_groups_of_its_flattened_inputs():
    layer = nn.Conv2d(3, 2, 2, bias=False)
    layer.weight.data = torch.arange(1.0, 25.0).reshape(2, 3, 2, 2)
    quantized = quantize_weights(layer, bits=8, granularity="per group", group_size=8)
    assert (quantized.scale * 127).round().tolist() == [[8, 12], [20, 24]]


def test_kernels_stay_stored_with_channels_last():
    model = support.tiny_cnn()
    for granularity in ("per channel", "per group"):
        assert quantize_weights(model, granularity=granularity).conv2.weight.stride() == model.conv2.weight.stride()


def test_biases_and_batch_norms_stay_as_they_are():
    model = support.tiny_both()
    quantized = quantize_weights(model, bits=1)
    weights = {f"{name}.weight" for name in quantized_layers(quantized)}
    assert len(weights) == 5
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, quantized.state_dict()[key]) == (key not in weights), key


def test_zeros_of_a_pruned_network_stay_zero():
    pruned = prune_weights(support.tiny_mlp(), sparsity=0.9)
    for bits in (8, 2):
        for scheme in SCHEMES:
            quantized = quantize_weights(pruned, bits=bits, scheme=scheme)
            for name, layer in quantized_layers(quantized).items():
                assert bool((layer.weight == 0)[pruned.get_submodule(name).weight == 0].all())


@pytest.mark.parametrize("value", [0.0, 0.7, -3.0])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_constant_weight_is_on_its_grid(scheme, value):
    layer = nn.Linear(4, 3)
    layer.weight.data.fill_(value)
    assert torch.allclose(quantize_weights(layer, scheme=scheme).weight, layer.weight, rtol=1e-6, atol=0)


def test_double_and_half_precision_keep_their_type():
    for kind in (torch.float64, torch.float16):
        model = support.tiny_mlp().to(kind)
        quantized = quantize_weights(model)
        assert quantized.output.weight.dtype == kind
        assert int(quantized.output.integers().abs().max()) == 127


# Which layers


def test_linear_layers_and_convolutions_become_layers_on_a_grid_and_nothing_else_does():
    kinds = {name: type(module) for name, module in quantize_weights(support.tiny_both()).named_children()}
    assert [name for name, kind in kinds.items() if kind is QuantizedConv2d] == ["conv1", "conv2", "conv3"]
    assert [name for name, kind in kinds.items() if kind is QuantizedLinear] == ["hidden", "output"]
    assert kinds["norm1"] is nn.BatchNorm2d


def test_each_layer_gets_its_own_bits_and_the_others_stay_float():
    model = support.tiny_both()
    quantized = quantize_weights(model, bits={"conv2": 2, "output": 5})
    assert {name: layer.bits for name, layer in quantized_layers(quantized).items()} == {"conv2": 2, "output": 5}
    assert type(quantized.hidden) is nn.Linear
    assert torch.equal(quantized.hidden.weight, model.hidden.weight)
    assert len(quantized.conv2.weight[0].unique()) <= 3


def test_layers_may_be_quantized_one_after_the_other():
    model = support.tiny_both()
    together = quantize_weights(model, bits={"conv2": 2, "output": 5})
    assert support.bits(quantize_weights(quantize_weights(model, bits={"output": 5}), bits={"conv2": 2})) == (
        support.bits(together)
    )


def test_a_shared_weight_is_quantized_once_and_stays_shared():
    model = Tied()
    assert list(quantizable_layers(model)) == ["encode"]
    quantized = quantize_weights(model, bits=3)
    assert quantized.embedding.weight is quantized.encode.weight is quantized.decode.weight
    assert torch.equal(quantized.encode.integers(), quantized.decode.integers())
    assert len(compute_size(quantized).weights) == 1


def test_a_lone_layer_is_called_model():
    assert quantize_weights(nn.Linear(4, 5), bits={"model": 3}).bits == 3


def test_subclasses_use_their_weight_in_ways_of_their_own_and_stay_float():
    attention = nn.MultiheadAttention(4, 2)
    quantized = quantize_weights(nn.ModuleList([attention, nn.Linear(2, 2)]))
    assert list(quantized_layers(quantized)) == ["1"]
    assert torch.equal(quantized[0].out_proj.weight, attention.out_proj.weight)


# What comes of it


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.mark.parametrize(("bits", "fewest", "most"), [(8, 0, 3), (4, 0, 10), (2, 20, 360)])
def test_eight_bits_change_a_few_answers_at_most_and_two_bits_many(digits, bits, fewest, most):
    model, images = models.load("mlp-digits"), digits.validation.images
    quantized = quantize_weights(model, bits=bits, granularity="per tensor")
    n_changed = int((predict(model, images).argmax(1) != predict(quantized, images).argmax(1)).sum())
    assert len(images) == 360
    assert fewest <= n_changed <= most


def test_a_scale_for_each_channel_costs_fewer_answers_than_one_for_all(digits):
    model, images = models.load("cnn-digits"), digits.validation.images
    before = predict(model, images).argmax(1)
    changed = [
        int((predict(quantize_weights(model, bits=3, granularity=one), images).argmax(1) != before).sum())
        for one in ("per tensor", "per channel")
    ]
    assert changed[1] < changed[0]


def test_a_quantized_network_can_be_pruned_and_stays_on_its_grid():
    pruned = prune_weights(quantize_weights(support.tiny_mlp(), bits=4, scheme="affine"), sparsity=0.5)
    assert support.count_zeros(pruned) == 444
    for layer in quantized_layers(pruned).values():
        assert torch.equal(layer.integers() == layer.zero_point, layer.weight == 0)


def test_fresh_batch_norms_move_no_quantized_weight():
    quantized = quantize_weights(support.tiny_cnn(), bits=3)
    fresh = recalibrate(quantized, data=support.tiny_data())
    assert torch.equal(fresh.conv2.integers(), quantized.conv2.integers())
    assert not torch.equal(fresh.norm2.running_mean, quantized.norm2.running_mean)


def test_the_other_order_of_training_is_refused_and_the_right_one_is_named():
    data = support.tiny_data(n=60)
    tuned = fine_tune(prune_weights(support.tiny_mlp(), sparsity=0.5), data=data, epochs=1)
    quantized = quantize_weights(tuned)
    with pytest.raises(
        ValueError,
        match=r"^layer 'hidden1' has its weights on a grid of 8 bits, and training would move them off it: train first",
    ):
        fine_tune(quantized, data=data, epochs=1)


# Bad input


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_refused_with_its_layer(value):
    model = support.tiny_mlp()
    model.hidden2.weight.data[1, 2] = value
    with pytest.raises(ValueError, match=rf"^layer 'hidden2' cannot be quantized: weight holds {value} at .*\(1, 2\)"):
        quantize_weights(model)
    assert list(quantized_layers(quantize_weights(model, bits={"output": 4}))) == ["output"]


@pytest.mark.parametrize("model", [nn.ReLU(), nn.Sequential(), nn.BatchNorm2d(3), nn.Embedding(4, 2)])
def test_a_model_without_such_a_layer_gets_a_sentence(model):
    with pytest.raises(ValueError, match=r"has no layer whose weights can be quantized; it needs one of: Linear, Conv"):
        quantize_weights(model)


@pytest.mark.parametrize("computed", ["weight_norm", "mask"])
def test_a_weight_that_is_computed_gets_a_sentence(computed):
    layer = nn.Linear(4, 2)
    if computed == "weight_norm":
        torch.nn.utils.parametrizations.weight_norm(layer)
    else:
        torch.nn.utils.prune.identity(layer, "weight")
    with pytest.raises(ValueError, match=r"^layer '0' computes its weight from other tensors"):
        quantize_weights(nn.Sequential(layer))


@pytest.mark.parametrize("bits", [4, {"conv2": 4}])
def test_a_layer_that_lies_on_a_grid_already_is_not_put_on_another(bits):
    quantized = quantize_weights(support.tiny_cnn(), bits={"conv2": 8})
    with pytest.raises(ValueError, match=r"^layer 'conv2' has its weights on a grid of 8 bits already.*float network"):
        quantize_weights(quantized, bits=bits)


def test_a_pruned_network_is_not_filled_again_by_a_grid_without_a_zero():
    pruned = prune_weights(support.tiny_mlp(), sparsity={"hidden2": 0.5})
    with pytest.raises(ValueError, match=r"^layer 'hidden2' cannot be quantized: 48 of its weights are zero"):
        quantize_weights(pruned, bits=1)
    assert support.count_zeros(quantize_weights(pruned, bits=1, scheme="affine")) >= 48


def test_a_refused_network_stays_as_it_was():
    model = support.tiny_mlp()
    model.output.weight.data[0, 0] = float("nan")
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match="nan"):
        quantize_weights(model)
    assert support.bits(model) == support.bits(before)
    assert type(model.hidden1) is nn.Linear
