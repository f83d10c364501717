"""Real integers: a quantized network as an ONNX file whose kernels multiply integers, with the scales that it has.

The exporter writes a pair of nodes, quantize and dequantize, for each grid of activations. Here the weights become
integers too, each behind a node that dequantizes it. ONNX Runtime knows the pattern and runs one integer kernel for it:

    float      x --> Q --> DQ --> Conv <-- DQ <-- integers of the weight       what the file says
    executed   x --> Q --> QLinearConv                                        what runs

What a layer becomes depends on its grids:

    what lies on a grid                              kernel
    weights per tensor or channel, and activations   int8: 8-bit integers are multiplied
    weights per group, a linear layer                int4 or int8 weights: each block is dequantized while it is used
    weights alone, a linear layer, if asked for      dynamic int8: the activations get a grid for each run
    weights alone                                    float: integers are stored, and dequantized before each run

References: Jacob et al., 2018, arXiv 1712.05877; ONNX Runtime, Quantize ONNX models,
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html.

Where we simplify: weights of 2 to 7 bits lie in 8-bit integers, because no kernel multiplies fewer; sums stay float. At
work: `onnxruntime.quantization.quantize_static`, which chooses its own scales.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from efflab.runtime.blocks import BITS, BLOCKS
from efflab.runtime.export import Artefact, ExportError, export
from efflab.runtime.integer_nodes import (
    CONTRIB,
    Replacement,
    dynamic_product,
    fits_bias,
    in_blocks,
    out_axis,
    static_product,
)
from efflab.runtime.nodes import layer_names
from efflab.runtime.quantized import OnGrid, bits_text, quantized_layers

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

PRODUCTS = ("Conv", "Gemm", "MatMul")
"""The operations that a linear layer or a convolution becomes."""
FLAT = "efflab.flat"
"""The name of the shape (n, everything else): 0 keeps an axis, -1 takes what is left."""


@dataclass(frozen=True)
class Planned:
    """The kernel that a layer asks for: "int8", "int8 dynamic", "int4 weights", "int8 weights" or "float".

    `why` says what keeps it from integers where it is "float"; else it is empty.
    """

    kernel: str
    why: str = ""


def plan_kernels(model: nn.Module, *, dynamic: bool = False) -> dict[str, Planned]:
    """The kernel of each linear layer and convolution of a model, by layer name.

    dynamic: whether linear layers whose weights alone lie on a grid get a grid for their activations in each run.
    """
    layers = {name or "model": one for name, one in model.named_modules() if isinstance(one, nn.Linear | nn.Conv2d)}
    return {name: _plan(layer, dynamic) for name, layer in layers.items()}


def _plan(layer: nn.Module, dynamic: bool) -> Planned:
    if not isinstance(layer, OnGrid) or not layer.bits:
        return Planned("float", "its weights lie on no grid")
    if layer.group_size is not None:
        return _plan_groups(layer)
    if not layer.has_zero:
        return Planned("float", "a symmetric grid of 1 bit has two values and no kernel here")
    if layer.reads is None:
        if dynamic and isinstance(layer, nn.Linear):
            return Planned("int8 dynamic")
        return Planned("float", "its activations lie on no grid, so its integers become floats before each run")
    if layer.reads.bits != 8:
        return Planned("float", f"no kernel here reads activations of {bits_text(layer.reads.bits)}: take 8")
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
        return Planned("float", f"its padding, {layer.padding_mode!r}, is an operation of its own, in floats")
    if not fits_bias(layer):
        return Planned("float", "its bias is so large beside its weights that 32 bits do not hold it in their steps")
    return Planned("int8")


def _plan_groups(layer: OnGrid) -> Planned:
    if isinstance(layer, nn.Conv2d):
        return Planned("float", "no kernel for convolutions takes a scale per group, so its weights stay floats")
    if layer.reads is not None:
        return Planned("float", "kernels with a scale per group read float activations")
    if layer.group_size not in BLOCKS:
        return Planned("float", f"a block must have {', '.join(map(str, BLOCKS))} inputs, not {layer.group_size}")
    return Planned("int4 weights" if layer.bits <= BITS[0] else "int8 weights")


def export_integers(
    model: nn.Module, shape: tuple[int, int, int], folder: Path, name: str = "integers", *, dynamic: bool = False
) -> Artefact:
    """Write `model` to `folder/name.onnx` with integers in place of the weights that lie on grids.

    `plan_kernels` says what each layer becomes. The answers are those of the model, up to one step of a grid where a
    sum lies just between two; with `dynamic`, or weights in blocks, the kernels round activations to 8 bits as well.

    Args:
        model: any module that `export` takes; batch norms behind a layer on a grid have been folded.
        shape: channels, height and width of one image.
        folder: where to write; made if it is not there.
        name: the file's name without its ending.
        dynamic: whether linear layers whose weights alone lie on a grid multiply integers, too.

    Raises:
        ExportError: no layer lies on a grid; one cannot be found in the graph, or a batch norm comes behind it; or as
            `export`.

    Reference: Jacob et al., 2018, arXiv 1712.05877.
    """
    import onnx  # here, because it takes 0.1 s and `import efflab` can do without

    if not quantized_layers(model):
        raise ExportError("no layer of the model has its weights on a grid, so there are no integers to write")
    artefact = export(model, shape, folder, name)
    whole = onnx.load(artefact.path)
    _replace_products(whole.graph, model, dynamic=dynamic)
    _let_grids_pass(whole.graph)
    if any(node.domain == CONTRIB for node in whole.graph.node):
        whole.opset_import.append(onnx.helper.make_opsetid(CONTRIB, 1))
    onnx.save(whole, artefact.path)
    return artefact


def _replace_products(graph: "GraphProto", model: nn.Module, *, dynamic: bool) -> None:
    """Put integers into the graph, in place, and leave out the weights that nobody reads any more."""
    from onnx import numpy_helper

    plan, layers = plan_kernels(model, dynamic=dynamic), quantized_layers(model)
    owners = product_layers(graph, dict(model.named_modules()))
    if missing := sorted(set(layers) - set(owners.values())):
        raise ExportError(f"layer {missing[0]!r} has no product of its own in the graph: its forward pass hides it")
    weights = {weight.name: weight for weight in graph.initializer}
    nodes: list[NodeProto] = []
    numbers: dict[str, NDArray[np.generic]] = {}
    for node in list(graph.node):
        made = Replacement(node.name, [node])
        if (layer := owners.get(node.name)) in layers:
            _check_weight(numpy_helper.to_array(weights[node.input[1]]), node, layers[layer], layer)
            made = _replacement(node, layers[layer], plan[layer].kernel)
        nodes += made.nodes
        numbers |= made.numbers  # a weight that is used twice is stored once
    graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in numbers.items())
    read = {value for node in nodes for value in node.input}
    kept = [weight for weight in graph.initializer if weight.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)


def _let_grids_pass(graph: "GraphProto") -> None:
    """Write Flatten as Reshape, in place: ONNX Runtime moves grids through the one and not through the other."""
    from onnx import numpy_helper

    flat = [node for node in graph.node if node.op_type == "Flatten" and all(one.i == 1 for one in node.attribute)]
    for node in flat:
        node.op_type = "Reshape"
        node.input.append(FLAT)
        del node.attribute[:]
    if flat:
        graph.initializer.append(numpy_helper.from_array(np.array([0, -1]), FLAT))


def product_layers(graph: "GraphProto", modules: Iterable[str]) -> dict[str, str]:
    """The layer of each product with a weight, by the name of the node; the model itself is "model".

    modules: the names of all modules of the model.
    """
    layers = layer_names((node.name for node in graph.node), modules)
    weights = {weight.name for weight in graph.initializer}
    products = [node for node in graph.node if node.op_type in PRODUCTS and node.input[1] in weights]
    return {node.name: layers.get(node.name, "") or "model" for node in products}


def _check_weight(written: NDArray[np.generic], node: "NodeProto", layer: OnGrid, name: str) -> None:
    """Raise ExportError unless the weight in the file is the one that lies on the grid."""
    ours = layer.weight.detach().numpy()
    if not np.array_equal(written if out_axis(node) == 0 else written.T, ours):
        raise ExportError(
            f"the weight of layer {name!r} has left its grid in the file, where the batch norm behind it is merged "
            "into it: fold_batch_norms first, and quantize what comes out"
        )


def _replacement(node: "NodeProto", layer: OnGrid, kernel: str) -> Replacement:
    if kernel.endswith("weights"):
        return in_blocks(node, layer)
    if kernel == "int8 dynamic":
        return dynamic_product(node, layer)
    if layer.group_size is not None or not layer.has_zero:
        return Replacement(node.name, [node])  # no integers of this kind can be stored: floats stay
    return static_product(node, layer, is_whole=kernel == "int8")
