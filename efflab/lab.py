"""The lab: a base model and its data; a recipe goes in, a judged network comes out.

`preview` is cheap enough to follow a slider: accuracy on validation data and computed sizes. `measure` builds what
would be shipped, weighs the file and times it against the base. Neither touches the test data, which `open_test`
opens.
"""

import math
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from efflab import data as sources
from efflab import models
from efflab.data import Data
from efflab.knobs import Choice, Knob, Setting, Value
from efflab.measure import Difference, Evaluation, Size, compare, compute_size, evaluate
from efflab.measure.clock import now
from efflab.measure.speed import Speed, Stopwatch
from efflab.prune import SPARSITIES, Point, prunable_weights, scan_sensitivity
from efflab.recipe import TECHNIQUES, AnyTechnique, Recipe, Step, check_recipe, run, step
from efflab.runtime import export
from efflab.training import Progress, copy_model

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd

    from efflab.widgets.bench import Bench

N_CACHED = 16
"""Networks that a lab keeps, so that moving the last knob does not train the first step again."""
N_JUDGED = 500
"""Complete previews that a lab keeps: going back to a setting costs nothing."""

T = TypeVar("T")


@dataclass(frozen=True)
class Preview:
    """A recipe's network, judged without building anything: accuracy so far and computed sizes.

    `difference` is paired with the base, on the same validation images. `is_partial`: its training was stopped early.
    """

    recipe: Recipe
    evaluation: Evaluation
    difference: Difference
    size: Size
    base_size: Size
    is_partial: bool = False


@dataclass(frozen=True)
class Report:
    """A recipe's network as it would be shipped, beside the base: files weighed, speed timed, all on this machine."""

    preview: Preview
    base_file_bytes: int
    file_bytes: int
    base_compressed_bytes: int
    compressed_bytes: int
    speed: Speed


