"""Layers on a grid are the layers that they were for whatever runs, counts, copies or writes them."""

import copy

import pytest
import support
import torch
from torch import fx, nn

from efflab import models
from efflab.data import Data
from efflab.measure.work import count_work
from efflab.models import Card, CheckpointError
from efflab.prune import (
    fine_tune,
    prune_filters,
    prune_gradually,
    prune_heads,
    prune_neurons,
    prune_weights,
    remove_neurons,
    train_ticket,
    zero_neurons,
)
from efflab.quantize import dequantize, quantize_weights
from efflab.runtime import as_floats, export, export_eager, open_eager, parity, quantized_layers, sparsify
from efflab.runtime.quantized import QuantizedLinear, put_on_grid

GRANULARITIES = ("per tensor", "per channel", "per group")


@pytest.fixture
def data() -> Data:
    return support.tiny_data(n=60)


@pytest.fixture(params=GRANULARITIES)
def quantized(request) -> nn.Module:
    return quantize_weights(support.tiny_all(), bits=4, granularity=request.param, scheme="affine", group_size=8)


def codes(model: nn.Module) -> dict[str, list[int]]:
    found = {name: layer.integers().flatten().tolist() for name, layer in quantized_layers(model).items()}
    assert found
    return found


# As any layer


def test_it_answers_as_a_plain_layer_with_its_weights_does(quantized, data):
    plain = support.tiny_all()
    state = {key: tensor for key, tensor in quantized.state_dict().items() if key in plain.state_dict()}
    plain.load_state_dict(state)
    assert torch.equal(quantized(data.test.images), plain(data.test.images))


def test_the_onnx_file_answers_as_the_model_does_and_holds_floats(quantized, data, tmp_path):
    made = export(quantized, data.shape, tmp_path)
    assert parity(made, quantized, data.test.images).max_difference < 1e-5
    assert made.n_bytes == export(support.tiny_all(), data.shape, tmp_path, "float").n_bytes


def test_the_file_for_torch_holds_plain_layers_with_the_weights_on_the_grid(quantized, data, tmp_path):
    opened = open_eager(export_eager(quantized, data.shape, tmp_path).path)
    assert type(opened.conv2) is nn.Conv2d
    assert type(opened.attention.q) is nn.Linear
    assert torch.equal(opened.conv2.weight, quantized.conv2.weight)
    assert torch.equal(opened(data.test.images), quantized(data.test.images))


def test_work_and_moved_bytes_are_those_of_the_float_network(data):
    model = prune_weights(support.tiny_all(), sparsity=0.5)
    before, after = count_work(model, data.shape), count_work(quantize_weights(model), data.shape)
    assert (after.macs, after.macs_nonzero, after.moved_bytes) == (before.macs, before.macs_nonzero, before.moved_bytes)


def test_torch_fx_follows_it(quantized, data):
    traced = fx.symbolic_trace(quantized)
    assert torch.equal(traced(data.test.images), quantized(data.test.images))


def test_its_zeros_can_be_left_out_of_a_sparse_layer(data):
    quantized = quantize_weights(prune_weights(support.tiny_mlp(), sparsity=0.9), bits=4)
    sparse = sparsify(quantized)
    assert sparse.hidden1.weight.values().numel() == int(quantized.hidden1.weight.count_nonzero())
    torch.testing.assert_close(sparse(data.test.images), quantized(data.test.images))


# Copies


def test_a_copy_has_the_same_integers_in_memory_of_its_own(quantized):
    made = copy.deepcopy(quantized)
    assert codes(made) == codes(quantized)
    assert support.storages(made).isdisjoint(support.storages(quantized))


def test_a_state_loads_into_another_network_with_the_same_kind_of_grid(quantized):
    settings = {"scheme": "affine", "bits": 4, "group_size": quantized.conv2.group_size or 8}
    by_ndim = {True: "per group", False: "per channel"}
    is_group = quantized.conv2.group_size is not None
    granularity = "per tensor" if quantized.conv2.scale.ndim == 0 else by_ndim[is_group]
    other = quantize_weights(support.tiny_all(seed=1), granularity=granularity, **settings)
    assert codes(other) != codes(quantized)
    other.load_state_dict(quantized.state_dict())
    assert codes(other) == codes(quantized)
    assert support.bits(other) == support.bits(quantized)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_another_number_type_changes_no_integer(quantized, kind):
    before = codes(quantized)
    changed = copy.deepcopy(quantized).to(kind)
    assert codes(changed) == before
    assert changed.conv2.zero_point.dtype == torch.int32


def test_what_is_printed_says_how_many_bits_and_scales():
    layer = quantize_weights(nn.Linear(3, 2), bits=1)
    text = "QuantizedLinear(in_features=3, out_features=2, bias=True, weights of 1 bit, symmetric, scale(2, 1))"
    assert repr(layer) == text


