"""One bias moved: one logit moves by as much for each image, and everything else stays."""

import pytest
import support
import torch
from torch import nn

from efflab.distill import shift_bias
from efflab.prune import prune_weights
from efflab.quantize import quantize_weights, share_weights


@pytest.mark.parametrize("by", [3.5, -2.0, 0.0])
def test_one_logit_moves_by_the_number_and_no_other(by):
    model, images = support.tiny_cnn(), support.tiny_data().validation.images
    expected = model(images).detach()
    expected[:, 2] += by
    torch.testing.assert_close(shift_bias(model, label=2, by=by)(images), expected)


def test_it_is_the_last_linear_layer_that_moves_and_only_that_number():
    model = support.tiny_mlp()
    before, now = support.bits(model), support.bits(shift_bias(model, label=1, by=0.5))
    assert [name for name in before if before[name] != now[name]] == ["output.bias"]
    moved = shift_bias(model, label=1, by=0.5).output.bias - model.output.bias
    assert moved.tolist() == pytest.approx([0, 0.5, 0])


@pytest.mark.parametrize("coded", [quantize_weights, share_weights])
def test_a_layer_whose_weights_have_a_code_has_a_bias_too(coded):
    model, images = coded(prune_weights(support.tiny_mlp(), sparsity=0.5)), support.tiny_data().validation.images
    difference = shift_bias(model, label=0, by=1.5)(images) - model(images)
    torch.testing.assert_close(difference, torch.tensor([1.5, 0.0, 0.0]).expand_as(difference))


def test_a_class_that_is_not_there_is_answered_with_how_many_there_are():
    with pytest.raises(ValueError, match="this network, which tells 3 classes apart, not 3"):
        shift_bias(support.tiny_mlp(), label=3)


def test_without_a_bias_or_a_linear_layer_there_is_a_sentence():
    with pytest.raises(ValueError, match="layer '1', the last linear one of Sequential, has no bias that could move"):
        shift_bias(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False)))
    with pytest.raises(ValueError, match="Sequential has no linear layer"):
        shift_bias(nn.Sequential(nn.Conv2d(1, 2, 3)))
