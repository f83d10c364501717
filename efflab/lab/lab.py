"""The lab: a base model and its data; a recipe goes in, a judged network comes out.

`preview` is cheap enough to follow a slider: accuracy on validation data and computed sizes. `measure` builds what
would be shipped, weighs the file and times it against the base. Neither touches the test data, which `open_test`
opens.
"""

import math
import shutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from efflab import data as sources
from efflab import models
from efflab.data import Data
from efflab.lab.answers import Preview, Report
from efflab.lab.bits import BitBudgets
from efflab.lab.cuts import Cuts
from efflab.lab.encoding import EncodedNetwork, encode_network
from efflab.lab.grids import Grids
from efflab.lab.kept import Kept
from efflab.lab.networks import Networks
from efflab.lab.shipping import Weighed, new_folder, passing_folder, ship, stopwatch, torch_stopwatch
from efflab.lab.states import ROWS, NoState, State, measure_states
from efflab.lab.sweeps import Sweeps
from efflab.measure import Evaluation, Size, compare, compute_size, evaluate
from efflab.measure.clock import now
from efflab.prune import SPARSITIES, Point, prunable_weights, scan_sensitivity
from efflab.recipe import AnyTechnique, Recipe, check_recipe
from efflab.runtime import plan_kernels, quantized_layers, running
from efflab.training import Progress

if TYPE_CHECKING:
    from efflab.lab.diagnosis import Diagnosis
    from efflab.lab.kernels import Kernel, NoKernel
    from efflab.lab.rates import Rates
    from efflab.widgets.bench import Bench

N_JUDGED = 500
"""Complete previews that a lab keeps: going back to a setting costs nothing."""


