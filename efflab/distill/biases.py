"""Biases: what keeps a network from an answer that it could give.

A student that was distilled without any image of one class has still heard of it, in the teacher's soft answers to the
other images. But the bias of that class was learned where the class never came, and is far too low. Raised by one
number, it lets the network say what it knows.

Reference: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015, arXiv 1503.02531, section 3.

Where we simplify: the number is yours, or the best one on validation data (`efflab.lab.missing`), where the class does
occur. At work: logit adjustment, which computes it from how often each class occurs.
"""

from typing import Annotated

import torch
from torch import nn

from efflab.knobs import Range, technique
from efflab.training import copy_model

Label = Annotated[int, Range(0, 99, 1, "number of the class whose bias moves")]
By = Annotated[float, Range(-10.0, 10.0, 0.1, "what is added to its bias")]


@technique
def shift_bias(model: nn.Module, *, label: Label = 0, by: By = 1.0) -> nn.Module:
    """A copy of `model` whose last linear layer has `by` more in the bias of class `label`; all else stays.

    So the logit of this class is larger by that number for each image, and no other logit moves.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> shifted = shift_bias(layer, label=1, by=3.5)
        >>> (shifted(torch.ones(1, 2)) - layer(torch.ones(1, 2))).round(decimals=4).tolist()
        [[0.0, 3.5, 0.0]]

    Raises:
        ValueError: there is no linear layer, the last one has no bias, or it has no such class.

    Reference: Hinton et al., 2015, arXiv 1503.02531, section 3.
    """
    shifted = copy_model(model)
    bias = _last_bias(shifted)
    if label >= len(bias):
        raise ValueError(f"label must be a class of this network, which tells {len(bias)} classes apart, not {label}")
    with torch.no_grad():
        bias[label] += by
    return shifted


def _last_bias(model: nn.Module) -> nn.Parameter:
    """The bias of the linear layer that comes last among the modules: (classes,)."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if not layers:
        raise ValueError(f"{type(model).__name__} has no linear layer, so no class has a bias that could move")
    name, layer = list(layers.items())[-1]
    bias: nn.Parameter | None = layer.bias
    if bias is None:
        raise ValueError(f"layer {name!r}, the last linear one of {type(model).__name__}, has no bias that could move")
    return bias
