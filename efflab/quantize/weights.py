"""Weight quantization: put the weights of each layer onto a grid of a few bits.

The network computes with floats as before, of which there are now few different ones: the bytes are saved once the
integers are stored in place of them, and no time is saved until an integer kernel runs.

Reference: Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, 2018, arXiv 1806.08342.

Where we simplify: each weight goes to the nearest number of the grid, whatever the others do; biases stay float. A
convolution has groups too: the inputs of an output, flattened, are its row. At work: the quantizer of your runtime,
such as `onnxruntime.quantization.quantize_static`.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from efflab.knobs import Choice, Range, technique
from efflab.quantize.grids import Bits, Grid, fake_quantize, scale_and_zero_point
from efflab.quantize.observers import OBSERVERS, observe
from efflab.quantize.sharing import Granularity
from efflab.runtime.coded import PLAIN, coded_layers
from efflab.runtime.quantized import OnGrid, put_on_grid
from efflab.training import copy_model

WEIGHT_OBSERVERS = Choice(tuple(one for one in OBSERVERS.options if one != "entropy"), OBSERVERS.label)
"""Entropy compares histograms, for which the weights of one channel are too few; it is for activations."""
WeightObserver = Annotated[str, WEIGHT_OBSERVERS]
Scheme = Annotated[str, Choice(("symmetric", "affine"), "whether the zero of the grid may move")]
GroupSize = Annotated[int, Range(8, 256, 2, "inputs that share a scale, per group", is_logarithmic=True)]


@technique
def quantize_weights(
    model: nn.Module,
    *,
    bits: Bits | Mapping[str, Bits] = 8,
    granularity: Granularity = "per channel",
    observer: WeightObserver = "min-max",
    scheme: Scheme = "symmetric",
    group_size: GroupSize = 32,
) -> nn.Module:
    """A copy of `model` in which the weights of linear layers and convolutions lie on grids, kept as floats.

    The layers become `QuantizedLinear` and `QuantizedConv2d`, which know their scales and give the integers. Biases and
    all other layers stay. `bits` may be a mapping {layer: bits}; layers that it does not name stay float. `group_size`
    is used "per group" only, where a kernel (out, in, h, w) counts as a row of in * h * w inputs for each output.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> layer.weight.data = torch.tensor([[0.3, -1.0]])
        >>> quantized = quantize_weights(layer, bits=3)
        >>> quantized.weight.data, quantized.integers()
        (tensor([[ 0.3333, -1.0000]]), tensor([[ 1, -3]], dtype=torch.int8))

    Raises:
        ValueError: the model has no plain linear layer or convolution; `bits` names one that is not there; a weight
        has a code already, is computed from others, holds NaN, or has zeros and is to get a grid without one.

    Reference: Krishnamoorthi, 2018, arXiv 1806.08342.
    """
    with torch.inference_mode(False), torch.no_grad():
        quantizable_layers(model, bits)  # for its sentences: torch cannot copy every model
        quantized = copy_model(model)
        layers = quantizable_layers(quantized, bits)
        for name, n_bits in bits_of(layers, bits).items():
            grid = Grid(n_bits, is_symmetric=scheme == "symmetric")
            shared = group_size if granularity == "per group" else None
            try:
                _quantize(layers[name], grid, granularity, observer, shared)
            except ValueError as error:
                raise ValueError(f"layer {name!r} cannot be quantized: {error}") from error
    return quantized


def quantizable_layers(model: nn.Module, bits: object = None) -> dict[str, tuple[nn.Module, ...]]:
    """The layers whose weights can be put onto a grid, by name; those that share one weight, under the first of them.

    Raises:
        ValueError: there are none, a weight is computed from other tensors, or a layer that `bits` is for, all unless
        it is a mapping, has its weights in a code already.
    """
    for name, coded in coded_layers(model).items():
        if coded.has_coded_weight and (not isinstance(bits, Mapping) or name in bits):
            raise ValueError(
                f"layer {name!r} has {coded.code} already, and another code adds its error to that of the "
                "first: start from the float network, with bits={layer: bits} where layers differ"
            )
    layers = linear_layers(model)
    plain = {name: layer for name, layer in layers.items() if _has_float_weight(layer)}
    if not plain:
        kinds = ", ".join(kind.__name__ for kind in PLAIN)
        raise ValueError(
            f"{type(model).__name__} has no layer whose weights can be quantized; it needs one of: {kinds}"
        )
    owners = {id(layer.weight): name for name, layer in reversed(plain.items())}  # the first layer owns a shared weight
    together: dict[str, tuple[nn.Module, ...]] = {}
    for layer in plain.values():
        owner = owners[id(layer.weight)]
        together[owner] = (*together.get(owner, ()), layer)
    return together


def linear_layers(model: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """All linear layers and convolutions by name, those of subclasses too.

    Raises:
        ValueError: one computes its weight from other tensors.
    """
    layers = {name or "model": one for name, one in model.named_modules() if isinstance(one, nn.Linear | nn.Conv2d)}
    if computed := [name for name, layer in layers.items() if not isinstance(layer.weight, nn.Parameter)]:
        raise ValueError(
            f"layer {computed[0]!r} computes its weight from other tensors (weight_norm, torch.nn.utils.prune ...), so "
            "another would not last; make it plain first, with remove_parametrizations or prune.remove"
        )
    return layers


def bits_of(layers: Mapping[str, object], bits: int | Mapping[str, int]) -> dict[str, int]:
    """The bits of each layer that is to be quantized.

    Raises:
        ValueError: the mapping names a layer that is not there.
    """
    if not isinstance(bits, Mapping):
        return dict.fromkeys(layers, bits)
    if unknown := sorted(set(bits) - set(layers)):
        raise ValueError(f"bits names {unknown[0]!r}; the layers that can be quantized are: {', '.join(layers)}")
    return dict(bits)


def _has_float_weight(layer: nn.Module) -> bool:
    """Whether it is a plain layer, no subclass that may use its weight otherwise, or has grids of activations only."""
    return type(layer) in PLAIN or (isinstance(layer, OnGrid) and not layer.bits)


def _quantize(
    layers: tuple[nn.Module, ...], grid: Grid, granularity: str, observer: str, group_size: int | None
) -> None:
    """Put the one weight of some layers onto a grid, in place."""
    weight = layers[0].get_parameter("weight")
    check_zeros(weight, grid)
    values = weight if group_size is None else weight.flatten(1)  # (out, inputs)
    ends = observe(values, grid, observer, granularity=granularity, group_size=group_size or 1)
    scale, zero_point = scale_and_zero_point(*ends, grid)
    weight.copy_(fake_quantize(values, scale, zero_point, grid).reshape(weight.shape))
    stored = [one if group_size is None else one[:, ::group_size].contiguous() for one in (scale, zero_point)]
    for layer in layers:
        put_on_grid(layer, *stored, bits=grid.bits, is_symmetric=grid.is_symmetric, group_size=group_size)


def check_zeros(weight: Tensor, grid: Grid) -> None:
    """Raise ValueError if zeros would be filled again. weight: (any shape)."""
    n_zeros = int((weight == 0).count_nonzero())
    if grid.is_binary and n_zeros:
        raise ValueError(
            f"{n_zeros} of its weights are zero, and a symmetric grid of 1 bit, -scale and +scale, has no zero; take "
            "2 bits or more, or scheme='affine'"
        )
