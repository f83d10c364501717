"""Which layer bears few bits: the weights of one layer go onto a grid, or into a codebook; the others stay float.

Reference: Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, 2018, arXiv 1806.08342
(which compares grids of the whole network); one layer at a time, as Han et al., 2015, arXiv 1506.02626, figure 6, do
for zeros.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from efflab.data import Data
from efflab.knobs import Setting
from efflab.measure import Evaluation, evaluate
from efflab.quantize import quantizable_layers, quantize_weights
from efflab.recipe import AnyTechnique

FEW_BITS = (8, 6, 4, 3, 2)
"""Bits that are tried: half a byte is in the middle, and below it networks differ."""


@dataclass(frozen=True, eq=False)
class BitsPoint:
    """The network with the weights of one layer in so many bits each, the others float."""

    layer: str
    bits: int
    evaluation: Evaluation


def scan_bits(
    model: nn.Module,
    data: Data,
    settings: Mapping[str, Setting],
    *,
    technique: AnyTechnique = quantize_weights,
    bits: Sequence[int] = FEW_BITS,
) -> Iterator[BitsPoint]:
    """Yield a point for each layer and number of bits, on all validation data, in the order of the network.

    technique: what brings the weights of a layer to bits, `share_weights` or `quantize_weights`; settings: its other
    knobs.

    Raises:
        ValueError, TypeError: no layer can be quantized, or as the technique.
    """
    for layer in quantizable_layers(model):
        for n in bits:
            coarse = technique(model, bits={layer: n}, **settings)
            *_, evaluation = evaluate(coarse, data.validation, data.task)
            yield BitsPoint(layer, n, evaluation)