def test_floats_again_have_the_same_numbers_and_know_no_grid(quantized, data):
    floats = as_floats(quantized)
    assert quantized_layers(floats) == {}
    assert set(floats.state_dict()) == set(support.tiny_all().state_dict())
    assert vars(floats.conv2).keys() == vars(support.tiny_all().conv2).keys()
    assert torch.equal(floats(data.test.images), quantized(data.test.images))
    assert support.storages(floats).isdisjoint(support.storages(quantized))
    assert codes(quantized)
    fine_tune(floats, data=data, epochs=1)


# The grid


def test_a_layer_is_put_on_a_grid_only_with_weights_that_lie_on_it():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[0.5, -1.0]])
    scale, zero_point = torch.tensor(0.5), torch.tensor(1, dtype=torch.int32)
    made = put_on_grid(copy.deepcopy(layer), scale, zero_point, bits=3, is_symmetric=False)
    assert made.integers().tolist() == [[2, -1]]
    assert torch.equal(dequantize(made.integers(), scale, zero_point), layer.weight)
    with pytest.raises(ValueError, match=r"^a weight of this QuantizedLinear has left its grid of 3 bits"):
        put_on_grid(layer, torch.tensor(0.4), zero_point, bits=3, is_symmetric=False)


def test_only_plain_layers_are_put_on_a_grid():
    layer = quantize_weights(nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"plain nn\.Linear or nn\.Conv2d, not QuantizedLinear"):
        put_on_grid(layer, layer.scale, layer.zero_point, bits=8, is_symmetric=True)


@pytest.mark.parametrize("value", [0.4, float("nan")])
def test_weights_that_left_the_grid_have_no_integers(value):
    layer = quantize_weights(nn.Linear(2, 2), bits=2)
    assert isinstance(layer, QuantizedLinear)
    layer.weight.data[0, 0] = value * float(layer.scale[0])
    with pytest.raises(ValueError, match="quantize the float network again"):
        layer.integers()


def test_a_grid_has_a_zero_unless_it_is_symmetric_and_of_one_bit():
    made = {
        (b, s): quantize_weights(nn.Linear(2, 2), bits=b, scheme=s) for b in (1, 2) for s in ("symmetric", "affine")
    }
    assert [key for key, layer in made.items() if not layer.has_zero] == [(1, "symmetric")]


# What would move its weights


@pytest.mark.parametrize("technique", [fine_tune, prune_gradually])
def test_training_is_refused_and_the_order_that_works_is_named(technique, quantized, data):
    with pytest.raises(
        ValueError, match=r"^layer 'attention\.q' has .* training would move them off it: train first, a"
    ):
        technique(quantized, data=data)


def test_a_ticket_is_refused_for_its_fresh_weights(quantized, data):
    with pytest.raises(ValueError, match=r"^layer 'attention\.q' has .* new ones would not lie on it"):
        train_ticket(quantized, data=data)


@pytest.mark.parametrize("rules", ["efflab", "torch-pruning"])
@pytest.mark.parametrize("technique", [prune_filters, prune_neurons])
def test_cutting_its_channels_is_refused_and_the_order_that_works_is_named(technique, rules, data):
    quantized = quantize_weights(support.tiny_both())
    with pytest.raises(ValueError, match=r"^layer 'conv1' has .* code belongs to .* remove those first, and quant"):
        technique(quantized, data=data, rules=rules)


def test_cutting_its_heads_and_neurons_is_refused_too(quantized, data):
    with pytest.raises(ValueError, match=r"^layer 'attention\.q' has .* remove those first"):
        prune_heads(quantized, data=data)
    mlp = quantize_weights(support.tiny_mlp())
    for act in (zero_neurons, remove_neurons):
        with pytest.raises(ValueError, match=r"^layer 'hidden1' has .* remove those first"):
            act(mlp)


def test_a_grid_without_a_zero_refuses_to_be_pruned_where_weights_would_go():
    quantized = quantize_weights(support.tiny_mlp(), bits={"hidden1": 1})
    assert support.count_zeros(prune_weights(quantized, sparsity={"output": 0.5})) == 12
    with pytest.raises(ValueError, match=r"^layer 'hidden1' has .* no zero: prune first"):
        prune_weights(quantized, sparsity={"hidden1": 0.1})


def test_narrowing_it_is_refused():
    quantized = quantize_weights(support.tiny_mlp())
    with pytest.raises(ValueError, match=r"^layer 'hidden1' has .* which belongs to the width"):
        models.narrow(quantized, {"hidden1": {"out": 3, "in": 64}})


def test_a_checkpoint_takes_its_floats_and_refuses_its_grid(tmp_path):
    quantized = quantize_weights(support.tiny_mlp(), bits=3)
    about = Card(quantized.architecture, "tiny", 0, 1, (0.5, 0.4, 0.6), (0.5, 0.4, 0.6))
    for write in (
        lambda model: models.save(model, tmp_path / "one", about),
        lambda m: models.save_weights(m, tmp_path),
    ):
        with pytest.raises(CheckpointError, match=r"^layer 'hidden1' has .* a checkpoint says nothing of that"):
            write(quantized)
    loaded = models.load(models.save(as_floats(quantized), tmp_path / "one", about))
    assert support.bits(loaded) == support.bits(as_floats(quantized))
