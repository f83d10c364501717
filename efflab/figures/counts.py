"""Axes of counts on which a few and very many can be seen: square roots for bells, logarithms for heaps at zero."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from efflab.figures.theme import Json

APART = 0.24
"""Between two counts that are written, as a fraction of the axis: these pictures are low."""


@dataclass(frozen=True)
class Squeeze:
    """How a count becomes a height. name: what the axis says; marks: the leading digits of counts that it marks."""

    name: str
    height: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    marks: tuple[int, ...]

    def of(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """The heights of counts, any shape; 0 stays 0."""
        return self.height(counts.astype(np.float64))

    def axis(self, title: str, most: int) -> Json:
        """A vertical axis from 0 to `most`, marked in counts."""
        ticks = np.array([0, *self._ticks(most)])
        top = float(self.of(np.array([max(most, 1)]))[0])
        return {
            "title": {"text": f"{title}<br>({self.name})"},
            "range": [0, 1.08 * top],
            "tickvals": self.of(ticks).tolist(),
            "ticktext": [_short(int(tick)) for tick in ticks],
        }

    def _ticks(self, most: int) -> list[int]:
        """Round counts up to `most`, ascending, that do not stand too close to the next, or to 0."""
        powers = range(math.floor(math.log10(max(most, 1))) + 1)
        round_ones = [mark * 10**power for power in powers for mark in self.marks if mark * 10**power <= most]
        heights = self.of(np.array(round_ones, dtype=np.int64)) / float(self.of(np.array([max(most, 1)]))[0])
        kept: list[int] = []
        lowest = math.inf
        for count, height in zip(reversed(round_ones), reversed(heights.tolist()), strict=True):
            if APART <= height <= lowest - APART:
                kept.append(count)
                lowest = height
        return kept[::-1]


def _short(n: int) -> str:
    """A round count: 40000 -> "40k"."""
    for factor, unit in ((10**6, "M"), (1000, "k")):
        if n >= factor:
            return f"{n // factor}{unit}"
    return str(n)


SQUARE_ROOT = Squeeze("square roots", np.sqrt, (1, 4))
LOGARITHM = Squeeze("logarithms", np.log1p, (1,))
