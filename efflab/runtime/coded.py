"""Layers whose weights come from a code: numbers beside the weight say which values it may have.

There are two codes. On a *grid* the values are equally far apart, and an integer says which (`quantized.py`); in a
*codebook* they lie anywhere, and an index says which (`shared.py`). In both the weight is still there as floats, and
the layer is still a linear layer or a convolution, so whatever takes such a layer takes this one.

What moves a weight leaves the code behind: training, cutting, and saving as floats ask here first, and their sentence
names the order that works.

Where we simplify: the floats are kept beside the code. At work: a runtime whose kernels read the code.
"""

import copy
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
PLAIN = (nn.Linear, nn.Conv2d)
"""The layers that can get a code, no subclasses of them."""


class Coded(nn.Module):
    """What all layers with a code have in common; `weight` is what the code stands for."""

    weight: Tensor
    beside: ClassVar[tuple[str, ...]]
    """The attributes that a plain layer does not have."""
    encode: ClassVar[str]
    """What one does to get such a code: "quantize" or "share"."""

    @property
    def has_coded_weight(self) -> bool:
        """Whether the weight has a code; a layer may have one for its activations only."""
        return True

    @property
    def code(self) -> str:
        """What lies where, for a sentence: "its weights on a grid of 8 bits"."""
        raise NotImplementedError


def as_floats(model: M) -> M:
    """A copy of `model` whose layers are plain again: the same weights, and nothing about a code.

    It answers as the model does, unless activations lay on grids. It can be trained, cut and saved as any other; its
    weights then leave the code.
    """
    with torch.inference_mode(False):
        floats = copy.deepcopy(model)
    for layer in coded_layers(floats).values():
        for name in layer.beside:
            delattr(layer, name)
        layer.__class__ = next(kind for kind in PLAIN if isinstance(layer, kind))  # type: ignore[assignment]
    return floats


def coded_layers(model: nn.Module) -> dict[str, Coded]:
    """The layers whose weights come from a code, by name; the model itself is "model"."""
    return {name or "model": layer for name, layer in model.named_modules() if isinstance(layer, Coded)}


def refuse_coded(model: nn.Module, why: str, kind: type[Coded] = Coded, *, weights_only: bool = False) -> None:
    """Raise ValueError if a layer of this kind has a code; with `weights_only`, its activations may have one.

    `why` says what would happen to it, and which order works; "{encode}" in it becomes what is done to get such a code.
    """
    for name, layer in coded_layers(model).items():
        if isinstance(layer, kind) and (layer.has_coded_weight or not weights_only):
            raise ValueError(f"layer {name!r} has {layer.code}, and {why.format(encode=layer.encode)}")
