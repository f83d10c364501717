"""Torch-pruning's rules: our groups where both can act, more where ours cannot, and each is tried before it counts."""

import copy
import subprocess
import sys

import networks
import pytest
import support
import torch
import torch_pruning
from prune.structure import architectures
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from efflab.data import Data, Split
from efflab.measure import count_work
from efflab.prune.structure import (
    Group,
    Member,
    channel_scores,
    find_groups,
    groups,
    prune_filters,
    prune_neurons,
    remove,
    select_channels,
    zero,
)
from efflab.prune.structure.cutting import cut_channels, difference

THEIRS = "torch-pruning"


def found(model: nn.Module, shape: tuple[int, ...] = support.SHAPE) -> dict[str, Group]:
    return {group.name: group for group in find_groups(model, shape, THEIRS)}


def few(shape: tuple[int, int, int]) -> Data:
    """Four images that belong to classes 0 and 1."""
    images = Split(torch.rand(4, *shape, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 0, 1]))
    return Data("few", images, images, images, images, ("0", "1"))


def half(some: tuple[Group, ...], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    kept = {one.name: torch.randperm(one.size, generator=generator) < one.size / 2 for one in some if not one.frozen}
    assert kept
    return kept


# Where both can act


def test_both_rules_give_the_same_groups(subject):
    assert find_groups(subject.model, subject.shape, THEIRS) == groups(subject.model, subject.shape)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.Linear])
def test_both_rules_keep_the_same_channels_and_make_the_same_network(subject, kind):
    if not any(not one.frozen for one in groups(subject.model, subject.shape) if one.name in makers(subject, kind)):
        with pytest.raises(ValueError, match=f"has no {kind.__name__} layer whose channels can be removed"):
            select_channels(subject.model, kind, data=few(subject.shape), rules=THEIRS)
        return
    both = {}
    for rules in ("efflab", THEIRS):
        kept = select_channels(subject.model, kind, data=few(subject.shape), rules=rules).kept
        both[rules] = kept, remove(subject.model, subject.shape, kept, rules)
    (ours, mine), (theirs, other) = both.values()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert support.bits(mine) == support.bits(other) != support.bits(subject.model)
    assert torch.equal(mine(subject.images), other(subject.images))
    assert count_work(mine, subject.shape) == count_work(other, subject.shape)


def makers(subject, kind: type[nn.Module]) -> set[str]:
    return {name for name, module in subject.model.named_modules() if isinstance(module, kind)}


# Where only torch-pruning can


def theirs(model: nn.Module, shape: tuple[int, ...], kept: dict[str, Tensor]) -> nn.Module:
    """What torch-pruning makes of a copy of the model by itself."""
    pruned = copy.deepcopy(model)
    images = torch.rand(2, *shape)
    for name, mask in kept.items():
        graph = torch_pruning.DependencyGraph().build_dependency(pruned, images, forward_fn=lambda m, x: m(x))
        layer = pruned.get_submodule(name)
        prune = graph.get_pruner_of_module(layer).prune_out_channels
        graph.get_pruning_group(layer, prune, idxs=(~mask).nonzero().flatten().tolist()).prune()
    return pruned


@pytest.mark.parametrize("name", ["SENet", "DenseNet", "U-Net"])
def test_what_ours_cannot_follow_is_cut_as_torch_pruning_cuts_it(name):
    model = architectures.build(name)
    kept = half(find_groups(model, architectures.SHAPE, THEIRS))
    ours = remove(model, architectures.SHAPE, kept, THEIRS)
    other = theirs(model, architectures.SHAPE, kept)
    assert support.bits(ours) == support.bits(other)
    assert repr(ours) == repr(other) != repr(model)


def test_what_stands_side_by_side_has_an_offset():
    dense = found(architectures.build("DenseNet"), architectures.SHAPE)["1.conv"]
    assert dense.size == 6
    assert [one for one in dense.members if one.layer.startswith(("1.", "2."))] == [
        Member("1.conv", "out"),
        Member("2.norm", "through", 1, 8),
        Member("2.conv", "in", 1, 8),
    ]


def test_a_tensor_that_stands_there_twice_is_two_columns_of_its_reader():
    model = networks.Calls(twice)
    model.one, model.two = nn.Linear(5, 4), nn.Linear(8, 3)
    assert found(model, (5,))["one"] == Group(
        "one", 4, (Member("one", "out"), Member("two", "in"), Member("two", "in", 1, 4)), ""
    )


def twice(model: nn.Module, x: Tensor) -> Tensor:
    y = model.one(x)
    return model.two(torch.cat([y.relu(), y.tanh()], 1))


