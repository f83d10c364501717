"""What would be shipped: a model as a file, and the runtime that executes it.

An artefact is a format, a file and a runtime. Today that is one kind, ONNX in ONNX Runtime; quantized graphs become
further kinds without a change for those who weigh, compare or time artefacts. Sparse layers are no artefact: they run
in torch itself.
"""

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
    "parity",
    "session",
    "sparsify",
    "stored_bytes",
]
