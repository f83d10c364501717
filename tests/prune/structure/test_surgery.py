"""Surgery: what is cut answers as what is zeroed, and is what Torch-Pruning cuts."""

import copy

import networks
import pytest
import support
import torch
import torch_pruning
from torch import Tensor, nn

from efflab import models
from efflab.measure import count_work
from efflab.prune.structure import groups, remove, zero


def half(model: nn.Module, shape: tuple[int, ...], seed: int = 0) -> dict[str, Tensor]:
    """About half of the channels of each group that may lose some, and at least the first."""
    generator = torch.Generator().manual_seed(seed)
    kept = {one.name: torch.rand(one.size, generator=generator) > 0.5 for one in groups(model, shape) if not one.frozen}
    for mask in kept.values():
        mask[0] = True
    assert any(not mask.all() for mask in kept.values())
    return kept


def theirs(model: nn.Module, images: Tensor, kept: dict[str, Tensor]) -> nn.Module:
    """What Torch-Pruning makes of a copy of the model."""
    pruned = copy.deepcopy(model)
    graph = torch_pruning.DependencyGraph().build_dependency(pruned, example_inputs=images)
    for name, mask in kept.items():
        layer = pruned.get_submodule(name)
        prune = graph.get_pruner_of_module(layer).prune_out_channels
        graph.get_pruning_group(layer, prune, idxs=(~mask).nonzero().flatten().tolist()).prune()
    return pruned


def test_removed_answers_as_zeroed(subject):
    kept = half(subject.model, subject.shape)
    removed, zeroed = remove(subject.model, subject.shape, kept), zero(subject.model, subject.shape, kept)
    assert not torch.allclose(zeroed(subject.images), subject.model(subject.images))
    torch.testing.assert_close(removed(subject.images), zeroed(subject.images), rtol=0, atol=1e-5)


def test_the_same_channels_removed_by_torch_pruning_give_the_same_network(subject):
    kept = half(subject.model, subject.shape)
    ours, other = remove(subject.model, subject.shape, kept), theirs(subject.model, subject.images, kept)
    mine, reference = dict(ours.state_dict()), dict(other.state_dict())
    assert list(mine) == list(reference)
    for key in mine:
        assert torch.equal(mine[key], reference[key]), key
    torch.testing.assert_close(ours(subject.images), other(subject.images), rtol=0, atol=1e-5)


def test_what_the_layers_say_of_themselves_is_what_torch_pruning_writes(subject):
    kept = half(subject.model, subject.shape)
    ours, other = remove(subject.model, subject.shape, kept), theirs(subject.model, subject.images, kept)
    assert repr(ours) == repr(other)
    assert repr(ours) != repr(subject.model)


def test_macs_are_those_that_torch_pruning_counts_without_biases_and_element_wise_work(subject):
    model = remove(subject.model, subject.shape, half(subject.model, subject.shape))
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.bias = None  # it counts a bias as a MAC
    images = subject.images[:1]
    *_, by_layer, _ = torch_pruning.utils.count_ops_and_params(model, images, layer_wise=True)
    theirs = sum(by_layer[one] for one in model.modules() if isinstance(one, nn.Linear | nn.Conv2d))
    assert count_work(model, subject.shape).macs == theirs


def test_a_kept_whole_network_has_equal_bits(subject):
    kept = {group.name: torch.ones(group.size, dtype=torch.bool) for group in groups(subject.model, subject.shape)}
    assert support.bits(remove(subject.model, subject.shape, kept)) == support.bits(subject.model)
    assert support.bits(zero(subject.model, subject.shape, kept)) == support.bits(subject.model)


@pytest.mark.parametrize("act", [remove, zero])
def test_the_model_is_left_alone_and_shares_no_memory(act):
    model = models.build("resnet8", shape=support.SHAPE).train()
    before, kept = support.bits(model), half(model, support.SHAPE)
    result = act(model, support.SHAPE, kept)
    assert support.bits(model) == before
    assert support.storages(model).isdisjoint(support.storages(result))
    assert type(result) is type(model)
    assert [module.training for module in result.modules()] == [True for _ in model.modules()]
    assert model.architecture.name == "resnet8"


def test_a_depthwise_multiplier_takes_its_channels_along():
    depthwise = nn.Conv2d(4, 8, 3, groups=4)
    model = nn.Sequential(nn.Conv2d(1, 4, 1), depthwise, nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 1)).eval()
    kept = {"0": torch.tensor([True, False, True, False])}
    removed = remove(model, support.SHAPE, kept)
    assert (removed[1].in_channels, removed[1].out_channels, removed[1].groups) == (2, 4, 2)
    assert torch.equal(removed[1].weight, depthwise.weight[[0, 1, 4, 5]])
    assert torch.equal(removed[4].weight, model[4].weight[:, [0, 1, 4, 5]])
    assert removed[2].num_features == 4


