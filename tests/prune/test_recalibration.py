"""Batch norm recalibration: the statistics are those of torch's own function, and nothing else changes."""

import pytest
import support
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from efflab import models
from efflab.data import Data
from efflab.prune import fine_tune, recalibrate
from efflab.prune.recalibration import batches
from efflab.prune.structure import prune_filters
from efflab.recipe import run, step
from efflab.training import copy_model, train, validation_score

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data(n=600)  # 390 training images


def statistics(model: nn.Module) -> dict[str, torch.Tensor]:
    found = {name: one for name, one in model.named_buffers() if name.endswith(STATISTICS)}
    assert found
    return found


def of_torch(model: nn.Module, parts: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    """What torch makes of the same batches."""
    twin = copy_model(model)
    update_bn(parts, twin)
    return statistics(twin)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(one, second[name]) for name, one in first.items())


# What it measures


@pytest.mark.parametrize("images", [100, 200, 300, 2000])
def test_the_statistics_are_those_of_torch_on_the_same_batches(images, data):
    model = prune_filters(support.tiny_both(), data=data, ratio=0.5)
    expected = of_torch(model, batches(data.train.images, images))
    found = statistics(recalibrate(model, data=data, images=images))
    assert same(found, expected)
    assert not same(found, statistics(model))
    n_batches = 4 if images == 2000 else images // 100  # there are 390
    assert {int(one) for name, one in found.items() if name.endswith("tracked")} == {n_batches}


def test_a_norm_in_front_of_everything_gets_the_mean_and_variance_of_the_images(data):
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 3))
    norm = recalibrate(model, data=data, images=100)[0]
    (seen,) = batches(data.train.images, 100)
    assert norm.running_mean.item() == pytest.approx(seen.mean().item(), abs=1e-6)
    assert norm.running_var.item() == pytest.approx(seen.var().item(), rel=1e-5)


def test_a_batch_norm_over_vectors_is_measured_too(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    expected = of_torch(model, batches(data.train.images, 200))
    assert same(statistics(recalibrate(model, data=data, images=200)), expected)


def test_dropout_drops_nothing_meanwhile(data):
    plain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Identity(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    dropping = copy_model(plain).train()
    dropping[1] = nn.Dropout(0.9)
    found = statistics(recalibrate(dropping, data=data, images=200))
    assert same(found, statistics(recalibrate(plain, data=data, images=200)))


def test_the_images_are_spread_evenly_over_the_split_and_each_comes_once():
    parts = batches(torch.arange(1000), 300)
    assert [len(part) for part in parts] == [100, 100, 100]
    chosen = torch.cat(parts)
    assert (chosen[0].item(), chosen[-1].item()) == (0, 996)
    assert set(chosen.diff().tolist()) == {3, 4}


def test_a_split_that_is_smaller_is_used_whole_in_equal_batches():
    parts = batches(torch.arange(130), 500)
    assert [part.tolist() for part in parts] == [list(range(130))]
    assert [len(part) for part in batches(torch.arange(170), 500)] == [85, 85]


# What stays


def test_weights_flags_and_momenta_stay(data):
    model = support.tiny_cnn().train()
    model.norm2.eval()
    model.norm3.momentum = 0.25
    result = recalibrate(model, data=data)
    assert all(torch.equal(one, result.get_parameter(name)) for name, one in model.named_parameters())
    assert [one.training for one in result.modules()] == [one.training for one in model.modules()]
    assert (result.norm1.momentum, result.norm3.momentum) == (0.1, 0.25)


def test_twice_is_as_once(data):
    once = recalibrate(support.tiny_cnn(), data=data)
    assert same(statistics(recalibrate(once, data=data)), statistics(once))


def test_a_pruned_network_answers_better_with_statistics_of_its_own():
    data = support.tiny_data(n=1000, noise=0.3)
    model = models.build("resnet8", shape=support.SHAPE, n_classes=3, sizes=(16,))
    list(train(model, data, epochs=6, learning_rate=0.01))
    pruned = prune_filters(model.eval(), data=data, ratio=0.5)
    before, after = validation_score(pruned, data), validation_score(recalibrate(pruned, data=data), data)
    assert validation_score(model, data) > 0.9
    assert after > before + 0.1


# In a recipe


def test_after_prune_filters_both_steps_keep_the_small_shapes(data):
    model = models.build("cnn", shape=support.SHAPE, n_classes=3, sizes=(8,))
    recipe = (step(prune_filters, ratio=0.5), step(recalibrate, images=100), step(fine_tune, epochs=1))
    result = run(recipe, model, data=data)
    expected = prune_filters(model, data=data, ratio=0.5)
    shapes = {name: one.shape for name, one in result.state_dict().items()}
    assert shapes == {name: one.shape for name, one in expected.state_dict().items()}
    assert result.conv2.out_channels == result.norm2.num_features == 8
    assert not torch.equal(result.conv1.weight, expected.conv1.weight)


# What it cannot act on


def test_a_network_without_batch_norm_gets_a_sentence(data):
    with pytest.raises(ValueError, match=r"^Network has no mean and variance .* it has no batch norm; where they"):
        recalibrate(support.tiny_mlp(), data=data)


def test_a_batch_norm_that_remembers_nothing_gets_a_sentence(data):
    model = nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(ValueError, match=r"its batch norms remember none \(track_running_stats=False\)"):
        recalibrate(model, data=data)


def test_a_norm_that_remembers_nothing_is_left_alone_beside_one_that_does(data):
    model = nn.Sequential(
        nn.BatchNorm2d(1, track_running_stats=False), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 3)
    )
    result = recalibrate(model, data=data, images=100)
    assert result[0].running_mean is None
    assert result[1].running_var.item() != 1
