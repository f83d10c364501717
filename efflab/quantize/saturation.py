"""Saturation: why 8-bit products may come out wrong on an older processor, and why 7 bits help. Simulated here.

An activation has 8 bits without sign, a weight 8 bits with one. Processors with AVX2 multiply such pairs by an
instruction (VPMADDUBSW) that adds two neighbouring products at once, in 16 bits with a sign, and saturates:

    255 * 127 + 255 * 127 = 64770        a 16-bit integer ends at 32767, and that is what comes out

The sums of these pairs are then added up in 32 bits, where nothing is lost. With 7 bits for the weights the largest
pair is 255 * 63 * 2 = 32130, and fits: ONNX Runtime calls that `reduce_range`. Processors with VNNI add four products
in 32 bits at once and never saturate; nor does Arm.

References: ONNX Runtime, Quantize ONNX models, "When and why do I need to try U8U8?",
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html; Intel, Intel 64 and IA-32 architectures
software developer's manual, PMADDUBSW and VPDPBUSD.

Where we simplify: neighbours are inputs one behind the other, the channels of a pixel in a convolution; a kernel may
pair others. At work: `reduce_range=True` of `onnxruntime.quantization.quantize_static`, where `may_saturate` says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from efflab.measure.machine import Machine
from efflab.quantize.activations import noting
from efflab.runtime.export import evaluating
from efflab.runtime.quantized import OnGrid, quantized_layers

LOWEST, HIGHEST = -(2**15), 2**15 - 1
"""The ends of a 16-bit integer."""
MAX_SUMS = 200
"""Rows of inputs looked at in a layer, evenly taken: each gives a sum for every output."""
ROWS = 25
"""Rows at a time, so that all pairs of a wide layer fit into the memory."""


@dataclass(frozen=True)
class Saturation:
    """What saturation would do to the sums of a layer, on the images that it was shown; simulated.

    bits: of the weights. pairs, sums: the fraction of pairs that saturate, and of sums in which one does. error: the
    root mean square of what is lost, as a fraction of that of the sums without their zero points; largest: the largest
    loss in the same unit.
    """

    layer: str
    bits: int
    pairs: float
    sums: float
    error: float
    largest: float


def may_saturate(machine: Machine) -> bool | None:
    """Whether 8-bit products saturate on this machine: AVX2 without VNNI; None if the system does not say.

    Reference: ONNX Runtime, Quantize ONNX models.
    """
    has_vnni, has_avx2 = machine.has("VNNI"), machine.has("AVX2")
    return None if has_vnni is None or has_avx2 is None else has_avx2 and not has_vnni


def exact_product(x: Tensor, weight: Tensor) -> Tensor:
    """The sums of products as they should be. x: (n, k), uint8; weight: (out, k), int8 -> (n, out), int64."""
    return (x.double() @ weight.double().T).long()  # 53 bits hold each of these sums exactly


def saturating_product(x: Tensor, weight: Tensor) -> Tensor:
    """The same sums where each pair of products has 16 bits. x: (n, k), uint8; weight: (out, k), int8 -> (n, out).

    Example:
        >>> x = torch.tensor([[255, 255, 1]], dtype=torch.uint8)
        >>> weight = torch.tensor([[127, 127, 1]], dtype=torch.int8)
        >>> exact_product(x, weight).item(), saturating_product(x, weight).item()
        (64771, 32768)

    Raises:
        TypeError: x is not uint8, or weight not int8.

    Reference: Intel, software developer's manual, PMADDUBSW.
    """
    parts = [pairs.clamp(LOWEST, HIGHEST).sum(dim=2) for pairs in _pairs(x, weight)]
    return torch.cat(parts)


def simulate_saturation(model: nn.Module, images: Tensor) -> tuple[Saturation, ...]:
    """What saturation would do in each layer with weights and activations on grids of 8 bits or fewer.

    images: (n, channels, height, width). The layers read what the network gives them without saturation.

    Raises:
        ValueError: no layer has both on grids.

    Reference: ONNX Runtime, Quantize ONNX models.
    """
    layers = {
        name: layer
        for name, layer in quantized_layers(model).items()
        if layer.reads is not None and layer.group_size is None
    }
    if not layers:
        raise ValueError("no layer has weights and activations on grids: quantize_weights, then quantize_activations")
    seen: dict[str, Tensor] = {}
    with evaluating(model), torch.inference_mode(), noting(layers, lambda name, x, _: seen.setdefault(name, x)):
        model(images)
    with torch.inference_mode():
        return tuple(_saturation(name, layers[name], x) for name, x in seen.items())


def _saturation(name: str, layer: OnGrid, x: Tensor) -> Saturation:
    """What is lost in a layer that reads x."""
    n_pairs = n_saturated = n_sums = n_touched = 0
    lost, whole, largest = 0.0, 0.0, 0.0
    for rows, weight, zeros in multiplied_integers(layer, x):
        for part in rows.split(ROWS):
            (pairs,) = _pairs(part, weight)
            over = pairs - pairs.clamp(LOWEST, HIGHEST)
            loss = over.sum(dim=2).double()  # (rows, out)
            sums = exact_product(part, weight).double() - _offset(part, weight, zeros, layer)
            n_pairs, n_saturated = n_pairs + over.numel(), n_saturated + int(over.count_nonzero())
            n_sums, n_touched = n_sums + loss.numel(), n_touched + int((over != 0).any(dim=2).sum())
            lost, whole = lost + float(loss.square().sum()), whole + float(sums.square().sum())
            largest = max(largest, float(loss.abs().max()))
    root = (whole / n_sums) ** 0.5 or 1.0
    fractions = n_saturated / n_pairs, n_touched / n_sums
    return Saturation(name, layer.bits, *fractions, (lost / n_sums) ** 0.5 / root, largest / root)


def _offset(x: Tensor, weight: Tensor, zeros: Tensor, layer: OnGrid) -> Tensor:
    """What the zero points of inputs and weights add to the sums, which a kernel takes off again. -> (rows, out)."""
    assert layer.reads is not None
    zero, k = float(layer.reads.zero_point), weight.shape[1]
    sums = x.double().sum(dim=1, keepdim=True) * zeros + zero * weight.double().sum(dim=1)
    return sums - k * zero * zeros


def multiplied_integers(layer: OnGrid, x: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The integers that a layer multiplies, group by group: rows (n, k), weights (out, k) and their zero points (out,).

    At most `MAX_SUMS` rows, evenly taken.
    """
    weight, zeros = layer.integers(), layer.zero_point.flatten().double().expand(len(layer.weight))
    if isinstance(layer, nn.Linear):
        yield _few(_integers(layer, x).flatten(0, -2)), weight, zeros
        return
    assert isinstance(layer, nn.Conv2d)
    assert layer.reads is not None
    zero = float(layer.reads.zero_point)
    padded = F.pad(_integers(layer, x).float(), layer._reversed_padding_repeated_twice, value=zero)
    groups = zip(padded.chunk(layer.groups, dim=1), weight.chunk(layer.groups), zeros.chunk(layer.groups), strict=True)
    for part, kernels, own in groups:
        columns = F.unfold(part, layer.kernel_size, layer.dilation, 0, layer.stride)  # (n, in * h * w, places)
        columns = columns.unflatten(1, (part.shape[1], -1)).transpose(1, 2).flatten(1, 2)  # channels last
        rows = columns.transpose(1, 2).flatten(0, 1).to(torch.uint8)
        yield _few(rows), kernels.permute(0, 2, 3, 1).flatten(1), own


def _few(rows: Tensor) -> Tensor:
    return rows[torch.linspace(0, len(rows) - 1, min(len(rows), MAX_SUMS)).round().long()]


def _integers(layer: OnGrid, x: Tensor) -> Tensor:
    """The integers that stand for the inputs, uint8."""
    grid = layer.reads
    assert grid is not None
    integers: Tensor = (grid(x) / grid.scale).round() + grid.zero_point
    return integers.to(torch.uint8)


def _pairs(x: Tensor, weight: Tensor) -> list[Tensor]:
    """Two neighbouring products added, exactly, some rows at a time: (rows, out, pairs), int32."""
    if x.dtype != torch.uint8 or weight.dtype != torch.int8:
        raise TypeError(f"x must be uint8 and weight int8, not {x.dtype} and {weight.dtype}")
    odd = x.shape[1] % 2
    inputs = F.pad(x.int(), (0, odd)).unflatten(1, (-1, 2))  # (n, pairs, 2)
    weights = F.pad(weight.int(), (0, odd)).unflatten(1, (-1, 2))  # (out, pairs, 2)
    return [(part[:, None] * weights).sum(dim=3, dtype=torch.int32) for part in inputs.split(ROWS)]
