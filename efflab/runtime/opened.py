"""An ONNX file as a module that is called like any other, and runs in ONNX Runtime: so its answers can be judged.

What a file answers is not always what the model answered from which it was written: integer kernels round.

Reference: ONNX Runtime, Python API, https://onnxruntime.ai/docs/api/python.

Where we simplify: one input, one output, on the processor. At work: the session itself.
"""

import torch
from torch import Tensor, nn

from efflab.runtime.export import Artefact
from efflab.runtime.session import session


class OpenedFile(nn.Module):
    """The network of a file. images: (n, channels, height, width), float32 -> (n, classes).

    It has no parameters that could be changed. threads: that a run may use.

    Raises:
        ValueError: the artefact is for another runtime.
    """

    def __init__(self, artefact: Artefact, *, threads: int = 1) -> None:
        super().__init__()
        self._session = session(artefact, threads=threads)
        self._input = self._session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        """The scores that ONNX Runtime gives."""
        (scores,) = self._session.run(None, {self._input: images.numpy()})
        return torch.from_numpy(scores)
