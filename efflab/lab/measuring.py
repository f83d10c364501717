"""What a lab measures: the files that would be shipped, written, weighed, timed and judged beside the base's.

Where weights lie on grids, the file holds integers, and what ONNX Runtime makes of it is read back: a layer counts as
an integer kernel only if one really ran.
"""

import math
import shutil
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from efflab.data import Data
from efflab.lab.answers import Preview, Report
from efflab.lab.encoding import EncodedNetwork, encode_network
from efflab.lab.shipping import Weighed, new_folder, passing_folder, ship, stopwatch, torch_stopwatch
from efflab.lab.states import ROWS, NoState, State, measure_states
from efflab.measure import Evaluation, Size, evaluate
from efflab.recipe import Recipe
from efflab.runtime import Artefact, Planned, executed_kernels, plan_kernels, quantized_layers
from efflab.runtime.executed import is_integer
from efflab.runtime.opened import OpenedFile
from efflab.training import Progress

if TYPE_CHECKING:
    from efflab.lab.diagnosis import Diagnosis
    from efflab.lab.kernels import Kernel, NoKernel
    from efflab.lab.rates import Rates

NOT_RUN = "ONNX Runtime found no integer kernel for what stands around it"


class Measuring(ABC):
    """The part of a `Lab` that writes files and times them; the lab builds and judges."""

    _weighed: Weighed | None

    @property
    @abstractmethod
    def data(self) -> Data:
        """What the models are judged on."""

    @property
    @abstractmethod
    def baseline(self) -> Evaluation:
        """The base on all validation data."""

    @property
    @abstractmethod
    def base_size(self) -> Size:
        """The computed size of the base."""

    @abstractmethod
    def build(self, recipe: Recipe, *, progress: Progress | None = None) -> nn.Module:
        """The network that a recipe makes."""

    @abstractmethod
    def preview(self, recipe: Recipe, *, seconds: float = math.inf) -> Preview:
        """The judged network of a recipe."""

    def measure(
        self, recipe: Recipe, *, batch: int = 1, threads: int = 1, stale: Callable[[], bool] | None = None
    ) -> Report | None:
        """Export the recipe's network and the base, weigh both files, and time both in ONNX Runtime, interleaved.

        Weights that lie on grids are written as integers, and integer kernels run them where there are some.
        None when `stale` became true before it was done.

        Raises:
            ExportError: the network cannot be exported, or no temporary file be written.
            SpeedError: it could not be timed.
            ValueError: as `build` and `baseline`.
        """
        preview = self.preview(recipe)
        base = self._weighed_base()
        model = self.build(recipe)
        with passing_folder() as folder:
            made = ship(model, self.data.shape, folder, "candidate")
            speed = stopwatch().compare(
                base.artefact, made, shape=self.data.shape, batch=batch, threads=threads, stale=stale
            )
            if speed is None:
                return None
            sizes = (base.n_bytes, made.n_bytes, base.compressed_bytes, made.compressed_bytes)
            if not quantized_layers(model):
                return Report(preview, *sizes, speed)
            *_, from_file = evaluate(OpenedFile(made), self.data.validation, self.data.task)
            return Report(preview, *sizes, speed, run_kernels(model, made), from_file)

    def encode(self, recipe: Recipe) -> EncodedNetwork:
        """The recipe's network as the file of Deep Compression, weighed by layer and part, read back and judged.

        Layers that share weights take few bits; all others are written as they are.

        Raises:
            CheckpointError: a layer lies on a grid, or holds numbers that the file has no word for.
            ValueError: as `build` and `baseline`.
        """
        return encode_network(self.build(recipe), self.data, self.baseline, self.base_size.dense_bytes)

    def states(
        self,
        recipe: Recipe,
        *,
        batch: int = 1,
        threads: int = 1,
        rows: Sequence[tuple[str, str]] = ROWS,
        stale: Callable[[], bool] | None = None,
    ) -> Iterator[State | NoState]:
        """Yield the recipe's network masked, zeroed, encoded and removed, each weighed and timed: `lab/states.py`.

        Raises:
            ExportError: the base cannot be written.
            SpeedError: a state could not be timed.
            ValueError: as `build`.
        """
        pruned, base = self.build(recipe), self.build(())
        options: dict[str, Any] = {"batch": batch, "threads": threads, "rows": rows, "stale": stale}
        return measure_states(pruned, base, self.data.shape, stopwatch=torch_stopwatch(), **options)

    def kernels(
        self,
        recipe: Recipe = (),
        *,
        batch: int = 1,
        threads: int = 1,
        ways: Sequence[str] | None = None,
        stale: Callable[[], bool] | None = None,
    ) -> "Iterator[Kernel | NoKernel]":
        """Yield the recipe's network run in floats and in five kinds of integers, each measured: `lab/kernels.py`.

        Raises:
            ValueError: there is no such way, or as `build`.
            ExportError: the network cannot be written in floats.
            SpeedError: a file could not be timed.
        """
        from efflab.lab.kernels import measure_kernels

        options: dict[str, Any] = {"batch": batch, "threads": threads, "ways": ways, "stale": stale}
        return measure_kernels(self.build(recipe), self.data, stopwatch=stopwatch(), **options)

    def diagnose(
        self,
        recipe: Recipe,
        *,
        batch: int = 1,
        threads: int = 1,
        rates: "Rates | None" = None,
        progress: Progress | None = None,
        stale: Callable[[], bool] | None = None,
    ) -> "Diagnosis | None":
        """Where the recipe's network spends its time, beside the base, and which reasons keep it from being faster.

        None when `stale` became true, or the progress was stopped, before it was done: see `lab/diagnosis.py`.

        Raises:
            ExportError: the network cannot be exported, or no temporary file be written.
            SpeedError: it could not be timed.
            ValueError: as `build`.
        """
        from efflab.lab.diagnosis import diagnose

        return diagnose(
            self.build(recipe),
            self.build(()),
            self.data.shape,
            batch=batch,
            threads=threads,
            rates=rates,
            progress=progress,
            stale=stale,
            base_file=self._weighed_base().artefact,
        )

    def _weighed_base(self) -> Weighed:
        """The base's file and what it weighs: written once, and again if somebody swept the temporary folder."""
        if self._weighed is None or not self._weighed.artefact.path.exists():
            folder = new_folder()
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)  # with the lab, or at the end of Python
            artefact = ship(self.build(()), self.data.shape, folder, "base")
            self._weighed = Weighed(artefact, artefact.n_bytes, artefact.compressed_bytes)
        return self._weighed


def run_kernels(model: nn.Module, made: Artefact) -> dict[str, Planned]:
    """The kernel of each layer, as planned where an integer kernel really ran; else float, and why."""
    executed = executed_kernels(made)
    ran = {layer for layer, operators in executed.items() if is_integer(operators)}
    found = {}
    for layer, plan in plan_kernels(model).items():
        is_kept = plan.kernel == "float" or layer in ran
        found[layer] = plan if is_kept else Planned("float", NOT_RUN)
    return found
