"""What would be shipped: a model as a file, and the runtime that executes it.

An artefact is a format, a file and a runtime. Today there are two kinds: ONNX in ONNX Runtime, and a graph of layers in
torch itself, which also runs sparse layers and masks. In both, weights that lie on a grid are floats; quantized graphs
become further kinds without a change for those who weigh, compare or time artefacts.
"""

from efflab.runtime.eager import export_eager, open_eager
from efflab.runtime.export import Artefact, ExportError, evaluating, export
from efflab.runtime.parity import Parity, parity
from efflab.runtime.quantized import QuantizedConv2d, QuantizedLinear, as_floats, quantized_layers
from efflab.runtime.session import session
from efflab.runtime.sparse import SparseLinear, sparsify, stored_bytes

__all__ = [
    "Artefact",
    "ExportError",
    "Parity",
    "QuantizedConv2d",
    "QuantizedLinear",
    "SparseLinear",
    "as_floats",
    "evaluating",
    "export",
    "export_eager",
    "open_eager",
    "parity",
    "quantized_layers",
    "session",
    "sparsify",
    "stored_bytes",
]
