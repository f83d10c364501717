"""Neurons: which go, what is zero then, and that cutting them off changes no answer."""

import pytest
import support
import torch
import torch_pruning
from torch import nn
from torch.nn.utils import prune as torch_prune

from efflab import models
from efflab.prune import fine_tune, neurons_to_keep, prune_weights, remove_neurons, zero_neurons
from efflab.prune.neurons import hidden_layers, live_neurons

RATIOS = (0.0, 0.1, 0.5, 0.9, 0.99)


@pytest.fixture
def mlp() -> nn.Module:
    return support.tiny_mlp()


def images(n: int = 20) -> torch.Tensor:
    return torch.randn(n, *support.SHAPE, generator=torch.Generator().manual_seed(1))


def chain(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *layers).eval()


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 0.75])
def test_the_neurons_that_go_are_those_that_torch_removes_by_their_l1_norm(ratio):
    layer = nn.Linear(64, 12)
    weight = layer.weight.detach().clone()
    torch_prune.ln_structured(layer, "weight", amount=ratio, n=1, dim=0)
    assert torch.equal(neurons_to_keep(weight, ratio), layer.weight_mask.bool().all(dim=1))


def test_of_equal_neurons_exactly_as_many_go_as_asked_for():
    assert neurons_to_keep(torch.ones(8, 3), 0.5).sum() == 4


def test_one_neuron_stays_whatever_is_asked_for():
    assert neurons_to_keep(torch.rand(3, 5), 0.99).sum() == 1


def test_a_neuron_that_goes_is_zero_on_both_sides_and_in_its_bias(mlp):
    zeroed = zero_neurons(mlp, ratio=0.5)
    gone = ~neurons_to_keep(mlp.hidden1.weight.detach(), 0.5)
    assert gone.sum() == 6
    assert not zeroed.hidden1.weight[gone].any()
    assert not zeroed.hidden1.bias[gone].any()
    assert not zeroed.hidden2.weight[:, gone].any()
    assert torch.equal(zeroed.hidden1.weight[~gone], mlp.hidden1.weight[~gone])


def test_which_neurons_of_a_later_layer_go_does_not_depend_on_the_zeros_before_it(mlp):
    with torch.no_grad():  # without the inputs that go, neuron 0 would read least
        mlp.hidden1.weight.copy_(torch.arange(12.0)[:, None].expand(12, 64) + 1)
        mlp.hidden2.weight.fill_(1.0)
        mlp.hidden2.weight[0] = torch.tensor([9.0] * 6 + [0.1] * 6)
    zeroed = zero_neurons(mlp, ratio=0.5)
    assert zeroed.hidden2.weight[0].any()


@pytest.mark.parametrize("ratio", RATIOS)
def test_removed_answers_like_zeroed_and_has_the_shapes_of_what_is_left(mlp, ratio):
    zeroed = zero_neurons(mlp, ratio=ratio)
    removed = remove_neurons(zeroed)
    torch.testing.assert_close(removed(images()), zeroed(images()), rtol=0, atol=1e-5)
    n1, n2 = 12 - min(round(12 * ratio), 11), 8 - min(round(8 * ratio), 7)
    assert [tuple(p.shape) for p in removed.parameters() if p.ndim > 1] == [(n1, 64), (n2, n1), (3, n2)]
    assert (removed.hidden1.out_features, removed.hidden2.in_features) == (n1, n1)


