"""One network, six ways to run it: which integers pay off, which only save bytes, and what each costs in accuracy.

float32                 the base
int8 weights            integers are stored, and become floats before each run
int8 dynamic            linear layers multiply integers; activations get a grid in each run
int4 blocks             linear layers have 4-bit weights in blocks; activations are rounded to 8 bits in each run
int8 static             weights and activations lie on our grids, calibrated before
int8 by ONNX Runtime    the same by ONNX Runtime's own quantizer

Each is written to a file, weighed, timed beside the float file and judged on validation data, by what the file answers.

Reference: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
2018, arXiv 1712.05877; ONNX Runtime, Quantize ONNX models,
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html.

Where we simplify: one setting each (scales per channel, min-max, blocks of 32). At work: try the observers first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from efflab.data import Data
from efflab.lab.shipping import passing_folder
from efflab.measure import Difference, Evaluation, compare, evaluate
from efflab.measure.accuracy import CHUNK
from efflab.measure.speed import Speed, Stopwatch
from efflab.quantize import find_folds, fold_batch_norms, quantize_activations, quantize_weights
from efflab.runtime import Artefact, executed_kernels, export, export_integers
from efflab.runtime.executed import is_integer
from efflab.runtime.opened import OpenedFile
from efflab.runtime.their_quantizer import quantize_by_runtime

Write = Callable[[nn.Module, Data, Path], Artefact]
BITS_OF_BLOCKS = 4
N_CALIBRATION = 200
"""Images that both static quantizers look at: the default of `quantize_activations`."""
DYNAMIC = "int8 dynamic"


@dataclass(frozen=True)
class Kernel:
    """A way to run the network as it was measured: the file weighed, timed beside the float file, and judged.

    layers: the operator of ONNX Runtime that multiplies the weights of each layer, by name. evaluation: of what the
    file answers on validation data; difference: to what the float file answers.
    """

    way: str
    layers: tuple[tuple[str, str], ...]
    n_bytes: int
    compressed_bytes: int
    evaluation: Evaluation
    difference: Difference
    speed: Speed

    @property
    def n_integer(self) -> int:
        """How many layers multiply integers."""
        return sum(is_integer(operator) for _, operator in self.layers)


@dataclass(frozen=True)
class NoKernel:
    """A way that this network cannot be run, and the reason in a sentence."""

    way: str
    reason: str


def measure_kernels(
    model: nn.Module,
    data: Data,
    *,
    stopwatch: Stopwatch,
    batch: int = 1,
    threads: int = 1,
    ways: Sequence[str] | None = None,
    stale: Callable[[], bool] | None = None,
) -> Iterator[Kernel | NoKernel]:
    """Yield one way after the other, the float file first; it is timed against itself, which shows the noise.

    Ends early when `stale` turns true. No file is left behind.

    Args:
        model: a float network.
        data: what it is calibrated and judged on.
        stopwatch: what times.
        batch: images in a run.
        threads: threads that a run may use.
        ways: which of `WAYS`; all if not given.
        stale: says whether the answer is not wanted any more.

    Raises:
        ValueError: there is no such way.
        ExportError: the float network cannot be written.
        SpeedError: a file could not be timed.

    Reference: Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013.
    """
    if unknown := [way for way in ways or () if way not in WAYS]:
        raise ValueError(f"a way is one of {', '.join(WAYS)}, not {unknown[0]!r}")
    with passing_folder() as folder:
        base = export(model, data.shape, folder, "base")
        expected = _judge(base, data)
        for way in ways or WAYS:
            try:
                made = _WRITERS[way](model, data, folder)
            except ValueError as error:  # ExportError too: the sentence is what there is to show
                yield NoKernel(way, str(error))
                continue
            speed = stopwatch.compare(base, made, shape=data.shape, batch=batch, threads=threads, stale=stale)
            if speed is None:
                return
            judged = _judge(made, data, chunk=batch if way == DYNAMIC else CHUNK)  # a run has one grid for its batch
            layers = tuple(executed_kernels(made).items())
            difference = compare(expected, judged)
            yield Kernel(way, layers, made.n_bytes, made.compressed_bytes, judged, difference, speed)


def _judge(artefact: Artefact, data: Data, chunk: int = CHUNK) -> Evaluation:
    """What a file answers on all validation data."""
    *_, evaluation = evaluate(OpenedFile(artefact), data.validation, data.task, chunk=chunk)
    return evaluation


def _float(model: nn.Module, data: Data, folder: Path) -> Artefact:
    return export(model, data.shape, folder, "float32")


def _weights_alone(model: nn.Module, data: Data, folder: Path) -> Artefact:
    return export_integers(quantize_weights(_folded(model, data)), data.shape, folder, "weights")


def _dynamic(model: nn.Module, data: Data, folder: Path) -> Artefact:
    folded = _folded(model, data)
    quantized = quantize_weights(folded, bits=dict.fromkeys(_linear(folded), 8))
    return export_integers(quantized, data.shape, folder, "dynamic", dynamic=True)


def _blocks(model: nn.Module, data: Data, folder: Path) -> Artefact:
    folded = _folded(model, data)
    bits = dict.fromkeys(_linear(folded), BITS_OF_BLOCKS)
    return export_integers(quantize_weights(folded, bits=bits, granularity="per group"), data.shape, folder, "blocks")


def _static(model: nn.Module, data: Data, folder: Path) -> Artefact:
    weighted = quantize_weights(_folded(model, data))
    quantized = quantize_activations(weighted, data=data, images=N_CALIBRATION)
    return export_integers(quantized, data.shape, folder, "static")


def _theirs(model: nn.Module, data: Data, folder: Path) -> Artefact:
    return quantize_by_runtime(_float(model, data, folder), data.calibration.images[:N_CALIBRATION], folder)


_WRITERS: dict[str, Write] = {
    "float32": _float,
    "int8 weights": _weights_alone,
    DYNAMIC: _dynamic,
    "int4 blocks": _blocks,
    "int8 static": _static,
    "int8 by ONNX Runtime": _theirs,
}
WAYS = tuple(_WRITERS)
"""All ways, in the order of measurement."""


def _folded(model: nn.Module, data: Data) -> nn.Module:
    """The model without the batch norms that can be folded, if there are some."""
    return fold_batch_norms(model, data=data) if any(not one.why for one in find_folds(model)) else model


def _linear(model: nn.Module) -> list[str]:
    """The names of the linear layers.

    Raises:
        ValueError: there are none.
    """
    names = [name or "model" for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    if not names:
        raise ValueError("it has no linear layer, and ONNX Runtime has this kernel for linear layers only")
    return names
