"""From a model that learns to a file that is shipped: export to ONNX, and what the file weighs.

The model is traced: it runs once, and the operations that ran are written down together with the weights. In
evaluation mode a batch norm only scales and shifts, so the exporter folds it into the convolution before it:
the file holds fewer layers than the model, which is what would be shipped. Folding multiplies weights, so a
pruned zero stays a zero.

Reference: the ONNX specification, https://onnx.ai/onnx.

Where we simplify: one input, one output, float32, and torch's TorchScript exporter, because it answers in
15-100 ms and can follow a slider; the newer one takes 0.8-2.8 s. At work: `torch.onnx.export(...,
dynamo=True)`, which also keeps control flow.
"""

import contextlib
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

EXAMPLE_BATCH = 2
"""Images in the traced batch: more than one, because one lets a `squeeze` or a broadcast fix the batch size."""


READS = (Tensor.item, Tensor.tolist, Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__)
"""The ways in which Python reads a value out of a tensor."""


class ExportError(ValueError):
    """The model has no file that could be shipped; the message says why."""


@dataclass(frozen=True)
class Artefact:
    """What would be shipped: a file, its format ("onnx") and the runtime that executes it ("onnxruntime")."""

    path: Path
    format: str
    runtime: str

    @property
    def files(self) -> tuple[Path, ...]:
        """The file, and those beside it into which ONNX may have put large weights."""
        return (self.path, *_external_files(self.path)) if self.format == "onnx" else (self.path,)

    @property
    def n_bytes(self) -> int:
        """Bytes on the disk, all files together."""
        return sum(file.stat().st_size for file in self.files)

    @property
    def compressed_bytes(self) -> int:
        """Bytes after zlib, at its usual level, of all files in one stream: what a download would move."""
        packer = zlib.compressobj()  # level 9 saves another percent, and takes six times as long
        return sum(len(packer.compress(file.read_bytes())) for file in self.files) + len(packer.flush())


def export(model: nn.Module, shape: tuple[int, int, int], folder: Path, name: str = "model") -> Artefact:
    """Write `model` to `folder/name.onnx`, in evaluation mode, for any batch size.

    The model keeps its weights, its training flags and its hooks. The graph has one input, "images" (n,
    channels, height, width) in float32, and one output, "scores" (n, ...).

    Args:
        model: any module that maps a batch of images to one tensor.
        shape: channels, height and width of one image.
        folder: where to write; made if it is not there.
        name: the file's name without its ending.

    Raises:
        ExportError: the forward pass fails or depends on values, an operation has no ONNX form, or the file cannot
            be written.

    Reference: the ONNX specification, https://onnx.ai/onnx.
    """
    path = Path(folder) / f"{name}.onnx"
    _refuse_sparse(model)
    images = example(model, shape)
    with evaluating(model), torch.no_grad():
        check_forward(model, images)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(model, images, path)
        except OSError as error:
            discard(path)
            raise ExportError(f"{path} cannot be written: {error.strerror or error}") from error
        except Exception as error:  # anybody's model, so anything may be raised
            discard(path)
            raise ExportError(f"the model cannot be exported to ONNX: {reason(error)}") from error
    return Artefact(path, "onnx", "onnxruntime")


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every module has the training flag that it had before.

    Each flag is put back by itself: `model.train()` would also wake a batch norm that was frozen on purpose.
    """
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag


def _refuse_sparse(model: nn.Module) -> None:
    if any(tensor.layout != torch.strided for tensor in (*model.parameters(), *model.buffers())):
        raise ExportError("the model has sparse layers, which torch cannot write to ONNX: export the dense model")


def example(model: nn.Module, shape: tuple[int, int, int]) -> Tensor:
    """Images to try the model with: (2, *shape), zeros, where the model's weights are.

    Raises:
        ExportError: the weights are not float32.
    """
    weights = [parameter for parameter in model.parameters() if parameter.is_floating_point()]
    for weight in weights:
        if weight.dtype != torch.float32:
            raise ExportError(f"the model has {weight.dtype} weights, and export takes float32: use model.float()")
    return torch.zeros(EXAMPLE_BATCH, *shape, device=weights[0].device if weights else "cpu")


def check_forward(model: nn.Module, images: Tensor) -> Tensor:
    """The scores of the model.

    Raises:
        ExportError: it does not map the images to one tensor, or values decide the path that it takes.
    """
    with _ValueReads(model) as reads:
        try:
            scores = model(images)
        except Exception as error:  # anybody's model, so anything may be raised
            shape = tuple(images.shape[1:])
            raise ExportError(f"the model does not take images of shape {shape}: {reason(error)}") from error
    if not isinstance(scores, Tensor):
        raise ExportError(f"the model returns a {type(scores).__name__}, and export needs one tensor (n, classes)")
    if reads.found:
        raise ExportError(
            "the model cannot be exported: its forward pass reads a value out of a tensor (an `if`, `int()` or "
            "`.item()`), and the file would keep the one path that the example took; `torch.where` keeps both"
        )
    return scores


class _ValueReads(TorchFunctionMode):
    """Notices when Python reads a value out of a tensor that depends on the input: the sign of a data-dependent path.

    A constant of the model (a scale, a number of groups) may be read: the file holds the same constant.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.found = False
        tensors = (*model.parameters(), *model.buffers())
        self._constants = {tensor.data_ptr() for tensor in tensors if tensor.layout == torch.strided}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS:
            self.found |= args[0].data_ptr() not in self._constants
        return func(*args, **(kwargs or {}))


def _write(model: nn.Module, images: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        # We chose the older exporter (see the top); it warns of that twice.
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
        # A path that depends on values was refused before; what is left are checks of shapes.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            model,
            (images,),
            path,
            dynamo=False,
            input_names=["images"],
            output_names=["scores"],
            dynamic_axes={"images": {0: "batch"}, "scores": {0: "batch"}},
        )


def _external_files(path: Path) -> Iterator[Path]:
    import onnx  # here, because it takes 0.1 s and `import efflab` can do without
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    weights = onnx.load(path, load_external_data=False).graph.initializer
    names = {ExternalDataInfo(weight).location for weight in weights if uses_external_data(weight)}
    return (path.parent / name for name in sorted(names))


def discard(path: Path) -> None:
    """Leave no half-written file that somebody could take for a whole one."""
    with contextlib.suppress(OSError):  # it was never there
        path.unlink()


def reason(error: Exception) -> str:
    """The first line of an error, with its kind when there is no text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
