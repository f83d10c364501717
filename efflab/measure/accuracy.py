"""How often a network is right: an answer at any time, with its interval, and compared on the same images.

Images are evaluated in a fixed order, chunk by chunk. After each chunk the score so far and its interval are known,
so a slider need not wait for the last image. Two networks are compared **paired**, image by image.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from efflab.data import Classification, Data, Split

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd

CHUNK = 125
"""Images evaluated at once: small enough to stay in the processor's cache, large enough to keep it busy."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a network answered on the first `n` of `n_total` images.

    answers: (n,) int64, the predicted classes; scores: (n,) float32, 1 where right.
    """

    answers: Tensor
    scores: Tensor
    n_total: int
    task: Classification

    def __repr__(self) -> str:
        scale, unit = self.task.per_unit, self.task.unit
        low, high = self.interval
        return (
            f"<Evaluation: {self.task.score_name} {self.value * scale:.1f} {unit} (95 % interval {low * scale:.1f} to "
            f"{high * scale:.1f}), {self.n:,} of {self.n_total:,} images>"
        )

    @property
    def n(self) -> int:
        """How many images were evaluated so far."""
        return len(self.scores)

    @property
    def is_complete(self) -> bool:
        """Whether all images were evaluated."""
        return self.n == self.n_total

    @cached_property
    def value(self) -> float:
        """The mean score, a fraction."""
        return self.scores.mean(dtype=torch.float64).item()

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean score."""
        return self.task.interval(self.scores)


@dataclass(frozen=True)
class Difference:
    """How much a score changed on the same `n` images, with its 95 % interval; fractions."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def evaluate(
    model: Callable[[Tensor], Tensor], split: Split, task: Classification, *, chunk: int = CHUNK
) -> Iterator[Evaluation]:
    """Yield the evaluation so far after each chunk; the last one covers the whole split.

    model: a module, or a file that runs (`efflab.runtime.running`). images (n, c, h, w) -> (n, classes).

    Raises:
        ValueError: the outputs do not have one row an image and a column for each class, or are NaN.
    """
    answers = torch.empty(len(split), dtype=torch.int64)
    scores = torch.empty(len(split))
    n_classes = int(split.labels.max()) + 1
    for start in range(0, len(split), chunk):
        n = min(start + chunk, len(split))
        images, labels = split.images[start:n], split.labels[start:n]
        with torch.inference_mode():
            outputs = model(images)
            _check_outputs(outputs, images, n_classes)
            answers[start:n] = task.answers(outputs)
            scores[start:n] = task.scores(answers[start:n], labels)
        yield Evaluation(answers[:n], scores[:n], len(split), task)  # what follows is written behind them


def compare(base: Evaluation, now: Evaluation) -> Difference:
    """How much the score changed from `base` to `now`, on the images that both have seen."""
    n = min(base.n, now.n)
    before, after = base.scores[:n], now.scores[:n]
    low, high = base.task.interval_of_difference(before, after)
    return Difference((after - before).mean(dtype=torch.float64).item(), low, high, n)


def changed_images(base: Evaluation, now: Evaluation) -> Tensor:
    """The positions of the images whose answer changed. -> (k,) int64, in the order of the split."""
    n = min(base.n, now.n)
    return torch.nonzero(base.answers[:n] != now.answers[:n]).flatten()


def by_class(evaluation: Evaluation, data: Data) -> "pd.DataFrame":
    """The score of each class on the validation images seen so far: columns class, n, score, low, high (fractions)."""
    import pandas as pd

    labels = data.validation.labels[: evaluation.n]
    rows = []
    for index, name in enumerate(data.classes):
        scores = evaluation.scores[labels == index]
        low, high = evaluation.task.interval(scores) if len(scores) else (0.0, 1.0)
        rows.append((name, len(scores), scores.mean(dtype=torch.float64).item(), low, high))  # NaN where there is none
    return pd.DataFrame(rows, columns=["class", "n", "score", "low", "high"])


def _check_outputs(outputs: object, images: Tensor, n_classes: int) -> None:
    if not isinstance(outputs, Tensor):
        raise ValueError(f"the model must return a tensor (n, classes), not a {type(outputs).__name__}")
    if outputs.ndim != 2 or len(outputs) != len(images):
        raise ValueError(f"the model must return (n, classes) for {len(images)} images, not {tuple(outputs.shape)}")
    if outputs.shape[1] < n_classes:
        raise ValueError(f"the model must return a number for each of {n_classes} classes, not {outputs.shape[1]}")
    if bool(outputs.isnan().any()):
        raise ValueError("the model's outputs are NaN; a weight or a pixel is not a finite number")
