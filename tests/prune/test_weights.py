"""Weight pruning: what counts as a weight, and that exactly the right ones become zero."""

import pytest
import support
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from efflab.prune import apply_masks, prunable_weights, prune_weights, sparsity_of


class Tied(nn.Module):
    """Two layers that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(4, 4)
        self.decode = nn.Linear(4, 4, bias=False)
        self.decode.weight = self.encode.weight
        self.output = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.decode(self.encode(x)))


# What can be pruned


def test_matrices_and_kernels_can_be_pruned_and_nothing_else():
    model = nn.Sequential(
        nn.Conv1d(2, 3, 3),
        nn.BatchNorm1d(3),
        nn.ConvTranspose2d(3, 2, 2),
        nn.LayerNorm(4),
        nn.Embedding(5, 3),
        nn.Linear(3, 2),
        nn.Conv3d(1, 2, 2),
    )
    found = prunable_weights(model)
    assert list(found) == ["0", "2", "5", "6"]
    assert all(found[name].data_ptr() == model[int(name)].weight.data_ptr() for name in found)


def test_the_layers_come_in_the_order_of_the_network_by_their_full_names():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 1)))
    assert list(prunable_weights(model)) == ["0", "1.1"]


def test_a_lone_layer_is_called_model():
    layer = nn.Linear(4, 5)
    assert list(prunable_weights(layer)) == ["model"]
    assert support.count_zeros(prune_weights(layer, sparsity={"model": 0.5})) == 10


def test_a_shared_weight_appears_once_under_its_first_layer():
    assert list(prunable_weights(Tied())) == ["encode", "output"]


@pytest.mark.parametrize("model", [nn.ReLU(), nn.Sequential(), nn.BatchNorm2d(3), nn.Embedding(4, 2)])
def test_a_model_without_such_a_layer_gets_a_sentence(model):
    with pytest.raises(
        ValueError, match=f"^{type(model).__name__} has no layer whose weights can be pruned; it needs one"
    ):
        prune_weights(model)


def test_a_weight_that_torch_has_masked_gets_a_sentence():
    layer = nn.Linear(4, 4)
    torch_prune.l1_unstructured(layer, "weight", 0.5)
    with pytest.raises(ValueError, match=r"layer '0' computes its weight from other tensors .* prune.remove"):
        prune_weights(nn.Sequential(layer))
    torch_prune.remove(layer, "weight")
    assert support.count_zeros(prune_weights(nn.Sequential(layer), sparsity=0.75)) == 12


# What pruning does


def test_the_smallest_weights_become_zero_and_the_others_stay_bit_for_bit():
    model = support.tiny_cnn()
    pruned = prune_weights(model, sparsity=0.6)
    before, after = (torch.cat([w.flatten() for w in prunable_weights(m).values()]) for m in (model, pruned))
    gone = after == 0
    assert int(gone.sum()) == round(0.6 * len(before))
    assert before[gone].abs().max() <= before[~gone].abs().min()
    assert torch.equal(after[~gone], before[~gone])


def test_biases_normalisation_and_buffers_are_left_alone():
    model = support.tiny_cnn()
    model.norm1.running_mean.fill_(0.125)
    model.output.bias.data.fill_(1e-9)
    before, after = support.bits(model), support.bits(prune_weights(model, sparsity=1.0))
    weights = {f"{name}.weight" for name in prunable_weights(model)}
    assert {name for name in before if before[name] != after[name]} == weights


def test_a_removed_weight_is_zero_without_a_sign():
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[-1.0, -2.0, -3.0]])
    pruned = prune_weights(layer, sparsity=1.0)
    assert not bool(torch.signbit(pruned.weight).any())


def test_a_layer_without_bias_is_pruned_like_any_other():
    layer = nn.Linear(10, 10, bias=False)
    assert support.count_zeros(prune_weights(nn.Sequential(layer), sparsity=0.37)) == 37


def test_the_scope_decides_whether_layers_compete():
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False))
    model[0].weight.data = torch.linspace(1, 2, 100).view(10, 10)
    model[1].weight.data = torch.linspace(3, 4, 100).view(10, 10)
    everywhere = prune_weights(model, sparsity=0.5, scope="global")
    assert [int((layer.weight == 0).sum()) for layer in everywhere] == [100, 0]
    each = prune_weights(model, sparsity=0.5, scope="per layer")
    assert [int((layer.weight == 0).sum()) for layer in each] == [50, 50]


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("scope", ["global", "per layer"])
@pytest.mark.parametrize("seed", range(3))
def test_the_whole_network_is_pruned_like_torch_does(scope, sparsity, seed):
    ours = prune_weights(support.tiny_cnn(seed), sparsity=sparsity, scope=scope)
    theirs = support.tiny_cnn(seed).to(memory_format=torch.contiguous_format)  # the only layout that torch prunes
    layers = [(module, "weight") for module in theirs.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    assert len(layers) == 4
    if scope == "global":
        torch_prune.global_unstructured(layers, pruning_method=torch_prune.L1Unstructured, amount=sparsity)
    else:
        for module, name in layers:
            torch_prune.l1_unstructured(module, name, amount=sparsity)
    for module, name in layers:
        torch_prune.remove(module, name)
    expected = theirs.state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in ours.state_dict().items())


def test_a_mapping_prunes_the_layers_that_it_names():
    pruned = prune_weights(support.tiny_cnn(), sparsity={"conv2": 0.5, "output": 1.0})
    zeros = {name: int((weight == 0).sum()) for name, weight in prunable_weights(pruned).items()}
    assert zeros == {"conv1": 0, "conv2": 36, "conv3": 0, "output": 24}


def test_pruning_again_starts_with_what_is_gone():
    model = support.tiny_cnn()
    twice = prune_weights(prune_weights(model, sparsity=0.5), sparsity=0.8)
    assert support.bits(twice) == support.bits(prune_weights(model, sparsity=0.8))
    by_chance = prune_weights(prune_weights(model, sparsity=0.5), sparsity=0.8, criterion="random", seed=1)
    assert support.count_zeros(by_chance) == round(0.8 * support.count_weights(model))


def test_chance_removes_other_weights_than_magnitude_but_as_many():
    model = support.tiny_cnn()
    by_chance = prune_weights(model, sparsity=0.5, criterion="random", seed=1)
    by_size = prune_weights(model, sparsity=0.5)
    assert support.count_zeros(by_chance) == support.count_zeros(by_size)
    assert support.bits(by_chance) != support.bits(by_size)


def test_a_shared_weight_stays_shared_and_is_pruned_once():
    pruned = prune_weights(Tied(), sparsity=0.5, scope="per layer")
    assert pruned.decode.weight is pruned.encode.weight
    assert int((pruned.encode.weight == 0).sum()) == 8
    assert sparsity_of(pruned) == 12 / 24


def test_weights_that_are_no_numbers_are_refused():
    layer = nn.Linear(2, 2)
    layer.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        prune_weights(layer)


def test_the_fraction_of_zeros_is_of_the_weights_that_pruning_may_remove():
    model = nn.Sequential(nn.Linear(4, 2), nn.LayerNorm(2))
    nn.init.zeros_(model[0].bias)
    model[0].weight.data = torch.tensor([[1.0, 0.0, 0.0, 2.0], [0.0, 3.0, 4.0, 5.0]])
    assert sparsity_of(model) == 0.375


def test_masks_are_applied_to_a_copy():
    model = nn.Sequential(nn.Linear(2, 2))
    before = support.bits(model)
    mask = torch.tensor([[True, False], [False, True]])
    masked = apply_masks(model, {"0": mask})
    assert torch.equal(masked[0].weight, model[0].weight * mask)
    assert support.bits(model) == before
