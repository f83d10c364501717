"""Sizes: every computed number of bytes is that of an encoding that was really made."""

import numpy as np
import pytest
import support
import torch
from scipy import sparse
from torch import nn

from efflab.measure import compute_size
from efflab.measure.size import bitmask_bytes, csr_bytes, packed_bytes
from efflab.prune import prune_weights

SPARSITIES = (0.0, 0.02, 0.1, 0.5, 0.8, 0.9, 0.99, 1.0)


def with_zeros(rows: int, columns: int, sparsity: float, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    matrix = generator.uniform(1, 2, rows * columns).astype(np.float32)
    matrix[generator.permutation(matrix.size)[: round(sparsity * matrix.size)]] = 0
    return matrix.reshape(rows, columns)


def layer(matrix: np.ndarray) -> nn.Module:
    made = nn.Module()
    made.weight = nn.Parameter(torch.from_numpy(matrix))
    return made


def encode_bitmask(matrix: np.ndarray) -> bytes:
    return np.packbits(matrix != 0).tobytes() + matrix[matrix != 0].tobytes()


def encode_csr(matrix: np.ndarray) -> bytes:
    encoded = sparse.csr_matrix(matrix)
    width = np.uint16 if matrix.shape[1] <= 2**16 else np.uint32
    columns = encoded.indices.astype(width)
    assert np.array_equal(columns, encoded.indices)
    return encoded.data.tobytes() + columns.tobytes() + encoded.indptr.astype(np.uint32).tobytes()


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("shape", [(7, 9), (1, 1), (64, 100), (300, 3), (3, 2000)])
def test_a_bitmask_takes_the_bytes_of_one_that_was_made(shape, sparsity):
    matrix = with_zeros(*shape, sparsity)
    assert bitmask_bytes(matrix.size, np.count_nonzero(matrix)) == len(encode_bitmask(matrix))


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("shape", [(7, 9), (1, 1), (64, 100), (300, 3), (2, 65_535), (2, 65_536), (2, 65_537)])
def test_compressed_rows_take_the_bytes_of_those_that_scipy_makes(shape, sparsity):
    matrix = with_zeros(*shape, sparsity)
    assert csr_bytes(*shape, np.count_nonzero(matrix)) == len(encode_csr(matrix))


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("shape", [(7, 9), (1, 1), (64, 100), (300, 3), (3, 2000)])
def test_the_smallest_encoding_is_chosen_and_named(shape, sparsity):
    matrix = with_zeros(*shape, sparsity)
    (tensor,) = compute_size(layer(matrix)).tensors
    made = {"dense": matrix.tobytes(), "bitmask": encode_bitmask(matrix), "csr": encode_csr(matrix)}
    assert tensor.packed_bytes == min(len(content) for content in made.values())
    assert len(made[tensor.encoding]) == tensor.packed_bytes


def test_each_encoding_is_the_best_somewhere():
    encodings = [compute_size(layer(with_zeros(64, 100, s))).tensors[0].encoding for s in (0.0, 0.5, 0.99)]
    assert encodings == ["dense", "bitmask", "csr"]


@pytest.mark.parametrize("network", [support.tiny_cnn, support.tiny_mlp])
def test_dense_bytes_are_those_of_all_floating_point_tensors(network):
    model = network()
    expected = sum(
        len(tensor.numpy().tobytes()) for tensor in model.state_dict().values() if tensor.is_floating_point()
    )
    assert compute_size(model).dense_bytes == expected


@pytest.mark.parametrize("sparsity", [0.0, 0.6, 0.95, 1.0])
def test_a_pruned_network_takes_the_bytes_of_its_encoded_tensors(sparsity):
    model = prune_weights(support.tiny_cnn(), sparsity=sparsity)
    total = 0
    for tensor in model.state_dict().values():
        if not tensor.is_floating_point():
            continue
        values = tensor.contiguous().numpy()
        encoded = [values.tobytes()]
        if tensor.ndim > 1:
            matrix = values.reshape(len(values), -1)
            encoded += [encode_bitmask(matrix), encode_csr(matrix)]
        total += min(map(len, encoded))
    assert compute_size(model).packed_bytes == total


def test_parameters_and_non_zeros_are_those_of_the_parameters():
    model = prune_weights(support.tiny_cnn(), sparsity=0.75)
    size = compute_size(model)
    assert size.n_parameters == sum(parameter.numel() for parameter in model.parameters())
    assert size.n_nonzero == sum(np.count_nonzero(parameter.detach()) for parameter in model.parameters())
    assert size.n_nonzero < size.n_parameters


def test_running_means_take_bytes_and_are_no_parameters():
    norm = nn.BatchNorm2d(5)
    size = compute_size(norm)
    assert size.n_parameters == 10
    assert size.n_nonzero == 5  # the weights are ones, the biases zeros
    assert size.dense_bytes == size.packed_bytes == 4 * 5 * 4
    assert [tensor.name for tensor in size.tensors] == ["weight", "bias", "running_mean", "running_var"]


def test_a_shared_weight_is_stored_once():
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    assert compute_size(nn.Sequential(first, second)).dense_bytes == 64


def test_a_kernel_is_encoded_with_a_row_for_each_channel():
    kernel = nn.Conv2d(3, 8, 5, bias=False)
    kernel.weight.data.zero_()
    kernel.weight.data[2, 1, 0, 0] = 1
    (tensor,) = compute_size(kernel).tensors
    assert tensor.packed_bytes == len(encode_csr(kernel.weight.detach().numpy().reshape(8, 75))) == 42
    assert tensor.encoding == "csr"


def test_a_bias_is_never_packed():
    model = nn.Linear(2, 100)
    model.bias.data.zero_()
    bias = compute_size(model).tensors[1]
    assert (bias.packed_bytes, bias.encoding, bias.sparsity) == (400, "dense", 1.0)


def test_the_sparsity_of_a_tensor_is_its_fraction_of_zeros():
    (tensor,) = compute_size(layer(with_zeros(10, 10, 0.37))).tensors
    assert tensor.sparsity == pytest.approx(0.37)
    assert (tensor.n, tensor.n_nonzero) == (100, 63)


def test_a_zero_with_a_sign_is_a_zero():
    (tensor,) = compute_size(layer(np.full((4, 4), -0.0, dtype=np.float32))).tensors
    assert tensor.n_nonzero == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e-45, -1e-38])
def test_what_is_no_zero_counts_however_small_or_strange(value):
    matrix = np.zeros((3, 4), dtype=np.float32)
    matrix[1, 2] = value
    (tensor,) = compute_size(layer(matrix)).tensors
    assert tensor.n_nonzero == np.count_nonzero(matrix) == 1


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_a_layer_without_a_single_number_takes_nothing(shape):
    (tensor,) = compute_size(layer(np.empty(shape, dtype=np.float32))).tensors
    assert (tensor.n, tensor.dense_bytes, tensor.packed_bytes, tensor.sparsity) == (0, 0, 0, 0.0)


def test_a_model_without_parameters_has_no_size():
    size = compute_size(nn.ReLU())
    assert (size.tensors, size.n_parameters, size.dense_bytes, size.packed_bytes) == ((), 0, 0, 0)


def test_half_precision_takes_half_the_dense_bytes():
    model = support.tiny_mlp()
    whole = compute_size(model).dense_bytes
    assert compute_size(model.half()).dense_bytes == whole / 2


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_a_matrix_packs_into_what_the_size_of_its_layer_says(sparsity):
    (tensor,) = compute_size(layer(with_zeros(50, 70, sparsity))).tensors
    assert packed_bytes(50, 70, tensor.n_nonzero) == tensor.packed_bytes
