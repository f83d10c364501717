"""Learned rounding: up or down on the same grid, so that the outputs of a layer change less than to nearest."""

import itertools

import pytest
import support
import torch
from torch import nn

from efflab import data as datasets
from efflab import models
from efflab.data import Data, Split
from efflab.prune import prune_weights
from efflab.quantize import fold_batch_norms, learn_rounding, quantize_weights, rounding
from efflab.quantize.rounding import neighbours, rectified_sigmoid, undecided
from efflab.quantize.watching import watch
from efflab.runtime import quantized_layers
from efflab.training import Progress, predict, validation_score


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


def error_of(network: nn.Module, model: nn.Module, images: torch.Tensor) -> float:
    return float((predict(network, images) - predict(model, images)).square().mean())


# The grid


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("granularity", ["per tensor", "per channel", "per group"])
@pytest.mark.parametrize("observer", ["min-max", "MSE"])
def test_the_grid_is_that_of_quantize_weights_and_integers_differ_by_one_at_most(observer, granularity, scheme, data):
    settings = {"bits": 3, "granularity": granularity, "observer": observer, "scheme": scheme, "group_size": 8}
    nearest = quantized_layers(quantize_weights(support.tiny_both(), **settings))
    learned = quantized_layers(learn_rounding(support.tiny_both(), data=data, steps=50, **settings))
    assert list(learned) == list(nearest)
    n_moved = 0
    for name, layer in learned.items():
        other = nearest[name]
        assert torch.equal(layer.scale, other.scale)
        assert torch.equal(layer.zero_point, other.zero_point)
        assert (layer.bits, layer.is_symmetric, layer.group_size) == (other.bits, other.is_symmetric, other.group_size)
        moved = layer.integers().int() - other.integers().int()
        assert int(moved.abs().max()) <= 1
        n_moved += int(moved.count_nonzero())
    assert n_moved > 0


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
def test_the_neighbours_of_a_weight_are_a_step_apart_or_are_the_weight(scheme):
    layer = nn.Linear(5, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 0.4, -0.4, 0.0, -3.0]])
    quantized = quantize_weights(layer, bits=3, scheme=scheme)  # steps of 1, or of 6/7
    down, up = neighbours(torch.tensor([[3.0, 0.4, -0.4, 0.0, -9.0]]), quantized)
    if scheme == "symmetric":
        assert down.tolist() == [[3.0, 0.0, -1.0, 0.0, -3.0]]
        assert up.tolist() == [[3.0, 1.0, 0.0, 0.0, -3.0]]
    assert bool((down <= up).all())
    inside = (up - down)[0, 1:3]
    torch.testing.assert_close(inside, quantized.scale.flatten().expand(2))
    assert down[0, 3] == up[0, 3] == 0
    assert down[0, 4] == up[0, 4]


def test_a_weight_that_cancels_the_error_of_another_goes_the_other_way():
    """Nearest loses both of 0.4 and 0.45 steps; where their inputs are alike, one up is closer to their sum."""
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 0.4, 0.45]])
    model = nn.Sequential(nn.Flatten(), layer)
    same = torch.rand(64, 1, 1, 1, generator=torch.Generator().manual_seed(0)).expand(64, 1, 1, 2)
    split = Split(torch.cat([torch.zeros(64, 1, 1, 1), same], dim=3), torch.zeros(64, dtype=torch.int64))
    data = Data("alike", split, split, split, split, ("one", "other"))
    assert quantize_weights(model, bits=3)[1].weight.tolist() == [[3.0, 0.0, 0.0]]
    assert learn_rounding(model, data=data, bits=3)[1].weight.tolist() == [[3.0, 0.0, 1.0]]


