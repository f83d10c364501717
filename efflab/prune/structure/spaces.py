"""Spaces: channels that stay or go together, from the layer that makes them to the layers that read them.

Spaces are joined by union-find: of two that a sum joins, one points to the other, and whoever asks follows the
pointers to the root.

Reference: Tarjan, Efficiency of a good but not linear set union algorithm, Journal of the ACM 22, 1975.
"""

from dataclasses import dataclass
from typing import Literal

Side = Literal["out", "in", "through"]
ANSWER = "they are the network's answer"
"""Why the channels of the last layer must stay, whichever rules follow them."""


@dataclass(frozen=True)
class Member:
    """A layer's part in a group; each channel of the group is `repeat` rows or columns of it, one after the other.

    The first channel is at `offset`, which is not 0 where the layer reads several tensors that were put side by side.

    out      it makes the channels: rows of the weight and the bias
    in       it reads them: columns of the weight
    through  they pass one by one: scale and shift of a batch norm, rows of a depthwise convolution
    """

    layer: str
    side: Side
    repeat: int = 1
    offset: int = 0

    def part(self, size: int) -> slice:
        """Which rows or columns of the layer the `size` channels of the group are."""
        return slice(self.offset, self.offset + size * self.repeat)


class Space:
    """`size` channels that stay or go together; `frozen` says why none of them may go, or is empty."""

    def __init__(self, size: int, frozen: str = "") -> None:
        self.size, self.frozen = size, frozen
        self._joined: Space | None = None

    @property
    def root(self) -> "Space":
        """The space that stands for all that were joined."""
        return self._joined.root if self._joined else self

    def join(self, other: "Space") -> None:
        """Make one space of two of the same size; a size that is not known is 0."""
        mine, its = self.root, other.root
        if mine is not its:
            its._joined, mine.size = mine, max(mine.size, its.size)
            mine.freeze(its.frozen)

    def freeze(self, why: str) -> None:
        """Say why no channel may go; the first reason stays."""
        self.root.frozen = self.root.frozen or why


@dataclass(frozen=True)
class Flow:
    """Where a tensor carries the channels of a space: along `dim`, each `repeat` times in a row."""

    space: Space
    dim: int = 1
    repeat: int = 1
