"""Cutting and zeroing the channels of groups that are known, whoever found them, and comparing the two.

A row or column of a layer is named by its place in the layer as it was, so all that goes is gathered first, and every
layer is cut once.

Reference: Li et al., Pruning filters for efficient ConvNets, 2017, arXiv 1608.08710, section 3.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from efflab.prune.structure.groups import Group
from efflab.prune.structure.tracing import answer, example
from efflab.runtime.export import evaluating, reason
from efflab.training import copy_model

M = TypeVar("M", bound=nn.Module)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d)
CUT = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.PReLU, *NORMS)
"""Layers whose rows and columns are known here."""


def cut_channels(model: M, found: Sequence[Group], kept: Mapping[str, Tensor]) -> M:
    """A copy of `model` with smaller layers: what `kept` does not keep is cut out. kept: {group: (size,), bool}.

    Raises:
        ValueError: a group is not there, must stay whole, or would be empty; a mask does not fit.
    """
    smaller = copy_model(model)
    with torch.inference_mode(False), torch.no_grad():
        for (name, columns), stays in _parts(model, found, kept).items():
            _cut(smaller.get_submodule(name), columns, stays)
    return smaller


def zero_channels(model: M, found: Sequence[Group], kept: Mapping[str, Tensor]) -> M:
    """A copy of `model` in which the same numbers are zero instead; arguments and errors as of `cut_channels`."""
    zeroed = copy_model(model)
    with torch.inference_mode(False), torch.no_grad():
        for (name, columns), stays in _parts(model, found, kept).items():
            layer = zeroed.get_submodule(name)
            for parameter, dim in _tensors(layer, columns):
                layer.get_parameter(parameter).index_fill_(dim, (~stays).nonzero().flatten().to(_device(layer)), 0)
    return zeroed


def difference(smaller: nn.Module, zeroed: nn.Module, shape: tuple[int, ...]) -> str:
    """What the smaller network does not do as the zeroed one does, on an example; nothing if all is well.

    The tolerance is a hundred times the rounding of the largest answer: 1.2e-5 of it for float32.
    """
    images = example(zeroed, shape)
    with evaluating(smaller), evaluating(zeroed):
        expected = answer(zeroed, images)
        try:
            found = answer(smaller, images)
        except Exception as error:  # anybody's model, so anything may be raised
            return f"does not run: {reason(error)}"
    tolerance = 100 * torch.finfo(expected.dtype).eps * float(expected.abs().max())
    if found.shape != expected.shape or not torch.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True):
        return "does not answer as it does with zeros in their place"
    return ""


def width(layer: nn.Module, columns: bool) -> int:
    """How many channels a layer of `CUT` reads, or makes."""
    if isinstance(layer, NORMS):
        return layer.num_features
    name, dim = _tensors(layer, columns)[0]
    return layer.get_parameter(name).shape[dim]


def _parts(model: nn.Module, found: Sequence[Group], kept: Mapping[str, Tensor]) -> dict[tuple[str, bool], Tensor]:
    """Which rows or columns stay, of each layer that loses some: {(layer, columns): (width,), bool}."""
    by_name = {group.name: group for group in found}
    if unknown := sorted(set(kept) - set(by_name)):
        raise ValueError(f"kept names {unknown[0]!r}; the groups are: {', '.join(by_name)}")
    parts: dict[tuple[str, bool], Tensor] = {}
    for name, mask in kept.items():
        group = by_name[name]
        _check_mask(name, mask, group.size)
        if mask.all():
            continue
        if group.frozen:
            raise ValueError(f"the channels of {name!r} must stay, because {group.frozen}")
        for member in group.members:
            columns = member.side == "in"
            whole = torch.ones(width(model.get_submodule(member.layer), columns), dtype=torch.bool)
            stays = parts.setdefault((member.layer, columns), whole)
            stays[member.part(group.size)] &= mask.repeat_interleave(member.repeat)
    return parts


def _check_mask(name: str, mask: Tensor, size: int) -> None:
    if mask.dtype != torch.bool or mask.shape != (size,):
        raise ValueError(f"kept[{name!r}] must be bool of shape ({size},), not {mask.dtype} of {tuple(mask.shape)}")
    if not mask.any():
        raise ValueError(f"kept[{name!r}] removes all {size} channels; at least one must stay")


def _tensors(layer: nn.Module, columns: bool) -> list[tuple[str, int]]:
    """The parameters that hold the channels, and along which dimension."""
    turned = isinstance(layer, nn.ConvTranspose2d)  # its weight has the columns first
    if columns:
        return [("weight", 0 if turned else 1)]
    return [(name, int(turned and name == "weight")) for name, _ in layer.named_parameters()]


def _device(layer: nn.Module) -> torch.device:
    return next(layer.parameters()).device


def _cut(layer: nn.Module, columns: bool, stays: Tensor) -> None:
    """Take rows, or columns, out of a layer, and write its new widths."""
    for name, dim in _tensors(layer, columns):
        parameter = layer.get_parameter(name)
        setattr(layer, name, nn.Parameter(_part(parameter, stays, dim), parameter.requires_grad))
    n = int(stays.count_nonzero())
    if isinstance(layer, nn.Linear):
        setattr(layer, "in_features" if columns else "out_features", n)
    elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        _resize(layer, columns, n)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = n
    elif isinstance(layer, NORMS):
        layer.num_features = n
        if layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean = _part(layer.running_mean, stays)
            layer.running_var = _part(layer.running_var, stays)


def _resize(layer: nn.Conv2d | nn.ConvTranspose2d, columns: bool, n: int) -> None:
    """A depthwise convolution has one group for each channel that it reads."""
    multiplier = layer.out_channels // layer.in_channels
    if columns:
        layer.in_channels = n
        return
    layer.out_channels = n
    if layer.groups > 1:
        layer.in_channels = layer.groups = n // multiplier


def _part(tensor: Tensor, stays: Tensor, dim: int = 0) -> Tensor:
    """What stays along `dim`, in memory of its own; kernels with channels last stay so."""
    part = tensor.detach().index_select(dim, stays.nonzero().flatten().to(tensor.device))
    is_last = tensor.ndim == 4 and tensor.stride() != torch.empty(tensor.shape, device="meta").stride()
    return part.contiguous(memory_format=torch.channels_last) if is_last else part
