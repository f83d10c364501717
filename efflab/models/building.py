"""Build a network by name and seed: the same seed gives the same weights, bit for bit, on one machine."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from efflab.models.networks import Architecture, Network, cnn, lenet5, mlp, resnet8
from efflab.models.transformer import HEAD_DIM, vit
from efflab.runtime.coded import refuse_coded

M = TypeVar("M", bound=nn.Module)

NETWORKS: dict[str, Callable[[Architecture], Network]] = {
    "mlp": mlp,
    "lenet5": lenet5,
    "cnn": cnn,
    "resnet8": resnet8,
    "vit": vit,
}
MOST_BLOCKS = 100
"""More of them in a `vit` are a mistake, or a file that means harm."""


def build(
    name: str,
    *,
    seed: int = 0,
    shape: tuple[int, int, int] = (1, 28, 28),
    n_classes: int = 10,
    sizes: tuple[int, ...] = (),
) -> Network:
    """A new network with random weights, in evaluation mode.

    `name` is one of NETWORKS; `shape` is channels, height and width of one image; `sizes` are the widths (hidden units
    of an `mlp`, channels of the first layer of a `cnn` or `resnet8`, width and number of blocks of a `vit`); empty
    means the usual ones.

    Example:
        >>> build("mlp", sizes=(300, 100)).output
        Linear(in_features=100, out_features=10, bias=True)

    Raises:
        ValueError: unknown name, or a number that no network can be built with.
    """
    return build_from(Architecture(name, shape, n_classes, sizes), seed=seed)


def build_from(architecture: Architecture, *, seed: int = 0) -> Network:
    """A new network of an architecture, with random weights, in evaluation mode.

    Raises:
        ValueError: as `build`.
    """
    _check(architecture)
    with torch.random.fork_rng(devices=[]):  # torch's initialisers draw from the global generator: give it back after
        torch.manual_seed(seed)
        network = NETWORKS[architecture.name](architecture)
    return channels_last(network).eval()


def channels_last(model: M) -> M:
    """The model itself, its kernels stored with channels last: on a CPU it then evaluates in about half the time."""
    for parameter in model.parameters():
        if parameter.ndim == 4:  # `model.to` would refuse a model that has a 3-d convolution as well
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


def reset_weights(model: nn.Module, *, seed: int) -> None:
    """Draw all weights of `model` anew, in place, each layer by its own usual rule.

    Raises:
        ValueError: a layer has weights but no rule to draw them (`reset_parameters`), or has them in a code.
    """
    refuse_coded(model, "new ones would not lie on it: draw new ones first, and {encode} what comes out")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, module in model.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            elif next(module.parameters(recurse=False), None) is not None:
                kind = type(module).__name__
                raise ValueError(f"layer {name!r} ({kind}) has no reset_parameters(), so it cannot start anew")


def _check(architecture: Architecture) -> None:
    name, sizes = architecture.name, architecture.sizes
    if name not in NETWORKS:
        raise ValueError(f"name must be one of {', '.join(NETWORKS)}, not {name!r}")
    if len(architecture.shape) != 3 or any(not isinstance(n, int) or n < 1 for n in architecture.shape):
        raise ValueError(f"shape must be three positive numbers (channels, height, width), not {architecture.shape}")
    if not isinstance(architecture.n_classes, int) or architecture.n_classes < 2:
        raise ValueError(f"n_classes must be 2 or more, not {architecture.n_classes!r}")
    if any(not isinstance(n, int) or n < 1 for n in sizes):
        raise ValueError(f"sizes must be positive whole numbers, not {sizes}")
    n_allowed = {"mlp": None, "lenet5": (0,), "cnn": (0, 1), "resnet8": (0, 1), "vit": (0, 2)}[name]
    if n_allowed is not None and len(sizes) not in n_allowed:
        raise ValueError(f"{name} takes {' or '.join(map(str, n_allowed))} sizes, not {len(sizes)}: {sizes}")
    if name == "lenet5" and min(architecture.shape[1:]) < 16:
        raise ValueError(f"lenet5 needs images of at least 16x16, not {architecture.shape[1]}x{architecture.shape[2]}")
    if name == "vit":
        _check_vit(architecture)


def _check_vit(architecture: Architecture) -> None:
    dim, depth = architecture.sizes or (HEAD_DIM, 1)
    if min(architecture.shape[1:]) < 2:
        raise ValueError(f"vit needs images of at least 2x2, not {architecture.shape[1]}x{architecture.shape[2]}")
    if dim % HEAD_DIM:
        raise ValueError(f"the width of a vit must be a multiple of {HEAD_DIM}, the width of a head, not {dim}")
    if depth > MOST_BLOCKS:
        raise ValueError(f"a vit has at most {MOST_BLOCKS} blocks, not {depth}")
