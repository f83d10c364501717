"""Importance: how much each channel of a group matters. The channels with the smallest scores go first.

Some scores look at the weights alone, others at what the channel does for calibration data. Each is a pure function of
tensors; `channel_scores` takes those tensors out of the network.

    l1, l2             the size of the weights that make the channel
    batch norm scale   the size of the factor that a batch norm multiplies it by
    taylor             by how much the loss changes without it, to first order: |gradient x activation|
    activation mean    the mean size of what its readers get
    random             nothing: what any other score must beat

References:
    l1: Li et al., Pruning filters for efficient ConvNets, 2017, arXiv 1608.08710.
    batch norm scale: Liu et al., Learning efficient convolutional networks through network slimming, 2017, arXiv
    1708.06519.
    taylor, beside the activation mean: Molchanov et al., Pruning convolutional neural networks for resource efficient
    inference, 2016, arXiv 1611.06440; over whole groups: Importance estimation for neural network pruning, 2019, arXiv
    1906.10771.

Where we simplify: Molchanov 2016 scales the scores of each layer to length 1; we compare layers as `channels_to_keep`
says. At work: `torch_pruning.importance`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from efflab.data import Classification, Data
from efflab.prune.structure.groups import Group
from efflab.training import copy_model, safe_layout

CHUNK = 100
"""Calibration examples at a time."""


def l1(weights: Sequence[Tensor]) -> Tensor:
    """The sum of magnitudes, over all layers that make the channel. weights: each (channels, ...) -> (channels,).

    Example:
        >>> l1([torch.tensor([[1.0, -2.0], [0.0, 1.0]]), torch.tensor([[3.0], [4.0]])])
        tensor([6., 5.])
    """
    return torch.stack([weight.flatten(1).abs().sum(dim=1) for weight in weights]).sum(dim=0)


def l2(weights: Sequence[Tensor]) -> Tensor:
    """The Euclidean length, over all layers that make the channel. weights: each (channels, ...) -> (channels,)."""
    return torch.stack([weight.flatten(1).square().sum(dim=1) for weight in weights]).sum(dim=0).sqrt()


def random(size: int, generator: torch.Generator) -> Tensor:
    """Random numbers between 0 and 1: (size,)."""
    return torch.rand(size, generator=generator)


def taylor(activation: Tensor, gradient: Tensor) -> Tensor:
    """The change of each example's loss without the channel, to first order; its size, and of that the mean.

    activation, and the gradient of each example's own loss by it: (n, channels, positions) -> (channels,).
    """
    return (activation * gradient).sum(dim=2).abs().mean(dim=0)


def activation_mean(activation: Tensor) -> Tensor:
    """The mean magnitude of what is read of the channel. activation: (n, channels, positions) -> (channels,)."""
    return activation.abs().mean(dim=(0, 2))


def channel_scores(
    model: nn.Module, found: Sequence[Group], importance: str, *, data: Data, seed: int = 0
) -> dict[str, Tensor]:
    """The score of every channel of every group; higher matters more. {group: (size,)}.

    Args:
        model: stays as it is; it is run in evaluation mode.
        found: groups of this model.
        importance: "l1", "l2", "batch norm scale", "taylor", "activation mean" or "random".
        data: its calibration split is used by "taylor" and "activation mean" only.
        seed: used by "random" only.

    Raises:
        ValueError: another importance, or "batch norm scale" and a group without a batch norm.

    References: as at the top of this module.
    """
    if importance == "random":
        generator = torch.Generator().manual_seed(seed)
        return {group.name: random(group.size, generator) for group in found}
    if importance in ("taylor", "activation mean"):
        return _from_data(model, found, importance, data)
    of_weights = {"l1": (l1, _rows), "l2": (l2, _rows), "batch norm scale": (l1, _scales)}
    if importance not in of_weights:
        raise ValueError(
            f"importance must be one of {', '.join(of_weights)}, taylor, activation mean, random, not {importance!r}"
        )
    score, tensors = of_weights[importance]
    return {group.name: score(tensors(model, group)) for group in found}


def _rows(model: nn.Module, group: Group) -> list[Tensor]:
    """The weights that make the channels: each (channels, ...)."""
    makers = ((model.get_submodule(one.layer), one) for one in group.members if one.side == "out")
    return [_weight(layer)[one.part(group.size)] for layer, one in makers]


def _weight(layer: nn.Module) -> Tensor:
    """The weight, a row for each channel that it makes; a transposed convolution has its columns first."""
    weight = layer.get_parameter("weight").detach()
    return weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight


def _scales(model: nn.Module, group: Group) -> list[Tensor]:
    """The scales of the group's batch norms: each (channels, repeat)."""
    passed = ((model.get_submodule(one.layer), one) for one in group.members if one.side == "through")
    norms = [
        (layer.weight.detach(), one)
        for layer, one in passed
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.affine
    ]
    if not norms:
        raise ValueError(
            f"importance 'batch norm scale' needs a batch norm with a scale after {group.name!r}, and there is none; "
            "'l1' needs none"
        )
    return [scale[one.part(group.size)].reshape(group.size, -1) for scale, one in norms]


def _from_data(model: nn.Module, found: Sequence[Group], importance: str, data: Data) -> dict[str, Tensor]:
    """Scores that are a mean over the calibration examples."""
    scores = {group.name: torch.zeros(group.size) for group in found}
    images, labels = data.calibration.images, data.calibration.labels
    for some, their in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
        read = _readings(model, found, data.task, some, their)
        for name, (activation, gradient) in read.items():
            score = taylor(activation, gradient) if importance == "taylor" else activation_mean(activation)
            scores[name] += score * len(some) / len(images)
    return scores


def _readings(
    model: nn.Module, found: Sequence[Group], task: Classification, images: Tensor, labels: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """What the readers of each group get, and each example's own gradient: (n, size, positions of all readers)."""
    twin, seen = copy_model(model).eval().requires_grad_(True), dict[str, Tensor]()
    safe_layout(twin)
    for name in {name for group in found for name in group.layers("in")}:
        twin.get_submodule(name).register_forward_pre_hook(_remember(seen, name))
    with torch.inference_mode(False), torch.enable_grad():
        mean = task.loss(twin(images.clone()), labels.clone())
        slopes = torch.autograd.grad(mean * len(images), list(seen.values()), allow_unused=True, materialize_grads=True)
    gradients = dict(zip(seen, slopes, strict=True))
    return {
        group.name: (_together(twin, group, seen), _together(twin, group, gradients))
        for group in found
        if group.layers("in")
    }


def _remember(seen: dict[str, Tensor], name: str) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
    """A hook that gives a reader its own copy of its input, so that its gradient is by what this reader does."""

    def hook(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        seen[name] = inputs[0].clone()
        return (seen[name], *inputs[1:])

    return hook


def _together(model: nn.Module, group: Group, tensors: Mapping[str, Tensor]) -> Tensor:
    """What all readers have of each channel: (n, channels, positions)."""
    parts = []
    for one in (member for member in group.members if member.side == "in"):
        dim = -1 if isinstance(model.get_submodule(one.layer), nn.Linear) else 1
        parts.append(
            tensors[one.layer].detach().movedim(dim, 1)[:, one.part(group.size)]
        )  # (n, channels * repeat, ...)
    return torch.cat([part.reshape(len(part), group.size, -1) for part in parts], dim=2)
