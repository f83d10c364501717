"""Dependency groups: what goes together, compared with Torch-Pruning, and what is not followed says so."""

import operator
import threading

import networks
import pytest
import support
import torch
import torch_pruning
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune

from efflab import models
from efflab.prune.structure import Group, Member, groups
from efflab.prune.structure.tracing import trace


def by_name(model: nn.Module, shape: tuple[int, ...] = support.SHAPE) -> dict[str, Group]:
    return {group.name: group for group in groups(model, shape)}


class Body(nn.Module):
    """Two convolutions, and between them what a test writes."""

    def __init__(self, between, c_out: int = 4, **layers: nn.Module) -> None:
        super().__init__()
        self.one, self.two, self.end = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, c_out, 1), nn.Linear(c_out, 3)
        self.between = between
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        y = self.between(self, self.one(x))
        return self.end(self.two(y).mean((2, 3)))


# The rules


def test_a_chain_has_a_group_for_each_hidden_layer_and_its_answers_stay():
    assert groups(support.tiny_mlp(), support.SHAPE) == (
        Group("hidden1", 12, (Member("hidden1", "out"), Member("hidden2", "in")), ""),
        Group("hidden2", 8, (Member("hidden2", "out"), Member("output", "in")), ""),
        Group("output", 3, (Member("output", "out"),), "they are the network's answer"),
    )


def test_a_channel_that_is_flattened_is_as_many_columns_as_it_has_pixels():
    found = by_name(models.build("lenet5"), (1, 28, 28))
    assert found["conv2"].members == (Member("conv2", "out"), Member("hidden", "in", 16))


def test_layers_that_a_residual_block_adds_are_one_group():
    stem = by_name(models.build("resnet8"), (1, 28, 28))["conv1"]
    assert stem.layers("out") == ("conv1", "block1.conv2")
    assert stem.layers("in") == ("block1.conv1", "block2.conv1", "block2.shortcut")
    assert stem.layers("through") == ("norm1", "block1.norm2")


@pytest.mark.parametrize("multiplier", [1, 2])
def test_channels_pass_a_depthwise_convolution_one_by_one(multiplier):
    depthwise = nn.Conv2d(4, 4 * multiplier, 3, groups=4)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 1), depthwise, nn.BatchNorm2d(4 * multiplier), nn.Conv2d(4 * multiplier, 3, 1)
    )
    assert by_name(model)["0"] == Group(
        "0",
        4,
        (
            Member("0", "out"),
            Member("1", "through", multiplier),
            Member("2", "through", multiplier),
            Member("3", "in", multiplier),
        ),
        "",
    )


def test_a_depthwise_convolution_of_the_input_keeps_its_channels():
    model = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Conv2d(4, 3, 1))
    assert [group.name for group in groups(model, (2, 8, 8))] == ["1"]


FOLLOWED = {
    "functions": lambda m, y: F.dropout(F.max_pool2d(F.relu(y), 2), training=m.training),
    "methods": lambda m, y: y.relu().contiguous(),
    "numbers": lambda m, y: 2 * y / 3 + 1,
    "the same twice": lambda m, y: y + y,
    "its sizes": lambda m, y: y * (1 / (y.size(0) * y.shape[2])),
    "all sizes, and the channels not used": lambda m, y: y * unpacked(y.shape)[2],
    "in place": lambda m, y: operator.iadd(y, torch.relu(y)),
    "a mean that keeps its dimensions": lambda m, y: y * y.mean((2, 3), keepdim=True).sigmoid(),
}


def unpacked(shape):
    n, c, h, _ = shape
    return n, c, h


@pytest.mark.parametrize("between", FOLLOWED.values(), ids=FOLLOWED)
def test_between_two_convolutions_channels_are_followed_through(between):
    group = by_name(Body(between))["one"]
    assert group == Group("one", 4, (Member("one", "out"), Member("two", "in")), "")


FLATTENED = {
    "nn.Flatten": lambda y: nn.Flatten()(y),
    "torch.flatten": lambda y: torch.flatten(y, 1),
    "flatten with a keyword": lambda y: y.flatten(start_dim=1),
    "view": lambda y: y.view(y.size(0), -1),
    "reshape": lambda y: y.reshape(y.shape[0], -1),
}


