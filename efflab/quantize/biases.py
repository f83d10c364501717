"""Bias correction: rounding moves the mean of what a layer gives, and its bias can move it back.

The error of a weight is fixed once it is rounded, and inputs that come after a ReLU are never negative, so the errors
of a channel do not cancel: on average its output is off by E[W~ x] - E[W x]. A few hundred images show by how much. The
layers are corrected in the order in which they run, each behind those that are corrected already, so that what comes
down to a layer as a shifted input is put right as well.

Where the means belong is asked of the float network, the teacher, layer by layer under the same name. What was folded
and equalised since then changed what its layers give, so the same is done to the teacher first: of the teacher as it
is, folded, equalised, and both, the one whose weights are closest to the quantized ones counts.

Reference: Nagel et al., Data-free quantization through weight equalization and bias correction, 2019, arXiv 1906.04721,
section 4.2 and appendix D (with images).

Where we simplify: images, not the numbers of the batch norms; and what else was done to the network since it was the
teacher (pruning, training) counts as an error, too, which costs a little at 8 bits and helps at few. At work:
`aimet_torch.bias_correction`, by the authors.
"""

import contextlib
from collections.abc import Iterable
from functools import partial
from typing import Annotated

import torch
from torch import Tensor, nn

from efflab.data import Data
from efflab.knobs import Range, technique
from efflab.quantize.equalizing import equalize
from efflab.quantize.folding import fold_batch_norms
from efflab.quantize.watching import modules_of, watch
from efflab.runtime.quantized import quantized_layers
from efflab.training import copy_model

Images = Annotated[int, Range(8, 256, 8, "calibration images that it looks at")]


@technique
def correct_biases(model: nn.Module, *, data: Data, teacher: nn.Module, images: Images = 256) -> nn.Module:
    """A copy of `model` in which each quantized layer has, on average, the outputs that it has in the float network.

    `teacher` is the float network, as it was before batch norms were folded and channels equalised. The mean of each
    channel is taken over the first `images` calibration images. Weights stay; a layer without a bias gets one.
    Layers that the teacher has with another number of outputs, or not at all, stay as they are.

    Raises:
        ValueError: no layer is quantized, or the teacher has none of those that are.

    Reference: Nagel et al., 2019, arXiv 1906.04721, section 4.2.
    """
    names, some = _comparable(model, teacher), data.calibration.images[:images]
    with torch.inference_mode(False), torch.no_grad():
        corrected = copy_model(model)
        wanted = channel_means(float_network(model, teacher, data), some, names)
        for name, mean in wanted.items():
            _shift(modules_of(corrected)[name], mean - channel_means(corrected, some, (name,))[name])
    return corrected


def float_network(model: nn.Module, teacher: nn.Module, data: Data) -> nn.Module:
    """What `model` was before it was quantized: a copy of the teacher, folded or equalised or both, or as it is.

    The one whose weights are closest to those of the quantized layers, in squares relative to their own.
    """
    made = [copy_model(teacher)]
    for change in (fold_batch_norms, equalize):
        for network in tuple(made):
            with contextlib.suppress(ValueError):  # nothing to fold or to equalise, so it was not done
                made.append(change(network, data=data))
    return min(made, key=partial(_distance, model))


def channel_means(model: nn.Module, images: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """The mean that each channel of some layers has over all images and places, in the order in which the layers run.

    images: (n, c, h, w) -> {layer: (out,)}, float64. A layer that does not run is not there; of one that runs several
    times, the mean of all runs.

    Example:
        >>> images = torch.tensor([[[[1.0, 4.0]]], [[[3.0, 4.0]]]])
        >>> channel_means(nn.Sequential(nn.Flatten()), images, ["0"])
        {'0': tensor([2., 4.], dtype=torch.float64)}
    """
    means = {}
    for name, seen in watch(model, images, names).items():
        is_image = isinstance(modules_of(model)[name], nn.Conv2d)
        outputs = seen.outputs.movedim(1, -1) if is_image else seen.outputs  # (..., out)
        means[name] = outputs.flatten(0, -2).mean(dim=0, dtype=torch.float64)
    return means


def _comparable(model: nn.Module, teacher: nn.Module) -> tuple[str, ...]:
    """The quantized layers that the teacher has, too, with as many outputs."""
    layers, floats = quantized_layers(model), modules_of(teacher)
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no layer whose weights lie on a grid, so no rounding has moved a mean: "
            "quantize it first, with quantize_weights or learn_rounding"
        )
    n_outputs = {name: len(one.weight) for name, one in floats.items() if isinstance(one, nn.Linear | nn.Conv2d)}
    if alike := tuple(name for name, layer in layers.items() if n_outputs.get(name) == len(layer.weight)):
        return alike
    raise ValueError(
        f"teacher has none of the quantized layers with as many outputs, which are: {', '.join(layers)}; "
        "it must be the float network that was quantized"
    )


def _distance(model: nn.Module, network: nn.Module) -> float:
    """How far the weights of a float network are from those of the quantized layers, relative to their own squares."""
    distance, floats = 0.0, modules_of(network)
    for name, layer in quantized_layers(model).items():
        rounded, weight = layer.weight.detach(), getattr(floats.get(name), "weight", None)
        if isinstance(weight, Tensor) and weight.shape == rounded.shape and rounded.any():
            distance += float((rounded - weight.detach()).square().sum() / rounded.square().sum())
    return distance


def _shift(layer: nn.Module, by: Tensor) -> None:
    """Add to the bias of a layer, in place."""
    weight, bias = layer.get_parameter("weight"), getattr(layer, "bias", None)
    shifted = by.to(weight.dtype) if bias is None else bias + by.to(bias.dtype)
    layer.bias = nn.Parameter(shifted.detach(), weight.requires_grad)
