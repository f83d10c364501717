"""Weight sharing and the training of the shared values."""

import pytest
import support
import torch
from torch import nn

from efflab import data as datasets
from efflab import models
from efflab.measure import compute_size
from efflab.measure.size import index_bytes
from efflab.prune import prune_weights
from efflab.quantize import quantize_weights, share_weights, train_centroids
from efflab.runtime import SharedConv2d, SharedLinear, shared_layers
from efflab.training import Progress, validation_score


class Tied(nn.Module):
    """An embedding and two layers that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.encode, self.decode = nn.Embedding(4, 4), nn.Linear(4, 3), nn.Linear(4, 4, bias=False)
        self.flatten, self.first, self.last = nn.Flatten(), nn.Linear(64, 4), nn.Linear(4, 3)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.decode.weight = self.embedding.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.second(self.decode(self.first(self.flatten(images)))))


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


# Sharing


@pytest.mark.parametrize("bits", [8, 5, 2, 1])
def test_a_layer_has_two_to_the_bits_values_and_each_weight_the_one_next_to_it(bits):
    model = support.tiny_all()
    shared = share_weights(model, bits=bits)
    assert len(shared_layers(shared)) == 9
    for name, layer in shared_layers(shared).items():
        weight = model.get_submodule(name).weight.detach()
        n_different = len(weight.unique())
        assert len(layer.codebook) == min(2**bits, n_different) == len(layer.weight.unique())
        distances = (weight[..., None] - layer.codebook).abs()
        torch.testing.assert_close((layer.weight - weight).abs(), distances.amin(-1), rtol=0, atol=1e-7)


def test_linear_layers_and_convolutions_get_codebooks_and_nothing_else_does():
    kinds = {name: type(one) for name, one in share_weights(support.tiny_both()).named_children()}
    assert [name for name, kind in kinds.items() if kind is SharedConv2d] == ["conv1", "conv2", "conv3"]
    assert [name for name, kind in kinds.items() if kind is SharedLinear] == ["hidden", "output"]
    assert kinds["norm1"] is nn.BatchNorm2d


def test_zeros_stay_zero_and_no_value_is():
    pruned = prune_weights(support.tiny_mlp(), sparsity=0.9)
    for name, layer in shared_layers(share_weights(pruned, bits=2)).items():
        assert torch.equal(layer.weight == 0, pruned.get_submodule(name).weight == 0)
        assert torch.equal(layer.indices() < 0, layer.weight == 0)
        assert bool((layer.codebook != 0).all())


@pytest.mark.parametrize("sparsity", [1.0, 0.999])
def test_a_layer_without_weights_has_no_values(sparsity):
    pruned = prune_weights(support.tiny_mlp(), sparsity=sparsity)
    shared = share_weights(pruned)
    assert support.bits(shared).items() >= support.bits(pruned).items()
    assert len(shared.hidden1.codebook) == len(pruned.hidden1.weight[pruned.hidden1.weight != 0].unique())


def test_each_layer_gets_its_own_bits_and_the_others_stay_float():
    model = support.tiny_both()
    shared = share_weights(model, bits={"conv2": 2, "output": 1})
    assert {name: len(layer.codebook) for name, layer in shared_layers(shared).items()} == {"conv2": 4, "output": 2}
    assert torch.equal(shared.hidden.weight, model.hidden.weight)


def test_a_shared_weight_gets_one_codebook_and_is_trained_once():
    model = Tied()
    models.reset_weights(model, seed=0)
    shared = share_weights(model, bits={"decode": 2})
    assert shared.embedding.weight is shared.second.weight is shared.decode.weight
    assert shared.second.codebook is shared.decode.codebook
    tuned = train_centroids(shared, data=support.tiny_data(n=60), epochs=2, learning_rate=0.01)
    assert torch.equal(tuned.second.indices(), shared.decode.indices())
    assert tuned.embedding.weight is tuned.second.weight
    assert not torch.equal(tuned.second.codebook, shared.second.codebook)


def test_kernels_stay_stored_with_channels_last():
    model = support.tiny_cnn()
    assert share_weights(model).conv2.weight.stride() == model.conv2.weight.stride()


def test_more_values_are_closer_and_cost_fewer_answers(digits):
    model = models.load("mlp-digits")
    scores = [validation_score(share_weights(model, bits=bits), digits) for bits in (1, 3, 8)]
    assert scores == sorted(scores)
    assert scores[0] < 0.9 < validation_score(model, digits) - 0.005 < scores[2]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_refused_with_its_layer(value):
    model = support.tiny_mlp()
    model.hidden2.weight.data[1, 2] = value
    with pytest.raises(ValueError, match=rf"^the weights of layer 'hidden2' cannot be shared: weight holds {value}"):
        share_weights(model)


def test_a_model_without_such_a_layer_gets_a_sentence():
    with pytest.raises(ValueError, match=r"has no layer whose weights can be quantized; it needs one of: Linear, Conv"):
        share_weights(nn.ReLU())


# Training


def test_training_the_values_brings_back_what_one_bit_broke(digits):
    shared = share_weights(prune_weights(models.load("mlp-digits"), sparsity=0.8), bits=1)
    tuned = train_centroids(shared, data=digits, epochs=10, learning_rate=0.01)
    assert validation_score(tuned, digits) > validation_score(shared, digits) + 0.02


def test_which_weight_has_which_value_stays(digits):
    shared = share_weights(prune_weights(models.load("cnn-digits"), sparsity=0.5), bits=3)
    tuned = train_centroids(shared, data=digits, epochs=2)
    for name, layer in shared_layers(tuned).items():
        assert torch.equal(layer.indices(), shared.get_submodule(name).indices())
        assert not torch.equal(layer.codebook, shared.get_submodule(name).codebook)
    assert not torch.equal(tuned.norm1.running_mean, shared.norm1.running_mean)
    assert not torch.equal(tuned.output.bias, shared.output.bias)


def test_stopped_at_once_it_is_what_it_was(digits):
    shared, progress = share_weights(models.load("mlp-digits"), bits=2), Progress()
    progress.stop()
    assert support.bits(train_centroids(shared, data=digits, progress=progress)) == support.bits(shared)


def test_frozen_layers_stay_frozen(digits):
    shared = share_weights(models.load("mlp-digits"), bits=2)
    shared.hidden1.requires_grad_(False)
    tuned = train_centroids(shared, data=digits, epochs=1, learning_rate=0.01)
    assert torch.equal(tuned.hidden1.codebook, shared.hidden1.codebook)
    assert not torch.equal(tuned.output.codebook, shared.output.codebook)


def test_without_a_codebook_there_is_nothing_to_train(digits):
    with pytest.raises(
        ValueError, match=r"^Network has no layer whose weights share values: share_weights comes first"
    ):
        train_centroids(models.load("mlp-digits"), data=digits)


def test_a_grid_beside_a_codebook_is_not_trained(digits):
    both = share_weights(quantize_weights(models.load("mlp-digits"), bits={"hidden1": 4}), bits={"output": 2})
    with pytest.raises(ValueError, match=r"^layer 'hidden1' has its weights on a grid of 4 bits, and here only shared"):
        train_centroids(both, data=digits)


# Bytes


def test_a_dense_layer_takes_its_indices_and_its_codebook():
    layer = nn.Linear(100, 10, bias=False)
    for bits in (1, 4, 8):
        (tensor,) = compute_size(share_weights(layer, bits=bits)).tensors
        assert tensor.encoding == f"{bits}-bit codebook"
        assert tensor.packed_bytes == 1000 * bits // 8 + 4 * 2**bits == index_bytes(1000, bits, 2**bits)


def test_a_pruned_layer_takes_the_smallest_of_mask_gaps_and_an_index_for_zero():
    layer, found = nn.Linear(100, 100, bias=False), {}
    for sparsity in (0.1, 0.5, 0.95):
        (tensor,) = compute_size(share_weights(prune_weights(layer, sparsity=sparsity), bits=2)).tensors
        found[sparsity] = (tensor.encoding, tensor.packed_bytes)
    assert found[0.1] == ("2-bit codebook, bitmask", 1250 + 2250 + 16)
    assert found[0.5] == ("2-bit codebook, bitmask", 1250 + 1250 + 16)
    encoding, n_bytes = found[0.95]
    assert encoding == "2-bit codebook, gaps"
    assert 125 + 16 + 500 * 5 / 8 < n_bytes < 125 + 16 + 500 * 7 / 8  # 19 zeros come before each on average


def test_three_values_and_zero_are_four_symbols_of_two_bits():
    layer = nn.Linear(4, 100, bias=False)
    layer.weight.data = torch.tensor([0.0, 1.0, 2.0, 3.0]).repeat(100, 1)
    (tensor,) = compute_size(share_weights(layer, bits=2)).tensors
    assert (tensor.encoding, tensor.packed_bytes) == ("2-bit codebook", 100 + 12)


def test_codebooks_are_counted_once_and_change_no_dense_byte():
    model = support.tiny_all()
    before, after = compute_size(model), compute_size(share_weights(model, bits=2))
    assert [tensor.name for tensor in after.tensors] == [tensor.name for tensor in before.tensors]
    assert (after.dense_bytes, after.n_parameters) == (before.dense_bytes, before.n_parameters)
    assert after.packed_bytes < before.packed_bytes


def test_weights_that_left_their_codebook_have_no_size():
    model = nn.Sequential(share_weights(nn.Linear(8, 8), bits=2))
    model[0].weight.data += 0.4
    with pytest.raises(ValueError, match=r"^'0\.weight' has no size: a weight of this SharedLinear is none of the 4 v"):
        compute_size(model)
