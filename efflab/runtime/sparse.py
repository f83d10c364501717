"""Linear layers that store only what is not zero: what a pruned network needs before it can be smaller or faster.

Pruning writes zeros, and a dense kernel multiplies by zeros as fast as by anything else. Here the zeros are left out,
one by one (CSR) or in blocks (BSR). That is faster only beyond some sparsity, which depends on the matrix, the batch
and the machine: `efflab.measure.break_even` finds it.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3; Narang et al., Block-sparse recurrent
neural networks, 2017, arXiv 1711.02782.

Where we simplify: layers that answer and are not trained; linear ones only, as torch has no sparse convolution. At
work: `torch.sparse`, https://docs.pytorch.org/docs/stable/sparse.html.
"""

import copy
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from efflab.runtime.coded import Coded
from efflab.runtime.kernels import LAYOUTS, has_vector_product, multiply, to_layout

SPARSE_LAYOUTS = LAYOUTS[1:]
"""What a sparse layer may be stored as: "csr" or "bsr"."""
DTYPES = (torch.float32, torch.float64)
"""The number types that torch's sparse products take."""


class SparseLinear(nn.Module):
    """A linear layer with a sparse weight. inputs: (..., in) -> (..., out), equal to the dense layer's up to rounding.

    Args:
        weight: (out, in), CSR or BSR, as `kernels.to_layout` makes it.
        bias: (out,), or None.

    Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)  # counted, but no longer trained
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        has_vector_product()  # tried out here, not in the middle of the first answer

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs, laid out in memory as a dense layer's. inputs: (..., in) -> (..., out)."""
        n_out, n_in = self.weight.shape
        outputs = multiply(inputs.reshape(-1, n_in), self.weight)  # (n, out)
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs.reshape(*inputs.shape[:-1], n_out)

    def extra_repr(self) -> str:
        """What printing the network says about the layer."""
        n_out, n_in = self.weight.shape
        kept = self.weight.values().numel()
        layout = str(self.weight.layout).removeprefix("torch.sparse_")
        return f"in_features={n_in}, out_features={n_out}, layout={layout}, {kept} of {n_in * n_out} weights stored"

    def __deepcopy__(self, memo: dict[int, Any]) -> "SparseLinear":
        # Python's own copy fails: it asks each tensor for its one storage, and a sparse tensor has three.
        made = SparseLinear(self.weight.clone(), None if self.bias is None else self.bias.clone())
        return made.train(self.training)


def sparsify(
    model: nn.Module, layout: str = "csr", *, block: int = 4, layers: Sequence[str] | None = None
) -> nn.Module:
    """A copy of `model` in which linear layers leave out their zeros. The answers are the same up to rounding.

    It does not prune: a weight without zeros becomes larger and slower. With "bsr" a block is left out only if all its
    numbers are zero, which scattered zeros seldom are: nine of ten weights removed leave four of five 4x4 blocks.

    Args:
        model: any module; plain `nn.Linear` layers are replaced, all else stays as it is. Weights that lie on a grid
            are stored as floats.
        layout: "csr" or "bsr".
        block: the side of a block, for "bsr".
        layers: the names of the layers to replace; None replaces every plain linear layer.

    Raises:
        ValueError: there is no linear layer; a name leads to none; a shape is not divisible by the block; or the
            weights are of a type that torch has no sparse product for.

    Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
    """
    if layout not in SPARSE_LAYOUTS:
        raise ValueError(f"layout must be 'csr' or 'bsr', not {layout!r}")
    if not isinstance(block, int) or block < 1:
        raise ValueError(f"block must be a whole number from 1 up, not {block!r}")
    chosen = _linear_layers(model, layers)
    _check_weights(chosen, block if layout == "bsr" else 1)
    with torch.inference_mode(False), torch.no_grad():
        made = {id(layer): _sparse(layer, layout, block) for layer in chosen.values()}
        sparse: nn.Module = copy.deepcopy(model, made)  # which takes what was made for a copy of the layer
    return sparse


def stored_bytes(model: nn.Module) -> int:
    """Bytes of all parameters and buffers in memory; of a sparse one, its numbers and their 32-bit positions."""
    return sum(
        part.numel() * part.element_size()
        for tensor in chain(model.parameters(), model.buffers())
        for part in _parts(tensor)
    )


def _parts(tensor: Tensor) -> tuple[Tensor, ...]:
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.values(), tensor.col_indices(), tensor.crow_indices()
    return (tensor,)


def _sparse(layer: nn.Linear, layout: str, block: int) -> SparseLinear:
    bias = None if layer.bias is None else layer.bias.detach().clone()
    return SparseLinear(to_layout(layer.weight.detach(), layout, block), bias).train(layer.training)


def _linear_layers(model: nn.Module, names: Sequence[str] | None) -> dict[str, nn.Linear]:
    """The plain linear layers by name, all of them or those that are named."""
    modules = {name or "model": module for name, module in model.named_modules()}
    # A subclass may use its weight in ways of its own, as the output of nn.MultiheadAttention does.
    linear = {
        name: module
        for name, module in modules.items()
        if isinstance(module, nn.Linear) and (type(module) is nn.Linear or isinstance(module, Coded))
    }
    if not linear:
        raise ValueError(
            f"{type(model).__name__} has no plain nn.Linear layer, and torch has sparse products for no other: a "
            "convolution stays dense; remove whole filters from it instead"
        )
    for name in names or ():
        if name not in linear:
            what = f"a {type(modules[name]).__name__}" if name in modules else "no layer of the model"
            raise ValueError(f"layers names {name!r}, which is {what}; those that can be sparse: {', '.join(linear)}")
    return linear if names is None else {name: linear[name] for name in names}


def _check_weights(layers: Mapping[str, nn.Linear], block: int) -> None:
    fitting = [name for name, layer in layers.items() if not any(side % block for side in layer.weight.shape)]
    for name, layer in layers.items():
        if layer.weight.dtype not in DTYPES:
            raise ValueError(
                f"layer {name!r} has {layer.weight.dtype} weights, and sparse products take float32 or float64: use "
                "model.float()"
            )
        if name not in fitting:
            others = f", or replace only those that fit: layers={fitting}" if fitting else ""
            raise ValueError(
                f"layer {name!r} has a weight of shape {tuple(layer.weight.shape)}, which cannot be cut into blocks of "
                f"{block}x{block}; choose a block that divides both sides{others}"
            )