def test_a_transposed_convolution_is_cut_on_both_sides():
    model = architectures.build("U-Net")
    kept = {"bottom.0": torch.arange(16) < 10, "up": torch.arange(8) < 5}
    up = remove(model, architectures.SHAPE, kept, THEIRS).up
    assert (up.in_channels, up.out_channels) == (10, 5)
    assert torch.equal(up.weight, model.up.weight[:10, :5])
    assert torch.equal(up.bias, model.up.bias[:5])


def test_rows_that_two_groups_name_stay_only_where_both_keep_them():
    layer = nn.Sequential(nn.Linear(2, 3))
    both = [Group(name, 3, (Member("0", "out"),), "") for name in ("one", "two")]
    kept = {"one": torch.tensor([True, True, False]), "two": torch.tensor([False, True, True])}
    assert torch.equal(cut_channels(layer, both, kept)[0].weight, layer[0].weight[[1]])


def test_slopes_of_a_prelu_go_with_their_channels_and_a_single_one_stays():
    for slopes in (4, 1):
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.PReLU(slopes), nn.Conv2d(4, 3, 6), nn.Flatten())
        removed = remove(model, support.SHAPE, {"0": torch.tensor([True, False, True, False])}, THEIRS)
        assert removed[1].num_parameters == len(removed[1].weight) == max(slopes // 2, 1)


@pytest.mark.parametrize("remembers", [True, False])
def test_an_instance_norm_loses_its_channels_and_what_it_remembers_of_them(remembers):
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=remembers)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.Conv2d(4, 3, 6), nn.Flatten())
    removed = remove(model, support.SHAPE, {"0": torch.tensor([True, False, True, False])}, THEIRS)
    assert removed[1].num_features == len(removed[1].weight) == 2
    assert not remembers or len(removed[1].running_var) == 2


def test_the_scores_are_of_the_part_of_a_layer_that_belongs_to_the_group():
    model = architectures.build("DenseNet")
    group = found(model, architectures.SHAPE)["2.conv"]
    norms = [one for one in group.members if one.side == "through"]
    assert [(one.layer, one.offset) for one in norms] == [("3.norm", 14)]
    scores = channel_scores(model, [group], "batch norm scale", data=few(architectures.SHAPE))
    assert torch.equal(scores["2.conv"], model[3].norm.weight[14:20].abs())


def test_a_layer_that_is_added_to_two_side_by_side_belongs_to_both_groups_in_part():
    model = networks.Calls(lambda m, x: m.end(torch.cat([m.a(x), m.b(x)], 1) + m.c(x)))
    model.a, model.b, model.c, model.end = nn.Linear(4, 2), nn.Linear(4, 3), nn.Linear(4, 5), nn.Linear(5, 3)
    group = found(model, (4,))["b"]
    assert group.members[:2] == (Member("b", "out"), Member("c", "out", 1, 2))
    scores = channel_scores(model, [group], "l1", data=few((1, 2, 2)))["b"]
    torch.testing.assert_close(scores, model.b.weight.abs().sum(1) + model.c.weight[2:].abs().sum(1))


def test_the_activation_mean_is_of_what_is_read_of_the_group():
    model = nn.Sequential(networks.Calls(lambda m, x: torch.cat([m.a(x), m.b(x)], 1)), nn.Linear(5, 3))
    model[0].a, model[0].b = nn.Linear(4, 2), nn.Linear(4, 3)
    data = few((1, 2, 2))
    model = nn.Sequential(nn.Flatten(), *model)
    group = found(model, (1, 2, 2))["1.b"]
    scores = channel_scores(model, [group], "activation mean", data=data)["1.b"]
    torch.testing.assert_close(scores, model[1].b(data.calibration.images.flatten(1)).abs().mean(0))


def test_an_if_about_the_images_does_not_hinder_and_ours_says_so():
    model = networks.Calls(lambda m, x: m.two(m.one(x).relu()) if x.sum() > 0 else x)
    model.one, model.two = nn.Linear(5, 4), nn.Linear(4, 3)
    assert found(model, (5,))["one"].frozen == ""
    with pytest.raises(ValueError, match=r"; rules='torch-pruning' follows a real run instead$"):
        groups(model, (5,))


@pytest.mark.parametrize("importance", prune_filters.knobs["importance"].options)
def test_every_importance_prunes_a_network_with_dense_connections(importance):
    model = architectures.build("DenseNet")
    data = few(architectures.SHAPE)
    if importance == "batch norm scale":
        model = nn.Sequential(*list(model)[:4], nn.BatchNorm2d(26), *list(model)[4:]).eval()
    pruned = prune_filters(model, data=data, importance=importance, rules=THEIRS)
    assert [pruned[k].conv.out_channels for k in (1, 2, 3)] == [3, 3, 3]
    assert pruned[3].conv.in_channels == 4 + 3 + 3


# What was followed wrongly is found out


