"""What goes into some layers of a network and what comes out of them, on some images.

Two techniques ask: one corrects the mean of what comes out, the other rounds so that it changes little.

Where we simplify: everything is kept in memory. At work: batches, as for any data set.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from efflab.runtime.export import evaluating


@dataclass(frozen=True, eq=False)
class Seen:
    """Inputs and outputs of a layer, image by image; of a layer that runs several times, one run after the other."""

    inputs: Tensor
    outputs: Tensor


def watch(model: nn.Module, images: Tensor, names: Iterable[str]) -> dict[str, Seen]:
    """What some layers read and give in evaluation mode, in the order in which they run; "model" is the model itself.

    images: (n, c, h, w). A layer that does not run is not there.

    Example:
        >>> watch(nn.Sequential(nn.Flatten(), nn.ReLU()), torch.tensor([[[[-1.0, 2.0]]]]), ["1"])["1"].outputs
        tensor([[0., 2.]])
    """
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def look(name: str, _: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        seen.setdefault(name, []).append((inputs[0], outputs))

    modules = modules_of(model)
    handles = [modules[name].register_forward_hook(partial(look, name)) for name in names]
    try:
        with torch.no_grad(), evaluating(model):
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return {name: Seen(*(torch.cat(runs) for runs in zip(*both, strict=True))) for name, both in seen.items()}


def modules_of(model: nn.Module) -> dict[str, nn.Module]:
    """All modules by name; the model itself is "model"."""
    return {name or "model": module for name, module in model.named_modules()}