def test_zeros_where_there_is_no_bias_no_scale_and_no_statistics():
    norm = nn.BatchNorm2d(4, affine=False, track_running_stats=False)
    model = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), norm, nn.Conv2d(4, 3, 1, bias=False)).eval()
    kept, images = {"0": torch.tensor([True, False, True, False])}, support.tiny_data().test.images
    removed, zeroed = remove(model, support.SHAPE, kept), zero(model, support.SHAPE, kept)
    torch.testing.assert_close(removed(images), zeroed(images), rtol=0, atol=1e-5)
    assert removed[1].num_features == 2


def test_a_sigmoid_that_makes_a_half_of_zero_does_no_harm():
    model = nn.Sequential(nn.Linear(5, 6), nn.Sigmoid(), nn.Linear(6, 3))
    kept, rows = {"0": torch.arange(6) % 2 == 0}, torch.rand(4, 5)
    torch.testing.assert_close(remove(model, (5,), kept)(rows), zero(model, (5,), kept)(rows), rtol=0, atol=1e-6)


def test_the_zeros_are_where_the_channel_was():
    zeroed = zero(support.tiny_cnn(), support.SHAPE, {"conv1": torch.tensor([True, False])})
    assert not zeroed.conv1.weight[1].any()
    assert not zeroed.norm1.weight[1].any()
    assert not zeroed.norm1.bias[1].any()
    assert not zeroed.conv2.weight[:, 1].any()
    assert zeroed.conv1.weight[0].all()
    assert zeroed.conv2.weight[:, 0].all()


def test_kernels_with_channels_last_stay_so():
    model = models.build("resnet8", shape=support.SHAPE)
    removed = remove(model, support.SHAPE, half(model, support.SHAPE))
    kernels = [one.weight for one in removed.modules() if isinstance(one, nn.Conv2d)]
    assert len(kernels) == 9
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    plain = networks.resnet18()
    removed = remove(plain, (3, 64, 64), half(plain, (3, 64, 64)))
    assert all(parameter.is_contiguous() for parameter in removed.parameters())


def test_a_smaller_network_keeps_the_architecture_that_it_was_cut_from():
    model = support.tiny_mlp()
    for act in (remove, zero):
        assert act(model, support.SHAPE, {"hidden1": torch.arange(12) < 6}).architecture == model.architecture


def test_a_frozen_parameter_stays_frozen():
    model = support.tiny_mlp()
    model.hidden1.weight.requires_grad_(False)
    removed = remove(model, support.SHAPE, {"hidden1": torch.arange(12) < 6})
    assert not removed.hidden1.weight.requires_grad
    assert removed.hidden1.bias.requires_grad


def test_numbers_of_twice_the_precision_stay_so():
    model = support.tiny_cnn().double()
    removed = remove(model, support.SHAPE, {"conv2": torch.tensor([True, False, True, False])})
    assert {parameter.dtype for parameter in removed.parameters()} == {torch.float64}


# What is refused


BAD = {
    "another group": (
        {"conv9": torch.ones(2).bool()},
        r"^kept names 'conv9'; the groups are: conv1, conv2, conv3",
    ),
    "another size": (
        {"conv1": torch.ones(3).bool()},
        r"^kept\['conv1'\] must be bool of shape \(2,\), not torch.bool",
    ),
    "another type": ({"conv1": torch.ones(2)}, r"^kept\['conv1'\] must be bool of shape \(2,\), not torch.float32"),
    "all of them": (
        {"conv1": torch.zeros(2).bool()},
        r"^kept\['conv1'\] removes all 2 channels; at least one",
    ),
    "an answer": (
        {"output": torch.tensor([True, True, False])},
        r"^the channels of 'output' must stay, because they are the network's answer",
    ),
}


@pytest.mark.parametrize(("kept", "sentence"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("act", [remove, zero])
def test_what_cannot_be_removed_gets_a_sentence_and_the_model_stays(act, kept, sentence):
    model = support.tiny_cnn()
    before = support.bits(model)
    with pytest.raises(ValueError, match=sentence):
        act(model, support.SHAPE, {"conv2": torch.arange(4) < 2} | kept)
    assert support.bits(model) == before


class Counts(nn.Module):
    """A network whose Python counts the channels of a layer, which no trace shows."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(5, 4), nn.Linear(4, 3)
        self.does = forward

    def forward(self, x):
        return self.two(self.does(self, self.one(x)))


def test_a_forward_pass_that_does_something_else_with_fewer_channels_is_refused():
    model = Counts(lambda m, y: y * (1.0 / m.one.out_features))
    with pytest.raises(ValueError, match=r"^without these channels Counts does not answer as it does with zeros in th"):
        remove(model, (5,), {"one": torch.arange(4) < 2})


def test_a_forward_pass_that_does_not_run_with_fewer_channels_is_refused():
    model = Counts(lambda m, y: y + (0.0 if m.one.out_features == 4 else torch.ones(9)))
    with pytest.raises(ValueError, match=r"^without these channels Counts does not run: The size of tensor a"):
        remove(model, (5,), {"one": torch.arange(4) < 2})
