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


@dataclass
class Replacement:
    """Nodes in the place of one, and the numbers that they read, by name."""

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
        """Append a node named after its first result."""
        from onnx import helper  # here, because it takes 0.1 s and `import efflab` can do without

        node = helper.make_node(operator, inputs, outputs, f"{outputs[0]}_node", domain=domain)
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
    made, name, axis = Replacement(), node.name, out_axis(node)
    integers = layer.integers().numpy()
    made.number(f"{name}.integers", integers if axis == 0 else np.ascontiguousarray(integers.T))
    scale, zero_point = layer.scale.float().flatten().numpy(), layer.zero_point.flatten().numpy().astype(np.int8)
    node.input[1] = _dequantized(made, f"{name}.integers", scale, zero_point, axis)
    if is_whole and len(node.input) > 2:
        assert layer.reads is not None
        bias, steps = _integer_bias(layer, scale * layer.reads.scale.numpy())
        made.number(f"{name}.bias", bias)
        node.input[2] = _dequantized(made, f"{name}.bias", steps, np.zeros_like(bias), 0)
    made.nodes.append(node)
    return made


def dynamic_product(node: "NodeProto", layer: OnGrid) -> Replacement:
    """The product with integers of the weight and of the inputs, whose grid is found anew in each run."""
    made, name = Replacement(), node.name
    integers = made.number(f"{name}.integers", np.ascontiguousarray(layer.integers().numpy().T))
    scale = made.number(f"{name}.scale", layer.scale.float().flatten().numpy())
    made.add("DynamicQuantizeLinear", [node.input[0]], [f"{name}.x", f"{name}.x_scale", f"{name}.x_zero"])
    made.add("MatMulInteger", [f"{name}.x", integers, f"{name}.x_zero"], [f"{name}.sums"])
    made.add("Cast", [f"{name}.sums"], [f"{name}.sums_float"], {"to": 1})
    made.add("Mul", [f"{name}.x_scale", scale], [f"{name}.step"])
    made.add("Mul", [f"{name}.sums_float", f"{name}.step"], [_product(node)])
    _add_bias(made, node)
    return made


def in_blocks(node: "NodeProto", layer: OnGrid) -> Replacement:
    """The product with a weight in blocks of a few bits."""
    made, name, packed = Replacement(), node.name, pack(layer)
    inputs = [node.input[0], made.number(f"{name}.blocks", packed.integers.numpy())]
    inputs.append(made.number(f"{name}.scales", packed.scales.numpy()))
    if packed.zero_points is not None:
        inputs.append(made.number(f"{name}.zero_points", packed.zero_points.numpy()))
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


def _dequantized(
    made: Replacement, integers: str, scale: NDArray[np.generic], zero_point: NDArray[np.generic], axis: int
) -> str:
    """The name of the numbers that the integers stand for; one scale is for all of them."""
    shape = () if scale.size == 1 else (-1,)
    read = [
        integers,
        made.number(f"{integers}.scale", scale.reshape(shape)),
        made.number(f"{integers}.zero_point", zero_point.reshape(shape)),
    ]
    made.add("DequantizeLinear", read, [f"{integers}.dequantized"], {"axis": axis} if shape else {})
    return f"{integers}.dequantized"


def _integer_bias(layer: OnGrid, steps: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The bias in steps, (out,) int32, and the steps, (out,). steps: (1,) or (out,)."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    assert layer.bias is not None
    bias = layer.bias.detach().double().numpy()
    limits = np.iinfo(np.int32)
    integers = np.clip(np.rint(bias / steps), limits.min, limits.max).astype(np.int32)
    return integers, np.broadcast_to(steps, bias.shape).astype(np.float32)


def _product(node: "NodeProto") -> str:
    """The name of the product before the bias is added; that of the result where there is none."""
    return f"{node.name}.product" if len(node.input) > 2 else node.output[0]


def _add_bias(made: Replacement, node: "NodeProto") -> None:
    if len(node.input) > 2:
        made.add("Add", [_product(node), node.input[2]], [node.output[0]])
