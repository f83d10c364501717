"""Importance: each score against torch's own pruning, Torch-Pruning, or the loss itself."""

import copy
from dataclasses import replace

import networks
import pytest
import support
import torch
import torch_pruning
from torch import nn
from torch.nn.utils import prune as torch_prune

from efflab import models
from efflab.data import Data, Split
from efflab.prune.structure import channel_scores, groups
from efflab.prune.structure.groups import Group


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


@pytest.fixture
def model() -> nn.Module:
    return support.tiny_both()


def free(model: nn.Module, shape: tuple[int, ...] = support.SHAPE) -> list[Group]:
    found = [group for group in groups(model, shape) if not group.frozen]
    assert found
    return found


@pytest.mark.parametrize(("importance", "n"), [("l1", 1), ("l2", 2)])
def test_in_a_chain_the_order_is_that_of_torchs_own_structured_pruning(importance, n, data, model):
    found = free(model)
    for name, score in channel_scores(model, found, importance, data=data).items():
        layer, n_removed = model.get_submodule(name), len(score) // 2
        torch_prune.ln_structured(layer, "weight", amount=n_removed, n=n, dim=0)
        gone = ~layer.weight_mask.bool().flatten(1).all(dim=1)
        assert set(score.argsort()[:n_removed].tolist()) == set(gone.nonzero().flatten().tolist())


@pytest.mark.parametrize("p", [1, 2])
def test_in_a_residual_group_all_layers_that_make_the_channel_count_as_in_torch_pruning(p, data):
    model = models.build("resnet8", shape=support.SHAPE)
    graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=data.test.images[:1])
    (stem, *_) = free(model)
    prune = torch_pruning.prune_conv_out_channels
    group = graph.get_pruning_group(model.conv1, prune, idxs=list(range(16)))
    rows = [one for one in group if one.dep.handler == prune]
    assert len(rows) == 2
    expected = sum(one.dep.target.module.weight.detach().flatten(1).abs().pow(p).sum(1) for one in rows)
    ours = channel_scores(model, [stem], f"l{p}", data=data)[stem.name]
    torch.testing.assert_close(ours.pow(p), expected)


def test_the_batch_norm_scale_is_its_magnitude(data, model):
    with torch.no_grad():
        model.norm2.weight.copy_(torch.tensor([1.0, -3.0, 0.5, 2.0]))
    found = [group for group in free(model) if group.name == "conv2"]
    scores = channel_scores(model, found, "batch norm scale", data=data)
    assert scores["conv2"].tolist() == [1.0, 3.0, 0.5, 2.0]


def test_a_group_without_a_batch_norm_gets_a_sentence(data, model):
    with pytest.raises(ValueError, match=r"needs a batch norm with a scale after 'hidden', and there is none; 'l1' ne"):
        channel_scores(model, free(model), "batch norm scale", data=data)


def one_example(data: Data, index: int) -> Data:
    part = Split(data.calibration.images[index : index + 1].clone(), data.calibration.labels[index : index + 1].clone())
    return replace(data, calibration=part)


def loss_with_gate(model: nn.Module, data: Data, group: Group, channel: int, gate: float) -> float:
    """The loss when every reader of the group gets `gate` times the channel: its column is scaled."""
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        for member in group.members:
            if member.side == "in":
                columns = slice(channel * member.repeat, (channel + 1) * member.repeat)
                scaled.get_submodule(member.layer).weight[:, columns] *= gate
        return data.task.loss(scaled(data.calibration.images.double()), data.calibration.labels).item()


@pytest.mark.parametrize("build", ["both", "lenet5", "resnet8"])
def test_taylor_is_the_slope_of_each_examples_loss_as_the_channel_fades(build, data):
    shape, own = support.SHAPE, data
    if build == "lenet5":
        shape = (1, 16, 16)
        big = Split(torch.rand(6, *shape, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3)
        own = Data("big", big, big, big, big, ("a", "b", "c"))
    model = support.tiny_both() if build == "both" else models.build(build, shape=shape, n_classes=3)
    found, few = free(model, shape), 3
    own = replace(own, calibration=Split(own.calibration.images[:few].clone(), own.calibration.labels[:few].clone()))
    scores, exact, step = channel_scores(model, found, "taylor", data=own), model.double(), 1e-5
    for group in found:
        for channel in (0, group.size - 1):
            ends = [
                [loss_with_gate(exact, one_example(own, i), group, channel, gate) for gate in (1 - step, 1 + step)]
                for i in range(few)
            ]
            slopes = [(high - low) / (2 * step) for low, high in ends]
            expected = sum(map(abs, slopes)) / few
            assert scores[group.name][channel].item() == pytest.approx(expected, rel=1e-3, abs=1e-6), group.name


def test_the_activation_mean_is_that_of_what_the_next_layer_reads(data, model):
    scores = channel_scores(model, free(model), "activation mean", data=data)
    with torch.no_grad():
        hidden = model[:-1](data.calibration.images)
        first = model[:3](data.calibration.images)
    torch.testing.assert_close(scores["hidden"], hidden.abs().mean(0))
    torch.testing.assert_close(scores["conv1"], first.abs().mean((0, 2, 3)))


@pytest.mark.parametrize("importance", ["taylor", "activation mean"])
def test_what_is_asked_of_the_data_does_not_depend_on_how_it_is_cut_into_chunks(importance, data, model, monkeypatch):
    whole = channel_scores(model, free(model), importance, data=data)
    monkeypatch.setattr("efflab.prune.structure.importance.CHUNK", 7)
    for name, score in channel_scores(model, free(model), importance, data=data).items():
        torch.testing.assert_close(score, whole[name])


@pytest.mark.parametrize("importance", ["taylor", "activation mean"])
def test_a_dead_channel_matters_nothing(importance, data, model):
    with torch.no_grad():
        model.norm1.weight[1] = model.norm1.bias[1] = 0
    score = channel_scores(model, free(model), importance, data=data)["conv1"]
    assert score[1] == 0
    assert score[0] > 0


def test_only_the_random_score_depends_on_the_seed(data, model):
    found = [group for group in free(model) if group.name != "hidden"]
    for importance in ("l1", "l2", "batch norm scale", "taylor", "activation mean", "random"):
        one, same, other = (channel_scores(model, found, importance, data=data, seed=s)["conv3"] for s in (0, 0, 1))
        assert torch.equal(one, same)
        assert torch.equal(one, other) == (importance != "random")


def test_a_model_in_training_mode_is_asked_in_evaluation_mode(data, model):
    expected = channel_scores(model, free(model), "taylor", data=data)
    model.train()
    before = support.bits(model)
    for name, score in channel_scores(model, free(model), "taylor", data=data).items():
        assert torch.equal(score, expected[name])
    assert support.bits(model) == before
    assert all(parameter.grad is None for parameter in model.parameters())


def test_weights_that_are_not_trained_can_still_be_asked_what_they_do(data, model):
    expected = channel_scores(model, free(model), "taylor", data=data)
    for name, score in channel_scores(model.requires_grad_(False), free(model), "taylor", data=data).items():
        assert torch.equal(score, expected[name])


def test_another_importance_gets_a_sentence(data, model):
    with pytest.raises(ValueError, match=r"^importance must be one of l1, l2, batch norm scale, taylor, "):
        channel_scores(model, free(model), "l3", data=data)


def test_a_deep_network_can_be_asked(data):
    model = networks.mobilenet_v2()
    found = free(model, (3, 32, 32))
    scores = channel_scores(model, found, "l2", data=data)
    assert sum(map(len, scores.values())) == sum(group.size for group in found)
