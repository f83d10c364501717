"""What a lab tells of grids, made by hand."""

import math
from dataclasses import replace

import numpy as np

from efflab.lab.activations_on_grid import ActivationsOnGrid
from efflab.lab.grid_bytes import LayerBytes
from efflab.lab.grid_errors import GridErrors, LayerError
from efflab.lab.number_lines import NumberLine
from efflab.lab.weights_on_grid import WeightsOnGrid
from efflab.runtime import Planned

LINE = NumberLine(
    edges=np.linspace(-2.0, 2.0, 9),
    counts=np.array([1, 0, 4, 9, 100, 4, 0, 1]),
    values=np.array([-1.0, -0.5, 0.0, 0.5]),
    held=np.array([1, 0, 113, 5]),
    clipped=2 / 119,
    clipped_share=0.75,
    signal_to_noise_db=12.345,
    max_error_steps=3.0,
)
"""119 numbers on four values from -1 to 0.5, of which those beyond 0.75 and -1.25 are clipped."""
FOUND = WeightsOnGrid("conv", 2, 8, 2, 1, (0.5, 0.5), (0, 0), LINE)
STEPS = WeightsOnGrid("conv", None, 8, 2, 8, (0.25, 0.5), (-1, 1), LINE)
READ = ActivationsOnGrid("conv", 2, 0.5, 2, (-2.0, 2.0), (-1.0, 0.5), 100, LINE)
FINE = replace(LINE, values=np.arange(-127.0, 128.0), held=np.arange(255), clipped=0.0, clipped_share=0.0)
"""255 values, which are more than a table has rows."""


def errors(n: int = 3) -> GridErrors:
    """The first is exact, the second float, and all others lose 12 and 10.5 dB at 4 bits; batch norms are 36 bytes."""
    exact = LayerError("first", "Conv2d", 8, 8, math.inf, 0.0, math.inf, LayerBytes(100, 8, 0, 0, 8))
    floats = LayerError("second", "Linear", 0, 8, None, None, 20.0, LayerBytes(floats=400))
    names = [f"layer{place}" for place in range(2, n)]
    others = [LayerError(name, "Conv2d", 4, 8, 12.0, 0.2, 10.5, LayerBytes(400, 32, 4, 0, 12)) for name in names]
    layers = (exact, floats, *others)[:n]
    return GridErrors(layers, {one.layer: Planned("int8") for one in layers}, 36, 100)
