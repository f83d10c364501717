"""The weights of one layer before and after they went onto their grid, all of them or those of one channel."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from efflab.lab.number_lines import NumberLine, number_line
from efflab.quantize import Grid
from efflab.recipe import Recipe
from efflab.runtime import quantized_layers
from efflab.runtime.quantized import OnGrid


@dataclass(frozen=True, eq=False)
class WeightsOnGrid:
    """A layer's weights, or those of one `channel` (a row: what makes one output) out of `n_channels`.

    n_scales: how many these weights have. scales, zero_points: the lowest and the highest of them.
    """

    layer: str
    channel: int | None
    n_channels: int
    bits: int
    n_scales: int
    scales: tuple[float, float]
    zero_points: tuple[int, int]
    line: NumberLine

    @property
    def is_in_steps(self) -> bool:
        """Whether the line is in steps, for the weights have several scales; else in the unit of the weights."""
        return self.n_scales > 1


def find_weights_on_grid(
    build: Callable[[Recipe], nn.Module], recipe: Recipe, layer: str, channel: int | None = None
) -> WeightsOnGrid:
    """What the grid did to the weights of a layer: those of the network now beside those before the grid came.

    Raises:
        ValueError, TypeError: the layer's weights lie on no grid, or it has no such channel.
    """
    layers = quantized_layers(build(recipe))
    if layer not in layers:
        names = f"one of {', '.join(layers)}" if layers else "of a recipe that puts weights on grids: quantize_weights"
        raise ValueError(f"layer must be {names}, not {layer!r}")
    floats = build(before_grid(build, recipe, lambda model: layer in quantized_layers(model)))
    now, before = layers[layer], floats.get_submodule("" if layer == "model" else layer).get_parameter("weight")
    rows = _rows(channel, now)
    scale, zero_point = ((one if one.ndim == 0 else one[rows]) for one in (now.scale, now.zero_point))
    if scale.numel() > 1:
        spread_scale, spread_zero = (now.spread(one).expand_as(now.weight)[rows] for one in (now.scale, now.zero_point))
    else:
        spread_scale, spread_zero = scale.reshape(()), zero_point.reshape(())
    line = number_line(before[rows], now.weight[rows], spread_scale, spread_zero, grid_of(now))
    return WeightsOnGrid(
        layer,
        channel,
        len(now.weight),
        now.bits,
        scale.numel(),
        (float(scale.min()), float(scale.max())),
        (int(zero_point.min()), int(zero_point.max())),
        line,
    )


def before_grid(build: Callable[[Recipe], nn.Module], recipe: Recipe, is_there: Callable[[nn.Module], bool]) -> Recipe:
    """The steps before the one after which `is_there(model)` becomes true; all, if it never does.

    A lab keeps what the first steps made, so that asking costs little.
    """
    return next((recipe[:n] for n in range(len(recipe)) if is_there(build(recipe[: n + 1]))), recipe)


def grid_of(layer: OnGrid) -> Grid:
    """The grid of a layer's weights."""
    return Grid(layer.bits, is_symmetric=layer.is_symmetric)


def _rows(channel: int | None, layer: OnGrid) -> slice:
    """The rows of a weight that are asked for."""
    weight: Tensor = layer.weight
    if channel is None:
        return slice(None)
    if isinstance(channel, bool) or not isinstance(channel, int):
        raise TypeError(f"channel must be a whole number, or None for all, not {channel!r}")
    if not 0 <= channel < len(weight):
        raise ValueError(f"channel must be from 0 to {len(weight) - 1}, not {channel}")
    return slice(channel, channel + 1)