def test_of_all_ways_to_round_a_small_layer_it_finds_one_of_the_best():
    noise = support.tiny_data().calibration
    split = Split(noise.images.abs(), noise.labels)  # never negative, as behind a ReLU
    data = Data("bright", split, split, split, split, ("dark", "grey", "light"))
    layer = nn.Linear(64, 1, bias=False)
    generator = torch.Generator().manual_seed(3)
    layer.weight.data = torch.zeros(1, 64)
    layer.weight.data[0, :10] = torch.rand(10, generator=generator) * 0.45  # nearest is 0
    layer.weight.data[0, 10] = 1.0
    model = nn.Sequential(nn.Flatten(), layer)
    images = data.calibration.images.flatten(1)[:, :10].double()
    nearest = quantize_weights(model, bits=2)
    learned = learn_rounding(model, data=data, bits=2, steps=400)
    down, up = (one[0, :10].double() for one in neighbours(layer.weight.detach(), nearest[1]))
    choices = torch.tensor(list(itertools.product((False, True), repeat=10)))
    outputs = images @ (torch.where(choices, up, down) - layer.weight.detach()[0, :10].double()).T
    errors = outputs.square().mean(dim=0).sort().values.unique()  # of 1024 ways, some are the same
    error = error_of(learned, model, data.calibration.images)
    assert error <= float(errors[len(errors) // 50])
    assert error < 0.7 * error_of(nearest, model, data.calibration.images)


# Accuracy


def test_three_bits_are_clearly_better_than_rounded_to_nearest():
    scattered = datasets.load("scattered")
    model = fold_batch_norms(models.load("cnn-scattered"), data=scattered)
    nearest = quantize_weights(model, bits=3)
    learned = learn_rounding(model, data=scattered, bits=3, steps=100)
    assert validation_score(nearest, scattered) < 0.91
    assert validation_score(learned, scattered) > 0.935


def test_no_layer_is_further_from_the_float_layer_than_rounded_to_nearest(data):
    model = support.tiny_mlp()
    nearest, learned = quantize_weights(model, bits=3), learn_rounding(model, data=data, bits=3, steps=50)
    images = data.calibration.images
    ours, theirs, wanted = (watch(one, images, ["hidden1"])["hidden1"].outputs for one in (learned, nearest, model))
    assert (ours - wanted).square().mean() < (theirs - wanted).square().mean()


def test_a_layer_that_comes_out_worse_stays_rounded_to_nearest(data, monkeypatch):
    monkeypatch.setattr(rounding, "LEARNING_RATE", 1000.0)  # every choice is thrown about
    model = support.tiny_mlp()
    nearest, learned = quantize_weights(model, bits=6), learn_rounding(model, data=data, bits=6, steps=50)
    assert torch.equal(learned.hidden1.weight, nearest.hidden1.weight)


# Parts


def test_the_sigmoid_reaches_its_ends_and_starts_at_the_place_of_the_weight():
    v = torch.linspace(-12, 12, 1001, dtype=torch.float64)
    h = rectified_sigmoid(v)
    torch.testing.assert_close(h, (torch.sigmoid(v) * 1.2 - 0.1).clamp(0, 1))
    assert (h[0], h[-1]) == (0, 1)


def test_the_regulariser_is_that_of_the_paper():
    h = torch.tensor([0.0, 0.3, 1.0])
    assert undecided(h, 0.19) == 0
    torch.testing.assert_close(undecided(h, 0.2), torch.tensor((1 - 0.4**20) / 3))
    torch.testing.assert_close(undecided(h, 0.6), torch.tensor((1 - 0.4**11) / 3))
    torch.testing.assert_close(undecided(h, 1.0), torch.tensor((1 - 0.4**2) / 3))


# Stopped, pruned, shared


def test_stopped_the_layers_that_are_left_are_rounded_to_nearest(data):
    progress = Progress()
    progress.on_record = lambda record: progress.stop()
    model = support.tiny_mlp()
    learned = learn_rounding(model, data=data, bits=3, progress=progress)
    nearest = quantize_weights(model, bits=3)
    assert not torch.equal(learned.hidden1.weight, nearest.hidden1.weight)
    assert torch.equal(learned.hidden2.weight, nearest.hidden2.weight)
    assert torch.equal(learned.output.weight, nearest.output.weight)


def test_a_record_follows_each_layer_and_the_last_is_of_the_result(data):
    records = []
    learned = learn_rounding(support.tiny_mlp(), data=data, steps=50, progress=Progress(records.append))
    assert [(record.number, record.n_epochs) for record in records] == [(1, 3), (2, 3), (3, 3)]
    calibration = data.calibration
    assert records[-1].score == validation_score(learned, data)
    assert records[-1].train_loss == float(data.task.loss(predict(learned, calibration.images), calibration.labels))


def test_zeros_stay_zeros(data):
    pruned = prune_weights(support.tiny_mlp(), sparsity=0.6)
    learned = learn_rounding(pruned, data=data, bits=3)
    for name, weight in pruned.named_parameters():
        assert not learned.get_parameter(name)[weight == 0].any()


def test_layers_that_share_a_weight_share_it_still(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64, bias=False)).eval()
    model[3].weight = model[1].weight
    records = []
    learned = learn_rounding(model, data=data, bits=3, steps=50, progress=Progress(records.append))
    assert len(records) == 1
    assert learned[3].weight is learned[1].weight
    assert torch.equal(learned[3].integers(), learned[1].integers())


def test_a_layer_that_does_not_run_is_rounded_to_nearest(data):
    model = support.tiny_mlp()
    model.hidden1.spare = nn.Linear(3, 3)
    learned = learn_rounding(model, data=data, bits=3, steps=50)
    assert torch.equal(learned.hidden1.spare.weight, quantize_weights(model, bits=3).hidden1.spare.weight)


def test_only_the_layers_that_are_named_are_rounded(data):
    learned = learn_rounding(support.tiny_mlp(), data=data, bits={"hidden2": 3}, steps=50)
    assert list(quantized_layers(learned)) == ["hidden2"]
    records = []
    again = learn_rounding(learned, data=data, bits={"hidden1": 3}, steps=50, progress=Progress(records.append))
    assert len(records) == 1
    assert list(quantized_layers(again)) == ["hidden1", "hidden2"]
    assert torch.equal(again.hidden2.weight, learned.hidden2.weight)


def test_a_network_on_a_grid_is_refused(data):
    with pytest.raises(ValueError, match=r"^layer 'hidden1' has its weights on a grid of 8 bits already"):
        learn_rounding(quantize_weights(support.tiny_mlp()), data=data)


def test_no_gradient_stays_behind(data):
    learned = learn_rounding(support.tiny_mlp(), data=data, steps=50)
    assert all(parameter.grad is None for parameter in learned.parameters())
