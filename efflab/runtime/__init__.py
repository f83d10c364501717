"""What would be shipped: a model as a file, and the runtime that executes it.

An artefact is a format, a file and a runtime. Today there are two kinds: ONNX in ONNX Runtime, and a graph of layers in
torch itself, which also runs sparse layers and masks. In both, weights that have a code are floats; with
`export_integers`, the ONNX file holds their integers, and integer kernels run it.
"""

from efflab.runtime.coded import as_floats, coded_layers
from efflab.runtime.eager import export_eager, open_eager
from efflab.runtime.executed import executed_kernels
from efflab.runtime.export import Artefact, ExportError, evaluating, export
from efflab.runtime.integer import Planned, export_integers, plan_kernels
from efflab.runtime.parity import Parity, parity
from efflab.runtime.quantized import ActivationGrid, QuantizedConv2d, QuantizedLinear, quantized_layers
from efflab.runtime.session import session
from efflab.runtime.shared import SharedConv2d, SharedLinear, shared_layers
from efflab.runtime.sparse import SparseLinear, sparsify, stored_bytes

__all__ = [
    "ActivationGrid",
    "Artefact",
    "ExportError",
    "Parity",
    "Planned",
    "QuantizedConv2d",
    "QuantizedLinear",
    "SharedConv2d",
    "SharedLinear",
    "SparseLinear",
    "as_floats",
    "coded_layers",
    "evaluating",
    "executed_kernels",
    "export",
    "export_eager",
    "export_integers",
    "open_eager",
    "parity",
    "plan_kernels",
    "quantized_layers",
    "session",
    "shared_layers",
    "sparsify",
    "stored_bytes",
]
