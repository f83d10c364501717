"""Sparse layers: the answers of the dense ones, fewer bytes, and the input model as it was."""

import copy
from pathlib import Path

import pytest
import torch
from support import bits, storages
from torch import Tensor, nn

from efflab.measure import compute_size
from efflab.runtime import ExportError, SparseLinear, export, sparsify, stored_bytes
from efflab.runtime.kernels import random_weight


def linear(rows: int = 8, columns: int = 16, *, bias: bool = True, block: int = 1, sparsity: float = 0.75) -> nn.Linear:
    layer = nn.Linear(columns, rows, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(random_weight(rows, columns, sparsity=sparsity, block=block))
    return layer


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), linear(12, 16), nn.ReLU(), linear(3, 12))


def images(n: int) -> Tensor:
    return torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 16), (5, 16), (0, 16), (16,), (2, 3, 16)], ids=str)
@pytest.mark.parametrize(("layout", "block"), [("csr", 4), ("bsr", 1), ("bsr", 2), ("bsr", 4)])
def test_a_sparse_layer_answers_like_the_dense_one(layout: str, block: int, shape: tuple[int, ...], bias: bool) -> None:
    dense = linear(bias=bias, block=2)
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))

    sparse = sparsify(dense, layout, block=block)

    assert isinstance(sparse, SparseLinear)
    torch.testing.assert_close(sparse(inputs), dense(inputs).detach())
    assert sparse(inputs).is_contiguous()


def test_weights_of_float64_stay_so() -> None:
    dense = linear().double()
    inputs = torch.randn(3, 16, dtype=torch.float64)

    torch.testing.assert_close(sparsify(dense)(inputs), dense(inputs).detach())


@pytest.mark.parametrize("layout", ["csr", "bsr"])
def test_all_linear_layers_are_replaced_and_nothing_else(layout: str) -> None:
    dense = network()

    sparse = sparsify(dense, layout, block=1)

    assert [type(layer) for layer in sparse] == [nn.Conv2d, nn.Flatten, SparseLinear, nn.ReLU, SparseLinear]
    torch.testing.assert_close(sparse(images(3)), dense(images(3)).detach())


def test_only_the_layers_that_are_named_are_replaced() -> None:
    sparse = sparsify(network(), "bsr", block=4, layers=["2"])

    assert [type(sparse[2]), type(sparse[4])] == [SparseLinear, nn.Linear]


def test_the_input_model_is_untouched_and_shares_nothing() -> None:
    dense = network().train()
    before = bits(dense)

    sparse = sparsify(dense, layers=["2"])
    with torch.no_grad():
        sparse[2].weight.values().zero_()
        sparse[2].bias.zero_()
        sparse[0].weight.zero_()

    assert bits(dense) == before
    assert dense[2].training
    assert type(dense[2]) is nn.Linear
    assert storages(dense).isdisjoint(storages(nn.Sequential(sparse[0], sparse[4])))


def test_a_layer_that_is_used_twice_stays_one_layer() -> None:
    shared = linear(16, 16)

    sparse = sparsify(nn.Sequential(shared, nn.ReLU(), shared))

    assert sparse[0] is sparse[2]
    assert isinstance(sparse[0], SparseLinear)


def test_a_sparse_model_can_be_copied_and_the_copy_is_its_own() -> None:
    sparse = sparsify(network()).eval()
    before = sparse(images(2))

    copied = copy.deepcopy(sparse)
    copied[2].weight.values().zero_()

    assert not copied[2].training
    assert torch.equal(sparse(images(2)), before)
    assert not torch.equal(copied(images(2)), before)


def test_a_sparse_model_is_saved_in_its_state() -> None:
    sparse, other = sparsify(linear()), sparsify(linear())
    with torch.no_grad():
        other.weight.values().zero_()
        other.bias.zero_()

    other.load_state_dict(sparse.state_dict())

    assert torch.equal(other(torch.ones(1, 16)), sparse(torch.ones(1, 16)))


def test_a_model_made_in_inference_mode_can_be_made_sparse() -> None:
    with torch.inference_mode():
        dense = linear()
        sparse = sparsify(dense)

    assert not sparse.weight.is_inference()
    assert not sparse.bias.is_inference()
    torch.testing.assert_close(sparse(torch.ones(2, 16)), dense(torch.ones(2, 16)))


