"""What would be shipped: a model as a file, and the runtime that executes it.

An artefact is a format, a file and a runtime. Today that is one kind, ONNX in ONNX Runtime; quantized graphs
and sparse kernels become further kinds without a change for those who weigh, compare or time artefacts.
"""

from efflab.runtime.export import Artefact, ExportError, evaluating, export
from efflab.runtime.parity import Parity, parity
from efflab.runtime.session import session

__all__ = ["Artefact", "ExportError", "Parity", "evaluating", "export", "parity", "session"]
