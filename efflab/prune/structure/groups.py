"""Dependency groups: which channels, of which layers, have to go together.

A filter is a row of the layer that makes a channel. Whoever reads that channel has a column for it, and a batch norm
between the two has a scale and a shift for it. Where two layers are added, channel 3 of the one is added to channel 3
of the other: both stay or go. So the channels of each tensor belong to a *space*, and a few rules (`following.py`)
say what an operation does with it:

    linear, convolution                  reads the space of its input, and opens a new one for its output
    batch norm, depthwise convolution    belongs to the space and hands it on
    activation, dropout, pooling         hands it on
    sum or product of two                joins two spaces to one (a residual block)
    flatten                              hands it on, each channel h*w times in a row

What has no rule freezes the spaces that it touches, with the reason: better a channel too many than a wrong cut.

Reference: Fang et al., DepGraph: towards any structural pruning, 2023, arXiv 2301.12900.

Where we simplify: concatenation, reshaping, attention and convolutions in groups are not followed. At work:
Torch-Pruning, which `anything.py` asks for groups of the same form, and which our tests compare with.
"""

from dataclasses import dataclass

from torch import nn

from efflab.prune.structure.following import Follower
from efflab.prune.structure.spaces import Member, Side, Space
from efflab.prune.structure.tracing import trace


@dataclass(frozen=True)
class Group:
    """`size` channels, each of which is a part of every member; named after the first layer that makes them."""

    name: str
    size: int
    members: tuple[Member, ...]
    frozen: str
    """Why none of them may go; empty if they may."""

    def layers(self, side: Side) -> tuple[str, ...]:
        """The names of the layers on one side: "out", "in" or "through"."""
        return tuple(member.layer for member in self.members if member.side == side)


def groups(model: nn.Module, shape: tuple[int, ...]) -> tuple[Group, ...]:
    """The dependency groups of a model that takes one input of `shape`, without the batch; in the order they run in.

    Channels that no linear layer or convolution makes, such as those of the input, are in no group.

    Example:
        Two hidden neurons are two rows of the first layer and two columns of the second; the three answers stay.

        >>> for group in groups(nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 3)), (4,)):
        ...     print(group.name, group.size, group.layers("in"), group.frozen or "free")
        0 2 ('2',) free
        2 3 () they are the network's answer

    Raises:
        ValueError: the forward pass needs more than one input, depends on values, or fails.

    Reference: Fang et al., 2023, arXiv 2301.12900.
    """
    spaces: dict[Space, list[Member]] = {}
    for space, member in Follower(trace(model, shape)).found:
        spaces.setdefault(space.root, []).append(member)
    found = (_group(space, tuple(dict.fromkeys(members))) for space, members in spaces.items())
    return tuple(group for group in found if group.layers("out"))


def _group(space: Space, members: tuple[Member, ...]) -> Group:
    makers = [member.layer for member in members if member.side == "out"]
    return Group(makers[0] if makers else "", space.size, members, space.frozen)