def test_bytes_are_those_of_numbers_and_positions() -> None:
    """32 of 8x16 weights stay. CSR: 32 columns and 9 row starts; 2x2 blocks: 8 columns and 5 starts; and 8 biases."""
    dense = linear(block=2)

    assert stored_bytes(dense) == 4 * (128 + 8)
    assert stored_bytes(sparsify(dense, "csr")) == 4 * (32 + 32 + 9 + 8)
    assert stored_bytes(sparsify(dense, "bsr", block=2)) == 4 * (32 + 8 + 5 + 8)


def test_a_layer_without_zeros_takes_more_bytes_than_the_dense_one() -> None:
    assert stored_bytes(sparsify(linear(sparsity=0.0))) > 1.9 * stored_bytes(linear())


def test_printing_the_model_says_what_is_stored() -> None:
    assert str(sparsify(linear())) == (
        "SparseLinear(in_features=16, out_features=8, layout=csr, 32 of 128 weights stored)"
    )


# What cannot be made sparse


@pytest.mark.parametrize("layout", ["dense", "csc", ""])
def test_an_unknown_layout_is_refused(layout: str) -> None:
    with pytest.raises(ValueError, match=f"layout must be 'csr' or 'bsr', not '{layout}'"):
        sparsify(linear(), layout)


@pytest.mark.parametrize("block", [0, -4, 1.5])
def test_a_block_that_is_no_number_of_rows_is_refused(block: float) -> None:
    with pytest.raises(ValueError, match=f"block must be a whole number from 1 up, not {block}"):
        sparsify(linear(), "bsr", block=block)


def test_a_shape_that_cannot_be_cut_into_blocks_names_layer_and_way_out() -> None:
    sentence = (
        r"layer '4' has a weight of shape \(3, 12\), which cannot be cut into blocks of 4x4; "
        r"choose a block that divides both sides, or replace only those that fit: layers=\['2'\]"
    )
    with pytest.raises(ValueError, match=sentence):
        sparsify(network(), "bsr", block=4)


def test_where_nothing_fits_no_way_out_is_offered() -> None:
    with pytest.raises(ValueError, match=r"layer 'model' has .* \(3, 12\), .* blocks of 4x4; .* both sides$"):
        sparsify(linear(3, 12), "bsr", block=4)


def test_a_block_does_not_matter_for_csr() -> None:
    assert isinstance(sparsify(linear(3, 5), "csr", block=4), SparseLinear)


def test_a_model_of_convolutions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Sequential has no plain nn\.Linear layer, .* a convolution stays dense"):
        sparsify(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()))


@pytest.mark.parametrize(("name", "what"), [("0", "a Conv2d"), ("head", "no layer of the model")])
def test_a_name_that_leads_to_no_linear_layer_is_refused(name: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"layers names '{name}', which is {what}; those that can be sparse: 2, 4"):
        sparsify(network(), layers=[name])


def test_the_output_of_attention_is_left_alone() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    model = nn.ModuleDict({"attention": attention, "output": linear(4, 8)})

    sparse = sparsify(model)

    tokens = torch.randn(1, 3, 8)
    torch.testing.assert_close(sparse["attention"](tokens, tokens, tokens), attention(tokens, tokens, tokens))
    assert type(sparse["attention"].out_proj) is type(attention.out_proj)
    assert isinstance(sparse["output"], SparseLinear)


def test_half_precision_is_refused() -> None:
    with pytest.raises(ValueError, match=r"layer '2' has torch\.bfloat16 weights, .* use model\.float\(\)"):
        sparsify(network().bfloat16())


@pytest.mark.parametrize("layout", ["csr", "bsr"])
def test_a_sparse_model_is_not_exported_and_the_error_says_what_to_export(layout: str, tmp_path: Path) -> None:
    sparse = sparsify(network(), layout, block=1)
    with pytest.raises(ExportError, match=r"sparse layers.*export the dense model"):
        export(sparse, (1, 4, 4), tmp_path, "sparse")


@pytest.mark.parametrize("layout", ["csr", "bsr"])
def test_the_size_of_a_sparse_model_counts_the_non_zeros_of_the_dense_one(layout: str) -> None:
    dense = network()
    assert compute_size(sparsify(dense, layout, block=1)).n_nonzero == compute_size(dense).n_nonzero
