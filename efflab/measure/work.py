"""How much work one inference takes: arithmetic, and bytes moved, layer by layer, from one run of the model.

Both are computed, and neither is a speed. Their quotient, FLOPs for each byte, is the *arithmetic intensity*: a layer
with a low one waits for its weights to arrive, however fast the arithmetic is.

    arithmetic   MACs and FLOPs, one MAC being 2 FLOPs: see `efflab.measure.arithmetic` for what counts as what
    bytes        each operation reads its inputs from memory and writes its result, as an eager network does when
                 nothing stays in the cache; a sparse weight costs its values and its indices
    layers       the module whose own code ran the operation; what a block does between its layers counts as the block

A mask does not spare a dense kernel anything: it multiplies by zeros. So a pruned network has its full `macs`;
`macs_nonzero` is what a kernel that skips zero weights would need, at best.

Reference: Williams, Waterman and Patterson, Roofline: an insightful visual performance model, 2009.

Where we simplify: a runtime that merges operations (a convolution with its normalisation and activation) moves
fewer bytes, and one with a small cache more. At work: the counters of your CPU, such as `perf stat` reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from efflab.measure.arithmetic import Arithmetic
from efflab.measure.operations import Operation, watch


@dataclass(frozen=True)
class LayerWork:
    """The work of one layer in one inference, its calls added up.

    `name` is that of `model.named_modules()`, so "" is the model itself, between its layers.
    """

    name: str
    kind: str
    macs: int
    macs_nonzero: int
    """MACs whose weight is not zero: what a kernel that skips zeros would need."""
    flops: int
    weight_bytes: int
    """Parameters, buffers and what is computed from them alone, each time they are read or written."""
    activation_bytes: int

    @property
    def moved_bytes(self) -> int:
        """Weights and activations, read and written."""
        return self.weight_bytes + self.activation_bytes

    @property
    def intensity(self) -> float:
        """FLOPs for each byte moved; 0 where nothing moves."""
        return self.flops / self.moved_bytes if self.moved_bytes else 0.0


@dataclass(frozen=True)
class Work:
    """The work of one inference of `batch` inputs together, in all and layer by layer, in the order they ran in."""

    layers: tuple[LayerWork, ...]
    batch: int
    uncounted: tuple[str, ...]
    """Operations whose arithmetic is missing, because there is no rule for it; their bytes are counted."""

    @property
    def macs(self) -> int:
        """Multiplications with an addition, zeros included where the kernel multiplies by them."""
        return sum(layer.macs for layer in self.layers)

    @property
    def macs_nonzero(self) -> int:
        """MACs whose weight is not zero."""
        return sum(layer.macs_nonzero for layer in self.layers)

    @property
    def flops(self) -> int:
        """Two for each MAC, and what biases, normalisations, activations and pooling take."""
        return sum(layer.flops for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Weights moved; more than those stored when a layer is called twice."""
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Activations read and written."""
        return sum(layer.activation_bytes for layer in self.layers)

    @property
    def moved_bytes(self) -> int:
        """Weights and activations, read and written."""
        return self.weight_bytes + self.activation_bytes

    @property
    def intensity(self) -> float:
        """FLOPs for each byte moved; 0 where nothing moves."""
        return self.flops / self.moved_bytes if self.moved_bytes else 0.0


def count_work(model: nn.Module, shape: tuple[int, ...], *, batch: int = 1, dtype: torch.dtype | None = None) -> Work:
    """Run `model` once, on zeros, and count what it computes and moves. The model is unchanged afterwards.

    Another thread must not run the same model meanwhile: its layers would be counted, too.

    Args:
        model: any module that takes one tensor, (batch, *shape).
        shape: one input without the batch: (channels, height, width) of an image.
        batch: inputs in one inference. Their weights are read once for all of them, so the intensity grows with it.
        dtype: of the input; that of the model's own numbers if not given, torch.long for a model that takes tokens.

    Example:
        A weight of 300 x 100 and a bias: 30,000 MACs, twice as many FLOPs and 100 for the bias.

        >>> work = count_work(nn.Linear(300, 100), (300,))
        >>> work.macs, work.flops, work.weight_bytes, work.activation_bytes
        (30000, 60100, 120400, 1600)

    Raises:
        TypeError: `model` is no module.
        ValueError: a number in `shape` or `batch` that no tensor can have, or a model that cannot take such an input.

    Reference: Williams, Waterman and Patterson, Roofline, 2009, for bytes and intensity.
    """
    _check(model, shape, batch)
    operations = watch(model, _example(model, (batch, *shape), dtype))
    by_layer: dict[str, list[Operation]] = {}
    for operation in operations:
        by_layer.setdefault(operation.layer.name, []).append(operation)
    uncounted = sorted({operation.name for operation in operations if operation.arithmetic is None})
    return Work(tuple(map(_layer_work, by_layer.values())), batch, tuple(uncounted))


def _layer_work(operations: Sequence[Operation]) -> LayerWork:
    layer = operations[0].layer
    computed = [operation.arithmetic or Arithmetic() for operation in operations]
    return LayerWork(
        layer.name,
        layer.kind,
        macs=sum(one.macs for one in computed),
        macs_nonzero=sum(one.macs_nonzero for one in computed),
        flops=sum(one.flops for one in computed),
        weight_bytes=sum(operation.weight_bytes for operation in operations),
        activation_bytes=sum(operation.activation_bytes for operation in operations),
    )


def _example(model: nn.Module, shape: tuple[int, ...], dtype: torch.dtype | None) -> Tensor:
    numbers = (tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
    first = next(numbers, torch.zeros(0))
    return torch.zeros(shape, dtype=dtype or first.dtype, device=first.device)


def _check(model: nn.Module, shape: tuple[int, ...], batch: int) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch module, not {type(model).__name__}")
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise ValueError("model must have its weights in memory, not on the device 'meta', where none can be zero")
    if not isinstance(shape, tuple) or any(not isinstance(size, int) or size < 1 for size in shape):
        raise ValueError(f"shape must be whole numbers from 1 up, such as (1, 28, 28), not {shape!r}")
    if not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch must be a whole number from 1 up, not {batch!r}")