class Lab:
    """A base model and the data that it is judged on. The model is copied; yours stays as it is.

    Example:
        >>> from efflab import prune_weights
        >>> lab = Lab.open("mlp-digits")
        >>> pruned = lab.preview((step(prune_weights, sparsity=0.5),))
        >>> round(pruned.size.n_nonzero / pruned.base_size.n_nonzero, 1)
        0.5

    Raises:
        TypeError: `model` is not a torch module or `data` not a Data.
    """

    def __init__(self, model: nn.Module, data: Data, *, seed: int = 0) -> None:
        if not isinstance(model, nn.Module) or not isinstance(data, Data):
            raise TypeError(f"Lab needs a torch model and a Data, not {type(model).__name__} and {type(data).__name__}")
        self._data, self._seed = data, seed
        self.n_test_openings = 0
        self._base = models.channels_last(_copy(model).eval())
        self._kept: OrderedDict[Recipe, tuple[nn.Module, bool]] = OrderedDict()
        self._judged: OrderedDict[Recipe, Preview] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, checkpoint: str, *, seed: int = 0) -> "Lab":
        """The lab of a checkpoint that comes along, with the data that it was trained on.

        Raises:
            CheckpointError: there is no such checkpoint, or it is damaged.
        """
        about = models.card(checkpoint)
        return cls(models.load(checkpoint), sources.load(about.data, seed=about.seed), seed=seed)

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
            *_, evaluation = evaluate(self._base, self.data.validation, self.data.task)
        except RuntimeError as error:  # torch's word for shapes that do not fit
            reason = str(error).splitlines()[0]
            raise ValueError(f"the model cannot read images of shape {self.data.shape}: {reason}") from error
        return evaluation

    @cached_property
    def base_size(self) -> Size:
        """The computed size of the base model."""
        return compute_size(self._base)

    def build(self, recipe: Recipe, *, progress: Progress | None = None) -> nn.Module:
        """The network that a recipe makes. Steps that ran before are not run again; do not change what you get.

        Raises:
            ValueError: a technique cannot act on this model; the sentence says why.
        """
        check_recipe(recipe)
        return self._build(recipe, progress)[0]

    def previews(self, recipe: Recipe, *, progress: Progress | None = None) -> Iterator[Preview]:
        """Yield the preview so far after each chunk of validation images; the last one covers them all.

        Raises:
            ValueError: as `build` and `baseline`.
        """
        check_recipe(recipe)
        if recipe in self._judged:
            yield self._judged[recipe]
            return
        base, (model, is_partial) = self.baseline, self._build(recipe, progress)
        size = compute_size(model)
        for evaluation in evaluate(model, self.data.validation, self.data.task):
            preview = Preview(recipe, evaluation, compare(base, evaluation), size, self.base_size, is_partial)
            if evaluation.is_complete:
                self._remember(self._judged, recipe, preview, N_JUDGED)
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

        None when `stale` became true before it was done.

        Raises:
            ExportError: the network cannot be exported. SpeedError: it could not be timed.
            ValueError: as `build` and `baseline`.
        """
        preview = self.preview(recipe)
        with tempfile.TemporaryDirectory(prefix="efflab-", ignore_cleanup_errors=True) as folder:
            base = export(self._base, self.data.shape, Path(folder), "base")
            candidate = export(self.build(recipe), self.data.shape, Path(folder), "candidate")
            speed = stopwatch().compare(
                base, candidate, shape=self.data.shape, batch=batch, threads=threads, stale=stale
            )
            if speed is None:
                return None
            return Report(
                preview,
                base.n_bytes,
                candidate.n_bytes,
                base.compressed_bytes,
                candidate.compressed_bytes,
                speed,
            )

    def sweep(
        self, technique: AnyTechnique, knob: str, values: Sequence[Value] | None = None, **settings: Setting
    ) -> "pd.DataFrame":
        """Previews over the values of one knob, by default 21 from end to end of its range, or all of its options.

        Columns: the knob, `score`, `low`, `high` (fractions), `n_nonzero`, `packed_bytes`.

        Raises:
            ValueError, TypeError: no such knob, or a value out of range.
        """
        import pandas as pd

        previews = self.sweep_previews(technique, knob, values, **settings)
        rows = [
            (
                one.recipe[0].values[knob],
                one.evaluation.value,
                *one.evaluation.interval,
                one.size.n_nonzero,
                one.size.packed_bytes,
            )
            for one in previews
        ]
        return pd.DataFrame(rows, columns=[knob, "score", "low", "high", "n_nonzero", "packed_bytes"])

    def sweep_previews(
        self, technique: AnyTechnique, knob: str, values: Sequence[Value] | None = None, **settings: Setting
    ) -> Iterator[Preview]:
        """The previews of `sweep`, one after the other."""
        if knob not in technique.knobs:
            raise ValueError(f"{technique.name} has no knob {knob!r}; its knobs are: {', '.join(technique.knobs)}")
        for value in values if values is not None else _spread(technique.knobs[knob]):
            yield self.preview((step(technique, **{**settings, knob: value}),))

    def layers(self) -> dict[str, Tensor]:
        """The weights of the base that compression works on, by layer name.

        Raises:
            ValueError: there are none.
        """
        return prunable_weights(self._base)

    def sensitivity(self, sparsities: Sequence[float] = SPARSITIES) -> Iterator[Point]:
        """Each layer of the base pruned alone, on all validation data.

        Raises:
            ValueError: no layer can be pruned.
        """
        return scan_sensitivity(self._base, self.data.validation, self.data.task, sparsities=sparsities)

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
        from efflab.widgets.bench import (
            Bench,
        )  # the one stair to the roof: a lab without a screen needs no widgets

        return Bench(self, technique, **options)

    def _build(self, recipe: Recipe, progress: Progress | None) -> tuple[nn.Module, bool]:
        """The network, and whether its training was stopped early."""
        if not recipe:
            return self._base, False
        with self._lock:
            if recipe in self._kept:
                self._kept.move_to_end(recipe)
                return self._kept[recipe]
        before, is_partial = self._build(recipe[:-1], progress)
        model = self._take(recipe[-1], before, progress).eval()
        is_partial = is_partial or (recipe[-1].technique.is_slow and progress is not None and progress.is_stopped)
        self._remember(self._kept, recipe, (model, is_partial), N_CACHED)
        return model, is_partial

    def _take(self, one: Step, before: nn.Module, progress: Progress | None) -> nn.Module:
        """Take one step. A technique that is not ours gets a copy, so that one that is not pure spoils nothing."""
        is_ours = one.technique in TECHNIQUES.values()
        given = before if is_ours else copy_model(before)
        model = run((one,), given, data=self.data, seed=self.seed, progress=progress, teacher=self._base)
        if not is_ours and not _equal(given, before):
            raise ValueError(
                f"{one.technique.name} changed the model that it was given; it must return a new one: begin it with "
                "model = copy.deepcopy(model)"
            )
        return model

    def _remember(self, kept: OrderedDict[Recipe, T], recipe: Recipe, value: T, n: int) -> None:
        with self._lock:
            kept[recipe] = value
            while len(kept) > n:
                kept.popitem(last=False)

    def knows(self, recipe: Recipe) -> bool:
        """Whether the recipe was judged before, so that its preview costs nothing."""
        return recipe in self._judged

    def forget(self, recipe: Recipe) -> None:
        """Drop the network of a recipe, and those built on it, so that its last step runs again.

        For a training that was stopped early.
        """
        with self._lock:
            for kept in (self._kept, self._judged):
                for one in [one for one in kept if one[: len(recipe)] == recipe]:
                    del kept[one]


def _copy(model: nn.Module) -> nn.Module:
    try:
        return copy_model(model)
    except RuntimeError as error:  # a weight that is computed, as torch.nn.utils.prune and weight_norm leave it
        raise ValueError(
            f"{type(model).__name__} cannot be copied ({error}); if its weights were masked by torch.nn.utils.prune, "
            "call prune.remove(module, 'weight') on each first"
        ) from error


@cache
def stopwatch() -> Stopwatch:
    """The stopwatch that all labs of this process share: a second subprocess would only disturb the first."""
    return Stopwatch()


def _equal(model: nn.Module, other: nn.Module) -> bool:
    """Whether both hold the same numbers."""
    state, others = model.state_dict(), other.state_dict()
    return state.keys() == others.keys() and all(torch.equal(tensor, others[name]) for name, tensor in state.items())


def _spread(knob: Knob, n: int = 21) -> list[Value]:
    """The options of a choice; of a range, at most `n` values on its grid, both ends included."""
    if isinstance(knob, Choice):
        return list(knob.options)
    n_steps = math.ceil((knob.high - knob.low) / knob.step - 1e-9)  # the last step may be a shorter one
    picked = sorted({round(i * n_steps / (n - 1)) for i in range(n)})
    exact = [round(knob.low + index * knob.step, 10) for index in picked]
    return [min(max(value, knob.low), knob.high) for value in exact]
