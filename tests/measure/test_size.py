"""Sizes: every computed number of bytes is that of an encoding that was really made."""

import numpy as np
import pytest
import support
import torch
from scipy import sparse
from torch import nn

from efflab.measure import compute_size
from efflab.measure.size import bitmask_bytes, csr_bytes, integer_bytes, packed_bytes
from efflab.prune import prune_weights
from efflab.quantize import quantize_weights
from efflab.runtime import quantized_layers

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


# On a grid


def pack(integers: np.ndarray, bits: int) -> bytes:
    """Integers side by side, the last byte filled up."""
    unsigned = (integers.astype(np.int64).ravel() % 2**bits).astype(np.uint8)
    return np.packbits(np.unpackbits(unsigned[:, None], axis=1)[:, 8 - bits :].ravel()).tobytes()


def scales_of(layer: nn.Module) -> bytes:
    zero_points = b"" if layer.is_symmetric else pack(layer.zero_point.numpy(), layer.bits)
    return layer.scale.numpy().astype(np.float32).tobytes() + zero_points


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("granularity", ["per tensor", "per channel", "per group"])
@pytest.mark.parametrize("bits", [8, 5, 3, 1])
def test_a_weight_on_a_grid_takes_the_bytes_of_its_packed_integers_and_scales(bits, granularity, scheme):
    quantized = quantize_weights(support.tiny_all(), bits=bits, granularity=granularity, scheme=scheme, group_size=8)
    sizes = {tensor.name: tensor for tensor in compute_size(quantized).tensors}
    for name, layer in quantized_layers(quantized).items():
        matrix, integers = layer.weight.detach().flatten(1).contiguous().numpy(), layer.integers().numpy()
        kept = (layer.integers() != layer.spread(layer.zero_point)).numpy()
        made = {
            "dense": matrix.tobytes(),
            "bitmask": encode_bitmask(matrix),
            "csr": encode_csr(matrix),
            f"{bits}-bit": pack(integers, bits) + scales_of(layer),
            f"{bits}-bit bitmask": np.packbits(kept).tobytes() + pack(integers[kept], bits) + scales_of(layer),
        }
        size = sizes[f"{name}.weight"]
        assert size.packed_bytes == min(len(content) for content in made.values())
        assert len(made[size.encoding]) == size.packed_bytes


def test_the_bytes_of_a_quantized_layer_are_those_of_the_formula():
    layer = nn.Linear(100, 10, bias=False)
    expected = {
        ("per tensor", "symmetric"): 500 + 4,
        ("per channel", "symmetric"): 500 + 4 * 10,
        ("per channel", "affine"): 500 + 4 * 10 + 5,
        ("per group", "affine"): 500 + 4 * 40 + 20,
    }
    for (granularity, scheme), n_bytes in expected.items():
        (tensor,) = compute_size(quantize_weights(layer, bits=4, granularity=granularity, scheme=scheme)).tensors
        assert (tensor.encoding, tensor.packed_bytes, tensor.dense_bytes) == ("4-bit", n_bytes, 4000)


@pytest.mark.parametrize(("n", "bits", "n_scales", "n_bytes"), [(3, 3, 1, 2 + 4 + 1), (0, 8, 0, 0), (17, 1, 9, 3 + 38)])
def test_integers_and_zero_points_end_with_a_whole_byte(n, bits, n_scales, n_bytes):
    assert integer_bytes(n, bits, n_scales, is_symmetric=False) == n_bytes


def test_a_pruned_and_quantized_layer_leaves_its_zeros_out():
    layer = prune_weights(nn.Linear(100, 10, bias=False), sparsity=0.9)
    (tensor,) = compute_size(quantize_weights(layer, granularity="per tensor")).tensors
    assert (tensor.encoding, tensor.n_nonzero) == ("8-bit bitmask", 100)
    assert tensor.packed_bytes == 125 + 100 + 4


def test_scales_are_counted_once_and_change_no_dense_byte():
    model = support.tiny_all()
    before, after = compute_size(model), compute_size(quantize_weights(model, bits=2))
    assert [tensor.name for tensor in after.tensors] == [tensor.name for tensor in before.tensors]
    assert (after.dense_bytes, after.n_parameters) == (before.dense_bytes, before.n_parameters)
    assert after.packed_bytes < before.packed_bytes


def test_where_scales_are_more_than_they_save_the_floats_are_stored():
    (tensor,) = compute_size(quantize_weights(nn.Linear(1, 9, bias=False))).tensors
    assert (tensor.encoding, tensor.packed_bytes) == ("dense", 36)


def test_weights_that_left_their_grid_have_no_size():
    model = nn.Sequential(quantize_weights(nn.Linear(8, 8), bits=2))
    model[0].weight.data += 0.4 * model[0].scale
    with pytest.raises(
        ValueError, match=r"^'0\.weight' has no size: a weight of this QuantizedLinear has left its grid"
    ):
        compute_size(model)
