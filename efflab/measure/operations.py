"""Watch a model run once: each operation, the layer that ran it, what it computed and the bytes it moved.

A layer is made of operations, and torch announces each one just before its kernel starts (the *dispatcher*). What
listens there misses nothing: not the `x @ y` in somebody's own forward, not the steps inside attention. A hook on
each module says whose code is running.

Reference: torch.utils._python_dispatch.TorchDispatchMode, on which torch builds its own counters and profilers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from efflab.measure.arithmetic import Arithmetic, arithmetic, name_of, parts
from efflab.measure.following import Layer, following, left_alone

LOOKUPS = ("aten.embedding", "aten.gather", "aten.index", "aten.index_select")
"""Operations that read no more of their first input than they return."""


@dataclass(frozen=True)
class Operation:
    """One operation that ran; `arithmetic` is None where there is no rule for it."""

    name: str
    layer: Layer
    arithmetic: Arithmetic | None
    weight_bytes: int
    activation_bytes: int


def watch(model: nn.Module, inputs: Tensor) -> tuple[Operation, ...]:
    """The operations of `model(inputs)` in evaluation mode, in order; those that move and compute nothing are left out.

    The model is as before afterwards: weights, buffers, flags, hooks, and whatever else hangs on its modules.

    Raises:
        ValueError: the model cannot take these inputs; the sentence names the layer.
    """
    layers = [Layer("", type(model).__name__, (tuple(inputs.shape),))]
    with left_alone(model), following(model, layers), torch.inference_mode(False), torch.no_grad():
        try:
            copies = {name: tensor.clone() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
            watcher = _Watcher(layers, [*copies.values(), *_plain_tensors(model)])
            with _NoShortcuts(), watcher:
                torch.func.functional_call(model, copies, (inputs,))
        except Exception as error:  # anybody's model, so anything may be raised
            raise ValueError(_sentence(layers, inputs, error)) from error
    return tuple(watcher.operations)


def _plain_tensors(model: nn.Module) -> Iterator[Tensor]:
    """Tensors that hang on a module as plain attributes, not as parameters or buffers, or in a list beside them."""
    for module in model.modules():
        yield from (leaf for leaf in tree_leaves(list(vars(module).values())) if isinstance(leaf, Tensor))


class _Watcher(TorchDispatchMode):
    """Writes down each operation. A tensor is known by its address, so weights are kept alive: none is given twice."""

    def __init__(self, layers: list[Layer], weights: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self._layers = layers
        self._weights = {_address(tensor): tensor for tensor in weights}

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        first = next((leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)), None)
        if first is not None:
            self._note(func, args, list(self._inputs((args, kwargs))), first)
        return result

    def _note(self, func: OpOverload, args: Sequence[Any], inputs: list[Tensor], result: Tensor) -> None:
        name = name_of(func)
        if name.endswith(("aten.empty", "new_empty", "empty_like", "empty_strided")) or _is_view(func, inputs, result):
            return
        if inputs and all(map(self._is_weight, inputs)):
            self._weights[_address(result)] = result  # a mask times a weight is a weight
        moved = [(tensor, _bytes(tensor)) for tensor in _read(name, inputs)] + [(result, _bytes(result))]
        if name in LOOKUPS:
            moved[0] = (moved[0][0], min(moved[0][1], _bytes(result)))
        weight_bytes = sum(n for tensor, n in moved if self._is_weight(tensor))
        computed = arithmetic(func, args, result, self._kept)
        activation_bytes = sum(n for _, n in moved) - weight_bytes
        self.operations.append(Operation(name, self._layers[-1], computed, weight_bytes, activation_bytes))

    def _inputs(self, arguments: Any) -> Iterator[Tensor]:
        for leaf in tree_leaves(arguments):
            if isinstance(leaf, Tensor):
                yield leaf
            elif isinstance(leaf, torch.ScriptObject):  # weights that were packed for a quantized kernel
                unpacked = [part for part in leaf.unpack() if isinstance(part, Tensor)]  # type: ignore[attr-defined]
                self._weights |= {_address(tensor): tensor for tensor in unpacked}
                yield from unpacked

    def _is_weight(self, tensor: Tensor) -> bool:
        return _address(tensor) in self._weights

    def _kept(self, tensor: Tensor) -> int:
        values = parts(tensor)[0]
        return int(values.count_nonzero()) if self._is_weight(tensor) else values.numel()


class _NoShortcuts(TorchFunctionMode):
    """Changes nothing, but while anybody listens to its functions torch runs attention layer by layer, not as one."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


def _address(tensor: Tensor) -> int:
    return parts(tensor)[0].untyped_storage().data_ptr()


def _bytes(tensor: Tensor) -> int:
    """Bytes of the numbers in memory, a number that `expand` repeats counted once; a sparse tensor's indices count."""
    n_bytes = 0
    for part in parts(tensor):
        n = 1
        for size, stride in zip(part.shape, part.stride(), strict=True):
            n *= size if stride else min(size, 1)
        n_bytes += n * part.element_size()
    return n_bytes


def _is_view(func: OpOverload, inputs: Sequence[Tensor], result: Tensor) -> bool:
    """Whether `result` only shows an input's numbers in another shape."""
    if func._schema.is_mutable:
        return torch.Tag.inplace_view in func.tags
    return func.is_view or _address(result) in map(_address, inputs)


def _read(name: str, inputs: list[Tensor]) -> list[Tensor]:
    """The inputs whose numbers are read: a copy does not read its target, `zeros_like` only looks at the shape."""
    return inputs[1:] if name == "aten.copy" or ".new_" in name or name.endswith("_like") else inputs


def _sentence(layers: Sequence[Layer], inputs: Tensor, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    layer = layers[-1]
    where = f"layer {layer.name!r} ({layer.kind})" if layer.name else f"the model itself ({layer.kind})"
    got = " and ".join(map(str, layer.shapes)) or "no tensor"
    return (
        f"{where} failed on {got}: {reason}; the model was given {tuple(inputs.shape)} in {inputs.dtype}: "
        "shape must be that of one input, without the batch, and dtype what the model takes"
    )
