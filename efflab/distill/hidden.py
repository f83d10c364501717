"""Hidden layers: which there are, what they give, and how two of them can be compared.

A hidden layer is a place in the network where a representation is ready: after a ReLU or another activation, or after
a block that is one piece (`Residual`, a transformer's `Block`). They are counted from 1, in the order in which they
run. A *representation* is a vector (n, d), feature maps (n, c, h, w) or tokens (n, tokens, d).

Where we simplify: a network without such places offers its layers with weights instead, but the last.
At work: `torchvision.models.feature_extraction`, or the hooks of your own training loop.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from efflab.runtime.export import evaluating

ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
    nn.Sigmoid,
    nn.Tanh,
)


def hidden_layers(model: nn.Module, image: Tensor) -> dict[str, tuple[int, ...]]:
    """The hidden layers by name, in the order in which they run, with the shape of what they give for one image.

    image: (1, c, h, w).

    Example:
        >>> from efflab import models
        >>> hidden_layers(models.build("mlp", sizes=(30, 20)), torch.zeros(1, 1, 28, 28))
        {'relu1': (30,), 'relu2': (20,)}

    Raises:
        ValueError: there are none.
    """
    places = list(_places(model)) or list(_weighted(model))[:-1]
    with outputs_of(model, places) as outputs, torch.no_grad(), evaluating(model):
        model(image)
        shapes = {name: tuple(output.shape[1:]) for name, output in outputs.items() if output.ndim in (2, 3, 4)}
    if not shapes:
        raise ValueError(f"{type(model).__name__} has no hidden layer: nothing between the image and the answer")
    return shapes


def numbered(model: nn.Module, image: Tensor, number: int, whose: str) -> str:
    """The name of hidden layer `number`, counted from 1. whose: for the sentence, "teacher" or "student".

    Raises:
        ValueError: the network has no so many.
    """
    names = list(hidden_layers(model, image))
    if not 1 <= number <= len(names):
        there = ", ".join(f"{i} {name}" for i, name in enumerate(names, start=1))
        raise ValueError(f"the {whose} has no hidden layer {number}; it has: {there}")
    return names[number - 1]


@contextmanager
def outputs_of(model: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Inside the block, what some layers gave in the last pass, by name; the dictionary is filled anew in each pass.

    The hooks that do it are gone after the block.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str, _: nn.Module, __: object, output: Tensor) -> None:
        outputs.pop(name, None)  # so that the order is that of running
        outputs[name] = output

    modules = dict(model.named_modules())
    handles = [modules[name].register_forward_hook(partial(keep, name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def embedding(output: Tensor) -> Tensor:
    """One vector an image, maps and tokens averaged over their places: (n, c, h, w), (n, t, c) or (n, c) -> (n, c)."""
    if output.ndim == 4:
        return output.mean(dim=(2, 3))
    return output.mean(dim=1) if output.ndim == 3 else output


def _places(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """The names of activations, and of blocks that are one piece, from the outside in."""
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        has_children = next(child.children(), None) is not None
        if isinstance(child, ACTIVATIONS):
            yield path
        elif isinstance(child, nn.Sequential | nn.ModuleList):
            yield from _places(child, f"{path}.")
        elif has_children and next(child.parameters(), None) is not None:
            yield path


def _weighted(model: nn.Module) -> Iterator[str]:
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    return (name for name, module in model.named_modules() if name and isinstance(module, kinds))
