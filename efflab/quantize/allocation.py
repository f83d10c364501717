"""Bits where they matter: each layer gets as many as it needs, within a budget of bytes.

First each layer is quantized alone, at each number of bits, and the noise that this makes in the answers of the network
is measured on calibration images: the mean squared change of its outputs, over their mean square. Errors of different
layers hardly know of each other, so their powers add up, and the noise of a whole assignment is about the sum.

Then bits are taken away, from where it costs least: of all steps down, the one that adds the least noise for each byte
that it saves, until the budget is met. What is left over in the end is spent again.

The noise, and not the score, because a score on a few hundred images does not move at all for most layers at most bits;
and outputs, and not weights, because layers differ in how much they mind.

References: Dong et al., HAWQ, 2019, arXiv 1905.03696 (bits by sensitivity); Cai et al., ZeroQ, 2020, arXiv 2001.00281,
section 3.2 (sensitivities of single layers, measured at the output, are added up).

Where we simplify: the greedy choice is not always the best, which only a search over all assignments would find. Our
tests search for two small networks; the greedy choice never has twice the noise of the best. At work: the
mixed-precision search of your toolkit, on the bits your runtime has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from efflab.data import Data
from efflab.measure import compute_size
from efflab.quantize.errors import mean_squared_error
from efflab.quantize.grids import BITS
from efflab.quantize.sharing import Granularity
from efflab.quantize.weights import WeightObserver, quantizable_layers, quantize_weights
from efflab.training import predict

TRIED = (2, 3, 4, 5, 6, 8)
"""The bits that a layer may get, unless others are asked for."""


@dataclass(frozen=True)
class BitPoint:
    """The network with one layer at some bits, the others float.

    noise: the mean squared change of the network's outputs over their mean square, a fraction; n_bytes: those of the
    layer's weight, packed, with its scales.
    """

    layer: str
    bits: int
    noise: float
    n_bytes: int


def scan_bit_sensitivity(
    model: nn.Module,
    data: Data,
    *,
    bits: Sequence[int] = TRIED,
    granularity: Granularity = "per channel",
    observer: WeightObserver = "min-max",
) -> Iterator[BitPoint]:
    """Yield a point for each layer and number of bits, on the calibration images, in the order of the network.

    Raises:
        TypeError, ValueError: a number of bits is out of range, or as `quantize_weights`.

    Reference: Cai et al., 2020, arXiv 2001.00281, section 3.2.
    """
    for one in bits:
        BITS.check("bits", one)
    images = data.calibration.images
    outputs = predict(model, images)
    for layer in quantizable_layers(model):
        for one in bits:
            quantized = quantize_weights(model, bits={layer: one}, granularity=granularity, observer=observer)
            yield BitPoint(layer, one, noise(outputs, predict(quantized, images)), _bytes_of(quantized, layer))


def noise(outputs: Tensor, changed: Tensor) -> float:
    """The mean squared change of some outputs over their mean square. Both: (n, classes).

    Example:
        >>> import torch
        >>> round(noise(torch.tensor([[3.0, -3.0]]), torch.tensor([[2.7, -3.3]])), 6)
        0.01
    """
    return mean_squared_error(outputs, changed) / max(float(outputs.double().square().mean()), 1e-300)


def allocate_bits(points: Sequence[BitPoint], n_bytes: int) -> dict[str, int]:
    """The bits of each layer, for `quantize_weights(bits=...)`: little noise, and at most `n_bytes` for all weights.

    Example:
        >>> points = [BitPoint("a", 8, 0.0, 800), BitPoint("a", 4, 0.2, 400)]
        >>> points += [BitPoint("b", 8, 0.0, 80), BitPoint("b", 4, 0.1, 40)]
        >>> allocate_bits(points, 500)
        {'a': 4, 'b': 8}

    Raises:
        ValueError: there are no points, or the fewest bytes that they allow are more.
    """
    options = _options(points)
    chosen = {layer: max(some, key=lambda point: point.n_bytes) for layer, some in options.items()}
    while _total(chosen) > n_bytes:
        steps = [point for layer, some in options.items() for point in some if point.n_bytes < chosen[layer].n_bytes]
        if not steps:
            raise ValueError(f"n_bytes must be {_total(chosen)} or more, which the fewest bits need, not {n_bytes}")
        cheapest = min(steps, key=lambda point: _price(chosen[point.layer], point))
        chosen[cheapest.layer] = cheapest
    while steps := [point for some in options.values() for point in some if _fits(chosen, point, n_bytes)]:
        best = min(steps, key=lambda point: point.noise - chosen[point.layer].noise)
        chosen[best.layer] = best
    return {layer: point.bits for layer, point in chosen.items()}


def _options(points: Sequence[BitPoint]) -> dict[str, list[BitPoint]]:
    """The points of each layer."""
    options: dict[str, list[BitPoint]] = {}
    for point in points:
        options.setdefault(point.layer, []).append(point)
    if not options:
        raise ValueError("points must hold at least one for each layer, as scan_bit_sensitivity yields them, not none")
    return options


def _total(chosen: dict[str, BitPoint]) -> int:
    return sum(point.n_bytes for point in chosen.values())


def _price(now: BitPoint, then: BitPoint) -> float:
    """The noise that a step down adds for each byte that it saves."""
    return (then.noise - now.noise) / (now.n_bytes - then.n_bytes)


def _fits(chosen: dict[str, BitPoint], point: BitPoint, n_bytes: int) -> bool:
    """Whether a point has less noise than what its layer has now, and the budget allows it."""
    now = chosen[point.layer]
    return point.noise < now.noise and _total(chosen) + point.n_bytes - now.n_bytes <= n_bytes


def _bytes_of(model: nn.Module, layer: str) -> int:
    """The packed bytes of the weight of a layer; "model" is the model itself."""
    name = "weight" if layer == "model" else f"{layer}.weight"
    return next(tensor.packed_bytes for tensor in compute_size(model).tensors if tensor.name == name)
