"""What the bytes of a quantized layer are: integers, what turns them back into numbers, and what stayed float.

The sums are those of `compute_size`, which takes the smallest encoding of each weight; here one looks inside.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from efflab.measure import TensorSize, compute_size
from efflab.measure.size import VALUE_BYTES, integer_bytes
from efflab.runtime.quantized import OnGrid, on_grid

OTHERS = ""
"""The owner of what belongs to no linear layer and no convolution."""


@dataclass(frozen=True)
class LayerBytes:
    """The packed bytes of a layer. `integers` include the mask where zeros are left out; `floats` are float weights."""

    integers: int = 0
    scales: int = 0
    zero_points: int = 0
    floats: int = 0
    biases: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.integers + self.overhead + self.floats

    @property
    def overhead(self) -> int:
        """What is no weight: scales, zero points, biases."""
        return self.scales + self.zero_points + self.biases


def split_bytes(model: nn.Module) -> dict[str, LayerBytes]:
    """The bytes of each linear layer and convolution by name, and of all else, such as batch norms, under `OTHERS`.

    A weight that several layers share is counted with the first of them.

    Raises:
        ValueError: a weight has left its grid.
    """
    grids = on_grid(model)
    owners = [name or "model" for name, one in model.named_modules() if isinstance(one, nn.Linear | nn.Conv2d)]
    found = {name: Counter[str]() for name in (*owners, OTHERS)}
    for tensor in compute_size(model).tensors:
        path, _, leaf = f".{tensor.name}".rpartition(".")
        owner = path.removesuffix(".reads").removesuffix(".gives")[1:] or "model"
        found[owner if owner in found else OTHERS].update(_parts(tensor, leaf, grids.get(owner)))
    return {name: LayerBytes(**parts) for name, parts in found.items()}


def _parts(tensor: TensorSize, leaf: str, layer: OnGrid | None) -> Mapping[str, int]:
    if leaf == "bias":
        return {"biases": tensor.packed_bytes}
    if leaf == "scale":  # of a grid of activations
        return {"scales": tensor.packed_bytes}
    if layer is None or leaf != "weight" or not tensor.encoding.startswith(f"{layer.bits}-bit"):
        return {"floats": tensor.packed_bytes}
    scales = VALUE_BYTES * layer.scale.numel()
    beside = integer_bytes(0, layer.bits, layer.scale.numel(), is_symmetric=layer.is_symmetric)
    return {"integers": tensor.packed_bytes - beside, "scales": scales, "zero_points": beside - scales}
