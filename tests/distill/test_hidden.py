"""Hidden layers: which there are in networks of all kinds, and what is seen of them."""

import pytest
import support
import torch
from torch import nn

from efflab import models
from efflab.distill import embedding, hidden_layers, outputs_of
from efflab.distill.hidden import numbered
from efflab.quantize import fold_batch_norms

IMAGE = torch.zeros(1, 1, 28, 28)


def test_those_of_a_cnn_are_its_activations():
    shapes = hidden_layers(models.build("cnn", sizes=(8,)), IMAGE)
    assert shapes == {"relu1": (8, 14, 14), "relu2": (16, 7, 7), "relu3": (32, 7, 7)}


def test_a_block_with_a_shortcut_is_one_layer():
    shapes = hidden_layers(models.build("resnet8", sizes=(4,)), IMAGE)
    assert shapes == {"relu1": (4, 28, 28), "block1": (4, 28, 28), "block2": (8, 14, 14), "block3": (16, 7, 7)}


def test_blocks_of_a_transformer_give_tokens():
    assert hidden_layers(models.build("vit", sizes=(16, 2)), IMAGE) == {"block1": (49, 16), "block2": (49, 16)}


def test_folding_batch_norms_changes_no_layer():
    network = models.build("cnn", sizes=(8,))
    assert hidden_layers(fold_batch_norms(network, data=support.tiny_data()), IMAGE) == hidden_layers(network, IMAGE)


def test_a_network_of_ones_own_is_seen_in_the_order_in_which_it_runs():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.act2, self.act1, self.first = nn.Linear(5, 2), nn.Tanh(), nn.ReLU(), nn.Linear(784, 7)
            self.body = nn.Sequential(nn.Linear(7, 5))

        def forward(self, x):
            return self.last(self.act2(self.body(self.act1(self.first(x.flatten(1))))))

    assert hidden_layers(Own(), IMAGE) == {"act1": (7,), "act2": (5,)}


def test_without_activations_the_layers_with_weights_but_the_last_count():
    assert hidden_layers(nn.Sequential(nn.Flatten(), nn.Linear(784, 7), nn.Linear(7, 3)), IMAGE) == {"1": (7,)}


def test_a_network_without_a_hidden_layer_is_refused():
    with pytest.raises(ValueError, match=r"^Sequential has no hidden layer"):
        hidden_layers(nn.Sequential(nn.Flatten(), nn.Linear(784, 3)), IMAGE)


def test_a_number_beyond_the_last_says_which_there_are():
    network = models.build("cnn", sizes=(8,))
    assert numbered(network, IMAGE, 3, "teacher") == "relu3"
    with pytest.raises(ValueError, match=r"^the student has no hidden layer 4; it has: 1 relu1, 2 relu2, 3 relu3$"):
        numbered(network, IMAGE, 4, "student")


def test_looking_leaves_the_mode_and_no_hook():
    network = models.build("cnn", sizes=(8,)).train()
    hidden_layers(network, IMAGE)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


def test_outputs_are_those_of_the_last_pass():
    network = support.tiny_mlp()
    first, second = torch.randn(2, 3, *support.SHAPE, generator=torch.Generator().manual_seed(0))
    with outputs_of(network, ["relu1"]) as seen, torch.no_grad():
        network(first)
        network(second)
        assert torch.equal(seen["relu1"], network.relu1(network.hidden1(second.flatten(1))))


def test_an_embedding_is_the_mean_over_the_places():
    maps = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(embedding(maps), torch.tensor([[5.5, 17.5]]))
    assert torch.equal(embedding(maps.flatten(2).mT), torch.tensor([[5.5, 17.5]]))
    assert torch.equal(embedding(torch.ones(2, 5)), torch.ones(2, 5))
