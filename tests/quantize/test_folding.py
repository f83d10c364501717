"""Batch-norm folding: the same answers without the batch norms, and a reason for each that stays."""

import pytest
import support
import torch
from networks import Calls, resnet18
from torch import nn
from torch.nn.utils import fusion

from efflab import models
from efflab.data import Data
from efflab.prune import prune_filters
from efflab.quantize import find_folds, fold_batch_norms, quantize_weights
from efflab.quantize.folding import folded_numbers


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


def used(model: nn.Module) -> nn.Module:
    """The model with batch norms that have seen something, and channels that they treat differently."""
    generator = torch.Generator().manual_seed(0)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                if tensor is not None:
                    tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return model.eval()


def mlp(**settings: bool) -> nn.Sequential:
    layers = [nn.Flatten(), nn.Linear(64, 6, bias=False), nn.BatchNorm1d(6, **settings), nn.ReLU(), nn.Linear(6, 3)]
    return used(nn.Sequential(*layers))


def whys(model: nn.Module) -> dict[str, str]:
    return {one.norm: one.why for one in find_folds(model)}


# The same answers


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-5)])
@pytest.mark.parametrize("build", [support.tiny_cnn, support.tiny_all, mlp], ids=["cnn", "attention", "mlp"])
def test_the_answers_stay_and_no_batch_norm_does(build, kind, tolerance, data):
    model = used(build()).to(kind)
    folded = fold_batch_norms(model, data=data)
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in folded.modules())
    images = data.test.images.to(kind)
    torch.testing.assert_close(folded(images), model(images), rtol=0, atol=tolerance)
    assert {parameter.dtype for parameter in folded.parameters()} == {kind}


def test_a_residual_network_folds_all_of_its_batch_norms():
    model = used(models.build("resnet8", shape=support.SHAPE, n_classes=3, sizes=(4,)))
    folds = find_folds(model)
    assert len(folds) == 7
    assert all(not one.why for one in folds)
    assert ("block2.norm1", "block2.conv1") in [(one.norm, one.layer) for one in folds]


def test_each_of_the_twenty_batch_norms_of_resnet_18_has_its_convolution():
    folds = find_folds(resnet18())
    assert [one.why for one in folds] == [""] * 20
    assert len({one.layer for one in folds}) == 20


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("is_affine", [True, False])
def test_the_folded_numbers_are_those_of_torch(is_affine, has_bias):
    norm = nn.BatchNorm2d(4, affine=is_affine)
    used(norm)
    layer = nn.Conv2d(3, 4, 3, bias=has_bias)
    theirs = fusion.fuse_conv_bn_weights(
        layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    for one, other in zip(folded_numbers(layer.weight, layer.bias, norm), theirs, strict=True):
        torch.testing.assert_close(one, other.data, rtol=1e-5, atol=1e-6)


def test_a_batch_norm_without_scale_and_shift_is_folded(data):
    model = mlp(affine=False)
    folded = fold_batch_norms(model, data=data)
    torch.testing.assert_close(folded(data.test.images), model(data.test.images), rtol=0, atol=1e-5)


def test_a_grouped_convolution_is_folded(data):
    layers = [nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3, groups=4), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(128, 3)]
    model = used(nn.Sequential(*layers))
    folded = fold_batch_norms(model, data=data)
    assert type(folded[2]) is nn.Identity
    torch.testing.assert_close(folded(data.test.images), model(data.test.images), rtol=0, atol=1e-5)


def test_kernels_stay_stored_with_channels_last(data):
    model = support.tiny_cnn()
    assert fold_batch_norms(model, data=data).conv2.weight.stride() == model.conv2.weight.stride()


def test_what_is_quantized_after_it_are_the_folded_weights(data):
    folded = fold_batch_norms(used(support.tiny_cnn()), data=data)
    quantized = quantize_weights(folded)
    reach = folded.conv2.weight.abs().amax(dim=(1, 2, 3))
    torch.testing.assert_close(quantized.conv2.scale.flatten() * 127, reach)


