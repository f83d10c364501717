"""Layers with a codebook are the layers that they were for whatever runs, counts, copies or writes them."""

import copy

import pytest
import support
import torch
from torch import fx, nn

from efflab import models
from efflab.data import Data
from efflab.measure.work import count_work
from efflab.models import Card, CheckpointError
from efflab.prune import fine_tune, prune_filters, prune_heads, prune_weights, recalibrate, train_ticket, zero_neurons
from efflab.quantize import fold_batch_norms, quantize_weights, share_weights
from efflab.runtime import as_floats, coded_layers, export, export_eager, open_eager, parity, shared_layers, sparsify
from efflab.runtime.shared import SharedConv2d, SharedLinear, SharedValues, put_in_codebook
from efflab.training import train


@pytest.fixture
def data() -> Data:
    return support.tiny_data(n=60)


@pytest.fixture
def shared() -> nn.Module:
    return share_weights(prune_weights(support.tiny_all(), sparsity=0.5), bits=2)


def indices(model: nn.Module) -> dict[str, list[int]]:
    found = {name: layer.indices().flatten().tolist() for name, layer in shared_layers(model).items()}
    assert found
    return found


# As any layer


def test_it_answers_as_a_plain_layer_with_its_weights_does(shared, data):
    plain = support.tiny_all()
    plain.load_state_dict({key: one for key, one in shared.state_dict().items() if key in plain.state_dict()})
    assert torch.equal(shared(data.test.images), plain(data.test.images))


def test_both_files_answer_as_the_model_does(shared, data, tmp_path):
    assert parity(export(shared, data.shape, tmp_path), shared, data.test.images).max_difference < 1e-5
    opened = open_eager(export_eager(shared, data.shape, tmp_path).path)
    assert type(opened.conv2) is nn.Conv2d
    assert torch.equal(opened(data.test.images), shared(data.test.images))


def test_work_is_that_of_the_float_network_and_torch_fx_follows_it(data):
    pruned = prune_weights(support.tiny_both(), sparsity=0.5)
    shared = share_weights(pruned)
    before, after = count_work(pruned, data.shape), count_work(shared, data.shape)
    assert (after.macs, after.macs_nonzero, after.moved_bytes) == (before.macs, before.macs_nonzero, before.moved_bytes)
    assert torch.equal(fx.symbolic_trace(shared)(data.test.images), shared(data.test.images))


def test_its_zeros_can_be_left_out_of_a_sparse_layer(data):
    shared = share_weights(prune_weights(support.tiny_mlp(), sparsity=0.9))
    sparse = sparsify(shared)
    assert sparse.hidden1.weight.values().numel() == int(shared.hidden1.weight.count_nonzero())
    torch.testing.assert_close(sparse(data.test.images), shared(data.test.images))


# Copies


def test_a_copy_has_the_same_indices_in_memory_of_its_own(shared):
    made = copy.deepcopy(shared)
    assert indices(made) == indices(shared)
    assert support.storages(made).isdisjoint(support.storages(shared))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_another_number_type_changes_no_index(shared, kind):
    before = indices(shared)
    assert indices(copy.deepcopy(shared).to(kind)) == before


def test_what_is_printed_says_how_many_values():
    layer = share_weights(nn.Linear(3, 2), bits=1)
    assert repr(layer) == "SharedLinear(in_features=3, out_features=2, bias=True, weights of 2 values)"


def test_floats_again_have_the_same_numbers_and_know_no_codebook(shared, data):
    floats = as_floats(shared)
    assert coded_layers(floats) == {}
    assert vars(floats.conv2).keys() == vars(support.tiny_all().conv2).keys()
    assert torch.equal(floats(data.test.images), shared(data.test.images))
    assert indices(shared)
    fine_tune(floats, data=data, epochs=1)


def test_each_code_of_a_network_with_both_is_taken_off():
    both = share_weights(quantize_weights(support.tiny_mlp(), bits={"hidden1": 4}), bits={"output": 2})
    assert list(coded_layers(both)) == ["hidden1", "output"]
    floats = as_floats(both)
    assert [type(layer) for layer in (floats.hidden1, floats.output)] == [nn.Linear, nn.Linear]


# The codebook


def test_indices_lead_back_to_the_weights_and_minus_one_is_what_was_removed():
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.tensor([[0.5, 0.0, -2.0, 0.5]])
    made = put_in_codebook(layer, torch.tensor([0.5, 3.0, -2.0]))
    assert isinstance(made, SharedLinear)
    assert made.indices().tolist() == [[0, -1, 2, 0]]
    assert torch.equal(made.look_up(made.indices()), layer.weight)


@pytest.mark.parametrize(("n", "bits"), [(0, 0), (1, 0), (2, 1), (3, 2), (16, 4), (17, 5)])
def test_an_index_has_as_many_bits_as_the_values_need(n, bits):
    layer = nn.Linear(max(n, 1), 1, bias=False)
    layer.weight.data = torch.arange(1.0, n + 1)[None] if n else torch.zeros(1, 1)
    assert put_in_codebook(layer, torch.arange(1.0, n + 1)).bits == bits


def test_a_weight_that_is_no_value_has_no_index():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[0.5, 0.25]])
    with pytest.raises(ValueError, match=r"^a weight of this SharedLinear is none of the 2 values of its codebook"):
        put_in_codebook(copy.deepcopy(layer), torch.tensor([0.5, 1.0]))
    shared = share_weights(layer)
    shared.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="share the weights of the float network again"):
        shared.indices()


