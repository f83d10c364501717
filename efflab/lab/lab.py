"""The lab: a base model and its data; a recipe goes in, a judged network comes out.

`preview` is cheap enough to follow a slider: accuracy on validation data and computed sizes. `measure` builds what
would be shipped, weighs the file and times it against the base. Neither touches the test data, which `open_test`
opens.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from efflab import data as sources
from efflab import models
from efflab.data import Data
from efflab.lab.answers import Preview
from efflab.lab.bits import BitBudgets
from efflab.lab.cuts import Cuts
from efflab.lab.grids import Grids
from efflab.lab.kept import Kept
from efflab.lab.measuring import Measuring
from efflab.lab.networks import Networks, fingerprint
from efflab.lab.prefixes import Prefixes
from efflab.lab.seeds import check_seeds
from efflab.lab.shipping import Weighed
from efflab.lab.sweeps import Sweeps
from efflab.measure import Evaluation, Size, compare, compute_size, evaluate
from efflab.measure.clock import now
from efflab.prune import SPARSITIES, Point, prunable_weights, scan_sensitivity
from efflab.recipe import AnyTechnique, Recipe, check_recipe, script
from efflab.training import Progress

if TYPE_CHECKING:
    from efflab.widgets.bench import Bench

N_JUDGED = 500
"""Complete previews that a lab keeps: going back to a setting costs nothing."""


class Lab(Measuring, Cuts, Grids, BitBudgets, Sweeps, Prefixes):
    """A base model and the data that it is judged on. The model is copied; yours stays as it is.

    name: what the journal calls the base; that of its checkpoint, or of its class and data.
    teacher: who teaches in steps that ask for a teacher; the base unless another is given. It is copied, too.

    Example:
        >>> from efflab import prune_weights, step
        >>> lab = Lab.open("mlp-digits")
        >>> pruned = lab.preview((step(prune_weights, sparsity=0.5),))
        >>> round(pruned.size.n_nonzero / pruned.base_size.n_nonzero, 1)
        0.5

    Raises:
        TypeError: `model` or `teacher` is not a torch module, `data` not a Data, or `seed` no whole number.
        ValueError: a model cannot be copied, or `seed` is below 0 or too large.
    """

    def __init__(
        self, model: nn.Module, data: Data, *, seed: int = 0, name: str = "", teacher: nn.Module | None = None
    ) -> None:
        if not isinstance(model, nn.Module) or not isinstance(data, Data):
            raise TypeError(f"Lab needs a torch model and a Data, not {type(model).__name__} and {type(data).__name__}")
        if teacher is not None and not isinstance(teacher, nn.Module):
            raise TypeError(f"teacher must be a torch model, not {type(teacher).__name__}")
        check_seeds((seed,))
        self._data, self._seed, self.name = data, seed, name or f"{type(model).__name__} on {data.name}"
        self.n_test_openings = 0
        self._networks = Networks(model, data, seed, teacher)
        self._judged = Kept[Preview](N_JUDGED)
        self._weighed: Weighed | None = None

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
        return self._evaluated(self._networks.base, "model")

    @property
    def teacher(self) -> nn.Module:
        """Who teaches in steps that ask for a teacher; do not change it."""
        return self._networks.teacher

    @cached_property
    def own_teacher(self) -> str:
        """Which network teaches, if it is not the base: its class and a fingerprint of its numbers; else empty."""
        other = self._other_teacher
        return "" if other is None else f"{type(other).__name__} {fingerprint(other)}"

    @cached_property
    def teaching(self) -> Evaluation:
        """The teacher on all validation data.

        Raises:
            ValueError: as `baseline`.
        """
        return self.baseline if self._other_teacher is None else self._evaluated(self._other_teacher, "teacher")

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

    def is_partial(self, recipe: Recipe) -> bool:
        """Whether a training of the network that was built of this recipe was stopped early.

        Raises:
            ValueError: as `build`, where it was not built before.
        """
        check_recipe(recipe)
        return self._networks.build(recipe).is_partial

    def after(self, recipe: Recipe) -> "Lab":
        """A lab whose base is what a recipe makes of this one's: what comes later is compared with that network.

        Example:
            >>> from efflab import fold_batch_norms, step
            >>> Lab.open("cnn-digits").after((step(fold_batch_norms),)).name
            'cnn-digits, then fold batch norms'

        Raises:
            ValueError: as `build`.
        """
        name = ", then ".join([self.name, *(one.technique.label for one in recipe)])
        return Lab(self.build(recipe), self.data, seed=self.seed, name=name, teacher=self._other_teacher)

    def with_seed(self, seed: int) -> "Lab":
        """A lab of the same base and data, whose techniques draw their random numbers from another seed."""
        return Lab(self._networks.base, self.data, seed=seed, name=self.name, teacher=self._other_teacher)

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

        Raises:
            ValueError: a training was stopped early, so that this is not yet what the recipe makes; or as `build`.
        """
        model = self.build(recipe)
        if self.is_partial(recipe):
            raise ValueError("the test data stay closed: a training was stopped early, train to its end first")
        self.n_test_openings += 1
        *_, evaluation = evaluate(model, self.data.test, self.data.task)
        return evaluation

    def bench(self, technique: AnyTechnique | None = None, **options: Any) -> "Bench":
        """The widget: controls on the left, what they do on the right."""
        # The one stair to the roof: a lab without a screen needs no widgets.
        from efflab.widgets.bench import Bench

        return Bench(self, technique, **options)

    def script(self, recipe: Recipe) -> str:
        """The recipe as Python: it needs the base as `model`, `data`, and `teacher` if the lab has one of its own."""
        return script(recipe, seed=self.seed, has_teacher=self._other_teacher is not None)

    def knows(self, recipe: Recipe) -> bool:
        """Whether the recipe was judged before, so that its preview costs nothing."""
        return recipe in self._judged

    def forget(self, recipe: Recipe) -> None:
        """Drop the network of a recipe, and those built on it, so that its last step runs again.

        For a training that was stopped early.
        """
        self._networks.forget(recipe)
        self._judged.forget(recipe)

    def forget_stopped(self, recipe: Recipe) -> None:
        """Drop what was stopped early of a recipe, so that it runs again; a training that had ended stays."""
        if (start := self._networks.stopped(recipe)) is not None:
            self.forget(start)

    @property
    def _other_teacher(self) -> nn.Module | None:
        """The teacher, if it is not the base."""
        return None if self._networks.teacher is self._networks.base else self._networks.teacher

    def _evaluated(self, model: nn.Module, what: str) -> Evaluation:
        try:
            *_, evaluation = evaluate(model, self.data.validation, self.data.task)
        except RuntimeError as error:  # torch's word for shapes that do not fit
            reason = str(error).splitlines()[0]
            raise ValueError(f"the {what} cannot read images of shape {self.data.shape}: {reason}") from error
        return evaluation
