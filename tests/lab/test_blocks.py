"""The network as blocks: widths and work beside the base, groups that go together, and what must stay says why."""

import networks
import pytest
import support
import torch
from prune.structure import architectures
from torch import Tensor, nn

from efflab import models
from efflab.data import Data, Split
from efflab.lab import Lab
from efflab.lab.blocks import Block, find_blocks
from efflab.prune import prune_filters, prune_neurons, prune_weights
from efflab.recipe import step

SHAPE = support.SHAPE
ANSWER = "they are the network's answer"


@pytest.fixture(scope="module")
def both() -> Lab:
    """Three convolutions, 6 hidden units and 3 classes."""
    return Lab(support.tiny_both(), support.tiny_data())


@pytest.fixture(scope="module")
def residual() -> tuple[Block, ...]:
    """A network with shortcuts, 2, 4 and 8 channels wide, beside itself."""
    model = resnet8()
    return find_blocks(model, model, SHAPE)


def resnet8() -> nn.Module:
    return models.build("resnet8", shape=SHAPE, n_classes=3, sizes=(2,))


def macs_of(conv1: int, conv2: int, conv3: int, hidden: int) -> dict[str, int]:
    """By hand: a 5x5 and two 3x3 kernels at 4x4, 2x2 and 2x2 places, then two matrices."""
    return {
        "conv1": 25 * 16 * conv1,
        "conv2": 9 * 4 * conv1 * conv2,
        "conv3": 9 * 4 * conv2 * conv3,
        "hidden": conv3 * hidden,
        "output": hidden * 3,
    }


def by_layer(found: tuple[Block, ...]) -> dict[str, Block]:
    return {block.layer: block for block in found}


def widths(found: tuple[Block, ...]) -> dict[str, tuple[int, int]]:
    return {block.layer: (block.n_base, block.n_now) for block in found}


# The base


def test_the_base_beside_itself_has_the_widths_work_and_groups_that_one_counts_by_hand(both):
    macs = macs_of(2, 4, 8, 6)
    assert both.blocks(()) == (
        Block("conv1", "Conv2d", 2, 2, "conv1", ("conv1", "norm1", "conv2"), "", macs["conv1"], macs["conv1"]),
        Block("conv2", "Conv2d", 4, 4, "conv2", ("conv2", "norm2", "conv3"), "", macs["conv2"], macs["conv2"]),
        Block("conv3", "Conv2d", 8, 8, "conv3", ("conv3", "norm3", "hidden"), "", macs["conv3"], macs["conv3"]),
        Block("hidden", "Linear", 6, 6, "hidden", ("hidden", "output"), "", macs["hidden"], macs["hidden"]),
        Block("output", "Linear", 3, 3, "output", ("output",), ANSWER, macs["output"], macs["output"]),
    )


def test_layers_that_a_sum_joins_are_of_one_group(residual):
    groups: dict[str, list[str]] = {}
    for block in residual:
        groups.setdefault(block.group, []).append(block.layer)
    assert groups == {
        "conv1": ["conv1", "block1.conv2"],
        "block1.conv1": ["block1.conv1"],
        "block2.conv1": ["block2.conv1"],
        "block2.conv2": ["block2.conv2", "block2.shortcut"],
        "block3.conv1": ["block3.conv1"],
        "block3.conv2": ["block3.conv2", "block3.shortcut"],
        "output": ["output"],
    }


def test_each_of_them_names_all_layers_that_lose_a_channel_with_it(residual):
    together = ("conv1", "norm1", "block1.conv1", "block1.conv2", "block1.norm2", "block2.conv1", "block2.shortcut")
    assert by_layer(residual)["conv1"].layers == by_layer(residual)["block1.conv2"].layers == together


def test_a_layer_that_reads_and_makes_the_same_channels_is_named_once():
    body = nn.Conv2d(4, 4, 3, padding=1)
    model = nn.Sequential(nn.Conv2d(1, 4, 1), networks.Shortcut(body, nn.Identity()), nn.Conv2d(4, 3, 1))
    assert by_layer(find_blocks(model, model, SHAPE))["1.body"].layers == ("0", "1.body", "2")


def test_only_the_answers_of_a_residual_network_must_stay(residual):
    assert {block.layer: block.frozen for block in residual if block.frozen} == {"output": ANSWER}


def test_channels_that_a_convolution_in_groups_reads_and_makes_must_stay_and_say_why():
    model = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 1, groups=4), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 3, 1))
    why = "layer '1' is a convolution in 4 groups, which must stay equally wide"
    assert [block.frozen for block in find_blocks(model, model, SHAPE)] == [why, why, "", ANSWER]


def test_blocks_come_in_the_order_they_run_in_not_in_the_order_they_were_written():
    model = networks.Calls(lambda m, x: m.last(m.first(x.flatten(1)).relu()))
    model.last, model.first = nn.Linear(5, 3), nn.Linear(64, 5)
    assert [block.layer for block in find_blocks(model, model, SHAPE)] == ["first", "last"]


def test_a_layer_that_makes_no_channels_is_no_block():
    model = support.tiny_cnn()
    assert "norm1" in dict(model.named_modules())
    assert [block.layer for block in find_blocks(model, model, SHAPE)] == ["conv1", "conv2", "conv3", "output"]


def test_a_layer_with_a_computed_weight_must_stay_and_the_others_are_cut_beside_it():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    torch.nn.utils.parametrizations.weight_norm(model[1])
    found = Lab(model, support.tiny_data()).blocks((step(prune_neurons, ratio=0.5),))
    assert widths(found) == {"1": (8, 8), "3": (6, 3), "5": (3, 3)}
    assert found[0].frozen == "they go through layer '1' (ParametrizedLinear), which is not followed"


# A cut network beside its base


