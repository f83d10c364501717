"""A weight in training: a float that the optimizer moves, seen by the layer on the grid only.

`torch.nn.utils.parametrize` computes the weight of a layer from the float behind it whenever the layer asks:

    float weight --> Fixed, Learned or Binary --> weight on the grid --> the layer, as always
        ^                                                                  |
        +------------------------- gradient, straight through -------------+

    Fixed     the step is the one that had the smallest squared error before the training
    Learned   the step is a parameter, too
    Binary    1 bit: the step is the mean magnitude of the weights, computed in each pass

References: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
2018, arXiv 1712.05877, section 3; binary: Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279; the logarithm of the step
as the parameter: Jain et al., Trained quantization thresholds, 2019, arXiv 1903.08066.

Where we simplify: symmetric grids, per tensor or per channel. At work: `torchao.quantization.qat`.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from efflab.quantize.aware.learned_steps import learned_step
from efflab.quantize.aware.straight_through import straight_through
from efflab.quantize.grids import Grid, scale_and_zero_point
from efflab.quantize.observers import observe
from efflab.quantize.sharing import Granularity
from efflab.runtime.quantized import put_on_grid

OBSERVER = "MSE"
"""How grids are found before the training, those of weights and those of activations."""


class Rounding(nn.Module):
    """What the three have in common. weight: (out, ...) -> same shape, on the grid."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def step(self, weight: Tensor) -> Tensor:
        """The step of the grid: () or (out, 1, ...)."""
        raise NotImplementedError

    def forward(self, weight: Tensor) -> Tensor:
        """The weight on the grid; the gradient passes straight through, to the weight alone."""
        step = self.step(weight.detach())
        return straight_through(weight, step, torch.zeros_like(step, dtype=torch.int32), self.grid)


class Fixed(Rounding):
    """A grid that stays as it is."""

    fixed_step: Tensor

    def __init__(self, step: Tensor, grid: Grid) -> None:
        super().__init__(grid)
        self.register_buffer("fixed_step", step)

    def step(self, weight: Tensor) -> Tensor:
        """The step that it was given."""
        return self.fixed_step


class Learned(Rounding):
    """A grid whose step is trained.

    The parameter is the logarithm of the step: AdamW moves each parameter by about the learning rate, whatever the size
    of its gradient, so this changes a step by about that fraction of itself, and no step falls below 0.
    """

    def __init__(self, step: Tensor, grid: Grid) -> None:
        super().__init__(grid)
        self.shape = step.shape
        self.log_step = nn.Parameter(step.log().flatten())  # flat, for it is no matrix that could be pruned

    def step(self, weight: Tensor) -> Tensor:
        """The step as it is now."""
        return self.log_step.exp().reshape(self.shape)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight on the grid, with gradients for both."""
        return learned_step(weight, self.step(weight), self.grid)


class Binary(Rounding):
    """The grid of two values, minus and plus the mean magnitude of the weights that share it."""

    def __init__(self, granularity: Granularity) -> None:
        super().__init__(Grid(bits=1))
        self.granularity = granularity

    def step(self, weight: Tensor) -> Tensor:
        """The mean magnitude."""
        return first_step(weight, self.grid, self.granularity)


def first_step(weight: Tensor, grid: Grid, granularity: Granularity) -> Tensor:
    """The step with the smallest squared error; of a binary grid, that is the mean magnitude."""
    return scale_and_zero_point(*observe(weight, grid, OBSERVER, granularity=granularity), grid)[0]


def put_in_training(layers: tuple[nn.Module, ...], rounding: Rounding) -> None:
    """Let layers that share one weight see it on a grid, in place."""
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", rounding)


def put_training_to_an_end(layers: tuple[nn.Module, ...], rounding: Rounding) -> None:
    """Leave the weight on the grid, in place, and turn the layers into those that know their integers.

    The layers answer as they did in training, bit for bit.
    """
    with torch.no_grad():
        step = rounding.step(layers[0].get_parameter("parametrizations.weight.original")).clone()
    for layer in layers:
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        put_on_grid(layer, step, torch.zeros_like(step, dtype=torch.int32), bits=rounding.grid.bits, is_symmetric=True)
