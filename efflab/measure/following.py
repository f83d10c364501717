"""Follow a model through its layers while it runs, and leave it as it was.

torch calls a hook before and after each module's own code. The hooks keep a stack of the modules that have begun and
not ended; the last of it is the one whose code is running.

Reference: torch.nn.Module.register_forward_pre_hook.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from efflab.runtime import evaluating


@dataclass(frozen=True)
class Layer:
    """Whose code is running: the module's name and class, and the shapes that it was called with."""

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]


@contextlib.contextmanager
def following(model: nn.Module, layers: list[Layer]) -> Iterator[None]:
    """Inside the block, the last of `layers` is the one whose code is running."""

    def enter(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(module: nn.Module, args: Any) -> None:
            shapes = tuple(tuple(leaf.shape) for leaf in tree_leaves(args) if isinstance(leaf, Tensor))
            layers.append(Layer(name, type(module).__name__, shapes))

        return hook

    def leave(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            while layers.pop().name != name:
                pass  # a layer whose error the model caught never said that it ended

        return hook

    handles = []
    try:
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(enter(name), prepend=True))
            handles.append(module.register_forward_hook(leave(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def left_alone(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; what a forward pass hangs on a module (a count, a cache) is gone afterwards.

    The global random generator, too, is where it was. Weights and buffers are not looked after here: run on copies.
    """
    kept = [(module, dict(vars(module))) for module in model.modules()]
    with evaluating(model), torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            for module, attributes in kept:
                vars(module).update(attributes)
                for name in vars(module).keys() - attributes.keys():
                    delattr(module, name)
