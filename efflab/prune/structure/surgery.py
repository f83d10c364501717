"""Surgery: cut channels out of every layer of their group, so that the layers are smaller and really take less time.

`zero` sets the same numbers to zero and leaves the shapes: the network answers the same, and is not faster. `remove`
compares the two on an example before it returns, so a path that was not understood is an error, not a wrong network.

Reference: Li et al., Pruning filters for efficient ConvNets, 2017, arXiv 1608.08710, section 3.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from efflab.models.networks import Network
from efflab.prune.structure.groups import Group, groups
from efflab.prune.structure.spaces import Member
from efflab.prune.structure.tracing import answer, example
from efflab.runtime.export import evaluating, reason
from efflab.training import copy_model

M = TypeVar("M", bound=nn.Module)


def remove(model: M, shape: tuple[int, ...], kept: Mapping[str, Tensor]) -> M:
    """A copy of `model` with smaller layers: channels that `kept` does not keep are cut out of every member.

    Batch norms lose their running statistics for them, too. A `models.Network` that got smaller has no `architecture`
    any more, for that would build another network.

    Args:
        model: stays as it is.
        shape: of one input, without the batch.
        kept: {group: (size,), bool, True = stays}; groups that it does not name keep all.

    Raises:
        ValueError: a group is not there, must stay whole, or would be empty; a mask does not fit; the smaller network
            would not answer as the zeroed one does.

    Reference: Li et al., 2017, arXiv 1608.08710.
    """
    found, smaller = groups(model, shape), copy_model(model)
    with torch.inference_mode(False), torch.no_grad():
        for layer, member, stays in _parts(smaller, found, kept):
            _cut(layer, member.side == "in", stays)
    if isinstance(smaller, Network) and not all(bool(mask.all()) for mask in kept.values()):
        del smaller.architecture
    _check_answers(smaller, _zero(model, found, kept), shape)
    return smaller


def zero(model: M, shape: tuple[int, ...], kept: Mapping[str, Tensor]) -> M:
    """A copy of `model` in which the channels that `kept` does not keep are zero: their rows, columns, scales, shifts.

    Arguments and errors are those of `remove`, and so are the answers; the shapes stay.

    Raises:
        ValueError: a group is not there, must stay whole, or would be empty; a mask does not fit.
    """
    return _zero(model, groups(model, shape), kept)


def _zero(model: M, found: Sequence[Group], kept: Mapping[str, Tensor]) -> M:
    zeroed = copy_model(model)
    with torch.inference_mode(False), torch.no_grad():
        for layer, member, stays in _parts(zeroed, found, kept):
            if member.side == "in":
                layer.get_parameter("weight")[:, ~stays] = 0
                continue
            for parameter in layer.parameters():
                parameter[~stays] = 0
    return zeroed


def _parts(
    model: nn.Module, found: Sequence[Group], kept: Mapping[str, Tensor]
) -> Iterator[tuple[nn.Module, Member, Tensor]]:
    """Each layer that loses something, its part, and which of its rows or columns stay."""
    by_name = {group.name: group for group in found}
    if unknown := sorted(set(kept) - set(by_name)):
        raise ValueError(f"kept names {unknown[0]!r}; the groups are: {', '.join(by_name)}")
    for name, mask in kept.items():
        group = by_name[name]
        _check_mask(name, mask, group.size)
        if mask.all():
            continue
        if group.frozen:
            raise ValueError(f"the channels of {name!r} must stay, because {group.frozen}")
        for member in group.members:
            yield model.get_submodule(member.layer), member, mask.repeat_interleave(member.repeat)


def _check_mask(name: str, mask: Tensor, size: int) -> None:
    if mask.dtype != torch.bool or mask.shape != (size,):
        raise ValueError(f"kept[{name!r}] must be bool of shape ({size},), not {mask.dtype} of {tuple(mask.shape)}")
    if not mask.any():
        raise ValueError(f"kept[{name!r}] removes all {size} channels; at least one must stay")


def _cut(layer: nn.Module, columns: bool, stays: Tensor) -> None:
    """Take rows, or columns, out of a layer, and write its new widths."""
    tensors = [(name, one) for name, one in layer.named_parameters() if name == "weight" or not columns]
    for name, parameter in tensors:
        setattr(layer, name, nn.Parameter(_part(parameter, stays, int(columns)), parameter.requires_grad))
    n = int(stays.count_nonzero())
    if isinstance(layer, nn.Linear):
        setattr(layer, "in_features" if columns else "out_features", n)
    elif isinstance(layer, nn.Conv2d):
        _resize(layer, columns, n)
    elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        layer.num_features = n
        if layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean = _part(layer.running_mean, stays)
            layer.running_var = _part(layer.running_var, stays)


def _resize(layer: nn.Conv2d, columns: bool, n: int) -> None:
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


def _check_answers(smaller: nn.Module, zeroed: nn.Module, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless both answer alike; the tolerance is a thousand times the rounding of one number."""
    images = example(zeroed, shape)
    with evaluating(smaller), evaluating(zeroed):
        expected = answer(zeroed, images)
        try:
            found = answer(smaller, images)
        except Exception as error:  # anybody's model, so anything may be raised
            raise ValueError(
                f"without these channels {type(smaller).__name__} does not run: {reason(error)}"
            ) from error
    tolerance = 1000 * torch.finfo(expected.dtype).eps * (1 + float(expected.abs().max()))
    if not torch.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True):
        raise ValueError(
            f"without these channels {type(smaller).__name__} does not answer as it does with zeros in their place, so "
            "its forward pass does something that was not understood; it stays as it was"
        )