@pytest.mark.parametrize(
    ("technique", "left"),
    [(prune_filters, (1, 2, 4, 6)), (prune_neurons, (2, 4, 8, 3))],
    ids=["filters", "neurons"],
)
def test_a_cut_network_stands_beside_its_base_with_both_widths_and_the_work_of_both(technique, left, both):
    found = both.blocks((step(technique, ratio=0.5),))
    before = dict(zip(("conv1", "conv2", "conv3", "hidden", "output"), (2, 4, 8, 6, 3), strict=True))
    after = dict(zip(before, (*left, 3), strict=True))
    assert widths(found) == {name: (n, after[name]) for name, n in before.items()}
    assert {block.layer: block.macs_base for block in found} == macs_of(2, 4, 8, 6)
    assert {block.layer: block.macs_now for block in found} == macs_of(*left)


def test_all_layers_of_a_residual_group_are_narrower_by_the_same_number():
    lab = Lab(resnet8(), support.tiny_data())
    found = lab.blocks((step(prune_filters, ratio=0.25, scope="global"),))
    lost: dict[str, set[int]] = {}
    for block in found:
        lost.setdefault(block.group, set()).add(block.n_base - block.n_now)
    assert all(len(numbers) == 1 for numbers in lost.values())
    assert sum(numbers.pop() for numbers in lost.values()) == round(0.25 * (2 + 2 + 4 + 4 + 8 + 8))


def test_what_is_zero_is_still_there(both):
    zeroed = both.blocks((step(prune_filters, ratio=0.5, form="zeroed"),))
    assert zeroed == both.blocks((step(prune_weights, sparsity=0.9),)) == both.blocks(())


def test_a_layer_that_does_not_run_any_more_takes_no_work():
    base, now = (networks.Calls(lambda m, x: m.two(m.one(x.flatten(1)))) for _ in range(2))
    for model in (base, now):
        model.one, model.two = nn.Linear(64, 5), nn.Linear(5, 3)
    now.function = lambda m, x: m.two(x.flatten(1)[:, :5])
    found = by_layer(find_blocks(base, now, SHAPE))
    assert (found["one"].macs_base, found["one"].macs_now) == (64 * 5, 0)
    assert (found["two"].macs_base, found["two"].macs_now) == (5 * 3, 5 * 3)


def test_both_networks_stay_as_they_are(both):
    base, now = support.tiny_both(), both.build((step(prune_filters, ratio=0.5),))
    before = support.bits(base), support.bits(now)
    find_blocks(base, now, SHAPE)
    assert (support.bits(base), support.bits(now)) == before


# Rules


def test_a_recipe_that_follows_by_other_rules_has_blocks_by_the_same_rules():
    images = Split(torch.zeros(4, *architectures.SHAPE), torch.tensor([0, 1, 0, 1]))
    lab = Lab(architectures.build("DenseNet"), Data("few", images, images, images, images, tuple("abcde")))
    cut = by_layer(lab.blocks((step(prune_filters, rules="torch-pruning"), step(prune_weights))))
    assert (cut["1.conv"].n_base, cut["1.conv"].n_now, cut["1.conv"].frozen) == (6, 3, "")
    whole = by_layer(lab.blocks(()))
    assert (whole["1.conv"].n_now, whole["1.conv"].frozen) == (6, "they go through cat, which is not followed")


def test_a_transposed_convolution_has_the_width_of_what_it_makes():
    model = nn.Sequential(nn.Conv2d(1, 6, 1), nn.ConvTranspose2d(6, 4, 1), nn.Conv2d(4, 3, 1))
    assert widths(find_blocks(model, model, SHAPE, "torch-pruning")) == {"0": (6, 6), "1": (4, 4), "2": (3, 3)}


# What is refused


def other_kind() -> nn.Module:
    model = support.tiny_both()
    model.conv2 = nn.Sequential(model.conv2)
    return model


OTHERS = {
    "none of them": (support.tiny_mlp, "Conv2d layer 'conv1'"),
    "one less": (support.tiny_cnn, "Linear layer 'hidden'"),
    "one of another kind": (other_kind, "Conv2d layer 'conv2'"),
}


@pytest.mark.parametrize(("build", "layer"), OTHERS.values(), ids=OTHERS)
def test_a_network_with_other_layers_is_refused_with_the_first_that_is_missing(build, layer):
    sentence = f"^the network has no {layer} any more, so it cannot stand beside its base$"
    with pytest.raises(ValueError, match=sentence):
        find_blocks(support.tiny_both(), build(), SHAPE)


def branching(model: nn.Module, x: Tensor) -> Tensor:
    return model.one(x.flatten(1)) if x.sum() > 0 else -model.one(x.flatten(1))


def test_a_base_whose_channels_cannot_be_followed_gets_the_sentence_of_the_rules():
    model = networks.Calls(branching)
    model.one = nn.Linear(64, 3)
    with pytest.raises(ValueError, match=r"^the forward pass of Calls cannot be followed: symbolically traced"):
        Lab(model, support.tiny_data()).blocks(())


# The work of a whole network


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 0.95])
def test_the_macs_of_a_recipe_are_those_of_its_network_counted_by_hand(ratio, both):
    conv1, conv2, conv3 = (n - min(round(ratio * n), n - 1) for n in (2, 4, 8))
    assert both.macs((step(prune_filters, ratio=ratio),)) == sum(macs_of(conv1, conv2, conv3, 6).values())


def test_the_blocks_of_a_plain_network_add_up_to_its_macs(both):
    recipe = (step(prune_filters, ratio=0.25), step(prune_neurons, ratio=0.5))
    assert sum(block.macs_now for block in both.blocks(recipe)) == both.macs(recipe)
    assert sum(block.macs_base for block in both.blocks(recipe)) == both.macs(())
