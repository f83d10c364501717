"""Training on grids: what comes out lies on them, answers as it did in training, and is what integer kernels run."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
import support
import torch
from torch import Tensor, nn

from efflab import data as datasets
from efflab import models
from efflab.data import Classification, Data
from efflab.prune import prune_weights
from efflab.quantize import (
    fold_batch_norms,
    integer_range,
    quantize_activations,
    quantize_weights,
    train_quantized,
)
from efflab.quantize.aware import techniques
from efflab.quantize.grids import Grid, dequantize
from efflab.runtime import export_integers, parity, plan_kernels, quantized_layers
from efflab.runtime.executed import INTEGER, executed_kernels
from efflab.training import Progress, predict, train, validation_score

METHODS = ("straight-through", "LSQ")


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


@pytest.fixture(scope="module")
def digits() -> Data:
    return datasets.load("digits")


@pytest.fixture(scope="module")
def model(data) -> models.Network:
    """A network that has learned something, so that its batch norms have statistics."""
    network = support.tiny_cnn()
    list(train(network, data, epochs=6))
    return network


def stopped() -> Progress:
    progress = Progress()
    progress.stop()
    return progress


def steps_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: layer.scale for name, layer in quantized_layers(network).items()}


# What comes out


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("granularity", ["per tensor", "per channel"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_all_weights_lie_on_the_grid_and_no_batch_norm_is_left(bits, granularity, method, model, data):
    made = train_quantized(model, data=data, bits=bits, granularity=granularity, method=method, epochs=1)
    layers = quantized_layers(made)
    assert list(layers) == ["conv1", "conv2", "conv3", "output"]
    first, last = integer_range(Grid(bits))
    for layer in layers.values():
        integers = layer.integers()
        assert torch.equal(layer.weight, dequantize(integers, layer.scale, layer.zero_point))
        assert first <= int(integers.min()) <= int(integers.max()) <= last
        assert (layer.bits, layer.reads.bits) == (bits, 8)
        assert layer.scale.numel() == (1 if granularity == "per tensor" else len(layer.weight))
    assert [type(made.get_submodule(name)) for name in ("norm1", "norm2", "norm3")] == [nn.Identity] * 3
    assert not made.training


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_it_answers_bit_for_bit_as_the_network_that_was_trained(bits, method, model, data, monkeypatch):
    in_training: list[Tensor] = []

    def keep_best(network: nn.Module, *rest: object) -> None:
        keep(network, *rest)
        in_training.append(predict(network, data.test.images))

    keep = techniques.keep_best
    monkeypatch.setattr(techniques, "keep_best", keep_best)
    made = train_quantized(model, data=data, bits=bits, method=method)
    assert torch.equal(predict(made, data.test.images), in_training[0])


@pytest.mark.parametrize("method", METHODS)
def test_without_training_it_is_quantization_with_the_smallest_squared_error(method, model, data):
    made = train_quantized(model, data=data, bits=3, activation_bits=6, method=method, progress=stopped())
    folded = quantize_activations(fold_batch_norms(model, data=data), data=data, bits=6, observer="MSE")
    expected = quantized_layers(quantize_weights(folded, bits=3, observer="MSE"))
    for name, layer in quantized_layers(made).items():
        assert torch.equal(layer.integers(), expected[name].integers())
        torch.testing.assert_close(layer.scale, expected[name].scale, rtol=1e-6, atol=0)
        torch.testing.assert_close(layer.bias, expected[name].bias, rtol=0, atol=0)
        assert torch.equal(layer.reads.scale, expected[name].reads.scale)


@pytest.mark.parametrize(("bits", "granularity", "broken"), [(1, "per channel", 0.5), (2, "per tensor", 0.9)])
def test_training_repairs_what_few_bits_broke(bits, granularity, broken, digits):
    network = models.load("cnn-digits")
    few = {"data": digits, "bits": bits, "granularity": granularity}
    before = validation_score(train_quantized(network, progress=stopped(), **few), digits)
    after = [validation_score(train_quantized(network, method=method, **few), digits) for method in METHODS]
    assert before < broken < min(after)
    assert min(after) > 0.88


def test_steps_stay_as_they_are_straight_through_and_move_with_lsq(model, data):
    start = steps_of(train_quantized(model, data=data, bits=2, progress=stopped()))
    fixed = steps_of(train_quantized(model, data=data, bits=2))
    learned = steps_of(train_quantized(model, data=data, bits=2, method="LSQ"))
    assert all(torch.equal(fixed[name], step) for name, step in start.items())
    assert all(not torch.equal(learned[name], step) for name, step in start.items())
    assert all(bool((learned[name] / step - 1).abs().max() < 0.1) for name, step in start.items())


def test_one_bit_is_the_sign_times_the_mean_magnitude_of_the_float_behind_it(data):
    layer = nn.Linear(64, 3)
    network = nn.Sequential(nn.Flatten(), layer)
    made = train_quantized(network, data=data, bits=1, progress=stopped())
    assert torch.equal(made[1].weight.sign(), layer.weight.sign())
    torch.testing.assert_close(made[1].scale, layer.weight.detach().abs().mean(dim=1, keepdim=True))


def test_each_epoch_is_told_and_the_best_is_kept(model, data):
    records = []
    made = train_quantized(model, data=data, bits=2, epochs=8, learning_rate=0.01, progress=Progress(records.append))
    start = validation_score(train_quantized(model, data=data, bits=2, progress=stopped()), data)
    assert [record.number for record in records] == list(range(1, 9))
    assert validation_score(made, data) == max(start, *(record.score for record in records))


# Which layers


def test_layers_that_are_not_named_keep_float_weights_that_train(model, data):
    made = train_quantized(model, data=data, bits={"conv2": 2, "output": 8}, epochs=10)
    folded = fold_batch_norms(model, data=data)
    assert {name: layer.bits for name, layer in quantized_layers(made).items()} == {"conv2": 2, "output": 8}
    assert made.conv1.reads.bits == 8
    assert not torch.equal(made.conv1.weight, folded.conv1.weight)
    assert len(made.conv1.weight.unique()) == made.conv1.weight.numel()


def test_few_bits_of_activations_are_few_values(model, data):
    made = train_quantized(model, data=data, activation_bits=2, epochs=1)
    read = made.conv2.reads(torch.linspace(-9, 9, 1000))
    assert len(read.unique()) == 4


def test_a_network_without_batch_norms_is_trained_as_it_is(data):
    made = train_quantized(support.tiny_mlp(), data=data)
    assert list(quantized_layers(made)) == ["hidden1", "hidden2", "output"]


def test_a_batch_norm_that_cannot_be_folded_stays_and_trains(data):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 3))
    models.reset_weights(network, seed=0)
    made = train_quantized(network, data=data)
    assert type(made[3]) is nn.BatchNorm1d
    assert not torch.equal(made[3].running_mean, network[3].running_mean)
    assert list(quantized_layers(made)) == ["1", "4"]


def test_layers_that_share_a_weight_still_do(data):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    network[3].weight = network[1].weight
    for method in METHODS:
        made = train_quantized(network, data=data, bits=2, method=method, epochs=1)
        assert made[1].weight is made[3].weight
        assert torch.equal(made[1].scale, made[3].scale)
        assert not torch.equal(made[1].bias, made[3].bias)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", [2, 8])
def test_the_zeros_of_a_pruned_network_stay(bits, method, model, data):
    pruned = prune_weights(model, sparsity=0.6)
    made = train_quantized(pruned, data=data, bits=bits, method=method, epochs=10, learning_rate=0.01)
    for name, weight in pruned.named_parameters():
        if weight.ndim > 1:
            assert bool((made.get_parameter(name)[weight == 0] == 0).all())
    assert support.count_zeros(made) >= round(0.6 * support.count_weights(model))


# Real integers


@pytest.mark.parametrize(("bits", "method"), [(4, "straight-through"), (8, "straight-through"), (2, "LSQ")])
def test_integer_kernels_answer_as_the_trained_network_does(bits, method, digits, tmp_path):
    made = train_quantized(models.load("cnn-digits"), data=digits, bits=bits, method=method, epochs=1)
    assert {planned.kernel for planned in plan_kernels(made).values()} == {"int8"}
    file = export_integers(made, digits.shape, tmp_path)
    assert set(executed_kernels(file).values()) <= set(INTEGER)
    assert len(executed_kernels(file)) == 4
    found = parity(file, made, digits.validation.images)
    assert found.n == 360
    assert found.agreement >= 0.994  # of 360 images, two may lie between two answers
    reach = float(predict(made, digits.validation.images).abs().max())
    assert found.max_difference < 0.02 * reach  # an activation may go to the next of 255 steps


@pytest.mark.parametrize("activation_bits", [2, 4])
def test_with_fewer_bits_of_activations_the_file_still_answers_alike(activation_bits, digits, tmp_path):
    made = train_quantized(models.load("cnn-digits"), data=digits, activation_bits=activation_bits, epochs=1)
    assert {planned.kernel for planned in plan_kernels(made).values()} == {"float"}
    file = export_integers(made, digits.shape, tmp_path)
    assert parity(file, made, digits.validation.images).agreement >= 0.99


# Bad input


def test_a_network_on_grids_is_refused_and_the_right_order_is_named(model, data):
    for made in (quantize_weights(model, bits={"conv2": 4}), quantize_activations(model, data=data)):
        with pytest.raises(ValueError, match=r"^layer 'conv\d' has its .*, and this training puts floats on grids"):
            train_quantized(made, data=data)
        with pytest.raises(ValueError, match="the network before it was quantized"):
            train_quantized(made, data=data, bits={"conv1": 4})


def test_a_network_without_such_a_layer_gets_a_sentence(data):
    with pytest.raises(ValueError, match="has no layer whose weights can be quantized; it needs one of: Linear"):
        train_quantized(nn.Sequential(nn.Flatten(), nn.LayerNorm(64)), data=data)


def test_a_layer_that_is_not_there_gets_a_sentence(model, data):
    with pytest.raises(ValueError, match=r"^bits names 'conv9'; the layers that can be quantized are: conv1, conv2"):
        train_quantized(model, data=data, bits={"conv9": 4})


def test_zeros_are_not_filled_again_by_one_bit(model, data):
    pruned = prune_weights(model, sparsity={"conv2": 0.5})
    with pytest.raises(ValueError, match=r"^layer 'conv2' cannot be quantized: 36 of its weights are zero"):
        train_quantized(pruned, data=data, bits=1)
    assert train_quantized(pruned, data=data, bits={"conv3": 1}, epochs=1).conv3.bits == 1


@dataclass(frozen=True)
class Diverging(Classification):
    """A task whose loss becomes NaN, and the weights with it, after some batches."""

    losses: Iterator[float] = field(default_factory=lambda: iter(()))

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        return super().loss(scores, labels) * next(self.losses)


def test_a_training_that_diverges_gets_a_sentence_and_the_network_stays_as_it_was(model, data):
    before, n_batches = support.bits(model), 2
    task = Diverging(losses=iter([1.0] * (n_batches + 1) + [float("nan")]))
    records = []
    with pytest.raises(ValueError, match=r"^the loss became nan in epoch 2: lower the learning rate$"):
        train_quantized(model, data=replace(data, task=task), progress=Progress(records.append))
    assert [record.number for record in records] == [1]
    assert support.bits(model) == before
