"""The file of Deep Compression: every number of a network, the shared weights in few bits, the others as they are.

    bytes   what
    8       EFFLABDC
    4       length of the header, little endian
    ...     header: JSON, the names, shapes and sizes of what follows
    ...     of each shared weight: codebook, table and codes of the indices, table and codes of the gaps
    ...     of each other tensor: its numbers
    32      SHA-256 of all before

The file cannot build a network, because that would take code: it is read into a copy of one that you built. Nothing in
it is executed, and every size that it names is checked against that network before memory is asked for.

Reference: Han et al., Deep Compression, 2016, arXiv 1510.00149.

Where we simplify: the network has to be unpacked before it runs. At work: weights stay compressed until they are on the
chip, as in Han et al., EIE, 2016, arXiv 1602.01528.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from efflab.data.files import replacing
from efflab.models import CheckpointError
from efflab.quantize.codebook.streams import LENGTH_BITS, EncodedWeight, Stream, decode_weight, encode_weight
from efflab.runtime.coded import PLAIN, as_floats, refuse_coded
from efflab.runtime.quantized import OnGrid
from efflab.runtime.shared import put_in_codebook, shared_layers

M = TypeVar("M", bound=nn.Module)

MAGIC = b"EFFLABDC"
N_CHECKSUM = 32
FLOATS = (torch.float32, torch.float64, torch.float16)
INTEGERS = (torch.int64, torch.int32, torch.int8, torch.uint8, torch.bool)
TYPES = {str(kind).removeprefix("torch."): kind for kind in (*FLOATS, *INTEGERS)}
"""The types of numbers that such a file may hold, by the name that they have in it."""
ROOM = 1_000_000
"""Bytes that a file may be larger than the numbers of its network are: header and tables."""


@dataclass(frozen=True)
class Encoded:
    """A network as the bytes of a file, and its shared weights one by one."""

    weights: tuple[EncodedWeight, ...]
    other_bytes: int
    """Of all other tensors: biases, batch norms, layers without a codebook."""
    content: bytes

    @property
    def header_bytes(self) -> int:
        """Of what says what is where, the checksum included."""
        return len(self.content) - self.other_bytes - sum(weight.n_bytes for weight in self.weights)


def encode_model(model: nn.Module) -> Encoded:
    """The bytes of a network, its layers with codebooks in few bits.

    Raises:
        CheckpointError: a layer lies on a grid, or holds a type of numbers that the file has no word for.

    Reference: Han et al., 2016, arXiv 1510.00149.
    """
    try:
        refuse_coded(
            model, "a file of codebooks says nothing of that: share weights instead, or as_floats(model)", OnGrid
        )
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    layers = {id(layer.weight): layer for layer in shared_layers(model).values()}
    tensors = _tensors(model)
    shared = {name: layers[id(one)] for name, one in tensors.items() if id(one) in layers}
    weights = tuple(encode_weight(name, layer) for name, layer in shared.items())
    others = {name: one.detach().cpu().contiguous() for name, one in tensors.items() if name not in shared}
    header = {
        "weights": [_about(weight) for weight in weights],
        "others": [[name, _type(name, one), list(one.shape)] for name, one in others.items()],
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    parts = [part for weight in weights for part in _parts(weight)]
    raw = [one.numpy().tobytes() for one in others.values()]
    content = b"".join([MAGIC, len(text).to_bytes(4, "little"), text, *parts, *raw])
    return Encoded(weights, sum(map(len, raw)), content + hashlib.sha256(content).digest())


def write_encoded(model: nn.Module, path: str | Path) -> Path:
    """Write a network to `path`, whole or not at all. Returns the path.

    Raises:
        CheckpointError: as `encode_model`.

    Reference: Han et al., 2016, arXiv 1510.00149.
    """
    content, path = encode_model(model).content, Path(path)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        temporary.chmod(0o644)  # a temporary file is for its owner alone
    return path


def read_encoded(path: str | Path, model: M) -> M:
    """A copy of `model`, in evaluation mode, with the numbers of a file; its shared layers have their codebooks.

    Args:
        path: of a file that `write_encoded` wrote.
        model: built as the one that was written; it stays as it is.

    Raises:
        CheckpointError: no such file; a damaged or foreign one; or a model that it does not fit.

    Reference: Han et al., 2016, arXiv 1510.00149.
    """
    path, floats = Path(path), as_floats(model)
    tensors = _tensors(floats)
    most = ROOM + 2 * sum(one.numel() * one.element_size() for one in tensors.values())
    content = _read(path, most)
    try:
        header, rest = _split(content)
        with torch.inference_mode(False), torch.no_grad():
            _fill(floats, tensors, header, rest)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{path} does not hold the numbers of this {type(model).__name__}: {reason}") from error
    return floats.eval()


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers, once each, but not the codebooks beside shared weights."""
    beside = {id(layer.codebook) for layer in shared_layers(model).values()}
    found = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: tensor for name, tensor in found.items() if id(tensor) not in beside}


def _type(name: str, tensor: Tensor) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in TYPES:
        raise CheckpointError(f"{name!r} holds {kind} numbers, and the file knows {', '.join(TYPES)}")
    return kind