def test_a_group_that_does_not_pass_its_trial_is_frozen_and_the_others_are_not():
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 6), networks.Calls(lambda _, y: y + y.flip(1)), nn.Linear(6, 3))
    one, two, end = find_groups(model, (5,), THEIRS)
    assert one.frozen == ""
    assert two.frozen == "without half of them Sequential does not answer as it does with zeros in their place"
    assert end.frozen == "they are the network's answer"


def test_a_network_that_runs_with_its_own_number_of_channels_only_says_so():
    model = nn.Sequential(nn.Linear(5, 4), networks.Calls(lambda _, y: y + torch.zeros(4)), nn.Linear(4, 3))
    assert found(model, (5,))["0"].frozen.startswith("without half of them Sequential does not run: ")


def test_a_cut_that_passed_the_trial_and_is_wrong_is_refused():
    model = networks.Calls(lambda m, y: m.two(m.one(y) * (2.0 if m.one.out_features == 3 else 1.0)))
    model.one, model.two = nn.Linear(5, 4), nn.Linear(4, 3)
    before = support.bits(model)
    with pytest.raises(
        ValueError, match=r"^without these channels Calls does not answer as it does with zeros in their"
    ):
        remove(model, (5,), {"one": torch.arange(4) < 3}, THEIRS)
    assert support.bits(model) == before


def test_an_answer_of_another_form_is_another_answer_even_where_the_numbers_are_alike():
    narrow, wide = (nn.Linear(4, n).requires_grad_(False) for n in (1, 3))
    for layer in (narrow, wide):
        layer.weight.zero_(), layer.bias.zero_()
    assert difference(wide, wide, (4,)) == ""
    assert difference(narrow, wide, (4,)) == "does not answer as it does with zeros in their place"


def test_the_heads_of_an_attention_are_found_out_and_the_layers_after_it_are_not_hindered():
    model = found(architectures.build("ViT"), architectures.SHAPE)
    assert model["blocks.0.attention.q"].frozen.startswith("without half of them Transformer does not")
    assert model["blocks.0.mlp.0"].frozen == ""


# What is refused, in a sentence


def shared() -> nn.Module:
    twice = nn.Linear(6, 6)
    return nn.Sequential(nn.Linear(5, 6), twice, nn.ReLU(), twice, nn.Linear(6, 3))


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3))
    model[2].weight = model[1].weight
    return model


def masked() -> nn.Module:
    model = nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 3)).requires_grad_(False)
    torch_prune.l1_unstructured(model[0], "weight", 0.5)
    return model


def reads_directly() -> nn.Module:
    model = networks.Calls(lambda m, x: nn.functional.linear(m.code(x), m.code.weight.T))
    model.code = nn.Linear(5, 6)
    return model


FROZEN = {
    "used twice": (shared, "0", "layer '1' is used 2 times"),
    "shared numbers": (tied, "1", "layer '1' shares its numbers with '2'"),
    "masked": (masked, "0", "layer '0' computes its weight from other tensors"),
    "read directly": (reads_directly, "code", "they are the network's answer"),
    "a parameter": (
        lambda: nn.Sequential(
            nn.Linear(5, 6), networks.Calls(lambda m, y: y * m.scale, scale=torch.rand(6)), nn.Linear(6, 3)
        ),
        "0",
        "they go through the numbers '1.scale', which are not cut",
    ),
    "layer norm": (
        lambda: nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6), nn.Linear(6, 3)),
        "0",
        "they go through layer '1' (LayerNorm), which computes across them",
    ),
}


@pytest.mark.parametrize(("build", "name", "why"), FROZEN.values(), ids=FROZEN)
def test_channels_that_must_stay_say_why(build, name, why):
    assert found(build(), (5,))[name].frozen.startswith(why)


def test_a_depthwise_convolution_that_makes_several_of_each_stays_where_ours_cut_it():
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 3, 6), nn.Flatten())
    why = "layer '1' makes several channels of each, which torch-pruning does not follow"
    assert found(model)["0"].frozen == why
    assert groups(model, support.SHAPE)[0].frozen == ""


def test_a_transposed_convolution_in_groups_stays():
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ConvTranspose2d(4, 4, 2, groups=4), nn.Conv2d(4, 3, 9), nn.Flatten())
    assert found(model)["0"].frozen == "layer '1' is a convolution in 4 groups, which must stay equally wide"


@pytest.mark.parametrize("multiple", [1, 3])
@pytest.mark.parametrize("rules", ["efflab", THEIRS])
def test_a_convolution_in_groups_stays_whatever_the_multiple(rules, multiple):
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=4), nn.Conv2d(8, 3, 4), nn.Flatten())
    with pytest.raises(ValueError, match=r"layer '1' is a convolution in 4 groups, which must stay equally wide"):
        prune_filters(model, data=support.tiny_data(), multiple=multiple, rules=rules)


