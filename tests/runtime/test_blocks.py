"""Weights in blocks are packed as by ONNX Runtime's own quantizer, and come back as the weights that they were."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from efflab.quantize import quantize_weights
from efflab.runtime.blocks import BLOCKS, pack, packed_bytes
from efflab.runtime.quantized import OnGrid, put_on_grid
from efflab.runtime.session import load


def linear(n_in: int, n_out: int, seed: int = 0) -> nn.Linear:
    layer = nn.Linear(n_in, n_out, bias=False)
    layer.weight.data = torch.randn(n_out, n_in, generator=torch.Generator().manual_seed(seed))
    return layer


def in_groups(layer: nn.Linear, bits: int, group_size: int, scheme: str = "affine") -> OnGrid:
    return quantize_weights(layer, bits=bits, granularity="per group", group_size=group_size, scheme=scheme)


def theirs(weight: Tensor, bits: int, block: int, *, is_symmetric: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What ONNX Runtime's quantizer makes of a weight: integers, scales and zero points, packed."""
    load()
    from onnxruntime.quantization import matmul_nbits_quantizer as quantizer

    config = quantizer.DefaultWeightOnlyQuantConfig(block_size=block, is_symmetric=is_symmetric, bits=bits)
    return quantizer.DefaultWeightOnlyQuantizer(config).qbits_block_quant(np.ascontiguousarray(weight.numpy().T))


def unpacked(bytes_: Tensor, bits: int) -> Tensor:
    """Integers from bytes. (rows, bytes) -> (rows, n)."""
    return bytes_.int() if bits == 8 else torch.stack([bytes_ & 15, bytes_ >> 4], dim=-1).flatten(1).int()


@pytest.mark.parametrize("n_in", [64, 48, 33])
@pytest.mark.parametrize("block", BLOCKS[:3])
def test_affine_blocks_of_4_bits_are_packed_as_by_onnx_runtime(block, n_in):
    layer = linear(n_in, 5)
    packed = pack(in_groups(layer, 4, block))
    integers, scales, zero_points = theirs(layer.weight.detach(), 4, block, is_symmetric=False)
    torch.testing.assert_close(packed.scales, torch.from_numpy(scales).flatten(), rtol=1e-6, atol=0)
    n_blocks = -(-n_in // block)
    ours, others = (
        unpacked(one.reshape(5, -1), 4)[:, :n_blocks] for one in (packed.zero_points, torch.from_numpy(zero_points))
    )
    assert ours.tolist() == others.tolist()
    ours, others = (unpacked(one.flatten(1), 4) for one in (packed.integers, torch.from_numpy(integers)))
    apart = (ours - others).abs()[:, :n_in]  # what fills up the last block is read by no kernel
    assert int(apart.max()) <= 1  # halves: they round up, we to the even integer
    assert float((apart == 0).float().mean()) > 0.99


@pytest.mark.parametrize("bits", [4, 8])
def test_symmetric_blocks_on_their_grid_are_packed_byte_for_byte_as_by_onnx_runtime(bits):
    half = 2 ** (bits - 1)
    integers = torch.randint(-half, half, (6, 64), generator=torch.Generator().manual_seed(0))
    integers[:, ::32] = -half  # the end from which they take the scale
    scale = torch.tensor([[0.5, 0.25]]).expand(6, 2).contiguous()
    layer = nn.Linear(64, 6, bias=False)
    layer.weight.data = integers * scale.repeat_interleave(32, dim=1)
    zero = torch.zeros(6, 2, dtype=torch.int32)
    packed = pack(put_on_grid(layer, scale, zero, bits=bits, is_symmetric=True, group_size=32))
    found, scales, _ = theirs(layer.weight.detach(), bits, 32, is_symmetric=True)
    assert packed.zero_points is None
    assert packed.scales.tolist() == scales.flatten().tolist()
    assert packed.integers.tolist() == found.tolist()


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("n_in", [64, 40, 16])
@pytest.mark.parametrize("bits", [8, 6, 4, 3, 2])
def test_the_bytes_stand_for_exactly_our_weights(bits, n_in, scheme):
    layer = in_groups(linear(n_in, 3), bits, 16, scheme)
    packed = pack(layer)
    n_out, n_blocks, _ = packed.integers.shape
    integers = unpacked(packed.integers.reshape(n_out * n_blocks, -1), packed.bits).reshape(n_out, n_blocks, 16)
    if packed.zero_points is None:
        zero_points = torch.full((n_out, n_blocks), 2 ** (packed.bits - 1))
    else:
        zero_points = unpacked(packed.zero_points.reshape(n_out, -1), packed.bits)[:, :n_blocks]
    weight = (integers - zero_points[..., None]) * packed.scales.reshape(n_out, n_blocks, 1)
    assert torch.equal(weight.flatten(1)[:, :n_in], layer.weight.detach())
    assert not bool(weight.flatten(1)[:, n_in:].any())  # what fills up the last block stands for zeros


def test_an_odd_number_of_integers_leaves_half_a_byte():
    assert packed_bytes(torch.tensor([[1, 2, 3]]), 4).tolist() == [[0x21, 0x03]]
    assert packed_bytes(torch.tensor([[1, 2, 3]]), 8).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("layer", [in_groups(linear(16, 2), 4, 8), quantize_weights(linear(16, 2))])
def test_blocks_for_which_there_is_no_kernel_are_refused(layer):
    with pytest.raises(ValueError, match=rf"^group_size must be one of 16, 32, .*, not {layer.group_size}$"):
        pack(layer)