def _about(weight: EncodedWeight) -> dict[str, Any]:
    """What the header says of a shared weight; of a stream: symbols, lengths in the table, bytes of the codes."""
    streams = [[one.n, one.n_lengths, len(one.content)] for one in (weight.indices, weight.gaps)]
    return {
        "name": weight.name,
        "type": _type(weight.name, weight.codebook),
        "shape": list(weight.shape),
        "values": len(weight.codebook),
        "indices": streams[0],
        "gap_bits": weight.gap_bits,
        "gaps": streams[1],
    }


def _parts(weight: EncodedWeight) -> list[bytes]:
    streams = [part for one in (weight.indices, weight.gaps) for part in (one.table, one.content)]
    return [weight.codebook.numpy().tobytes(), *streams]


def _read(path: Path, most: int) -> bytes:
    """The bytes between magic and checksum, if both are right."""
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; name a file that write_encoded wrote")
    n_bytes = path.stat().st_size
    if n_bytes > most:
        raise CheckpointError(f"{path} has {n_bytes:,} bytes, and a file of this network {most:,} at most")
    content = path.read_bytes()
    if content[: len(MAGIC)] != MAGIC:
        raise CheckpointError(f"{path} is no file that write_encoded wrote: it does not begin with {MAGIC.decode()}")
    body, checksum = content[:-N_CHECKSUM], content[-N_CHECKSUM:]
    if hashlib.sha256(body).digest() != checksum:
        raise CheckpointError(f"{path} is damaged or cut off: its checksum is not the one at its end")
    return body[len(MAGIC) :]


def _split(content: bytes) -> tuple[Mapping[str, Any], "_Reader"]:
    reader = _Reader(content)
    header = json.loads(reader.take(int.from_bytes(reader.take(4), "little")))
    if not isinstance(header, dict):
        raise ValueError(f"the header is a {type(header).__name__}")
    return header, reader


class _Reader:
    """Bytes that are taken one part after the other."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def take(self, n: int) -> bytes:
        """The next `n` bytes."""
        if type(n) is not int or not 0 <= n <= len(self._content) - self._place:
            raise ValueError(f"{n!r:.40} bytes are asked for, and {len(self._content) - self._place} are left")
        self._place += n
        return self._content[self._place - n : self._place]

    def numbers(self, kind: str, n: int) -> Tensor:
        """The next `n` numbers of a type."""
        size = torch.empty(0, dtype=TYPES[kind]).element_size()
        content = bytearray(self.take(n * size))
        return torch.frombuffer(content, dtype=TYPES[kind]) if n else torch.empty(0, dtype=TYPES[kind])

    def stream(self, about: Any, most: int) -> Stream:
        """The next table and codes."""
        n, n_lengths, n_bytes = about
        if any(type(one) is not int or one < 0 for one in about) or n > most:
            raise ValueError(f"a stream has {about!r:.60}, and must have {most} symbols at most")
        return Stream(n, n_lengths, self.take(-(-n_lengths * LENGTH_BITS // 8)), self.take(n_bytes))

    def check_end(self) -> None:
        """Raise ValueError if bytes are left."""
        if self._place != len(self._content):
            raise ValueError(f"{len(self._content) - self._place} bytes are left at its end")


def _fill(model: nn.Module, tensors: Mapping[str, Tensor], header: Mapping[str, Any], reader: _Reader) -> None:
    """Put the numbers of a file into a model, in place."""
    names = [one["name"] for one in header["weights"]] + [name for name, _, _ in header["others"]]
    if sorted(names) != sorted(tensors):
        differing = sorted(set(names) ^ set(tensors))
        raise ValueError(f"one of both has no {differing[0]!r:.80}" if differing else "a name occurs twice")
    for one in header["weights"]:
        tensor = _fitting(tensors, one["name"], one["type"], one["shape"])
        codebook = reader.numbers(one["type"], one["values"])
        indices, gap_bits = reader.stream(one["indices"], tensor.numel()), one["gap_bits"]
        if type(gap_bits) is not int or not 0 <= gap_bits <= 62:
            raise ValueError(f"gap_bits is {gap_bits!r:.40}")
        weight = decode_weight(tensor.numel(), codebook, indices, gap_bits, reader.stream(one["gaps"], tensor.numel()))
        tensor.copy_(weight.reshape(tensor.shape))
        _share(model, one["name"], codebook)
    for name, kind, shape in header["others"]:
        tensor = _fitting(tensors, name, kind, shape)
        tensor.copy_(reader.numbers(kind, math.prod(shape)).reshape(tensor.shape))
    reader.check_end()


def _fitting(tensors: Mapping[str, Tensor], name: str, kind: str, shape: list[int]) -> Tensor:
    tensor = tensors[name]
    if list(tensor.shape) != shape or str(tensor.dtype) != f"torch.{kind}":
        own = f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
        raise ValueError(f"{name!r} is {kind!r:.20} {shape!r:.60} in the file, and {own} in the model")
    return tensor


def _share(model: nn.Module, name: str, codebook: Tensor) -> None:
    """Give the layers of a weight their codebook."""
    weight = model.get_parameter(name)
    layers = [one for one in model.modules() if type(one) in PLAIN and getattr(one, "weight", None) is weight]
    if not layers:
        raise ValueError(f"{name!r} has a codebook, and is no weight of a plain nn.Linear or nn.Conv2d")
    codebook = codebook.to(weight.device)
    for layer in layers:
        put_in_codebook(layer, codebook)
