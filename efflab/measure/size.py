"""How large a network is, counted in the ways that people confuse.

"I pruned 90 % and the file is the same size": zeros are numbers like any other until something encodes them. So we
count parameters, non-zeros, dense bytes and *packed* bytes, what an honest encoding needs with its overhead. All of
them are computed from the weights; the bytes of a file that was really written are `efflab.runtime.Artefact`'s.

A weight with a code may also be stored as what the code makes of it, packed bit by bit: on a grid integers, with the
scales and zero points that turn them back into numbers; in a codebook indices, with its values. Small groups fit
better, and the scales of groups of 32 at 4 bits are a quarter more bytes.

Where we simplify: 32-bit values and scales, no entropy code (`efflab.quantize.codebook` has one). At work: the encoding
that your runtime reads.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from efflab.runtime.coded import Coded, coded_layers
from efflab.runtime.gaps import packed_gap_bytes, zeros_before
from efflab.runtime.quantized import OnGrid
from efflab.runtime.shared import Shared

VALUE_BYTES = 4
"""Bytes of one 32-bit float."""


@dataclass(frozen=True)
class TensorSize:
    """The size of one stored tensor: numbers, non-zero numbers, bytes as they are and bytes packed."""

    name: str
    n: int
    n_nonzero: int
    dense_bytes: int
    packed_bytes: int
    encoding: str
    is_weight: bool
    """Whether it is a matrix or kernel, which compression works on; not a bias or a normalisation."""

    @property
    def sparsity(self) -> float:
        """The fraction of zeros; 0 where there are no numbers at all."""
        return 1 - self.n_nonzero / self.n if self.n else 0.0


@dataclass(frozen=True)
class Size:
    """The computed size of a network, tensor by tensor and in all."""

    tensors: tuple[TensorSize, ...]
    n_parameters: int
    n_nonzero: int

    @property
    def weights(self) -> tuple[TensorSize, ...]:
        """The matrices and kernels."""
        return tuple(tensor for tensor in self.tensors if tensor.is_weight)

    @property
    def n_kept(self) -> int:
        """The weights that are not zero: matrices and kernels, not biases."""
        return sum(tensor.n_nonzero for tensor in self.weights)

    @property
    def sparsity(self) -> float:
        """The fraction of zeros among the weights; 0 where there are none."""
        n = sum(tensor.n for tensor in self.weights)
        return 1 - self.n_kept / n if n else 0.0

    @property
    def dense_bytes(self) -> int:
        """Bytes as they are, zeros included."""
        return sum(tensor.dense_bytes for tensor in self.tensors)

    @property
    def packed_bytes(self) -> int:
        """Bytes in the smallest of the encodings, each with its overhead."""
        return sum(tensor.packed_bytes for tensor in self.tensors)


def compute_size(model: nn.Module) -> Size:
    """Count the parameters of `model` and the bytes that storing it takes, running means and variances included.

    Scales, zero points and codebooks count with the weight that they belong to, and only where its code is stored.

    Raises:
        ValueError: a weight has left its grid or its codebook.
    """
    layers = [layer for layer in coded_layers(model).values() if layer.has_coded_weight]
    coded = {id(layer.weight): layer for layer in layers}
    beside = {id(buffer) for layer in layers for buffer in layer.buffers(recurse=False)}
    parameters = dict(model.named_parameters())
    floats = {name: buffer for name, buffer in model.named_buffers() if buffer.is_floating_point()}
    buffers = {name: buffer for name, buffer in floats.items() if id(buffer) not in beside}
    tensors = tuple(_size_of(name, one.detach(), coded.get(id(one))) for name, one in (parameters | buffers).items())
    counted = [tensor for tensor in tensors if tensor.name in parameters]
    return Size(tensors, sum(t.n for t in counted), sum(t.n_nonzero for t in counted))


def bitmask_bytes(n: int, n_nonzero: int) -> int:
    """One bit for each position and the non-zero values: n = 16, 4 kept -> 2 + 16 bytes."""
    return -(-n // 8) + VALUE_BYTES * n_nonzero


def csr_bytes(rows: int, columns: int, n_nonzero: int) -> int:
    """Compressed sparse rows: a value and a column for each non-zero, and where each row starts.

    Columns take 2 bytes where 16 bits are enough, else 4; row starts take 4.
    """
    column_bytes = 2 if columns <= 2**16 else 4
    return (VALUE_BYTES + column_bytes) * n_nonzero + 4 * (rows + 1)


def integer_bytes(n: int, bits: int, n_scales: int, *, is_symmetric: bool = True) -> int:
    """Integers of some bits side by side, 4 bytes for each scale, and an integer for each zero point if there are some.

    Integers, and zero points, end with a whole byte: ceil(n * bits / 8) + 4 * n_scales + ceil(n_scales * bits / 8).

    Example:
        >>> integer_bytes(1000, 4, n_scales=10), integer_bytes(1000, 4, n_scales=10, is_symmetric=False)
        (540, 545)
    """
    zero_points = 0 if is_symmetric else n_scales
    return -(-n * bits // 8) + VALUE_BYTES * n_scales - (-zero_points * bits // 8)


def index_bytes(n: int, bits: int, n_values: int) -> int:
    """Indices of some bits side by side, which end with a whole byte, and 4 bytes for each value of the codebook.

    Example:
        >>> index_bytes(1000, 4, n_values=16)
        564
    """
    return -(-n * bits // 8) + VALUE_BYTES * n_values


def packed_bytes(rows: int, columns: int, n_nonzero: int) -> int:
    """A matrix of 32-bit floats in the smallest of three encodings: dense, bit mask, CSR.

    Example:
        >>> packed_bytes(100, 100, n_nonzero=1000)
        5250
    """
    return min(_encodings(rows, columns, n_nonzero).values())


def _encodings(rows: int, columns: int, n_nonzero: int) -> dict[str, int]:
    return {
        "dense": VALUE_BYTES * rows * columns,
        "bitmask": bitmask_bytes(rows * columns, n_nonzero),
        "csr": csr_bytes(rows, columns, n_nonzero),
    }


def _code_encodings(name: str, layer: Coded) -> dict[str, int]:
    """The encodings that a code makes possible."""
    try:
        if isinstance(layer, OnGrid):
            return _integer_encodings(layer)
        return _index_encodings(layer) if isinstance(layer, Shared) else {}
    except ValueError as error:
        raise ValueError(f"{name!r} has no size: {error}") from error


def _index_encodings(layer: Shared) -> dict[str, int]:
    """An index for each position, a removed weight having one too; or indices of what is left, and where it stands."""
    is_kept = (layer.indices() >= 0).flatten().numpy(force=True)
    n, n_kept, n_values = len(is_kept), int(is_kept.sum()), len(layer.codebook)
    name = f"{layer.bits}-bit codebook"
    kept_bytes = index_bytes(n_kept, layer.bits, n_values)
    all_bits = (n_values + (n_kept < n) - 1).bit_length()
    return {
        name: index_bytes(n, all_bits, n_values),
        f"{name}, bitmask": bitmask_bytes(n, 0) + kept_bytes,
        f"{name}, gaps": packed_gap_bytes(zeros_before(is_kept)) + kept_bytes,
    }


def _integer_encodings(layer: OnGrid) -> dict[str, int]:
    """All integers of a weight on a grid; or one bit for each position, and those that stand for no zero."""
    integers = layer.integers()
    n_nonzero = int((integers != layer.spread(layer.zero_point)).count_nonzero())
    bits, n_scales, is_symmetric = layer.bits, layer.scale.numel(), layer.is_symmetric
    packed = {n: integer_bytes(n, bits, n_scales, is_symmetric=is_symmetric) for n in (integers.numel(), n_nonzero)}
    mask_bytes = bitmask_bytes(integers.numel(), 0)
    return {f"{bits}-bit": packed[integers.numel()], f"{bits}-bit bitmask": mask_bytes + packed[n_nonzero]}


def _size_of(name: str, tensor: Tensor, layer: Coded | None = None) -> TensorSize:
    """The size of a tensor, which may be the weight of a layer with a code."""
    numbers = tensor if tensor.layout == torch.strided else tensor.values()  # those that a sparse tensor stores
    n, n_nonzero = tensor.numel(), int(numbers.bool().count_nonzero())  # of truth values: several times as fast
    dense = n * tensor.element_size()
    rows = tensor.shape[0] if tensor.ndim else 1
    encodings = _encodings(rows, n // max(rows, 1), n_nonzero) if tensor.ndim > 1 else {}
    options = encodings | {"dense": dense} | (_code_encodings(name, layer) if layer else {})
    encoding = min(options, key=lambda option: options[option])
    return TensorSize(name, n, n_nonzero, dense, options[encoding], encoding, tensor.ndim > 1)