def test_our_rules_name_the_others_where_they_find_nothing():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.Conv2d(8, 3, 6), nn.Flatten())
    with pytest.raises(
        ValueError, match=r"GroupNorm\), which is not followed.*; rules='torch-pruning' goes through more"
    ):
        prune_filters(model, data=support.tiny_data())
    with pytest.raises(ValueError, match=r"they are the network's answer$"):
        prune_filters(model, data=support.tiny_data(), rules=THEIRS)


@pytest.mark.parametrize("act", [remove, zero])
def test_a_ratio_that_would_empty_a_layer_is_refused(act):
    with pytest.raises(ValueError, match=r"^kept\['1.conv'\] removes all 6 channels; at least one must stay$"):
        act(architectures.build("DenseNet"), architectures.SHAPE, {"1.conv": torch.zeros(6).bool()}, THEIRS)


class Two(nn.Module):
    def forward(self, left, right):
        return left + right


class Pair(nn.Linear):
    def forward(self, x):
        y = super().forward(x)
        return y, y


class First(nn.Module):
    def forward(self, pair):
        return pair[0]


class Detached(nn.Module):
    def forward(self, x):
        return x.detach()


CANNOT = {
    "two inputs": (Two(), (4,), r"^the forward pass of Two needs 2 inputs \(left, right\); channels are followed from"),
    "another shape": (support.tiny_cnn(), (3, 8, 8), r"^Network does not take an input of shape \(3, 8, 8\): "),
    "two answers": (networks.Calls(lambda _, x: (x, x)), (4,), r"^Calls returns a tuple; channels are followed to"),
    "a layer of its own": (
        nn.Sequential(Pair(4, 3), First()),
        (4,),
        r"^torch-pruning cannot follow Sequential: 'tuple'",
    ),
    "no gradients": (
        nn.Sequential(nn.Linear(4, 3), Detached()),
        (4,),
        r"^torch-pruning follows gradients, and the ans",
    ),
}


@pytest.mark.parametrize(("model", "shape", "sentence"), CANNOT.values(), ids=CANNOT)
def test_a_model_that_cannot_be_followed_gets_a_sentence(model, shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        find_groups(model, shape, THEIRS)


def test_other_rules_are_refused():
    with pytest.raises(ValueError, match=r"^rules must be one of efflab, torch-pruning, not 'mine'$"):
        find_groups(support.tiny_mlp(), support.SHAPE, "mine")
    with pytest.raises(ValueError, match="rules"):
        prune_neurons(support.tiny_mlp(), data=support.tiny_data(), rules="mine")


# Side effects


@pytest.mark.parametrize("act", [remove, zero])
def test_the_model_and_the_global_generator_are_left_alone(act):
    model = architectures.build("DenseNet").train().requires_grad_(False)
    kept = half(find_groups(model, architectures.SHAPE, THEIRS))
    before, state = support.bits(model), torch.get_rng_state()
    with torch.inference_mode():
        result = act(model, architectures.SHAPE, kept, THEIRS)
    assert torch.equal(torch.get_rng_state(), state)
    assert support.bits(model) == before
    assert support.storages(model).isdisjoint(support.storages(result))
    assert all(module.training for module in (*result.modules(), *model.modules()))
    assert not any(one.requires_grad for one in (*result.parameters(), *model.parameters()))
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in (*result.modules(), *model.modules())
    )


def test_a_forward_pass_that_draws_numbers_leaves_the_global_generator_alone():
    model = networks.Calls(lambda m, x: m.two(m.one(x + torch.rand(()))))
    model.one, model.two = nn.Linear(5, 4), nn.Linear(4, 3)
    state = torch.get_rng_state()
    remove(model, (5,), {"one": torch.arange(4) < 2}, THEIRS)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_in_training_mode_is_pruned_as_in_evaluation_mode():
    data = few(architectures.SHAPE)
    expected = support.bits(prune_filters(architectures.build("DenseNet"), data=data, rules=THEIRS))
    assert support.bits(prune_filters(architectures.build("DenseNet").train(), data=data, rules=THEIRS)) == expected


def test_an_input_that_need_not_be_given_does_not_get_the_second_image():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, x, scale=2.0):
            assert isinstance(scale, float)
            return self.two(self.one(x)) * scale

    assert found(Scaled(), (5,))["one"].frozen == ""


def test_torch_pruning_is_loaded_when_its_rules_are_asked_for_and_not_before():
    code = """
import sys, torch
from torch import nn
from efflab.prune.structure import find_groups
model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
find_groups(model, (4,))
print("torch_pruning" in sys.modules)
find_groups(model, (4,), "torch-pruning")
print("torch_pruning" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
