"""Layers whose weights share a few values: a codebook of them, and for each weight which it is.

A weight that was pruned is 0.0 and has no value; zero is never in the codebook. As on a grid (`quantized.py`), the
weights are still floats and the layer computes as before; the indices, and the bytes of them, come from beside it.

Trained are the values. Each belongs to many weights, so the gradient of a value is the sum of theirs:

    dL / dC_k = sum of dL / dW_ij over all i, j with index k

Reference: Han et al., Deep Compression: compressing deep neural networks with pruning, trained quantization and Huffman
coding, 2016, arXiv 1510.00149, section 3 and equation 3.

Where we simplify: one codebook for a layer, biases stay float. At work: Core ML palettizes weights so, and runs them.
"""

import torch
from torch import Tensor, nn

from efflab.runtime.coded import Coded


class Shared(Coded):
    """What the two kinds have in common: each `weight` is an entry of the codebook, or 0.0 where it was removed.

    codebook: (k,), as the weight floating point; no two entries are equal when it is made, and none is 0.
    """

    beside = ("codebook",)
    encode = "share"
    codebook: Tensor

    @property
    def code(self) -> str:
        """What lies where, for a sentence."""
        return f"its weights in a codebook of {len(self.codebook)} values"

    @property
    def bits(self) -> int:
        """Bits of an index without a further code; one value needs none."""
        return max(len(self.codebook) - 1, 0).bit_length()

    def indices(self) -> Tensor:
        """Which entry each weight is, or -1 where it was removed: the shape of the weight, int64.

        Raises:
            ValueError: a weight is no entry of the codebook any more.
        """
        values, order = self._values().sort(stable=True)  # (k + 1,), zero among them
        weight = self.weight.detach().contiguous()
        place = torch.searchsorted(values, weight).clamp(max=len(values) - 1)
        if not torch.equal(values[place], weight):
            raise ValueError(
                f"a weight of this {type(self).__name__} is none of the {len(self.codebook)} values of its codebook, "
                "so there is no index for it: share the weights of the float network again"
            )
        return order[place] - 1

    def look_up(self, indices: Tensor) -> Tensor:
        """The weights that indices stand for. indices: (any shape) -> same shape."""
        return self._values()[indices + 1]

    def _values(self) -> Tensor:
        """Zero, and the codebook: (k + 1,)."""
        return torch.cat([self.codebook.new_zeros(1), self.codebook.detach()])

    def extra_repr(self) -> str:
        """What printing the network says about the layer."""
        return f"{super().extra_repr()}, weights of {len(self.codebook)} values"


class SharedLinear(Shared, nn.Linear):
    """A linear layer whose weights share values. inputs: (..., in) -> (..., out), computed in floats."""


class SharedConv2d(Shared, nn.Conv2d):
    """A convolution whose weights share values. inputs: (n, in, h, w) -> (n, out, h, w), computed in floats."""


KINDS: dict[type[nn.Module], type[Shared]] = {nn.Linear: SharedLinear, nn.Conv2d: SharedConv2d}
"""Plain layers, and what they become."""


def put_in_codebook(layer: nn.Module, codebook: Tensor) -> Shared:
    """The layer itself, turned into one with a codebook; its weights must be entries or 0, and are not changed.

    Args:
        layer: an `nn.Linear` or `nn.Conv2d`, no subclass.
        codebook: (k,), the values, none of them 0.

    Raises:
        TypeError: the layer is of another kind.
        ValueError: a weight is no entry of the codebook, or the codebook holds a 0.

    Reference: Han et al., 2016, arXiv 1510.00149.
    """
    if type(layer) not in KINDS:
        raise TypeError(f"layer must be a plain nn.Linear or nn.Conv2d, not {type(layer).__name__}")
    if bool((codebook == 0).any()):
        raise ValueError("codebook must not hold 0: a weight that is zero was removed, and has no index")
    layer.__class__ = KINDS[type(layer)]
    assert isinstance(layer, Shared)
    layer.register_buffer("codebook", codebook)
    layer.indices()
    return layer


def shared_layers(model: nn.Module) -> dict[str, Shared]:
    """The layers whose weights share values, by name; the model itself is "model"."""
    return {name or "model": layer for name, layer in model.named_modules() if isinstance(layer, Shared)}


class SharedValues:
    """The codebook of a layer as what an optimizer trains, in place of its weight."""

    def __init__(self, layer: Shared) -> None:
        self.layer, self.indices = layer, layer.indices()
        self.values = nn.Parameter(layer.codebook.clone(), layer.weight.requires_grad)

    def gather(self) -> None:
        """Sum the gradients of the weights that share a value, which becomes its gradient; the weight's is gone."""
        grad, self.layer.weight.grad = self.layer.weight.grad, None
        if grad is not None:
            sums = (self.indices + 1).flatten().bincount(grad.flatten().double(), minlength=len(self.values) + 1)
            self.values.grad = sums[1:].to(self.values.dtype)  # without those of removed weights

    def spread(self) -> None:
        """Give each weight its value."""
        self.layer.codebook.copy_(self.values)
        self.layer.weight.copy_(self.layer.look_up(self.indices))