class Lab(Cuts, Grids, BitBudgets, Sweeps):
    """A base model and the data that it is judged on. The model is copied; yours stays as it is.

    name: what the journal calls the base; that of its checkpoint, or of its class and data.

    Example:
        >>> from efflab import prune_weights
        >>> lab = Lab.open("mlp-digits")
        >>> pruned = lab.preview((step(prune_weights, sparsity=0.5),))
        >>> round(pruned.size.n_nonzero / pruned.base_size.n_nonzero, 1)
        0.5

    Raises:
        TypeError: `model` is not a torch module or `data` not a Data.
        ValueError: the model cannot be copied.
    """

    def __init__(self, model: nn.Module, data: Data, *, seed: int = 0, name: str = "") -> None:
        if not isinstance(model, nn.Module) or not isinstance(data, Data):
            raise TypeError(f"Lab needs a torch model and a Data, not {type(model).__name__} and {type(data).__name__}")
        self._data, self._seed, self.name = data, seed, name or f"{type(model).__name__} on {data.name}"
        self.n_test_openings = 0
        self._networks = Networks(model, data, seed)
        self._judged = Kept[Preview](N_JUDGED)
        self._base: Weighed | None = None

    @classmethod
    def open(cls, checkpoint: str, *, seed: int = 0) -> "Lab":
        """The lab of a checkpoint that comes along, with the data that it was trained on.

        Raises:
            CheckpointError: there is no such checkpoint, or it is damaged.
        """
        about = models.card(checkpoint)
        return cls(models.load(checkpoint), sources.load(about.data, seed=about.seed), seed=seed, name=checkpoint)

    @property
    def data(self) -> Data:
        """What the models are judged on."""
        return self._data

    @property
    def seed(self) -> int:
        """What random acts of the techniques start from."""
        return self._seed

    @cached_property
    def baseline(self) -> Evaluation:
        """The base model on all validation data.

        Raises:
            ValueError: the model cannot read the images, or does not give a number for each class.
        """
        try:
            *_, evaluation = evaluate(self._networks.base, self.data.validation, self.data.task)
        except RuntimeError as error:  # torch's word for shapes that do not fit
            reason = str(error).splitlines()[0]
            raise ValueError(f"the model cannot read images of shape {self.data.shape}: {reason}") from error
        return evaluation

    @cached_property
    def base_size(self) -> Size:
        """The computed size of the base model."""
        return compute_size(self._networks.base)

    def build(self, recipe: Recipe, *, progress: Progress | None = None) -> nn.Module:
        """The network that a recipe makes. Steps that ran before are not run again; do not change what you get.

        Raises:
            ValueError: a technique cannot act on this model; the sentence says why.
        """
        check_recipe(recipe)
        return self._networks.build(recipe, progress).model

    def after(self, recipe: Recipe) -> "Lab":
        """A lab whose base is what a recipe makes of this one's: what comes later is compared with that network.

        Example:
            >>> from efflab import fold_batch_norms
            >>> Lab.open("cnn-digits").after((step(fold_batch_norms),)).name
            'cnn-digits, then fold batch norms'

        Raises:
            ValueError: as `build`.
        """
        name = ", then ".join([self.name, *(one.technique.label for one in recipe)])
        return Lab(self.build(recipe), self.data, seed=self.seed, name=name)

    def previews(self, recipe: Recipe, *, progress: Progress | None = None) -> Iterator[Preview]:
        """Yield the preview so far after each chunk of validation images; the last one covers them all.

        Raises:
            ValueError: as `build` and `baseline`.
        """
        check_recipe(recipe)
        if (judged := self._judged.get(recipe)) is not None:
            yield judged
            return
        base, built = self.baseline, self._networks.build(recipe, progress)
        size = compute_size(built.model)
        for evaluation in evaluate(built.model, self.data.validation, self.data.task):
            difference = compare(base, evaluation)
            preview = Preview(recipe, evaluation, difference, size, self.base_size, built.is_partial)
            if evaluation.is_complete:
                self._judged.keep(recipe, preview)
            yield preview

    def preview(self, recipe: Recipe, *, seconds: float = math.inf) -> Preview:
        """The preview after at most about `seconds` of evaluation, at least one chunk of images.

        Raises:
            ValueError: as `build` and `baseline`.
        """
        previews = self.previews(recipe)
        preview, end = next(previews), now() + seconds
        while now() < end and not preview.evaluation.is_complete:
            preview = next(previews)
        return preview

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
            *_, from_file = evaluate(running(made), self.data.validation, self.data.task)
            return Report(preview, *sizes, speed, plan_kernels(model), from_file)

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
        pruned, base = self.build(recipe), self._networks.base
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
            self._networks.base,
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
        if self._base is None or not self._base.artefact.path.exists():
            folder = new_folder()
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)  # with the lab, or at the end of Python
            artefact = ship(self._networks.base, self.data.shape, folder, "base")
            self._base = Weighed(artefact, artefact.n_bytes, artefact.compressed_bytes)
        return self._base

    def layers(self) -> dict[str, Tensor]:
        """The weights of the base that compression works on, by layer name.

        Raises:
            ValueError: there are none.
        """
        return prunable_weights(self._networks.base)

    def sensitivity(self, sparsities: Sequence[float] = SPARSITIES) -> Iterator[Point]:
        """Each layer of the base pruned alone, on all validation data.

        Raises:
            ValueError: no layer can be pruned.
        """
        return scan_sensitivity(self._networks.base, self.data.validation, self.data.task, sparsities=sparsities)

    def open_test(self, recipe: Recipe) -> Evaluation:
        """The recipe's network on the test data. Choose with validation data; open the test once, at the end.

        `n_test_openings` counts: whoever opens it often and keeps the best has turned it into validation data.
        """
        model = self.build(recipe)
        self.n_test_openings += 1
        *_, evaluation = evaluate(model, self.data.test, self.data.task)
        return evaluation

    def bench(self, technique: AnyTechnique | None = None, **options: Any) -> "Bench":
        """The widget: controls on the left, what they do on the right."""
        # The one stair to the roof: a lab without a screen needs no widgets.
        from efflab.widgets.bench import Bench

        return Bench(self, technique, **options)

    def knows(self, recipe: Recipe) -> bool:
        """Whether the recipe was judged before, so that its preview costs nothing."""
        return recipe in self._judged

    def forget(self, recipe: Recipe) -> None:
        """Drop the network of a recipe, and those built on it, so that its last step runs again.

        For a training that was stopped early.
        """
        self._networks.forget(recipe)
        self._judged.forget(recipe)
