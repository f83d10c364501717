"""Weights in blocks: integers of 4 or 8 bits and a scale for each block, as ONNX Runtime's MatMulNBits reads them.

    weight (out, in)    integers (out, blocks, bytes of a block), uint8, of 4 bits two in a byte, the first one low
                        scales (out * blocks,)
                        zero points (out * bytes of a row of blocks), packed like the integers, for affine grids

The kernel turns a block into numbers while it multiplies it, so the memory moves 4 bits a weight in place of 32. That
pays off where the memory is the limit: one image, or one token, at a time.

Reference: ONNX Runtime, Contrib operators, com.microsoft.MatMulNBits,
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.

Where we simplify: weights of 2 and 3 bits take 4, those of 5 to 7 take 8. At work:
`onnxruntime.quantization.matmul_nbits_quantizer`, which our tests compare with.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from efflab.runtime.quantized import OnGrid

BITS = (4, 8)
"""Bits for which there is a kernel."""
BLOCKS = (16, 32, 64, 128, 256)
"""Inputs in a block for which there is a kernel."""


@dataclass(frozen=True, eq=False)
class Packed:
    """A weight as the kernel reads it. integers: (out, blocks, bytes); scales: (out * blocks,); zero_points: bytes.

    zero_points is None where all are in the middle, 2 ** (bits - 1), as on a symmetric grid.
    """

    bits: int
    block: int
    integers: Tensor
    scales: Tensor
    zero_points: Tensor | None


def pack(layer: OnGrid) -> Packed:
    """The weight of a linear layer with a scale per group. Its weight: (out, in).

    Raises:
        ValueError: the weight has no scale per group, or groups of another size than a block may have.
    """
    block = layer.group_size
    if block is None or block not in BLOCKS:
        raise ValueError(f"group_size must be one of {', '.join(map(str, BLOCKS))} for weights in blocks, not {block}")
    bits = next(bits for bits in BITS if layer.bits <= bits)
    middle = 2 ** (bits - 1)
    integers, zeros = (one.int() + middle for one in (layer.integers(), layer.zero_point))  # 0 ... 2**bits - 1
    n_out, n_in = integers.shape
    padded = zeros.repeat_interleave(block, dim=1)  # (out, blocks * block): zeros fill up the last block
    padded[:, :n_in] = integers
    rows = packed_bytes(padded.reshape(-1, block), bits).reshape(n_out, -1, block * bits // 8)
    zero_points = None if layer.is_symmetric else packed_bytes(zeros, bits).flatten()
    return Packed(bits, block, rows, layer.scale.float().flatten(), zero_points)


def packed_bytes(integers: Tensor, bits: int) -> Tensor:
    """Integers of 4 bits two in a byte, the first one low; of 8 bits as they are. (rows, n) -> (rows, bytes), uint8.

    Example:
        >>> packed_bytes(torch.tensor([[1, 2, 15]]), bits=4)
        tensor([[33, 15]], dtype=torch.uint8)
    """
    if bits == 8:
        return integers.to(torch.uint8)
    even = F.pad(integers, (0, integers.shape[1] % 2))
    return (even[:, ::2] | even[:, 1::2] << 4).to(torch.uint8)