@pytest.mark.parametrize("flatten", FLATTENED.values(), ids=FLATTENED)
def test_each_way_to_flatten_repeats_the_channels(flatten):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.flat, self.end = nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3)

        def forward(self, x):
            y = self.conv(x)
            return self.end(self.flat(y) if flatten is FLATTENED["nn.Flatten"] else flatten(y))

    assert by_name(Net())["conv"] == Group("conv", 4, (Member("conv", "out"), Member("end", "in", 36)), "")


def test_height_and_width_of_one_may_be_dropped():
    model = networks.Calls(lambda m, x: m.head(F.adaptive_avg_pool2d(m.one(x), 1).squeeze(3).squeeze(-1)))
    model.one, model.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)
    assert by_name(model)["one"].members == (Member("one", "out"), Member("head", "in"))


def test_an_input_that_need_not_be_given_is_left_at_its_default():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, x, mask=None, scale: float = 2.0):
            y = self.one(x)
            return self.two(y if mask is None else y * mask) * scale

    assert by_name(Net(), (5,))["one"] == Group("one", 4, (Member("one", "out"), Member("two", "in")), "")


def test_neurons_of_a_layer_on_tokens_are_followed_along_the_last_dimension():
    block = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
    assert by_name(block, (5, 8))["0"] == Group("0", 16, (Member("0", "out"), Member("2", "in")), "")


# Torch-Pruning as the reference


def test_the_groups_hold_the_same_layers_as_those_of_torch_pruning(subject):
    names = {module: name for name, module in subject.model.named_modules()}
    graph = torch_pruning.DependencyGraph().build_dependency(subject.model, example_inputs=subject.images)
    found = groups(subject.model, subject.shape)
    assert len(found) >= 3
    for group in found:
        root = subject.model.get_submodule(group.name)
        prune = graph.get_pruner_of_module(root).prune_out_channels
        touched = [item.dep.target.module for item in graph.get_pruning_group(root, prune, idxs=[0])]
        theirs = {names[module] for module in touched if module in names}
        with_numbers = {name for name in theirs if list(subject.model.get_submodule(name).parameters())}
        assert {member.layer for member in group.members} == with_numbers, group.name


# What is not followed


STOPPED = {
    "concat": (lambda m, y: torch.cat([y.relu(), y], 1)[:, :4], "they go through cat, which is not followed"),
    "slice": (lambda m, y: y[:, [3, 2, 1, 0]], "they go through getitem, which is not followed"),
    "reshape": (lambda m, y: y.view(-1, 4, 8, 8), "they go through view, which is not followed"),
    "permute": (lambda m, y: y.permute(0, 1, 3, 2), "they go through permute, which is not followed"),
    "softmax": (lambda m, y: y.softmax(1), "they go through softmax, which is not followed"),
    "a mean over channels": (lambda m, y: y - y.mean(1, keepdim=True), "mean acts across them"),
    "a quotient": (lambda m, y: y.relu() / y, "they go through truediv, which is not followed"),
    "the number of channels": (lambda m, y: y / y.shape[1], "they go through getattr, which is not followed"),
    "a broadcast": (lambda m, y: y * m.gate(y), "mul combines them with a tensor of another form"),
    "a tensor of its own": (lambda m, y: y * m.scale, "mul combines them with a tensor of another form"),
    "another norm": (lambda m, y: m.norm(y), "they go through layer 'norm' (GroupNorm), which is not followed"),
    "flatten from 0": (lambda m, y: y + y.flatten().sum(), "flatten flattens across them"),
}
EXTRA = {"gate": lambda: nn.Conv2d(4, 1, 1), "norm": lambda: nn.GroupNorm(2, 4)}


@pytest.mark.parametrize(("between", "why"), STOPPED.values(), ids=STOPPED)
def test_what_is_not_followed_freezes_the_channels_and_says_why(between, why):
    model = Body(between, **{name: make() for name, make in EXTRA.items()})
    model.scale = nn.Parameter(torch.rand(4, 1, 1))
    frozen = by_name(model)["one"].frozen
    assert why in frozen


def test_what_follows_after_an_operation_that_is_not_followed_can_be_pruned_again():
    model = Body(lambda m, y: y.permute(0, 1, 3, 2))
    assert by_name(model)["two"].frozen == ""


def test_a_convolution_in_groups_stays_and_so_does_what_it_reads():
    model = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 1, groups=4), nn.Conv2d(8, 3, 1))
    why = "layer '1' is a convolution in 4 groups, which must stay equally wide"
    assert [group.frozen for group in groups(model, support.SHAPE)][:2] == [why, why]


