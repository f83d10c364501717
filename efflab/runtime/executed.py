"""Which kernels really run: the graph that ONNX Runtime makes of a file, read back layer by layer.

A file only says what is to be computed. Whether a layer multiplies integers is decided when a session opens: where the
pattern around it is not the one that ONNX Runtime looks for, the integers become floats first and a float kernel runs.

    weights alone on a grid      DequantizeLinear, then Conv or Gemm      floats are multiplied
    and activations              QLinearConv, QGemm                       integers
    dynamic                      DynamicQuantizeMatMul                    integers
    weights in blocks            MatMulNBits                              integers of 8 bits, block after block

Reference: ONNX Runtime, Graph optimizations,
https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html.

Where we simplify: the names of the operators are ONNX Runtime's own and no promise. At work: Netron, on the file that
`optimized_model_filepath` writes.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from efflab.runtime.export import Artefact
from efflab.runtime.nodes import stored_numbers, trace_nodes
from efflab.runtime.session import check_runtime, open_file

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

FLOAT = ("Conv", "FusedConv", "NhwcFusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")
"""The operators that multiply floats."""
INTEGER = (
    "QLinearConv",
    "ConvInteger",
    "QGemm",
    "QLinearMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
    "MatMulNBits",
)
"""Those that multiply integers."""


def executed_kernels(artefact: Artefact) -> dict[str, str]:
    """The operator that multiplies the weights of each layer, as ONNX Runtime runs the file; the model is "model".

    A layer that is called twice, each time by another operator, has both, with a comma between them.

    Raises:
        ValueError: the artefact is for another runtime.

    Reference: ONNX Runtime, Graph optimizations.
    """
    import onnx  # here, because it takes 0.1 s and `import efflab` can do without

    check_runtime(artefact)
    with tempfile.TemporaryDirectory(prefix="efflab-") as folder:
        written = Path(folder) / "executed.onnx"
        open_file(str(artefact.path), 1, optimized=str(written))
        graph = onnx.load(written, load_external_data=False).graph
    origins = trace_nodes(artefact.path, [node.name for node in graph.node])
    found: dict[str, dict[str, None]] = {}
    for node in _weighted_products(graph):
        if node.name in origins:
            found.setdefault(origins[node.name].layer or "model", {})[node.op_type] = None
    return {layer: ", ".join(operators) for layer, operators in found.items()}


def _weighted_products(graph: "GraphProto") -> list["NodeProto"]:
    """The products with numbers of the file; those of activations among themselves, as in attention, are left out."""
    stored = stored_numbers(graph)
    return [node for node in graph.node if node.op_type in FLOAT + INTEGER and stored & set(node.input[1:])]


def is_integer(operator: str) -> bool:
    """Whether what `executed_kernels` says of a layer are integer kernels alone.

    Example:
        >>> is_integer("QLinearConv"), is_integer("FusedConv")
        (True, False)
    """
    return all(one in INTEGER for one in operator.split(", "))
