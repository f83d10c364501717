"""Which layer loses how much on its grid: in its weights, and in what it gives, where earlier errors arrive, too.

Both in decibels of signal over noise: each bit more brings about 6.02. A layer whose weights are coarse may give what
is hardly wrong, for the errors of many products partly cancel; and one of fine weights may give what is wrong, because
it reads what is wrong.

Reference: Bennett, Spectra of quantized signals, 1948 (the 6.02 dB).

Where we simplify: the error of what a layer gives is not the loss of accuracy. At work:
`onnxruntime.quantization.qdq_loss_debug`, which compares every tensor of two files.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from efflab.lab.grid_bytes import OTHERS, LayerBytes, split_bytes
from efflab.lab.number_lines import is_clipped
from efflab.lab.weights_on_grid import before_grid, grid_of
from efflab.quantize import outputs_without_reader, signal_to_noise_db
from efflab.quantize.activations import noting
from efflab.quantize.weights import linear_layers
from efflab.recipe import Recipe
from efflab.runtime import Planned, evaluating, plan_kernels
from efflab.runtime.quantized import OnGrid, on_grid

BATCH = 50
"""Images that run through both networks at a time."""


@dataclass(frozen=True)
class LayerError:
    """A linear layer or convolution of a quantized network, beside the same layer of the float network.

    bits: of its weights, and reads_bits: of what it reads; 0 where these are float. weights_db, clipped_share: signal
    to noise of the weights, and the fraction of their squared error that clipped ones make; None where they are float.
    outputs_db: signal to noise of what it gives, after the ReLU behind it where that is merged into its grid. Infinite
    where there is no error.
    """

    layer: str
    kind: str
    bits: int
    reads_bits: int
    weights_db: float | None
    clipped_share: float | None
    outputs_db: float
    bytes: LayerBytes


@dataclass(frozen=True)
class GridErrors:
    """All layers in the order of the network. kernels: what each would run as; other_bytes: of batch norms and such."""

    layers: tuple[LayerError, ...]
    kernels: Mapping[str, Planned]
    other_bytes: int
    n_images: int

    @property
    def n_bytes(self) -> int:
        """The packed bytes of the network, as `compute_size` counts them."""
        return sum(one.bytes.total for one in self.layers) + self.other_bytes


def find_grid_errors(build: Callable[[Recipe], nn.Module], recipe: Recipe, images: Tensor) -> GridErrors:
    """The errors of a recipe's network against the network before the first step that put anything onto a grid.

    images: (n, channels, height, width).

    Raises:
        ValueError: nothing lies on a grid.
    """
    now = build(recipe)
    if not on_grid(now):
        raise ValueError("no step of this recipe puts a layer on a grid; quantize_weights and quantize_activations do")
    floats = build(before_grid(build, recipe, lambda model: bool(on_grid(model))))
    layers, before = linear_layers(now), linear_layers(floats)
    outputs, split = _outputs_db(floats, now, images), split_bytes(now)
    found = [_layer_error(name, before[name], layer, outputs, split[name]) for name, layer in layers.items()]
    return GridErrors(tuple(found), plan_kernels(now), split[OTHERS].total, len(images))


def _layer_error(
    name: str, before: nn.Module, now: nn.Module, outputs: Mapping[str, float], n_bytes: LayerBytes
) -> LayerError:
    kind = "Conv2d" if isinstance(now, nn.Conv2d) else "Linear"
    bits, reads, weights_db, share = 0, None, None, None
    if isinstance(now, OnGrid):
        bits, reads = now.bits, now.reads
    if isinstance(now, OnGrid) and bits:
        weight = before.get_parameter("weight").detach()
        weights_db, share = signal_to_noise_db(weight, now.weight.detach()), _clipped_share(weight, now)
    reads_bits = reads.bits if reads is not None else 0
    return LayerError(name, kind, bits, reads_bits, weights_db, share, outputs.get(name, math.inf), n_bytes)


def _clipped_share(weight: Tensor, layer: OnGrid) -> float:
    """The fraction of the squared error of the weights that is made by those beyond the grid."""
    squares = (weight - layer.weight.detach()).double().square()
    scale, zero_point = layer.spread(layer.scale), layer.spread(layer.zero_point)
    clipped = is_clipped(weight / scale + zero_point, zero_point, grid_of(layer))
    return float(squares[clipped].sum() / squares.sum()) if bool(squares.any()) else 0.0


def _outputs_db(floats: nn.Module, now: nn.Module, images: Tensor) -> dict[str, float]:
    """Signal to noise of what each layer gives, over all images; a layer that is never called misses."""
    merged = {name for name, has_relu in outputs_without_reader(now).items() if has_relu}
    merged &= {name for name, layer in on_grid(now).items() if layer.gives is not None}
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    with torch.inference_mode():
        for batch in images.split(BATCH):
            expected, given = _given(floats, batch), _given(now, batch)
            for name, tensors in expected.items():
                for x, y in zip(tensors, given[name], strict=True):
                    one, other = (x.relu(), y.relu()) if name in merged else (x, y)
                    signal[name] = signal.get(name, 0.0) + _power(one)
                    noise[name] = noise.get(name, 0.0) + _power(one - other)
    return {name: _db(signal[name], noise[name]) for name in signal}


def _given(model: nn.Module, images: Tensor) -> dict[str, list[Tensor]]:
    """What each layer gives, a tensor a call."""
    found: dict[str, list[Tensor]] = {}
    with evaluating(model), noting(linear_layers(model), lambda name, _, y: found.setdefault(name, []).append(y)):
        model(images)
    return found


def _power(x: Tensor) -> float:
    return float(x.square().sum(dtype=torch.float64))


def _db(signal: float, noise: float) -> float:
    if not noise:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
