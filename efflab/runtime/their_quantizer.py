"""ONNX Runtime's own static quantizer, from a float file to one of integers: the reference that somebody else wrote.

It knows nothing of our grids. It looks at the graph, runs it on calibration images, notes the range of each activation
and chooses scales by itself, also for sums and means, which stay float in our files. Whoever ships a network uses this,
or the quantizer of another runtime.

Reference: ONNX Runtime, Quantize ONNX models,
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html.

Where we simplify: min-max calibration, unsigned activations and signed weights. At work: the same, with its own options
for other processors (`reduce_range` where VNNI is missing, signed activations on a GPU).
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from efflab.runtime.export import Artefact, ExportError, reason
from efflab.runtime.session import check_runtime, load

BATCH = 100
"""Images shown at a time."""
INPUT = "images"
"""The input of the files that `export` writes."""


def quantize_by_runtime(
    artefact: Artefact, images: Tensor, folder: Path, name: str = "by runtime", *, per_channel: bool = True
) -> Artefact:
    """Write `folder/name.onnx`: what ONNX Runtime makes of a float file after looking at some images.

    Args:
        artefact: a file that `export` wrote.
        images: to calibrate on, (n, channels, height, width), float32.
        folder: where to write; made if it is not there.
        name: the file's name without its ending.
        per_channel: whether each output of a layer has a scale of its own.

    Raises:
        ValueError: there are no images, or the artefact is for another runtime.
        ExportError: ONNX Runtime cannot quantize the file.

    Reference: ONNX Runtime, Quantize ONNX models.
    """
    check_runtime(artefact)
    if len(images) == 0:
        raise ValueError("images must hold at least one image to calibrate on, not 0")
    load()  # before its parts: it may not send anything
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # it has no types
        """Hands the images over, batch after batch, and None at the end."""

        def __init__(self) -> None:
            self.batches: Iterator[Tensor] = iter(images.split(BATCH))

        def get_next(self) -> dict[str, object] | None:
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: batch.numpy()}

    path = Path(folder) / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="efflab-") as passing, _silent():
        prepared = Path(passing) / "prepared.onnx"
        try:
            quant_pre_process(str(artefact.path), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(path),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=per_channel,
            )
        except Exception as error:  # somebody else's code and anybody's graph, so anything may be raised
            raise ExportError(f"ONNX Runtime cannot quantize {artefact.path.name}: {reason(error)}") from error
    return Artefact(path, "onnx", "onnxruntime")


@contextmanager
def _silent() -> Iterator[None]:
    """Inside the block, nothing below an error is logged: the quantizer writes to the root of all loggers."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
