"""Where a lab writes what would be shipped, and what times it: a folder that goes away, and stopwatches that stay."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import nn

from efflab.measure.speed import Stopwatch, TorchStopwatch
from efflab.runtime import Artefact, ExportError, export, export_integers, quantized_layers


@dataclass(frozen=True)
class Weighed:
    """A file and its bytes, which take longer to find than to remember."""

    artefact: Artefact
    n_bytes: int
    compressed_bytes: int


def ship(model: nn.Module, shape: tuple[int, int, int], folder: Path, name: str) -> Artefact:
    """What would be shipped of a model: an ONNX file of floats, or of integers where weights lie on grids.

    Raises:
        ExportError: as `export` and `export_integers`.
    """
    return (export_integers if quantized_layers(model) else export)(model, shape, folder, name)


def new_folder() -> Path:
    """A new temporary folder, for whoever removes it.

    Raises:
        ExportError: none can be made.
    """
    try:
        return Path(tempfile.mkdtemp(prefix="efflab-"))
    except OSError as error:
        raise ExportError(
            f"no file can be written in the temporary folder {tempfile.gettempdir()} ({error.strerror}), so nothing "
            "can be weighed or timed; set TMPDIR to a folder that can be written"
        ) from error


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A temporary folder that is gone after the block.

    Raises:
        ExportError: none can be made.
    """
    folder = new_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # on Windows a program that ends may still hold a file


@cache
def stopwatch() -> Stopwatch:
    """The stopwatch that all labs of this process share: a second subprocess would only disturb the first."""
    return Stopwatch()


@cache
def torch_stopwatch() -> TorchStopwatch:
    """The same, for what runs in torch itself."""
    return TorchStopwatch()