def test_a_layer_that_is_used_twice_stays():
    twice = nn.Linear(6, 6)
    model = nn.Sequential(nn.Linear(4, 6), twice, nn.ReLU(), twice, nn.Linear(6, 3))
    found = by_name(model, (4,))
    assert found["0"].frozen == found["1"].frozen == "layer '1' is used 2 times"


def test_an_activation_that_is_used_twice_does_no_harm():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(4, 6), relu, nn.Linear(6, 5), relu, nn.Linear(5, 3))
    assert [group.frozen for group in groups(model, (4,))][:2] == ["", ""]


def test_layers_that_share_their_weight_stay():
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3))
    model[2].weight = model[1].weight
    found = by_name(model, (4,))
    assert found["0"].frozen == "layer '1' shares its numbers with '2'"
    assert found["1"].frozen == "layer '1' shares its numbers with '2'"
    assert found["2"].frozen == "layer '2' shares its numbers with '1'"


def test_a_layer_whose_weight_is_read_directly_stays():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.code = nn.Linear(4, 6)

        def forward(self, x):
            return F.linear(self.code(x), self.code.weight.T)

    assert by_name(Tied(), (4,))["code"].frozen == "the numbers of layer 'code' are also read directly"


@pytest.mark.parametrize(
    ("wrap", "why"),
    [
        (torch.nn.utils.parametrizations.weight_norm, "layer '1' (ParametrizedLinear), which is not followed"),
        (lambda layer: torch_prune.l1_unstructured(layer, "weight", 0.5), "layer '1' computes its weight from other"),
    ],
    ids=["parametrized", "masked"],
)
def test_a_layer_whose_weight_is_computed_stays(wrap, why):
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 3)).requires_grad_(False)
    wrap(model[1])
    found = by_name(model, (4,))
    assert why in found["0"].frozen
    assert why in found["1"].frozen


def test_a_masked_model_that_torch_cannot_copy_gets_a_sentence():
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3))
    torch_prune.l1_unstructured(model[0], "weight", 0.5)
    with pytest.raises(ValueError, match=r"^Sequential cannot be copied, for a layer keeps a weight that was computed"):
        groups(model, (4,))


def test_attention_is_not_followed_and_the_layers_beside_it_are():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.one, self.two = nn.Linear(8, 16), nn.Linear(16, 8)

        def forward(self, x):
            x = x + self.attention(x, x, x)[0]
            return self.two(torch.relu(self.one(x)))

    found = by_name(Block(), (5, 8))
    assert found["one"] == Group("one", 16, (Member("one", "out"), Member("two", "in")), "")


# Models that cannot be followed at all


def test_a_forward_pass_with_two_inputs_gets_a_sentence():
    class Two(nn.Module):
        def forward(self, left, right):
            return left + right

    with pytest.raises(ValueError, match=r"^the forward pass of Two needs 2 inputs \(left, right\); channels are foll"):
        groups(Two(), (4,))


def test_a_path_that_depends_on_values_gets_a_sentence():
    model = networks.Calls(lambda self, x: x if x.sum() > 0 else -x)
    with pytest.raises(ValueError, match=r"^the forward pass of Calls cannot be followed: symbolically traced"):
        groups(model, (4,))


def test_an_input_of_another_shape_gets_a_sentence():
    with pytest.raises(ValueError, match=r"^Network does not take an input of shape \(3, 8, 8\): "):
        groups(support.tiny_cnn(), (3, 8, 8))


def test_an_answer_of_two_tensors_gets_a_sentence():
    with pytest.raises(ValueError, match=r"^Calls returns a tuple; channels are followed to exactly one tensor"):
        groups(networks.Calls(lambda self, x: (x, x)), (4,))


# Side effects


def test_a_model_in_training_mode_stays_in_it_and_keeps_its_running_statistics():
    model = support.tiny_cnn().train()
    before = support.bits(model)
    assert by_name(model) == by_name(support.tiny_cnn())
    assert support.bits(model) == before
    assert model.norm1.training


def test_another_thread_may_run_its_own_network_while_one_is_followed():
    model, other, images = models.build("resnet8"), support.tiny_cnn(), support.tiny_data(n=20).train.images
    expected, wrong, done = other(images), [], threading.Event()

    def run():
        while not done.is_set():
            try:
                if not torch.equal(other(images), expected):
                    wrong.append("another answer")
            except Exception as error:
                wrong.append(error)
                return

    thread = threading.Thread(target=run)
    thread.start()
    for _ in range(20):
        trace(model, (1, 28, 28))
    done.set()
    thread.join()
    assert wrong == []
