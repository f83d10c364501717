"""What would be shipped: a model as a file, and the runtime that executes it.

An artefact is a format, a file and a runtime. Today there are two kinds: ONNX in ONNX Runtime, and a graph of layers in
torch itself, which also runs sparse layers and masks. Quantized graphs become further kinds without a change for those
who weigh, compare or time artefacts.
"""

from efflab.runtime.eager import export_eager, open_eager
from efflab.runtime.export import Artefact, ExportError, evaluating, export
from efflab.runtime.parity import Parity, parity
from efflab.runtime.session import session
from efflab.runtime.sparse import SparseLinear, sparsify, stored_bytes

__all__ = [
    "Artefact",
    "ExportError",
    "Parity",
    "SparseLinear",
    "evaluating",
    "export",
    "export_eager",
    "open_eager",
    "parity",
    "session",
    "sparsify",
    "stored_bytes",
]