def test_only_plain_layers_get_a_codebook_and_zero_is_never_in_it():
    with pytest.raises(TypeError, match=r"plain nn\.Linear or nn\.Conv2d, not SharedConv2d"):
        put_in_codebook(share_weights(nn.Conv2d(1, 1, 1)), torch.ones(1))
    with pytest.raises(ValueError, match=r"^codebook must not hold 0"):
        put_in_codebook(nn.Linear(2, 2), torch.tensor([0.0, 1.0]))


def test_pruning_it_leaves_a_codebook_and_more_removed(shared):
    pruned = prune_weights(shared, sparsity=0.8)
    assert support.count_zeros(pruned) == round(0.8 * support.count_weights(shared))
    removed = sum(one.count(-1) for one in indices(pruned).values())
    assert removed == support.count_zeros(pruned)


def test_fresh_batch_norms_move_no_shared_weight(shared, data):
    assert indices(recalibrate(shared, data=data)) == indices(shared)


# What is trained


def test_the_gradient_of_a_value_is_the_sum_of_those_of_its_weights():
    layer = nn.Linear(3, 2, bias=False)
    layer.weight.data = torch.tensor([[0.5, -1.0, 0.0], [0.5, 0.5, -1.0]])
    trained = SharedValues(put_in_codebook(layer, torch.tensor([-1.0, 0.5])))
    layer.weight.grad = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    trained.gather()
    assert trained.values.grad.tolist() == [2.0 + 32.0, 1.0 + 8.0 + 16.0]  # the 4 is of a weight that was removed
    assert layer.weight.grad is None


def test_it_is_the_gradient_that_autograd_gives_the_codebook(data):
    model = share_weights(prune_weights(support.tiny_mlp(), sparsity=0.3), bits=3)
    trained = {name: SharedValues(layer) for name, layer in shared_layers(model).items()}
    data.task.loss(model(data.train.images), data.train.labels).backward()
    codebooks = {name: layer.codebook.clone().requires_grad_() for name, layer in shared_layers(model).items()}
    weights = {
        f"{name}.weight": torch.where(one.indices < 0, 0.0, codebooks[name][one.indices.clamp(min=0)])
        for name, one in trained.items()
    }
    scores = torch.func.functional_call(model, weights, (data.train.images,))
    data.task.loss(scores, data.train.labels).backward()
    for name, one in trained.items():
        one.gather()
        torch.testing.assert_close(one.values.grad, codebooks[name].grad)


def test_a_training_that_keeps_codebooks_moves_values_and_no_index(shared, data):
    before, codebook = indices(shared), shared.conv2.codebook.clone()
    for _ in train(shared, data, epochs=2, learning_rate=0.001, keep_zeros=True, keep_codes=True):
        assert indices(shared) == before
    assert not torch.equal(shared.conv2.codebook, codebook)


# What would move its weights


def test_training_is_refused_and_the_order_that_works_is_named(shared, data):
    with pytest.raises(
        ValueError,
        match=r"^layer 'attention\.q' has its weights in a codebook of 4 values, and training would .*and share what c",
    ):
        fine_tune(shared, data=data)


def test_fresh_weights_and_folding_are_refused(shared, data):
    with pytest.raises(ValueError, match=r"new ones would not lie on it"):
        train_ticket(shared, data=data)
    with pytest.raises(ValueError, match=r"fold first, and share what comes out"):
        fold_batch_norms(shared, data=data)


def test_cutting_it_is_refused(shared, data):
    with pytest.raises(ValueError, match=r"remove those first, and share what is left"):
        prune_heads(shared, data=data)
    with pytest.raises(ValueError, match=r"remove those first, and share what is left"):
        prune_filters(share_weights(support.tiny_cnn()), data=data)
    mlp = share_weights(support.tiny_mlp())
    with pytest.raises(ValueError, match=r"remove those first, and share what is left"):
        zero_neurons(mlp)
    with pytest.raises(ValueError, match=r"codebook of 16 values, which belongs to the width .* and share what is"):
        models.narrow(mlp, {"hidden1": {"out": 3, "in": 64}})


@pytest.mark.parametrize("again", [quantize_weights, share_weights])
def test_another_code_is_refused(again, shared):
    with pytest.raises(ValueError, match=r"^layer 'attention\.q' has its weights in a codebook of 4 values already"):
        again(shared)
    grid = quantize_weights(support.tiny_mlp(), bits=3)
    with pytest.raises(ValueError, match=r"^layer 'hidden1' has its weights on a grid of 3 bits already"):
        again(grid, bits={"hidden1": 2})


def test_a_checkpoint_takes_its_floats_and_refuses_its_codebook(tmp_path):
    shared = share_weights(support.tiny_mlp(), bits=3)
    about = Card(shared.architecture, "tiny", 0, 1, (0.5, 0.4, 0.6), (0.5, 0.4, 0.6))
    with pytest.raises(CheckpointError, match=r"a checkpoint says nothing of that: save it before you share it"):
        models.save(shared, tmp_path / "one", about)
    loaded = models.load(models.save(as_floats(shared), tmp_path / "one", about))
    assert support.bits(loaded) == support.bits(as_floats(shared))


def test_a_convolution_stays_a_convolution(shared):
    assert isinstance(shared.conv1, SharedConv2d)
    assert isinstance(shared.conv1, nn.Conv2d)
