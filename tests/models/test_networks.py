"""The networks: built by seed, of the sizes that the papers state, and readable by name."""

import pytest
import torch
from torch import nn

from efflab.models import NETWORKS, Architecture, build, build_from, channels_last, reset_weights

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 16, 16), (3, 17, 40)]


def n_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def same(first: nn.Module, second: nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    assert one.keys() == other.keys()
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_lenet_300_100_has_the_parameters_of_the_paper():
    assert n_parameters(build("mlp", shape=(1, 28, 28), sizes=(300, 100))) == 266_610


def test_lenet_5_has_the_parameters_of_the_pruning_papers():
    network = build("lenet5", shape=(1, 28, 28))
    assert n_parameters(network) == 431_080
    counts = {name: n_parameters(layer) for name, layer in network.named_children() if n_parameters(layer)}
    assert counts == {"conv1": 520, "conv2": 25_050, "hidden": 400_500, "output": 5_010}


def test_resnet8_has_a_stem_and_three_blocks_whose_channels_double():
    network = build("resnet8", shape=(3, 32, 32))
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    n_weights = sum(layer.weight.numel() for layer in convolutions) + network.output.weight.numel()
    assert n_weights == 432 + 2 * 2_304 + (4_608 + 9_216 + 512) + (18_432 + 36_864 + 2_048) + 640
    assert [layer.out_channels for layer in convolutions] == [16, 16, 16, 32, 32, 32, 64, 64, 64]


def test_the_usual_sizes_of_an_mlp_are_those_of_lenet_300_100():
    assert same(build("mlp"), build("mlp", sizes=(300, 100)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_answers_with_a_number_a_class(name, shape):
    network = build(name, shape=shape, n_classes=7)
    scores = network(torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)))
    assert scores.shape == (3, 7)
    assert bool(scores.isfinite().all())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(name):
    assert same(build(name, seed=4), build(name, seed=4))
    assert not same(build(name, seed=4), build(name, seed=5))


@pytest.mark.parametrize("name", NETWORKS)
def test_building_leaves_the_global_generator_alone_and_does_not_listen_to_it(name):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = build(name)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(build(name), first)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_in_evaluation_mode_with_what_it_takes_to_build_it_again(name):
    network = build(name, shape=(3, 20, 20), n_classes=4)
    assert not any(module.training for module in network.modules())
    assert network.architecture == Architecture(name, (3, 20, 20), 4, ())
    assert same(build_from(network.architecture), network)


def test_the_width_doubles_with_each_stage():
    cnn = build("cnn", sizes=(6,))
    assert [cnn.conv1.out_channels, cnn.conv2.out_channels, cnn.conv3.out_channels] == [6, 12, 24]
    resnet = build("resnet8", sizes=(6,))
    assert [resnet.block1.conv2.out_channels, resnet.block2.conv2.out_channels] == [6, 12]


def test_a_residual_block_adds_its_input():
    block = build("resnet8", sizes=(4,)).block1
    nn.init.zeros_(block.norm2.weight)  # then nothing but the shortcut is left
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block(x), x.relu())


# Weights drawn anew


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_drawn_anew_depend_on_the_seed_alone(name):
    first, second = build(name, seed=0), build(name, seed=1)
    before = torch.random.get_rng_state()
    for network in (first, second):
        reset_weights(network, seed=9)
    assert same(first, second)
    assert not same(first, build(name, seed=0))
    reset_weights(second, seed=10)
    assert not same(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_running_means_start_anew_too():
    network = build("cnn")
    network.norm1.running_mean.fill_(3)
    reset_weights(network, seed=0)
    assert network.norm1.running_mean.tolist() == [0] * 16


# Memory layout


def test_kernels_are_stored_with_channels_last():
    kernel = build("cnn", shape=(3, 28, 28)).conv2.weight
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert not kernel.is_contiguous()


def test_the_layout_changes_no_number_and_shared_weights_stay_shared():
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3), nn.Conv3d(1, 1, 2))
    model[1].weight = model[0].weight
    before = model[0].weight.detach().clone()
    assert channels_last(model) is model
    assert torch.equal(model[0].weight, before)
    assert model[1].weight is model[0].weight


# What cannot be built


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("vgg", {}, "name must be one of mlp, lenet5, cnn, resnet8, vit, not 'vgg'"),
        ("mlp", {"shape": (28, 28)}, r"shape must be three positive numbers .*, not \(28, 28\)"),
        ("mlp", {"shape": (0, 28, 28)}, "shape must be three positive numbers"),
        ("cnn", {"shape": (1, 28.0, 28)}, "shape must be three positive numbers"),
        ("mlp", {"n_classes": 1}, "n_classes must be 2 or more, not 1"),
        ("mlp", {"n_classes": 2.5}, "n_classes must be 2 or more, not 2.5"),
        ("mlp", {"sizes": (300, 0)}, "sizes must be positive whole numbers"),
        ("lenet5", {"sizes": (20,)}, "lenet5 takes 0 sizes, not 1"),
        ("cnn", {"sizes": (8, 16)}, "cnn takes 0 or 1 sizes, not 2"),
        ("resnet8", {"sizes": (8, 16)}, "resnet8 takes 0 or 1 sizes, not 2"),
        ("lenet5", {"shape": (1, 15, 28)}, "lenet5 needs images of at least 16x16, not 15x28"),
        ("vit", {"sizes": (64,)}, "vit takes 0 or 2 sizes, not 1"),
        ("vit", {"shape": (1, 1, 8)}, "vit needs images of at least 2x2, not 1x8"),
        ("vit", {"sizes": (60, 2)}, "the width of a vit must be a multiple of 8, the width of a head, not 60"),
        ("vit", {"sizes": (64, 101)}, "a vit has at most 100 blocks, not 101"),
    ],
)
def test_what_cannot_be_built_gets_a_sentence(name, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(name, **settings)
