"""Surgery: cut channels out of every layer of their group, so that the layers are smaller and really take less time.

`zero` sets the same numbers to zero and leaves the shapes: the network answers the same, and is not faster. `remove`
compares the two on an example before it returns, so a path that was not understood is an error, not a wrong network.

Reference: Li et al., Pruning filters for efficient ConvNets, 2017, arXiv 1608.08710, section 3.
"""

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

from efflab.prune.structure.cutting import cut_channels, difference, zero_channels
from efflab.prune.structure.rules import find_groups

M = TypeVar("M", bound=nn.Module)


def remove(model: M, shape: tuple[int, ...], kept: Mapping[str, Tensor], rules: str = "efflab") -> M:
    """A copy of `model` with smaller layers: channels that `kept` does not keep are cut out of every member.

    Batch norms lose their running statistics for them, too. A `models.Network` keeps the `architecture` that it was cut
    from.

    Args:
        model: stays as it is.
        shape: of one input, without the batch.
        kept: {group: (size,), bool, True = stays}; groups that it does not name keep all.
        rules: which rules follow the channels, "efflab" or "torch-pruning".

    Raises:
        ValueError: a group is not there, must stay whole, or would be empty; a mask does not fit; the smaller network
            would not answer as the zeroed one does.

    Reference: Li et al., 2017, arXiv 1608.08710.
    """
    found = find_groups(model, shape, rules)
    smaller = cut_channels(model, found, kept)
    if why := difference(smaller, zero_channels(model, found, kept), shape):
        raise ValueError(
            f"without these channels {type(model).__name__} {why}, so its forward pass does something that was not "
            "understood; it stays as it was"
        )
    return smaller


def zero(model: M, shape: tuple[int, ...], kept: Mapping[str, Tensor], rules: str = "efflab") -> M:
    """A copy of `model` in which the channels that `kept` does not keep are zero: their rows, columns, scales, shifts.

    Arguments and errors are those of `remove`, and so are the answers; the shapes stay.

    Raises:
        ValueError: a group is not there, must stay whole, or would be empty; a mask does not fit.
    """
    return zero_channels(model, find_groups(model, shape, rules), kept)