def test_a_folded_network_can_still_lose_filters(data):
    folded = fold_batch_norms(used(support.tiny_cnn()), data=data)
    assert prune_filters(folded, data=data, ratio=0.5).conv2.out_channels == 2


# What stays, and why


class Twice(nn.Module):
    """One layer before two batch norms; one batch norm that nobody calls."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.one, self.two, self.never = nn.Linear(4, 4), *(nn.BatchNorm1d(4) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.one(self.layer(x)) + self.two(self.layer(x))


class Read(nn.Module):
    """What the layer gives is also read by others."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return self.norm(y) + y


class Direct(Read):
    """The weight of the layer is also read directly."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layer(x)) + self.layer.weight.sum()


def test_a_batch_norm_that_cannot_be_folded_says_why():
    assert whys(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(1))) == {"1": "it comes after a ReLU"}
    assert whys(nn.Sequential(nn.BatchNorm2d(1))) == {"0": "it comes after no layer, but after the network's input"}
    assert whys(Twice()) == {
        "one": "layer 'layer' is called 2 times",
        "two": "layer 'layer' is called 2 times",
        "never": "it is called 0 times",
    }
    assert whys(Read()) == {"norm": "something else reads what layer 'layer' gives, too"}
    assert whys(Direct()) == {"norm": "the numbers of 'layer' are also read directly"}
    assert whys(mlp(track_running_stats=False))["2"].startswith("it remembers no mean and variance")
    assert whys(nn.Sequential(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2))) == {"1": "it comes after a Conv1d"}


def test_a_layer_that_shares_its_weight_is_not_folded_into():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    assert whys(model) == {"1": "layer '0' shares its numbers with '2'"}


def test_those_that_can_be_folded_are_and_the_others_stay(data):
    model = used(nn.Sequential(nn.BatchNorm2d(1), *mlp()))
    folded = fold_batch_norms(model, data=data)
    assert [type(module) for module in folded][:4] == [nn.BatchNorm2d, nn.Flatten, nn.Linear, nn.Identity]
    torch.testing.assert_close(folded(data.test.images), model(data.test.images), rtol=0, atol=1e-5)


# Refused


def test_a_network_without_a_batch_norm_gets_a_sentence(data):
    with pytest.raises(ValueError, match=r"^Network has no batch norm that could be folded; leave this step out"):
        fold_batch_norms(support.tiny_mlp(), data=data)


def test_a_network_in_which_none_can_be_folded_hears_why_for_each(data):
    with pytest.raises(
        ValueError, match=r"layer before it: '0' stays, because it comes after no layer.*input; '2' stays"
    ):
        fold_batch_norms(nn.Sequential(nn.BatchNorm2d(1), nn.ReLU(), nn.BatchNorm2d(1)), data=data)


def test_a_linear_layer_whose_batch_norm_runs_along_a_sequence_is_found_out(data):
    along = Calls(lambda self, x: self.norm(self.layer(x.squeeze(1))).mean(2))
    along.layer, along.norm = nn.Linear(8, 8), used(nn.BatchNorm1d(8))
    with pytest.raises(ValueError, match=r"^without its batch norms Calls does not answer as it did"):
        fold_batch_norms(along.eval(), data=data)


def test_a_quantized_network_is_refused_and_the_order_that_works_is_named(data):
    with pytest.raises(
        ValueError, match=r"^layer 'conv1' has its weights on a grid of 8 bits, and folding .* fold first"
    ):
        fold_batch_norms(quantize_weights(support.tiny_cnn()), data=data)


def test_a_forward_pass_that_depends_on_values_gets_a_sentence(data):
    model = Calls(lambda self, x: x if x.sum() > 0 else -x)
    with pytest.raises(ValueError, match=r"^the forward pass of Calls cannot be followed"):
        fold_batch_norms(model, data=data)


def test_masks_of_torch_get_a_sentence(data):
    model = support.tiny_cnn()
    torch.nn.utils.prune.identity(model.conv1, "weight")
    with pytest.raises(ValueError, match=r"^layer 'conv1' computes its weight from other tensors"):
        fold_batch_norms(model, data=data)
