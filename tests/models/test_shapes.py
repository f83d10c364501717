"""Shapes: what is read off one network makes another one as narrow, and nothing makes it wider."""

import networks
import pytest
import support
import torch
from torch import nn

from efflab import models
from efflab.data import Data, Split
from efflab.models import SelfAttention, layer_shapes, narrow
from efflab.models.shapes import differing
from efflab.prune.structure import prune_filters, remove


def shapes_of(model: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def test_the_widths_are_those_of_the_layers():
    model = nn.Sequential(nn.Conv2d(2, 6, 3, groups=2), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(24, 3))
    assert layer_shapes(model) == {
        "0": {"out": 6, "in": 2, "groups": 2},
        "1": {"out": 6},
        "3": {"out": 3, "in": 24},
    }


def test_only_layers_that_differ_are_named():
    model = models.build("cnn", shape=support.SHAPE)
    pruned = remove(model, support.SHAPE, {"conv2": torch.arange(32) < 16})
    assert differing(model, model) == {}
    assert differing(pruned, model) == {
        "conv2": {"out": 16, "in": 16, "groups": 1},
        "norm2": {"out": 16},
        "conv3": {"out": 64, "in": 16, "groups": 1},
    }


@pytest.mark.parametrize("build", [networks.mobilenet_v2, lambda: models.build("resnet8", shape=(3, 32, 32))])
def test_a_fresh_network_gets_the_shapes_of_one_that_was_cut(build):
    data = support.tiny_data()
    splits = (wide(one) for one in (data.train, data.validation, data.test, data.calibration))
    data = Data("colours", *splits, data.classes)
    pruned = prune_filters(build(), data=data, ratio=0.5)
    fresh = narrow(build(), layer_shapes(pruned))
    assert shapes_of(fresh) == shapes_of(pruned) != shapes_of(build())
    fresh.load_state_dict(pruned.state_dict())
    images = data.test.images[:4]
    assert torch.equal(fresh(images), pruned(images))


def wide(split: Split) -> Split:
    """8x8 in grey -> 32x32 in three colours."""
    return Split(split.images.repeat(1, 3, 4, 4), split.labels)


def test_the_first_rows_and_columns_stay_and_the_layout_too():
    model = models.build("cnn", shape=support.SHAPE)
    smaller = narrow(model, {"conv2": {"out": 3, "in": 5, "groups": 1}})
    assert torch.equal(smaller.conv2.weight, model.conv2.weight[:3, :5])
    assert smaller.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert (smaller.conv2.out_channels, smaller.conv2.in_channels) == (3, 5)


def test_the_model_stays_and_shares_no_memory_and_keeps_what_is_frozen():
    model = support.tiny_mlp()
    model.hidden1.weight.requires_grad_(False)
    before = support.bits(model)
    smaller = narrow(model, {"hidden1": {"out": 6, "in": 64}})
    assert support.bits(model) == before
    assert model.hidden1.out_features == 12
    assert support.storages(model).isdisjoint(support.storages(smaller))
    assert (smaller.hidden1.weight.requires_grad, smaller.hidden1.bias.requires_grad) == (False, True)


def test_layers_that_share_their_weights_still_do_when_they_stay():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3))
    model[1].weight = model[0].weight
    smaller = narrow(model, layer_shapes(model) | {"2": {"out": 2, "in": 4}})
    assert smaller[1].weight is smaller[0].weight
    assert smaller[2].weight.shape == (2, 4)


def test_a_depthwise_convolution_loses_groups():
    smaller = narrow(nn.Sequential(nn.Conv2d(4, 8, 3, groups=4)), {"0": {"out": 4, "in": 2, "groups": 2}})
    assert smaller[0].weight.shape == (4, 1, 3, 3)
    assert smaller(torch.zeros(1, 2, 5, 5)).shape == (1, 4, 3, 3)


def test_attention_is_as_narrow_as_its_heads():
    model = nn.Sequential(SelfAttention(16, 4))
    shapes = {"0": {"heads": 1}, **{f"0.{one}": {"out": 4, "in": 16} for one in "qkv"}, "0.out": {"out": 16, "in": 4}}
    smaller = narrow(model, shapes)
    assert (smaller[0].n_heads, smaller[0].head_dim) == (1, 4)
    assert smaller(torch.zeros(2, 5, 16)).shape == (2, 5, 16)
    with pytest.raises(ValueError, match="'0' must be 4 heads of 4 numbers, which is not 4"):
        narrow(model, shapes | {"0": {"heads": 4}})


def test_groups_that_do_not_divide_are_refused():
    model = nn.Sequential(nn.Conv2d(8, 8, 3, groups=4))
    with pytest.raises(ValueError, match="'0' in 4 groups must read and make a multiple of that"):
        narrow(model, {"0": {"out": 6, "in": 8, "groups": 4}})
