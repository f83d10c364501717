"""Shapes: how wide each layer is, in numbers that fit into JSON, and a network made as narrow as such numbers say.

A pruned network is of no class of its own: the same layers run in the same order, and some are narrower. So it needs no
pickle, which would run whatever code its author put there. It is the network it was cut from, a few whole numbers, and
its weights:

    Linear, Conv2d          "out" and "in"; a convolution also its "groups"
    BatchNorm1d and 2d      "out"
    SelfAttention           "heads"

Numbers that come from a file are checked: each must be whole, positive, and no larger than what the layer has.

Where we simplify: other layers keep their shapes, and what your own module counts in attributes of its own stays as it
was. At work: `torch_pruning.state_dict`, or pickle between people who trust each other.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from efflab.models.transformer import SelfAttention
from efflab.runtime.coded import Coded
from efflab.training import copy_model

M = TypeVar("M", bound=nn.Module)
Shapes = Mapping[str, Mapping[str, int]]
"""{layer: {"out": n, "in": m, ...}}"""

WIDTHS: dict[type[nn.Module], dict[str, str]] = {
    nn.Linear: {"out": "out_features", "in": "in_features"},
    nn.Conv2d: {"out": "out_channels", "in": "in_channels", "groups": "groups"},
    nn.BatchNorm1d: {"out": "num_features"},
    nn.BatchNorm2d: {"out": "num_features"},
    SelfAttention: {"heads": "n_heads"},
}
"""What is written of a layer -> the attribute that it is."""


def layer_shapes(model: nn.Module) -> dict[str, dict[str, int]]:
    """The widths of every layer that has some, by its name.

    Example:
        >>> layer_shapes(nn.Sequential(nn.Linear(4, 2), nn.ReLU()))
        {'0': {'out': 2, 'in': 4}}
    """
    found = ((name, _widths(layer)) for name, layer in model.named_modules())
    return {name: widths for name, widths in found if widths}


def narrow(model: M, shapes: Shapes) -> M:
    """A copy of `model` whose layers are as narrow as `shapes` says: the first rows and columns of their numbers.

    Layers that `shapes` does not name keep theirs.

    Example:
        >>> narrow(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), {"0": {"out": 1, "in": 4}})[0].weight.shape
        torch.Size([1, 4])

    Raises:
        ValueError: a layer is not there or has no widths, or a width is no whole number from 1 to what the layer has.
    """
    if not isinstance(shapes, Mapping):
        raise ValueError(f'shapes must be {{layer: {{"out": n, "in": m}}}}, not {shapes!r:.80}')
    smaller = copy_model(model)
    layers = dict(smaller.named_modules())
    for name, wanted in shapes.items():
        if name not in layers:
            raise ValueError(f"shapes names the layer {name!r:.80}, and {type(model).__name__} has none of that name")
        _check(name, layers[name], wanted)
    for name, wanted in shapes.items():
        _narrow(layers[name], wanted)
    for name, layer in layers.items():
        if isinstance(layer, SelfAttention) and layer.q.out_features != layer.n_heads * layer.head_dim:
            raise ValueError(
                f"{name!r} must be {layer.n_heads} heads of {layer.head_dim} numbers, which is not "
                f"{layer.q.out_features}"
            )
    return smaller


def differing(model: nn.Module, full: nn.Module) -> dict[str, dict[str, int]]:
    """The widths of those layers of `model` that are not as wide as in `full`."""
    whole = layer_shapes(full)
    return {name: widths for name, widths in layer_shapes(model).items() if widths != whole.get(name)}


def _attributes(layer: nn.Module) -> dict[str, str]:
    return next((attributes for kind, attributes in WIDTHS.items() if isinstance(layer, kind)), {})


def _widths(layer: nn.Module) -> dict[str, int]:
    return {key: getattr(layer, attribute) for key, attribute in _attributes(layer).items()}


def _check(name: str, layer: nn.Module, wanted: Any) -> None:
    """Raise ValueError unless the layer can be made as narrow as is wanted."""
    has = _widths(layer)
    if not has:
        raise ValueError(f"layer {name!r} is a {type(layer).__name__}, which has no width that shapes could name")
    if isinstance(layer, Coded):
        raise ValueError(
            f"layer {name!r} has {layer.code}, which belongs to the width that it has: narrow the network "
            f"first, and {layer.encode} what is left"
        )
    if not isinstance(wanted, Mapping) or set(wanted) != set(has):
        raise ValueError(f"the shapes of {name!r} must be {', '.join(has)}, as in {has}, not {wanted!r:.80}")
    for key, most in has.items():
        if type(wanted[key]) is not int or not 1 <= wanted[key] <= most:
            raise ValueError(f"{key!r} of {name!r} must be a whole number from 1 to {most}, not {wanted[key]!r:.80}")
    groups = wanted.get("groups", 1)
    if groups > 1 and (wanted["in"] % groups or wanted["out"] % groups):
        raise ValueError(f"{name!r} in {groups} groups must read and make a multiple of that, not {dict(wanted)}")


def _narrow(layer: nn.Module, wanted: Mapping[str, int]) -> None:
    for key, attribute in _attributes(layer).items():
        setattr(layer, attribute, wanted[key])
    for name, tensor in _tensors(layer):
        part = tensor.detach()
        for dim, n in enumerate(_size(tensor, wanted)):
            part = part.narrow(dim, 0, n)
        if part.shape != tensor.shape:  # what stays may be shared with another layer
            part = part.clone()
            setattr(layer, name, nn.Parameter(part, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else part)


def _tensors(layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    if not isinstance(layer, SelfAttention):
        yield from list(layer.named_parameters(recurse=False))
        yield from list(layer.named_buffers(recurse=False))


def _size(tensor: Tensor, wanted: Mapping[str, int]) -> tuple[int, ...]:
    """What a tensor's first dimensions become: rows, and the columns that one group reads."""
    return (wanted["out"], wanted.get("in", 0) // wanted.get("groups", 1))[: min(tensor.ndim, 2)]
