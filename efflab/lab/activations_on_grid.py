"""What one layer reads, before and after the grid of its inputs, while calibration images pass."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from efflab.lab.number_lines import NumberLine, number_line
from efflab.quantize import Grid, record_activations
from efflab.runtime.quantized import on_grid


@dataclass(frozen=True, eq=False)
class ActivationsOnGrid:
    """What a layer reads. seen: the smallest and the largest number; ends: those of the grid, in the same unit.

    The line is in the unit of the activations.
    """

    layer: str
    bits: int
    scale: float
    zero_point: int
    seen: tuple[float, float]
    ends: tuple[float, float]
    n_images: int
    line: NumberLine


def find_activations(model: nn.Module, layer: str, images: Tensor) -> ActivationsOnGrid:
    """What `layer` reads while the images pass. images: (n, channels, height, width).

    Raises:
        ValueError: the layer reads from no grid, or is never called.
    """
    readers = {name: one.reads for name, one in on_grid(model).items() if one.reads is not None}
    if layer not in readers:
        names = f"one of {', '.join(readers)}" if readers else "of a recipe that has quantize_activations"
        raise ValueError(f"layer must be {names}, not {layer!r}")
    with torch.inference_mode():
        seen = record_activations(model, images)
        if layer not in seen:
            raise ValueError(f"layer {layer!r} is never called, so it reads nothing")
        x = torch.cat([batch.flatten() for batch in seen[layer].reads])
        grid = readers[layer]
        kind = Grid(grid.bits, is_symmetric=False, is_signed=False)
        line = number_line(x, grid(x), grid.scale, grid.zero_point, kind)
    ends = (float(line.values[0]), float(line.values[-1]))
    observed = (float(x.min()), float(x.max()))
    return ActivationsOnGrid(
        layer, grid.bits, float(grid.scale), int(grid.zero_point), observed, ends, len(images), line
    )
