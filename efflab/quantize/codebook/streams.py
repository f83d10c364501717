"""One weight as Deep Compression stores it: its codebook, an index for each weight that is left, and gaps between them.

Indices and gaps are Huffman codes, whose lengths are stored before them. A weight that was not pruned has no gaps.

    part       holds                                   bytes
    codebook   the shared values, as they are          4 k
    indices    which value each weight has             entropy of the values, a little more
    gaps       zeros before each weight                the bits of a gap are those that take the fewest bytes
    tables     lengths of both codes, 6 bits each      6 / 8 of the symbols

Reference: Han et al., Deep Compression, 2016, arXiv 1510.00149, sections 2 to 4.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from efflab.quantize.codebook.huffman import Integers, code_lengths, decode, encode
from efflab.runtime.gaps import GAP_BITS, cut_up, packed_gap_bytes, places_of, zeros_before
from efflab.runtime.shared import Shared

LENGTH_BITS = 6
"""Bits of a length in a table: no code is longer than 57."""


@dataclass(frozen=True)
class Stream:
    """Symbols in Huffman's code: how many, how many lengths the table has, the table and the codes."""

    n: int
    n_lengths: int
    table: bytes
    content: bytes

    @property
    def n_bytes(self) -> int:
        """Bytes of table and codes."""
        return len(self.table) + len(self.content)


@dataclass(frozen=True)
class EncodedWeight:
    """A weight: its name and shape, the codebook, the indices, and the gaps, each of `gap_bits` before Huffman's code.

    `plain_index_bytes` and `plain_gap_bytes` are what indices and gaps would take without it, packed bit by bit; gaps
    with the bits that would be fewest then.
    """

    name: str
    shape: tuple[int, ...]
    codebook: Tensor
    indices: Stream
    gap_bits: int
    gaps: Stream
    plain_index_bytes: int
    plain_gap_bytes: int

    @property
    def n(self) -> int:
        """Weights, zeros included."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes in the file."""
        return self.codebook_bytes + self.indices.n_bytes + self.gaps.n_bytes

    @property
    def codebook_bytes(self) -> int:
        """Bytes of the shared values."""
        return self.codebook.numel() * self.codebook.element_size()

    @property
    def plain_bytes(self) -> int:
        """Bytes without Huffman's code: what Deep Compression has after its second stage."""
        return self.codebook_bytes + self.plain_index_bytes + self.plain_gap_bytes


def encode_weight(name: str, layer: Shared) -> EncodedWeight:
    """The weight of a layer, row by row.

    Raises:
        ValueError: a weight is no entry of the codebook any more.

    Reference: Han et al., 2016, arXiv 1510.00149.
    """
    indices = layer.indices().flatten().numpy(force=True)
    is_kept = indices >= 0
    kept = indices[is_kept]
    gap_bits, gaps, plain_gap_bytes = 0, encode_symbols(kept[:0]), 0
    if not is_kept.all():
        zeros = zeros_before(is_kept)
        options = {bits: encode_symbols(cut_up(zeros, bits)) for bits in GAP_BITS}
        gap_bits = min(options, key=lambda bits: options[bits].n_bytes)
        gaps = options[gap_bits]
        plain_gap_bytes = packed_gap_bytes(zeros)
    codebook, plain_index_bytes = layer.codebook.detach().cpu().clone(), -(-len(kept) * layer.bits // 8)
    shape = tuple(layer.weight.shape)
    return EncodedWeight(
        name, shape, codebook, encode_symbols(kept), gap_bits, gaps, plain_index_bytes, plain_gap_bytes
    )


def decode_weight(n: int, codebook: Tensor, indices: Stream, gap_bits: int, gaps: Stream) -> Tensor:
    """The numbers of a weight: (n,), as the codebook.

    Raises:
        ValueError: the streams do not fit each other, or hold no code.
        IndexError: an index has no value.
    """
    kept = decode_symbols(indices)
    places = places_of(decode_symbols(gaps), gap_bits) if gap_bits else np.arange(n)
    if len(places) != len(kept) or (len(places) and places[-1] >= n):
        raise ValueError(f"{len(kept)} indices and {len(places)} places do not make {n} weights")
    weight = codebook.new_zeros(n)
    weight[torch.from_numpy(places)] = codebook[torch.from_numpy(kept)]
    return weight


def encode_symbols(symbols: Integers) -> Stream:
    """Symbols in the Huffman code that is best for them. symbols: (n,), 0 or more."""
    lengths = code_lengths(np.bincount(symbols))
    return Stream(len(symbols), len(lengths), pack(lengths, LENGTH_BITS), encode(symbols, lengths))


def decode_symbols(stream: Stream) -> Integers:
    """The symbols of a stream: (n,).

    Raises:
        ValueError: it holds no code.
    """
    return decode(stream.content, stream.n, unpack(stream.table, LENGTH_BITS, stream.n_lengths))


def pack(numbers: Integers, bits: int) -> bytes:
    """Numbers of some bits side by side; the last byte is filled up with zeros.

    Example:
        >>> pack(np.array([1, 2, 3, 0, 1]), 2).hex()
        '6c40'
    """
    shifts = np.arange(bits)[::-1]
    return np.packbits((numbers[:, None] >> shifts & 1).astype(np.uint8)).tobytes()


def unpack(content: bytes, bits: int, n: int) -> Integers:
    """The first `n` numbers that were packed: (n,)."""
    found: npt.NDArray[np.uint8] = np.unpackbits(np.frombuffer(content, np.uint8), count=n * bits)
    return found.reshape(n, bits).astype(np.int64) @ (1 << np.arange(bits)[::-1])
