"""Activation quantization: what a layer reads goes onto a grid, too, so that integers are multiplied by integers.

Weights are known; activations depend on the image. So a few hundred images are shown to the network, an observer looks
at what each layer reads, and the grid is fixed from then on: calibration.

    x --> grid of x --> layer, weights on their grid --> y (--> grid of y)

A grid for y is needed only where somebody reads y before it comes to the grid of the next layer, as a sum or a mean do.
A linear layer has none: its integer kernel gives floats.

References: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
2018, arXiv 1712.05877; Nagel et al., A white paper on neural network quantization, 2021, arXiv 2106.08295, section 3.1.

Where we simplify: unsigned integers, one scale for a whole activation, and sums of two branches stay float. At work:
`onnxruntime.quantization.quantize_static`, which puts sums and means onto grids, too.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from efflab.data import Data
from efflab.knobs import Range, technique
from efflab.quantize.grids import Grid, scale_and_zero_point
from efflab.quantize.observers import Observer, observe_batches
from efflab.quantize.weights import linear_layers
from efflab.runtime.coded import PLAIN, refuse_coded
from efflab.runtime.export import evaluating, reason
from efflab.runtime.quantized import ActivationGrid, OnGrid, bits_text, put_activations_on_grid
from efflab.runtime.shared import Shared
from efflab.runtime.tracing import Tracer
from efflab.training import copy_model

ActivationBits = Annotated[int, Range(2, 8, 1, "bits of each activation")]
CalibrationImages = Annotated[int, Range(10, 500, 10, "images shown to calibrate")]
BATCH = 100
"""Images shown at a time."""

RELU = (nn.ReLU, torch.relu, F.relu, "relu")
PASSING = (*RELU, nn.MaxPool2d, F.max_pool2d, nn.Flatten, torch.flatten, "flatten", nn.Identity, nn.Dropout)
"""What gives numbers of the grid of its inputs: modules, functions, methods. The runtime moves a grid through them."""


@technique
def quantize_activations(
    model: nn.Module,
    *,
    data: Data,
    bits: ActivationBits = 8,
    observer: Observer = "min-max",
    images: CalibrationImages = 200,
) -> nn.Module:
    """A copy of `model` whose linear layers and convolutions read their inputs from grids, calibrated on images.

    The grids are affine and unsigned. The ranges are those that the layers read while the first `images` of
    `data.calibration` pass, all of them if there are fewer. "percentile" keeps 99.9 % of the values.

    Raises:
        ValueError: the model has no plain linear layer or convolution; one reads from a grid already, is never called,
        or reads NaN or infinity.

    Reference: Jacob et al., 2018, arXiv 1712.05877, section 3.1.
    """
    grid = Grid(bits, is_symmetric=False, is_signed=False)
    with torch.inference_mode(False), torch.no_grad():
        copied = copy_model(model)
        layers = readable_layers(copied)
        seen = record_activations(copied, data.calibration.images[:images])
        for name, one in ((name, seen[name]) for name in layers if name in seen):
            try:
                reads, gives = (_calibrated(batches, grid, observer) for batches in (one.reads, one.gives))
            except ValueError as error:
                raise ValueError(f"layer {name!r} cannot be calibrated: {error}") from error
            assert reads is not None
            put_activations_on_grid(layers[name], reads, gives)
    return copied


@dataclass(frozen=True, eq=False)
class Seen:
    """What a layer read, and what it gave if that needs a grid of its own (after the ReLU that follows, if one does).

    Batches of any shape, in the order of the images.
    """

    reads: tuple[Tensor, ...]
    gives: tuple[Tensor, ...] = ()


def record_activations(model: nn.Module, images: Tensor) -> dict[str, Seen]:
    """What each linear layer and convolution reads and gives while the images pass; those not called are missing.

    images: (n, channels, height, width), as the model takes them.

    Raises:
        ValueError: there are no images, the model cannot read them, or it calls none of its layers.
    """
    if images.ndim == 0 or len(images) == 0:
        raise ValueError(f"images must hold at least one image to calibrate on, not shape {tuple(images.shape)}")
    layers, outputs = linear_layers(model), outputs_without_reader(model)
    reads: dict[str, list[Tensor]] = {}
    gives: dict[str, list[Tensor]] = {}

    def note(name: str, x: Tensor, y: Tensor) -> None:
        reads.setdefault(name, []).append(x)
        if name in outputs:
            gives.setdefault(name, []).append(y.relu() if outputs[name] else y)

    with evaluating(model), noting(layers, note):
        try:
            for batch in images.split(BATCH):
                model(batch)
        except RuntimeError as error:  # torch's word for shapes that do not fit
            raise ValueError(
                f"the model cannot read calibration images of shape {tuple(images.shape[1:])}: {reason(error)}"
            ) from error
    if not reads:
        raise ValueError(
            f"none of the layers {', '.join(layers)} is called as a layer, so nothing is known of its inputs"
        )
    return {name: Seen(tuple(read), tuple(gives.get(name, ()))) for name, read in reads.items()}


def readable_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that can read from a grid, by name.

    Raises:
        ValueError: there are none, or one reads from a grid already.
    """
    refuse_coded(model, "no kernel reads integers beside a codebook: quantize the float network", Shared)
    layers = {name: one for name, one in linear_layers(model).items() if _is_readable(one)}
    if not layers:
        kinds = ", ".join(kind.__name__ for kind in PLAIN)
        raise ValueError(f"{type(model).__name__} has no layer that could read from a grid; it needs one of: {kinds}")
    for name, layer in layers.items():
        if isinstance(layer, OnGrid) and layer.reads is not None:
            raise ValueError(
                f"layer {name!r} reads from a grid of {bits_text(layer.reads.bits)} already: start from the network "
                "before its activations were quantized"
            )
    return dict(layers)


