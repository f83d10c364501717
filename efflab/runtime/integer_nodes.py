"""The nodes of an ONNX graph that hold integers: what a product of floats is replaced by.

Each function takes the node of a linear layer or a convolution and the layer, and gives the nodes that stand in its
place, in the order in which they run, and the numbers that they read.

Reference: the ONNX specification, https://onnx.ai/onnx; ONNX Runtime, Contrib operators.

Where we simplify: one node for each layer. At work: `onnxruntime.quantization`, which writes the same nodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from efflab.runtime.blocks import pack
from efflab.runtime.quantized import OnGrid

if TYPE_CHECKING:
    from onnx import NodeProto

CONTRIB = "com.microsoft"
"""Where ONNX Runtime's own operators live."""
INT8_ARITHMETIC = 4
"""The accuracy level of MatMulNBits at which activations, too, are rounded to 8 bits: the fastest one."""
BIAS_STEPS, LARGEST_BIAS = 2**24, 2**30
"""The bias beside weights that are all zero, and the largest one beside others, in steps: 32 bits hold 2**31."""


@dataclass
class Replacement:
    """Nodes in the place of one, and the numbers that they read, by name. name: of the node that was there."""

    name: str
    nodes: list["NodeProto"] = field(default_factory=list)
    numbers: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    def add(
        self,
        operator: str,
        inputs: list[str],
        outputs: list[str],
        attributes: Mapping[str, int] | None = None,
        *,
        domain: str = "",
    ) -> None:
        """Append a node whose name begins like that of the one it replaces: so its layer can be traced."""
        from onnx import helper  # here, because it takes 0.1 s and `import efflab` can do without

        name = f"{self.name}.{len(self.nodes)}.{operator}"
        node = helper.make_node(operator, inputs, outputs, name, domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in (attributes or {}).items())
        self.nodes.append(node)

    def number(self, name: str, value: NDArray[np.generic]) -> str:
        """Add numbers, and give their name back."""
        self.numbers[name] = value
        return name


def static_product(node: "NodeProto", layer: OnGrid, *, is_whole: bool) -> Replacement:
    """The product with its weight as integers that are dequantized first, and its bias, too, if `is_whole`.

    An integer kernel adds the bias to sums of products of integers, so its step is that of the inputs times that of the
    weights, and it has 32 bits.
    """
    made, axis = Replacement(node.name), out_axis(node)
    integers = layer.integers().numpy()
    has_bias = is_whole and len(node.input) > 2
    scale = fitting_scale(layer) if has_bias else layer.scale.float().flatten().numpy()
    stored = made.number(f"{node.input[1]}.integers", integers if axis == 0 else np.ascontiguousarray(integers.T))
    node.input[1] = _dequantized(made, stored, scale, _zero_point(layer), axis, name=f"{node.name}.weight")
    if has_bias:
        bias, steps = _integer_bias(layer, scale)
        stored = made.number(f"{node.name}.bias", bias)
        node.input[2] = _dequantized(made, stored, steps, np.zeros_like(bias), 0, name=stored)
    made.nodes.append(node)
    return made


def dynamic_product(node: "NodeProto", layer: OnGrid) -> Replacement:
    """The product with integers of the weight and of the inputs, whose grid is found anew in each run."""
    made, name = Replacement(node.name), node.name
    turned = np.ascontiguousarray(layer.integers().numpy().T)  # (in, out)
    integers = made.number(f"{node.input[1]}.integers.turned", turned)
    scale = made.number(f"{name}.scale", layer.scale.float().flatten().numpy())
    made.add("DynamicQuantizeLinear", [node.input[0]], [f"{name}.x", f"{name}.x_scale", f"{name}.x_zero"])
    read = [f"{name}.x", integers, f"{name}.x_zero"]
    if not layer.is_symmetric:
        zero_point = _zero_point(layer)
        read.append(made.number(f"{name}.zero_point", zero_point.reshape(() if zero_point.size == 1 else (-1,))))
    made.add("MatMulInteger", read, [f"{name}.sums"])
    made.add("Cast", [f"{name}.sums"], [f"{name}.sums_float"], {"to": 1})
    made.add("Mul", [f"{name}.x_scale", scale], [f"{name}.step"])
    made.add("Mul", [f"{name}.sums_float", f"{name}.step"], [_product(node)])
    _add_bias(made, node)
    return made


