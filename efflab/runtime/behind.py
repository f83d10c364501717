"""What trains in place of a weight that has a code: the values of its codebook, or the floats behind its grid.

An optimizer moves floats a little at each step. A weight with a code cannot follow: it has the values that its code
allows. So the optimizer moves other numbers, and after each step the weight becomes what they stand for:

    codebook    the few values; each gets the summed gradient of its weights (`SharedValues`)
    grid        a float behind each weight, which gathers small steps until the weight jumps to the next number of the
                grid; the gradient passes straight through the rounding, and is 0 where the float lies beyond the grid

The steps of a grid stay as they are. Zeros that lie on the grid may become others, unless they are kept.

References: Bengio et al., 2013, arXiv 1308.3432 (straight through); Han et al., 2016, arXiv 1510.00149 (codebooks).

Where we simplify: the floats begin on the grid, for nobody knows any more where they were before the rounding.
At work: train on the grid from the start, as `train_quantized` does.
"""

from typing import Protocol

import torch
from torch import nn

from efflab.runtime.quantized import OnGrid, quantized_layers
from efflab.runtime.shared import SharedValues, shared_layers


class ValuesBehind(Protocol):
    """The numbers that an optimizer moves in place of a weight."""

    values: nn.Parameter

    def gather(self) -> None:
        """Take the gradient of the weight, and make from it that of the values."""

    def spread(self) -> None:
        """Give the weight what the values stand for."""


class GridValues:
    """The floats behind the weight of a layer on a grid: the shape of the weight."""

    def __init__(self, layer: OnGrid) -> None:
        self.layer = layer
        self.values = nn.Parameter(layer.weight.detach().clone(), layer.weight.requires_grad)

    def gather(self) -> None:
        """Pass the gradient of the weight straight through, but where the float lies beyond the grid."""
        grad, self.layer.weight.grad = self.layer.weight.grad, None
        if grad is not None:
            self.values.grad = grad * self.layer.is_inside(self.values.detach())

    def spread(self) -> None:
        """Move the weight to the numbers of the grid that are nearest to the floats."""
        self.layer.weight.copy_(self.layer.nearest(self.values))


def values_behind(model: nn.Module) -> list[ValuesBehind]:
    """What trains in place of the weights that have a code; one weight may belong to several layers."""
    grids = {id(layer.weight): layer for layer in quantized_layers(model).values()}
    codebooks = {id(layer.weight): layer for layer in shared_layers(model).values()}
    with torch.inference_mode(False):
        return [*map(GridValues, grids.values()), *map(SharedValues, codebooks.values())]