def outputs_without_reader(model: nn.Module) -> dict[str, bool]:
    """The convolutions whose outputs somebody reads off the grid, and whether a ReLU is all that comes first.

    These need a grid of their own for an integer kernel. Where the forward pass cannot be followed, all do.

    Example:
        >>> outputs_without_reader(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.ReLU()))
        {'2': True}
    """
    convolutions = {name for name, layer in linear_layers(model).items() if isinstance(layer, nn.Conv2d)}
    if isinstance(model, nn.Conv2d):  # nobody calls it by a name, and all that it gives is the output
        return {"model": False}
    try:
        with evaluating(model):
            nodes = list(_LayerTracer().trace(model).nodes)
    except Exception:  # anybody's model, so anything may be raised: then nothing is known of who reads what
        return dict.fromkeys(convolutions, False)
    modules = dict(model.named_modules())
    calls = [node for node in nodes if node.op == "call_module" and node.target in convolutions]
    found = {str(node.target): True for node in calls if not _all_on_grid(node, modules)}
    for node in calls:  # of a layer that is called twice, both
        name = str(node.target)
        found |= {name: found[name] and _only_relus(node, modules)} if name in found else {}
    return found


class _LayerTracer(Tracer):
    """Goes into every module but those of `torch.nn` and layers on grids, which stay whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, OnGrid) or super().is_leaf_module(m, module_qualified_name)


def _all_on_grid(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Whether all who read the node put it onto a grid: layers do, and some operations leave that to their readers."""
    if not node.users or any(one.op == "output" for one in node.users):
        return False
    passed = [one for one in node.users if not _has_grid(one, modules)]
    return all(_is(one, modules, PASSING) and _all_on_grid(one, modules) for one in passed)


def _has_grid(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Whether a node calls a layer that puts onto a grid what it reads; a subclass of one has no such layer for it."""
    return node.op == "call_module" and _is_readable(modules[str(node.target)])


def _is_readable(layer: nn.Module) -> bool:
    return type(layer) in PLAIN or isinstance(layer, OnGrid)


def _only_relus(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Whether nobody but a ReLU reads the node, perhaps behind the identity that a folded batch norm became."""
    return bool(node.users) and all(
        _is(one, modules, RELU) or (_is(one, modules, (nn.Identity,)) and _only_relus(one, modules))
        for one in node.users
    )


def _is(node: fx.Node, modules: Mapping[str, nn.Module], kinds: tuple[object, ...]) -> bool:
    """Whether a node calls one of these modules, functions or methods."""
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], tuple(kind for kind in kinds if isinstance(kind, type)))
    return node.target in [kind for kind in kinds if not isinstance(kind, type)]


@contextmanager
def noting(layers: Mapping[str, nn.Module], note: Callable[[str, Tensor, Tensor], object]) -> Iterator[None]:
    """Inside the block, `note(name, inputs, outputs)` is called for each layer that runs; its result is dropped."""
    handles = []
    for name, layer in layers.items():

        def hook(_: nn.Module, args: Any, named: Any, outputs: Tensor, name: str = name) -> None:
            note(name, (*args, *named.values())[0], outputs)

        handles.append(layer.register_forward_hook(hook, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _calibrated(batches: tuple[Tensor, ...], grid: Grid, observer: str) -> ActivationGrid | None:
    """The grid for what was seen; None where nothing was."""
    if not batches:
        return None
    return ActivationGrid(*scale_and_zero_point(*observe_batches(batches, grid, observer), grid), grid.bits)