def in_blocks(node: "NodeProto", layer: OnGrid) -> Replacement:
    """The product with a weight in blocks of a few bits."""
    made, weight, packed = Replacement(node.name), node.input[1], pack(layer)
    inputs = [node.input[0], made.number(f"{weight}.blocks", packed.integers.numpy())]
    inputs.append(made.number(f"{weight}.scales", packed.scales.numpy()))
    if packed.zero_points is not None:
        inputs.append(made.number(f"{weight}.zero_points", packed.zero_points.numpy()))
    n_out, n_in = layer.weight.shape
    attributes = {"K": n_in, "N": n_out, "bits": packed.bits, "block_size": packed.block}
    attributes["accuracy_level"] = INT8_ARITHMETIC
    made.add("MatMulNBits", inputs, [_product(node)], attributes, domain=CONTRIB)
    _add_bias(made, node)
    return made


def out_axis(node: "NodeProto") -> int:
    """On which axis of its weight a product has its outputs: 0, or 1 where the exporter turned the weight round."""
    if node.op_type == "Conv" or any(one.name == "transB" and one.i for one in node.attribute):
        return 0
    return 1


def fitting_scale(layer: OnGrid) -> NDArray[np.float32]:
    """The scales of the weight, (1,) or (out,); those of zeros alone, which could be any, are such that the bias fits.

    A removed filter keeps its bias, and the bias is stored in steps of the weight's scale: too coarse a scale would
    round it, too fine a one would not let it into 32 bits.
    """
    scale = layer.scale.float().flatten().numpy()
    is_zero = (layer.weight == 0).reshape(len(scale), -1).all(dim=1).numpy()
    reach = np.abs(_bias(layer)).reshape(len(scale), -1).max(axis=1)
    assert layer.reads is not None
    fitting = np.maximum(reach / (float(layer.reads.scale) * BIAS_STEPS), np.finfo(np.float32).tiny)
    return np.where(is_zero & (reach > 0), fitting, scale).astype(np.float32)


def fits_bias(layer: OnGrid) -> bool:
    """Whether the bias, in steps of the products that it is added to, leaves room for them in 32 bits."""
    assert layer.reads is not None
    has_bias = getattr(layer, "bias", None) is not None
    return not has_bias or bool(np.all(np.abs(_bias(layer)) / _steps(layer, fitting_scale(layer)) <= LARGEST_BIAS))


def _dequantized(
    made: Replacement,
    integers: str,
    scale: NDArray[np.generic],
    zero_point: NDArray[np.generic],
    axis: int,
    *,
    name: str,
) -> str:
    """The name of the numbers that the integers stand for; one scale is for all of them."""
    shape = () if scale.size == 1 else (-1,)
    read = [
        integers,
        made.number(f"{name}.scale", scale.reshape(shape)),
        made.number(f"{name}.zero_point", zero_point.reshape(shape)),
    ]
    made.add("DequantizeLinear", read, [f"{name}.dequantized"], {"axis": axis} if shape else {})
    return f"{name}.dequantized"


def _integer_bias(layer: OnGrid, scale: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The bias in steps, (out,) int32, and the steps, (out,). scale: of the weight, (1,) or (out,)."""
    bias, steps = _bias(layer), _steps(layer, scale)
    return np.rint(bias / steps).astype(np.int32), np.broadcast_to(steps, bias.shape).astype(np.float32)


def _steps(layer: OnGrid, scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """The step of a product of an input and a weight."""
    assert layer.reads is not None
    steps: NDArray[np.float32] = scale * layer.reads.scale.float().numpy()
    return steps


def _bias(layer: OnGrid) -> NDArray[np.float64]:
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    assert layer.bias is not None
    bias: NDArray[np.float64] = layer.bias.detach().double().numpy()
    return bias


def _zero_point(layer: OnGrid) -> NDArray[np.int8]:
    """(1,) or (out,)."""
    zero_point: NDArray[np.int8] = layer.zero_point.flatten().numpy().astype(np.int8)
    return zero_point


def _product(node: "NodeProto") -> str:
    """The name of the product before the bias is added; that of the result where there is none."""
    return f"{node.name}.product" if len(node.input) > 2 else node.output[0]


def _add_bias(made: Replacement, node: "NodeProto") -> None:
    if len(node.input) > 2:
        made.add("Add", [_product(node), node.input[2]], [node.output[0]])