def test_removing_gives_what_torch_pruning_gives_for_the_same_neurons(mlp):
    zeroed = zero_neurons(mlp, ratio=0.5)
    gone = (~neurons_to_keep(mlp.hidden1.weight.detach(), 0.5)).nonzero().flatten().tolist()
    both = (~neurons_to_keep(mlp.hidden2.weight.detach(), 0.5)).nonzero().flatten().tolist()
    theirs = zero_neurons(mlp, ratio=0.5)
    graph = torch_pruning.DependencyGraph().build_dependency(theirs, example_inputs=images(1))
    for layer, index in ((theirs.hidden1, gone), (theirs.hidden2, both)):
        graph.get_pruning_group(layer, torch_pruning.prune_linear_out_channels, idxs=index).prune()
    ours = remove_neurons(zeroed)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_trained_network_keeps_its_dead_neurons_dead(mlp):
    data = support.tiny_data()
    tuned = fine_tune(zero_neurons(mlp, ratio=0.5), data=data, epochs=2)
    removed = remove_neurons(tuned)
    assert removed.hidden1.out_features == 6
    torch.testing.assert_close(removed(images()), tuned(images()), rtol=0, atol=1e-5)


def test_scattered_zeros_leave_few_neurons_to_cut(mlp):
    assert remove_neurons(prune_weights(mlp, sparsity=0.5)).hidden1.out_features == 12
    bare = prune_weights(mlp, sparsity=1.0)
    torch.testing.assert_close(remove_neurons(bare)(images()), bare(images()), rtol=0, atol=1e-5)


def test_a_neuron_that_only_dead_ones_read_is_cut_too():
    network = chain(nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 3))
    with torch.no_grad():
        network[3].weight[0] = torch.tensor([1.0, 0.0, 0.0, 0.0])  # the only reader of neuron 0
        network[3].weight[1] = torch.tensor([0.0, 1.0, 1.0, 1.0])
        network[5].weight[:, 0] = 0.0
    removed = remove_neurons(network)
    assert (removed[1].out_features, removed[3].out_features) == (3, 1)
    torch.testing.assert_close(removed(images()), network(images()), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("activation", "stays"), [(nn.ReLU(), False), (nn.Tanh(), False), (nn.Sigmoid(), True)])
def test_a_silent_neuron_stays_where_its_activation_makes_a_number_of_zero(activation, stays):
    network = chain(nn.Linear(64, 3), activation, nn.Linear(3, 3))
    with torch.no_grad():
        network[1].weight[1] = 0.0
        network[1].bias[1] = 0.0
    assert live_neurons(*hidden_layers(network)[0]).tolist() == [True, stays, True]
    torch.testing.assert_close(remove_neurons(network)(images()), network(images()), rtol=0, atol=1e-5)


def test_a_neuron_with_a_bias_speaks_even_if_it_reads_nothing():
    network = chain(nn.Linear(64, 3), nn.ReLU(), nn.Linear(3, 3))
    with torch.no_grad():
        network[1].weight[1] = 0.0
        network[1].bias[1] = 1.0
    assert remove_neurons(network)[1].out_features == 3


def test_a_chain_may_be_nested_and_have_no_biases():
    inner = nn.Sequential(nn.Linear(64, 6, bias=False), nn.ReLU(), nn.Dropout())
    network = chain(inner, nn.Linear(6, 3, bias=False))
    removed = remove_neurons(zero_neurons(network, ratio=0.5))
    assert removed[1][0].out_features == removed[2].in_features == 3
    assert removed(images()).shape == (20, 3)


def test_the_input_is_left_alone(mlp):
    before = support.bits(mlp)
    remove_neurons(zero_neurons(mlp, ratio=0.5))
    assert support.bits(mlp) == before


@pytest.mark.parametrize(
    "network",
    [
        models.build("cnn", shape=support.SHAPE, n_classes=3, sizes=(2,)),
        chain(nn.Linear(64, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)),
        chain(nn.Linear(64, 3)),
        nn.Linear(64, 3),
    ],
)
@pytest.mark.parametrize("act", [zero_neurons, remove_neurons])
def test_a_network_without_hidden_neurons_in_a_chain_gets_a_sentence(network, act):
    with pytest.raises(ValueError, match=r"has no hidden neurons that can be cut off: it needs an nn.Sequential"):
        act(network)


def test_lenet5_has_one_hidden_layer_of_neurons_besides_its_convolutions():
    network = models.build("lenet5")
    assert remove_neurons(zero_neurons(network, ratio=0.5)).hidden.out_features == 250
